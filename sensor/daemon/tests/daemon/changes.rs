//! Configuration and rules that change while the daemon runs, and what it gives up at start.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use eyas_control::LastReload;

use crate::harness::{Daemon, Feed, LONG, Store, open, rule};

/// A daemon that runs a configuration file and a rules file of its own.
struct Setup {
    dir: tempfile::TempDir,
    feed: Feed,
    daemon: Daemon,
}

fn setup(configuration: &str) -> Setup {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rules.yaml"), rule("first", "/a")).unwrap();
    let feed = Feed::new(dir.path());
    let main = write_configuration(dir.path(), configuration);
    let arguments =
        ["--config", main.to_str().unwrap(), "--no-probe", "--replay-records", feed.path()];
    let daemon = Daemon::start(dir.path(), &arguments);
    Setup { dir, feed, daemon }
}

fn write_configuration(dir: &Path, more: &str) -> PathBuf {
    let main = dir.join("eyasd.yaml");
    let rules = dir.join("rules.yaml");
    let text =
        format!("store: null\njson_output: true\nrules_files: [{}]\n{more}", rules.display());
    fs::write(&main, text).unwrap();
    main
}

/// Waits until a reload after `before` has been done, and tells how it went.
fn reloaded(daemon: &Daemon, before: u64) -> LastReload {
    let start = Instant::now();
    loop {
        let status = daemon.client().status().unwrap();
        if status.counters.reloads + status.counters.reloads_refused > before {
            return status.last_reload.unwrap();
        }
        assert!(start.elapsed() < LONG, "no reload");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_rules_file_that_is_written_or_renamed_into_place_is_run() {
    let Setup { dir, mut feed, daemon } = setup("");
    let rules = dir.path().join("rules.yaml");
    fs::write(&rules, rule("written", "/a")).unwrap();
    assert!(reloaded(&daemon, 0).accepted);
    feed.send(&[open("/a")]);
    assert_eq!(daemon.alert()["rule"], "written");
    fs::write(dir.path().join("new"), rule("renamed", "/a")).unwrap();
    fs::rename(dir.path().join("new"), &rules).unwrap();
    assert!(reloaded(&daemon, 1).accepted);
    feed.send(&[open("/a")]);
    assert_eq!(daemon.alert()["rule"], "renamed");
    fs::write(&rules, "- rule: [").unwrap();
    let last = reloaded(&daemon, 2);
    assert!(!last.accepted, "{last:?}");
    feed.send(&[open("/a")]);
    assert_eq!(daemon.alert()["rule"], "renamed");
}

#[test]
fn a_changed_configuration_counts_and_what_cannot_change_is_named() {
    let Setup { dir, mut feed, daemon } = setup("");
    let file = dir.path().join("alerts");
    let more = format!(
        "priority: critical\nfile_output: {{enabled: true, filename: {}}}\nlog_level: debug\n\
         limits: {{processes: 77}}\n",
        file.display()
    );
    write_configuration(dir.path(), &more);
    assert!(reloaded(&daemon, 0).accepted);
    assert_eq!(daemon.client().status().unwrap().rules.enabled, 0, "none is that severe");
    assert_eq!(daemon.client().log_level(None).unwrap().level, "debug");
    let more = more.replace("critical", "debug").replace("json_output: true", "");
    write_configuration(dir.path(), &format!("{more}json_include_tags_property: false\n"));
    assert!(reloaded(&daemon, 1).accepted);
    feed.send(&[open("/a")]);
    let alert = daemon.alert();
    assert_eq!((&alert["rule"], alert.get("tags")), (&"first".into(), None));
    let start = Instant::now();
    while fs::read_to_string(&file).unwrap_or_default().lines().count() < 1 {
        assert!(start.elapsed() < LONG, "nothing in the file");
        thread::sleep(Duration::from_millis(10));
    }
    let (_, _, text) = daemon.stop();
    assert!(text.contains("`limits` was changed, which counts from the next start on"), "{text}");
}

#[test]
fn an_output_that_could_not_work_any_more_counts_from_the_next_start_on() {
    let Setup { dir, daemon, .. } = setup("");
    let elsewhere = tempfile::tempdir().unwrap();
    let more = format!(
        "program_output: {{enabled: true, program: cat}}\nhttp_output: {{enabled: true, url: \"http://localhost:1\"}}\n\
         file_output: {{enabled: true, filename: {}/alerts}}\nunix_output: {{enabled: true, path: /no/such}}\n",
        elsewhere.path().display()
    );
    write_configuration(dir.path(), &more);
    assert!(reloaded(&daemon, 0).accepted);
    let outputs = daemon.client().status().unwrap().outputs;
    let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["stdout", "socket /no/such"]);
    let (_, _, said) = daemon.stop();
    for key in ["program_output", "http_output", "file_output"] {
        assert!(
            said.contains(&format!("`{key}` was changed, which counts from the next start on")),
            "{said}"
        );
    }
}

#[test]
fn a_wrong_configuration_changes_nothing_and_the_reason_is_in_the_status() {
    let Setup { dir, mut feed, daemon } = setup("");
    for (wrong, said) in [
        ("json_ouput: true\n", "did you mean `json_output`"),
        ("file_output: {enabled: true, filename: /no/such/folder/x}\n", "/no/such/folder/x"),
        ("metrics: {interval: often}\n", "`metrics.interval` is `often`"),
    ]
    .into_iter()
    .enumerate()
    .map(|(count, (wrong, said))| {
        write_configuration(dir.path(), wrong);
        (reloaded(&daemon, count as u64), said)
    }) {
        assert!(!wrong.accepted && wrong.message.contains(said), "{wrong:?}");
    }
    feed.send(&[open("/a")]);
    assert_eq!(daemon.alert()["rule"], "first");
    assert_eq!(daemon.client().status().unwrap().counters.reloads, 0);
}

#[test]
fn several_files_that_are_written_at_once_are_one_change() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("rules.d");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.yaml"), rule("a", "/a")).unwrap();
    let daemon = Daemon::start(dir.path(), &["--no-probe", "-r", folder.to_str().unwrap()]);
    for name in ["b", "c", "d"] {
        fs::write(folder.join(format!("{name}.yaml")), rule(name, "/a")).unwrap();
    }
    assert!(reloaded(&daemon, 0).accepted);
    let status = daemon.client().status().unwrap();
    assert_eq!((status.rules.loaded, status.counters.reloads), (4, 1));
}

#[test]
fn snapshots_of_figures_are_told_and_written() {
    let files = tempfile::tempdir().unwrap();
    let figures = files.path().join("figures");
    let more =
        format!("metrics: {{enabled: true, interval: 1s, output_file: {}}}\n", figures.display());
    let Setup { dir: _dir, mut feed, daemon } = setup(&more);
    feed.send(&[open("/a")]);
    assert_eq!(daemon.alert()["rule"], "first");
    let snapshot = daemon.alert_of("Falco internal: metrics snapshot");
    assert_eq!(
        (&snapshot["source"], &snapshot["priority"]),
        (&"internal".into(), &"Informational".into())
    );
    let fields = &snapshot["output_fields"];
    assert_eq!(fields["falco.num_evts"], 1, "{fields}");
    assert_eq!(fields["falco.rules.first"], 1, "{fields}");
    assert_eq!(fields["falco.rules.matches_total"], 1, "{fields}");
    assert_eq!(fields["falco.num_evts_prev"], 0, "{fields}");
    for key in [
        "evt.time",
        "falco.host_boot_ts",
        "falco.host_num_cpus",
        "falco.start_ts",
        "falco.evts_rate_sec",
        "falco.cpu_usage_perc",
        "falco.memory_rss_mb",
        "falco.memory_vsz_mb",
        "falco.n_threads",
        "scap.n_evts",
        "scap.evts_rate_sec",
        "scap.n_drops_perc",
    ] {
        assert!(fields[key].is_number(), "{key}: {fields}");
    }
    for key in ["evt.hostname", "evt.source", "falco.version", "falco.kernel_release"] {
        assert!(fields[key].is_string(), "{key}: {fields}");
    }
    assert_eq!(fields["eyas_sensor_rules_enabled"], 1, "{fields}");
    let start = Instant::now();
    let written = loop {
        match fs::read_to_string(&figures) {
            Ok(text) if text.ends_with('\n') => break text,
            _ => assert!(start.elapsed() < LONG, "no snapshot in the file"),
        }
        thread::sleep(Duration::from_millis(10));
    };
    let first: serde_json::Value = serde_json::from_str(written.lines().next().unwrap()).unwrap();
    assert_eq!(first["sample"], 1);
}

#[test]
fn a_thousand_reloads_leak_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    store.activate(1, &[&rule("first", "/a")]);
    let daemon = Daemon::start(dir.path(), &["--no-probe", "--store", store.path()]);
    let of_process =
        |what: &str| fs::read_dir(format!("/proc/{}/{what}", daemon.id())).unwrap().count();
    let mut client = daemon.client();
    let mut reload = |count: u32| {
        for _ in 0..count {
            assert!(client.reload(eyas_control::Reload::default()).unwrap().accepted);
        }
        daemon.client().metrics().unwrap().sum("eyas_sensor_resident_memory_bytes")
    };
    let resident = reload(200);
    let (files, threads) = (of_process("fd"), of_process("task"));
    let grown = reload(1000) - resident;
    // Those of the last request may still be ending.
    let start = Instant::now();
    while of_process("fd") > files || of_process("task") > threads {
        assert!(start.elapsed() < LONG, "descriptors or threads are left over");
        thread::sleep(Duration::from_millis(10));
    }
    // One set of this size takes some ten KiB: a thousand of them would be plain to see.
    assert!(grown < 3.0 * 1024.0 * 1024.0, "{grown} bytes more");
}

/// Lines of `/proc/PID/task/*/status` with this name, for each thread.
fn of_threads(pid: u32, name: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let line = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("status")).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_whitespace().nth(1)?.to_owned())
    };
    tasks.filter_map(|task| line(task.ok()?)).collect()
}

#[test]
fn every_thread_has_given_up_what_it_does_not_need() {
    let Setup { dir: _dir, daemon, .. } = setup("webserver: {enabled: true, listen_port: 0}\n");
    // Its answer comes from a thread, so that all are there.
    daemon.client().status().unwrap();
    let all = |name: &str| of_threads(daemon.id(), name);
    assert!(all("Name:").len() >= 5, "{:?}", all("Name:"));
    let allowed = 1 << 19 | 1 << 2; // CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH: there is no probe.
    for name in ["CapEff:", "CapPrm:", "CapAmb:", "CapInh:"] {
        for set in all(name) {
            let set = u64::from_str_radix(&set, 16).unwrap();
            assert_eq!(set & !allowed, 0, "{name} {set:x}");
        }
    }
    assert!(all("NoNewPrivs:").iter().all(|set| set == "1"));
    assert!(all("Seccomp:").iter().all(|mode| mode == "2"), "a filter");
    let (_, _, text) = daemon.stop();
    assert!(text.contains("system calls: only those that are needed"), "{text}");
}

#[test]
fn what_is_given_up_can_be_kept() {
    let off = "hardening: {capabilities: false, no_new_privileges: false, seccomp: false, landlock: false}\n";
    let Setup { dir: _dir, daemon, mut feed } = setup(off);
    feed.send(&[open("/a")]);
    assert_eq!(daemon.alert()["rule"], "first");
    assert!(of_threads(daemon.id(), "NoNewPrivs:").iter().all(|set| set == "0"));
}

#[test]
fn a_command_of_the_users_runs_under_the_looser_filter() {
    let dir = tempfile::tempdir().unwrap();
    let Setup { dir: _dir, daemon, mut feed } = setup(&format!(
        "program_output: {{enabled: true, program: \"cat >> {}/out\"}}\n",
        dir.path().display()
    ));
    feed.send(&[open("/a")]);
    let start = Instant::now();
    while fs::read_to_string(dir.path().join("out")).unwrap_or_default().is_empty() {
        assert!(start.elapsed() < LONG, "the command wrote nothing");
        thread::sleep(Duration::from_millis(10));
    }
    let (_, _, text) = daemon.stop();
    assert!(text.contains("for `program_output` may need them"), "{text}");
}

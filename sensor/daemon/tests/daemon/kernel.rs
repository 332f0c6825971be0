//! On the live kernel: what a program does comes out as an alert.
#![expect(clippy::print_stderr, reason = "what is skipped is said aloud")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, ExitStatus};

use eyas_control::ProbeSource;

use crate::harness::{Daemon, LONG, Store};
use crate::web::{free_port, get};

/// Whether the kernel lets us; says aloud if not.
fn permitted() -> bool {
    match eyas_probe::capability() {
        Ok(()) => true,
        Err(why) => {
            eprintln!("SKIPPED: the probe cannot run here: {why} ({})", why.hint());
            false
        }
    }
}

fn rule(name: &str, condition: &str, output: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  condition: {condition}\n  output: {output}\n  priority: NOTICE\n"
    )
}

/// A small program at `path`. Another process writes it: a child that some other test starts meanwhile
/// would hold a file that this process has open for writing, and the kernel would not run it (ETXTBSY).
fn copy_of_true(path: &Path) {
    let copied = Command::new("install").args(["-m", "755", "/bin/true"]).arg(path).status();
    assert!(copied.as_ref().is_ok_and(ExitStatus::success), "{copied:?}");
}

#[test]
fn an_exec_is_told_with_its_arguments_and_the_facts_of_its_program_file() {
    if !permitted() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("eyas-kernel-exec");
    copy_of_true(&program);
    let store = Store::new(dir.path());
    let output = "\"%proc.cmdline %proc.exepath %proc.pname %user.name %evt.res \
                  %proc.exe_ino.mtime %proc.exe_ino.ctime_duration_proc_start \
                  %proc.is_exe_upper_layer %proc.pid %proc.ppid\"";
    store.activate(
        1,
        &[&rule("exec", "evt.type = execve and proc.name startswith eyas-kernel-ex", output)],
    );
    let daemon = Daemon::start(dir.path(), &["--json", "--store", store.path()]);
    let status = daemon.client().status().unwrap();
    assert_eq!(status.probe.source, ProbeSource::Embedded);
    // Most of what a host does is asked for by nobody.
    assert!(status.counters.events_filtered > 0, "{:?}", status.counters);
    let mut child = Command::new(&program).args(["--one", "two words"]).spawn().unwrap();
    let alert = daemon.alert_of("exec");
    let fields = &alert["output_fields"];
    assert_eq!(fields["proc.cmdline"], "eyas-kernel-exe --one two words");
    assert_eq!(fields["proc.exepath"], program.to_str().unwrap());
    assert_eq!(fields["proc.pid"], child.id());
    assert_eq!(fields["proc.ppid"], std::process::id());
    assert_eq!(fields["evt.res"], "SUCCESS");
    assert!(fields["proc.exe_ino.mtime"].as_u64().unwrap() > 0);
    assert!(fields["proc.exe_ino.ctime_duration_proc_start"].as_u64().unwrap() > 0);
    assert!(fields["proc.is_exe_upper_layer"].is_boolean());
    child.wait().unwrap();
}

#[test]
fn a_reload_asks_the_kernel_for_what_the_new_rules_need() {
    if !permitted() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    let marker = dir.path().join("marker");
    fs::write(&marker, "x").unwrap();
    let opens = rule(
        "open",
        &format!("evt.type in (open, openat, openat2) and fd.name = {}", marker.display()),
        "\"%fd.name %fd.type %evt.is_open_read %fd.num\"",
    );
    store.activate(1, &[&opens]);
    let daemon = Daemon::start(dir.path(), &["--json", "--store", store.path()]);
    let output = Command::new("cat").arg(&marker).output().unwrap();
    assert_eq!(output.stdout, b"x");
    let fields = daemon.alert_of("open")["output_fields"].clone();
    assert_eq!(fields["fd.type"], "file");
    assert_eq!(fields["evt.is_open_read"], true);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connects = rule(
        "connect",
        &format!("evt.type = connect and fd.sport = {port}"),
        "\"%fd.name %fd.sip %fd.l4proto %fd.type\"",
    );
    store.activate(2, &[&connects]);
    let report = daemon.reload(2);
    assert!(report.accepted, "{report:?}");
    assert_eq!(daemon.client().status().unwrap().events_enabled, ["connect", "procexit"]);
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let fields = daemon.alert_of("connect")["output_fields"].clone();
    assert_eq!(fields["fd.sip"], "127.0.0.1");
    assert_eq!((&fields["fd.l4proto"], &fields["fd.type"]), (&"tcp".into(), &"ipv4".into()));
    let ends = format!("{}->127.0.0.1:{port}", stream.local_addr().unwrap());
    assert_eq!(fields["fd.name"], ends);
    let (code, _, text) = daemon.stop();
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn calls_are_reported_that_settings_ask_for_and_that_keep_facts_right() {
    if !permitted() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules.yaml");
    let output = "\"%proc.cwd %thread.cap_effective\"";
    fs::write(&rules, rule("open", "evt.type = openat and fd.name startswith /nowhere", output))
        .unwrap();
    let rules = rules.to_str().unwrap().to_owned();
    let enabled = |options: &[&str]| {
        let mut arguments = vec!["--rules", &rules];
        arguments.extend(options.iter().flat_map(|option| ["-o", *option]));
        let daemon = Daemon::start(dir.path(), &arguments);
        let enabled = daemon.client().status().unwrap().events_enabled;
        let (code, _, text) = daemon.stop();
        assert_eq!(code, Some(0), "{text}");
        (enabled, text)
    };
    let (found, _) = enabled(&[]);
    let followed =
        ["capset", "chdir", "fchdir", "openat", "procexit", "setresuid", "setreuid", "setuid"];
    assert_eq!(found, followed);
    let (found, text) = enabled(&["base_syscalls.custom_set=[connect, \"!openat\", opnat]"]);
    assert_eq!(found, ["connect", "procexit"]);
    assert!(text.contains("no system call `opnat`"), "{text}");
}

#[test]
fn the_generations_probe_runs_and_one_that_the_kernel_cannot_take_does_not() {
    if !permitted() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    let exec = rule("exec", "evt.type = execve and proc.name startswith eyas-probe-art", "x");
    let program = dir.path().join("eyas-probe-artifact");
    copy_of_true(&program);
    let mut broken = eyas_probe::embedded().to_vec();
    broken.truncate(broken.len() / 2);
    for (number, object, taken) in
        [(1, eyas_probe::embedded(), true), (2, broken.as_slice(), false)]
    {
        store.activate_with_probe(number, &[&exec], Some(object));
        let daemon = Daemon::start(dir.path(), &["--json", "--store", store.path()]);
        let probe = daemon.client().status().unwrap().probe;
        let expected = if taken {
            ProbeSource::Artifact { name: "probe".into() }
        } else {
            ProbeSource::Embedded
        };
        assert_eq!(probe.source, expected);
        assert_eq!(probe.reason.is_none(), taken, "{probe:?}");
        assert!(Command::new(&program).status().unwrap().success());
        daemon.alert_of("exec");
        let (code, _, text) = daemon.stop();
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(text.contains("the embedded probe runs instead of `probe 1.0.0`"), !taken);
    }
}

#[test]
fn a_probe_that_comes_with_a_reload_is_tried_and_used_from_the_next_start_on() {
    if !permitted() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    let exec = rule("exec", "evt.type = execve and proc.name = eyas-none", "x");
    store.activate(1, &[&exec]);
    let daemon = Daemon::start(dir.path(), &["--store", store.path()]);
    store.activate_with_probe(2, &[&exec], Some(b"no object at all"));
    let report = daemon.reload(2);
    assert!(report.accepted);
    assert_eq!(report.probe.source, ProbeSource::Embedded);
    assert!(report.probe.reason.unwrap().contains("cannot be used"));
    // The object in use, under another name.
    store.activate_with_probe(3, &[&exec], Some(eyas_probe::embedded()));
    assert_eq!(daemon.reload(3).probe.reason, None);
}

/// Whoever has these rights and no others reads events.
#[test]
fn three_capabilities_are_enough() {
    if !permitted() {
        return;
    }
    let rights = "-all,+bpf,+perfmon,+sys_ptrace";
    let confined = |program: &Path| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(format!("--inh-caps={rights}")).arg(format!("--ambient-caps={rights}"));
        command.arg(format!("--bounding-set={rights}")).arg("--").arg(program);
        command
    };
    let probed = confined(Path::new("/bin/true")).status();
    if !probed.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: `setpriv` cannot hand out capabilities here");
        return;
    }
    // Where another user reaches everything.
    let dir = tempfile::Builder::new().prefix("eyasd").tempdir_in("/tmp").unwrap();
    let (program, rules) = (dir.path().join("eyasd"), dir.path().join("rules.yaml"));
    fs::copy(crate::harness::eyasd().get_program(), &program).unwrap();
    let text = rule("exec", "evt.type = execve and proc.name = eyas-three-caps", "\"%proc.name\"");
    fs::write(&rules, text).unwrap();
    let opened = Command::new("chmod").args(["-R", "a+rwX"]).arg(dir.path()).status().unwrap();
    assert!(opened.success());
    let arguments = ["--json", "-r", rules.to_str().unwrap()];
    let daemon = Daemon::start_by(confined(&program), dir.path(), &arguments);
    let run = dir.path().join("eyas-three-caps");
    copy_of_true(&run);
    assert!(Command::new(&run).status().unwrap().success());
    assert_eq!(daemon.alert_of("exec")["output_fields"]["proc.name"], "eyas-three-caps");
    let (code, _, text) = daemon.stop();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("runs with cap_bpf, cap_perfmon, cap_sys_ptrace;"), "{text}");
}

/// Ids and sizes of the maps of maps that a process holds: of a sensor, its table of rings.
fn tables_of_rings(pid: u32) -> Vec<(String, u32)> {
    const ARRAY_OF_MAPS: &str = "12";
    let of_maps = |text: String| {
        let value = |name: &str| {
            let of_name = |line: &str| Some(line.strip_prefix(name)?.trim().to_owned());
            text.lines().find_map(of_name)
        };
        let kind = value("map_type:")?;
        (kind == ARRAY_OF_MAPS).then(|| value("map_id:").zip(value("max_entries:")))?
    };
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    let mut found: Vec<(String, u32)> = infos
        .filter_map(|info| of_maps(fs::read_to_string(info.unwrap().path()).ok()?))
        .map(|(id, entries)| (id, entries.parse().unwrap()))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Nothing that the kernel reports reaches the sensor from here on, while all of it goes on running.
fn cut_off(pid: u32) {
    let tables = tables_of_rings(pid);
    assert!(!tables.is_empty(), "the sensor has no table of rings");
    for (id, entries) in tables {
        for entry in 0..entries {
            let key = entry.to_ne_bytes().map(|byte| byte.to_string());
            let mut command = Command::new("bpftool");
            command.args(["map", "delete", "id", &id, "key"]).args(key);
            let done = command.output().unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success() || said.contains("No such"), "{said}");
        }
    }
}

#[test]
fn a_sensor_that_no_event_reaches_is_not_healthy() {
    if !permitted() {
        return;
    }
    if Command::new("bpftool").arg("version").output().is_err() {
        eprintln!("SKIPPED: `bpftool` is needed to take the rings away");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    store.activate(1, &[&rule("exec", "evt.type = execve and proc.name = eyas-none", "x")]);
    let port = free_port();
    let listens = format!("webserver.listen_port={port}");
    let daemon = Daemon::start(
        dir.path(),
        &["--store", store.path(), "-o", "webserver.enabled=true", "-o", &listens],
    );
    // Whether the host is busy or not, twice in a row.
    for _ in 0..2 {
        let (status, body) = get(port, "/healthz");
        assert!(status.contains("200") && body.contains("ok"), "{status} {body}");
    }
    cut_off(daemon.id());
    // What was reported before may still be read.
    let start = std::time::Instant::now();
    let (status, body) = loop {
        let answer = get(port, "/healthz");
        if !answer.0.contains("200") {
            break answer;
        }
        assert!(start.elapsed() < LONG, "it is still said to be healthy");
    };
    assert!(status.contains("503 Service Unavailable"), "{status} {body}");
    assert!(body.contains("the kernel reported no event"), "{body}");
    // Rules are in force all the same: restarting it is for whoever asks about health.
    assert!(get(port, "/readyz").0.contains("200"));
    let (code, _, text) = daemon.stop();
    assert_eq!(code, Some(0), "{text}");
}

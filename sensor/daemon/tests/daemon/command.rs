//! The command line, exit codes, signals, and what is said where.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Output;

use crate::harness::{Daemon, Feed, Store, eyasd, open, rule};

fn run(arguments: &[&str]) -> Output {
    eyasd().args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn check_tells_good_rules_from_bad_ones_by_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.yaml");
    fs::write(&path, rule("x", "/x")).unwrap();
    let good = run(&["--check", "-r", path.to_str().unwrap()]);
    assert_eq!(good.status.code(), Some(0), "{}", stderr(&good));
    assert!(good.stdout.is_empty());
    fs::write(&path, rule("x", "/x").replace("fd.name =", "fd.nam =")).unwrap();
    let bad = run(&["--check", "-r", path.to_str().unwrap()]);
    assert_eq!(bad.status.code(), Some(6));
    assert!(stderr(&bad).contains("fd.nam"), "{}", stderr(&bad));
    assert!(stderr(&bad).contains("r.yaml"), "{}", stderr(&bad));
    let missing = run(&["--check", "-r", "/no/such/rules.yaml"]);
    assert_eq!(missing.status.code(), Some(8), "{}", stderr(&missing));
}

#[test]
fn a_wrong_configuration_is_a_usage_error() {
    let wrong = run(&["--check", "-o", "jsn_output=true"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("did you mean `json_output`"), "{}", stderr(&wrong));
    assert_eq!(run(&["--no-such-flag"]).status.code(), Some(2));
}

#[test]
fn the_configuration_in_force_is_printed_on_standard_output() {
    let printed = run(&["--print-config", "--json", "--store", "/srv/eyas"]);
    assert_eq!(printed.status.code(), Some(0));
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(text.contains("json_output: true") && text.contains("store: /srv/eyas"), "{text}");
}

#[test]
fn a_store_that_was_tampered_with_is_a_storage_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    store.activate(1, &[&rule("x", "/x")]);
    fs::write(store.0.join("generations/1/lock.json"), "{}").unwrap();
    let found = run(&["--no-probe", "--store", store.path()]);
    assert_eq!(found.status.code(), Some(8), "{}", stderr(&found));
    fs::remove_file(store.0.join("current")).unwrap();
    std::os::unix::fs::symlink("/etc", store.0.join("current")).unwrap();
    let found = run(&["--no-probe", "--store", store.path()]);
    assert!(stderr(&found).contains("expected `generations/<number>`"), "{}", stderr(&found));
}

#[test]
fn the_last_generation_that_is_whole_runs_when_the_newest_was_changed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    store.activate(1, &[&rule("first", "/x")]);
    store.activate(2, &[&rule("second", "/x")]);
    fs::write(store.rules_file(2), rule("tampered", "/x")).unwrap();
    let daemon = Daemon::start(dir.path(), &["--no-probe", "--store", store.path()]);
    let status = daemon.client().status().unwrap();
    assert_eq!(status.generation, Some(1));
    let last = status.last_reload.unwrap();
    assert!(!last.accepted && last.message.contains("the lock file says"), "{}", last.message);
}

#[test]
fn hangup_reads_rules_files_again_and_keeps_the_old_ones_if_they_are_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("r.yaml");
    fs::write(&rules, rule("first", "/a")).unwrap();
    let mut feed = Feed::new(dir.path());
    let arguments =
        ["--no-probe", "--json", "-r", rules.to_str().unwrap(), "--replay-records", feed.path()];
    // Nothing but the signal makes it read them.
    let arguments = [&arguments[..], &["-o", "watch_config_files=false"]].concat();
    let daemon = Daemon::start(dir.path(), &arguments);
    let reloads = |daemon: &Daemon| {
        let counters = daemon.client().status().unwrap().counters;
        (counters.reloads, counters.reloads_refused)
    };
    let wait_for = |expected| {
        while reloads(&daemon) != expected {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    fs::write(&rules, rule("second", "/a")).unwrap();
    daemon.signal("HUP");
    wait_for((1, 0));
    feed.send(&[open("/a")]);
    assert_eq!(daemon.alert()["rule"], "second");
    fs::write(&rules, "- rule: [").unwrap();
    daemon.signal("HUP");
    wait_for((1, 1));
    feed.send(&[open("/a")]);
    assert_eq!(daemon.alert()["rule"], "second");
}

#[test]
fn what_was_judged_before_the_end_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("r.yaml");
    fs::write(&rules, rule("x", "/a")).unwrap();
    let mut feed = Feed::new(dir.path());
    let file = dir.path().join("alerts");
    let option = format!("file_output.filename={}", file.display());
    let arguments = [
        "--no-probe",
        "-r",
        rules.to_str().unwrap(),
        "--replay-records",
        feed.path(),
        "-o",
        "file_output.enabled=true",
        "-o",
        &option,
    ];
    let daemon = Daemon::start(dir.path(), &arguments);
    feed.send(&vec![open("/a"); 500]);
    while daemon.client().status().unwrap().counters.matches < 500 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let (code, lines, text) = daemon.stop();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("500 events, 500 matches"), "{text}");
    assert_eq!(lines.len(), 500);
    assert!(lines.iter().all(|line| line.contains("Warning opened /a")), "{}", lines[0]);
    assert_eq!(fs::read_to_string(file).unwrap().lines().count(), 500);
}

#[test]
fn a_second_daemon_on_the_same_socket_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    let daemon = Daemon::start(dir.path(), &["--no-probe", "--store", store.path()]);
    let socket = daemon.socket.to_str().unwrap();
    let second = run(&["--no-probe", "--store", store.path(), "--control-socket", socket]);
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("already listening"), "{}", stderr(&second));
    assert!(daemon.client().hello().is_ok());
}

#[test]
fn the_service_manager_is_told_when_it_is_ready_and_when_it_stops() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(crate::harness::LONG)).unwrap();
    let store = Store::new(dir.path());
    let mut child = eyasd()
        .args(["--no-probe", "--store", store.path(), "-o", "control.enabled=false"])
        .env("NOTIFY_SOCKET", &path)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut buffer = [0; 64];
    let mut next = || {
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let ready = next();
    assert!(ready.starts_with("READY=1\nSTATUS=no generation yet"), "{ready}");
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let reloading = next();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(next(), "READY=1");
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(next(), "STOPPING=1");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

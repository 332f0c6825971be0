//! Where alerts go, what is held back, and that a dead output costs only its own alerts.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use crate::harness::{Daemon, Feed, LONG, open, rule};

/// A daemon without a probe that alerts on opens of `/x`, with more settings.
fn daemon(dir: &Path, feed: &Feed, settings: &[String]) -> Daemon {
    let rules = dir.join("rules.yaml");
    fs::write(&rules, rule("opened", "/x")).unwrap();
    let mut arguments = vec!["--no-probe", "--replay-records", feed.path()];
    arguments.extend(["-r", rules.to_str().unwrap()]);
    for setting in settings {
        arguments.extend(["-o", setting]);
    }
    Daemon::start(dir, &arguments)
}

fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < LONG, "it did not happen");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn an_alert_reaches_every_output_and_a_dead_one_delays_none() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let log = UnixDatagram::bind(at("log")).unwrap();
    let journal = UnixDatagram::bind(at("journal")).unwrap();
    let plain = UnixDatagram::bind(at("plain")).unwrap();
    for socket in [&log, &journal, &plain] {
        socket.set_read_timeout(Some(LONG)).unwrap();
    }
    let mut feed = Feed::new(dir.path());
    let settings = [
        "json_output=true".to_owned(),
        "syslog_output.enabled=true".to_owned(),
        format!("syslog_output.socket={}", at("log")),
        "journald_output.enabled=true".to_owned(),
        format!("journald_output.socket={}", at("journal")),
        "unix_output.enabled=true".to_owned(),
        format!("unix_output.path={}", at("plain")),
        "file_output.enabled=true".to_owned(),
        format!("file_output.filename={}", at("file")),
        "program_output.enabled=true".to_owned(),
        format!("program_output.program=sleep 1000; cat > {}", at("never")),
    ];
    let daemon = daemon(dir.path(), &feed, &settings);
    feed.send(&[open("/x"), open("/x")]);
    let alert = daemon.alert();
    assert_eq!(alert["rule"], "opened");
    let receive = |socket: &UnixDatagram| {
        let mut buffer = [0; 8192];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    assert!(receive(&log).contains("eyasd["));
    assert!(receive(&journal).contains("EYAS_RULE=opened\n"));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&receive(&plain)).unwrap(), alert);
    let file =
        until(|| fs::read_to_string(at("file")).ok().filter(|text| text.lines().count() == 2));
    assert!(file.starts_with('{'), "{file}");
}

#[test]
fn outputs_are_opened_anew_when_a_log_rotation_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let mut feed = Feed::new(dir.path());
    let settings = [
        "json_output=true".to_owned(),
        "file_output.enabled=true".to_owned(),
        format!("file_output.filename={}", at("file")),
        "program_output.enabled=true".to_owned(),
        "program_output.keep_alive=true".to_owned(),
        format!("program_output.program=cat >> {}", at("piped")),
    ];
    let daemon = daemon(dir.path(), &feed, &settings);
    let written = |name: &str| fs::metadata(at(name)).is_ok_and(|found| found.len() > 0);
    feed.send(&[open("/x")]);
    until(|| (written("file") && written("piped")).then_some(()));
    for name in ["file", "piped"] {
        fs::rename(at(name), at(&format!("{name}.1"))).unwrap();
    }
    daemon.signal("USR1");
    // The program keeps its file open itself, so that only a new one writes to the new file.
    until(|| {
        feed.send(&[open("/x")]);
        (written("file") && written("piped")).then_some(())
    });
    assert_eq!(daemon.stop().0, Some(0));
}

#[test]
fn an_output_that_loses_alerts_is_told_of_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::new(dir.path());
    let socket = dir.path().join("plain");
    let settings =
        ["unix_output.enabled=true".to_owned(), format!("unix_output.path={}", socket.display())];
    let daemon = daemon(dir.path(), &feed, &settings);
    feed.send(&[open("/x")]);
    let state = |daemon: &Daemon| {
        let outputs = daemon.client().status().unwrap().outputs;
        outputs.into_iter().find(|output| output.name.starts_with("socket ")).unwrap()
    };
    let output = until(|| Some(state(&daemon)).filter(|output| output.failed == 1));
    assert!(output.last_error.unwrap().contains("No such file"));
    // Said once a second has passed; then it comes, and that is said too.
    std::thread::sleep(std::time::Duration::from_millis(2500));
    let _there = UnixDatagram::bind(&socket).unwrap();
    feed.send(&[open("/x")]);
    until(|| Some(()).filter(|()| state(&daemon).written == 1));
    std::thread::sleep(std::time::Duration::from_millis(2500));
    let (_, _, said) = daemon.stop();
    assert!(said.contains("plain` has lost 1 alerts: "), "{said}");
    assert!(said.contains("plain` takes alerts again, 1 were lost"), "{said}");
}

#[test]
fn what_is_said_too_often_is_held_back_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::new(dir.path());
    let settings = ["json_output=true", "alert_limits.same_for=3600"].map(str::to_owned);
    let daemon = daemon(dir.path(), &feed, &settings);
    feed.send(&vec![open("/x"); 10]);
    assert_eq!(daemon.alert()["rule"], "opened");
    until(|| Some(()).filter(|()| daemon.client().status().unwrap().counters.matches == 10));
    let (code, lines, _) = daemon.stop();
    assert_eq!(code, Some(0));
    assert_eq!(lines.len(), 1, "{lines:?}");
    let said: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(said["rule"], "eyas internal: alerts held back");
    assert_eq!(said["output_fields"]["eyas.repeated"], 9);
    assert_eq!(said["source"], "internal");
}

#[test]
fn an_output_that_is_enabled_and_not_set_up_is_a_usage_error() {
    for (settings, said) in [
        (&["file_output.enabled=true"][..], "`file_output.filename` is not set"),
        (&["unix_output.enabled=true"], "`unix_output.path` is not set"),
        (&["program_output.enabled=true"], "`program_output.program` is not set"),
        (&["http_output.enabled=true"], "`http_output.url` is not set"),
        (
            &["http_output.enabled=true", "http_output.url=ftp://x"],
            "expected an address with `http://`",
        ),
        (
            &["http_output.enabled=true", "http_output.url=http://x", "http_output.mtls=true"],
            "`http_output.client_cert` is not set",
        ),
        (
            &["http_output.enabled=true", "http_output.url=http://x", "http_output.ca_cert=/no/ca"],
            "/no/ca",
        ),
        (
            &[
                "http_output.enabled=true",
                "http_output.url=http://x",
                "http_output.ca_cert=/etc/passwd",
            ],
            "`/etc/passwd` holds no certificate",
        ),
        (
            &["syslog_output.enabled=true", "syslog_output.facility=loud"],
            "`syslog_output.facility` is `loud`",
        ),
    ] {
        let options = settings.iter().flat_map(|setting| ["-o", setting]);
        let output =
            crate::harness::eyasd().args(["--check", "-o", "store=null"]).args(options).output();
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(said), "{said}: {text}");
    }
}

//! The control socket of a running daemon: figures, rules, processes, alerts as they come.
#![expect(clippy::print_stderr, reason = "what is skipped is said aloud")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use eyas_control::{
    Code, ControlError, Item, Request, Select, Subscribe, Subscription, Switch, read_frame,
    write_frame,
};

use crate::harness::{Daemon, Feed, LONG, Store, eyasd, open, rule};

/// A daemon with two rules, fed by hand.
fn setup(dir: &tempfile::TempDir) -> (Daemon, Feed, Store) {
    let store = Store::new(dir.path());
    let second = rule("second", "/b").replace("WARNING", "NOTICE\n  tags: [slow]");
    store.activate(1, &[&(rule("first", "/a") + &second)]);
    let feed = Feed::new(dir.path());
    let arguments =
        ["--no-probe", "--json", "--store", store.path(), "--replay-records", feed.path()];
    (Daemon::start(dir.path(), &arguments), feed, store)
}

fn off(name: &str) -> Switch {
    Switch { enable: false, rule: Some(name.into()), tag: None }
}

fn alert(alerts: &mut Subscription) -> serde_json::Value {
    loop {
        match alerts.next_item().unwrap().unwrap() {
            Item::Alert(alert) => return alert,
            Item::Alive {} => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn every_request_that_is_offered_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (daemon, ..) = setup(&dir);
    let offered = daemon.client().hello().unwrap().requests;
    assert_eq!(offered, Request::NAMES);
    for name in offered {
        let mut stream = UnixStream::connect(&daemon.socket).unwrap();
        let arguments = match name.as_str() {
            "validate" => "{\"candidate\":{\"files\":[]}}",
            _ => "{}",
        };
        let request = format!("{{\"version\":1,\"id\":7,\"request\":{{\"{name}\":{arguments}}}}}");
        write_frame(&mut stream, request.as_bytes(), LONG).unwrap();
        let answer = read_frame(&mut stream, LONG, LONG).unwrap().unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["id"], 7, "{name}");
        assert!(answer["ok"].is_object(), "{name}: {answer}");
    }
}

#[test]
fn alerts_are_watched_as_they_come_by_rule_and_priority() {
    let dir = tempfile::tempdir().unwrap();
    let (daemon, mut feed, _store) = setup(&dir);
    let asked = Subscribe { priority: Some("warning".into()), ..Subscribe::default() };
    let mut severe = daemon.client().subscribe(asked).unwrap();
    let asked = Subscribe { rules: vec!["sec*".into()], priority: None };
    let mut named = daemon.client().subscribe(asked).unwrap();
    feed.send(&[open("/b"), open("/a"), open("/b")]);
    let found = alert(&mut severe);
    assert_eq!(found["rule"], "first");
    assert_eq!(found, daemon.alert_of("first"), "the same that outputs write");
    for _ in 0..2 {
        assert_eq!(alert(&mut named)["rule"], "second");
    }
    let wrong = Subscribe { priority: Some("loud".into()), ..Subscribe::default() };
    match daemon.client().subscribe(wrong) {
        Err(ControlError::Refused { code: Code::BadRequest, message }) => {
            assert!(message.contains("`loud`"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    // The end of the daemon is the end of what is watched.
    let (code, ..) = daemon.stop();
    assert_eq!(code, Some(0));
    assert_eq!(severe.next_item().unwrap(), None);
}

#[test]
fn a_watcher_that_reads_slowly_delays_nobody_and_is_told_what_it_missed() {
    const EVENTS: u64 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let (daemon, mut feed, _store) = setup(&dir);
    let mut watcher = daemon.client().subscribe(Subscribe::default()).unwrap();
    let slow = thread::spawn(move || {
        let (mut seen, mut missed) = (0, 0);
        while seen + missed < EVENTS {
            match watcher.next_item().unwrap().unwrap() {
                Item::Alert(_) => seen += 1,
                Item::Missed(count) => missed += count,
                _ => {}
            }
            if seen % 100 == 0 {
                thread::sleep(Duration::from_millis(20));
            }
        }
        (seen, missed)
    });
    for _ in 0..EVENTS / 100 {
        feed.send(&vec![open("/a"); 100]);
    }
    while daemon.client().status().unwrap().counters.matches < EVENTS {
        thread::sleep(Duration::from_millis(10));
    }
    let (seen, missed) = slow.join().unwrap();
    assert_eq!(seen + missed, EVENTS, "each was shown or counted");
}

#[test]
fn rules_are_switched_by_name_and_tag_and_stay_so_over_a_reload() {
    let dir = tempfile::tempdir().unwrap();
    let (daemon, mut feed, store) = setup(&dir);
    let enabled = || -> Vec<String> {
        let rules = daemon.client().rules().unwrap().rules;
        rules.into_iter().filter(|rule| rule.enabled).map(|rule| rule.name).collect()
    };
    assert_eq!(enabled(), ["first", "second"]);
    let select = Select { reset: false, switches: vec![off("fir*")] };
    assert!(daemon.client().select(select).unwrap().accepted);
    assert_eq!(enabled(), ["second"]);
    feed.send(&[open("/a"), open("/b")]);
    assert_eq!(daemon.alert()["rule"], "second");
    store.activate(2, &[&(rule("first", "/a") + &rule("second", "/b"))]);
    assert!(daemon.reload(2).accepted);
    assert_eq!(enabled(), ["second"]);
    assert_eq!(daemon.client().rules().unwrap().switched, [off("fir*")]);
    let select = Select { reset: true, switches: vec![off("second")] };
    assert_eq!(daemon.client().select(select).unwrap().rules.enabled, 1);
    assert_eq!(enabled(), ["first"]);
    assert!(daemon.client().select(Select { reset: true, switches: vec![] }).unwrap().accepted);
    assert_eq!(enabled(), ["first", "second"]);
    let nothing = Switch { enable: true, rule: None, tag: None };
    let refused = daemon.client().select(Select { reset: false, switches: vec![nothing] });
    assert!(refused.unwrap_err().to_string().contains("neither a rule nor a tag"));
}

#[test]
fn figures_say_what_matched_and_processes_who_was_busy() {
    let dir = tempfile::tempdir().unwrap();
    let (daemon, mut feed, _store) = setup(&dir);
    assert!(daemon.client().processes().unwrap().processes.is_empty(), "nobody had asked");
    let start = std::time::Instant::now();
    let busiest = loop {
        feed.send(&[open("/a"), open("/a")]);
        thread::sleep(Duration::from_millis(20));
        if let Some(first) = daemon.client().processes().unwrap().processes.first() {
            break first.clone();
        }
        assert!(start.elapsed() < LONG, "nothing was counted");
    };
    assert_eq!(busiest.pid, 10);
    assert!(busiest.events >= 2);
    let figures = daemon.client().metrics().unwrap();
    let matches = figures.family("eyas_sensor_rule_matches_total").unwrap();
    assert_eq!(matches.samples[0].labels, [("rule".into(), "first".into())]);
    let counted = daemon.client().rules().unwrap().rules[0].matches;
    assert!(matches.samples[0].value.as_f64() <= eyas_control::Value::from(counted).as_f64());
}

#[test]
fn the_log_level_is_changed_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (daemon, _feed, store) = setup(&dir);
    assert_eq!(daemon.client().log_level(None).unwrap().level, "info");
    assert_eq!(daemon.client().log_level(Some("error".into())).unwrap().level, "error");
    store.activate(2, &[&rule("quiet", "/a")]);
    assert!(daemon.reload(2).accepted);
    assert_eq!(daemon.client().log_level(Some("debug".into())).unwrap().level, "debug");
    let refused = daemon.client().log_level(Some("loud".into())).unwrap_err().to_string();
    assert!(refused.contains("`loud`"), "{refused}");
    let (_, _, text) = daemon.stop();
    assert!(!text.contains("generation 2"), "{text}");
    assert!(text.contains("log level `debug` asked for by process"), "{text}");
}

#[test]
fn a_socket_of_the_service_manager_is_served_and_left_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("handed.sock");
    let listener = UnixListener::bind(&path).unwrap();
    // Third descriptor and process id are what the protocol asks for.
    let mut child = Command::new("sh")
        .args(["-c", "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"", "sh"])
        .arg(eyasd().get_program())
        .args(["--no-probe", "-o", "store=null", "-o", "control.group=null"])
        .args(["--control-socket", path.to_str().unwrap()])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut client = eyas_control::Client::connect(&path).unwrap();
    assert_eq!(client.status().unwrap().pid, child.id());
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(path.exists(), "the manager still listens there");
}

#[test]
fn any_number_of_watchers_leaves_room_for_a_reload() {
    let dir = tempfile::tempdir().unwrap();
    let (daemon, _feed, _store) = setup(&dir);
    let mut watchers = Vec::new();
    let refused = loop {
        match daemon.client().subscribe(Subscribe::default()) {
            Ok(watcher) => watchers.push(watcher),
            Err(refused) => break refused,
        }
        assert!(watchers.len() < 100, "they are not bounded");
    };
    assert!(refused.to_string().contains("`12` clients watch alerts"), "{refused}");
    assert!(daemon.reload(1).accepted);
}

/// What the socket says to another user without any group.
fn as_other(socket: &Path) -> Option<String> {
    const ASK: &str = r#"
import os, socket, struct, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
try: s.connect(sys.argv[1])
except PermissionError: print('no way in'); sys.exit()
b = b'{"version":1,"id":1,"request":{"hello":{}}}'
try: s.sendall(struct.pack('>I', len(b)) + b)
except BrokenPipeError: pass
n = struct.unpack('>I', s.recv(4))[0]
print(s.recv(n).decode())
"#;
    let name = "who may use the control socket";
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: {name}: needs root to act as another user");
        return None;
    }
    let asked = Command::new("python3").args(["-c", ASK]).arg(socket).output();
    match asked {
        Ok(asked) => Some(String::from_utf8_lossy(&asked.stdout).into_owned()),
        Err(error) => {
            eprintln!("SKIPPED: {name}: python3: {error}");
            None
        }
    }
}

#[test]
fn users_that_are_listed_may_use_the_socket_and_others_may_not() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (users, expected) in
        [("[]", "no way in"), ("[daemon]", "not_permitted"), ("[65534]", "eyasd")]
    {
        let users = format!("control.users={users}");
        let daemon = Daemon::start(dir.path(), &["--no-probe", "-o", "store=null", "-o", &users]);
        let Some(said) = as_other(&daemon.socket) else { return };
        assert!(said.contains(expected), "{users}: {said}");
    }
}

#[test]
fn garbage_costs_its_connection_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (daemon, mut feed, _store) = setup(&dir);
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x00\x00\x00\x02{}",
        b"\x00\x00\x00\x04null",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x30{\"version\":1,\"id\":1,\"request\":{\"subscribe\":7}}  ",
    ] {
        let mut stream = UnixStream::connect(&daemon.socket).unwrap();
        stream.write_all(garbage).unwrap();
    }
    feed.send(&[open("/a")]);
    assert_eq!(daemon.alert()["rule"], "first");
    assert!(daemon.client().hello().is_ok());
}

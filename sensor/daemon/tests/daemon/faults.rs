//! What goes wrong around a daemon: it is killed, flooded, not listened to.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use eyas_abi::{EventBuilder, Header};

use crate::harness::{Daemon, Feed, LONG, open, rule};

/// A process that was there before, with long arguments.
fn process(pid: u32) -> Vec<u8> {
    let header =
        Header { time: 1, start: u64::from(pid), tgid: pid, tid: pid, ..Header::default() };
    EventBuilder::new(430)
        .header(header)
        .skip_to("comm")
        .text(b"flood")
        .bytes(format!("{pid}{}\0", "x".repeat(2000)).as_bytes())
        .build()
}

/// Highest resident memory so far, bytes.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn memory_is_held_under_a_flood_of_processes_and_alerts_and_what_was_shed_is_counted() {
    const PROCESSES: u32 = 60_000;
    const ALERTS: usize = 60_000;
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules.yaml");
    fs::write(&rules, rule("opened", "/a")).unwrap();
    let mut feed = Feed::new(dir.path());
    // Nobody reads this socket.
    let deaf = dir.path().join("deaf");
    let _deaf = std::os::unix::net::UnixDatagram::bind(&deaf).unwrap();
    let settings = [
        "limits.processes=20000".to_owned(),
        "limits.process_bytes=8388608".to_owned(),
        "stdout_output.enabled=false".to_owned(),
        "unix_output.enabled=true".to_owned(),
        format!("unix_output.path={}", deaf.display()),
    ];
    let mut arguments = vec!["--no-probe", "--json", "--replay-records", feed.path()];
    arguments.extend(["-r", rules.to_str().unwrap()]);
    for setting in &settings {
        arguments.extend(["-o", setting]);
    }
    let daemon = Daemon::start(dir.path(), &arguments);
    let sender = thread::spawn(move || {
        for pid in 1000..1000 + PROCESSES {
            feed.send(&[process(pid), open("/a")]);
        }
        feed
    });
    let start = Instant::now();
    let counters = loop {
        let counters = daemon.client().status().unwrap().counters;
        if counters.events >= 2 * u64::from(PROCESSES) {
            break counters;
        }
        assert!(start.elapsed() < 2 * LONG, "{counters:?}");
        thread::sleep(Duration::from_millis(50));
    };
    let _feed = sender.join().unwrap();
    assert_eq!(counters.matches, ALERTS as u64);
    assert!(counters.processes <= 20_000 && counters.processes_evicted > 0, "{counters:?}");
    assert!(counters.alerts_dropped > 0, "{counters:?}");
    let peak = peak(daemon.id());
    assert!(peak < 64 * 1024 * 1024, "{peak} bytes");
}

#[test]
fn a_daemon_that_is_killed_again_and_again_comes_back_each_time() {
    if eyas_probe::capability().is_err() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules.yaml");
    let text = "- rule: child\n  desc: d\n  condition: evt.type = execve and evt.res = SUCCESS and \
                proc.name = sleep and proc.pname = sh and proc.aname[2] exists\n  output: \
                \"%proc.pname %proc.pcmdline\"\n  priority: NOTICE\n";
    fs::write(&rules, text).unwrap();
    // A process that is older than each daemon, and starts a child when told to.
    let mut shell = Command::new("sh")
        .args(["-c", "while read -r line; do sleep 0; done"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..5 {
        let daemon = Daemon::start(dir.path(), &["--json", "-r", rules.to_str().unwrap()]);
        // Its own words come once it knows what there was.
        daemon.client().status().unwrap();
        writeln!(shell.stdin.as_mut().unwrap()).unwrap();
        let fields = daemon.alert_of("child")["output_fields"].clone();
        let command = fields["proc.pcmdline"].as_str().unwrap();
        assert!(command.starts_with("sh -c while read"), "{fields}");
        daemon.signal("KILL");
    }
    drop(shell.stdin.take());
    assert!(shell.wait().unwrap().success());
}

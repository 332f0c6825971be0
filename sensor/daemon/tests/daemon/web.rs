//! Health, metrics and versions over HTTP. What depends on a kernel is in `kernel`.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::harness::{Daemon, Feed, LONG, Store, open, rule};

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn get(port: u16, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn health_metrics_and_versions_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules.yaml");
    fs::write(&rules, rule("it \"opened\"", "/x")).unwrap();
    let mut feed = Feed::new(dir.path());
    let port = free_port();
    let daemon = Daemon::start(
        dir.path(),
        &[
            "--no-probe",
            "--replay-records",
            feed.path(),
            "-r",
            rules.to_str().unwrap(),
            "--json",
            "-o",
            "webserver.enabled=true",
            "-o",
            &format!("webserver.listen_port={port}"),
        ],
    );
    feed.send(&[open("/x"), open("/y")]);
    daemon.alert();
    let start = std::time::Instant::now();
    let (status, text) = loop {
        let found = get(port, "/metrics");
        if found.1.contains("eyas_sensor_events_total 2") {
            break found;
        }
        assert!(start.elapsed() < LONG, "{}", found.1);
    };
    assert_eq!(status, "HTTP/1.1 200 OK");
    for line in [
        "eyas_sensor_rule_matches_total{rule=\"it \\\"opened\\\"\"} 1",
        "eyas_sensor_events_by_type_total{type=\"openat\",code=\"307\"} 2",
        "eyas_sensor_rules_enabled 1",
        "eyas_sensor_alerts_dropped_total{output=\"stdout\"} 0",
        "# TYPE eyas_sensor_events_total counter",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in:\n{text}");
    }
    assert_eq!(get(port, "/healthz").1, "{\"status\":\"ok\"}");
    assert!(get(port, "/readyz").1.contains("\"rules\":1"));
    assert!(get(port, "/versions").1.contains("\"engine_version_semver\":\"0.63.0\""));
    assert!(get(port, "/nothing").0.contains("404"));
    // A client that says nothing holds up neither the others nor the end.
    let _silent = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    assert!(get(port, "/healthz").0.contains("200"));
    assert_eq!(daemon.stop().0, Some(0));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let output = crate::harness::eyasd()
        .args(["--no-probe", "-o", "store=null", "-o", "control.group=null"])
        .args(["--control-socket", socket.to_str().unwrap()])
        .args(["-o", "webserver.enabled=true", "-o", &format!("webserver.listen_port={port}")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("cannot listen on `127.0.0.1:{port}`")), "{text}");
    assert!(text.contains("webserver.listen_port"), "{text}");
}

#[test]
fn a_sensor_is_ready_once_rules_are_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    let port = free_port();
    let listens = format!("webserver.listen_port={port}");
    let mut arguments = vec!["--no-probe", "--store", store.path()];
    arguments.extend(["-o", "webserver.enabled=true", "-o", &listens]);
    let daemon = Daemon::start(dir.path(), &arguments);
    let (status, body) = get(port, "/readyz");
    assert!(status.contains("503") && body.contains("no rule is enabled"), "{status} {body}");
    store.activate(1, &[&rule("first", "/a")]);
    assert!(daemon.reload(1).accepted);
    let (status, body) = get(port, "/readyz");
    assert!(status.contains("200") && body.contains("\"generation\":1"), "{status} {body}");
    // A refused generation leaves it ready.
    store.activate(2, &["- rule: broken\n"]);
    assert!(!daemon.reload(2).accepted);
    assert!(get(port, "/readyz").1.contains("\"generation\":1"));
}

#[test]
fn connections_that_are_held_open_keep_no_health_check_out() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let setting = format!("webserver={{enabled: true, listen_port: {port}}}");
    let _daemon = Daemon::start(dir.path(), &["--no-probe", "-o", "store=null", "-o", &setting]);
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // Some say nothing, some never end.
        if held.len() % 2 == 0 {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nX: ").unwrap();
        }
        held.push(stream);
        if held.len() % 20 == 0 {
            let (status, body) = get(port, "/healthz");
            assert!(status.contains("200"), "{status} {body}");
        }
    }
}

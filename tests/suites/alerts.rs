//! Alerts on their way out of the real programs: a process that posts them, a logger that writes them down.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use eyas_abi::{EventBuilder, Header};
use eyas_tests::{Sensor, eyas, skip};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(1);
const RULE: &str = "- rule: opened\n  desc: d\n  condition: evt.type = openat and fd.name = /x\n  \
                    output: opened \"%fd.name\"\n  priority: WARNING\n";

/// An open, as the kernel would report it.
fn open(path: &str) -> Vec<u8> {
    EventBuilder::new(307)
        .header(Header { time: 5_000_000_000, start: 1, tgid: 10, tid: 10, ..Header::default() })
        .int(3)
        .int(-100)
        .text(path.as_bytes())
        .int(1)
        .int(0)
        .skip_to("eyas_fd_type")
        .bytes(b"f")
        .build()
}

/// A sensor that has seen `count` opens, without a kernel.
fn sensor(folder: &Path, count: usize, settings: &[String]) -> Sensor {
    sensor_with(folder, RULE, &open("/x").repeat(count), settings)
}

/// The same with other rules and records.
fn sensor_with(folder: &Path, text: &str, seen: &[u8], settings: &[String]) -> Sensor {
    let records = folder.join("records");
    fs::write(&records, seen).expect("records");
    let rules = folder.join("rules.yaml");
    fs::write(&rules, text).expect("rules");
    let mut arguments = vec!["--no-probe", "--replay-records", records.to_str().expect("a path")];
    arguments.extend(["-r", rules.to_str().expect("a path"), "-o", "control.group=null"]);
    for setting in settings {
        arguments.extend(["-o", setting]);
    }
    Sensor::start(&folder.join("store"), folder, &arguments)
}

/// A receiver of posted alerts; refuses the first requests with the given answers.
fn receiver(first: &'static [&'static str]) -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let (sender, requests) = channel();
    thread::spawn(move || {
        let mut answers = first.iter().copied();
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let mut reader = BufReader::new(stream);
            while let Some(request) = request(&mut reader) {
                let answer = answers.next().unwrap_or("200 OK");
                let text = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
                if reader.get_mut().write_all(text.as_bytes()).is_err() {
                    break;
                }
                if answer == "200 OK" && sender.send(request).is_err() {
                    return;
                }
            }
        }
    });
    (url, requests)
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().ok()?;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8_lossy(&body).into_owned()))
}

/// Whether a user without rights can run a program where it lies.
fn reached_by_nobody(program: &Path) -> bool {
    use std::os::unix::process::CommandExt as _;
    let (user, nothing) = (65534, Stdio::null);
    let mut command = Command::new(program);
    command.arg("--version").uid(user).gid(user).current_dir("/");
    let ended = command.stdout(nothing()).stderr(nothing()).status();
    ended.is_ok_and(|status| status.success())
}

#[test]
fn alerts_are_posted_by_a_process_without_privileges() {
    let folder = tempfile::tempdir().expect("a folder");
    let (url, requests) = receiver(&["503 Busy", "429 Slow\r\nRetry-After: 0"]);
    let settings = [
        "http_output.enabled=true".to_owned(),
        format!("http_output.url={url}"),
        format!("http_output.program={}", eyas().display()),
    ];
    // The user that posts must be able to reach the program.
    let mut settings = settings.to_vec();
    if rustix::process::geteuid().is_root() && !reached_by_nobody(&eyas()) {
        settings.push("http_output.user=root".into());
    }
    let sensor = sensor(folder.path(), 3, &settings);
    for _ in 0..3 {
        let (head, body) = requests.recv_timeout(PATIENCE).expect("a request");
        assert!(head.starts_with("POST / HTTP/1.1"), "{head}");
        assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
        let alert: Value = serde_json::from_str(&body).expect("an alert");
        assert_eq!((&alert["rule"], &alert["priority"]), (&"opened".into(), &"Warning".into()));
        assert_eq!(alert, sensor.expect_alert("opened", ""));
    }
    assert_eq!(sensor.stop(), 0);
}

/// A receiver that takes a connection and a request, and then does this.
fn bad_receiver(then: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                if request(&mut reader).is_some() {
                    then(reader.into_inner());
                }
            });
        }
    });
    url
}

/// Value of a figure in the text for Prometheus.
fn figure(sensor: &Sensor, name: &str) -> Option<u64> {
    let asked = Command::new(eyas())
        .args(["sensor", "metrics", "--sensor-socket"])
        .arg(sensor.socket())
        .output()
        .expect("eyas runs");
    let text = String::from_utf8_lossy(&asked.stdout).into_owned();
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn receivers_that_hang_close_or_fail_cost_their_own_alerts_and_are_counted() {
    let hangs: fn(TcpStream) = |_stream| thread::sleep(PATIENCE);
    let closes: fn(TcpStream) = drop;
    let fails: fn(TcpStream) = |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
        thread::sleep(PATIENCE);
    };
    let cuts: fn(TcpStream) = |mut stream| drop(stream.write_all(b"HTTP/1.1 200 O"));
    for (what, then) in [("hangs", hangs), ("closes", closes), ("fails", fails), ("cuts", cuts)] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = vec![
            "http_output.enabled=true".to_owned(),
            format!("http_output.url={}", bad_receiver(then)),
            format!("http_output.program={}", eyas().display()),
            "http_output.timeout=1".to_owned(),
            "http_output.give_up_after=1".to_owned(),
        ];
        if rustix::process::geteuid().is_root() {
            settings.push("http_output.user=root".into());
        }
        let sensor = sensor(folder.path(), 2, &settings);
        for _ in 0..2 {
            sensor.expect_alert("opened", "");
        }
        let start = Instant::now();
        let name = "eyas_sensor_alerts_failed_total{output=\"http";
        while figure(&sensor, name) != Some(2) {
            assert!(start.elapsed() < PATIENCE, "{what}: {:?}", figure(&sensor, name));
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(figure(&sensor, "eyas_sensor_alerts_written_total{output=\"stdout"), Some(2));
        assert_eq!(sensor.stop(), 0, "{what}");
    }
}

/// A logger of its own, stopped on drop.
struct Logger(Child);

impl Drop for Logger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_logger_writes_down_what_falcos_readers_expect() {
    let program = Path::new("/usr/sbin/rsyslogd");
    if !program.exists() {
        skip("a_real_logger_writes_down_what_falcos_readers_expect", "rsyslogd is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let configuration = format!(
        "module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"{}\")\n\
         template(name=\"whole\" type=\"string\" string=\"%syslogfacility-text%.%syslogseverity-text% %programname% %msg%\\n\")\n\
         *.* action(type=\"omfile\" file=\"{}\" template=\"whole\" fileOwner=\"root\")\n",
        at("log"),
        at("written")
    );
    fs::write(at("rsyslog.conf"), configuration).expect("a configuration");
    let child = Command::new(program)
        .args(["-n", "-f", &at("rsyslog.conf"), "-i", &at("pid")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("rsyslogd starts");
    let _logger = Logger(child);
    let start = Instant::now();
    while !Path::new(&at("log")).exists() {
        assert!(start.elapsed() < PATIENCE, "rsyslogd does not listen");
        thread::sleep(Duration::from_millis(10));
    }
    let settings = [
        "syslog_output.enabled=true".to_owned(),
        format!("syslog_output.socket={}", at("log")),
        "json_output=false".to_owned(),
    ];
    let sensor = sensor(folder.path(), 1, &settings);
    let text = loop {
        let text = fs::read_to_string(at("written")).unwrap_or_default();
        if text.contains("opened") {
            break text;
        }
        assert!(start.elapsed() < PATIENCE, "nothing was written: {}", sensor.log());
        thread::sleep(Duration::from_millis(10));
    };
    assert!(text.starts_with("user.warning eyasd  "), "{text}");
    assert!(text.contains(": Warning opened \\\"/x\\\""), "{text}");
    assert_eq!(sensor.stop(), 0);
}

/// The journal of this test alone: its `/run` is the folder, in mounts that nobody else sees.
const JOURNAL: &str = "/usr/lib/systemd/systemd-journald";
/// Neither the kernel's log nor its audit is touched, and nothing is left on disk.
const JOURNAL_CONF: &str =
    "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nForwardToSyslog=no\nForwardToWall=no\n";

/// Starts a journal whose sockets and files are below the folder; says aloud why not.
fn journal(name: &str, folder: &Path) -> Option<Logger> {
    if !Path::new(JOURNAL).exists() {
        skip(name, "systemd-journald is not installed");
        return None;
    }
    fs::create_dir_all(folder.join("systemd/journald.conf.d")).expect("a folder");
    fs::write(folder.join("systemd/journald.conf.d/eyas.conf"), JOURNAL_CONF).expect("settings");
    let log = fs::File::create(folder.join("journald.log")).expect("a log");
    let script = "mount --bind \"$1\" /run && exec \"$2\"";
    let child = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
        .args([folder, Path::new(JOURNAL)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("unshare starts");
    let mut journal = Logger(child);
    let start = Instant::now();
    while !folder.join("systemd/journal/socket").exists() {
        if let Ok(Some(status)) = journal.0.try_wait() {
            let said = fs::read_to_string(folder.join("journald.log")).unwrap_or_default();
            skip(name, &format!("no journal can run here ({status}): {}", said.trim()));
            return None;
        }
        assert!(start.elapsed() < PATIENCE, "systemd-journald does not listen");
        thread::sleep(Duration::from_millis(10));
    }
    Some(journal)
}

/// Entries with this value of a field, as the journal's own reader gives them.
fn entries(folder: &Path, field: &str) -> Vec<Value> {
    let read = Command::new("journalctl")
        .args(["--all", "--no-pager", "-o", "json", "-D"])
        .args([&folder.join("log/journal"), Path::new(field)])
        .output()
        .expect("journalctl runs");
    let lines = read.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("an entry")).collect()
}

#[test]
fn a_real_journal_keeps_alerts_with_their_fields_whatever_their_length() {
    let name = "a_real_journal_keeps_alerts_with_their_fields_whatever_their_length";
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let Some(_journal) = journal(name, at) else { return };
    // The second is longer than a datagram may be, and goes as a file in memory.
    let path = format!("/long/{}", "y".repeat(4000));
    let long = path.repeat(100);
    let lengthy = format!(
        "- rule: lengthy\n  desc: d\n  condition: evt.type = openat and fd.name startswith /long\n  \
         output: \"{}\"\n  priority: WARNING\n",
        "%fd.name".repeat(100)
    );
    let rules = format!("{RULE}{lengthy}");
    let seen = [open("/x"), open(&path)].concat().repeat(2);
    let socket = at.join("systemd/journal/socket");
    let settings = [
        "journald_output.enabled=true".to_owned(),
        "journald_output.tag=eyas-test".to_owned(),
        format!("journald_output.socket={}", socket.display()),
    ];
    let sensor = sensor_with(at, &rules, &seen, &settings);
    let start = Instant::now();
    let kept = loop {
        let kept = entries(at, "SYSLOG_IDENTIFIER=eyas-test");
        if kept.len() >= 4 {
            break kept;
        }
        assert!(start.elapsed() < PATIENCE, "{} of 4 entries: {}", kept.len(), sensor.log());
        thread::sleep(Duration::from_millis(100));
    };
    let sender = sensor.pid().to_string();
    for entry in &kept {
        assert_eq!((&entry["PRIORITY"], &entry["_TRANSPORT"]), (&"4".into(), &"journal".into()));
        assert_eq!(entry["_PID"], sender.as_str(), "what the kernel says of the sender");
    }
    // Each is what standard output has, in the same order, whole.
    for entry in &kept {
        let message = entry["MESSAGE"].as_str().expect("text");
        let alert: Value = serde_json::from_str(message).expect("an alert");
        assert_eq!(entry["EYAS_RULE"], alert["rule"]);
        assert_eq!(Some(alert), sensor.next_within(PATIENCE));
        assert!(entry["EYAS_RULE"] == "opened" || message.contains(&long));
    }
    assert_eq!(entries(at, "EYAS_RULE=lengthy").len(), 2, "the field can be searched for");
    assert_eq!(sensor.stop(), 0);
}

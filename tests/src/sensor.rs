//! A running `eyasd` of this build, and the gate that decides whether kernel tests can run here.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::process::{run, wait};
use crate::programs::{eyasd, skip};

/// Longest wait for the daemon to be ready or for an alert to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether eBPF programs may be loaded here; says aloud why not. `scripts/test` counts the lines of tests that ran.
#[allow(clippy::print_stderr, reason = "the ledger of kernel tests")]
pub fn kernel_gate(test: &str) -> bool {
    let answer = run(Command::new(eyasd()).arg("--probe-capability"));
    if answer.code() == 0 {
        eprintln!("KERNEL TEST RAN: {test}");
        return true;
    }
    skip(test, &format!("eBPF is not permitted here: {}", answer.stderr.trim()));
    false
}

/// A daemon with its own control socket, stopped on drop.
pub struct Sensor {
    child: Child,
    socket: PathBuf,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Sensor {
    /// Starts a daemon on a store and waits until its control socket answers.
    pub fn start(store: &Path, folder: &Path, extra: &[&str]) -> Self {
        let store = store.display().to_string();
        let mut arguments = vec!["--store".to_owned(), store];
        arguments.extend(extra.iter().map(|argument| (*argument).to_owned()));
        Self::start_plain(folder, &arguments)
    }

    /// Starts a daemon with these arguments and waits until its control socket answers.
    pub fn start_plain(folder: &Path, extra: &[String]) -> Self {
        let socket = folder.join("control.sock");
        let log = folder.join("eyasd.log");
        let mut child = Command::new(eyasd())
            .arg("--control-socket")
            .arg(&socket)
            .args(["-o", "json_output=true"])
            .args([
                "-o",
                &format!("capture.path_prefix={}", folder.join("captures/eyas").display()),
            ])
            .args(extra)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).expect("log file"))
            .spawn()
            .expect("eyasd starts");
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("piped");
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut sensor = Self { child, socket, lines, log };
        sensor.wait_until_ready();
        sensor
    }

    fn wait_until_ready(&mut self) {
        let start = Instant::now();
        while std::os::unix::net::UnixStream::connect(&self.socket).is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("eyasd ended with {status}:\n{}", self.log());
            }
            assert!(start.elapsed() < PATIENCE, "eyasd is not ready:\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The control socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the daemon wrote to standard error so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The next alert of this rule whose output contains the text, within the time limit.
    #[track_caller]
    pub fn expect_alert(&self, rule: &str, contains: &str) -> Value {
        self.alert_within(rule, contains, PATIENCE)
            .unwrap_or_else(|| panic!("no alert `{rule}` with `{contains}`\n{}", self.log()))
    }

    /// The next alert of this rule whose output contains the text, or `None` after this long.
    pub fn alert_within(&self, rule: &str, contains: &str, patience: Duration) -> Option<Value> {
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let alert: Value = serde_json::from_str(&line)
                        .unwrap_or_else(|error| panic!("{error}: {line}"));
                    if alert["rule"] == rule
                        && alert["output"].as_str().unwrap_or_default().contains(contains)
                    {
                        return Some(alert);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Every alert up to the first one of this rule.
    #[track_caller]
    pub fn alerts_until(&self, rule: &str) -> Vec<Value> {
        let end = Instant::now() + PATIENCE;
        let mut alerts = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no alert `{rule}` after {} others\n{}", alerts.len(), self.log())
            };
            let alert: Value =
                serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if alert["rule"] == rule {
                return alerts;
            }
            alerts.push(alert);
        }
    }

    /// The next alert, or `None` after this long.
    pub fn next_within(&self, patience: Duration) -> Option<Value> {
        let line = self.lines.recv_timeout(patience).ok()?;
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// Asks the daemon to stop and gives its exit code.
    #[track_caller]
    pub fn stop(mut self) -> i32 {
        self.terminate();
        let status = wait(&mut self.child, PATIENCE).expect("eyasd ends after SIGTERM");
        status.code().unwrap_or(-1)
    }

    fn terminate(&self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        self.terminate();
        let _ = wait(&mut self.child, Duration::from_secs(5));
    }
}

//! A running `eyas artifact follow`, its log, and what the kernel says of its process.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::process::wait;
use crate::site::Site;

/// Longest wait for something to happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running follower, killed on drop.
pub struct Following {
    child: Child,
    log: PathBuf,
}

impl Following {
    /// Starts `artifact follow` with the arguments that installing needs on this host.
    pub fn start(site: &Site, arguments: &[&str]) -> Self {
        Self::start_with(site, arguments, |_| {})
    }

    /// The same, after `change` had its way with the command.
    pub fn start_with(site: &Site, arguments: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let mut all = vec!["follow"];
        all.extend(arguments);
        let log = site.path("follow.log");
        let file = fs::File::options().create(true).append(true).open(&log).expect("log");
        let mut command = site.eyas(&site.install_arguments(&all));
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("same file")).stderr(file);
        change(&mut command);
        Self { child: command.spawn().expect("follow starts"), log }
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until something holds.
    #[track_caller]
    pub fn until(&mut self, what: &str, holds: impl Fn() -> bool) {
        self.until_within(PATIENCE, what, holds);
    }

    /// The same with a time limit of its own.
    #[track_caller]
    pub fn until_within(&mut self, patience: Duration, what: &str, holds: impl Fn() -> bool) {
        let start = Instant::now();
        while !holds() {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("follow ended with {status} before {what}:\n{}", self.log());
            }
            assert!(start.elapsed() < patience, "{what} did not happen:\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until it said something.
    #[track_caller]
    pub fn until_said(&mut self, text: &str) {
        let log = self.log.clone();
        self.until(&format!("saying `{text}`"), || {
            fs::read_to_string(&log).unwrap_or_default().contains(text)
        });
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("signal sent");
    }

    /// Sends it a signal and gives its exit code; none when the signal ended it.
    #[track_caller]
    pub fn end(mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        let status = wait(&mut self.child, PATIENCE).expect("follow ends");
        status.code()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Memory that is resident, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).map_or(0, Iterator::count)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body of a page.
pub fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let body = answer.split_once("\r\n\r\n")?.1.to_owned();
    Some((status, body))
}

/// The value of a metric; `line` is everything before the value.
pub fn metric(address: SocketAddr, line: &str) -> Option<f64> {
    let (_, body) = get(address, "/metrics")?;
    let found = body.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    found?.parse().ok()
}

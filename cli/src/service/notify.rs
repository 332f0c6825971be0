//! Talking to the service manager: ready, reloading, stopping, status, and the watchdog.
//!
//! The protocol is one datagram per message to the socket that `NOTIFY_SOCKET` names (see
//! `sd_notify(3)`). Without a service manager all of it does nothing. A message that cannot be sent is
//! dropped: it must never hold up the work.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Longest status line, in bytes.
const MAX_STATUS_BYTES: usize = 512;

/// The service manager, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Manager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Manager {
    /// The one that the environment names.
    pub(crate) fn of_environment() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return Self::default() };
        let microseconds = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        let ours = std::env::var("WATCHDOG_PID").ok().and_then(|text| text.parse().ok());
        let meant = ours.is_none_or(|pid: u32| pid == std::process::id());
        let watchdog = microseconds.filter(|_| meant).map(Duration::from_micros);
        Self::at(&name, watchdog.filter(|limit| !limit.is_zero()))
    }

    fn at(name: &OsStr, watchdog: Option<Duration>) -> Self {
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(hidden) => SocketAddr::from_abstract_name(hidden),
            None => SocketAddr::from_pathname(name),
        };
        let socket = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok((socket, address?))
        });
        Self { socket: socket.ok(), watchdog }
    }

    /// How long the manager waits for a sign of life.
    pub(crate) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The service works.
    pub(crate) fn ready(&self) {
        self.send("READY=1");
    }

    /// The configuration is being read again; `ready` follows.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// The service is about to end.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// A line for `systemctl status`.
    pub(crate) fn status(&self, text: &str) {
        let line = text.lines().next().unwrap_or_default();
        let end =
            (0..=line.len().min(MAX_STATUS_BYTES)).rev().find(|end| line.is_char_boundary(*end));
        self.send(&format!("STATUS={}", &line[..end.unwrap_or(0)]));
    }

    /// A sign of life.
    pub(crate) fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, message: &str) {
        if let Some((socket, address)) = &self.socket {
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_as_the_protocol_has_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        let manager = Manager::at(path.as_os_str(), Some(Duration::from_secs(3)));
        let heard = || {
            let mut buffer = [0; 2048];
            let length = socket.recv(&mut buffer).expect("a message");
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        manager.ready();
        assert_eq!(heard(), "READY=1");
        manager.reloading();
        let reloading = heard();
        let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&reloading);
        assert!(time.parse::<u64>().is_ok_and(|time| time > 0), "{reloading}");
        manager.status("one\ntwo");
        assert_eq!(heard(), "STATUS=one");
        manager.status(&"ü".repeat(MAX_STATUS_BYTES));
        assert_eq!(heard().len(), "STATUS=".len() + MAX_STATUS_BYTES);
        manager.alive();
        assert_eq!(heard(), "WATCHDOG=1");
        manager.stopping();
        assert_eq!(heard(), "STOPPING=1");
        assert_eq!(manager.watchdog(), Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_hidden_name_and_no_manager_at_all() {
        let name = format!("eyas-notify-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("bound");
        Manager::at(OsStr::new(&format!("@{name}")), None).ready();
        let mut buffer = [0; 64];
        assert_eq!(socket.recv(&mut buffer).expect("a message"), 7);
        Manager::default().ready();
        Manager::at(OsStr::new("/nowhere/notify"), None).ready();
    }
}

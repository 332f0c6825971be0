//! The service manager: sockets it hands over at start, and what it is told (`sd_notify(3)`).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::time::{Duration, Instant};

use listenfd::ListenFd;
use rustix::time::{ClockId, clock_gettime};

/// Sends `state` (`READY=1`, `STOPPING=1`) to the socket in `NOTIFY_SOCKET`. Without one, or when it
/// does not listen, nothing happens: a manager that waits will say so itself.
pub(crate) fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let bytes = path.as_encoded_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    if let (Ok(socket), Ok(address)) = (UnixDatagram::unbound(), address) {
        drop(socket.send_to_addr(state.as_bytes(), &address));
    }
}

/// Says that a reload begins; `READY=1` says that it is over (`sd_notify(3)`, `RELOADING=1`).
pub(crate) fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    let microseconds = now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000;
    notify(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
}

/// The control socket that the manager listens on for us: the first stream socket of those it hands
/// over (`sd_listen_fds(3)`).
pub(crate) fn handed_over() -> Option<UnixListener> {
    let mut handed = ListenFd::from_env();
    (0..handed.len()).find_map(|at| handed.take_unix_listener(at).ok().flatten())
}

/// The manager's wish to hear that we are alive (`sd_watchdog_enabled(3)`).
#[derive(Debug)]
pub(crate) struct Watchdog {
    every: Option<Duration>,
    last: Instant,
}

impl Watchdog {
    /// Asks the environment.
    pub(crate) fn of_environment() -> Self {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let limit = number("WATCHDOG_USEC").filter(|limit| ours && *limit > 0);
        Self::new(limit.map(|limit| Duration::from_micros(limit / 2)))
    }

    fn new(every: Option<Duration>) -> Self {
        Self { every, last: Instant::now() }
    }

    /// Tells the manager if it is time to, and if `alive` says so.
    pub(crate) fn look(&mut self, now: Instant, alive: bool) {
        if self.is_due(now) && alive {
            self.last = now;
            notify("WATCHDOG=1");
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.every.is_some_and(|every| now.duration_since(self.last) >= every)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_twice_as_often_as_it_wants_and_nothing_where_it_does_not_ask() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(Some(Duration::from_secs(5)));
        assert!(!watchdog.is_due(start));
        assert!(watchdog.is_due(start + Duration::from_secs(6)));
        watchdog.look(start + Duration::from_secs(6), false);
        assert!(watchdog.is_due(start + Duration::from_secs(6)), "it was not told");
        watchdog.look(start + Duration::from_secs(6), true);
        assert!(!watchdog.is_due(start + Duration::from_secs(7)));
        assert!(!Watchdog::new(None).is_due(start + Duration::from_hours(1)));
    }
}

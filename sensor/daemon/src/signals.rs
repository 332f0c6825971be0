//! Signals as things to read: no handler runs, nothing is interrupted.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What was asked for from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// End: SIGTERM or SIGINT.
    Stop,
    /// Read everything again: SIGHUP.
    Reload,
    /// Open outputs anew, for somebody has moved their files: SIGUSR1.
    Reopen,
    /// Nothing within the time limit.
    Nothing,
}

/// The signals the daemon listens to.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Blocks the signals for this thread and those it starts. Call before starting any.
    pub(crate) fn take() -> io::Result<Self> {
        let set: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1]
            .into_iter()
            .collect();
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// Waits for a signal, or until there is something to read from `other`.
    pub(crate) fn wait(&self, limit: Duration, other: Option<BorrowedFd<'_>>) -> Asked {
        let mut waits: Vec<_> = std::iter::once(self.0.as_fd())
            .chain(other)
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let limit =
            Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
        // An interrupted wait is a short wait.
        let _ = poll(&mut waits, Some(&limit));
        match self.0.read_signal() {
            Ok(Some(signal)) => match signal.ssi_signo {
                number if number == Signal::SIGHUP as u32 => Asked::Reload,
                number if number == Signal::SIGUSR1 as u32 => Asked::Reopen,
                _ => Asked::Stop,
            },
            _ => Asked::Nothing,
        }
    }
}

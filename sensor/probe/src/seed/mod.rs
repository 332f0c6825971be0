//! What was there before the probe: every process, as a record of its own.
//!
//! The records are `task` events with the snapshot mark, so that whoever reads them needs one decoder only.
//! Attach first, then seed, then read the rings: what happens meanwhile is then on top of the snapshot.

mod iter;
mod proc;

use std::fs::File;

use crate::error::ProbeError;

/// What a walk found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seeded {
    /// Processes and threads delivered.
    pub tasks: u64,
    /// Processes that went away, or could not be read, during the walk.
    pub missed: u64,
}

/// Delivers a `task` record for each thread of the host, from /proc. [`crate::Probe::seed`] asks the kernel
/// first. Start times are those of /proc: whole clock ticks, where the kernel's own have nanoseconds.
pub fn seed(deliver: &mut dyn FnMut(&[u8])) -> Result<Seeded, ProbeError> {
    proc::walk(std::path::Path::new("/proc"), deliver)
}

/// A walk that has not begun yet.
#[derive(Debug)]
pub struct Snapshot {
    /// The kernel's iterator, and whether its records carry arguments; without it, /proc.
    kernel: Option<(File, bool)>,
}

impl Snapshot {
    pub(crate) fn of_kernel(file: File, arguments: bool) -> Self {
        Self { kernel: Some((file, arguments)) }
    }

    /// A walk over /proc, for when there is no probe.
    pub fn of_proc() -> Self {
        Self { kernel: None }
    }

    /// Walks, and delivers a `task` record for each thread.
    pub fn deliver(self, deliver: &mut dyn FnMut(&[u8])) -> Result<Seeded, ProbeError> {
        let Some((file, arguments)) = self.kernel else { return seed(deliver) };
        iter::deliver_all(file, arguments, deliver)
            .map_err(|source| ProbeError::Host { path: "task iterator".to_owned(), source })
    }
}

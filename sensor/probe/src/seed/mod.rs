//! What was there before the probe: every process, as a record of its own.
//!
//! The records are `task` events with the snapshot mark, so that whoever reads them needs one decoder only.
//! Attach first, then seed, then read the rings: what happens meanwhile is then on top of the snapshot.

pub(crate) mod iter;
mod proc;

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

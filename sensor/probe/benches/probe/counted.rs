//! Time inside of the probe's programs, as the kernel counts it. It counts nothing else, so load on the machine and what
//! the rest of the kernel takes that time do not blur it; its own two looks at the clock are in it, 20 to 50 ns a run.

use std::os::fd::OwnedFd;

use aya::sys::{Stats, enable_stats};
use eyas_probe::Probe;

use crate::Result;

/// The kernel counts for as long as this lives.
pub(crate) struct Counting {
    _open: OwnedFd,
    before: Vec<(String, f64, u64)>,
}

impl Counting {
    pub(crate) fn start(probe: &Probe) -> Result<Self> {
        Ok(Self { _open: enable_stats(Stats::RunTime)?, before: read(probe) })
    }

    /// Nanoseconds in a program since the start, and how often it ran.
    pub(crate) fn of(&self, probe: &Probe, name: &str) -> (f64, u64) {
        let find = |all: &[(String, f64, u64)]| {
            let found = all.iter().find(|(program, ..)| program == name);
            found.map_or((0.0, 0), |(_, time, runs)| (*time, *runs))
        };
        let (before, after) = (find(&self.before), find(&read(probe)));
        (after.0 - before.0, after.1 - before.1)
    }

    /// The mean of its runs, nanoseconds.
    pub(crate) fn mean(&self, probe: &Probe, name: &str) -> f64 {
        let (time, runs) = self.of(probe, name);
        time / runs.max(1) as f64
    }
}

fn read(probe: &Probe) -> Vec<(String, f64, u64)> {
    let programs = probe.programs().into_iter();
    programs.map(|one| (one.name, one.run_time.as_nanos() as f64, one.runs)).collect()
}

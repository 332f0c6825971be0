//! CPU time of the calling thread, and of whole processes.

use rustix::time::{ClockId, clock_gettime};

/// CPU time of the calling thread, nanoseconds.
pub(crate) fn cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Time that passes, nanoseconds.
pub(crate) fn wall_ns() -> f64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// CPU time of one of `times` calls, nanoseconds.
pub(crate) fn each(times: u32, mut call: impl FnMut()) -> f64 {
    let begin = cpu_ns();
    (0..times).for_each(|_| call());
    (cpu_ns() - begin) / f64::from(times)
}

//! Faults in the real program: killed, out of space, or refused by the disk at every system call that
//! changes one, during install, upgrade, rollback, collection and follow.
//!
//! `strace` injects the faults. By default the points are sampled evenly, so that the suite stays
//! short; `EYAS_FAULTS=all` takes every one of them.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says what it swept"
)]

mod clocks;
mod contention;
mod host;
mod mounts;
mod strace;
mod sweep;

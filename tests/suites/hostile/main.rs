//! What a stranger may send: archives and documents made to crash, to escape, or to cost memory.
//!
//! Each is refused in words by the real program, which stays small; nothing becomes active. The archives come from a
//! server that says whatever the test wants.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod archives;
mod documents;

use eyas_tests::{Finished, Site};

/// Most memory that a refusal may cost, in KiB: the program itself is most of that in a debug build.
const MAX_RESIDENT_KIB: u64 = 128 * 1024;

/// Runs `eyas` with these arguments and its memory watched.
#[track_caller]
fn measured(site: &Site, arguments: &[&str]) -> Finished {
    let (finished, peak) = eyas_tests::process::run_measured(&mut site.eyas(arguments));
    assert!(peak < MAX_RESIDENT_KIB, "{arguments:?} took {peak} KiB");
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    finished
}

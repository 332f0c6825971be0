//! The `eyasd` binary: configuration, start, event loop, rule swap, admin, drain.
#![forbid(unsafe_code)]

fn main() {}

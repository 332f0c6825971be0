//! The `eyas` binary: arguments, settings, wiring, printing, exit codes.
//!
//! What an operation does is left to `eyas-ops`.
#![forbid(unsafe_code)]

fn main() {}

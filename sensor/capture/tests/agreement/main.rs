//! Replay against what two generations of the reference make of the same captures. Inputs are not
//! part of the repository; without them the tests say so and end.
//!
//! - `fields`: values of fields on every event.
//! - `filters`: which events conditions match.
//! - `counts`: which events there are at all.
//! - `passed`: what nobody looks at makes no difference to what somebody does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout
)]

mod counts;
mod fields;
mod filters;
mod inputs;
mod passed;

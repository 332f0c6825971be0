//! What indexes are accepted, what names resolve to, and what plans come out.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a failed unwrap is the finding"
)]

mod editing;
mod plans;
mod properties;
mod reading;
mod requirements;
mod resolving;
mod solving;
mod world;

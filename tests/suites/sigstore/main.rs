//! Signatures end to end against a sigstore instance of our own: signing, installing, attacks, and other programs.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod attacks;
mod cosign;
mod cost;
mod indexes;
mod rechecked;
mod revoked;
mod signing;
mod stage;

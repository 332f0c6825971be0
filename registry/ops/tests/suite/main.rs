//! Operations against a real registry on loopback, with a sensor and a judge that do as they are told.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod downgrades;
mod follow;
mod indexes;
mod install;
mod push;
mod selection;
mod stage;

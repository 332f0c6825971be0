//! The acceptance bars of distribution, one test for each: what must hold when a process is killed, a disk is
//! full, a registry lies or stalls, an archive is hostile, two writers meet.
//!
//! A test is named `bar_NN_…` by its bar; the bars of one concern share a module.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod compatibility;
mod directories;
mod flat;
mod follow;
mod hostile;
mod independent;
mod selection;
mod transport;
mod trust;

//! The real `eyasd`, fed with records through a pipe or by the kernel, spoken to over its socket.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod changes;
mod command;
mod control;
mod faults;
mod harness;
mod kernel;
mod outputs;
mod recordings;
mod reload;
mod web;

//! The client against real registries, against one that misbehaves, and the embedded registry
//! against real clients.
//!
//! Everything runs on loopback and in temporary directories. What needs a program that is not there
//! says so and is skipped.
#![forbid(unsafe_code)]

mod roundtrip;
mod stage;

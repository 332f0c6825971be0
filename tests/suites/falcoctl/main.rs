//! The same command lines with our program linked as `falcoctl` and, when `FALCOCTL` names it, with the program
//! that it stands in for: tables, messages, files and state must be the same.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod commands;
mod following;
mod helm;
mod installing;
mod listing;
mod world;

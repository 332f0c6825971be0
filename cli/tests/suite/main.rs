//! The program as its users meet it: streams, exit codes, documents, settings.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod documents;
mod messages;
mod plans;
mod program;
mod rules;
mod tls;

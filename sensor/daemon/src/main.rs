//! The `eyasd` binary: configuration, start, event loop, rule swap, control, drain.
//!
//! [`start`] puts the parts together in their order; [`engine`] owns what is in force and changes
//! it; [`events`] is the thread that reads the kernel and judges. Nothing here speaks to a registry.
#![forbid(unsafe_code)]

mod args;
mod busy;
mod config;
mod containers;
mod engine;
mod error;
mod events;
mod figures;
mod generation;
mod host;
mod log;
mod losses;
mod notify;
mod outages;
mod privilege;
mod recordings;
mod signals;
mod snapshot;
mod start;
mod stats;
mod taps;
mod usage;
mod watch;
mod web;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match start::run(&args::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error(&error.to_string());
            if let Some(hint) = error.hint() {
                log::hint(&hint);
            }
            ExitCode::from(error.exit_code())
        }
    }
}

//! `eyas rules …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Check rule files.
#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// Compile rule files as the sensor would and report every problem
    Check(CheckArgs),
}

/// Arguments of `rules check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Rule files, in the order in which they are loaded; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Treat warnings as errors
    #[arg(long)]
    pub(crate) strict: bool,
}

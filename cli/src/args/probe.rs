//! `eyas probe …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Ask this machine what probe it can run.
#[derive(Debug, Subcommand)]
pub(crate) enum Probe {
    /// Say what this kernel supports, what would run here, and why
    Check(ProbeCheckArgs),
}

/// Arguments of `probe check`.
#[derive(Debug, Args)]
pub(crate) struct ProbeCheckArgs {
    /// Probe object to try in place of the one built into this program
    #[arg(value_name = "FILE")]
    pub(crate) object: Option<PathBuf>,
}

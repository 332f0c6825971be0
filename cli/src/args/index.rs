//! `eyas index …`.

use clap::{Args, Subcommand};

use super::{IndexArgs, TransportArgs};

/// Manage the indexes that turn names into references.
#[derive(Debug, Subcommand)]
pub(crate) enum Index {
    /// Add an index: fetch it, check it, remember it
    Add(IndexAddArgs),
    /// List the indexes that are configured or were added
    #[command(visible_alias = "ls")]
    List(IndexListArgs),
    /// Fetch indexes again
    Update(IndexUpdateArgs),
    /// Forget indexes that were added
    #[command(visible_alias = "rm")]
    Remove(IndexNamesArgs),
}

/// Arguments of `index add`.
#[derive(Debug, Args)]
pub(crate) struct IndexAddArgs {
    /// Name to give it: lower-case letters, digits, `-`, `_` and `.`
    pub(crate) name: String,
    /// Where it is: an `https://`, `http://` or `file://` address
    pub(crate) url: String,
    /// How it is fetched: https, http or file [default: as the address says]
    pub(crate) backend: Option<String>,
    /// Say what would change and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    #[command(flatten)]
    pub(crate) indexes: IndexArgs,
}

/// Arguments of `index list`.
#[derive(Debug, Args)]
pub(crate) struct IndexListArgs {
    #[command(flatten)]
    pub(crate) indexes: IndexArgs,
}

/// Arguments of `index update`.
#[derive(Debug, Args)]
pub(crate) struct IndexUpdateArgs {
    /// Names of indexes
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Say what would change and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    #[command(flatten)]
    pub(crate) indexes: IndexArgs,
}

/// Arguments of `index remove`.
#[derive(Debug, Args)]
pub(crate) struct IndexNamesArgs {
    /// Names of indexes
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Say what would change and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) indexes: IndexArgs,
}

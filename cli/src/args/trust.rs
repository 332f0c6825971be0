//! `eyas trust …`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::{IndexArgs, TransportArgs, TrustArgs};

/// Show, extend, test and refresh what is trusted.
#[derive(Debug, Subcommand)]
pub(crate) enum Trust {
    /// Show rules, trusted roots with their age, and rules about indexes
    Show(TrustShowArgs),
    /// Add a rule in front of all others, or a trusted root
    Add(TrustAddArgs),
    /// Check the policy, and what it decides about references
    Test(TrustTestArgs),
    /// Fetch current trusted roots through TUF; what is kept stays when that fails
    Refresh(TrustRefreshArgs),
}

/// Arguments of `trust show`.
#[derive(Debug, Args)]
pub(crate) struct TrustShowArgs {
    /// Show only the rule that decides about this reference
    #[arg(value_name = "REF")]
    pub(crate) reference: Option<String>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

/// Arguments of `trust add`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["key", "identity", "trusted_root", "tuf_url"]))]
pub(crate) struct TrustAddArgs {
    /// Pattern of references, such as `ghcr.io/org/**`; none with a trusted root
    #[arg(value_name = "PATTERN", required_unless_present_any = ["trusted_root", "tuf_url"])]
    pub(crate) pattern: Option<String>,
    /// Accept signatures by this public key (PEM); its fingerprint is pinned
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Accept keyless signatures by this identity, compared as a whole
    #[arg(long, value_name = "IDENTITY", requires = "issuer")]
    pub(crate) identity: Option<String>,
    /// Issuer of the identity, compared as a whole
    #[arg(long, value_name = "URL", requires = "identity")]
    pub(crate) issuer: Option<String>,
    /// Trust this `trusted_root.json`
    #[arg(long, value_name = "FILE", requires = "name")]
    pub(crate) trusted_root: Option<PathBuf>,
    /// Trust the root that this TUF repository distributes
    #[arg(long, value_name = "URL", requires = "name", requires = "tuf_root")]
    pub(crate) tuf_url: Option<String>,
    /// First `root.json` of that repository, obtained by other means
    #[arg(long, value_name = "FILE", requires = "tuf_url")]
    pub(crate) tuf_root: Option<PathBuf>,
    /// Name of the trusted root: letters, digits, `-` and `_`
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Policy file [default: trust.yaml beside the configuration file] [env: EYAS_POLICY]
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Say what would be added and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `trust test`.
#[derive(Debug, Args)]
pub(crate) struct TrustTestArgs {
    /// Names or references to decide about, as an install would; none checks the policy only
    #[arg(value_name = "REF")]
    pub(crate) references: Vec<String>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) indexes: IndexArgs,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
}

/// Arguments of `trust refresh`.
#[derive(Debug, Args)]
pub(crate) struct TrustRefreshArgs {
    /// Names of trusted roots [default: all that come from TUF]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Say what a refresh would bring and stop; what is kept stays as it is
    #[arg(long)]
    pub(crate) dry_run: bool,
}

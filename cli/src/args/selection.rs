//! Arguments of `eyas artifact lock|uninstall|pin|unpin|diff` and of the lock file.

use std::path::PathBuf;

use clap::Args;

use super::{FlatArgs, IndexArgs, InstallFlags, ReloadArgs, TransportArgs, TrustArgs};

/// Installing from a lock file.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Lock file")]
pub(crate) struct LockedArgs {
    /// Install exactly what the lock file has, to the digest; without REF all of it. It is verified
    /// against the policy as always
    #[arg(long)]
    pub(crate) locked: bool,
    /// Lock file [default: eyas.lock]
    #[arg(long, value_name = "FILE", requires = "locked")]
    pub(crate) lock_file: Option<PathBuf>,
}

/// Arguments of `artifact lock`.
#[derive(Debug, Args)]
pub(crate) struct LockArgs {
    /// What to lock, with everything it needs, as an empty host would install it
    /// [default: artifact.install.refs of the configuration]
    #[arg(value_name = "REF", conflicts_with = "installed")]
    pub(crate) references: Vec<String>,
    /// Lock what is installed here instead
    #[arg(long)]
    pub(crate) installed: bool,
    /// File to write
    #[arg(long, value_name = "FILE", default_value = "eyas.lock")]
    pub(crate) lock_file: PathBuf,
    /// Say what would be locked and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) flags: InstallFlags,
}

/// Arguments of `artifact uninstall`.
#[derive(Debug, Args)]
pub(crate) struct UninstallArgs {
    /// Names of installed artifacts
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Also remove what cannot do without them
    #[arg(long)]
    pub(crate) cascade: bool,
    /// Say what would be removed and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) flat: FlatArgs,
    #[command(flatten)]
    pub(crate) reload: ReloadArgs,
}

/// Arguments of `artifact pin` and `artifact unpin`.
#[derive(Debug, Args)]
pub(crate) struct PinArgs {
    /// Names of installed artifacts
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Say what would change and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `artifact diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// A generation (its number), a name or a reference [default: everything that is installed]
    #[arg(value_name = "A")]
    pub(crate) from: Option<String>,
    /// What to compare it with [default: the active generation for a number, what the registry has
    /// now for a name that is installed]
    #[arg(value_name = "B")]
    pub(crate) to: Option<String>,
    /// Only say how much differs
    #[arg(long)]
    pub(crate) summary: bool,
    /// Platform to choose where there are several, `os/architecture` [default: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    #[command(flatten)]
    pub(crate) indexes: IndexArgs,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

//! `eyas artifact …`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{
    DiffArgs, FlatArgs, IndexArgs, LockArgs, LockedArgs, PinArgs, ReloadArgs, SocketArgs,
    TransportArgs, TrustArgs, UninstallArgs, durations::parse_interval, durations::parse_jitter,
};

/// Install, follow and inspect artifacts.
#[derive(Debug, Subcommand)]
pub(crate) enum Artifact {
    /// Install artifacts: resolve, pin, verify, validate, activate, tell the sensor
    Install(InstallArgs),
    /// Write a lock file: exact digests, to be committed and installed from with `--locked`
    Lock(LockArgs),
    /// Remove installed artifacts
    Uninstall(UninstallArgs),
    /// Hold installed artifacts at their version: no install and no follow moves them
    Pin(PinArgs),
    /// Let pinned artifacts move again
    Unpin(PinArgs),
    /// Say what differs: rules, macros and lists by name and key, other files by size
    Diff(DiffArgs),
    /// Keep artifacts up to date: check again and again, install what is new
    Follow(FollowArgs),
    /// List the artifacts of the indexes, or those installed
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Search the indexes by keyword
    Search(SearchArgs),
    /// List the tags of artifacts
    Info(InfoArgs),
    /// Print the manifest of an artifact as the registry serves it
    Manifest(ManifestArgs),
    /// Print the configuration document of an artifact as the registry serves it
    Config(ConfigArgs),
    /// Verify an artifact against the policy without installing it
    Verify(VerifyArgs),
    /// Say what is installed, who signed it, and how the last check went
    Status(StatusArgs),
    /// List the generations that are kept
    History(HistoryArgs),
    /// Go back to an earlier generation
    Rollback(RollbackArgs),
    /// Restore installed files that were changed or deleted
    Repair(RepairArgs),
    /// Remove old generations and what only they need
    Gc(GcArgs),
}

/// Flags that install and follow share.
#[derive(Debug, Clone, Args)]
pub(crate) struct InstallFlags {
    /// Kinds that may be installed [default: all] [env: EYAS_ARTIFACT_ALLOWEDTYPES]
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) allowed_types: Vec<String>,
    /// Platform to install for, `os/architecture` [default: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// Also install what the artifacts depend on [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true)]
    pub(crate) resolve_deps: Option<bool>,
    /// Accept an older version, or one signed earlier, than the one that is active
    #[arg(long)]
    pub(crate) allow_downgrade: bool,
    /// Accept an artifact from another repository than the active one of the same name
    #[arg(long)]
    pub(crate) allow_other_repository: bool,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    #[command(flatten)]
    pub(crate) indexes: IndexArgs,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) flat: FlatArgs,
    #[command(flatten)]
    pub(crate) reload: ReloadArgs,
}

/// Arguments of `artifact install`.
#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// Names of an index (`NAME[:TAG|:RANGE|@DIGEST]`) or references (`HOST/PATH[:TAG|:RANGE|@DIGEST]`);
    /// a range such as `^1.4` or `>=1.2,<2` takes the newest version in it that fits
    /// [default: artifact.install.refs of the configuration]
    #[arg(value_name = "REF")]
    pub(crate) references: Vec<String>,
    /// Say what would change and stop before anything is fetched or written
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) flags: InstallFlags,
    // Last, because its heading stands over whatever comes behind it.
    #[command(flatten)]
    pub(crate) locked: LockedArgs,
}

/// When the first check of `artifact follow` happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StartupBehavior {
    /// At once
    Immediate,
    /// After a short random delay, so that a fleet does not ask all at the same moment
    Jitter,
    /// After one interval
    Skip,
}

/// Arguments of `artifact follow`.
#[derive(Debug, Clone, Args)]
pub(crate) struct FollowArgs {
    /// Names of an index or references, with a tag or a range such as `demo:^1.4`, of which the newest
    /// version that fits is followed [default: artifact.follow.refs of the configuration]
    #[arg(value_name = "REF")]
    pub(crate) references: Vec<String>,
    /// Time from the end of one check to the next, such as `30s` or `6h`
    /// [env: EYAS_ARTIFACT_FOLLOW_EVERY] [default: 168h]
    #[arg(short, long, value_name = "DURATION", value_parser = parse_interval)]
    pub(crate) every: Option<Duration>,
    /// Moments of checks instead: five fields (minute hour day month weekday), `@daily` or
    /// `@every 1h`; local time, or that of a `CRON_TZ=Area/City` in front
    /// [env: EYAS_ARTIFACT_FOLLOW_CRON]
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "every")]
    pub(crate) cron: Option<String>,
    /// When the first check happens [default: immediate]
    #[arg(long, value_enum, value_name = "WHEN")]
    pub(crate) startup_behavior: Option<StartupBehavior>,
    /// Longest random delay added to each later check [default: a tenth of the interval, at most
    /// 5m; 30s with --cron]
    #[arg(long, value_name = "DURATION", value_parser = parse_jitter)]
    pub(crate) jitter: Option<Duration>,
    /// Check once and leave; the exit code says how it went
    #[arg(long)]
    pub(crate) once: bool,
    /// Check once, say what would change and leave; nothing is fetched or written
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Serve /healthz, /readyz and /metrics there, such as 127.0.0.1:8766 [default: nowhere]
    /// [env: EYAS_ARTIFACT_FOLLOW_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Versions document of the engine the artifacts are for, an address or a file; never waited for
    /// at start [env: EYAS_ARTIFACT_FOLLOW_FALCOVERSIONS] [default: the sensor, else what is built in]
    #[arg(long, value_name = "URL|FILE")]
    pub(crate) falco_versions: Option<String>,
    /// Longest time for reading --falco-versions [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = parse_interval)]
    pub(crate) timeout: Option<Duration>,
    /// Accepted and without effect: files are completed where they belong, so that nothing is copied
    #[arg(long, value_name = "DIR")]
    pub(crate) tmp_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) flags: InstallFlags,
}

/// Arguments of `artifact list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only artifacts of this kind: rulesfile, plugin, asset or probe
    #[arg(long = "type", value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// Only artifacts of this index
    #[arg(long, value_name = "NAME")]
    pub(crate) index: Option<String>,
    /// List what is installed instead
    #[arg(long, conflicts_with = "index")]
    pub(crate) installed: bool,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    #[command(flatten)]
    pub(crate) indexes: IndexArgs,
}

/// Arguments of `artifact search`.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Words to look for in names and keywords
    #[arg(required = true, value_name = "KEYWORD")]
    pub(crate) keywords: Vec<String>,
    /// How alike a name must be, above 0 and up to 1
    #[arg(long, value_name = "SCORE", default_value_t = 0.65, value_parser = parse_score)]
    pub(crate) min_score: f64,
    /// Only artifacts of this kind: rulesfile, plugin, asset or probe
    #[arg(long = "type", value_name = "KIND")]
    pub(crate) kind: Option<String>,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    #[command(flatten)]
    pub(crate) indexes: IndexArgs,
}

/// Arguments of `artifact info`.
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// Names of an index or references
    #[arg(required = true, value_name = "REF")]
    pub(crate) references: Vec<String>,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    #[command(flatten)]
    pub(crate) indexes: IndexArgs,
}

/// Arguments of `artifact manifest`.
#[derive(Debug, Args)]
pub(crate) struct ManifestArgs {
    /// Name of an index or reference
    #[arg(value_name = "REF")]
    pub(crate) reference: String,
    /// Platform to choose where there are several, `os/architecture` [default: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    #[command(flatten)]
    pub(crate) indexes: IndexArgs,
}

/// Arguments of `artifact config`: the same as those of `artifact manifest`.
pub(crate) type ConfigArgs = ManifestArgs;

/// Arguments of `artifact verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Name of an index or reference
    #[arg(value_name = "REF")]
    pub(crate) reference: String,
    /// Print each step: what was checked, against what
    #[arg(long)]
    pub(crate) explain: bool,
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

/// Arguments of `artifact status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Trust policy that says what is revoked, and what is accepted [default: trust.yaml beside the
    /// configuration file] [env: EYAS_POLICY]
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

/// Arguments of `artifact history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {}

/// Arguments of `artifact rollback`.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// Generation to go back to [default: the one before the active one]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) to: Option<u64>,
    /// Say what would change and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) flat: FlatArgs,
    #[command(flatten)]
    pub(crate) reload: ReloadArgs,
}

/// Arguments of `artifact repair`.
#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// Say what is wrong and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) flat: FlatArgs,
}

/// Arguments of `artifact gc`.
#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Generations to keep beside the active one
    #[arg(long, value_name = "NUMBER", default_value_t = eyas_store::DEFAULT_KEPT_GENERATIONS)]
    pub(crate) keep: usize,
    /// Say what would be removed and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
}

fn parse_score(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(score) if score > 0.0 && score <= 1.0 => Ok(score),
        _ => Err("expected a number above 0 and up to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_score;

    #[test]
    fn a_score_is_above_zero_and_up_to_one() {
        assert_eq!(parse_score("1"), Ok(1.0));
        assert_eq!(parse_score("0.001"), Ok(0.001));
        for text in ["0", "-1", "1.1", "NaN", "much"] {
            assert!(parse_score(text).is_err(), "{text}");
        }
    }
}

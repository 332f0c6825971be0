//! What can be typed: the argument tree and its help texts.
//!
//! Owns names, shapes and help of commands and flags. What a flag means together with the
//! environment and the configuration file is left to `settings`; doing anything is left to
//! `commands`.

mod artifact;
mod auth;
mod capture;
mod driver;
mod durations;
mod form;
mod index;
mod probe;
mod registry;
mod rules;
mod selection;
mod sensor;
mod sign;
mod sizes;
mod tls;
mod trust;
mod version;

pub(crate) use self::artifact::{
    Artifact, FollowArgs, GcArgs, InfoArgs, InstallArgs, InstallFlags, ListArgs, ManifestArgs,
    RepairArgs, RollbackArgs, SearchArgs, StartupBehavior, StatusArgs, VerifyArgs,
};
pub(crate) use self::auth::{Auth, BasicArgs, CloudArgs, LogoutArgs, OauthArgs};
pub(crate) use self::capture::{Capture, CaptureInfoArgs, CaptureReadArgs};
pub(crate) use self::driver::{
    Driver, DriverArgs, DriverCleanupArgs, DriverConfigArgs, DriverFlags, DriverInstallArgs,
    UnloadArgs,
};
pub(crate) use self::durations::{parse_interval, parse_jitter};
pub(crate) use self::form::{asked_format, command, read};
pub(crate) use self::index::{Index, IndexAddArgs, IndexListArgs, IndexNamesArgs, IndexUpdateArgs};
pub(crate) use self::probe::{Probe, ProbeCheckArgs};
pub(crate) use self::registry::{KeygenArgs, PullArgs, PushArgs, Registry, ServeArgs, SignForm};
pub(crate) use self::rules::{
    CheckArgs, ExplainArgs, FmtArgs, ReplArgs, Rules, RulesDiffArgs, RulesListArgs, RulesTestArgs,
};
pub(crate) use self::selection::{DiffArgs, LockArgs, LockedArgs, PinArgs, UninstallArgs};
pub(crate) use self::sensor::{
    RulesOrder, Sensor, SensorRecordArgs, SensorRulesArgs, SensorTailArgs, SensorTopArgs,
    SensorValidateArgs,
};
pub(crate) use self::sign::{AttestArgs, ServiceArgs, SignArgs, SignerArgs};
pub(crate) use self::tls::{KeyAlgorithm, Tls, TlsInstallArgs};
pub(crate) use self::trust::{Trust, TrustAddArgs, TrustRefreshArgs, TrustShowArgs, TrustTestArgs};
pub(crate) use self::version::{VersionArgs, VersionFormat};

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Text closing `eyas --help`.
const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 network or registry, 5 verification,
6 validation, 7 sensor refused or unreachable, 8 storage.
Data goes to standard output, everything else to standard error.";

/// Installs, verifies and follows detection rules and probes, and tells the sensor about them.
#[derive(Debug, Parser)]
#[command(name = "eyas", version, disable_help_subcommand = false, after_help = AFTER_HELP)]
#[command(propagate_version = false, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Configuration file [default: /etc/eyas/eyas.yaml as root, else
    /// $XDG_CONFIG_HOME/eyas/eyas.yaml; never written implicitly] [env: EYAS_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Form of the data on standard output [env: EYAS_OUTPUT]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<Output>,
    /// Form of the messages on standard error [env: EYAS_LOG_FORMAT]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// Least severe message that is shown [env: EYAS_LOG_LEVEL] [default: info]
    #[arg(long, global = true, value_enum, value_name = "LEVEL")]
    pub(crate) log_level: Option<LogLevel>,
    /// Same as --log-level debug
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Same as --log-format json
    #[arg(long, global = true, hide = true)]
    pub(crate) disable_styling: bool,
    /// Directory that holds blobs and generations [default: /var/lib/eyas as root, else
    /// $XDG_STATE_HOME/eyas] [env: EYAS_STORE]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// The same; called as falcoctl, the directory that holds the store in `.eyas` and the state files
    /// [env: EYAS_STATE_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// Form of data on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Tables and sentences for people
    Text,
    /// One JSON document with a stable schema
    Json,
}

/// Form of messages on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Short messages, coloured on a terminal
    Color,
    /// One line per message with time and level
    Text,
    /// One JSON object per line
    Json,
}

/// Severity of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum LogLevel {
    /// What stopped a command
    Error,
    /// What a person should look at
    Warn,
    /// What was done
    Info,
    /// How it was done
    Debug,
    /// Everything
    Trace,
}

/// The first word of a command line.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Install, follow and inspect artifacts
    #[command(subcommand)]
    Artifact(Artifact),
    /// Manage the indexes that turn names into references
    #[command(subcommand)]
    Index(Index),
    /// Push to, pull from and serve registries
    #[command(subcommand)]
    Registry(Registry),
    /// Choose, install and remove Falco's kernel driver
    Driver(Box<DriverArgs>),
    /// Check, explain, test and lay out rules files
    #[command(subcommand)]
    Rules(Rules),
    /// Read recorded events
    #[command(subcommand)]
    Capture(Capture),
    /// Talk to the running sensor
    #[command(subcommand)]
    Sensor(Sensor),
    /// Ask this machine what probe it can run
    #[command(subcommand)]
    Probe(Probe),
    /// Make certificates for mutual TLS
    #[command(subcommand)]
    Tls(Tls),
    /// Sign an artifact that is already in a registry, or a file
    Sign(SignArgs),
    /// Attach a signed statement to an artifact: provenance, a bill of materials, test results
    Attest(AttestArgs),
    /// Show, extend, test and refresh what is trusted
    #[command(subcommand)]
    Trust(Trust),
    /// Print the version
    Version(VersionArgs),
    /// Print a completion script for a shell
    Completion {
        /// Shell to complete for
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write the manual pages, one per command
    Man {
        /// Directory to write them to; it is made if it is not there
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

impl Command {
    /// The section of the configuration that is for this command.
    pub(crate) fn section(&self) -> &'static str {
        match self {
            Self::Artifact(Artifact::Follow(_)) => "follow",
            _ => "install",
        }
    }
}

/// How registries are reached, for commands that reach one.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Transport")]
pub(crate) struct TransportArgs {
    /// Speak HTTP without TLS to every registry of this run [env: EYAS_PLAIN_HTTP]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true)]
    pub(crate) plain_http: Option<bool>,
    /// Additional certificate authorities (PEM) for registries and indexes; repeatable
    #[arg(long = "ca-file", value_name = "FILE")]
    pub(crate) ca_files: Vec<PathBuf>,
    /// Accept any certificate of any registry; only for trying things out
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// Which indexes turn names into references.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Indexes")]
pub(crate) struct IndexArgs {
    /// Use this index file instead of the configured indexes; repeatable
    #[arg(long = "index-file", value_name = "FILE")]
    pub(crate) index_files: Vec<PathBuf>,
    /// Directory for cached copies of indexes [default: /var/cache/eyas as root, else
    /// $XDG_CACHE_HOME/eyas] [env: EYAS_CACHE_DIR]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
}

/// What must hold for an artifact before it is used.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct TrustArgs {
    /// Trust policy that artifacts must satisfy [default: trust.yaml beside the configuration
    /// file] [env: EYAS_POLICY]
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Trust what the signature sections of the indexes say, for artifacts that no policy names
    #[arg(long, conflicts_with = "no_verify")]
    pub(crate) trust_index: bool,
    /// Accept artifacts without verifying them; said aloud and recorded in the generation
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true)]
    pub(crate) no_verify: Option<bool>,
}

/// Directories in which another engine, such as Falco, looks for files. Those that an earlier command
/// named are remembered.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Directories")]
pub(crate) struct FlatArgs {
    /// Also write rules files into this directory [env: EYAS_ARTIFACT_INSTALL_RULESFILESDIR]
    #[arg(long, value_name = "DIR")]
    pub(crate) rulesfiles_dir: Option<PathBuf>,
    /// Also write plugins into this directory [env: EYAS_ARTIFACT_INSTALL_PLUGINSDIR]
    #[arg(long, value_name = "DIR")]
    pub(crate) plugins_dir: Option<PathBuf>,
    /// Also write assets into this directory [env: EYAS_ARTIFACT_INSTALL_ASSETSDIR]
    #[arg(long, value_name = "DIR")]
    pub(crate) assets_dir: Option<PathBuf>,
    /// Take over files in the way that no artifact owns, whatever they are
    #[arg(long)]
    pub(crate) adopt: bool,
}

/// How the sensor is reached.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Sensor")]
pub(crate) struct SocketArgs {
    /// Control socket of the sensor [default: /run/eyas/control.sock] [env: EYAS_SENSOR_SOCKET]
    #[arg(long, value_name = "PATH")]
    pub(crate) sensor_socket: Option<PathBuf>,
}

/// Whether the sensor is told of what becomes active, and what its answer counts for.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Sensor")]
pub(crate) struct ReloadArgs {
    /// Fail when no sensor confirms the new generation, instead of saying so
    #[arg(long)]
    pub(crate) require_sensor: bool,
    /// Do not tell the sensor; it reads the active generation when it starts
    #[arg(long, conflicts_with = "require_sensor")]
    pub(crate) no_reload: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    /// Commands that read.
    const READ_ONLY: &[&str] = &[
        "artifact diff",
        "artifact list",
        "artifact search",
        "artifact info",
        "artifact manifest",
        "artifact config",
        "artifact verify",
        "artifact status",
        "artifact history",
        "index list",
        "driver printenv",
        "rules check",
        "rules explain",
        "rules list",
        "rules diff",
        "rules test",
        "rules eval",
        "rules repl",
        "capture read",
        "capture info",
        "sensor status",
        "sensor tail",
        "sensor top",
        "sensor metrics",
        "sensor validate",
        "probe check",
        "trust show",
        "trust test",
        "version",
        "completion",
    ];

    /// Commands that do something and have no plan: they serve until they are told to end, change what a running
    /// sensor has in memory and nothing that stays, or write what can be written again (`rules fmt` has `--check`).
    const UNPLANNED: &[&str] = &[
        "registry serve",
        "sensor reload",
        "sensor rules",
        "sensor loglevel",
        "sensor post-alerts",
        "sensor record",
        "rules fmt",
        "man",
    ];

    #[test]
    fn each_changing_command_has_a_plan() {
        use clap::CommandFactory as _;
        fn walk(command: &clap::Command, path: &str, found: &mut Vec<(String, bool)>) {
            let below: Vec<_> = command.get_subcommands().collect();
            if below.is_empty() {
                let planned = command.get_arguments().any(|argument| {
                    argument.get_id() == "dry_run" && argument.get_long() == Some("dry-run")
                });
                found.push((path.to_owned(), planned));
            }
            for one in below {
                let path = format!("{path} {}", one.get_name());
                walk(one, path.trim_start(), found);
            }
        }
        let mut found = Vec::new();
        walk(&Cli::command(), "", &mut found);
        for (path, planned) in &found {
            let named = [READ_ONLY, UNPLANNED].concat().contains(&path.as_str());
            assert!(*planned != named, "`{path}` needs `--dry-run` or a place in a list, not both");
        }
        for path in [READ_ONLY, UNPLANNED].concat() {
            assert!(found.iter().any(|(known, _)| known == path), "`{path}` is no command");
        }
    }

    #[test]
    fn each_command_and_flag_has_help() {
        fn walk(command: &clap::Command, missing: &mut Vec<String>) {
            for argument in command.get_arguments() {
                if argument.get_help().is_none() && !argument.is_hide_set() {
                    missing.push(format!("{} {}", command.get_name(), argument.get_id()));
                }
            }
            for below in command.get_subcommands() {
                if below.get_about().is_none() {
                    missing.push(below.get_name().to_owned());
                }
                walk(below, missing);
            }
        }
        use clap::CommandFactory as _;
        let mut missing = Vec::new();
        walk(&Cli::command(), &mut missing);
        assert_eq!(missing, Vec::<String>::new());
    }
}

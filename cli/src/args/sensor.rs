//! `eyas sensor …`.

use std::path::PathBuf;

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::SocketArgs;
use super::durations::parse_interval;
use super::sizes::parse_size;

/// Text closing `eyas sensor record --help`.
const RECORD_HELP: &str = "\
Examples:
  eyas sensor record                                    30 seconds of everything; Ctrl-C ends it earlier
  eyas sensor record --duration 5m --size 50M --filter 'proc.name=nginx'
  eyas sensor record -w incident.scap
  eyas sensor record --background && … && eyas sensor record --stop
The path of the file is printed when it is complete; `eyas capture read FILE` shows what is in it. The
sensor writes it, into the directory of `capture.path_prefix` or one of `capture.directories` in
eyasd.yaml. Meanwhile the kernel is asked for all that can match, also where no rule looks at it.";

/// Talk to the running sensor.
#[derive(Debug, Subcommand)]
pub(crate) enum Sensor {
    /// Say what the sensor runs
    Status(SensorArgs),
    /// Tell the sensor to load the active generation
    Reload(SensorArgs),
    /// Show alerts as they come
    Tail(SensorTailArgs),
    /// List the rules in force, or switch some on or off
    Rules(SensorRulesArgs),
    /// Record what happens to a capture file, or tell of a recording
    #[command(after_help = RECORD_HELP)]
    Record(SensorRecordArgs),
    /// Show what goes on: events, rules, processes, last alerts
    Top(SensorTopArgs),
    /// Show the sensor's figures, as Prometheus reads them
    Metrics(SensorArgs),
    /// Ask whether the sensor would take rules files; nothing changes
    Validate(SensorValidateArgs),
    /// Show how much the sensor says about itself, or change it until it ends
    #[command(name = "loglevel", alias = "log-level")]
    LogLevel(SensorLogLevelArgs),
    /// Post alerts to an HTTP receiver: what the sensor starts for its `http_output`
    #[command(hide = true)]
    PostAlerts,
}

/// Arguments of commands that need to know the sensor and no more.
#[derive(Debug, Args)]
pub(crate) struct SensorArgs {
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

/// Arguments of `sensor tail`.
#[derive(Debug, Args)]
pub(crate) struct SensorTailArgs {
    /// Only alerts of these rules; `*` stands for any text
    #[arg(long, value_name = "NAME")]
    pub(crate) rule: Vec<String>,
    /// Only alerts as severe as this or more, such as `warning`
    #[arg(long, value_name = "PRIORITY")]
    pub(crate) priority: Option<String>,
    /// End after so many alerts
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) count: Option<u64>,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

/// Arguments of `sensor rules`.
#[derive(Debug, Args)]
pub(crate) struct SensorRulesArgs {
    /// Switch on the rules of this name; `*` stands for any text. Holds until the sensor ends
    #[arg(long, value_name = "NAME")]
    pub(crate) enable: Vec<String>,
    /// Switch off the rules of this name; `*` stands for any text. Holds until the sensor ends
    #[arg(long, value_name = "NAME")]
    pub(crate) disable: Vec<String>,
    /// Switch on the rules with this tag
    #[arg(long, value_name = "TAG")]
    pub(crate) enable_tag: Vec<String>,
    /// Switch off the rules with this tag
    #[arg(long, value_name = "TAG")]
    pub(crate) disable_tag: Vec<String>,
    /// Take back first what was switched before
    #[arg(long)]
    pub(crate) reset: bool,
    /// In which order
    #[arg(long, value_enum, default_value_t = RulesOrder::Evaluation)]
    pub(crate) sort: RulesOrder,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

/// Orders of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RulesOrder {
    /// As they are evaluated
    Evaluation,
    /// By name
    Name,
    /// By number of matches, most first
    Matches,
    /// By estimated cost, most first
    Cost,
}

/// Arguments of `sensor record`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "they are flags")]
pub(crate) struct SensorRecordArgs {
    /// Longest time, such as `90s` or `5m` [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_interval)]
    pub(crate) duration: Option<Duration>,
    /// Largest file, such as `50M` [default: `capture.max_bytes` of the sensor]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) size: Option<u64>,
    /// End after so many events
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Condition that events must fulfil; what others do to processes is kept, and not shown by readers
    #[arg(long, value_name = "CONDITION")]
    pub(crate) filter: Option<String>,
    /// Directory on the sensor's host, one of those that its configuration names
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Move the file here when it is complete
    #[arg(short = 'w', long, value_name = "FILE", conflicts_with_all = ["background", "stop", "status"])]
    pub(crate) write: Option<PathBuf>,
    /// Record what the rules in force ask for anyway, and ask the kernel for nothing more
    #[arg(long)]
    pub(crate) only_enabled: bool,
    /// Do not wait for the end: print the path and leave the sensor to it
    #[arg(long, conflicts_with_all = ["stop", "status"])]
    pub(crate) background: bool,
    /// End the recording that is under way
    #[arg(long, conflicts_with_all = ["duration", "size", "count", "filter", "dir", "only_enabled", "status"])]
    pub(crate) stop: bool,
    /// Tell how far the recording is that was asked for last
    #[arg(long, conflicts_with_all = ["duration", "size", "count", "filter", "dir", "only_enabled"])]
    pub(crate) status: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

/// Arguments of `sensor top`.
#[derive(Debug, Args)]
pub(crate) struct SensorTopArgs {
    /// Seconds between two looks
    #[arg(short, long, value_name = "SECONDS", default_value_t = 2,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) interval: u64,
    /// Look twice, show once and end; so it is also where the output is no terminal
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

/// Arguments of `sensor validate`.
#[derive(Debug, Args)]
pub(crate) struct SensorValidateArgs {
    /// Rules files, in the order in which they would be loaded
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

/// Arguments of `sensor loglevel`.
#[derive(Debug, Args)]
pub(crate) struct SensorLogLevelArgs {
    /// `error`, `warning`, `info` or `debug`
    #[arg(value_name = "LEVEL")]
    pub(crate) level: Option<String>,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

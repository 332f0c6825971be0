//! `eyas capture …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Text closing `eyas capture read --help`.
const READ_HELP: &str = "\
Examples:
  eyas capture read trace.scap
  eyas capture read trace.scap evt.type=openat and fd.name startswith /etc
  eyas capture read trace.scap -p '*%evt.num %proc.name %fd.name' evt.is_open_write=true
  eyas capture read trace.scap --count fd.type=ipv4
A format that begins with `*` prints unset fields as `<NA>`; without it, events that lack a field are
left out. Names of users and groups are those of the capture, never those of this machine.";

/// Read files of recorded events, such as the sensor or sysdig write them.
#[derive(Debug, Subcommand)]
pub(crate) enum Capture {
    /// Print the events of a capture, one line each
    #[command(after_help = READ_HELP)]
    Read(CaptureReadArgs),
    /// Describe a capture: its machine, users, interfaces, processes and kinds of events
    Info(CaptureInfoArgs),
}

/// Arguments of `capture read`.
#[derive(Debug, Args)]
pub(crate) struct CaptureReadArgs {
    /// The capture, plain or compressed with gzip; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// What to print of each event: text with `%field`
    #[arg(short = 'p', long = "print", value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Print the fields of each event as one JSON object per line
    #[arg(short = 'j', long)]
    pub(crate) json: bool,
    /// Count events by type instead of printing them
    #[arg(long, conflicts_with_all = ["format", "json"])]
    pub(crate) count: bool,
    /// Stop after so many events
    #[arg(short = 'n', long, value_name = "NUMBER")]
    pub(crate) limit: Option<u64>,
    /// Condition that events must fulfil
    #[arg(value_name = "FILTER", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) filter: Vec<String>,
}

/// Arguments of `capture info`.
#[derive(Debug, Args)]
pub(crate) struct CaptureInfoArgs {
    /// The capture, plain or compressed with gzip; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

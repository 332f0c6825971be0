//! What can be said on the command line. What it means is decided in `config`.

use std::path::PathBuf;

use clap::Parser;

/// Runtime security sensor: reads the kernel's events, judges them by rules, tells what matched.
///
/// Alerts go to standard output, everything else to standard error. Without `--rules` the current
/// generation of the store is run, and `eyas` puts a newer one in force over the control socket.
#[derive(Debug, Clone, Parser)]
#[command(name = "eyasd", version, max_term_width = 100)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Args {
    /// Configuration file [default: /etc/eyas/eyasd.yaml if it exists]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Directory of the artifact store whose current generation is run
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    /// Rules file to run; may be given several times, and then no store is used unless `--store` is given
    #[arg(short, long, value_name = "FILE")]
    pub(crate) rules: Vec<PathBuf>,

    /// Path of the control socket
    #[arg(long, value_name = "PATH")]
    pub(crate) control_socket: Option<PathBuf>,

    /// Write alerts as JSON, one object per line
    #[arg(long)]
    pub(crate) json: bool,

    /// Set one configuration value, such as `-o json_output=true` or `-o file_output.filename=/x`
    #[arg(short, long = "option", value_name = "KEY=VALUE")]
    pub(crate) option: Vec<String>,

    /// Read no events from the kernel: check rules, serve the control socket
    #[arg(long)]
    pub(crate) no_probe: bool,

    /// Check configuration and rules, print what is wrong, and leave
    #[arg(long)]
    pub(crate) check: bool,

    /// Print the configuration that is in force, and leave
    #[arg(long)]
    pub(crate) print_config: bool,

    /// Say whether this machine permits the probe, and why not, and leave
    #[arg(long)]
    pub(crate) probe_capability: bool,

    /// Judge the events of a capture (.scap) instead of those of the kernel, and leave at its end
    #[arg(long, value_name = "FILE", conflicts_with = "no_probe")]
    pub(crate) replay: Option<PathBuf>,

    /// Read event records from a file or a named pipe instead of from the kernel
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) replay_records: Option<PathBuf>,
}

//! Why the daemon does not start, and the exit code that says which kind of reason it is.

use std::io;
use std::path::PathBuf;

use eyas_control::ControlError;
use eyas_output::OutputError;
use eyas_probe::ProbeError;

use crate::config::ConfigError;
use crate::generation::StoreError;

/// Failures of the daemon as a whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rules do not compile and there is nothing older to run.
    #[error("the rules do not load, and there are no others to run:\n{text}")]
    Rules {
        /// Every diagnostic.
        text: String,
    },
    /// No events can be read from the kernel.
    #[error("{0}")]
    Probe(#[from] ProbeError),
    /// The control socket cannot be served.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// An output cannot be opened.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Records to replay cannot be read.
    #[error("cannot read records from `{}`: {source}", path.display())]
    Records {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A capture cannot be replayed to its end.
    #[error("{}: {source}", path.display())]
    Capture {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: eyas_capture::CaptureError,
    },
    /// The operating system refuses something that a start needs.
    #[error("cannot {doing}: {source}")]
    System {
        /// Verb phrase.
        doing: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The HTTP endpoint cannot listen.
    #[error("cannot listen on `{address}` for health and metrics: {source}")]
    Listen {
        /// Address and port.
        address: String,
        /// The cause.
        source: io::Error,
    },
    /// Events were lost, and the configuration says to leave then.
    #[error("{0}, and `syscall_event_drops.actions` says to leave")]
    Lost(String),
    /// The event thread ended by itself.
    #[error("the event thread ended: {0}")]
    EventsEnded(String),
}

impl DaemonError {
    /// The class of the failure, as documented for all programs of the project.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 2,
            Self::Rules { .. } => 6,
            Self::Probe(_) => 7,
            Self::Store(_) => 8,
            _ => 1,
        }
    }

    /// What to do about it, where that is known.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Probe(error) => {
                let remedy = error.hint().unwrap_or("report the lines above");
                Some(format!(
                    "{remedy}; with `--no-probe` rules are checked and the control socket is \
                     served without reading events"
                ))
            }
            Self::Control(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Config(error) => error.hint(),
            Self::Capture { source, .. } => source.hint().map(str::to_owned),
            Self::Listen { .. } => Some(
                "free the port, or name another with `webserver.listen_address` and \
                 `webserver.listen_port`"
                    .into(),
            ),
            Self::Rules { .. } => {
                Some("correct the rules, or install another version with `eyas`".into())
            }
            _ => None,
        }
    }
}

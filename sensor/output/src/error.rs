//! What can go wrong with outputs, in words for the person who configured them.

use std::io;
use std::path::PathBuf;

/// Failures of outputs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// A sink's file cannot be opened for appending.
    #[error("cannot open `{}` for alerts: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Standard output cannot be taken.
    #[error("cannot write alerts to standard output: {source}")]
    Stdout {
        /// The cause.
        source: io::Error,
    },
    /// The thread of a sink cannot be started.
    #[error("cannot start the output `{sink}`: {source}")]
    Thread {
        /// Name of the sink.
        sink: String,
        /// The cause.
        source: io::Error,
    },
}

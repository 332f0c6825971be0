//! What can go wrong on either end of the control socket, in words for the person who reads it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::dto::Code;

/// Failures of the control socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Nothing listens: no such file, or a file that a dead daemon left behind.
    #[error("no sensor is listening on `{}`", path.display())]
    NotRunning {
        /// The socket's path.
        path: PathBuf,
    },
    /// The path exists and is something else.
    #[error("`{}` is {found}, expected a socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
        /// What is there: `a file`, `a directory`.
        found: &'static str,
    },
    /// Somebody who is neither root nor we listens there.
    #[error("`{}` is served by user id `{uid}`, expected root or `{ours}`", path.display())]
    Foreign {
        /// The socket's path.
        path: PathBuf,
        /// Who listens.
        uid: u32,
        /// Who we are.
        ours: u32,
    },
    /// The file permissions keep us out.
    #[error("not permitted to use `{}`", path.display())]
    Denied {
        /// The socket's path.
        path: PathBuf,
    },
    /// Nothing came, or nothing could be sent, in time.
    #[error("no answer within {}s while {doing}", limit.as_secs_f32())]
    Timeout {
        /// What was being waited for.
        doing: &'static str,
        /// The limit that ran out.
        limit: Duration,
    },
    /// A frame announced more than is allowed.
    #[error("message of {found} bytes, expected at most {limit}")]
    TooLarge {
        /// Announced size in bytes.
        found: u64,
        /// Most that is taken, in bytes.
        limit: u64,
    },
    /// The other end went away in the middle.
    #[error("connection closed while {doing}")]
    Closed {
        /// What was being read or written.
        doing: &'static str,
    },
    /// The other end does not speak this protocol.
    #[error("unexpected message: {what}")]
    Protocol {
        /// What was found and what was expected.
        what: String,
    },
    /// The daemon answered with an error.
    #[error("the sensor answered `{code}`: {message}")]
    Refused {
        /// Machine-readable class.
        code: Code,
        /// The daemon's words.
        message: String,
    },
    /// Another daemon listens on the path we were told to serve.
    #[error("a sensor is already listening on `{}`", path.display())]
    AlreadyRunning {
        /// The socket's path.
        path: PathBuf,
    },
    /// The kernel's limit on socket paths.
    #[error("socket path `{}` has {found} bytes, expected at most {limit}", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        found: usize,
        /// Longest that fits.
        limit: usize,
    },
    /// Any other failure of the operating system.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Io {
        /// Verb phrase: `bind`, `connect to`.
        doing: &'static str,
        /// The socket's path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl ControlError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotRunning { .. } => Some(
                "start it with `eyasd`, or name its socket with `--control-socket`; the active \
                 generation is read when it starts"
                    .into(),
            ),
            Self::Foreign { uid, .. } => Some(format!(
                "if user id `{uid}` is meant to run the sensor, run this command as that user"
            )),
            Self::Denied { .. } => {
                Some("run as root or as a member of the socket's group (`eyas` by default)".into())
            }
            Self::AlreadyRunning { .. } => {
                Some("stop the other sensor, or choose another path with `--control-socket`".into())
            }
            Self::PathTooLong { .. } => Some("choose a shorter path".into()),
            Self::Refused { code: Code::UnsupportedVersion, .. } => {
                Some("`eyas` and `eyasd` are of different releases: update the older one".into())
            }
            Self::Refused { code: Code::Busy, .. } => Some("try again in a moment".into()),
            Self::Refused { code: Code::NotPermitted, .. } => Some(
                "run as root, as the sensor's own user, or be listed under `control` in eyasd.yaml"
                    .into(),
            ),
            _ => None,
        }
    }
}

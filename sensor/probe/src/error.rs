//! What can go wrong between an object file and a stream of events.

use std::io;

/// Why the probe does not run.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The kernel or the privileges do not allow it; see [`crate::Why`].
    #[error("the probe cannot run here: {0}")]
    NotPermitted(#[from] crate::Why),
    /// The bytes are not a probe.
    #[error("the probe object cannot be read: {0}")]
    Object(String),
    /// The object writes records in another layout than this program reads.
    #[error("the probe has layout `{found}`, this program reads `{expected}`")]
    Layout {
        /// Hash in the object.
        found: String,
        /// Hash that this program was built with.
        expected: &'static str,
    },
    /// A structure lies differently in the object's type information.
    #[error("`{structure}` in the probe differs from this program: {detail}")]
    Structure {
        /// Name of the structure.
        structure: &'static str,
        /// First difference.
        detail: String,
    },
    /// The kernel refused a program.
    #[error("the kernel refused program `{program}`: {reason}{}", tail(log))]
    Refused {
        /// Name of the program.
        program: String,
        /// The kernel's error.
        reason: String,
        /// Last lines of the verifier's log.
        log: String,
    },
    /// A program is missing in the object.
    #[error("the probe object has no program `{0}`")]
    NoProgram(String),
    /// A map is missing in the object, or has another shape.
    #[error("map `{map}`: {reason}")]
    Map {
        /// Name of the map.
        map: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A tracepoint could not be attached to.
    #[error("program `{program}` cannot be attached: {reason}")]
    Attach {
        /// Name of the program.
        program: String,
        /// The kernel's error.
        reason: String,
    },
    /// A ring buffer could not be made or mapped.
    #[error("ring buffer of `{bytes}` bytes for CPU `{cpu}`: {reason}")]
    Ring {
        /// CPU number.
        cpu: u32,
        /// Size asked for.
        bytes: u32,
        /// The kernel's error.
        reason: String,
    },
    /// An event or system call that the schema does not know.
    #[error("unknown event type `{0}`")]
    UnknownEvent(String),
    /// A file of the host could not be read.
    #[error("`{path}`: {source}")]
    Host {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl ProbeError {
    /// What the user can do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotPermitted(why) => Some(why.hint()),
            Self::Layout { .. } | Self::Structure { .. } => {
                Some("install the probe version that belongs to this version of eyas")
            }
            Self::Refused { .. } => {
                Some("the embedded probe may work; report the kernel release with the lines above")
            }
            Self::Ring { .. } => Some("use a smaller ring size, or raise the memory limit"),
            _ => None,
        }
    }
}

fn tail(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!("\n{log}") }
}

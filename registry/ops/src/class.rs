//! Classes of failure: what a caller can act on without reading the message.

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Something that no other class describes.
    Failed,
    /// The command line, a setting or an input file is wrong.
    Usage,
    /// No such name, tag, digest, artifact or generation.
    NotFound,
    /// A registry or index could not be reached, refused, or answered wrongly.
    Network,
    /// An artifact does not satisfy the policy, or is not what its digest says.
    Verification,
    /// An artifact is genuine and does not work.
    Validation,
    /// The sensor refused, or was required and not reachable.
    Sensor,
    /// The state directory cannot be read or written.
    Storage,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Failed,
        Self::Usage,
        Self::NotFound,
        Self::Network,
        Self::Verification,
        Self::Validation,
        Self::Sensor,
        Self::Storage,
    ];

    /// Its name in machine-readable messages, records and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not-found",
            Self::Network => "network",
            Self::Verification => "verification",
            Self::Validation => "validation",
            Self::Sensor => "sensor",
            Self::Storage => "storage",
        }
    }
}

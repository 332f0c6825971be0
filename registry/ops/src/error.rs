//! What can stop an operation.

use thiserror::Error;

use crate::Class;

/// Why an operation stopped. Nothing that was active before has changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpsError {
    /// Something typed cannot be meant.
    #[error("{message}")]
    Usage {
        /// What was found and what was expected.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl OpsError {
    /// The class of this failure.
    pub fn class(&self) -> Class {
        match self {
            Self::Usage { .. } => Class::Usage,
        }
    }

    /// What to do about it, when that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => hint.clone(),
        }
    }
}

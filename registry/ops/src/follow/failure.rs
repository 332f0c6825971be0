//! Why a check failed, in a form that can be kept, compared, counted and told again.

use std::time::Duration;

use eyas_index::IndexError;
use eyas_index::solve::Clash;
use eyas_oci::OciError;

use crate::{Class, OpsError};

/// A failure of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFailure {
    /// Its class.
    pub class: Class,
    /// What was found and what was expected.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The full text of a refusal, with places and source lines.
    pub report: Option<String>,
    /// When the registry wants to be asked again.
    pub retry_after: Option<Duration>,
    /// Whether the same content cannot succeed until something else changes.
    pub(crate) hopeless: bool,
    /// Whether it needs what the engine does not have.
    pub unmet: bool,
}

impl CheckFailure {
    /// A failure that something around the check found, such as an unreadable policy.
    pub fn new(class: Class, message: impl Into<String>, hint: Option<String>) -> Self {
        let message = message.into();
        Self {
            class,
            message,
            hint,
            report: None,
            retry_after: None,
            hopeless: false,
            unmet: false,
        }
    }
}

impl From<&OpsError> for CheckFailure {
    fn from(error: &OpsError) -> Self {
        let retry_after = match error {
            OpsError::Registry(OciError::RateLimited { retry_after, .. }) => *retry_after,
            _ => None,
        };
        Self {
            class: error.class(),
            message: error.to_string(),
            hint: error.hint(),
            report: error.report().map(str::to_owned),
            retry_after,
            hopeless: is_hopeless(error),
            unmet: is_unmet(error),
        }
    }
}

impl From<OpsError> for CheckFailure {
    fn from(error: OpsError) -> Self {
        Self::from(&error)
    }
}

fn is_unmet(error: &OpsError) -> bool {
    let OpsError::Index(IndexError::Unsolvable(conflict)) = error else { return false };
    conflict.clashes.iter().any(|clash| matches!(clash, Clash::Requirement { .. }))
}

/// A missing signature is not of this kind: it may arrive after what it signs. Nor are requirements:
/// the engine may be upgraded.
fn is_hopeless(error: &OpsError) -> bool {
    match error {
        unmet if is_unmet(unmet) => false,
        OpsError::SensorRefused { .. } | OpsError::Index(IndexError::Refused { .. }) => true,
        other => other.class() == Class::Validation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registrys_wish_is_carried_along() {
        let wish = Some(Duration::from_secs(90));
        let error = OciError::RateLimited { what: "x".to_owned(), retry_after: wish };
        let failure = CheckFailure::from(OpsError::Registry(error));
        assert_eq!((failure.class, failure.retry_after), (Class::Network, wish));
        assert!(!failure.hopeless);
    }

    #[test]
    fn an_engine_that_is_too_old_may_be_upgraded() {
        let unmet = eyas_index::Unmet {
            name: "engine_version_semver".to_owned(),
            required: "0.99.0".to_owned(),
            offered: None,
        };
        let version = eyas_artifact::Version::new(1, 0, 0);
        let clash = Clash::Requirement { name: "demo".to_owned(), version, unmet };
        let conflict = eyas_index::Conflict { clashes: vec![clash], ..Default::default() };
        let error = OpsError::Index(IndexError::Unsolvable(Box::new(conflict)));
        assert!(!CheckFailure::from(error).hopeless);
    }

    #[test]
    fn a_refusal_by_the_sensor_is_final_for_its_content() {
        let error = OpsError::SensorRefused { generation: 1, lines: vec!["no".to_owned()] };
        assert!(CheckFailure::from(error).hopeless);
    }
}

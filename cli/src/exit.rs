//! From a failure to an exit code, in one place; the table is in `docs/exit-codes.md`.

use std::process::ExitCode;

use eyas_ops::{Class, OpsError};

use crate::personality::{ExitCodes, Personality};
use crate::settings::SettingsError;

/// Code of a class for the program that was called.
pub(crate) fn code(personality: Personality, class: Class) -> u8 {
    match personality.character().exit_codes {
        ExitCodes::ByClass => code_of_class(class),
        ExitCodes::One => 1,
    }
}

/// Code for each class. The numbers are promised and never reused.
const fn code_of_class(class: Class) -> u8 {
    match class {
        Class::Failed => 1,
        Class::Usage => 2,
        Class::NotFound => 3,
        Class::Network => 4,
        Class::Verification => 5,
        Class::Validation => 6,
        Class::Sensor => 7,
        Class::Storage => 8,
    }
}

/// Name of a class in machine-readable messages.
pub(crate) const fn name(class: Class) -> &'static str {
    class.name()
}

/// A failure that the command line itself found, with its class.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) class: Class,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// Something typed that cannot be meant.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { class: Class::Usage, message: message.into(), hint: None }
    }

    /// The same with a remedy.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Class of an error, from the first link of its chain that has one.
pub(crate) fn class_of(error: &anyhow::Error) -> Class {
    error
        .chain()
        .find_map(|link| {
            if let Some(error) = link.downcast_ref::<OpsError>() {
                return Some(error.class());
            }
            if let Some(failure) = link.downcast_ref::<Failure>() {
                return Some(failure.class);
            }
            link.downcast_ref::<SettingsError>().map(|_| Class::Usage)
        })
        .unwrap_or(Class::Failed)
}

/// What to do about an error, when that is known.
pub(crate) fn hint_of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|link| {
        if let Some(error) = link.downcast_ref::<OpsError>() {
            return error.hint();
        }
        if let Some(failure) = link.downcast_ref::<Failure>() {
            return failure.hint.clone();
        }
        link.downcast_ref::<SettingsError>().and_then(SettingsError::hint)
    })
}

/// What went wrong, from the outside in. An error that repeats its cause in its own words is not
/// followed by it again.
pub(crate) fn message_of(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

/// The full text of a refusal, with places and source lines, where there is one.
pub(crate) fn report_of(error: &anyhow::Error) -> Option<String> {
    error
        .chain()
        .find_map(|link| link.downcast_ref::<OpsError>().and_then(OpsError::report))
        .map(str::to_owned)
}

/// The exit code for `class`.
pub(crate) fn exit_code(personality: Personality, class: Class) -> ExitCode {
    ExitCode::from(code(personality, class))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [Class; 8] = [
        Class::Failed,
        Class::Usage,
        Class::NotFound,
        Class::Network,
        Class::Verification,
        Class::Validation,
        Class::Sensor,
        Class::Storage,
    ];

    #[test]
    fn the_documented_table_is_the_one_in_force() {
        let documented = include_str!("../../docs/exit-codes.md");
        for class in CLASSES {
            let row = format!("| {} | `{}` |", code_of_class(class), name(class));
            assert!(documented.contains(&row), "docs/exit-codes.md lacks {row}");
        }
    }

    #[test]
    fn codes_are_distinct_and_never_success() {
        let mut codes: Vec<u8> = CLASSES.iter().map(|class| code_of_class(*class)).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CLASSES.len());
        assert!(!codes.contains(&0));
    }

    #[test]
    fn the_compatible_form_has_one_code() {
        for class in CLASSES {
            assert_eq!(code(Personality::Falcoctl, class), 1);
            assert_eq!(code(Personality::Eyas, class), code_of_class(class));
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let input = OpsError::Input { path: "x".into(), source: missing() };
        let told = message_of(&anyhow::Error::new(input));
        assert_eq!(told, format!("`x` cannot be read: {}", missing()));
        let told = message_of(&anyhow::Error::new(missing()).context("while starting"));
        assert_eq!(told, format!("while starting: {}", missing()));
    }

    #[test]
    fn the_class_survives_added_context() {
        let failure = anyhow::Error::new(Failure::usage("`x` is wrong").with_hint("write `y`"));
        let error = failure.context("while reading").context("while starting");
        assert_eq!(class_of(&error), Class::Usage);
        assert_eq!(hint_of(&error).as_deref(), Some("write `y`"));
        assert_eq!(class_of(&anyhow::anyhow!("unknown")), Class::Failed);
    }
}

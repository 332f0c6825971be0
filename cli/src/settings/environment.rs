//! Environment variables, taken once, so that the rest is a function of its input.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::personality::{Character, Personality};

/// A copy of the environment, and who asks.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    variables: BTreeMap<String, OsString>,
    root: bool,
    personality: Personality,
}

impl Environment {
    /// The environment of this process.
    pub(crate) fn of_process(personality: Personality) -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect();
        Self { variables, root: rustix::process::geteuid().is_root(), personality }
    }

    /// An environment made of `variables`, for a user that is or is not root.
    #[cfg(test)]
    pub(crate) fn fixed(variables: &[(&str, &str)], root: bool) -> Self {
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect();
        Self { variables, root, personality: Personality::Eyas }
    }

    /// The same for a program called by another name.
    #[cfg(test)]
    pub(crate) fn called(self, personality: Personality) -> Self {
        Self { personality, ..self }
    }

    /// What differs with the name of the program.
    pub(crate) fn character(&self) -> &'static Character {
        self.personality.character()
    }

    /// Whether the caller is root.
    pub(crate) fn is_root(&self) -> bool {
        self.root
    }

    /// The value of a variable as it is named; empty counts as absent.
    pub(crate) fn raw(&self, name: &str) -> Option<&OsString> {
        self.variables.get(name).filter(|value| !value.is_empty())
    }

    /// The value of `EYAS_<name>`, and where it is from.
    pub(crate) fn own(&self, name: &str) -> Option<(String, String)> {
        self.text(&format!("EYAS_{name}"))
    }

    /// The path in `EYAS_<name>`.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.raw(&format!("EYAS_{name}")).map(PathBuf::from)
    }

    /// The value for a dotted configuration key, and where it is from.
    pub(crate) fn key(&self, key: &str) -> Option<(String, String)> {
        let name = key.to_ascii_uppercase().replace(['.', '-'], "_");
        self.character().prefixes.iter().find_map(|prefix| self.text(&format!("{prefix}{name}")))
    }

    fn text(&self, name: &str) -> Option<(String, String)> {
        let value = self.raw(name)?.to_string_lossy().into_owned();
        Some((value, format!("the variable `{name}`")))
    }
}

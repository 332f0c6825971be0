//! The part of the environment that says who we are to a cloud.
//!
//! Owns a copy of it, so that everything else is a function of its input. Values may be secrets:
//! only names are ever printed.

use std::{collections::BTreeMap, ffi::OsString, fmt, path::PathBuf};

use crate::secret::Secret;

/// Beginnings of the names that are copied.
const PREFIXES: [&str; 9] = [
    "AWS_",
    "AZURE_",
    "CLOUDSDK_",
    "ECS_",
    "GCE_METADATA_",
    "GOOGLE_",
    "HOME",
    "IDENTITY_",
    "STORAGE_EMULATOR_HOST",
];

/// Environment variables of the clouds, by name.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, Secret>);

impl Variables {
    /// Those of this process.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
            .map(|(name, value): (String, OsString)| (name, value.to_string_lossy().into_owned()))
            .collect()
    }

    /// The value of a variable; empty counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Secret::expose).filter(|value| !value.is_empty())
    }

    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        self.0.get(name).filter(|value| !value.is_empty()).cloned()
    }

    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    /// A file below the home directory.
    pub(crate) fn at_home(&self, below: &str) -> Option<PathBuf> {
        Some(self.path("HOME")?.join(below))
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_printed() {
        let pairs = [("AWS_SECRET_ACCESS_KEY", "hunter2"), ("HOME", "")];
        let variables: Variables =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let shown = format!("{variables:?}");
        assert!(shown.contains("AWS_SECRET_ACCESS_KEY") && !shown.contains("hunter2"), "{shown}");
        assert_eq!(variables.get("AWS_SECRET_ACCESS_KEY"), Some("hunter2"));
        assert_eq!(variables.at_home("x"), None, "an empty value is none");
    }
}

//! Where key text comes from: the one place of the policy that touches files and the environment.

use std::path::{Path, PathBuf};

/// Gives the text behind `file:` and `env:` entries. A trait so that parsing a policy stays a
/// function of its inputs in tests and in editors.
pub trait KeySource {
    /// The text of a file, as named in the policy.
    fn file(&self, name: &str) -> Result<String, String>;
    /// The value of an environment variable.
    fn env(&self, name: &str) -> Result<String, String>;
}

/// Files relative to the policy's own folder, variables of this process.
#[derive(Debug, Clone)]
pub struct SystemKeys {
    folder: PathBuf,
}

impl SystemKeys {
    /// Resolves relative names from the folder that holds `policy_file`.
    pub fn beside(policy_file: &str) -> Self {
        let folder = Path::new(policy_file).parent().map(Path::to_path_buf).unwrap_or_default();
        Self { folder }
    }
}

impl KeySource for SystemKeys {
    fn file(&self, name: &str) -> Result<String, String> {
        let path = self.folder.join(name);
        std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read `{}`: {error}", path.display()))
    }

    fn env(&self, name: &str) -> Result<String, String> {
        std::env::var(name)
            .map_err(|error| format!("environment variable `{name}` cannot be used: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_names_are_beside_the_policy() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("k.pub"), "text").unwrap();
        let policy = folder.path().join("trust.yaml");
        let keys = SystemKeys::beside(policy.to_str().unwrap());
        assert_eq!(keys.file("k.pub").unwrap(), "text");
        let error = keys.file("absent.pub").unwrap_err();
        assert!(error.contains("absent.pub") && error.contains("cannot read"));
    }

    #[test]
    fn an_unset_variable_is_named() {
        let keys = SystemKeys::beside("trust.yaml");
        assert!(keys.env("EYAS_TEST_SURELY_UNSET").unwrap_err().contains("EYAS_TEST_SURELY_UNSET"));
        assert!(keys.env("PATH").is_ok());
    }
}

//! Where key text comes from: the one place of the policy that touches files and the environment.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::key::public_key_of_command;
use crate::roots::MAX_ROOT_BYTES;

/// Gives the text behind `file:` and `env:` entries. A trait so that parsing a policy stays a
/// function of its inputs in tests and in editors.
pub trait KeySource {
    /// The text of a file, as named in the policy.
    fn file(&self, name: &str) -> Result<String, String>;
    /// The value of an environment variable.
    fn env(&self, name: &str) -> Result<String, String>;
    /// The public key that a command prints, as [`crate::CommandKey`] says.
    fn command(&self, argv: &[String]) -> Result<String, String> {
        Err(format!("`{}`: commands are not run here", argv.join(" ")))
    }
}

/// Files relative to the policy's own folder, variables of this process.
#[derive(Debug, Clone)]
pub struct SystemKeys {
    folder: PathBuf,
    runs_commands: bool,
}

impl SystemKeys {
    /// Resolves relative names from the folder that holds `policy_file`.
    pub fn beside(policy_file: &str) -> Self {
        let folder = Path::new(policy_file).parent().map(Path::to_path_buf).unwrap_or_default();
        Self { folder, runs_commands: true }
    }

    /// The same without running anything: keys behind commands cannot be had.
    #[must_use]
    pub fn without_commands(self) -> Self {
        Self { runs_commands: false, ..self }
    }
}

impl KeySource for SystemKeys {
    fn file(&self, name: &str) -> Result<String, String> {
        let path = self.folder.join(name);
        let failed = |error| format!("cannot read `{}`: {error}", path.display());
        let mut text = String::new();
        let file = std::fs::File::open(&path).map_err(failed)?;
        // One byte more than the limit, so that whoever parses it can tell that it is exceeded.
        file.take(MAX_ROOT_BYTES as u64 + 1).read_to_string(&mut text).map_err(failed)?;
        Ok(text)
    }

    fn env(&self, name: &str) -> Result<String, String> {
        std::env::var(name)
            .map_err(|error| format!("environment variable `{name}` cannot be used: {error}"))
    }

    fn command(&self, argv: &[String]) -> Result<String, String> {
        if !self.runs_commands {
            return Err(format!(
                "the key behind `{}` is not asked for, and no `fingerprint` is beside it",
                argv.join(" ")
            ));
        }
        public_key_of_command(argv)
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
        let endless = keys.file("/dev/zero").unwrap();
        assert_eq!(endless.len(), MAX_ROOT_BYTES + 1, "reading ends");
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

//! The section `driver`: which driver, for which host.

use std::path::{Path, PathBuf};

use super::{Settings, SettingsError};
use crate::args::DriverFlags;
use crate::driver::{DriverKind, is_plain};

/// Where built drivers are when nothing else is said.
const REPOSITORY: &str = "https://download.falco.org/driver";
/// Name of the driver when nothing else is said.
const NAME: &str = "falco";
/// Kinds of driver when nothing else is said.
const KINDS: [DriverKind; 2] = [DriverKind::ModernEbpf, DriverKind::Kmod];

/// Which driver, for which host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DriverSettings {
    /// Kinds that are allowed, the best first.
    pub(crate) kinds: Vec<DriverKind>,
    /// The version, where one is asked for.
    pub(crate) version: Option<String>,
    /// Where built drivers are.
    pub(crate) repositories: Vec<String>,
    /// Name of the driver.
    pub(crate) name: String,
    /// Root directory of the host.
    pub(crate) host_root: PathBuf,
    /// Home directory, below which drivers are kept.
    pub(crate) home: Option<PathBuf>,
}

impl Settings {
    /// What is said about the driver.
    pub(crate) fn driver(&self, flags: &DriverFlags) -> Result<DriverSettings, SettingsError> {
        let name = self.driver_text(flags.name.as_deref(), "driver.name", "--name");
        let (name, name_origin) =
            name.unwrap_or_else(|| (NAME.to_owned(), "the defaults".to_owned()));
        check(&name, &name_origin, is_plain(&name), "letters, digits, `-`, `_` and `.`")?;
        let version = self.driver_text(flags.version.as_deref(), "driver.version", "--version");
        if let Some((version, origin)) = &version {
            check(version, origin, is_plain(version), "a version such as `7.3.0+driver`")?;
        }
        Ok(DriverSettings {
            kinds: self.driver_kinds(flags)?,
            version: version.map(|(version, _)| version),
            repositories: self.driver_repositories(flags)?,
            name,
            host_root: self.host_root(flags)?,
            home: self.environment.raw("HOME").map(PathBuf::from),
        })
    }

    /// A value of a `driver` command from its flag, else from its key.
    pub(crate) fn driver_text(
        &self,
        typed: Option<&str>,
        key: &str,
        flag: &str,
    ) -> Option<(String, String)> {
        match typed {
            Some(text) => Some((text.to_owned(), format!("`{flag}`"))),
            None => self.scalar(key),
        }
        .filter(|(text, _)| !text.is_empty())
    }

    /// A switch of a `driver` command from its flag, else from its key.
    pub(crate) fn driver_switch(
        &self,
        typed: Option<bool>,
        key: &str,
    ) -> Result<Option<bool>, SettingsError> {
        Ok(typed.or(self.boolean(key)?))
    }

    /// Directory for certificates, from the environment.
    pub(crate) fn tls_path(&self) -> Option<PathBuf> {
        self.environment.key("path").map(|(text, _)| text.into())
    }

    /// Name of the server in certificates, from the environment.
    pub(crate) fn tls_name(&self) -> Option<String> {
        self.environment.key("name").map(|(text, _)| text)
    }

    fn driver_kinds(&self, flags: &DriverFlags) -> Result<Vec<DriverKind>, SettingsError> {
        let typed = if flags.kinds.is_empty() {
            self.list("driver.type", ';')?
        } else {
            flags.kinds.clone()
        };
        if typed.is_empty() {
            return Ok(KINDS.to_vec());
        }
        let kind = |name: &String| {
            DriverKind::parse(name).ok_or_else(|| SettingsError::Value {
                value: name.clone(),
                origin: "the types of drivers".to_owned(),
                expected: "`modern_ebpf` or `kmod`".to_owned(),
            })
        };
        typed.iter().map(kind).collect()
    }

    fn driver_repositories(&self, flags: &DriverFlags) -> Result<Vec<String>, SettingsError> {
        let typed = if flags.repositories.is_empty() {
            self.list("driver.repos", ';')?
        } else {
            flags.repositories.clone()
        };
        for address in &typed {
            let scheme = address.split_once("://").map(|(scheme, rest)| (scheme, !rest.is_empty()));
            let good = matches!(scheme, Some(("http" | "https", true)));
            check(address, "the repositories of drivers", good, "`http://` or `https://` address")?;
        }
        Ok(if typed.is_empty() { vec![REPOSITORY.to_owned()] } else { typed })
    }

    fn host_root(&self, flags: &DriverFlags) -> Result<PathBuf, SettingsError> {
        let plain = || {
            let value = self.environment.raw("HOST_ROOT")?.to_string_lossy().into_owned();
            Some((value, "the variable `HOST_ROOT`".to_owned()))
        };
        let typed = flags.host_root.as_deref().and_then(Path::to_str);
        let found = self.driver_text(typed, "driver.hostroot", "--host-root");
        // Who asks by the variable alone did so before there was a key.
        let found = match (typed, plain()) {
            (None, Some(plain)) if self.environment.key("driver.hostroot").is_none() => Some(plain),
            _ => found,
        };
        let Some((text, origin)) = found else { return Ok(PathBuf::from("/")) };
        check(&text, &origin, text.starts_with('/'), "an absolute path")?;
        Ok(PathBuf::from(text))
    }
}

fn check(value: &str, origin: &str, good: bool, expected: &str) -> Result<(), SettingsError> {
    if good {
        return Ok(());
    }
    Err(SettingsError::Value {
        value: value.to_owned(),
        origin: origin.to_owned(),
        expected: expected.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings_of;
    use super::*;

    fn driver(
        yaml: &str,
        variables: &[(&str, &str)],
        flags: &DriverFlags,
    ) -> Result<DriverSettings, SettingsError> {
        settings_of(yaml, variables).driver(flags)
    }

    #[test]
    fn nothing_said_means_the_documented_defaults() {
        let found = driver("", &[], &DriverFlags::default()).expect("defaults");
        assert_eq!(found.kinds, KINDS);
        assert_eq!(found.repositories, [REPOSITORY]);
        assert_eq!((found.name.as_str(), found.version), ("falco", None));
        assert_eq!(found.host_root, Path::new("/"));
    }

    #[test]
    fn the_file_the_environment_and_flags_are_laid_over_one_another() {
        let yaml = "driver:\n  type: [kmod]\n  name: one\n  repos: [\"https://a.example.org\"]\n  version: 1.0.0\n  hostRoot: /host\n";
        let found = driver(yaml, &[], &DriverFlags::default()).expect("file");
        assert_eq!(found.kinds, [DriverKind::Kmod]);
        assert_eq!(found.version.as_deref(), Some("1.0.0"));
        assert_eq!(found.host_root, Path::new("/host"));
        let variables = [
            ("FALCOCTL_DRIVER_TYPE", "modern_ebpf;kmod"),
            ("FALCOCTL_DRIVER_REPOS", "https://b.example.org;http://c.example.org"),
            ("FALCOCTL_DRIVER_NAME", "two"),
            ("HOST_ROOT", "/other"),
        ];
        let found = driver(yaml, &variables, &DriverFlags::default()).expect("environment");
        assert_eq!(found.kinds, KINDS);
        assert_eq!(found.repositories, ["https://b.example.org", "http://c.example.org"]);
        assert_eq!((found.name.as_str(), found.host_root.as_path()), ("two", Path::new("/other")));
        let flags = DriverFlags {
            name: Some("three".to_owned()),
            host_root: Some("/flag".into()),
            ..DriverFlags::default()
        };
        let found = driver(yaml, &variables, &flags).expect("flags");
        assert_eq!((found.name.as_str(), found.host_root.as_path()), ("three", Path::new("/flag")));
        let both = [("HOST_ROOT", "/plain"), ("FALCOCTL_DRIVER_HOSTROOT", "/key")];
        let found = driver("", &both, &DriverFlags::default()).expect("both");
        assert_eq!(found.host_root, Path::new("/key"));
    }

    #[test]
    fn values_that_cannot_be_meant_are_named() {
        for (yaml, value) in [
            ("driver: {type: ebpf}", "ebpf"),
            ("driver: {type: [kmod, none]}", "none"),
            ("driver: {name: ../x}", "../x"),
            ("driver: {version: 1/2}", "1/2"),
            ("driver: {repos: [ftp://x]}", "ftp://x"),
            ("driver: {repos: \"https://\"}", "https://"),
            ("driver: {hostRoot: here}", "here"),
        ] {
            let error = driver(yaml, &[], &DriverFlags::default()).expect_err(yaml).to_string();
            assert!(error.contains(&format!("`{value}`")), "{yaml}: {error}");
        }
    }
}

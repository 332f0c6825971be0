//! What artifacts require and what machines offer: from rule files to requirements and dependencies
//! of their bundle, from a probe's needs and from the kernel that runs.
//!
//! Only `required_engine_version` and `required_plugin_versions` are read. A file that is not what a
//! rules file should be gives nothing: whether it compiles is found out elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use eyas_artifact::{Alternative, BundleConfig, Dependency, ProbeConfig, Requirement, Version};
use eyas_index::KERNEL;
use serde_json::Value;

use crate::OpsError;

/// Requirement that carries the engine's version.
const ENGINE: &str = "engine_version_semver";
/// Largest rules file that is looked into, in bytes.
const MAX_RULES_BYTES: u64 = 16 * 1024 * 1024;

/// Where the kernel says which release it is.
const KERNEL_RELEASE: &str = "/proc/sys/kernel/osrelease";

/// What the sensor offers, with what the machine offers beside it.
pub(crate) fn offered(sensor: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut all = sensor.clone();
    let release = fs::read_to_string(KERNEL_RELEASE).ok();
    if let Some(version) = release.as_deref().and_then(kernel_version) {
        all.entry(KERNEL.to_owned()).or_insert(version);
    }
    all
}

/// `6.1.0-13-amd64` is version 6.1.0.
fn kernel_version(release: &str) -> Option<String> {
    let end = release.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(release.len());
    let version: Version = release[..end].trim_matches('.').parse().ok()?;
    Some(version.to_string())
}

/// What a probe needs of the kernel. Its features are checked where it is loaded.
pub(crate) fn of_probe(config: &[u8]) -> Option<Requirement> {
    let version = ProbeConfig::from_slice(config).ok()?.kernel.min_release?;
    Some(Requirement { name: KERNEL.to_owned(), version })
}

/// Adds what the files require and the configuration does not name yet.
pub(crate) fn derive(paths: &[PathBuf], config: &mut BundleConfig) -> Result<(), OpsError> {
    for path in paths.iter().filter(|path| is_rules_file(path)) {
        let size = fs::metadata(path).map_err(|error| OpsError::input(path, error))?.len();
        if size > MAX_RULES_BYTES {
            continue;
        }
        let text = fs::read_to_string(path).map_err(|error| OpsError::input(path, error))?;
        if let Ok(items) = serde_saphyr::from_str::<Vec<Value>>(&text) {
            for item in &items {
                add(item, config);
            }
        }
    }
    Ok(())
}

fn is_rules_file(path: &Path) -> bool {
    path.is_file()
        && path
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("yaml") || end.eq_ignore_ascii_case("yml"))
}

fn add(item: &Value, config: &mut BundleConfig) {
    if let Some(version) = item.get("required_engine_version").and_then(engine_version) {
        let known = config.requirements.iter_mut().find(|known| known.name == ENGINE);
        match known {
            None => config.requirements.push(Requirement { name: ENGINE.to_owned(), version }),
            // Several files: the highest counts.
            Some(known) if higher(&version, &known.version) => known.version = version,
            Some(_) => {}
        }
    }
    let plugins = item.get("required_plugin_versions").and_then(Value::as_array);
    for plugin in plugins.into_iter().flatten() {
        let Some((name, version)) = named(plugin) else { continue };
        if config.dependencies.iter().any(|known| known.name == name) {
            continue;
        }
        let alternatives = plugin.get("alternatives").and_then(Value::as_array);
        let alternatives = alternatives
            .into_iter()
            .flatten()
            .filter_map(named)
            .map(|(name, version)| Alternative { name, version: version.into() })
            .collect();
        let version = version.into();
        config.dependencies.push(Dependency { name, version, alternatives });
    }
}

/// An integer N is the version 0.N.0.
fn engine_version(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(format!("0.{}.0", number.as_u64()?)),
        Value::String(text) => match text.parse::<u64>() {
            Ok(number) => Some(format!("0.{number}.0")),
            Err(_) => text.parse::<Version>().ok().map(|version| version.to_string()),
        },
        _ => None,
    }
}

fn named(value: &Value) -> Option<(String, Version)> {
    let name = value.get("name")?.as_str()?.to_owned();
    let version = value.get("version")?.as_str()?.parse().ok()?;
    Some((name, version))
}

fn higher(one: &str, other: &str) -> bool {
    match (one.parse::<Version>(), other.parse::<Version>()) {
        (Ok(one), Ok(other)) => one > other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derived(text: &str) -> BundleConfig {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("rules.yaml");
        fs::write(&path, text).expect("written");
        let mut config = BundleConfig {
            name: "demo".to_owned(),
            version: Version::new(1, 0, 0),
            dependencies: Vec::new(),
            requirements: Vec::new(),
        };
        derive(&[path], &mut config).expect("readable");
        config
    }

    #[test]
    fn an_integer_engine_version_becomes_a_version() {
        for (text, expected) in [("26", "0.26.0"), ("0.31.0", "0.31.0"), ("'17'", "0.17.0")] {
            let config = derived(&format!("- required_engine_version: {text}\n"));
            assert_eq!(config.requirements[0].name, ENGINE);
            assert_eq!(config.requirements[0].version, expected, "{text}");
        }
    }

    #[test]
    fn a_kernel_release_is_a_version() {
        for (release, version) in
            [("6.1.0-13-amd64\n", "6.1.0"), ("5.15", "5.15.0"), ("6.18.0+", "6.18.0")]
        {
            assert_eq!(kernel_version(release).as_deref(), Some(version));
        }
        assert_eq!(kernel_version("next"), None);
        assert!(offered(&BTreeMap::new()).contains_key(KERNEL));
        let given = BTreeMap::from([(KERNEL.to_owned(), "1.0.0".to_owned())]);
        assert_eq!(offered(&given)[KERNEL], "1.0.0", "what is given counts");
    }

    #[test]
    fn the_highest_of_several_counts() {
        let config = derived("- required_engine_version: 9\n- required_engine_version: 0.31.0\n");
        assert_eq!(config.requirements.len(), 1);
        assert_eq!(config.requirements[0].version, "0.31.0");
    }

    #[test]
    fn plugins_become_dependencies_with_alternatives() {
        let config = derived(
            "- required_plugin_versions:\n  - name: k8saudit\n    version: 0.7.0\n    alternatives:\n    - {name: k8saudit-eks, version: 0.4.0}\n  - {name: json, version: 0.7.0}\n",
        );
        let names: Vec<&str> = config.dependencies.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["k8saudit", "json"]);
        assert_eq!(config.dependencies[0].alternatives[0].name, "k8saudit-eks");
    }

    #[test]
    fn what_is_no_rules_file_requires_nothing() {
        for text in ["", "not: a list", "- [", "- required_engine_version: soon\n"] {
            let config = derived(text);
            assert!(config.requirements.is_empty() && config.dependencies.is_empty(), "{text}");
        }
    }
}

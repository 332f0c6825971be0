//! The engine that Falco's configuration names.
//!
//! Only a Falco that runs with a driver is told which: one that runs on plugins alone keeps its
//! engine.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::selection::DriverKind;
use crate::wiring;

/// Falco's configuration file, in its configuration directory.
pub(crate) const CONFIGURATION: &str = "falco.yaml";
/// Largest configuration that is read.
pub(crate) const MAX_CONFIGURATION_BYTES: u64 = 1024 * 1024;
/// Where the kind of engine is written, below the configuration directory.
const FRAGMENT: [&str; 2] = ["config.d", "engine-kind-falcoctl.yaml"];

/// The kind of engine that a configuration names; the error says what is wrong with its text.
pub(crate) fn kind_in(text: &str) -> Result<Option<String>, String> {
    let tree: Value = serde_saphyr::from_str(text)
        .map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())?;
    Ok(tree["engine"]["kind"].as_str().map(str::to_owned))
}

/// Whether an engine of this kind has a driver.
pub(crate) fn has_driver(kind: &str) -> bool {
    DriverKind::parse(kind).is_some()
}

/// The file that names the kind of engine.
pub(crate) fn fragment(configuration_directory: &Path) -> PathBuf {
    configuration_directory.join(FRAGMENT[0]).join(FRAGMENT[1])
}

/// Writes the file that names the kind of engine, whole or not at all.
pub(crate) fn write(configuration_directory: &Path, kind: DriverKind) -> anyhow::Result<PathBuf> {
    let path = fragment(configuration_directory);
    let folder = path.parent().unwrap_or(configuration_directory);
    fs::create_dir_all(folder).map_err(|error| wiring::storage("create", folder, &error))?;
    eyas_ops::replace_file(&path, format!("engine:\n  kind: {kind}\n").as_bytes())?;
    Ok(path)
}

/// The text of a configuration with another kind of engine; `None` where it names none. Comments and
/// everything else stay.
pub(crate) fn with_kind(text: &str, kind: DriverKind) -> Option<String> {
    let mut inside = false;
    let mut done = false;
    let mut lines: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        let body = line.trim_start();
        let indented = body.len() < line.len();
        if !indented && !body.is_empty() && !body.starts_with('#') {
            inside = body.starts_with("engine:");
        }
        if inside && indented && !done && body.starts_with("kind:") {
            done = true;
            let indent = &line[..line.len() - body.len()];
            let comment = body.find(" #").map_or("", |at| &body[at..]).trim_end();
            lines.push(format!("{indent}kind: {kind}{comment}\n"));
        } else {
            lines.push(line.to_owned());
        }
    }
    done.then(|| lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Falco\nrules_files: [a]\nengine:\n  # which\n  kind: kmod # here\n  kmod:\n    kind: x\nother:\n  kind: y\n";

    #[test]
    fn the_kind_is_read() {
        assert_eq!(kind_in(TEXT).expect("valid").as_deref(), Some("kmod"));
        assert_eq!(
            kind_in("engine: {kind: nodriver}\n").expect("valid").as_deref(),
            Some("nodriver")
        );
        assert_eq!(kind_in("other: 1\n").expect("valid"), None);
        assert!(kind_in("engine: [").is_err());
    }

    #[test]
    fn only_engines_with_a_driver_have_one() {
        assert!(has_driver("kmod") && has_driver("modern_ebpf"));
        assert!(!has_driver("nodriver") && !has_driver("gvisor") && !has_driver("replay"));
    }

    #[test]
    fn the_fragment_replaces_an_older_one() {
        let folder = tempfile::tempdir().expect("folder");
        for kind in [DriverKind::Kmod, DriverKind::ModernEbpf] {
            let path = write(folder.path(), kind).expect("written");
            let text = fs::read_to_string(&path).expect("text");
            assert_eq!(text, format!("engine:\n  kind: {kind}\n"));
            assert_eq!(path, folder.path().join("config.d/engine-kind-falcoctl.yaml"));
        }
        assert_eq!(fs::read_dir(folder.path().join("config.d")).expect("folder").count(), 1);
    }

    #[test]
    fn one_line_of_a_configuration_changes() {
        let changed = with_kind(TEXT, DriverKind::ModernEbpf).expect("it names one");
        assert_eq!(changed, TEXT.replace("kind: kmod #", "kind: modern_ebpf #"));
        assert_eq!(kind_in(&changed).expect("valid").as_deref(), Some("modern_ebpf"));
        assert_eq!(with_kind("engine: {kind: kmod}\n", DriverKind::Kmod), None);
        assert_eq!(with_kind("", DriverKind::Kmod), None);
    }
}

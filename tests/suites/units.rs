//! The units for systemd, held against systemd's own checks. Nothing is installed or started.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use eyas_tests::{skip, workspace_root};

/// Exposure that a service may have at most, in tenths, as `systemd-analyze security` counts it.
const MOST_EXPOSED: &str = "50";

/// Copies of the units whose programs are ones that are here.
fn units(folder: &tempfile::TempDir) -> Vec<PathBuf> {
    let shipped = fs::read_dir(workspace_root().join("docs/systemd")).expect("the units");
    let mut units: Vec<PathBuf> = shipped
        .map(|entry| entry.expect("a unit").path())
        .filter(|path| path.extension().is_some_and(|end| end == "service" || end == "socket"))
        .map(|unit| {
            let text = fs::read_to_string(&unit).expect("a unit");
            let text =
                text.replace("/usr/bin/eyasd", "/bin/true").replace("/usr/bin/eyas", "/bin/true");
            let copy = folder.path().join(unit.file_name().expect("a name"));
            fs::write(&copy, text).expect("a copy");
            copy
        })
        .collect();
    units.sort();
    assert_eq!(units.len(), 3, "{units:?}");
    units
}

fn analyze(name: &str) -> Option<Command> {
    let there = Command::new("systemd-analyze").arg("--version").output();
    if !there.is_ok_and(|ended| ended.status.success()) {
        skip(name, "systemd-analyze is not installed");
        return None;
    }
    Some(Command::new("systemd-analyze"))
}

#[test]
fn units_are_what_systemd_expects() {
    let Some(mut command) = analyze("units_are_what_systemd_expects") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let ended = command.arg("verify").args(units(&folder)).output().expect("it runs");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{said}");
    // What is not known, or of no use, is only said.
    assert!(!said.contains(&folder.path().display().to_string()), "{said}");
}

#[test]
fn services_are_confined() {
    let Some(_) = analyze("services_are_confined") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for unit in
        units(&folder).iter().filter(|unit| unit.extension().is_some_and(|end| end == "service"))
    {
        let ended = Command::new("systemd-analyze")
            .args(["security", "--offline=yes", &format!("--threshold={MOST_EXPOSED}")])
            .arg(unit)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(ended.status.success(), "{}: {said}", unit.display());
    }
}

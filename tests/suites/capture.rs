//! Captures as people use them: printed, counted, described by `eyas`, judged by `eyasd`.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;

use eyas_tests::{Finished, eyas, eyasd, run, shared, skip};
use serde_json::Value;

/// The recorded workload of processes, if it is there.
fn processes(test: &str) -> Option<PathBuf> {
    let found = shared("captures/rec-proc.scap");
    if found.is_none() {
        skip(test, "the captures are not there (set EYAS_SHARED)");
    }
    found
}

fn capture(words: &[&str]) -> Finished {
    run(Command::new(eyas()).arg("capture").args(words))
}

#[test]
fn a_capture_is_described_counted_and_printed() {
    let Some(path) = processes("a_capture_is_described_counted_and_printed") else { return };
    let file = path.to_str().expect("UTF-8");
    let info: Value =
        serde_json::from_str(&capture(&["info", file, "--output", "json"]).expect_code(0).stdout)
            .expect("a document");
    assert_eq!(info["kind"], "capture.info");
    assert_eq!(info["machine"]["hostname"], "rec-host");
    assert_eq!(info["compressed"], true);

    let counted = capture(&["read", file, "--count", "--output", "json"]);
    let counted: Value = serde_json::from_str(&counted.expect_code(0).stdout).expect("a document");
    let sum: u64 = counted["types"]
        .as_object()
        .expect("types")
        .values()
        .map(|count| count.as_u64().expect("a number"))
        .sum();
    assert_eq!((&counted["events"], sum), (&4057.into(), 4057));

    let filter = ["evt.type", "=", "execve", "and", "proc.name", "=", "sleep"];
    let lines = capture(&[&["read", file, "-p", "%proc.name %evt.type"], &filter[..]].concat());
    let lines = &lines.expect_code(0).stdout;
    assert!(lines.lines().count() > 0 && lines.lines().all(|line| line == "sleep execve"));
    for json in [&["-j"][..], &["--output", "json"]] {
        let line = capture(&[&["read", file, "-n", "1"], json].concat());
        let event: Value =
            serde_json::from_str(line.expect_code(0).stdout.trim()).expect("one object");
        assert_eq!(event["proc.name"], "sleep", "{json:?}");
    }
}

#[test]
fn what_is_wrong_with_a_capture_is_told_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("text.scap");
    std::fs::write(&path, "no capture at all, but long enough for a header").expect("a file");
    let file = path.to_str().expect("UTF-8");
    let refused = capture(&["read", file]);
    refused.expect_code(1);
    assert!(refused.stdout.is_empty() && refused.stderr.contains(file), "{}", refused.stderr);
    let refused = capture(&["read", file, "no.such", "=", "1"]);
    refused.expect_code(2);
    assert!(refused.stderr.contains("no.such"), "{}", refused.stderr);
    let absent = capture(&["info", "/nowhere/trace.scap"]);
    assert_ne!(absent.code(), 0);
    assert!(absent.stderr.contains("/nowhere/trace.scap"), "{}", absent.stderr);
}

#[test]
fn rules_judge_a_capture_as_they_judge_what_happens() {
    let test = "rules_judge_a_capture_as_they_judge_what_happens";
    let (Some(path), Some(rules)) = (processes(test), shared("upstream-rules/falco_rules.yaml"))
    else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let replay = |path: &std::path::Path| {
        run(Command::new(eyasd())
            .args(["--replay".as_ref(), path.as_os_str(), "--rules".as_ref(), rules.as_os_str()])
            .args(["-o", "json_output=true", "--store"])
            .arg(folder.path().join("store")))
    };
    let whole = replay(&path);
    whole.expect_code(0);
    let alerts: Vec<Value> =
        whole.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(!alerts.is_empty(), "{}", whole.stderr);
    assert!(alerts.iter().all(|alert| alert["hostname"] == "rec-host"), "{alerts:?}");

    // What comes before damage is judged, and the damage is an error.
    let bytes = std::fs::read(&path).expect("the capture");
    let cut = folder.path().join("cut.scap");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).expect("a file");
    let damaged = replay(&cut);
    assert_ne!(damaged.code(), 0);
    assert!(damaged.stderr.contains("cut.scap"), "{}", damaged.stderr);
}

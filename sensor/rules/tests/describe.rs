//! Descriptions: one recorded whole, and those of the upstream files against what is known of them.
//!
//! The latter live outside the repository, in the folder that `EYAS_SHARED` names (default:
//! `shared` beside the workspace). With `EYAS_BLESS=1` the record is written anew.
#![expect(clippy::unwrap_used, reason = "what cannot be read stops the test")]
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use eyas_rules::describe::{describe, describe_rule};
use eyas_rules::{EngineOptions, LoadOutcome, SourceFile, load};
use serde_json::Value;

fn shared() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    std::env::var_os("EYAS_SHARED").map_or(beside, PathBuf::from)
}

fn loaded(path: &Path) -> Option<LoadOutcome> {
    let text = fs::read_to_string(path).ok()?;
    let name = path.file_name()?.to_string_lossy().into_owned();
    Some(load(&[SourceFile { name, text }], &EngineOptions::default()))
}

#[test]
fn a_small_file_is_described_as_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/describe");
    let outcome = loaded(&folder.join("small.yaml")).unwrap();
    let found = format!("{:#}\n", describe(&outcome, &EngineOptions::default()));
    let record = folder.join("small.json");
    if std::env::var_os("EYAS_BLESS").is_some() {
        fs::write(&record, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&record).unwrap_or_default());
}

#[test]
fn one_rule_is_described_alone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/describe");
    let outcome = loaded(&folder.join("small.yaml")).unwrap();
    let options = EngineOptions::default();
    let one = describe_rule(&outcome, &options, "Shell opens a file").unwrap();
    assert_eq!(one["rules"][0], describe(&outcome, &options)["rules"][0]);
    assert_eq!(one.as_object().unwrap().len(), 1);
    assert_eq!(describe_rule(&outcome, &options, "No such rule"), None);
}

fn set(json: &Value) -> BTreeSet<String> {
    let texts = json.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned());
    texts.collect()
}

#[test]
fn upstream_rules_are_described_as_they_are_known() {
    let usage = shared().join("reference/upstream-rules-usage.json");
    let Ok(usage) = fs::read_to_string(&usage) else {
        eprintln!("SKIPPED: no `{}`; set EYAS_SHARED", usage.display());
        return;
    };
    let usage: Value = serde_json::from_str(&usage).unwrap();
    let mut compared = 0;
    for (name, file) in usage["files"].as_object().unwrap() {
        // The usage file also counts files that are not among the inputs.
        let Some(outcome) = loaded(&shared().join("upstream-rules").join(name)) else { continue };
        for known in file["rule_details"].as_array().unwrap() {
            let rule = known["rule"].as_str().unwrap();
            let found = describe_rule(&outcome, &EngineOptions::default(), rule).unwrap();
            let (info, details) = (&found["rules"][0]["info"], &found["rules"][0]["details"]);
            assert_eq!(set(&info["tags"]), set(&known["tags"]), "{rule}");
            assert_eq!(info["source"], known["source"], "{rule}");
            assert_eq!(set(&details["condition_fields"]), set(&known["fields"]), "{rule}");
            assert_eq!(set(&details["condition_operators"]), set(&known["operators"]), "{rule}");
            let mut events = set(&details["events"]);
            events.remove("asyncevent");
            if let Some(indexed) = known["indexed_evt_types"].as_array() {
                assert_eq!(events, set(&Value::Array(indexed.clone())), "{rule}");
            }
            compared += 1;
        }
    }
    assert!(compared > 50, "only {compared} rules compared");
}

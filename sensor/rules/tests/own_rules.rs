//! The detections of this repository: they load, do what their cases say, and say where they belong.
#![expect(clippy::unwrap_used, reason = "what cannot be read stops the test")]
use std::fs;
use std::path::Path;

use eyas_rules::trial::{self, Outcome};
use eyas_rules::{EngineOptions, Severity, SourceFile, load};

/// Fewest detections that are published.
const FEWEST: usize = 40;

fn file(name: &str) -> SourceFile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules/eyas-rules").join(name);
    SourceFile { name: name.to_owned(), text: fs::read_to_string(path).unwrap() }
}

#[test]
fn every_detection_matches_one_case_and_misses_another() {
    let outcome = load(&[file("eyas-rules.yaml")], &trial::options());
    let rules = outcome.rule_set.unwrap();
    let Outcome { cases, failures, coverage } = trial::run(
        &rules,
        &trial::read(&file("eyas-rules.cases")).unwrap(),
        &mut trial::NoCaptures,
    );
    assert_eq!(failures, []);
    assert!(coverage.rules >= FEWEST && cases >= 2 * coverage.rules, "{cases} {coverage:?}");
    assert_eq!(coverage.without_match, Vec::<String>::new());
    assert_eq!(coverage.without_miss, Vec::<String>::new());
}

#[test]
fn every_detection_has_a_maturity_and_a_technique() {
    let outcome = load(&[file("eyas-rules.yaml")], &EngineOptions::default());
    let told: Vec<_> =
        outcome.reports.iter().filter(|one| one.severity != Severity::Lint).collect();
    assert_eq!(told, Vec::<&eyas_rules::Report>::new());
    for rule in &outcome.collection.rules {
        let has = |wanted: fn(&str) -> bool| rule.tags.iter().any(|tag| wanted(tag));
        let maturities = ["maturity_stable", "maturity_incubating", "maturity_sandbox"];
        assert!(maturities.iter().any(|one| rule.tags.contains(*one)), "{}", rule.header.name);
        assert!(
            has(|tag| tag.starts_with('T') && tag[1..].starts_with('1')),
            "{}",
            rule.header.name
        );
        assert!(has(|tag| matches!(tag, "host" | "container")), "{}", rule.header.name);
    }
}

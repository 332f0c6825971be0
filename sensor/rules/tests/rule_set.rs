//! Rule sets as a whole: which rules an event meets, which matches count, what an alert says.
#![expect(clippy::unwrap_used, reason = "a helper of a test that fails ends the test")]

use eyas_rules::check::{Scope, check};
use eyas_rules::eval::{Matching, Rule, RuleId, RuleSet, RuleSetBuilder, RuleSetOptions, Scratch};
use eyas_rules::fields::{GivenFacts, StaticFields};
use eyas_rules::format::{AppendOutput, FieldJson, RuleOutput, RuleView};
use eyas_rules::index::{rule_codes, system_calls};
use eyas_rules::syntax::{Limits, parse};
use serde_json::{Value, json};

/// Adds a rule named by its condition.
fn add(builder: &mut RuleSetBuilder, condition: &str, enabled: bool) {
    let statics = StaticFields::new();
    let scope = Scope { source: "syscall", statics: &statics };
    let expr = parse(condition, Limits::filter()).unwrap();
    let view = RuleView { name: condition, source: "syscall", tags: &[] };
    let output = RuleOutput::compile(view, "%proc.name did it", &[], scope).unwrap();
    let rule = Rule {
        name: condition.into(),
        description: String::new(),
        priority: "Notice",
        source: "syscall".into(),
        tags: ["t".to_owned()].into(),
        enabled,
        capture: false,
        capture_duration: 0,
    };
    let (codes, calls) = (rule_codes(&expr, "syscall").unwrap(), system_calls(&expr).unwrap());
    builder.add(rule, &check(&expr, scope).unwrap().ir, output, codes, calls);
}

fn set(matching: Matching, conditions: &[&str]) -> RuleSet {
    let mut builder = RuleSetBuilder::new(RuleSetOptions { matching, ..RuleSetOptions::default() });
    for condition in conditions {
        add(&mut builder, condition, true);
    }
    builder.build()
}

fn facts(given: &Value) -> GivenFacts {
    let map = given.as_object().unwrap();
    GivenFacts::new(map.iter().map(|(key, value)| (key.as_str(), value))).unwrap()
}

fn open(name: &str) -> GivenFacts {
    facts(&json!({ "evt.type": "openat", "proc.name": name, "evt.rawtime": 9 }))
}

#[test]
fn first_stops_and_all_goes_on_in_order_of_definition() {
    let conditions = ["evt.type = close", "proc.name = cat", "evt.type = openat", "proc.pid > 0"];
    let mut scratch = Scratch::new();
    let first = set(Matching::First, &conditions);
    assert_eq!(first.eval(&open("cat"), &mut scratch), [RuleId(1)]);
    assert_eq!(first.eval(&open("dog"), &mut scratch), [RuleId(2)]);
    let all = set(Matching::All, &conditions);
    assert_eq!(all.eval(&open("cat"), &mut scratch), [RuleId(1), RuleId(2)]);
    assert!(all.eval(&facts(&json!({ "evt.type": "mmap" })), &mut scratch).is_empty());
}

#[test]
fn one_scratch_serves_any_set() {
    let mut scratch = Scratch::new();
    let cat = set(Matching::First, &["proc.name = cat or proc.name = cat and proc.pid > 1"]);
    let dog = set(Matching::First, &["proc.name = dog", "proc.name = dog and proc.pid > 1"]);
    for _ in 0..3 {
        assert_eq!(cat.eval(&open("cat"), &mut scratch).len(), 1);
        assert_eq!(dog.eval(&open("cat"), &mut scratch).len(), 0);
        assert_eq!(dog.eval(&open("dog"), &mut scratch).len(), 1);
        assert_eq!(cat.eval(&open("dog"), &mut scratch).len(), 0);
    }
}

#[test]
fn rules_that_are_not_enabled_are_listed_only() {
    let mut builder = RuleSetBuilder::new(RuleSetOptions::default());
    add(&mut builder, "evt.type = openat", false);
    add(&mut builder, "evt.type in (openat, setuid)", true);
    let set = builder.build();
    assert_eq!(set.eval(&open("cat"), &mut Scratch::new()), [RuleId(1)]);
    assert_eq!(set.rules().len(), 2);
    assert!(!set.rule(RuleId(0)).unwrap().enabled);
    assert!(set.rule(RuleId(2)).is_none());
}

#[test]
fn what_must_be_captured_follows_from_the_enabled_rules() {
    let mut builder = RuleSetBuilder::new(RuleSetOptions::default());
    add(&mut builder, "evt.type = close", false);
    add(&mut builder, "evt.type in (openat, setuid, procexit)", true);
    let set = builder.build();
    let needed: Vec<_> = set.syscalls_needed().into_iter().collect();
    assert_eq!(needed, ["openat", "setuid"]);
    let codes = set.event_codes();
    assert!(codes.contains(307) && codes.contains(186) && !codes.contains(5));
}

#[test]
fn an_alert_has_the_message_and_the_fields() {
    let set = set(Matching::First, &["evt.type = openat"]);
    let alert = set.alert(RuleId(0), &open("cat")).unwrap();
    assert_eq!(&*alert.rule, "evt.type = openat");
    assert_eq!(
        (alert.priority, &*alert.source, &*alert.tags),
        ("Notice", "syscall", &["t".to_owned()][..])
    );
    assert_eq!(alert.message, "cat did it");
    let name = FieldJson::Text(b"cat".to_vec());
    assert_eq!(
        alert.output_fields,
        [("evt.time".to_owned(), FieldJson::Uint(9)), ("proc.name".to_owned(), name)]
    );
    assert!(set.alert(RuleId(1), &open("cat")).is_none());
}

#[test]
fn bytes_that_are_no_text_reach_the_alert_as_replacement_characters() {
    let set = set(Matching::First, &["evt.type = openat"]);
    let facts = facts(&json!({ "evt.type": "openat", "proc.name": { "hex": "61ff62" } }));
    let alert = set.alert(RuleId(0), &facts).unwrap();
    assert_eq!(alert.message, "a\u{fffd}b did it");
    let json = serde_json::to_string(&alert.output_fields[1].1).unwrap();
    assert_eq!(json, "\"a\u{fffd}b\"");
    assert_eq!(alert.output_fields[0].1, FieldJson::Null, "no time is known");
}

#[test]
fn appended_output_is_part_of_the_message() {
    let statics = StaticFields::new();
    let scope = Scope { source: "syscall", statics: &statics };
    let view = RuleView { name: "r", source: "syscall", tags: &[] };
    let entries = [AppendOutput::suggested()];
    let output = RuleOutput::compile(view, "x", &entries, scope).unwrap();
    assert!(output.text().starts_with("x container_id=%container.id container_name="));
    assert!(RuleOutput::compile(view, "x %no.field", &entries, scope).is_err());
}

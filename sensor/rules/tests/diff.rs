//! Differences between sets of rules files: every key, no noise, and nothing lost.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use eyas_rules::SourceFile;
use eyas_rules::diff::{Change, RuleDiff, diff};
use proptest::prelude::*;

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.to_owned(), text: text.to_owned() }
}

fn between(old: &str, new: &str) -> RuleDiff {
    diff(&[file("rules.yaml", old)], &[file("rules.yaml", new)])
}

const BASE: &str = "\
- required_engine_version: 0.31.0
- list: shells
  items: [sh, bash]
- macro: shell
  condition: proc.name in (shells)
- rule: A shell
  desc: A shell was started
  condition: evt.type = execve and shell
  output: Shell (command=%proc.cmdline)
  priority: NOTICE
  tags: [host]
  exceptions:
    - name: known
      fields: [proc.name, proc.pname]
      comps: [=, =]
      values:
        - [sh, cron]
";

#[test]
fn how_it_is_written_is_no_difference() {
    let other = "\
# A comment.
- required_engine_version: 0.31.0
- rule: A shell
  desc: >-
    A shell
    was started
  condition: >
    evt.type = execve
    and   shell
  output: Shell (command=%proc.cmdline)
  priority: notice
  tags: [host]
  exceptions:
    - {name: known, fields: [proc.name, proc.pname], comps: [=, =], values: [[sh, cron]]}
";
    let lists = "- list: shells\n  items:\n    - bash\n    - sh\n- macro: shell\n  condition: proc.name in (shells)\n";
    let found = diff(&[file("one.yaml", BASE)], &[file("a.yaml", lists), file("b.yaml", other)]);
    assert!(found.is_empty(), "{found}");
    assert_eq!(found.summary(), "no rule, macro or list differs");
    assert_eq!(found.to_string(), "");
}

#[test]
fn each_key_is_told() {
    let cases = [
        ("NOTICE", "WARNING", "priority", "Notice", "Warning"),
        ("A shell was started", "A shell", "desc", "A shell was started", "A shell"),
        (
            "= execve and",
            "= execveat and",
            "condition",
            "evt.type = execve and shell",
            "evt.type = execveat and shell",
        ),
        (
            "Shell (c",
            "shell (c",
            "output",
            "Shell (command=%proc.cmdline)",
            "shell (command=%proc.cmdline)",
        ),
        ("  tags: [host]", "  tags: [host]\n  enabled: false", "enabled", "true", "false"),
        ("  tags: [host]", "  tags: [host]\n  capture: true", "capture", "false", "true"),
    ];
    for (from, to, field, old, new) in cases {
        let found = between(BASE, &BASE.replace(from, to));
        assert_eq!(found.rules.changed.len(), 1, "{field}: {found}");
        let expected = Change {
            field: field.to_owned(),
            old: Some(old.to_owned()),
            new: Some(new.to_owned()),
            ..Change::default()
        };
        assert_eq!(found.rules.changed[0].changes, [expected], "{field}");
        assert_eq!(found.summary(), "1 rule changed");
    }
}

#[test]
fn sets_are_compared_by_member() {
    let found = between(BASE, &BASE.replace("[sh, bash]", "[sh, zsh]"));
    let change = &found.lists.changed[0].changes[0];
    assert_eq!(
        (change.added.as_slice(), change.removed.as_slice()),
        (&["zsh".to_owned()][..], &["bash".to_owned()][..])
    );
    assert_eq!(found.to_string(), "~ list shells\n    items: -bash +zsh\n");
    let found = between(BASE, &BASE.replace("[sh, cron]", "[sh, at]"));
    let change = &found.rules.changed[0].changes[0];
    assert_eq!(change.field, "exceptions.known.values");
    assert_eq!(change.added, ["(sh, at)"]);
    let found = between(BASE, &BASE.replace("name: known", "name: other"));
    assert_eq!(found.to_string(), "~ rule A shell\n    exceptions: -known +other\n");
}

#[test]
fn what_comes_and_goes_is_named() {
    let new =
        "- rule: Another\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n";
    let found = between(BASE, new);
    assert_eq!(found.rules.added, ["Another"]);
    assert_eq!(found.rules.removed, ["A shell"]);
    assert_eq!(
        found.summary(),
        "1 rule added, 1 removed; 1 macro removed; 1 list removed; requirements changed"
    );
    let text = found.to_string();
    assert!(text.contains("+ rule Another\n") && text.contains("- list shells\n"), "{text}");
    assert!(text.contains("~ required_engine_version: 0.31.0 -> none\n"), "{text}");
}

#[test]
fn appends_and_overrides_count_as_what_they_make() {
    let more = "- list: shells\n  items: [zsh]\n  override: {items: append}\n- rule: A shell\n  enabled: false\n  override: {enabled: replace}\n";
    let found = diff(&[file("a.yaml", BASE)], &[file("a.yaml", BASE), file("b.yaml", more)]);
    assert_eq!(found.summary(), "1 rule changed; 1 list changed");
    assert_eq!(found.rules.changed[0].changes[0].field, "enabled");
    assert_eq!(found.lists.changed[0].changes[0].added, ["zsh"]);
}

#[test]
fn what_cannot_be_read_is_said_beside_the_rest() {
    let found = diff(&[file("old.yaml", BASE)], &[file("new.yaml", BASE), file("bad.yaml", "- [")]);
    assert!(found.is_empty());
    assert_eq!(found.problems.len(), 1);
    assert_eq!(found.problems[0].file, "bad.yaml");
    assert!(found.summary().contains("1 not comparable"), "{}", found.summary());
    assert!(found.to_string().starts_with("! new bad.yaml: "), "{found}");
    let refused = between(BASE, "- rule: Half\n  desc: d\n");
    assert_eq!(refused.problems.len(), 1, "{refused}");
}

proptest! {
    #[test]
    fn a_set_does_not_differ_from_itself_and_sides_mirror(
        one in proptest::collection::btree_map("[a-c]", "[x-z]{1,2}", 0..4),
        other in proptest::collection::btree_map("[a-c]", "[x-z]{1,2}", 0..4),
    ) {
        let text = |lists: &std::collections::BTreeMap<String, String>| {
            lists.iter().map(|(name, item)| format!("- list: {name}\n  items: [{item}]\n")).collect::<Vec<_>>().concat()
        };
        let (one, other) = (text(&one), text(&other));
        prop_assert!(between(&one, &one).is_empty());
        let (there, back) = (between(&one, &other), between(&other, &one));
        prop_assert_eq!(&there.lists.added, &back.lists.removed);
        prop_assert_eq!(&there.lists.removed, &back.lists.added);
        prop_assert_eq!(there.lists.changed.len(), back.lists.changed.len());
        prop_assert_eq!(there.is_empty(), one == other);
    }
}

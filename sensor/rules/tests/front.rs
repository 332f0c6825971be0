//! Properties of the front of the language, on generated input: nothing panics, printing and
//! parsing agree, merging does not depend on how items are spread over files.
use eyas_rules::syntax::ast::{Expr, TextId};
use eyas_rules::syntax::{Limits, canonical, parse, readable, unquote};
use eyas_rules::{EngineOptions, LoadOutcome, SourceFile, load};
use proptest::prelude::*;

/// Words that conditions are made of, so that generated ones get far into the grammar.
const WORDS: &[&str] = &[
    "and",
    "or",
    "not",
    "(",
    ")",
    ",",
    "=",
    "==",
    "!=",
    "<",
    ">=",
    "in",
    "intersects",
    "pmatch",
    "contains",
    "startswith",
    "regex",
    "exists",
    "oneof",
    "anyof",
    "allof",
    "a",
    "macro_b",
    "evt.type",
    "proc.name",
    "proc.aname[1]",
    "fd.name[\"x y\"]",
    "open",
    "1",
    "-1.5e+3",
    "0x1F",
    "\"a b\"",
    "'c\\'d'",
    "\"\\x00\"",
    "tolower(",
    "val(",
    "join(\",\", (",
    "getopt(proc.args, \"a:\")[a]",
    "é",
    "\\",
    "\"",
    "[",
    "]",
    "<NA>",
    "\t",
    "\n",
];

fn soup() -> impl Strategy<Value = String> {
    let word = prop_oneof![8 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => ".{0,3}"];
    prop::collection::vec((word, prop::bool::weighted(0.8)), 0..24).prop_map(|words| {
        let spaced = |(word, blank): (String, bool)| word + if blank { " " } else { "" };
        words.into_iter().map(spaced).collect()
    })
}

/// A value as text of a condition, in quotes where it needs them.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9/*._-]{1,8}",
        "[ -~]{0,8}".prop_map(|text| format!("\"{}\"", escaped(&text))),
        Just("\"\\xff\\x00\\t\"".to_owned()),
    ]
}

/// Hexadecimal for the backslash: a quote behind a backslash would not end the text.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\x5c").replace('"', "\\\"")
}

fn check() -> impl Strategy<Value = String> {
    let left =
        prop::sample::select(&["proc.name", "fd.name", "proc.aname[2]", "tolower(proc.name)"][..]);
    let op = prop::sample::select(&["=", "!=", "contains", "startswith", "glob"][..]);
    let list = || prop::collection::vec(value(), 0..4).prop_map(|values| values.join(", "));
    prop_oneof![
        (left.clone(), op.clone(), value()).prop_map(|(l, o, v)| format!("{l} {o} {v}")),
        (left.clone(), list()).prop_map(|(l, v)| format!("{l} in ({v})")),
        (left.clone(), op, list()).prop_map(|(l, o, v)| format!("{l} {o} anyof ({v})")),
        left.prop_map(|l| format!("{l} exists")),
        Just("some_macro".to_owned()),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    check().prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("({})", parts.join(" and "))),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|part| format!("not ({part})")),
        ]
    })
}

fn tree(text: &str) -> Option<Expr> {
    parse(text, Limits::rule(TextId(7))).ok()
}

fn loaded(texts: &[String]) -> LoadOutcome {
    let named =
        |(n, text): (usize, &String)| SourceFile { name: format!("{n}.yaml"), text: text.clone() };
    let files: Vec<SourceFile> = texts.iter().enumerate().map(named).collect();
    load(&files, &EngineOptions::default())
}

fn conditions(outcome: &LoadOutcome) -> Vec<String> {
    outcome.rules.iter().map(load::CompiledRule::condition).collect()
}

/// Items that define, append to and replace two lists, a macro and a rule; all valid in any order
/// that begins with the definitions.
fn change() -> impl Strategy<Value = String> {
    let name = "[a-j]{1,4}";
    prop_oneof![
        name.prop_map(|n| format!("- {{list: l, items: [{n}], override: {{items: append}}}}\n")),
        name.prop_map(|n| format!("- {{list: l, items: [{n}, k]}}\n")),
        name.prop_map(|n| format!("- {{list: k, items: [{n}], override: {{items: replace}}}}\n")),
        name.prop_map(|n| format!(
            "- {{macro: m, condition: or proc.name = {n}, override: {{condition: append}}}}\n"
        )),
        name.prop_map(|n| format!(
            "- {{rule: r, condition: and proc.name != {n}, override: {{condition: append}}}}\n"
        )),
        name.prop_map(|n| format!(
            "- {{rule: r, exceptions: [{{name: e, values: [{n}]}}], override: {{exceptions: append}}}}\n"
        )),
    ]
}

const BASE: &str = "- {list: l, items: [a]}\n\
    - {list: k, items: [b]}\n\
    - {macro: m, condition: proc.name in (l)}\n\
    - {rule: r, desc: d, condition: evt.type = open and m, output: o, priority: INFO, \
      exceptions: [{name: e, fields: proc.pname}]}\n";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsing_never_panics_and_errors_point_into_the_text(text in soup()) {
        if let Err(error) = parse(&text, Limits::filter()) {
            prop_assert!(error.offset <= text.len());
            prop_assert!(text.is_char_boundary(error.offset));
        }
    }

    #[test]
    fn what_parses_is_printed_so_that_it_parses_again(text in prop_oneof![soup(), condition()]) {
        if let Some(first) = tree(&text) {
            let printed = readable(&first);
            let again = tree(&printed);
            prop_assert!(again.is_some(), "{printed}");
            let again = again.unwrap_or(first.clone());
            prop_assert_eq!(canonical(&again), canonical(&first));
            prop_assert_eq!(readable(&again), printed);
        }
    }

    #[test]
    fn generated_conditions_are_of_the_language(text in condition()) {
        prop_assert!(tree(&text).is_some(), "{text}");
    }

    #[test]
    fn quoting_keeps_every_text(text in "\\PC{0,20}") {
        let quoted = format!("\"{}\"", escaped(&text));
        prop_assert_eq!(unquote(&quoted).ok(), Some(text.into_bytes()));
    }

    #[test]
    fn loading_never_panics_and_places_are_in_the_file(
        text in "([-\\[\\]{}:,>|&*#'\" \na-z]|- rule: a\n  |condition: evt.type = open\n  |- list: l\n  items: ){0,30}",
    ) {
        let outcome = loaded(std::slice::from_ref(&text));
        for report in &outcome.reports {
            let place = report.place.unwrap_or_default();
            prop_assert!(place.start.offset as usize <= text.len() && place.start.offset <= place.end.offset);
        }
        prop_assert_eq!(outcome.rule_set.is_some(), outcome.results.iter().all(|r| r.successful));
    }

    #[test]
    fn a_condition_loads_or_is_refused_without_a_panic(condition in prop_oneof![soup(), condition()]) {
        let quoted = condition.replace('\'', "''");
        let rule = format!("- {{rule: r, desc: d, output: o, priority: INFO, condition: '{quoted}'}}\n");
        let outcome = loaded(&[rule]);
        prop_assert_eq!(outcome.results.len(), 1);
    }

    #[test]
    fn merging_does_not_depend_on_how_items_are_spread_over_files(
        changes in prop::collection::vec(change(), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let whole = loaded(&[format!("{BASE}{}", changes.concat())]);
        let mut parts = vec![BASE.to_owned()];
        for (n, change) in changes.iter().enumerate() {
            if cuts.iter().any(|cut| cut.index(changes.len()) == n) {
                parts.push(String::new());
            }
            if let Some(last) = parts.last_mut() {
                last.push_str(change);
            }
        }
        let spread = loaded(&parts);
        prop_assert_eq!(conditions(&whole), conditions(&spread));
        prop_assert_eq!(conditions(&whole).len(), 1, "{:?}", whole.reports);
    }

    #[test]
    fn a_list_means_its_items(values in prop::collection::vec("[a-j]{1,6}", 0..6)) {
        let items = values.join(", ");
        let by_name = format!("{BASE}- {{list: zz-list, items: [{items}]}}\n\
            - {{rule: q, desc: d, condition: evt.type = open and fd.name in (zz-list), output: o, priority: INFO}}\n");
        let written = format!("{BASE}\
            - {{rule: q, desc: d, condition: 'evt.type = open and fd.name in ({items})', output: o, priority: INFO}}\n");
        prop_assert_eq!(conditions(&loaded(&[by_name])), conditions(&loaded(&[written])));
    }
}

//! Rules files by examples: what the documented result says of them, step by step, and what becomes
//! of lists, exceptions and outputs.
use eyas_rules::ask::answer;
use serde_json::{Value, json};

const RULE: &str =
    "- rule: r\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n";

fn load(files: &[String]) -> Value {
    answer(json!({ "rules": files }).to_string().as_bytes())
}

fn rule(more: &str) -> String {
    format!("{RULE}{more}")
}

/// The rule with exceptions, each in flow style.
fn excepting(exceptions: &str) -> String {
    rule(&format!("  exceptions: [{exceptions}]\n"))
}

fn problems<'a>(answer: &'a Value, kind: &str) -> Vec<&'a Value> {
    let results = answer["results"].as_array().into_iter().flatten();
    results.flat_map(|result| result[kind].as_array().into_iter().flatten()).collect()
}

fn codes(answer: &Value, kind: &str) -> Vec<String> {
    let short = |problem: &Value| problem["code"].as_str().map(|code| code.replace("LOAD_", ""));
    problems(answer, kind).into_iter().filter_map(short).collect()
}

#[track_caller]
fn condition(text: &str, expected: &str) {
    let answer = load(&[text.to_owned()]);
    assert_eq!(answer["conditions"]["r"], expected, "{text}{answer}");
}

#[test]
fn the_documented_result_ends_at_the_first_error() {
    let unused = "- macro: m\n  condition: evt.type = open\n";
    for (text, errors, warnings) in [
        (format!("{unused}---\na: b\n"), vec!["ERR_YAML_VALIDATE"], vec![]),
        (format!("{unused}- macro: n\n- foo: 1\n"), vec!["ERR_YAML_VALIDATE"], vec![]),
        (format!("- foo: 1\n{unused}- macro: n\n"), vec!["ERR_YAML_VALIDATE"], vec!["UNKNOWN_ITEM"]),
        (
            "- macro: a-b\n  condition: proc.name = x\n- rule: q\n  desc: d\n  condition: x.y = 1\n  \
             output: o\n  priority: INFO\n"
                .to_owned(),
            vec!["ERR_COMPILE_CONDITION"],
            vec!["INVALID_MACRO_NAME"],
        ),
        // The first rule is warned of, the second is wrong, the third is not looked at.
        (
            ["proc.name = x", "no.such = 1", "proc.name = y"]
                .iter()
                .zip(["a", "b", "c"])
                .map(|(condition, name)| {
                    RULE.replace("evt.type = open", condition).replace("rule: r", &format!("rule: {name}"))
                })
                .collect(),
            vec!["ERR_COMPILE_CONDITION"],
            vec!["NO_EVTTYPE"],
        ),
        (unused.to_owned(), vec![], vec!["UNUSED_MACRO"]),
    ] {
        let answer = load(std::slice::from_ref(&text));
        assert_eq!(codes(&answer, "errors"), errors, "{text}{answer}");
        assert_eq!(codes(&answer, "warnings"), warnings, "{text}{answer}");
    }
}

#[test]
fn every_step_to_a_problem_is_named() {
    let item = ["rules content", "rules content item"];
    let in_rule = |more: &[&'static str]| [&item[..], &["rule"], more].concat();
    for (text, steps) in [
        ("a: b\n".to_owned(), vec!["rules content"]),
        ("- a\n".to_owned(), item.to_vec()),
        ("- list: l\n  items: a\n".to_owned(), [&item[..], &["list", "value for"]].concat()),
        (
            "- list: l\n  items: [[a]]\n".to_owned(),
            [&item[..], &["list", "value for", "list item"]].concat(),
        ),
        (
            "- macro: m\n  condition: [a]\n".to_owned(),
            [&item[..], &["macro", "value for"]].concat(),
        ),
        (
            "- macro: m\n  condition: a and\n".to_owned(),
            [&item[..], &["macro", "macro condition", "condition expression"]].concat(),
        ),
        (
            "- required_engine_version: 99\n".to_owned(),
            [&item[..], &["required_engine_version"]].concat(),
        ),
        (
            "- required_plugin_versions: [{name: a, version: 1.0.0, alternatives: [{name: b}]}]\n"
                .to_owned(),
            [
                &item[..],
                &[
                    "required plugin versions",
                    "required plugin versions entry",
                    "required plugin versions alternative",
                ],
            ]
            .concat(),
        ),
        (RULE.replace("INFO", "LOUD"), in_rule(&["rule priority"])),
        (rule("  enabled: perhaps\n"), in_rule(&["value for"])),
        (rule("  tags: [[a]]\n"), in_rule(&["value for", "list item"])),
        (RULE.replace(": o\n", ": '%x.y'\n"), in_rule(&["rule output", "rule output expression"])),
        (
            RULE.replace("evt.type", "evt.tipe"),
            in_rule(&["rule condition", "condition expression"]),
        ),
        (rule("- rule: r\n  override: {desc: x}\n"), in_rule(&["overrides"])),
        (excepting("x"), in_rule(&["exceptions"])),
        (excepting("{name: e}"), in_rule(&["exceptions", "exception"])),
        (
            excepting("{name: e, fields: proc.name, values: x}"),
            in_rule(&["exceptions", "exception", "exception values"]),
        ),
        (
            excepting("{name: e, fields: proc.name, values: [[x]]}"),
            in_rule(&["exceptions", "exception", "exception value"]),
        ),
    ] {
        let answer = load(std::slice::from_ref(&text));
        let errors = problems(&answer, "errors");
        let locations = errors[0]["context"]["locations"].as_array();
        let found: Vec<&str> =
            locations.into_iter().flatten().filter_map(|l| l["item_type"].as_str()).collect();
        assert_eq!(found, steps, "{text}{answer}");
        assert!(errors[0]["context"]["snippet"].as_str().is_some_and(|text| text.ends_with('^')));
    }
}

#[test]
fn a_list_name_is_replaced_with_the_blanks_around_it() {
    let with = |list: &str, condition: &str| {
        format!("- list: l\n  items: [{list}]\n{}", RULE.replace("evt.type = open", condition))
    };
    condition(&with("a", "proc.args = \"x  l  y\""), "proc.args = \"x a y\"");
    condition(&with("a", "proc.args = \"l\""), "proc.args = l");
    condition(&with("a, b", "proc.name in ( l )"), "proc.name in (a, b)");
    condition(&with("a", "proc.name=l"), "proc.name = a");
    condition(&with("", "proc.name in (a , l , b)"), "proc.name in (a, b)");
    condition(&with("", "proc.name in (l)"), "proc.name in ()");
    condition(
        &with("' a', \"'c d'\", e f", "proc.name in (l)"),
        "proc.name in (\" a\", \"c d\", \"e f\")",
    );
    condition(&with("open, close", "evt.type in (l)"), "evt.type in (open, close)");
    condition(&with("proc.name=a", "l and proc.pid = 1"), "(proc.name = a and proc.pid = 1)");
}

#[test]
fn exceptions_become_conditions() {
    for (exceptions, expected) in [
        ("{name: e, fields: proc.name, values: [a, b c]}", "proc.name in (a, \"b c\")"),
        ("{name: e, fields: proc.name, comps: ' in ', values: [a]}", "proc.name in (a)"),
        ("{name: e, fields: proc.name, comps: == anyof, values: [a]}", "proc.name == anyof (a)"),
        ("{name: e, fields: [proc.name], values: [[a], [b]]}", "(proc.name = a or proc.name = b)"),
        ("{name: e, fields: [proc.name], comps: [in], values: [[a]]}", "proc.name in (a)"),
        (
            "{name: e, fields: [proc.name], comps: [in], values: [[[a, b c]]]}",
            "proc.name in (a, \"b c\")",
        ),
        (
            "{name: e, fields: [proc.name], comps: [in], values: [['(a, b)']]}",
            "proc.name in (a, b)",
        ),
        ("{name: e, fields: [proc.name], comps: [in], values: [['(a)']]}", "proc.name in (a)"),
        (
            "{name: e, fields: [proc.name, proc.pid], comps: [=, '>'], values: [[a, 5]]}",
            "(proc.name = a and proc.pid > 5)",
        ),
        (
            "{name: e, fields: [tolower( proc.name)], values: [[val(proc.pname)]]}",
            "tolower(proc.name) = val(proc.pname)",
        ),
        (
            "{name: e, fields: proc.pid, values: []}, {name: f, fields: proc.name, values: [a]}",
            "proc.name in (a)",
        ),
    ] {
        condition(&excepting(exceptions), &format!("(evt.type = open and not {expected})"));
    }
    condition(&excepting("{name: e, fields: proc.name}"), "evt.type = open");
    for (exceptions, code) in [
        ("{name: e, fields: proc.name, comps: =, values: [a]}", "ERR_VALIDATE"),
        ("{name: e, fields: proc.name, comps: startswith  oneof, values: [a]}", "ERR_VALIDATE"),
        ("{name: e, fields: proc.pid, comps: < oneof, values: [1]}", "ERR_VALIDATE"),
        ("{name: e, fields: [proc.name], comps: in, values: [[a]]}", "ERR_VALIDATE"),
        ("{name: e, fields: [proc.name], values: [a]}", "ERR_VALIDATE"),
        ("{name: e, fields: [proc.name, fd.name], values: [[a]]}", "ERR_VALIDATE"),
        ("{name: e, fields: [proc.name], values: [[~]]}", "ERR_VALIDATE"),
        ("{name: e, fields: evt.arg.none, values: [a]}", "ERR_VALIDATE"),
        ("{name: e, fields: [proc.name], comps: [exists], values: [[a]]}", "ERR_COMPILE_CONDITION"),
        ("{name: e, fields: [proc.name], values: [['']]}", "ERR_COMPILE_CONDITION"),
        ("{name: '', fields: proc.name}", "ERR_YAML_VALIDATE"),
        ("{name: e, fields: proc.name, values: a}", "ERR_YAML_VALIDATE"),
    ] {
        let answer = load(&[excepting(exceptions)]);
        assert_eq!(codes(&answer, "errors"), [code], "{exceptions}{answer}");
    }
}

#[test]
fn a_dropped_rule_uses_its_macros() {
    let text = format!(
        "- macro: m\n  condition: no.such = 1\n{}  skip-if-unknown-filter: true\n",
        RULE.replace("evt.type = open", "evt.type = open and m")
    );
    let answer = load(&[text]);
    assert_eq!(codes(&answer, "warnings"), ["UNKNOWN_FILTER"], "{answer}");
}

#[test]
fn outputs_keep_their_blanks_unless_they_are_defined_in_full() {
    let change = |how: &str, text: &str| {
        let later = format!("- rule: r\n  output: '{text}'\n  override: {{output: {how}}}\n");
        load(&[rule(""), later])["outputs"]["r"].clone()
    };
    assert_eq!(load(&[RULE.replace(": o\n", ": '  o '\n")])["outputs"]["r"], "o");
    assert_eq!(change("replace", "  p "), "  p ");
    assert_eq!(change("append", " p "), "o  p ");
    assert_eq!(change("replace", "p %container.info"), "p");
}

#[test]
fn keys_inside_of_items_are_looked_at_too() {
    let text = excepting("{name: e, fields: proc.name, vaules: [a]}");
    let answer = load(&[text]);
    assert_eq!((codes(&answer, "warnings"), &answer["ok"]), (vec![], &json!(true)), "{answer}");
}

#[test]
fn requirements_on_plugins() {
    let one = |name: &str, version: &str| format!("{{name: {name}, version: {version}}}");
    let or = |first: &str, other: &str| {
        format!("{}, alternatives: [{other}]}}", first.trim_end_matches('}'))
    };
    let plugins = json!([{"name": "a", "version": "1.4.0"}, {"name": "b", "version": "2.0.0-rc1"}]);
    for (needs, ok) in [
        (one("a", "1.4.0"), true),
        (one("a", "1.0.0"), true),
        (one("a", "1.4.1"), false),
        (one("a", "0.9.0"), false),
        (one("b", "2.0.0"), true),
        (one("container", "9.9.9"), true),
        (one("x", "1.0.0"), false),
        (or(&one("x", "1.0.0"), &one("a", "1.1.0")), true),
        (or(&one("a", "2.0.0"), &one("b", "2.0.0")), false),
        (or(&one("x", "1.0.0"), &one("container", "0.1.0")), true),
        (or(&one("a", "1.0.0"), &one("a", "1.1.0")), false),
        (format!("{}, {}", one("a", "1.1.0"), one("a", "1.3.0")), true),
        (format!("{}, {}", one("a", "1.1.0"), one("a", "2.3.0")), false),
        (one("a", "1.0"), false),
        (one("a", "1.0.0-beta"), true),
    ] {
        let text = format!("- required_plugin_versions: [{needs}]\n");
        let question = json!({ "rules": [text], "plugins": plugins });
        let answer = answer(question.to_string().as_bytes());
        assert_eq!(answer["ok"], ok, "{needs} {answer}");
        let expected: &[&str] = if ok { &[] } else { &["ERR_VALIDATE"] };
        assert_eq!(codes(&answer, "errors"), expected, "{needs} {answer}");
    }
}

/// What only a rule refers to that is dropped is as unused as the rule's macros.
#[test]
fn lists_of_a_rule_that_is_dropped_for_its_output_are_unused() {
    let lists = "- list: a\n  items: [x]\n- list: b\n  items: [y]\n";
    let kept = RULE.replace("evt.type = open", "evt.type = open and proc.name in (b)");
    let dropped = kept
        .replace("rule: r", "rule: q")
        .replace("(b)", "(a, b)")
        .replace("output: o", "output: '%no.such'\n  skip-if-unknown-filter: true");
    for text in [format!("{lists}{kept}{dropped}"), format!("{lists}{dropped}{kept}")] {
        let answer = load(&[text]);
        assert_eq!(answer["ok"], true, "{answer}");
        let mut told = codes(&answer, "warnings");
        told.sort();
        assert_eq!(told, ["UNKNOWN_FILTER", "UNUSED_LIST"], "{answer}");
        let unused =
            problems(&answer, "warnings").into_iter().find(|one| one["code"] == "LOAD_UNUSED_LIST");
        assert!(
            unused.is_some_and(
                |one| one.to_string().contains("`a`") || one.to_string().contains("\"a\"")
            ),
            "{answer}"
        );
    }
}

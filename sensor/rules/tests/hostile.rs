//! Files made to cost: each is answered, with few reports that can be read. The sizes are such that
//! work by the square of them would not end while anybody waits.
use eyas_rules::report::{Code, MOST};
use eyas_rules::{EngineOptions, LoadOutcome, Severity, SourceFile, load};

const MANY: usize = 20_000;

fn loaded(text: String) -> LoadOutcome {
    let files = [SourceFile { name: "rules.yaml".to_owned(), text }];
    let outcome = load(&files, &EngineOptions::default());
    assert!(outcome.reports.len() <= 2 * MOST + 2, "{} reports", outcome.reports.len());
    for report in &outcome.reports {
        assert!(report.message.chars().count() < 1000, "a message repeats the file");
        assert!(report.locations.iter().all(|location| location.item_name.len() < 1000));
    }
    outcome
}

/// The code of the first error.
fn code(text: String) -> Option<Code> {
    let outcome = loaded(text);
    outcome.reports.iter().find(|report| report.severity == Severity::Error).map(|one| one.code)
}

fn rule(name: &str, condition: &str) -> String {
    format!("- rule: {name}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n")
}

fn each(one: impl Fn(usize) -> String) -> String {
    (0..MANY).map(one).collect()
}

#[test]
fn macros_that_are_nothing_but_macros() {
    let first = "- macro: m0\n  condition: evt.type = open\n";
    let chain = |length: usize| {
        let links = (1..length).map(|n| format!("- macro: m{n}\n  condition: m{}\n", n - 1));
        let links: String = links.collect();
        format!("{first}{links}{}", rule("r", &format!("m{}", length - 1)))
    };
    assert_eq!(code(chain(100_000)), Some(Code::TooLarge));
    assert_eq!(code(chain(400)), None);
    let doubled = (1..60).map(|n| format!("- macro: m{n}\n  condition: m{0} or m{0}\n", n - 1));
    let doubled = doubled.collect::<Vec<_>>().concat();
    assert_eq!(code(format!("{first}{doubled}{}", rule("r", "m59"))), Some(Code::TooLarge));
}

#[test]
fn names_that_are_nearly_others() {
    let macros = each(|n| format!("- macro: mac_{n:06}\n  condition: evt.type = open\n"));
    let rules = each(|n| rule(&format!("r{n}"), &format!("mak_{n:06}")));
    assert_eq!(code(macros + &rules), Some(Code::UnknownMacro));
    let lists = each(|n| format!("- list: lis_{n:06}\n  items: [a]\n"));
    let appends = each(|n| format!("- list: lik_{n:06}\n  items: [a]\n  append: true\n"));
    assert_eq!(code(lists + &appends), Some(Code::NotDefined));
    let fields: Vec<String> = (0..20).map(|n| format!("proc.nam{n} = 1")).collect();
    let unknown = fields.join(" and ");
    let rules: String = (0..5000).map(|n| rule(&format!("r{n}"), &unknown)).collect();
    assert_eq!(code(rules), Some(Code::UnknownField));
}

#[test]
fn keys_without_number() {
    let unknown = each(|n| format!("- list: l{n}\n  items: [a]\n  itemz: 1\n"));
    assert_eq!(code(unknown), None);
    assert_eq!(
        code(format!("- rule: r\n{}", each(|n| format!("  k{n}: 1\n")))),
        Some(Code::MissingKey)
    );
    let again = each(|_| "  desc: d\n".to_owned());
    assert_eq!(code(format!("{}{again}", rule("r", "evt.type = open"))), None);
}

#[test]
fn the_first_error_is_told_behind_any_number_of_warnings() {
    let warnings = each(|n| format!("- macro: m{n}\n  condition: evt.type = open\n  key: 1\n"));
    let outcome = loaded(format!("{warnings}- macro: m\n"));
    assert_eq!(outcome.results[0].errors.len(), 1);
    assert!(!outcome.results[0].successful && outcome.rule_set.is_none());
}

#[test]
fn exceptions_without_number() {
    let all = |count: usize| {
        let each = (0..count).map(|n| format!("    - {{name: e{n}, fields: proc.name}}\n"));
        format!("{}  exceptions:\n{}", rule("r", "evt.type = open"), each.collect::<String>())
    };
    assert_eq!(code(all(5000)), None);
    assert_eq!(code(all(5001)), Some(Code::TooLarge));
    let one_by_one = (0..10_000).map(|n| {
        format!(
            "- rule: r\n  exceptions: [{{name: e{n}, fields: proc.name, values: [a]}}]\n  \
             override: {{exceptions: append}}\n"
        )
    });
    let text = rule("r", "evt.type = open") + &one_by_one.collect::<String>();
    assert_eq!(code(text), Some(Code::TooLarge));
}

#[test]
fn changes_without_number() {
    let append = |what: &str| {
        let changes = each(|n| format!("- rule: r\n  {}\n", what.replace('N', &n.to_string())));
        rule("r", "evt.type = open") + &changes
    };
    let condition = "condition: or evt.type = close\n  override: {condition: append}";
    assert_eq!(code(append(condition)), None);
    assert_eq!(code(append("tags: [tN]\n  override: {tags: append}")), None);
    assert_eq!(code(append("desc: N\n  override: {desc: append}")), None);
}

#[test]
fn list_names_of_several_words() {
    let lists = each(|n| format!("- list: a b{n}\n  items: [x{n}]\n"));
    let rules = each(|n| rule(&format!("r{n}"), "evt.type = open and proc.name in (a b1)"));
    let outcome = loaded(lists + &rules);
    assert_eq!(outcome.rules[0].condition(), "(evt.type = open and proc.name in (x1))");
}

#[test]
fn requirements_without_number() {
    let all = each(|n| format!("      - {{name: p{n}, version: 1.0.0}}\n"));
    let text = format!(
        "- required_plugin_versions:\n  - name: a\n    version: 1.0.0\n    alternatives:\n{all}"
    );
    assert_eq!(code(text), None);
}

#[test]
fn names_and_outputs_as_long_as_the_file() {
    let long = "a".repeat(2_000_000);
    assert_eq!(code(rule("r", &long)), Some(Code::UnknownMacro));
    assert_eq!(
        code(rule("r", &format!("evt.type = open and proc.{long} = 1"))),
        Some(Code::UnknownField)
    );
    assert_eq!(code(rule(&long, "no.such = 1 and no.more = 1")), Some(Code::UnknownField));
    let output =
        |text: &str| rule("r", "evt.type = open").replace(": o\n", &format!(": '{text}'\n"));
    assert_eq!(code(output(&format!("%proc.{long}"))), Some(Code::Output));
    assert_eq!(code(output(&"%proc.namee".repeat(100_000))), Some(Code::Output));
    assert_eq!(code(output(&format!("%proc{}", ".a".repeat(30_000)))), Some(Code::Output));
    assert_eq!(code(output(&"%proc.name ".repeat(5000))), None);
}

//! Files made to cost: each is answered, with few reports that can be read. The sizes are such that a
//! limit is met, or that work by the square of them would show; what each kind takes at its largest
//! is measured by the `hostile` bench.
mod files;

use eyas_rules::report::MOST;
use eyas_rules::{EngineOptions, LoadOutcome, Severity, SourceFile, load};
use files::{KINDS, Kind};

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

fn answer(kind: &Kind) {
    assert!(kind.some <= kind.most, "{}", kind.name);
    let outcome = loaded((kind.write)(kind.some));
    let first = outcome.reports.iter().find(|report| report.severity == Severity::Error);
    assert_eq!(first.map(|one| one.code), kind.code, "{}: {first:?}", kind.name);
    let errors: usize = outcome.results.iter().map(|result| result.errors.len()).sum();
    assert_eq!(errors, usize::from(kind.code.is_some()), "{}", kind.name);
    assert_eq!(outcome.rule_set.is_some(), kind.code.is_none(), "{}", kind.name);
}

#[test]
fn every_kind_is_answered() {
    std::thread::scope(|scope| {
        for some in KINDS.chunks(KINDS.len().div_ceil(4)) {
            scope.spawn(|| some.iter().for_each(answer));
        }
    });
}

#[test]
fn list_names_of_several_words_are_replaced() {
    let lists: Vec<String> =
        (0..500).map(|n| format!("- list: a b{n}\n  items: [x{n}]\n")).collect();
    let rule = "- rule: r\n  desc: d\n  condition: evt.type = open and proc.name in (a b1)\n  \
                output: o\n  priority: INFO\n";
    let outcome = loaded(lists.concat() + rule);
    assert_eq!(outcome.rules[0].condition(), "(evt.type = open and proc.name in (x1))");
}

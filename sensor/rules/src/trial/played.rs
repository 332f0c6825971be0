//! Cases whose events are those of a capture.

use std::collections::{BTreeMap, BTreeSet};

use super::Case;
use crate::eval::{RuleSet, Scratch};
use crate::fields::Facts;

/// Plays captures, which this crate does not read.
pub trait Player {
    /// Shows each event of the capture that a case names, in order; why not, or not all of them, in words.
    fn play(
        &mut self,
        case: &Case,
        rules: &RuleSet,
        look: &mut dyn FnMut(&dyn Facts),
    ) -> Result<(), String>;
}

/// For those who have no captures.
#[derive(Debug, Clone, Copy)]
pub struct NoCaptures;

impl Player for NoCaptures {
    fn play(
        &mut self,
        case: &Case,
        _: &RuleSet,
        _: &mut dyn FnMut(&dyn Facts),
    ) -> Result<(), String> {
        Err(format!(
            "`{}`: there are no captures here",
            case.capture.as_deref().unwrap_or_default()
        ))
    }
}

/// What a capture came to.
#[derive(Default)]
struct Found {
    counts: BTreeMap<String, u64>,
    events: u64,
    /// What the first message said, and what no message said so far.
    first: Option<String>,
    unsaid: Vec<String>,
}

/// What is not as a case expects it.
pub(super) fn problems(
    rules: &RuleSet,
    names: &BTreeSet<&str>,
    case: &Case,
    player: &mut dyn Player,
    scratch: &mut Scratch,
) -> Vec<String> {
    let mut found = Found { unsaid: case.says.clone(), ..Found::default() };
    let speaker = case.matches.first().filter(|_| !case.says.is_empty());
    let ended = player.play(case, rules, &mut |facts| {
        found.events += 1;
        for id in rules.eval(facts, scratch) {
            let Some(rule) = rules.rule(*id) else { continue };
            match found.counts.get_mut(&*rule.name) {
                Some(count) => *count += 1,
                None => drop(found.counts.insert(rule.name.to_string(), 1)),
            }
            if speaker.is_some_and(|name| **name == *rule.name)
                && (found.first.is_none() || !found.unsaid.is_empty())
                && let Some(alert) = rules.alert(*id, facts)
            {
                found.unsaid.retain(|text| !alert.message.contains(text.as_str()));
                found.first.get_or_insert(alert.message);
            }
        }
    });
    let mut problems: Vec<String> = ended.err().into_iter().collect();
    let count_of = |name: &String| found.counts.get(name).copied().unwrap_or(0);
    for name in case.matches.iter().filter(|name| names.contains(name.as_str())) {
        match (count_of(name), case.counts.get(name)) {
            (0, _) => problems.push(format!(
                "`{name}` matches none of the {} events that rules look at; what matches: {}",
                found.events,
                in_words(&found.counts)
            )),
            (count, Some(expected)) if count != *expected => {
                problems.push(format!("`{name}` matches {count} times, expected {expected}"));
            }
            _ => {}
        }
    }
    for name in case.misses.iter().filter(|name| count_of(name) > 0) {
        problems.push(format!("`{name}` matches {} times, but must not", count_of(name)));
    }
    if let Some(first) = &found.first {
        for text in &found.unsaid {
            problems.push(format!("no message contains `{text}`, the first one is: {first}"));
        }
    }
    problems
}

fn in_words(counts: &BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        return "`nothing`".to_owned();
    }
    counts.iter().map(|(rule, count)| format!("`{rule}` ({count})")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fields::GivenFacts;
    use crate::trial::{options, read, run};
    use crate::{SourceFile, load};

    /// Plays two openings by `a` and one by `b`, and nothing of other files.
    struct Three;

    impl Player for Three {
        fn play(
            &mut self,
            case: &Case,
            _: &RuleSet,
            look: &mut dyn FnMut(&dyn Facts),
        ) -> Result<(), String> {
            for name in ["a", "a", "b"] {
                let fields = json!({"evt.type": "open", "proc.name": name});
                look(&GivenFacts::of(fields.as_object().unwrap()).unwrap());
            }
            match case.capture.as_deref() {
                Some("whole.scap") => Ok(()),
                _ => Err("it is cut short".to_owned()),
            }
        }
    }

    fn failures(expected: &str) -> Vec<String> {
        let rules = "- rule: A\n  desc: d\n  condition: evt.type = open and proc.name = a\n  output: by %proc.name\n  priority: INFO\n\
                     - rule: B\n  desc: d\n  condition: evt.type = open and proc.name = c\n  output: b\n  priority: INFO\n";
        let file = |name: &str, text: &str| SourceFile { name: name.into(), text: text.into() };
        let rules = load(&[file("r.yaml", rules)], &options()).rule_set.unwrap();
        let cases = read(&file("r.cases", &format!("- case: x\n  {expected}\n"))).unwrap();
        let failures = run(&rules, &cases, &mut Three).failures;
        failures.into_iter().flat_map(|failure| failure.problems).collect()
    }

    #[test]
    fn matches_are_counted_over_the_whole_capture() {
        for holds in [
            "capture: whole.scap\n  matches: A\n  misses: B\n  says: by a",
            "capture: whole.scap\n  matches: {A: 2}",
            "capture: whole.scap\n  matches: {A: }",
        ] {
            assert_eq!(failures(holds), Vec::<String>::new(), "{holds}");
        }
        for (fails, said) in [
            ("capture: whole.scap\n  matches: {A: 3}", "`A` matches 2 times, expected 3"),
            ("capture: whole.scap\n  misses: A", "`A` matches 2 times, but must not"),
            (
                "capture: whole.scap\n  matches: B",
                "`B` matches none of the 3 events that rules look at; what matches: `A` (2)",
            ),
            (
                "capture: whole.scap\n  matches: A\n  says: by c",
                "no message contains `by c`, the first one is: by a",
            ),
            ("capture: cut.scap\n  matches: A", "it is cut short"),
            ("capture: whole.scap\n  matches: C", "there is no rule `C`"),
        ] {
            assert_eq!(failures(fails), [said], "{fails}");
        }
    }
}

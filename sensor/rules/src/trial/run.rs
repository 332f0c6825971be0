//! Cases against a rule set.
use std::collections::BTreeSet;

use serde::Serialize;

use super::Case;
use super::played::{self, Player};
use crate::eval::{Matching, RuleSet, Scratch};
use crate::fields::{Facts, FieldArg, FieldId, GivenFacts};
use crate::load::{EngineOptions, Selection};
use crate::report::nearest;

/// What cases are run with: every rule on, every match counted, nothing added to outputs.
pub fn options() -> EngineOptions {
    let all = Selection { enable: true, rule: Some("*".to_owned()), tag: None };
    EngineOptions {
        selections: vec![all],
        matching: Matching::All,
        append_output: Vec::new(),
        ..EngineOptions::default()
    }
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// How many cases there were.
    pub cases: usize,
    /// Cases that did not come out as expected, in order.
    pub failures: Vec<Failure>,
    /// Which rules the cases say something about.
    pub coverage: Coverage,
}

/// A case that did not come out as expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The case.
    pub case: String,
    /// Its file.
    pub file: String,
    /// Its line, from one.
    pub line: u32,
    /// What was expected and what was found, one problem each.
    pub problems: Vec<String>,
}

/// Rules by what cases say of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Coverage {
    /// How many rules there are.
    pub rules: usize,
    /// Rules that no case expects to match.
    pub without_match: Vec<String>,
    /// Rules that no case expects not to match.
    pub without_miss: Vec<String>,
}

/// Runs the cases; `player` plays the captures that some of them name.
pub fn run(rules: &RuleSet, cases: &[Case], player: &mut dyn Player) -> Outcome {
    let names: BTreeSet<&str> = rules.rules().map(|(_, rule)| &*rule.name).collect();
    let mut scratch = Scratch::new();
    let failures = cases
        .iter()
        .filter_map(|case| {
            let mut problems = unknown(&names, case);
            problems.extend(if case.capture.is_some() {
                played::problems(rules, &names, case, player, &mut scratch)
            } else {
                self::problems(rules, &names, case, &mut scratch)
            });
            let Case { name, file, line, .. } = case;
            let (case, file, line) = (name.clone(), file.clone(), *line);
            (!problems.is_empty()).then_some(Failure { case, file, line, problems })
        })
        .collect();
    let without = |named: fn(&Case) -> &[String]| {
        let covered: BTreeSet<&str> = cases.iter().flat_map(named).map(String::as_str).collect();
        let order = rules.rules().map(|(_, rule)| &*rule.name);
        order.filter(|name| !covered.contains(name)).map(str::to_owned).collect()
    };
    let coverage = Coverage {
        rules: names.len(),
        without_match: without(|case| &case.matches),
        without_miss: without(|case| &case.misses),
    };
    Outcome { cases: cases.len(), failures, coverage }
}

/// Rules that a case names and that there are not.
fn unknown(names: &BTreeSet<&str>, case: &Case) -> Vec<String> {
    let expected = case.matches.iter().chain(&case.misses);
    let missing = expected.filter(|name| !names.contains(name.as_str())).map(|name| {
        let meant = nearest(name, names.iter().copied());
        let hint = meant.map(|meant| format!(": did you mean `{meant}`?")).unwrap_or_default();
        format!("there is no rule `{name}`{hint}")
    });
    missing.collect()
}

fn problems(
    rules: &RuleSet,
    names: &BTreeSet<&str>,
    case: &Case,
    scratch: &mut Scratch,
) -> Vec<String> {
    let mut problems = Vec::new();
    let facts = match GivenFacts::of(&case.fields) {
        Ok(facts) => facts,
        Err(error) => {
            problems.push(match error.hint() {
                Some(hint) => format!("{error}: {hint}"),
                None => error.to_string(),
            });
            return problems;
        }
    };
    if facts.value(FieldId::EvtType, FieldArg::None).is_none() {
        problems.push("the event has no type: give `event` or `evt.type`".to_owned());
        return problems;
    }
    let matched = rules.eval(&facts, scratch).to_vec();
    let found: Vec<&str> =
        matched.iter().filter_map(|id| rules.rule(*id)).map(|rule| &*rule.name).collect();
    for name in case.matches.iter().filter(|name| names.contains(name.as_str())) {
        if !found.contains(&name.as_str()) {
            let instead = if found.is_empty() { "nothing".to_owned() } else { found.join("`, `") };
            problems.push(format!("`{name}` does not match; what matches: `{instead}`"));
        }
    }
    for name in case.misses.iter().filter(|name| found.contains(&name.as_str())) {
        problems.push(format!("`{name}` matches, but must not"));
    }
    let first = case.matches.first().and_then(|name| {
        let place = found.iter().position(|each| each == name)?;
        rules.alert(*matched.get(place)?, &facts)
    });
    if let Some(alert) = first {
        for text in case.says.iter().filter(|text| !alert.message.contains(text.as_str())) {
            problems.push(format!("the message does not contain `{text}`: {}", alert.message));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::NoCaptures;
    use crate::{SourceFile, load};

    const RULES: &str = "
- rule: A
  desc: d
  condition: evt.type = open and proc.name = a
  output: a by %proc.name
  priority: INFO
  enabled: false
- rule: B
  desc: d
  condition: evt.type = open and proc.name in (a, b)
  output: b
  priority: DEBUG
";

    fn outcome(cases: &str) -> Outcome {
        let file = SourceFile { name: "r.yaml".to_owned(), text: RULES.to_owned() };
        let rules = load(&[file], &options()).rule_set.unwrap();
        let file = SourceFile { name: "r.cases".to_owned(), text: cases.to_owned() };
        run(&rules, &super::super::read(&file).unwrap(), &mut NoCaptures)
    }

    #[test]
    fn all_rules_are_tried_and_all_matches_count() {
        let found = outcome(
            "- case: both\n  event: open\n  fields: {proc.name: a}\n  matches: [A, B]\n  says: by a\n\
             - case: one\n  event: open\n  fields: {proc.name: b}\n  matches: B\n  misses: A\n",
        );
        assert_eq!(found.failures, []);
        assert_eq!((found.cases, found.coverage.rules), (2, 2));
        assert_eq!(found.coverage.without_match, Vec::<String>::new());
        assert_eq!(found.coverage.without_miss, ["B"]);
    }

    #[test]
    fn what_comes_out_otherwise_is_told() {
        let found = outcome(
            "- case: x\n  event: open\n  fields: {proc.name: b}\n  matches: [A, C]\n  misses: B\n\
             - case: y\n  fields: {proc.name: b}\n  matches: B\n\
             - case: z\n  event: open\n  fields: {proc.nam: b}\n  matches: B\n\
             - case: w\n  event: open\n  fields: {proc.name: a}\n  matches: A\n  says: nobody\n",
        );
        let problems: Vec<_> = found.failures.iter().map(|one| one.problems.as_slice()).collect();
        assert_eq!(problems[0][0], "there is no rule `C`");
        assert_eq!(problems[0][1], "`A` does not match; what matches: `B`");
        assert_eq!(problems[0][2], "`B` matches, but must not");
        assert!(problems[1][0].contains("has no type"));
        assert_eq!(problems[2], ["unknown field `proc.nam`: did you mean `proc.name`?"]);
        assert_eq!(problems[3], ["the message does not contain `nobody`: a by a"]);
        assert_eq!(found.failures[1].line, 6);
    }
}

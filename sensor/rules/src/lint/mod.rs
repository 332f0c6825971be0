//! Rules that compile but cannot do what they were written for.
//!
//! Works on compiled rules only. A lint never fails a load and is no part of the documented
//! validation result; it must be certain, so that whoever reads it can trust it.
mod demand;
mod exception;
mod shadow;

use demand::Demands;

use crate::collect::{Collection, DEFAULT_SOURCE};
use crate::eval::Matching;
use crate::index::event_codes;
use crate::load::CompiledRule;
use crate::load::told::{Subject, Told};
use crate::report::{Code, Report};
use crate::source::SourceFile;

/// Most rules that are compared with each other.
const COMPARED_LIMIT: usize = 2000;

/// All lints of a rule set, as far as there is room for them.
pub(crate) fn lint(
    collection: &Collection,
    rules: &[CompiledRule],
    files: &[SourceFile],
    matching: Matching,
    room: usize,
) -> Vec<Report> {
    let subject = |compiled: &CompiledRule| Subject {
        files,
        kind: "rule",
        header: &collection.rules[compiled.rule].header,
    };
    let mut reports = Vec::new();
    for compiled in rules {
        let rule = &collection.rules[compiled.rule];
        if let Some(why) = never_matches(compiled, &rule.source) {
            let told =
                Told::lint(Code::LintNeverMatches, format!("the rule can never match: {why}"));
            reports.push(subject(compiled).whole(told));
        }
        let left = room.saturating_sub(reports.len());
        if left == 0 {
            break;
        }
        for (message, place) in exception::idle(collection, compiled, files, left) {
            reports.push(subject(compiled).at(Told::lint(Code::LintException, message), place));
        }
    }
    if matching == Matching::First && rules.len() <= COMPARED_LIMIT {
        for (earlier, later) in shadow::shadowed(collection, rules) {
            let name = &collection.rules[earlier.rule].header.name;
            let told = Told::lint(
                Code::LintShadowed,
                format!("the rule never gets an event: rule `{name}` before it takes them all"),
            );
            let hint = "put the narrower rule first, or match all rules".to_owned();
            reports.push(subject(later).whole(told.hint(Some(hint))));
        }
    }
    reports.truncate(room);
    reports
}

fn never_matches(compiled: &CompiledRule, source: &str) -> Option<String> {
    let codes = event_codes(&compiled.tree).ok()?;
    if source == DEFAULT_SOURCE && codes.is_empty() {
        return Some("no event type satisfies its condition".to_owned());
    }
    let demands = Demands::of(&compiled.tree);
    let contradiction = demands.contradiction()?;
    Some(format!("it demands two values of `{contradiction}` at once"))
}

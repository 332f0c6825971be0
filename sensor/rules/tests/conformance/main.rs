//! The conformance cases of the rule language: every kind, every case, one table at the end.
//!
//! The cases live outside the repository, in the folder that `EYAS_SHARED` names (default:
//! `shared` beside the workspace). Without them the test says so and stops.
mod cases;
mod conditions;
mod loading;
mod outputs;
mod protocol;
mod syntax;

use std::collections::BTreeMap;

use cases::{Case, Outcome};

/// Cases where we differ on purpose, with the reason. Each must really differ.
const DELIBERATE: &[(&str, &str)] = &[
    ("oracle-compile-error-0016", "`::/0` is as good a network as `0.0.0.0/0`"),
    ("output-format-0065", "the case does not give the processes whose command lines it expects"),
    ("output-format-0066", "the case expects another process than the one it gives"),
];

fn run(case: &Case) -> Outcome {
    match case.kind.as_str() {
        "parse-ok" | "parse-error" => syntax::parse_case(case),
        "compile-ok" | "compile-error" => conditions::compile_case(case),
        "eval" => conditions::eval_case(case),
        "evt-types" => conditions::event_type_case(case),
        "output-format" => outputs::format_case(case),
        "string-unescape" => syntax::unescape_case(case),
        "rules-load-ok" | "rules-load-warning" | "rules-load-error" => loading::load_case(case),
        "plugin-requirements" => loading::plugin_case(case),
        "rule-selector-wildcard" => loading::wildcard_case(case),
        "metric-rule-name" => loading::metric_case(case),
        _ => Outcome::NoRunner,
    }
}

#[derive(Default)]
struct Tally {
    passed: usize,
    deliberate: usize,
    failed: Vec<String>,
    no_runner: usize,
}

#[test]
fn every_conformance_case_gives_the_established_answer() {
    let cases = match cases::load() {
        Ok(cases) => cases,
        Err(why) => {
            eprintln!("SKIPPED: {why}");
            return;
        }
    };
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for case in &cases {
        let tally = tallies.entry(case.kind.as_str()).or_default();
        let reason = DELIBERATE.iter().find(|(id, _)| *id == case.id).map(|(_, reason)| reason);
        match (run(case), reason) {
            (Outcome::Passed, None) => tally.passed += 1,
            (Outcome::Failed(_), Some(_)) => tally.deliberate += 1,
            (Outcome::NoRunner, _) => tally.no_runner += 1,
            (Outcome::Failed(why), None) => tally.failed.push(format!("{}: {why}", case.id)),
            (Outcome::Passed, Some(_)) => {
                tally.failed.push(format!("{}: listed as different, but it is not", case.id));
            }
        }
    }
    let mut failed = Vec::new();
    for (kind, tally) in &tallies {
        println!(
            "{kind:24} {:4} passed  {:3} failed  {:3} deliberately different  {:4} without a runner",
            tally.passed,
            tally.failed.len(),
            tally.deliberate,
            tally.no_runner
        );
        failed.extend(tally.failed.iter().cloned());
    }
    assert!(failed.is_empty(), "{} cases differ:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn every_case_has_the_same_answer_when_it_is_asked() {
    let cases = match cases::load() {
        Ok(cases) => cases,
        Err(why) => {
            eprintln!("SKIPPED: {why}");
            return;
        }
    };
    let mut failed = Vec::new();
    let mut asked = 0;
    for case in &cases {
        let deliberate = DELIBERATE.iter().any(|(id, _)| *id == case.id);
        let Some(outcome) = protocol::ask(case).filter(|_| !deliberate) else { continue };
        asked += 1;
        if let Outcome::Failed(why) = outcome {
            failed.push(format!("{}: {why}", case.id));
        }
    }
    println!("{asked} of {} cases asked, {} differ", cases.len(), failed.len());
    assert!(failed.is_empty(), "{} answers differ:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn every_line_of_anything_has_an_answer() {
    let cases = cases::load().unwrap_or_default();
    let own = ["", "{", "[]", "\u{0}", "{\"grammar\":\"((((\"}", "{\"condition\":\"a.b = 1\"}"];
    let inputs = cases.iter().map(|case| case.json.to_string());
    for line in inputs.chain(own.map(str::to_owned)) {
        // Every beginning of a question is a question, too.
        for end in (0..line.len()).step_by(7).chain([line.len()]) {
            let answer = eyas_rules::ask::answer(&line.as_bytes()[..end]);
            assert!(protocol::is_answer(&answer), "{line}: {answer}");
        }
    }
}

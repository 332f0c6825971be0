//! Which events conditions match.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use eyas_capture::{Item, Reader};
use eyas_rules::check::Scope;
use eyas_rules::compile::{Program, compile};
use eyas_rules::eval::Scratch;
use eyas_rules::fields::StaticFields;
use eyas_rules::syntax::{Limits, parse};
use serde_json::Value as Json;

use crate::inputs::Capture;

/// First code that the older generation does not know, and so does not number.
const UNKNOWN_TO_OLD: u16 = 336;

/// Where neither generation is followed, and why: a part of the condition's text and the reason.
const LISTED: &[(&str, &str)] = &[
    (
        "fd.name = val(fs.path.name)",
        "the reference takes the working directory for an unknown descriptor when an `openat` fails",
    ),
    ("container.id != host", "news of a container happens in no process, and so in no container"),
];

/// An event's name in both generations: time, thread, and whether it is an exit.
type Key = (u64, u64, bool);

/// One condition and what each generation says it matches.
struct Case {
    text: String,
    program: Program,
    newer: Option<BTreeSet<u64>>,
    older: Option<BTreeSet<u64>>,
}

/// How often what was found differs from either generation or both.
#[derive(Default)]
struct Differences {
    judged: u64,
    /// The generations differ from each other, and one of them is agreed with.
    generations: u64,
    unexplained: BTreeMap<String, Vec<u64>>,
}

fn numbers(case: &Json) -> Option<BTreeSet<u64>> {
    Some(case["evt_nums"].as_array()?.iter().filter_map(Json::as_u64).collect())
}

fn cases(newer: &Json, older: Option<&Json>) -> Vec<Case> {
    let statics = StaticFields::new();
    let scope = Scope { source: "syscall", statics: &statics };
    let listed = newer.as_array().unwrap().iter();
    let of_older = |text: &str| {
        let list = older?.as_array()?;
        list.iter().find(|case| case["filter"] == text).and_then(numbers)
    };
    listed
        .map(|case| {
            let text = case["filter"].as_str().unwrap();
            let expr = parse(text, Limits::filter()).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            let (program, _) = compile(&expr, scope).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            Case { text: text.to_owned(), program, newer: numbers(case), older: of_older(text) }
        })
        .collect()
}

/// How the older generation numbers the events of a file.
fn numbers_of_old(capture: &Capture) -> BTreeMap<Key, u64> {
    let mut reader = Reader::new(File::open(&capture.path).unwrap()).unwrap();
    let mut numbers = BTreeMap::new();
    let mut number = 0;
    while let Some(item) = reader.next_item().unwrap() {
        if let Item::Event(event) = item
            && event.code < UNKNOWN_TO_OLD
        {
            number += 1;
            numbers.insert((event.time, event.tid, event.code % 2 == 1), number);
        }
    }
    numbers
}

#[test]
fn conditions_match_the_events_that_the_reference_matches() {
    let mut differences = Differences::default();
    for capture in Capture::all() {
        let newer = capture.document("libs-head.filters.json").unwrap();
        let older = capture.document("sysdig029.filters.json");
        let numbers = numbers_of_old(&capture);
        let cases = cases(&newer, older.as_ref());
        let mut scratch = Scratch::new();
        capture.replay(|ctx| {
            let header = ctx.event().header();
            let key = (header.time, u64::from(header.tid), ctx.event().code() % 2 == 1);
            let old_number = numbers.get(&key);
            for case in &cases {
                let found = case.program.matches(ctx, &mut scratch);
                let newer = case.newer.as_ref().map(|set| set.contains(&ctx.number()));
                let older = case.older.as_ref().zip(old_number).map(|(set, n)| set.contains(n));
                differences.judged += 1;
                let (as_newer, as_older) = (newer.map(|n| n == found), older.map(|o| o == found));
                match (as_newer, as_older) {
                    (Some(true) | None, Some(true) | None) => {}
                    (Some(true), Some(false)) | (Some(false), Some(true)) => {
                        differences.generations += 1;
                    }
                    _ => {
                        let known = LISTED.iter().any(|(part, _)| case.text.contains(part));
                        if !known {
                            let name = format!("{}: {}", capture.name, case.text);
                            differences.unexplained.entry(name).or_default().push(ctx.number());
                        }
                    }
                }
            }
        });
    }
    let Differences { judged, generations, unexplained } = differences;
    println!("{judged} verdicts, {generations} where the generations differ from each other");
    let list: Vec<String> = unexplained
        .iter()
        .map(|(name, events)| {
            format!("{name}: {} events, {:?}", events.len(), &events[..events.len().min(5)])
        })
        .collect();
    assert!(list.is_empty(), "neither generation agrees:\n  {}", list.join("\n  "));
}

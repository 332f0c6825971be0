//! Every rule, performed: what it looks for is done on the live kernel and must be told; what differs from that in
//! one thing is done too and must not.
//!
//! Each action runs in namespaces of its own (mounts, processes, network, names), on copies of the files it touches,
//! under a time limit, and leaves nothing behind. Two sensors watch: one runs the rules as they are written, the
//! other with every condition about containers taken as true. An alert belongs to the action whose name is among the
//! ancestors of the process that it is about.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says aloud what it left out"
)]

mod place;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use eyas_tests::{Sensor, eyas, kernel_gate, run, shared, skip, workspace_root};
use serde_json::Value;

use place::{Place, Side};
use rows::{NOT_PERFORMED, OURS, Row, UPSTREAM, Where};

/// One table after the other: the sensors of one would see the actions of the other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
/// How often rows are performed at most.
const ROUNDS: usize = 4;

/// Text of a rules file for one of the two worlds.
fn for_world(text: &str, world: Where) -> String {
    match world {
        Where::Host => text.to_owned(),
        Where::Container => text
            .replace("container.id != host", "evt.num >= 0")
            .replace("container.privileged=true", "evt.num >= 0"),
    }
}

/// A sensor that runs these files in one world and tells with each alert who was involved.
fn watch(world: Where, files: &[PathBuf], folder: &Path) -> Sensor {
    let folder = folder.join(format!("{world:?}"));
    fs::create_dir(&folder).expect("folder");
    let config = folder.join("eyasd.yaml");
    // Rings that hold what a busy machine does while an unoptimised sensor is not running.
    let marks = "store: null\nrule_matching: all\nprobe:\n  ring_events_bytes: 33554432\n  \
                 ring_lifecycle_bytes: 8388608\nappend_output:\n  - extra_output: \" marks=%proc.aname\"\n";
    fs::write(&config, marks).expect("configuration");
    let mut extra = vec!["--config".to_owned(), config.display().to_string()];
    for (number, file) in files.iter().enumerate() {
        let text = fs::read_to_string(file).expect("rules");
        let path = folder.join(format!("{number}.yaml"));
        fs::write(&path, for_world(&text, world)).expect("rules");
        extra.extend(["--rules".to_owned(), path.display().to_string()]);
    }
    let sentinel = folder.join("sentinel.yaml");
    fs::write(&sentinel, place::sentinel_rule()).expect("rules");
    extra.extend(["--rules".to_owned(), sentinel.display().to_string()]);
    Sensor::start_plain(&folder, &extra)
}

/// Rules that were told of, by the name of the action they were told of.
fn told(alerts: &[Value]) -> BTreeMap<String, BTreeSet<String>> {
    let mut by_action: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for alert in alerts {
        let output = alert["output"].as_str().unwrap_or_default();
        let Some((_, marks)) = output.rsplit_once(" marks=") else { continue };
        for word in marks.split_whitespace().filter(|word| place::is_action(word)) {
            let rule = alert["rule"].as_str().unwrap_or_default().to_owned();
            by_action.entry(word.to_owned()).or_default().insert(rule);
        }
    }
    by_action
}

fn rule_names(files: &[PathBuf]) -> BTreeSet<String> {
    let text = |file| fs::read_to_string(file).expect("rules");
    files
        .iter()
        .flat_map(|file| {
            text(file)
                .lines()
                .filter_map(|line| line.strip_prefix("- rule: ").map(|name| name.trim().to_owned()))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// What came of one row.
#[derive(Debug)]
struct Wrong {
    row: Row,
    said: String,
    /// Nothing was told where something should have been.
    untold: bool,
}

/// Performs every row and gives what went wrong. What was not told of while a sensor said that it lost events is
/// performed again, aloud: on a busy machine the kernel may drop some. Nothing else is ever tried again.
fn perform(rows: &[Row], files: &[PathBuf]) -> Vec<String> {
    let mut rows = rows.to_vec();
    let mut round = 1;
    loop {
        let (wrong, lost) = perform_once(&rows, files);
        let again = lost && round < ROUNDS && wrong.iter().all(|wrong| wrong.untold);
        if wrong.is_empty() || !again {
            return wrong.into_iter().map(|wrong| wrong.said).collect();
        }
        for row in &wrong {
            eprintln!("PERFORMED AGAIN, for events were lost: {}", row.said);
        }
        rows = wrong.into_iter().map(|wrong| wrong.row).collect();
        round += 1;
    }
}

/// What went wrong, and whether a sensor said that it lost events.
fn perform_once(rows: &[Row], files: &[PathBuf]) -> (Vec<Wrong>, bool) {
    let place = Place::new(rows);
    let host = watch(Where::Host, files, place.folder());
    let container = watch(Where::Container, files, place.folder());
    let failed = place.perform_all(rows);
    place.sentinel();
    let heard = [
        (Where::Host, told(&host.alerts_until(place::SENTINEL))),
        (Where::Container, told(&container.alerts_until(place::SENTINEL))),
    ];
    let mut wrong: Vec<Wrong> =
        failed.into_iter().map(|(row, said)| Wrong { row, said, untold: false }).collect();
    for (number, row) in rows.iter().enumerate() {
        let told = |side: Side| {
            let (_, heard) = heard.iter().find(|(world, _)| *world == row.world).expect("both");
            heard.get(&side.action(number)).is_some_and(|rules| rules.contains(row.rule))
        };
        if !told(Side::Hit) {
            let said = format!("`{}` was not told: {}", row.rule, row.hit);
            wrong.push(Wrong { row: *row, said, untold: true });
        }
        if told(Side::Miss) {
            let said = format!("`{}` was told of what it is not about: {}", row.rule, row.miss);
            wrong.push(Wrong { row: *row, said, untold: false });
        }
    }
    let lost = has_lost(&host) || has_lost(&container);
    (wrong, lost)
}

fn has_lost(sensor: &Sensor) -> bool {
    let asked = run(Command::new(eyas())
        .args(["sensor", "status", "--output", "json"])
        .env("EYAS_SENSOR_SOCKET", sensor.socket()));
    let status: Value = serde_json::from_str(&asked.stdout).expect("a status");
    status["counters"]["events_dropped"] != 0
}

/// Every rule of the files has a row or a reason, and no other has.
fn check_table(rows: &[Row], files: &[PathBuf]) {
    let rules = rule_names(files);
    let performed: BTreeSet<&str> = rows.iter().map(|row| row.rule).collect();
    assert_eq!(performed.len(), rows.len(), "a rule has two rows");
    for rule in &rules {
        let excused = NOT_PERFORMED.iter().any(|(name, _)| name == rule);
        assert!(performed.contains(rule.as_str()) != excused, "`{rule}` needs a row or a reason");
    }
    for rule in performed {
        assert!(rules.contains(rule), "no file has a rule `{rule}`");
    }
    for (rule, why) in NOT_PERFORMED.iter().filter(|(rule, _)| rules.contains(*rule)) {
        eprintln!("NOT PERFORMED: {rule}: {why}");
    }
}

fn check(test: &str, rows: &[Row], files: &[PathBuf]) {
    check_table(rows, files);
    if !kernel_gate(test) {
        return;
    }
    if let Err(why) = place::possible() {
        return skip(test, &why);
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let wrong = perform(rows, files);
    assert!(wrong.is_empty(), "{} of {}:\n  {}", wrong.len(), rows.len(), wrong.join("\n  "));
}

#[test]
fn the_rules_of_upstream() {
    let Some(folder) = shared("upstream-rules") else {
        return skip("performed::upstream", "the shared rules are not here");
    };
    let files = ["falco_rules.yaml", "falco-incubating_rules.yaml"].map(|name| folder.join(name));
    check("performed::upstream", UPSTREAM, &files);
}

#[test]
fn our_own_rules() {
    let file = workspace_root().join("rules/eyas-rules/eyas-rules.yaml");
    check("performed::own", OURS, &[file]);
}

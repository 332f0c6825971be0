//! What each program costs the verifier, held against a budget in the repository.
//!
//! The kernel counts the instructions that it walks (told since 5.16); beyond a million it refuses. Counts of other
//! kernels are taken from the file that `EYAS_VERIFIER_COUNTS` names (`KERNEL PROGRAM COUNT` in each line), which
//! `scripts/kernels` writes. With `EYAS_BLESS=1` the budget becomes what was counted, and a quarter; without counts of
//! other kernels it is only raised.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use eyas_probe::{Probe, capability, embedded};

const HEAD: &str = "\
# Most instructions that the verifier of any kernel may walk for each program of the probe.
# Written by `EYAS_BLESS=1 scripts/kernels`: the highest count over all kernels, and a quarter.
";

/// Kernel, program, count.
type Counted = (String, String, u32);

fn budget_file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("verifier-budget.tsv")
}

fn counted_here() -> Option<Vec<Counted>> {
    if let Err(why) = capability() {
        eprintln!("SKIPPED: {why} ({})", why.hint());
        return None;
    }
    let programs = Probe::try_load(embedded()).unwrap_or_else(|error| panic!("{error}"));
    let counted: Vec<Counted> = programs
        .into_iter()
        .filter_map(|p| Some(("this kernel".to_owned(), p.name, p.verified_instructions?)))
        .collect();
    if counted.is_empty() {
        eprintln!(
            "SKIPPED: this kernel does not tell how many instructions it verified (5.16 does)"
        );
    }
    Some(counted)
}

fn counted_elsewhere() -> Vec<Counted> {
    let Some(path) = std::env::var_os("EYAS_VERIFIER_COUNTS") else { return Vec::new() };
    let text = std::fs::read_to_string(&path).unwrap();
    let words = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    words
        .map(|words| match words[..] {
            [kernel, program, count] => {
                (kernel.to_owned(), program.to_owned(), count.parse().unwrap())
            }
            _ => panic!("`{words:?}`: expected kernel, program and count"),
        })
        .collect()
}

fn budget() -> BTreeMap<String, u32> {
    let text = std::fs::read_to_string(budget_file()).unwrap_or_default();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
        .map(|(program, count)| (program.to_owned(), count.parse().unwrap()))
        .collect()
}

/// The highest count of each program with the margin, rounded up to a hundred.
fn with_margin(counted: &[Counted]) -> BTreeMap<&str, u32> {
    let mut budget: BTreeMap<&str, u32> = BTreeMap::new();
    for (_, program, count) in counted {
        let allowed = (count + count / 4).next_multiple_of(100);
        let entry = budget.entry(program).or_default();
        *entry = allowed.max(*entry);
    }
    budget
}

/// `alone`: only this kernel has counted, so nothing is lowered that another one may need.
fn bless(counted: &[Counted], alone: bool) {
    let before = budget();
    let mut text = HEAD.to_owned();
    for (program, allowed) in with_margin(counted) {
        let floor = if alone { before.get(program).copied().unwrap_or(0) } else { 0 };
        let _ = writeln!(text, "{program}\t{}", allowed.max(floor));
    }
    std::fs::write(budget_file(), text).unwrap();
}

#[test]
fn no_program_costs_more_than_its_budget() {
    let Some(mut counted) = counted_here() else { return };
    let elsewhere = counted_elsewhere();
    let alone = elsewhere.is_empty();
    counted.extend(elsewhere);
    if counted.is_empty() {
        return;
    }
    if std::env::var_os("EYAS_BLESS").is_some() {
        bless(&counted, alone);
    }
    let budget = budget();
    let mut over = Vec::new();
    for (kernel, program, count) in &counted {
        let allowed = budget.get(program).copied().unwrap_or(0);
        println!("{kernel:<12} {program:<26} {count:>7} of {allowed:>7}");
        if *count > allowed {
            over.push(format!(
                "{kernel}: {program}: {count} instructions verified, {allowed} allowed"
            ));
        }
    }
    assert!(
        over.is_empty(),
        "over budget (EYAS_BLESS=1 takes the counts over):\n{}",
        over.join("\n")
    );
    // not those that were counted: no kernel takes all of them
    let object = aya_obj::Object::parse(embedded()).unwrap();
    let gone: Vec<&String> =
        budget.keys().filter(|program| !object.programs.contains_key(program.as_str())).collect();
    assert!(gone.is_empty(), "programs with a budget that are not in the object: {gone:?}");
}

//! The rules files that most installations start from: they load, alone and together.
//!
//! They live outside the repository, in the folder that `EYAS_SHARED` names (default: `shared`
//! beside the workspace). Without them the tests say so and stop.
use std::path::{Path, PathBuf};

use eyas_rules::{EngineOptions, LoadOutcome, Severity, SourceFile, load};

const FILES: [(&str, usize); 2] = [("falco_rules.yaml", 25), ("falco-incubating_rules.yaml", 31)];

fn shared() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    std::env::var_os("EYAS_SHARED").map_or(beside, PathBuf::from).join("upstream-rules")
}

fn file(name: &str) -> Option<SourceFile> {
    let text = std::fs::read_to_string(shared().join(name)).ok()?;
    Some(SourceFile { name: name.to_owned(), text })
}

fn errors(outcome: &LoadOutcome) -> Vec<String> {
    let errors = outcome.reports.iter().filter(|report| report.severity == Severity::Error);
    errors.map(|report| format!("{:?} {}", report.line_and_column(), report.message)).collect()
}

#[test]
fn each_file_loads_and_every_rule_compiles() {
    for (name, rules) in FILES {
        let Some(file) = file(name) else {
            eprintln!("SKIPPED: no `{name}` at `{}`; set EYAS_SHARED", shared().display());
            continue;
        };
        let listed = file.text.lines().filter(|line| line.starts_with("- rule:")).count();
        let outcome = load(&[file], &EngineOptions::default());
        assert_eq!(errors(&outcome), Vec::<String>::new(), "{name}");
        assert_eq!(outcome.results[0].schema_valid, Some(true), "{name}");
        let compiled = outcome.rule_set.map_or(0, |set| set.rules().len());
        assert_eq!((compiled, listed), (rules, rules), "{name}");
    }
}

#[test]
fn all_files_load_together() {
    let files: Vec<SourceFile> = FILES.iter().filter_map(|(name, _)| file(name)).collect();
    if files.len() < FILES.len() {
        eprintln!("SKIPPED: no upstream rules at `{}`; set EYAS_SHARED", shared().display());
        return;
    }
    let outcome = load(&files, &EngineOptions::default());
    assert_eq!(errors(&outcome), Vec::<String>::new());
    let set = outcome.rule_set.unwrap();
    assert!(set.syscalls_needed().contains("execve"));
    assert!(set.rules().any(|(_, rule)| &*rule.name == "Terminal shell in container"));
}

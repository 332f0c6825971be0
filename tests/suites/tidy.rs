//! House rules that a compiler does not check: module headers, the crate graph, names, sizes, unsafe code.
//!
//! Reads the source tree as text. Each rule is one function that returns what it found, so that a failure lists
//! every place at once.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use eyas_tests::workspace_root;

/// Longest file that is still read in one go; tables above it must say so in their header.
const MAX_FILE_LINES: usize = 900;
/// Longest function; one in a hundred may be longer.
const MAX_FN_LINES: usize = 100;
/// Crates whose roots may contain unsafe code: ring memory and kernel calls.
const UNSAFE_CRATES: [&str; 2] = ["sensor/abi", "sensor/probe"];
/// Names that do not say what a module owns.
const NAMELESS: [&str; 7] = ["util", "utils", "helper", "helpers", "common", "misc", "shared"];

/// Which of our crates each one may use, by folder. The map in `docs/architecture.md` says why.
const GRAPH: [(&str, &[&str]); 17] = [
    ("registry/artifact", &[]),
    ("registry/index", &["artifact"]),
    ("registry/oci", &["artifact"]),
    ("registry/trust", &["artifact", "oci"]),
    ("registry/store", &["artifact", "oci", "trust"]),
    ("registry/ops", &["artifact", "index", "oci", "trust", "store"]),
    (
        "cli",
        &[
            "artifact", "index", "oci", "trust", "store", "ops", "control", "rules", "probe",
            "output", "capture",
        ],
    ),
    ("sensor/abi", &[]),
    ("sensor/probe", &["abi", "artifact"]),
    ("sensor/state", &["abi"]),
    ("sensor/rules", &["abi", "state"]),
    ("sensor/capture", &["abi", "state"]),
    ("sensor/metadata", &["state"]),
    ("sensor/output", &["rules"]),
    ("sensor/control", &["artifact"]),
    (
        "sensor/daemon",
        &["abi", "artifact", "capture", "control", "metadata", "output", "probe", "rules", "state"],
    ),
    ("tests", &["abi", "artifact", "control", "metadata", "probe"]),
];

fn files_below(root: &Path, ending: &str, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                files_below(&path, ending, into);
            }
        } else if name.ends_with(ending) {
            into.push(path);
        }
    }
}

fn sources(ending: &str) -> Vec<(String, String)> {
    let root = workspace_root();
    let mut paths = Vec::new();
    files_below(&root, ending, &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).expect("below the root").display().to_string();
            (name, fs::read_to_string(&path).expect("readable source"))
        })
        .collect()
}

fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn every_module_says_what_it_is_for() {
    let found: Vec<String> = sources(".rs")
        .into_iter()
        .filter(|(_, text)| !text.lines().take(3).any(|line| line.starts_with("//!")))
        .map(|(name, _)| name)
        .collect();
    assert_none("modules without a `//!` header", &found);
}

#[test]
fn probe_sources_carry_their_licence() {
    let found: Vec<String> = sources(".c")
        .into_iter()
        .chain(sources(".h"))
        .filter(|(_, text)| {
            !text.lines().next().is_some_and(|line| {
                line.contains("SPDX-License-Identifier") && line.contains("BSD-2-Clause")
            })
        })
        .map(|(name, _)| name)
        .collect();
    assert_none("C files whose first line is not the dual SPDX licence", &found);
}

#[test]
fn crates_depend_downwards_only() {
    let mut found = Vec::new();
    for (folder, allowed) in GRAPH {
        let manifest = fs::read_to_string(workspace_root().join(folder).join("Cargo.toml"))
            .unwrap_or_else(|error| panic!("{folder}/Cargo.toml: {error}"));
        let used: BTreeSet<&str> = manifest
            .lines()
            .skip_while(|line| *line != "[dependencies]")
            .skip(1)
            .take_while(|line| !line.starts_with('['))
            .filter_map(|line| line.strip_prefix("eyas-")?.split(['.', ' ', '=']).next())
            .collect();
        for name in used {
            if !allowed.contains(&name) {
                found.push(format!("{folder} uses eyas-{name}"));
            }
        }
    }
    assert_none("arrows that docs/architecture.md does not draw", &found);
}

#[test]
fn the_graph_names_every_member() {
    let manifest =
        fs::read_to_string(workspace_root().join("Cargo.toml")).expect("workspace manifest");
    let members: BTreeSet<String> = manifest
        .lines()
        .skip_while(|line| !line.starts_with("members"))
        .skip(1)
        .take_while(|line| !line.starts_with(']'))
        .map(|line| line.trim().trim_matches([',', '"']).to_owned())
        .collect();
    let known: BTreeSet<String> = GRAPH.iter().map(|(folder, _)| (*folder).to_owned()).collect();
    assert_eq!(members, known);
}

#[test]
fn unsafe_code_stays_in_its_corner() {
    let found: Vec<String> = sources(".rs")
        .into_iter()
        .filter(|(name, _)| name.ends_with("src/lib.rs") || name.ends_with("src/main.rs"))
        .filter(|(name, _)| !UNSAFE_CRATES.iter().any(|allowed| name.starts_with(allowed)))
        .filter(|(_, text)| !text.contains("#![forbid(unsafe_code)]"))
        .map(|(name, _)| name)
        .collect();
    assert_none("crate roots that do not forbid unsafe code", &found);
}

#[test]
fn names_say_what_they_own() {
    let found: Vec<String> = sources(".rs")
        .into_iter()
        .filter(|(name, _)| {
            Path::new(name)
                .with_extension("")
                .components()
                .any(|part| NAMELESS.contains(&part.as_os_str().to_str().unwrap_or_default()))
        })
        .map(|(name, _)| name)
        .collect();
    assert_none("module names that say nothing", &found);
}

#[test]
fn files_fit_on_the_reader() {
    let found: Vec<String> = sources(".rs")
        .into_iter()
        .chain(sources(".c"))
        .map(|(name, text)| (name, text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_FILE_LINES)
        .map(|(name, lines)| format!("{name}: {lines} lines"))
        .collect();
    assert_none("files over the budget", &found);
}

/// Lengths of the functions of a formatted file: from `fn` to the closing brace at the same depth of indentation.
fn function_lengths(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut lengths = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let signature = body.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        let signature = signature.trim_start_matches("pub(super) ").trim_start_matches("async ");
        let Some(rest) = signature.strip_prefix("fn ") else { continue };
        let closing = format!("{}}}", " ".repeat(indent));
        let one_line = line.trim_end().ends_with('}') || line.trim_end().ends_with(';');
        let length = if one_line {
            1
        } else {
            lines[start..].iter().position(|line| *line == closing).map_or(1, |at| at + 1)
        };
        lengths.push((rest.split('(').next().unwrap_or_default().to_owned(), length));
    }
    lengths
}

#[test]
fn functions_fit_on_the_screen() {
    let mut total = 0;
    let mut long = Vec::new();
    for (file, text) in sources(".rs") {
        for (name, lines) in function_lengths(&text) {
            total += 1;
            if lines > MAX_FN_LINES {
                long.push(format!("{file}: fn {name}: {lines} lines"));
            }
        }
    }
    assert!(long.len() * 100 <= total, "more than 1% of {total} functions are long: {long:#?}");
}

#[test]
fn unfinished_work_names_an_issue() {
    let markers = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    let found: Vec<String> = sources(".rs")
        .into_iter()
        .chain(sources(".c"))
        .chain(sources(".h"))
        .flat_map(|(name, text)| {
            text.lines()
                .enumerate()
                .filter(|(_, line)| {
                    markers.iter().any(|marker| line.contains(marker)) && !line.contains('#')
                })
                .map(|(at, line)| format!("{name}:{}: {}", at + 1, line.trim()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert_none("unfinished work without an issue number", &found);
}

#[test]
fn ignored_tests_do_not_exist() {
    let marker = concat!("#[ig", "nore");
    let found: Vec<String> = sources(".rs")
        .into_iter()
        .filter(|(_, text)| text.contains(marker))
        .map(|(name, _)| name)
        .collect();
    assert_none("ignored tests", &found);
}

/// Every package that is really linked here, as `cargo tree` resolves features, with its versions.
fn linked_packages() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--locked", "--offline", "-e", "normal", "--prefix", "none"])
        .current_dir(workspace_root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut words = line.split(' ');
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            packages.entry(name.to_owned()).or_default().insert(version.to_owned());
        }
    }
    packages
}

#[test]
fn one_version_of_what_matters() {
    let packages = linked_packages();
    for single in ["tokio", "hyper", "reqwest", "rustls", "sha2", "aws-lc-rs", "serde", "clap"] {
        let versions = packages.get(single).cloned().unwrap_or_default();
        assert_eq!(versions.len(), 1, "`{single}` is linked as {versions:?}");
    }
    for banned in ["openssl", "native-tls", "ring", "serde_yaml"] {
        assert!(!packages.contains_key(banned), "`{banned}` is linked");
    }
}

#[test]
fn the_daemon_links_no_network_client() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "-p",
            "eyas-daemon",
            "--locked",
            "--offline",
            "-e",
            "normal",
            "--prefix",
            "none",
        ])
        .current_dir(workspace_root())
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(tree.contains("eyas-rules"), "not the daemon's tree: {tree}");
    for absent in ["reqwest", "rustls", "tokio", "hyper", "oci-client"] {
        let found = tree.lines().any(|line| line.split(' ').next() == Some(absent));
        assert!(!found, "`{absent}` is linked into the daemon");
    }
}

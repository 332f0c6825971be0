//! Bars of hostile archives: size, ratio, entries, modes, names.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use eyas_tests::stranger::{gzip, tar};
use eyas_tests::{Entry, Finished, Site, Stranger, marker_rule};

const VALIDATION: i32 = 6;

fn rules() -> String {
    marker_rule("Marker", "/eyas/test/marker")
}

/// Installs rules in this layer on a fresh host.
fn install(layer: Vec<u8>) -> (Site, Finished) {
    let (stranger, site) = (Stranger::new(), Site::new());
    let reference = stranger.rules("1", layer);
    let finished = site.install(&[&reference, "--no-verify"]);
    (site, finished)
}

/// Asserts that nothing became active and nothing half unpacked stayed.
#[track_caller]
fn nothing_installed(site: &Site) {
    assert!(!site.store().join("current").exists(), "a generation was activated");
    let left: Vec<_> = site
        .snapshot()
        .into_keys()
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    assert!(left.is_empty(), "unpacked files stayed: {left:?}");
}

#[test]
fn bar_09_a_bomb_is_stopped_by_size_ratio_and_count() {
    let bomb = Entry::of(b'0', "zeros.yaml", &vec![0; 64 * 1024 * 1024]);
    let many: Vec<Entry> =
        (0..20_000).map(|number| Entry::file(&format!("{number}.yaml"), "")).collect();
    for (name, layer, text) in [
        ("ratio", gzip(&tar(&[bomb])), "bytes per compressed byte"),
        ("entries", gzip(&tar(&many)), "entries"),
    ] {
        let (site, finished) = install(layer);
        finished.expect_code(VALIDATION).expect_stderr(&["demo", text]);
        assert!(!finished.stderr.contains("panicked"), "{name}: {}", finished.stderr);
        nothing_installed(&site);
    }
}

#[test]
fn bar_10_special_modes_of_an_archive_are_never_applied() {
    let file = |name: &str, mode| Entry::file(name, &rules().replace("Marker", name)).mode(mode);
    let entries = [
        Entry::of(b'5', "dir/", b"").mode(0o7777),
        file("setuid.yaml", 0o6755),
        file("sticky.yaml", 0o1777),
        file("dir/secret.yaml", 0o000),
    ];
    let (site, finished) = install(gzip(&tar(&entries)));
    finished.expect_code(0);
    let mut modes = Vec::new();
    walk(&site.store().join("generations"), &mut modes);
    let rules = modes.iter().filter(|(path, _)| path.contains(".yaml")).count();
    assert_eq!(rules, 3, "{modes:?}");
    for (path, mode) in modes {
        assert_eq!(mode & 0o7000, 0, "{path} has mode {mode:o}");
        assert_eq!(mode & 0o022, 0, "{path} can be written by others: {mode:o}");
        assert_eq!(mode & 0o444, 0o444, "{path} cannot be read: {mode:o}");
    }
}

#[test]
fn bar_33_names_that_are_odd_and_harmless_can_be_installed() {
    let text = |name: &str| marker_rule(name, "/eyas/test/marker");
    let comment = eyas_tests::stranger::pax_record("comment", b"made by a build");
    let long = format!("{}/long.yaml", "d".repeat(150));
    let entries = [
        Entry::of(b'g', "pax_global_header", &comment),
        Entry::file("nested/without/entry.yaml", &text("Nested")),
        Entry::file("a..b.yaml", &text("Dots")),
        Entry::file("..c.yaml", &text("Leading")),
        Entry::file("/absolute.yaml", &text("Absolute")),
        Entry::pax(&[("path", long.as_bytes()), ("mtime", b"1.5")]),
        Entry::file("short", &text("Long")),
    ];
    let (site, finished) = install(gzip(&tar(&entries)));
    finished.expect_code(0);
    let generation = site.generation();
    let mut names: Vec<&str> = generation["entries"][0]["files"]
        .as_array()
        .expect("files")
        .iter()
        .filter_map(|file| file["path"].as_str())
        .collect();
    names.sort_unstable();
    let expected =
        ["..c.yaml", "a..b.yaml", "absolute.yaml", long.as_str(), "nested/without/entry.yaml"];
    let ends = names.iter().zip(expected).all(|(found, expected)| found.ends_with(expected));
    assert!(ends && names.len() == expected.len(), "{names:?}");
}

fn walk(folder: &Path, into: &mut Vec<(String, u32)>) {
    for entry in fs::read_dir(folder).expect("folder").flatten() {
        let path = entry.path();
        let data = fs::symlink_metadata(&path).expect("entry");
        into.push((path.display().to_string(), data.permissions().mode()));
        if data.is_dir() {
            walk(&path, into);
        }
    }
}

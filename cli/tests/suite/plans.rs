//! Every command that changes something can say what it would change, and then changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::program::Site;

/// Every file below a folder, with its content.
fn files(folder: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("listed").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            into.insert(path.clone(), Vec::new());
            files(&path, into);
        } else {
            into.insert(path.clone(), fs::read(&path).unwrap_or_default());
        }
    }
}

#[test]
fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let site = Site::new();
    site.publish("1.0.0").expect(0);
    site.user.run("artifact install demo --index-file index.yaml").expect(0);
    site.user.run("index add known index.yaml").expect(0);
    site.publish("1.1.0").expect(0);
    fs::create_dir(site.user.path("falco")).expect("directory");
    site.user.write("falco/falco.yaml", "engine:\n  kind: kmod\n");
    let driver = "--type kmod --version 1.0.0 --kernelrelease 5.10.0 --kernelversion 1";
    let snapshot = || {
        let mut all = BTreeMap::new();
        files(&site.user.path(""), &mut all);
        all
    };
    let before = snapshot();
    for (line, word) in [
        ("artifact install demo --index-file index.yaml".to_owned(), "would upgrade demo 1.1.0"),
        ("artifact uninstall demo".to_owned(), "would remove"),
        ("artifact pin demo".to_owned(), "would be"),
        ("artifact repair".to_owned(), ""),
        ("artifact gc".to_owned(), "would remove"),
        ("artifact lock --installed".to_owned(), "would be written"),
        ("index add another index.yaml".to_owned(), "`another` would be added, which has 1"),
        ("index update known".to_owned(), "`known` would be updated, which has 1"),
        ("index remove known".to_owned(), "`known` would be removed"),
        (
            format!(
                "registry push {}/team/new:1 demo.yaml --type rulesfile --version 1.0.0 --sign-key signer",
                site.host
            ),
            "would push new 1.0.0",
        ),
        (
            "registry push oci-layout:fresh:1 demo.yaml --type rulesfile --version 1.0.0"
                .to_owned(),
            "would push",
        ),
        (format!("driver config {driver} --falco-config-dir falco"), "`kmod` would be set in"),
        (format!("driver install {driver} --trust-checksum"), "would be fetched and checked"),
        (format!("driver install {driver}"), "nothing would be fetched"),
        (format!("driver cleanup {driver}"), "would be unloaded"),
        ("tls install --path certs".to_owned(), "would be written to"),
    ] {
        let done = site.user.run(&format!("{line} --dry-run")).expect(0);
        assert!(done.stdout.contains(word), "{line}: {}", done.stdout);
        let after = snapshot();
        let changed: Vec<_> = after
            .iter()
            .filter(|(path, content)| before.get(*path) != Some(content))
            .map(|(path, _)| path)
            .collect();
        assert!(changed.is_empty() && after.len() == before.len(), "{line}: {changed:?}");
    }
}

#[test]
fn a_plan_of_a_push_has_the_digest_that_the_push_has() {
    let site = Site::new();
    site.user.write("asset.txt", "content");
    let line = format!(
        "registry push {}/team/asset:1 asset.txt --type asset --version 1.0.0 --output json",
        site.host
    );
    let planned = site.user.run(&format!("{line} --dry-run")).expect(0).json();
    let pushed = site.user.run(&line).expect(0).json();
    assert_eq!((&planned["dry_run"], &pushed["dry_run"]), (&true.into(), &false.into()));
    assert_eq!(planned["digest"], pushed["digest"]);
    assert_eq!(planned["tags"], pushed["tags"]);
}

//! Indexes that have to be signed: the bundle beside an index, and what its entries may say.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use eyas_tests::{Registry, Site, marker_rule};

const VERIFICATION: i32 = 5;

/// A signed artifact in an index, and a policy with a rule about the index.
fn stage(rule: &str, signatures: &str) -> (Registry, Site) {
    let (registry, site) = (Registry::embedded(), Site::new());
    site.keygen("indexer");
    site.publish(&registry, "1.0.0", Some("signer"), &[("demo.yaml", &marker_rule("A", "/x"))]);
    let rules = rule.replace("HOST", &registry.host());
    site.write_policy(&format!(
        "version: 1\nrules:\n{rules}\nindexes:\n  - index: index.yaml\n    accept: [{{key: {{file: indexer.pub}}}}]\n    signatures: {signatures}\n"
    ));
    (registry, site)
}

fn sign(site: &Site, key: &str) {
    site.run(&["sign", "--file", "index.yaml", "--key", key]).expect_code(0);
}

const BY_KEY: &str = "  - match: 'HOST/**'\n    accept: [{key: {file: signer.pub}}]";

#[test]
fn an_index_with_a_rule_has_to_be_signed_by_whom_the_rule_names() {
    let (_registry, site) = stage(BY_KEY, "ignored");
    let refused = |texts: &[&str]| {
        let before = site.snapshot();
        site.install(&["demo-rules"]).expect_code(VERIFICATION).expect_stderr(texts);
        assert_eq!(site.snapshot(), before, "the store changed");
    };
    refused(&["index.yaml", "has no signature"]);
    sign(&site, "signer");
    refused(&["failed at signature"]);
    sign(&site, "indexer");
    let signed = fs::read(site.path("index.yaml.sigstore.json")).expect("a bundle");
    site.install(&["demo-rules"]).expect_code(0);
    // Whatever changes in the index is noticed.
    let text = fs::read_to_string(site.path("index.yaml")).expect("an index");
    fs::write(site.path("index.yaml"), format!("{text}\n")).expect("changed");
    refused(&["failed at binding"]);
    fs::write(site.path("index.yaml"), &text).expect("put back");
    fs::write(site.path("index.yaml.sigstore.json"), &signed[..signed.len() / 2]).expect("cut");
    refused(&["failed at format"]);
}

#[test]
fn entries_speak_for_signatures_only_where_a_signed_index_may() {
    // No rule is about the repository: only the index says who signs.
    for (signatures, accepted) in [("ignored", false), ("honoured", true)] {
        let (_registry, site) =
            stage("  - match: other.example/x\n    insecure: accept unsigned", signatures);
        sign(&site, "indexer");
        let finished = site.install(&["demo-rules"]);
        if accepted {
            finished.expect_code(0);
        } else {
            finished.expect_code(VERIFICATION).expect_stderr(&["no rule of"]);
        }
    }
}

#[test]
fn an_unsigned_child_of_a_signed_index_is_refused() {
    let (registry, site) = stage(BY_KEY, "honoured");
    site.publish(&registry, "1.1.0", None, &[("demo.yaml", &marker_rule("B", "/x"))]);
    sign(&site, "indexer");
    site.install(&["demo-rules"]).expect_code(VERIFICATION).expect_stderr(&["has no signature"]);
}

#[test]
fn a_key_behind_a_command_signs_and_verifies() {
    let (registry, site) = (Registry::embedded(), Site::new());
    let Some(openssl) = eyas_tests::peer("OPENSSL") else {
        eyas_tests::skip("sigstore::indexes::command", "openssl is not installed");
        return;
    };
    // The digest comes on standard input; `pkeyutl` signs it as it is.
    let script = format!(
        "#!/bin/sh\ncase $1 in\n  public-key) cat {0}.pub;;\n  sign) exec {1} pkeyutl -sign -inkey {0};;\nesac\n",
        site.path("signer").display(),
        openssl.display()
    );
    let command = site.path("kms");
    fs::write(site.path("kms.txt"), script).expect("written");
    // Another process writes what is run, so that nobody has it open.
    let copied = std::process::Command::new("cp").arg(site.path("kms.txt")).arg(&command).status();
    assert!(copied.expect("cp runs").success());
    fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).expect("executable");
    let command = command.display().to_string();
    site.publish(&registry, "1.0.0", None, &[("demo.yaml", &marker_rule("A", "/x"))]);
    let reference = registry.reference("team/demo-rules:1.0.0");
    site.run(&["sign", &reference, "--plain-http", "--key-command", &command]).expect_code(0);
    site.write_policy(&format!(
        "version: 1\nrules:\n  - match: '{}/**'\n    accept: [{{key: {{command: ['{command}']}}}}]\n",
        registry.host()
    ));
    site.install(&["demo-rules"]).expect_code(0);
    site.run(&["sign", &reference, "--plain-http", "--key-command", "/nowhere/kms"])
        .expect_code(2)
        .expect_stderr(&["/nowhere/kms"]);
}

#[test]
fn what_is_trusted_is_shown_added_and_tested() {
    let (registry, site) = (Registry::embedded(), Site::new());
    site.publish(&registry, "1.0.0", Some("signer"), &[("demo.yaml", &marker_rule("A", "/x"))]);
    let reference = registry.reference("team/demo-rules:1.0.0");
    let trial = ["trust", "test", &reference, "--policy", "trust.yaml", "--plain-http"];
    site.write_policy("# ours\nversion: 1\nrules: []\n");
    let finished = site.run(&trial);
    finished.expect_code(VERIFICATION).expect_stderr(&["1 of 1 references would be refused"]);
    assert!(finished.stdout.contains("no rule of"), "{}", finished.stdout);
    let pattern = format!("{}/team/*", registry.host());
    let add = ["trust", "add", &pattern, "--key", "signer.pub", "--policy", "trust.yaml"];
    site.run(&add).expect_code(0);
    site.run(&add).expect_code(2).expect_stderr(&["already has the rule"]);
    let text = fs::read_to_string(site.path("trust.yaml")).expect("a policy");
    assert!(text.starts_with("# ours\n") && text.contains("fingerprint: \"sha256:"), "{text}");
    site.run(&trial).expect_code(0);
    let show = site.run(&["trust", "show", "--policy", "trust.yaml"]);
    assert!(show.expect_code(0).stdout.contains(&pattern), "{}", show.stdout);
    // A version that an install would refuse is refused here too.
    fs::write(
        site.path("trust.yaml"),
        text.replace("    accept:", "    minimum-version: 9.0.0\n    accept:"),
    )
    .expect("written");
    let finished = site.run(&trial);
    finished.expect_code(VERIFICATION);
    assert!(finished.stdout.contains("at least `9.0.0`"), "{}", finished.stdout);
    fs::write(site.path("trust.yaml"), &text).expect("written");
    // The key file is swapped: the pinned fingerprint notices.
    site.keygen("stranger");
    fs::copy(site.path("stranger.pub"), site.path("signer.pub")).expect("swapped");
    site.install(&["demo-rules"])
        .expect_code(2)
        .expect_stderr(&["signer.pub", "expected `sha256:"]);
}

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
fn an_older_signed_index_is_not_taken_for_the_present_one() {
    let (registry, site) = stage(BY_KEY, "ignored");
    let files = ["index.yaml", "index.yaml.sigstore.json"];
    let read = || files.map(|file| fs::read(site.path(file)).expect("there"));
    let write = |kept: &[Vec<u8>; 2]| {
        for (file, bytes) in files.iter().zip(kept) {
            fs::write(site.path(file), bytes).expect("written");
        }
    };
    sign(&site, "indexer");
    let first = read();
    site.install(&["demo-rules"]).expect_code(0);
    // Signing times have whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    site.publish(&registry, "1.1.0", Some("signer"), &[("demo.yaml", &marker_rule("B", "/x"))]);
    sign(&site, "indexer");
    let second = read();
    site.install(&["demo-rules"]).expect_code(0);
    let before = site.snapshot();
    write(&first);
    let told = ["index `index` was signed at", "accepted before", "may be replayed"];
    site.install(&["demo-rules"]).expect_code(VERIFICATION).expect_stderr(&told);
    let verify = ["artifact", "verify", "demo-rules", "--policy", "trust.yaml", "--plain-http"];
    site.run(&[&verify[..], &["--index-file", "index.yaml"]].concat())
        .expect_code(VERIFICATION)
        .expect_stderr(&told);
    // A note that is spoilt is not taken for none.
    let notes = site.path("cache/indexes");
    let note = fs::read_dir(&notes).expect("notes").flatten().map(|entry| entry.path());
    let note = note.into_iter().find(|path| path.extension().is_some_and(|end| end == "newest"));
    let note = note.expect("a note");
    let kept = fs::read(&note).expect("a note");
    fs::write(&note, "soon").expect("spoilt");
    site.install(&["demo-rules"]).expect_code(8).expect_stderr(&["`soon`"]);
    fs::write(&note, kept).expect("put back");
    // The newest stays usable.
    write(&second);
    site.install(&["demo-rules"]).expect_code(0);
    assert_eq!(site.snapshot(), before, "the store changed");
}

#[test]
fn a_signed_index_that_moves_a_name_does_not_move_what_is_installed() {
    let (registry, site) = stage(BY_KEY, "ignored");
    sign(&site, "indexer");
    site.install(&["demo-rules"]).expect_code(0);
    let before = site.snapshot();
    // The same name and a higher version, by an accepted signer, from elsewhere.
    fs::write(site.path("there.yaml"), marker_rule("There", "/x")).expect("rules");
    let reference = registry.reference("other/demo-rules:1.1.0");
    let push = ["registry", "push", &reference, "there.yaml", "--type", "rulesfile"];
    let more = ["--version", "1.1.0", "--name", "demo-rules", "--plain-http"];
    let signed = ["--sign-key", "signer", "--tag", "latest"];
    site.run(&[&push[..], &more[..], &signed[..]].concat()).expect_code(0);
    let text = fs::read_to_string(site.path("index.yaml")).expect("an index");
    assert!(text.contains("team/demo-rules"), "{text}");
    let moved = text.replace("team/demo-rules", "other/demo-rules");
    fs::write(site.path("index.yaml"), moved).expect("written");
    sign(&site, "indexer");
    let told = ["other/demo-rules", "--allow-other-repository"];
    for more in [&[][..], &["--allow-downgrade"]] {
        let asked = [&["demo-rules"], more].concat();
        site.install(&asked).expect_code(VERIFICATION).expect_stderr(&told);
    }
    assert_eq!(site.snapshot(), before, "the store changed");
}

#[test]
fn a_signed_child_of_an_unsigned_index_is_no_way_around_the_index() {
    let (_registry, site) = stage(BY_KEY, "honoured");
    let refused = || {
        let told = ["index.yaml", "has no signature"];
        site.install(&["demo-rules"]).expect_code(VERIFICATION).expect_stderr(&told);
    };
    refused();
    // A bundle by the key of what it lists is not one by the key of the index.
    sign(&site, "signer");
    let told = ["failed at signature"];
    site.install(&["demo-rules"]).expect_code(VERIFICATION).expect_stderr(&told);
    fs::remove_file(site.path("index.yaml.sigstore.json")).expect("removed");
    refused();
    assert!(!site.store().exists() || site.snapshot().is_empty(), "something was installed");
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

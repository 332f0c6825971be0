//! What the policy accepted once and does not accept any more: no way back to it, and said so.

use std::fs;

use eyas_artifact::Digest;
use eyas_tests::sigstore::Key;
use eyas_tests::{Finished, Registry, Site, marker_rule};
use serde_json::Value;

const VERIFICATION: i32 = 5;

/// Three generations of one artifact, the first by another signer.
fn installed(registry: &Registry) -> Site {
    let site = Site::new();
    site.keygen("former");
    site.keygen("second");
    policy(&site, registry, &[], "accept: [{key: {file: signer.pub}}, {key: {file: former.pub}}]");
    for (version, key) in [("1.0.0", "former"), ("1.1.0", "signer"), ("1.2.0", "signer")] {
        let rules = marker_rule(&format!("Rule {version}"), "/x");
        site.publish(registry, version, Some(key), &[("demo.yaml", &rules)]);
        site.install(&[&registry.reference(&format!("team/demo-rules:{version}"))]).expect_code(0);
    }
    site
}

fn policy(site: &Site, registry: &Registry, more: &[&str], rule: &str) {
    let more = more.join("\n    ");
    let text = format!(
        "version: 1\nrules:\n  - match: '{}/**'\n    {rule}\n    {more}\n",
        registry.host()
    );
    site.write_policy(&text);
}

fn print(site: &Site, key: &str) -> String {
    let pem = fs::read_to_string(site.path(key)).expect("a key");
    Digest::sha256(Key::from_pem(&pem).spki()).to_string()
}

fn back(site: &Site, more: &[&str]) -> Finished {
    site.run(&[&["artifact", "rollback", "--policy", "trust.yaml"], more].concat())
}

const BY_SIGNER: &str = "accept: [{key: {file: signer.pub}}]";

#[test]
fn no_way_back_to_what_the_policy_does_not_accept_any_more() {
    let registry = Registry::embedded();
    let site = installed(&registry);
    let (former, signer) = (print(&site, "former"), print(&site, "signer"));
    let before = site.snapshot();
    let digest = site.generation()["entries"][0]["root_digest"].as_str().expect("one").to_owned();
    let host = registry.host();
    // The registry is not asked: it need not be there.
    let locator = format!("{host}/team/demo-rules");
    let first = |told: &[&str]| {
        for more in [&["--to", "1"][..], &["--to", "1", "--dry-run"]] {
            back(&site, more).expect_code(VERIFICATION).expect_stderr(told);
        }
    };
    // The key was taken out of the rule: the second generation is by one that stayed.
    policy(&site, &registry, &[], BY_SIGNER);
    first(&["generation 1", "demo-rules 1.0.0", &former, "trust.yaml:3", "`--to 2`"]);
    // Nobody is left whose generation could be gone back to.
    policy(&site, &registry, &[], "accept: [{key: {file: second.pub}}]");
    let told = [signer.as_str(), "--allow-downgrade", &locator, "`--no-verify`"];
    back(&site, &[]).expect_code(VERIFICATION).expect_stderr(&told);
    // An identity in the place of the key.
    let identity = "accept: [{keyless: {issuer: https://i, identity: https://x}}]";
    policy(&site, &registry, &[], identity);
    back(&site, &[]).expect_code(VERIFICATION).expect_stderr(&[&signer]);
    // The rule for the repository is gone.
    site.write_policy("version: 1\nrules: []\n");
    back(&site, &[]).expect_code(VERIFICATION).expect_stderr(&["no rule is about", &locator]);
    // A higher version is asked for.
    policy(
        &site,
        &registry,
        &["minimum-version: 1.1.0"],
        "accept: [{key: {file: signer.pub}}, {key: {file: former.pub}}]",
    );
    first(&["demo-rules 1.0.0", "lower than `1.1.0`", "`--to 2`"]);
    // More signers are.
    let two = "accept: [{key: {file: signer.pub}}, {key: {file: second.pub}}]";
    policy(&site, &registry, &["threshold: 2"], two);
    back(&site, &[]).expect_code(VERIFICATION).expect_stderr(&["1 of 2 signers count"]);
    // Only one digest is, which is another.
    policy(&site, &registry, &[&format!("digests: ['{digest}']")], BY_SIGNER);
    back(&site, &[]).expect_code(VERIFICATION).expect_stderr(&["is not listed"]);
    // A statement is.
    policy(&site, &registry, &["attestations: [{predicate-type: spdx}]"], BY_SIGNER);
    back(&site, &[]).expect_code(VERIFICATION).expect_stderr(&["no statement `https://spdx.dev"]);
    assert_eq!(site.snapshot(), before, "a refused rollback changes nothing");
    // Whoever means it says so.
    let all = ["artifact", "rollback", "--policy", "trust.yaml", "--no-verify"];
    site.run(&all).expect_code(0);
    assert_eq!(site.generation()["number"], 2);
}

#[test]
fn a_key_that_cannot_be_read_bars_no_way_back_and_is_told() {
    let registry = Registry::embedded();
    let site = installed(&registry);
    drop(registry);
    fs::remove_file(site.path("signer.pub")).expect("removed");
    let finished = back(&site, &["--dry-run"]);
    finished.expect_code(0).expect_stderr(&["demo-rules 1.1.0", "is not known", "signer.pub"]);
    // One that is pinned need not be read, nor asked for.
    let pinned = |key: &str| {
        let text = fs::read_to_string(site.path("trust.yaml")).expect("a policy");
        let accept = text.lines().position(|line| line.contains("accept:")).expect("a rule");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines[accept] = format!(
            "    accept: [{{key: {{command: [/nowhere/kms], fingerprint: '{}'}}}}]",
            print(&site, key)
        );
        site.write_policy(&lines.join("\n"));
    };
    pinned("former");
    back(&site, &[]).expect_code(VERIFICATION).expect_stderr(&[&print(&site, "signer")]);
    pinned("signer");
    let finished = back(&site, &[]);
    finished.expect_code(0);
    assert!(!finished.stderr.contains("is not known"), "{}", finished.stderr);
}

#[test]
fn a_generation_of_an_older_version_counts_for_what_it_recorded() {
    let registry = Registry::embedded();
    let site = Site::new();
    site.keygen("second");
    let two = "accept: [{key: {file: signer.pub}}, {key: {file: second.pub}}]";
    policy(&site, &registry, &["threshold: 2"], two);
    for version in ["1.0.0", "1.1.0"] {
        let rules = marker_rule(&format!("Rule {version}"), "/x");
        site.publish(&registry, version, Some("signer"), &[("demo.yaml", &rules)]);
        let reference = registry.reference(&format!("team/demo-rules:{version}"));
        site.run(&["sign", &reference, "--key", "second", "--plain-http"]).expect_code(0);
        site.install(&[&reference]).expect_code(0);
    }
    back(&site, &["--dry-run"]).expect_code(0);
    let path = site.store().join("generations/1/lock.json");
    let mut lock: Value = serde_json::from_slice(&fs::read(&path).expect("there")).expect("JSON");
    let entry = lock["entries"][0].as_object_mut().expect("an entry");
    assert!(entry.remove("other_signers").is_some(), "the second signer is recorded");
    fs::write(&path, serde_json::to_vec_pretty(&lock).expect("JSON")).expect("written");
    let told = ["too few of its signers are recorded", "1 of 2", "`--no-verify`"];
    back(&site, &[]).expect_code(VERIFICATION).expect_stderr(&told);
    // With one it is as good as any.
    policy(&site, &registry, &[], two);
    back(&site, &[]).expect_code(0);
}

#[test]
fn status_and_repair_say_what_is_not_accepted_any_more() {
    let registry = Registry::embedded();
    let site = installed(&registry);
    drop(registry);
    let status = || {
        let words =
            ["artifact", "status", "--policy", "trust.yaml", "--sensor-socket", "none.sock"];
        let text = site.run(&words);
        text.expect_code(0);
        let json = site.run(&[&words[..], &["--output", "json"]].concat());
        let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
        (text.stdout, json)
    };
    let (text, json) = status();
    assert!(!text.contains("accepted"), "{text}");
    assert_eq!(json["not_accepted"], serde_json::json!([]));
    let rules = site.store().join("current/rules/demo-rules/demo.yaml");
    let good = fs::read(&rules).expect("rules");
    let spoil = || {
        fs::remove_file(&rules).expect("removed");
        fs::write(&rules, "changed").expect("written");
    };
    let repair = |more: &[&str]| {
        site.run(&[&["artifact", "repair", "--policy", "trust.yaml"], more].concat())
    };
    let text = fs::read_to_string(site.path("trust.yaml")).expect("a policy");
    site.write_policy(&text.replace("signer.pub", "second.pub"));
    let (said, json) = status();
    assert!(said.contains("no longer accepted: demo-rules 1.2.0, its signer"), "{said}");
    assert_eq!(
        (&json["not_accepted"][0]["name"], &json["revoked"]),
        (&"demo-rules".into(), &serde_json::json!([]))
    );
    // While nothing is damaged there is nothing to refuse.
    repair(&[]).expect_code(0);
    spoil();
    let signer = print(&site, "signer");
    for more in [&["--dry-run"][..], &[]] {
        let told = ["nothing is restored", "demo-rules 1.2.0", &signer, "`--no-verify`"];
        repair(more).expect_code(VERIFICATION).expect_stderr(&told);
    }
    repair(&["--no-verify"]).expect_code(0);
    assert_eq!(fs::read(&rules).expect("rules"), good);
    spoil();
    site.write_policy(&text);
    repair(&[]).expect_code(0);
    assert_eq!(fs::read(&rules).expect("rules"), good);
}

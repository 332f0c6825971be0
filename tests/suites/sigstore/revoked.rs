//! What was revoked since it was accepted does not become active again.

use std::fs;

use eyas_artifact::Digest;
use eyas_tests::sigstore::Key;
use eyas_tests::{Registry, Site, marker_rule};

const VERIFICATION: i32 = 5;

/// Three generations of one artifact, the first by another signer.
fn installed(registry: &Registry) -> Site {
    let site = Site::new();
    site.keygen("former");
    policy(&site, registry, "");
    for (version, key) in [("1.0.0", "former"), ("1.1.0", "signer"), ("1.2.0", "signer")] {
        let rules = marker_rule(&format!("Rule {version}"), "/x");
        site.publish(registry, version, Some(key), &[("demo.yaml", &rules)]);
        site.install(&[&registry.reference(&format!("team/demo-rules:{version}"))]).expect_code(0);
    }
    site
}

fn policy(site: &Site, registry: &Registry, revoked: &str) {
    site.write_policy(&format!(
        "version: 1\n{revoked}rules:\n  - match: '{}/**'\n    accept: [{{key: {{file: signer.pub}}}}, {{key: {{file: former.pub}}}}]\n",
        registry.host()
    ));
}

#[test]
fn each_of_several_signers_counts_for_a_rollback() {
    let registry = Registry::embedded();
    let site = Site::new();
    site.keygen("second");
    let policy = |revoked: &str| {
        site.write_policy(&format!(
            "version: 1\n{revoked}rules:\n  - match: '{}/**'\n    accept: [{{key: {{file: signer.pub}}}}, {{key: {{file: second.pub}}}}]\n    threshold: 2\n",
            registry.host()
        ));
    };
    policy("");
    for version in ["1.0.0", "1.1.0"] {
        let rules = marker_rule(&format!("Rule {version}"), "/x");
        site.publish(&registry, version, Some("signer"), &[("demo.yaml", &rules)]);
        let reference = registry.reference(&format!("team/demo-rules:{version}"));
        site.run(&["sign", &reference, "--key", "second", "--plain-http"]).expect_code(0);
        site.install(&[&reference]).expect_code(0);
    }
    for key in ["signer", "second"] {
        let pem = fs::read_to_string(site.path(key)).expect("a key");
        let print = Digest::sha256(Key::from_pem(&pem).spki()).to_string();
        policy(&format!("revoked: [{{key: '{print}'}}]\n"));
        let back = site.run(&["artifact", "rollback", "--policy", "trust.yaml"]);
        back.expect_code(VERIFICATION).expect_stderr(&[&print, "take the line out"]);
    }
    policy("");
    site.run(&["artifact", "rollback", "--policy", "trust.yaml"]).expect_code(0);
}

#[test]
fn a_rollback_is_held_to_what_the_policy_revokes() {
    let registry = Registry::embedded();
    let site = installed(&registry);
    let print = |key: &str| {
        let pem = fs::read_to_string(site.path(key)).expect("a key");
        Digest::sha256(Key::from_pem(&pem).spki()).to_string()
    };
    let lock = fs::read(site.store().join("generations/2/lock.json")).expect("a lock document");
    let lock: serde_json::Value = serde_json::from_slice(&lock).expect("JSON");
    let layer = lock["entries"][0]["layer_digest"].as_str().expect("a digest").to_owned();
    let back = |arguments: &[&str]| {
        let rollback = ["artifact", "rollback", "--policy", "trust.yaml"];
        site.run(&[&rollback[..], arguments].concat())
    };
    let before = site.snapshot();
    // One archive: the generation before the active one.
    policy(&site, &registry, &format!("revoked: [{{digest: '{layer}', reason: backdoored}}]\n"));
    let told = ["generation 2", "demo-rules 1.1.0", &layer, "backdoored", "`--to 1`"];
    back(&["--dry-run"]).expect_code(VERIFICATION).expect_stderr(&told);
    back(&[]).expect_code(VERIFICATION).expect_stderr(&told);
    // Its signer: the first generation only.
    let former = print("former");
    policy(&site, &registry, &format!("revoked: [{{key: '{former}', reason: left}}]\n"));
    back(&["--to", "1"]).expect_code(VERIFICATION).expect_stderr(&[&former, "left", "`--to 2`"]);
    assert_eq!(site.snapshot(), before, "a refused rollback changes nothing");
    // A line that cannot be read is not passed over, a key that is gone is not missed.
    policy(&site, &registry, "revoked: [{digest: 'sha256:12'}]\n");
    back(&[]).expect_code(2).expect_stderr(&["trust.yaml:2:"]);
    policy(&site, &registry, &format!("revoked: [{{key: '{former}'}}]\n"));
    fs::remove_file(site.path("signer.pub")).expect("removed");
    back(&[]).expect_code(0);
    assert_eq!(site.generation()["number"], 2);
}

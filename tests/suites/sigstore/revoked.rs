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
        let print = print(&site, key);
        policy(&format!("revoked: [{{key: '{print}'}}]\n"));
        let back = site.run(&["artifact", "rollback", "--policy", "trust.yaml"]);
        back.expect_code(VERIFICATION).expect_stderr(&[&print, "take the line out"]);
    }
    policy("");
    site.run(&["artifact", "rollback", "--policy", "trust.yaml"]).expect_code(0);
}

/// Fingerprint of a key of this host, as policies revoke it.
fn print(site: &Site, key: &str) -> String {
    let pem = fs::read_to_string(site.path(key)).expect("a key");
    Digest::sha256(Key::from_pem(&pem).spki()).to_string()
}

#[test]
fn as_many_signers_as_the_rule_asks_for_have_to_remain() {
    let registry = Registry::embedded();
    let site = Site::new();
    for key in ["second", "third"] {
        site.keygen(key);
    }
    let policy = |revoked: &[&str], threshold: usize| {
        let of = |key: &&str| format!("{{key: '{}'}}", print(&site, key));
        let revoked = revoked.iter().map(of).collect::<Vec<_>>().join(", ");
        let accept =
            ["signer", "second", "third"].map(|key| format!("{{key: {{file: {key}.pub}}}}"));
        site.write_policy(&format!(
            "version: 1\nrevoked: [{revoked}]\nrules:\n  - match: '{}/**'\n    accept: [{}]\n    threshold: {threshold}\n",
            registry.host(),
            accept.join(", ")
        ));
    };
    policy(&[], 3);
    for version in ["1.0.0", "1.1.0"] {
        let rules = marker_rule(&format!("Rule {version}"), "/x");
        site.publish(&registry, version, Some("signer"), &[("demo.yaml", &rules)]);
        let reference = registry.reference(&format!("team/demo-rules:{version}"));
        for key in ["second", "third"] {
            site.run(&["sign", &reference, "--key", key, "--plain-http"]).expect_code(0);
        }
        site.install(&[&reference]).expect_code(0);
    }
    let back = || site.run(&["artifact", "rollback", "--dry-run", "--policy", "trust.yaml"]);
    // As an install would count them: two of three remain, and two are enough.
    policy(&["second"], 2);
    back().expect_code(0);
    policy(&["second"], 3);
    let told = [print(&site, "second"), "2 of 3 signers remain".to_owned()];
    back().expect_code(VERIFICATION).expect_stderr(&[&told[0], &told[1]]);
    policy(&["second", "signer"], 2);
    back().expect_code(VERIFICATION).expect_stderr(&["1 of 2 signers remain"]);
    // Where no rule says how many are enough, each of them is needed.
    let text = fs::read_to_string(site.path("trust.yaml")).expect("a policy");
    site.write_policy(&text.replace(&registry.host(), "other.example"));
    back().expect_code(VERIFICATION).expect_stderr(&["1 of 3 signers remain"]);
}

#[test]
fn who_made_a_required_statement_is_recorded_and_can_be_revoked() {
    let registry = Registry::embedded();
    let site = Site::new();
    for key in ["reviewer", "second"] {
        site.keygen(key);
    }
    let policy = |revoked: &str| {
        site.write_policy(&format!(
            "version: 1\n{revoked}rules:\n  - match: '{}/**'\n    accept: [{{key: {{file: signer.pub}}}}]\n    attestations:\n      - predicate-type: rule-tests\n        accept: [{{key: {{file: reviewer.pub}}}}, {{key: {{file: second.pub}}}}]\n",
            registry.host()
        ));
    };
    policy("");
    fs::write(site.path("predicate.json"), r#"{"result":"passed"}"#).expect("written");
    let attest = |reference: &str, key: &str| {
        let attest = ["attest", reference, "--type", "rule-tests", "--predicate"];
        let more = ["predicate.json", "--key", key, "--plain-http"];
        site.run(&[&attest[..], &more[..]].concat()).expect_code(0);
    };
    for version in ["1.0.0", "1.1.0"] {
        let rules = marker_rule(&format!("Rule {version}"), "/x");
        site.publish(&registry, version, Some("signer"), &[("demo.yaml", &rules)]);
        let reference = registry.reference(&format!("team/demo-rules:{version}"));
        attest(&reference, "reviewer");
        site.install(&[&reference]).expect_code(0);
    }
    let reviewer = print(&site, "reviewer");
    let recorded = &site.generation()["entries"][0]["attestations"][0];
    assert_eq!(recorded["signers"][0]["key_fingerprint"], reviewer.as_str(), "{recorded}");
    assert!(recorded["predicate_type"].as_str().is_some_and(|of| of.contains("rule-tests")));
    policy(&format!("revoked: [{{key: '{reviewer}', reason: careless}}]\n"));
    let before = site.snapshot();
    let back = || site.run(&["artifact", "rollback", "--policy", "trust.yaml"]);
    let told = ["demo-rules 1.0.0", "who made its statement", &reviewer, "careless"];
    back().expect_code(VERIFICATION).expect_stderr(&told);
    assert_eq!(site.snapshot(), before, "a refused rollback changes nothing");
    policy("");
    back().expect_code(0);
}

#[test]
fn status_says_what_was_revoked_since() {
    let registry = Registry::embedded();
    let site = installed(&registry);
    let status = |more: &[&str]| {
        let status = ["artifact", "status", "--policy", "trust.yaml"];
        let socket = ["--sensor-socket", "control.sock"];
        let finished = site.run(&[&status[..], &socket[..], more].concat());
        finished.expect_code(0);
        finished
    };
    let json = || -> serde_json::Value {
        serde_json::from_str(&status(&["--output", "json"]).stdout).expect("JSON")
    };
    assert_eq!(json()["revoked"], serde_json::json!([]));
    assert!(!status(&[]).stdout.contains("revoked"));
    let signer = print(&site, "signer");
    // Nothing but the store and the policy is asked.
    drop(registry);
    let text = fs::read_to_string(site.path("trust.yaml")).expect("a policy");
    let revoked = format!("version: 1\nrevoked: [{{key: '{signer}', reason: stolen}}]\n");
    site.write_policy(&text.replace("version: 1\n", &revoked));
    let said = status(&[]).stdout;
    assert!(said.contains("revoked since: demo-rules 1.2.0, its signer"), "{said}");
    let told = &json()["revoked"][0];
    assert_eq!((&told["name"], &told["version"]), (&"demo-rules".into(), &"1.2.0".into()));
    assert!(told["why"].as_str().is_some_and(|why| why.contains("stolen")), "{told}");
    // A policy that cannot be read hides neither itself nor the rest.
    site.write_policy("version: 1\nrevoked: [{digest: 'sha256:12'}]\n");
    let unread = status(&["--output", "json"]);
    unread.expect_stderr(&["what is revoked is not known", "trust.yaml:2:"]);
    let unread: serde_json::Value = serde_json::from_str(&unread.stdout).expect("JSON");
    assert!(unread["revoked"].is_null() && !unread["generation"].is_null(), "{unread}");
}

#[test]
fn a_rollback_is_held_to_what_the_policy_revokes() {
    let registry = Registry::embedded();
    let site = installed(&registry);
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
    let former = print(&site, "former");
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

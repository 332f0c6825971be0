//! What verification costs an install in requests: the same install with and without it, counted between the program
//! and the registry.

use std::fs;

use eyas_tests::sigstore::forge::{IDENTITY, ISSUER, Recipe};
use eyas_tests::sigstore::{Key, Pusher};
use eyas_tests::{Between, Fate, Site, both_registries, marker_rule};

use crate::stage::{Stage, honest};

/// Type of the results of tests of rules.
const RULE_TESTS: &str = "https://eyas.dev/attestation/rule-tests/v1";
/// Most requests that verifying a signature of ours may add, in the form that is the default.
const MOST_ADDED: usize = 2;
/// The classic form is looked for after the bundles, which takes one more where a registry lists no referrers.
const MOST_ADDED_CLASSIC: usize = 3;

/// Most requests that one required statement adds where it is a bundle, as the signature is: it is in the same list and
/// comes along with it. Under the tag of cosign 2 it takes the tag and its content, and each form of signature the list of
/// bundles before.
const MOST_FOR_STATEMENT: usize = 2;
const MOST_FOR_TAGGED_STATEMENT: usize = 3;

#[test]
fn a_required_statement_adds_few_requests() {
    both_registries("sigstore::cost::statement", |registry| {
        let stage = Stage::new();
        let between = Between::before(&registry.host(), |_, _| Fate::Pass);
        for (form, most) in
            [("bundle", MOST_FOR_STATEMENT), ("statement", MOST_FOR_TAGGED_STATEMENT)]
        {
            let repository = format!("cost/attested-{form}");
            let reference = format!("{}/{repository}:1.0.0", between.host());
            fs::write(stage.site.path("r.yaml"), marker_rule(form, "/x")).expect("rules");
            let push = ["registry", "push", &reference, "r.yaml", "--type", "rulesfile"];
            let more = ["--version", "1.0.0", "--sign-key", "signer", "--plain-http"];
            stage.site.run(&[&push[..], &more[..]].concat()).expect_code(0);
            if form == "bundle" {
                fs::write(stage.site.path("predicate.json"), "{}").expect("written");
                let attest = ["attest", &reference, "--type", "rule-tests", "--key", "signer"];
                let more = ["--predicate", "predicate.json", "--plain-http"];
                stage.site.run(&[&attest[..], &more[..]].concat()).expect_code(0);
            } else {
                let subject = stage.descriptor(&reference);
                let digest = subject["digest"].as_str().expect("a digest").parse();
                let recipe = Recipe {
                    form: form.to_owned(),
                    log: 0,
                    predicate_type: RULE_TESTS.to_owned(),
                    ..Recipe::default()
                };
                let pem = fs::read_to_string(stage.site.path("signer")).expect("a key");
                let key = Some(Key::from_pem(&pem));
                let parts = stage.sigstore.parts();
                let forged = parts.forge(&recipe, &digest.expect("a digest"), key);
                Pusher::new(&registry.host(), &repository).attach(&subject, &forged);
            }
            let count = |attestations: &str| {
                let site = Site::new();
                fs::copy(stage.site.path("signer.pub"), site.path("signer.pub")).expect("copied");
                site.write_policy(&format!(
                    "version: 1\nrules:\n  - match: '{}/**'\n    accept: [{{key: {{file: signer.pub}}}}]\n{attestations}",
                    between.host()
                ));
                between.take();
                site.install(&[&reference]).expect_code(0);
                between.take()
            };
            let without = count("").len();
            let with = count("    attestations: [{predicate-type: rule-tests}]\n");
            let lines: Vec<&str> = with.iter().map(|seen| seen.line.as_str()).collect();
            let added = with.len().saturating_sub(without);
            assert!(added <= most, "{} {form}: {added} more: {lines:#?}", registry.name);
            eprintln!("{}: a statement as {form} adds {added} requests", registry.name);
        }
    });
}

#[test]
fn verification_adds_at_most_two_requests() {
    both_registries("sigstore::cost", |registry| {
        let stage = Stage::new();
        let between = Between::before(&registry.host(), |_, _| Fate::Pass);
        let key = "{key: {file: signer.pub}}".to_owned();
        let identity = format!("{{keyless: {{issuer: '{ISSUER}', identity: '{IDENTITY}'}}}}");
        for (form, signer, accept, most) in [
            ("bundle", "key", &key, MOST_ADDED),
            ("bundle", "identity", &identity, MOST_ADDED),
            ("classic", "key", &key, MOST_ADDED_CLASSIC),
            ("classic", "identity", &identity, MOST_ADDED_CLASSIC),
        ] {
            let reference = format!("{}/cost/{form}-{signer}:1.0.0", between.host());
            fs::write(stage.site.path("r.yaml"), marker_rule(form, "/x")).expect("rules");
            let push = ["registry", "push", &reference, "r.yaml", "--type", "rulesfile"];
            let more = ["--version", "1.0.0", "--plain-http"];
            stage.site.run(&[&push[..], &more[..]].concat()).expect_code(0);
            if signer == "key" {
                let sign = ["sign", &reference, "--key", "signer", "--form", form, "--plain-http"];
                stage.site.run(&sign).expect_code(0);
            } else {
                stage.sign(&reference, &honest(), &["--form", form]).expect_code(0);
            }
            let count = |rule: &str| {
                // Each on a host of its own, so that nothing is there yet.
                let site = Site::new();
                for file in ["root.json", "signer.pub"] {
                    fs::copy(stage.site.path(file), site.path(file)).expect("copied");
                }
                site.write_policy(&format!(
                    "version: 1\ntrusted-roots: [{{file: root.json}}]\nrules:\n  - match: '{}/**'\n    {rule}\n",
                    between.host()
                ));
                between.take();
                site.install(&[&reference]).expect_code(0);
                between.take()
            };
            let without = count("insecure: accept unsigned");
            let with = count(&format!("accept: [{accept}]"));
            for requests in [&without, &with] {
                let tag = |seen: &&eyas_tests::Seen| seen.line.contains("/manifests/1.0.0");
                let times = requests.iter().filter(tag).count();
                assert_eq!(times, 1, "the tag is asked for once, so that it cannot move between");
            }
            let lines: Vec<&str> = with.iter().map(|seen| seen.line.as_str()).collect();
            let added = with.len() - without.len();
            assert!(added > 0, "nothing was asked for: {lines:?}");
            assert!(added <= most, "{} {form} {signer}: {added} more: {lines:#?}", registry.name);
        }
    });
}

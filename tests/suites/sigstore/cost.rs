//! What verification costs an install in requests: the same install with and without it, counted between the program
//! and the registry.

use std::fs;

use eyas_tests::sigstore::forge::{IDENTITY, ISSUER};
use eyas_tests::{Between, Fate, Site, both_registries, marker_rule};

use crate::stage::{Stage, honest};

/// Most requests that verifying a signature of ours may add, in the form that is the default.
const MOST_ADDED: usize = 2;
/// The classic form is looked for after the bundles, which takes one more where a registry lists no referrers.
const MOST_ADDED_CLASSIC: usize = 3;

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

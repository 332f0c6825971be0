//! The bars of trust: the policy is bound to the repository, a signature to what is installed, and neither needs
//! the internet.

use std::fs;

use eyas_artifact::Digest;
use eyas_tests::sigstore::Sigstore;
use eyas_tests::sigstore::forge::{IDENTITY, ISSUER, Recipe};
use eyas_tests::sigstore::{Key, Pusher};
use eyas_tests::{Registry, Site, marker_rule};
use serde_json::json;

const VERIFICATION: i32 = 5;
const KEY: &str = "accept: [{key: {file: signer.pub}}]";

/// A host, a registry, and version 1.0.0 of `team/demo-rules` under its tag, signed when asked for.
fn published(key: Option<&str>) -> (Registry, Site) {
    let (registry, site) = (Registry::embedded(), Site::new());
    site.publish(&registry, "1.0.0", key, &[("demo.yaml", &marker_rule("First", "/x"))]);
    (registry, site)
}

#[test]
fn bar_18_the_policy_is_bound_to_the_repository_and_fails_closed() {
    let (registry, site) = published(Some("signer"));
    let reference = registry.reference("team/demo-rules:1.0.0");
    // By name or in full, the same rule decides; what no rule is about is refused.
    for rule in ["HOST/team/other", "HOST/team", "other.example/team/demo-rules"] {
        let rule = rule.replace("HOST", &registry.host());
        site.write_policy(&format!("version: 1\nrules:\n  - match: '{rule}'\n    {KEY}\n"));
        for asked in ["demo-rules:1.0.0", &reference] {
            site.install(&[asked]).expect_code(VERIFICATION).expect_stderr(&["no rule of"]);
        }
    }
    let host = registry.host();
    site.write_policy(&format!(
        "version: 1\nrules:\n  - match: '{host}/team/demo-rules'\n    {KEY}\n"
    ));
    site.install(&["demo-rules:1.0.0"]).expect_code(0);
    site.install(&[&reference]).expect_code(0);
}

#[test]
fn bar_18_what_an_artifact_says_of_itself_decides_nothing() {
    // Pushed elsewhere under the name that is trusted here.
    let (registry, site) = published(Some("signer"));
    let host = registry.host();
    site.write_policy(&format!(
        "version: 1\nrules:\n  - match: '{host}/team/demo-rules'\n    {KEY}\n"
    ));
    let elsewhere = registry.reference("evil/copy:1.0.0");
    let push = ["registry", "push", &elsewhere, "bundle-1.0.0/demo.yaml", "--type", "rulesfile"];
    let more = ["--version", "1.0.0", "--name", "demo-rules", "--plain-http"];
    let signed = ["--sign-key", "signer"];
    site.run(&[&push[..], &more[..], &signed[..]].concat()).expect_code(0);
    site.install(&[&elsewhere]).expect_code(VERIFICATION).expect_stderr(&["evil/copy"]);
}

#[test]
fn bar_19_a_classic_signature_counts_for_its_own_digest_only() {
    let (registry, site) = published(None);
    site.trust_key(&registry, "signer");
    let key = || Key::from_pem(&fs::read_to_string(site.path("signer")).expect("a key"));
    let reference = registry.reference("team/demo-rules:1.0.0");
    let show = ["artifact", "manifest", &reference, "--plain-http", "--output", "json"];
    let manifest = site.run(&show).stdout.into_bytes();
    let digest = Digest::sha256(&manifest);
    let subject = json!({
        "mediaType": eyas_artifact::media::OCI_MANIFEST,
        "digest": digest.to_string(),
        "size": manifest.len(),
    });
    let (host, repository) = (registry.host(), "team/demo-rules");
    let sigstore = Sigstore::start();
    let recipe =
        Recipe { form: "classic".into(), log: 0, key: Some("signer".into()), ..Recipe::default() };
    // A signature that is good by itself, by the right key, about something else.
    let other = sigstore.parts().forge(&recipe, &Digest::sha256(b"something else"), Some(key()));
    Pusher::new(&host, repository).attach(&subject, &other);
    site.install(&[&reference]).expect_code(VERIFICATION).expect_stderr(&["failed at binding"]);
    let own = sigstore.parts().forge(&recipe, &digest, Some(key()));
    Pusher::new(&host, repository).attach(&subject, &own);
    site.install(&[&reference]).expect_code(0);
}

#[test]
fn bar_20_verification_needs_nothing_but_the_registry() {
    // By key: no trusted root is read, and there is no network but loopback to ask.
    let (registry, site) = published(Some("signer"));
    site.trust_key(&registry, "signer");
    let offline = |site: &Site, reference: &str| {
        let arguments = site.install_arguments(&["install", reference]);
        let mut command = site.eyas(&arguments);
        // Whatever leaves this machine would go to a proxy that is not there.
        for variable in ["HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY"] {
            command.env(variable, "http://127.0.0.1:1");
        }
        command.env("NO_PROXY", "127.0.0.1");
        eyas_tests::run(&mut command)
    };
    offline(&site, "demo-rules:1.0.0").expect_code(0);

    // As an identity: the root is a file.
    let sigstore = Sigstore::start();
    let site = Site::new();
    fs::write(site.path("root.json"), sigstore.trusted_root().to_string()).expect("root");
    site.write_policy(&format!(
        "version: 1\ntrusted-roots: [{{file: root.json}}]\nrules:\n  - match: '{}/**'\n    accept: [{{keyless: {{issuer: '{ISSUER}', identity: '{IDENTITY}'}}}}]\n",
        registry.host()
    ));
    let (reference, url) = (registry.reference("team/demo-rules:1.0.0"), sigstore.url());
    let claims = eyas_tests::sigstore::Claims::new(ISSUER, IDENTITY);
    fs::write(site.path("token"), sigstore.token(&claims)).expect("token");
    let sign = ["sign", &reference, "--keyless", "--plain-http", "--identity-token", "token"];
    let services = ["--fulcio-url", &url, "--rekor-url", &url, "--trusted-root", "root.json"];
    site.run(&[&sign[..], &services[..]].concat()).expect_code(0);
    offline(&site, &reference).expect_code(0);
}

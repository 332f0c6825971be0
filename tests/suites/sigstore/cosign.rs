//! Signatures across programs: what cosign 2 and 3 sign we accept, what we sign they accept, by key and as an
//! identity, in both forms, on both registries, and nobody accepts a stranger's.
//!
//! Nothing leaves loopback: identities are certified by the simulated instance, whose trusted root everybody is given.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use eyas_tests::sigstore::forge::{IDENTITY, ISSUER};
use eyas_tests::sigstore::{Claims, Generation};
use eyas_tests::{Finished, Registry, both_registries, peer, run, skip};

use crate::stage::{Stage, honest};

const VERIFICATION: i32 = 5;

/// A cosign beside a host of ours.
struct Cosign<'a> {
    program: PathBuf,
    /// Its name in repositories, so that each works in its own.
    name: &'static str,
    registry: &'a Registry,
    stage: Stage,
}

/// The flag that chooses the form, in both generations of the program.
fn form(bundle: bool) -> &'static str {
    if bundle { "--new-bundle-format=true" } else { "--new-bundle-format=false" }
}

/// Runs a test with each cosign on each registry.
fn each(test: &str, check: impl Fn(&Cosign<'_>)) {
    for (variable, name) in [("COSIGN2", "cosign2"), ("COSIGN", "cosign3")] {
        let Some(program) = peer(variable) else {
            skip(test, &format!("{name} is not there, set {variable}"));
            continue;
        };
        both_registries(test, |registry| {
            let program = program.clone();
            check(&Cosign { program, name, registry, stage: Stage::new() });
        });
    }
}

impl Cosign<'_> {
    /// Runs it in the folder of the host. The variables name the instance for the form that knows no trusted root.
    fn run(&self, arguments: &[&str]) -> Finished {
        let site = &self.stage.site;
        let parts = self.stage.sigstore.parts();
        let file = |name: &str, text: String| {
            let path = site.path(name);
            fs::write(&path, text).expect("written");
            path
        };
        let log = parts.log(Generation::First).key.public_pem();
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("HOME", site.folder())
            .env("PATH", "/usr/bin:/bin")
            .env("COSIGN_PASSWORD", "")
            .env("SIGSTORE_ROOT_FILE", file("ca.pem", parts.authority.certificate().pem()))
            .env("SIGSTORE_REKOR_PUBLIC_KEY", file("rekor.pub", log))
            .env(
                "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE",
                file("ct.pub", parts.authority.log.public_pem()),
            )
            .current_dir(site.folder())
            .args(arguments);
        run(&mut command)
    }

    fn sign(&self, reference: &str, bundle: bool, more: &[&str]) {
        let sign = ["sign", "--yes", "--allow-http-registry", form(bundle)];
        self.run(&[&sign[..], more, &[reference]].concat()).expect_code(0);
    }

    /// Asserts that it accepts a signature.
    #[track_caller]
    fn accepts(&self, reference: &str, bundle: bool, more: &[&str]) {
        self.verify(reference, bundle, more).expect_code(0);
    }

    /// Asserts that it does not.
    #[track_caller]
    fn refuses(&self, reference: &str, bundle: bool, more: &[&str]) {
        let finished = self.verify(reference, bundle, more);
        assert_ne!(finished.code(), 0, "{} accepts {reference}", self.name);
    }

    fn verify(&self, reference: &str, bundle: bool, more: &[&str]) -> Finished {
        let verify = ["verify", "--allow-http-registry", form(bundle)];
        self.run(&[&verify[..], more, &[reference]].concat())
    }

    /// Pushes an unsigned artifact to a repository of its own.
    fn push(&self, what: &str, bundle: bool) -> String {
        let form = if bundle { "bundle" } else { "classic" };
        let repository = format!("{}/{what}-{form}", self.name);
        let reference = self.registry.reference(&format!("{repository}:1.0.0"));
        let name = format!("{what}-{form}");
        let file = self.stage.site.path("pushed.yaml");
        fs::write(file, eyas_tests::marker_rule(&name, "/x")).expect("rules");
        let push = ["registry", "push", &reference, "pushed.yaml", "--type", "rulesfile"];
        let more = ["--version", "1.0.0", "--name", &name, "--plain-http"];
        self.stage.site.run(&[&push[..], &more[..]].concat()).expect_code(0);
        reference
    }

    /// Whether an install with this accepted signer ends with `code`.
    fn installs(&self, reference: &str, accept: &str, code: i32) {
        let host = self.registry.host();
        self.stage.rules(&format!("  - match: '{host}/**'\n    accept: [{accept}]\n"));
        self.stage.site.install(&[reference]).expect_code(code);
    }
}

#[test]
fn keys_work_both_ways_in_both_forms() {
    each("sigstore::cosign::keys", |cosign| {
        let site = &cosign.stage.site;
        site.keygen("stranger");
        cosign.run(&["generate-key-pair"]).expect_code(0);
        for (bundle, form) in [(false, "classic"), (true, "bundle")] {
            let ours = cosign.push("by-us", bundle);
            // The second generation wants a root for every bundle, also where nothing is held against it.
            let root = if bundle { &["--trusted-root", "root.json"][..] } else { &[] };
            let by = |key| [&["--key", key, "--insecure-ignore-tlog=true"], root].concat();
            cosign.refuses(&ours, bundle, &by("signer.pub"));
            let sign = ["sign", &ours, "--key", "signer", "--form", form, "--plain-http"];
            site.run(&sign).expect_code(0);
            cosign.accepts(&ours, bundle, &by("signer.pub"));
            cosign.refuses(&ours, bundle, &by("stranger.pub"));

            let theirs = cosign.push("by-them", bundle);
            cosign.installs(&theirs, "{key: {file: cosign.pub}}", VERIFICATION);
            let by = ["--key", "cosign.key", "--tlog-upload=false", "--use-signing-config=false"];
            cosign.sign(&theirs, bundle, &by);
            cosign.installs(&theirs, "{key: {file: stranger.pub}}", VERIFICATION);
            cosign.installs(&theirs, "{key: {file: cosign.pub}}", 0);
        }
    });
}

/// How a signer is named to a verifying cosign.
fn signer(identity: &str) -> [&str; 4] {
    ["--certificate-oidc-issuer", ISSUER, "--certificate-identity", identity]
}

#[test]
fn identities_work_both_ways_with_a_trusted_root() {
    each("sigstore::cosign::identities", |cosign| {
        let stage = &cosign.stage;
        let root = ["--trusted-root", "root.json"];
        let by = |identity, more: &[&'static str]| [&root, &signer(identity)[..], more].concat();
        let stamp = stage.sigstore.stamp_url();
        let second = ["--rekor-version", "2", "--timestamp-url", &stamp];
        // A log of the second generation proves no time.
        let stamped = ["--use-signed-timestamps=true"];
        for (log, more, stamped) in
            [("first", &[][..], &[][..]), ("second", &second[..], &stamped[..])]
        {
            let ours = cosign.push(&format!("as-us-{log}"), true);
            stage.sign(&ours, &honest(), more).expect_code(0);
            cosign.accepts(&ours, true, &by(IDENTITY, stamped));
            cosign.refuses(&ours, true, &by("https://evil.example", stamped));
        }
        // For a log of the second generation these programs send the envelope.
        let services = ["--signing-config", "signing.json", "--trusted-root", "root.json"];
        let sign = |reference: &str, claims: &Claims<'_>| {
            let token = ["--identity-token", stage.token(claims)];
            cosign.sign(reference, true, &[&services[..], &token].concat());
        };
        for (name, generation) in [("first", Generation::First), ("second", Generation::Second)] {
            let config = stage.sigstore.signing_config(generation).to_string();
            fs::write(stage.site.path("signing.json"), config).expect("written");
            let theirs = cosign.push(&format!("as-them-{name}"), true);
            sign(&theirs, &honest());
            accepted(cosign, &theirs);
        }
        let stranger = cosign.push("as-a-stranger", true);
        sign(&stranger, &Claims::new("https://accounts.example", "someone@example.org"));
        cosign.installs(&stranger, &honest_signer(), VERIFICATION);
    });
}

#[test]
fn identities_work_both_ways_in_the_classic_form() {
    each("sigstore::cosign::classic", |cosign| {
        let stage = &cosign.stage;
        let ours = cosign.push("as-us", false);
        stage.sign(&ours, &honest(), &["--form", "classic"]).expect_code(0);
        cosign.accepts(&ours, false, &signer(IDENTITY));
        cosign.refuses(&ours, false, &signer("https://evil.example"));

        let theirs = cosign.push("as-them", false);
        let (url, token) = (stage.sigstore.url(), stage.token(&honest()));
        let services = ["--fulcio-url", &url, "--rekor-url", &url, "--use-signing-config=false"];
        cosign.sign(&theirs, false, &[&services[..], &["--identity-token", token]].concat());
        accepted(cosign, &theirs);

        let stranger = cosign.push("as-a-stranger", false);
        let token = stage.token(&Claims::new("https://accounts.example", "someone@example.org"));
        cosign.sign(&stranger, false, &[&services[..], &["--identity-token", token]].concat());
        cosign.installs(&stranger, &honest_signer(), VERIFICATION);
    });
}

/// A policy for which a signature is not enough.
fn with_statement(cosign: &Cosign<'_>, accept: &str, author: &str, predicate_type: &str) {
    let host = cosign.registry.host();
    cosign.stage.rules(&format!(
        "  - match: '{host}/**'\n    accept: [{accept}]\n    attestations:\n      - predicate-type: {predicate_type}\n        \
         accept: [{author}]\n        where: [{{path: /result, equals: passed}}]\n"
    ));
}

#[test]
fn statements_of_cosign_are_read_in_both_forms() {
    each("sigstore::cosign::statements", |cosign| {
        const REVIEW: &str = "https://corp.example/review/v1";
        let site = &cosign.stage.site;
        site.keygen("stranger");
        cosign.run(&["generate-key-pair"]).expect_code(0);
        fs::write(site.path("review.json"), r#"{"result":"passed"}"#).expect("written");
        let url = cosign.stage.sigstore.url();
        let token = cosign.stage.token(&honest());
        let (key, logged) =
            ("{key: {file: cosign.pub}}", "{key: {file: cosign.pub, transparency-log: required}}");
        let stranger = "{key: {file: stranger.pub}}";
        let by_key = ["--key", "cosign.key", "--use-signing-config=false"];
        let unlogged = [&by_key[..], &["--tlog-upload=false"]].concat();
        let in_log = [&by_key[..], &["--rekor-url", &url]].concat();
        let services = ["--fulcio-url", &url, "--rekor-url", &url, "--use-signing-config=false"];
        let as_identity = [&services[..], &["--identity-token", token]].concat();
        let identity = honest_signer();
        let attest = |reference: &str, bundle: bool, by: &[&str]| {
            let attest =
                ["attest", "--yes", "--allow-http-registry", form(bundle), "--type", REVIEW];
            let more = ["--predicate", "review.json", reference];
            cosign.run(&[&attest[..], by, &more].concat()).expect_code(0);
        };
        for bundle in [false, true] {
            for (name, by, author, others) in [
                ("unlogged", &unlogged, key, [logged, stranger, &identity]),
                ("in-log", &in_log, logged, [stranger, stranger, &identity]),
                ("identity", &as_identity, identity.as_str(), [key, logged, stranger]),
            ] {
                let reference = cosign.push(&format!("review-{name}"), bundle);
                cosign.sign(&reference, true, &unlogged);
                with_statement(cosign, key, author, REVIEW);
                let missing = ["no accepted statement of type", REVIEW];
                site.install(&[&reference]).expect_code(VERIFICATION).expect_stderr(&missing);
                attest(&reference, bundle, by);
                for other in others {
                    with_statement(cosign, key, other, REVIEW);
                    site.install(&[&reference])
                        .expect_code(VERIFICATION)
                        .expect_stderr(&missing[..1]);
                }
                with_statement(cosign, key, author, "https://corp.example/other/v1");
                site.install(&[&reference]).expect_code(VERIFICATION).expect_stderr(&missing[..1]);
                with_statement(cosign, key, author, REVIEW);
                site.install(&[&reference]).expect_code(0);
            }
        }
    });
}

#[test]
fn statements_that_cosign_2_enters_by_hash_are_read() {
    each("sigstore::cosign::by_hash", |cosign| {
        const REVIEW: &str = "https://corp.example/review/v1";
        // Its successor knows no other kind than `dsse`.
        if cosign.name != "cosign2" {
            return;
        }
        let site = &cosign.stage.site;
        site.keygen("stranger");
        cosign.run(&["generate-key-pair"]).expect_code(0);
        fs::write(site.path("review.json"), r#"{"result":"passed"}"#).expect("written");
        let url = cosign.stage.sigstore.url();
        let token = cosign.stage.token(&honest());
        let key = "{key: {file: cosign.pub}}";
        let logged = "{key: {file: cosign.pub, transparency-log: required}}";
        let stranger = "{key: {file: stranger.pub}}";
        let by_key = ["--key", "cosign.key", "--use-signing-config=false"];
        let unlogged = [&by_key[..], &["--tlog-upload=false"]].concat();
        let in_log = [&by_key[..], &["--rekor-url", &url]].concat();
        let services = ["--fulcio-url", &url, "--rekor-url", &url, "--use-signing-config=false"];
        let as_identity = [&services[..], &["--identity-token", token]].concat();
        let identity = honest_signer();
        for (name, by, author, others) in [
            ("hashed-by-key", &in_log, logged, [stranger, &identity]),
            ("hashed-by-identity", &as_identity, identity.as_str(), [key, stranger]),
        ] {
            let reference = cosign.push(name, false);
            cosign.sign(&reference, true, &unlogged);
            let attest =
                ["attest", "--yes", "--allow-http-registry", form(false), "--type", REVIEW];
            let kind = ["--rekor-entry-type", "intoto", "--predicate", "review.json", &reference];
            cosign.run(&[&attest[..], by, &kind].concat()).expect_code(0);
            let parts = cosign.stage.sigstore.parts();
            let entered = parts.log(Generation::First).kinds.last().cloned();
            assert_eq!(entered.as_deref(), Some("intoto 0.0.1"));
            let missing = ["no accepted statement of type", REVIEW];
            for other in others {
                with_statement(cosign, key, other, REVIEW);
                site.install(&[&reference]).expect_code(VERIFICATION).expect_stderr(&missing);
            }
            with_statement(cosign, key, author, REVIEW);
            site.install(&[&reference]).expect_code(0);
        }
    });
}

fn honest_signer() -> String {
    format!("{{keyless: {{issuer: '{ISSUER}', identity: '{IDENTITY}'}}}}")
}

/// The honest identity's signature is accepted and recorded.
fn accepted(cosign: &Cosign<'_>, reference: &str) {
    cosign.installs(reference, &honest_signer(), 0);
    let entries = cosign.stage.site.generation()["entries"].clone();
    let recorded = |entry: &serde_json::Value| {
        entry["reference"] == reference && entry["signer"]["identity"] == IDENTITY
    };
    assert!(entries.as_array().is_some_and(|all| all.iter().any(recorded)), "{entries}");
}

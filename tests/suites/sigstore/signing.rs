//! Signing as an identity: token, certificate, log entry, time stamp, and an install that accepts the result.

use std::fs;

use eyas_tests::sigstore::forge::{IDENTITY, ISSUER, Recipe};
use eyas_tests::sigstore::{Claims, Key, Pusher};
use eyas_tests::{both_registries, run};

use crate::stage::{Stage, honest};

const VERIFICATION: i32 = 5;
const NETWORK: i32 = 4;
const USAGE: i32 = 2;

#[test]
fn what_is_signed_keyless_is_installed_and_recorded() {
    both_registries("sigstore::signing::keyless", |registry| {
        let stage = Stage::new();
        // The stage has a registry of its own; this test goes over both.
        let reference = registry.reference("team/keyless:1.0.0");
        stage.rules(&format!(
            "  - match: '{}/**'\n    accept: [{{keyless: {{issuer: '{ISSUER}', identity: '{IDENTITY}'}}}}]\n",
            registry.host()
        ));
        fs::write(stage.site.path("r.yaml"), eyas_tests::marker_rule("One", "/x")).expect("rules");
        let push = ["registry", "push", &reference, "--type", "rulesfile", "--version", "1.0.0"];
        let more = ["r.yaml", "--plain-http"];
        stage.site.run(&[&push[..], &more[..]].concat()).expect_code(0);
        stage.site.install(&[&reference]).expect_code(VERIFICATION);
        stage.sign(&reference, &honest(), &[]).expect_code(0);
        stage.site.install(&[&reference]).expect_code(0);
        let signer = &stage.site.generation()["entries"][0]["signer"];
        assert_eq!(signer["form"], "keyless");
        assert_eq!(signer["identity"], IDENTITY);
    });
}

#[test]
fn every_form_and_generation_of_log_is_accepted() {
    let stage = Stage::new();
    let stamp = stage.sigstore.stamp_url();
    let second = ["--rekor-version", "2", "--timestamp-url", &stamp];
    let stamped = ["--timestamp-url", &stamp];
    for (number, more) in [
        &["--form", "bundle"][..],
        &["--form", "classic"][..],
        &["--form", "both"][..],
        &stamped[..],
        &second[..],
    ]
    .iter()
    .enumerate()
    {
        let reference = stage.push_to(&format!("team/form-{number}"), "1.0.0");
        stage.sign(&reference, &honest(), more).expect_code(0);
        let verify = ["artifact", "verify", &reference, "--explain", "--policy", "trust.yaml"];
        let finished = stage.site.run(&[&verify[..], &["--plain-http"]].concat());
        finished.expect_code(0);
        assert!(finished.stdout.contains("passed  transparency log"), "{}", finished.stdout);
        assert!(finished.stdout.contains(IDENTITY), "{}", finished.stdout);
    }
}

#[test]
fn an_envelope_in_a_log_of_the_second_generation_is_accepted() {
    let stage = Stage::new();
    let host = stage.registry.host();
    let honestly = Recipe { log: 2, envelope_entered: true, stamped: true, ..Recipe::default() };
    let keyed = Recipe { key: Some("signer".into()), stamped: false, ..honestly.clone() };
    let identity = format!("keyless: {{issuer: '{ISSUER}', identity: '{IDENTITY}'}}");
    let key = "key: {file: signer.pub, transparency-log: required}".to_owned();
    for (name, recipe, accept) in [
        ("identity", honestly, &identity),
        ("key", keyed.clone(), &key),
        ("key-stamped", Recipe { stamped: true, ..keyed }, &key),
    ] {
        let repository = format!("team/envelope-{name}");
        let reference = stage.push_to(&repository, "1.0.0");
        let (pusher, subject) = (Pusher::new(&host, &repository), stage.descriptor(&reference));
        stage.accept(accept);
        stage.site.install(&[&reference]).expect_code(VERIFICATION);
        let key = recipe
            .key
            .as_deref()
            .map(|name| Key::from_pem(&fs::read_to_string(stage.site.path(name)).expect("a key")));
        let digest = subject["digest"].as_str().and_then(|text| text.parse().ok());
        let forged = stage.sigstore.parts().forge(&recipe, &digest.expect("a digest"), key);
        pusher.attach(&subject, &forged);
        stage.site.install(&[&reference]).expect_code(0);
    }
}

#[test]
fn the_classic_form_cannot_hold_what_the_second_generation_gives() {
    let stage = Stage::new();
    let (reference, stamp) = (stage.push("1.0.0"), stage.sigstore.stamp_url());
    let more = ["--form", "classic", "--rekor-version", "2", "--timestamp-url", &stamp];
    stage
        .sign(&reference, &honest(), &more)
        .expect_code(USAGE)
        .expect_stderr(&["classic form", "bundle form"]);
    let more = ["--rekor-version", "2"];
    stage.sign(&reference, &honest(), &more).expect_code(NETWORK).expect_stderr(&["time stamp"]);
}

#[test]
fn tokens_that_are_not_good_are_refused_by_the_authority() {
    let stage = Stage::new();
    let reference = stage.push("1.0.0");
    for (claims, told) in [
        (Claims { audience: "other", ..honest() }, "other"),
        (Claims { seconds: -5, ..honest() }, "ended"),
    ] {
        stage.sign(&reference, &claims, &[]).expect_code(NETWORK).expect_stderr(&[
            "certificate authority",
            "401",
            told,
        ]);
    }
    fs::write(stage.site.path("token"), "not a token").expect("written");
    let sign = ["sign", &reference, "--keyless", "--plain-http", "--identity-token", "token"];
    stage.site.run(&sign).expect_code(USAGE).expect_stderr(&["identity token", "`token`"]);
    let finished = stage.site.run(&["sign", &reference, "--keyless", "--plain-http"]);
    finished.expect_code(USAGE).expect_stderr(&["SIGSTORE_ID_TOKEN", "ACTIONS_ID_TOKEN"]);
}

#[test]
fn a_ci_job_signs_with_its_own_token() {
    let stage = Stage::new();
    let (reference, url) = (stage.push("1.0.0"), stage.sigstore.url());
    let sign = ["sign", &reference, "--keyless", "--plain-http", "--fulcio-url", &url];
    let more = ["--rekor-url", &url, "--trusted-root", "root.json"];
    let mut command = stage.site.eyas(&[&sign[..], &more[..]].concat());
    run(command.envs(stage.sigstore.ambient())).expect_code(0);
    stage.site.install(&[&reference]).expect_code(0);
    let mut command = stage.site.eyas(&[&sign[..], &more[..]].concat());
    let [url, _] = stage.sigstore.ambient();
    command.env(url.0, url.1).env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong");
    run(&mut command).expect_code(NETWORK).expect_stderr(&["identity provider", "401"]);
}

#[test]
fn another_identity_signs_and_is_refused_with_the_lines_to_add() {
    let stage = Stage::new();
    let reference = stage.push("1.0.0");
    let stranger = Claims::new("https://accounts.example", "someone@example.org");
    stage.sign(&reference, &stranger, &[]).expect_code(0);
    stage.site.install(&[&reference]).expect_code(VERIFICATION).expect_stderr(&[
        "failed at identity",
        "issuer: \"https://accounts.example\"",
        "identity: someone@example.org",
    ]);
}

#[test]
fn a_signature_that_does_not_hold_is_not_stored() {
    let stage = Stage::new();
    let reference = stage.push("1.0.0");
    let other = eyas_tests::sigstore::Sigstore::start();
    fs::write(stage.site.path("root.json"), other.trusted_root().to_string()).expect("root");
    stage.sign(&reference, &honest(), &[]).expect_code(VERIFICATION).expect_stderr(&["not stored"]);
    let verify = ["artifact", "verify", &reference, "--policy", "trust.yaml", "--plain-http"];
    stage.site.run(&verify).expect_code(VERIFICATION).expect_stderr(&["has no signature"]);
}

#[test]
fn push_signs_before_it_tags() {
    let stage = Stage::new();
    fs::write(stage.site.path("r.yaml"), eyas_tests::marker_rule("One", "/x")).expect("rules");
    let reference = stage.registry.reference("team/pushed:1.0.0");
    let (url, token) = (stage.sigstore.url(), stage.token(&honest()));
    let push = ["registry", "push", &reference, "r.yaml", "--type", "rulesfile", "--version"];
    let signed = ["1.0.0", "--plain-http", "--sign-keyless", "--identity-token", token];
    let services = ["--fulcio-url", &url, "--rekor-url", &url, "--trusted-root", "root.json"];
    let finished = stage.site.run(&[&push[..], &signed[..], &services[..]].concat());
    finished.expect_code(0);
    assert!(finished.stdout.contains(IDENTITY), "{}", finished.stdout);
    stage.site.install(&[&reference]).expect_code(0);
}

#[test]
fn statements_are_required_and_their_content_is_compared() {
    let stage = Stage::new();
    let reference = stage.push("1.0.0");
    stage.sign(&reference, &honest(), &[]).expect_code(0);
    stage.rules(&format!(
        "  - match: '{}/**'\n    accept: [{{keyless: {{issuer: '{ISSUER}', identity: '{IDENTITY}'}}}}]\n    \
         attestations:\n      - predicate-type: rule-tests\n        where: [{{path: /result, equals: passed}}]\n",
        stage.registry.host()
    ));
    let missing = ["no accepted statement of type", "rule-tests"];
    stage.site.install(&[&reference]).expect_code(VERIFICATION).expect_stderr(&missing);
    let attest = |result: &str| {
        let predicate = format!(r#"{{"result":"{result}","tests":12}}"#);
        fs::write(stage.site.path("predicate.json"), predicate).expect("written");
        let (url, token) = (stage.sigstore.url(), stage.token(&honest()));
        let attest = ["attest", &reference, "--type", "rule-tests", "--predicate"];
        let more = ["predicate.json", "--keyless", "--plain-http", "--identity-token", token];
        let services = ["--fulcio-url", &url, "--rekor-url", &url, "--trusted-root", "root.json"];
        stage.site.run(&[&attest[..], &more[..], &services[..]].concat()).expect_code(0);
    };
    attest("failed");
    let condition = ["failed at condition", "`/result` is `failed`"];
    stage.site.install(&[&reference]).expect_code(VERIFICATION).expect_stderr(&condition);
    attest("passed");
    stage.site.install(&[&reference]).expect_code(0);
}

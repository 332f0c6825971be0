//! Keyless signatures of both forms against a policy: what is accepted, and at which step each
//! forgery fails.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod simulated;

use eyas_artifact::{Digest, Reference};
use eyas_trust::{Candidate, Decision, Evidence, KeySource, Policy, Step, TrustError, Verifier};
use serde_json::Value;
use simulated::{
    IDENTITY, ISSUER, Instance, REPOSITORY, SIGNED_AT, from_bundle, from_classic, key,
};

struct RootFile(String);

impl KeySource for RootFile {
    fn file(&self, _: &str) -> Result<String, String> {
        Ok(self.0.clone())
    }
    fn env(&self, name: &str) -> Result<String, String> {
        Err(name.to_owned())
    }
}

fn digest() -> Digest {
    Digest::sha256(b"the manifest that is installed")
}

fn policy(instance: &Instance, more: &str, accept: &str) -> Verifier {
    let yaml = format!(
        "version: 1\ntrusted-roots: [{{file: root.json}}]\n{more}rules:\n  - match: {REPOSITORY}\n    \
         accept:\n      - keyless: {accept}\n"
    );
    let root = RootFile(instance.trusted_root());
    let policy = Policy::parse_with(yaml.as_bytes(), "trust.yaml", &root);
    Verifier::new(policy.unwrap_or_else(|error| panic!("{error}\n{yaml}"))).unwrap()
}

fn plain(instance: &Instance) -> Verifier {
    policy(instance, "", &format!("{{issuer: '{ISSUER}', identity: '{IDENTITY}'}}"))
}

fn decide(verifier: &Verifier, candidate: Candidate) -> Result<Decision, TrustError> {
    let asked: Reference = format!("{REPOSITORY}:1").parse().unwrap();
    let evidence = Evidence { candidates: vec![candidate], left_out: 0 };
    verifier.decide(&asked, &digest(), &evidence)
}

fn refused_at(verifier: &Verifier, candidate: Candidate) -> Step {
    match decide(verifier, candidate) {
        Err(TrustError::Refused(refusal)) => refusal.attempts[0].failed.as_ref().unwrap().step,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[test]
fn both_forms_are_accepted_and_recorded() {
    let instance = Instance::new();
    let recipe = instance.recipe();
    for candidate in [
        from_bundle(&instance.bundle(&digest(), &recipe)),
        from_classic(instance.classic(&digest(), &recipe)),
    ] {
        let decision =
            decide(&plain(&instance), candidate).unwrap_or_else(|error| panic!("{error}"));
        let signer = &decision.signers()[0];
        assert_eq!(signer.form, "keyless");
        assert_eq!(signer.identity.as_deref(), Some(IDENTITY));
        assert_eq!(signer.issuer.as_deref(), Some(ISSUER));
        assert_eq!(decision.signed_at(), Some(SIGNED_AT), "the log's time, not the signer's");
    }
}

#[test]
fn another_signer_is_refused_and_named() {
    let instance = Instance::new();
    let recipe = instance.recipe();
    for accept in [
        format!("{{issuer: '{ISSUER}', identity: 'https://github.com/org/rules/'}}"),
        format!("{{issuer: '{ISSUER}', identity-regexp: 'https://github.com/org/'}}"),
        format!("{{issuer: '{ISSUER}', identity-regexp: 'org/rules/.*'}}"),
        format!("{{issuer: 'https://accounts.example', identity: '{IDENTITY}'}}"),
        format!(
            "{{issuer: '{ISSUER}', identity: '{IDENTITY}', claims: {{source-repository-ref: refs/heads/main}}}}"
        ),
        format!(
            "{{issuer: '{ISSUER}', identity: '{IDENTITY}', claims: {{runner-environment: '.*'}}}}"
        ),
    ] {
        let verifier = policy(&instance, "", &accept);
        for candidate in [
            from_bundle(&instance.bundle(&digest(), &recipe)),
            from_classic(instance.classic(&digest(), &recipe)),
        ] {
            let error = decide(&verifier, candidate.clone()).unwrap_err();
            let hint = error.hint().unwrap();
            assert!(hint.contains(IDENTITY) && hint.contains(ISSUER), "{hint}");
            assert_eq!(refused_at(&verifier, candidate), Step::Identity);
        }
    }
}

#[test]
fn claims_of_the_build_are_compared() {
    let instance = Instance::new();
    let verifier = policy(
        &instance,
        "",
        &format!(
            "{{issuer: '{ISSUER}', identity-regexp: '.*', claims: {{source-repository-ref: 'refs/tags/v.*'}}}}"
        ),
    );
    let candidate = from_bundle(&instance.bundle(&digest(), &instance.recipe()));
    assert!(decide(&verifier, candidate).is_ok());
}

#[test]
fn the_suggested_lines_accept_what_was_found() {
    let instance = Instance::new();
    let candidate = from_bundle(&instance.bundle(&digest(), &instance.recipe()));
    let yaml = "version: 1\ntrusted-roots: [{file: root.json}]\n";
    let build = |yaml: &str| {
        let root = RootFile(instance.trusted_root());
        Verifier::new(Policy::parse_with(yaml.as_bytes(), "trust.yaml", &root).unwrap()).unwrap()
    };
    let error = decide(&build(yaml), candidate.clone()).unwrap_err();
    let TrustError::NoRule { suggestion, .. } = error else { panic!("{error}") };
    let verifier = build(&format!("{yaml}rules:\n{suggestion}"));
    assert_eq!(decide(&verifier, candidate).unwrap().signers()[0].form, "keyless");
}

struct TwoRoots([String; 2]);

impl KeySource for TwoRoots {
    fn file(&self, name: &str) -> Result<String, String> {
        Ok(self.0[usize::from(name != "roots/corp.json")].clone())
    }
    fn env(&self, name: &str) -> Result<String, String> {
        Err(name.to_owned())
    }
}

#[test]
fn a_signer_can_be_bound_to_one_of_several_roots() {
    let (corp, other) = (Instance::new(), Instance::new());
    let roots = TwoRoots([corp.trusted_root(), other.trusted_root()]);
    let parse = |bound: &str| {
        let yaml = format!(
            "version: 1\ntrusted-roots: [{{file: other.json}}, {{file: roots/corp.json}}]\nrules:\n  - match: \
             {REPOSITORY}\n    accept: [{{keyless: {{issuer: '{ISSUER}', identity: '{IDENTITY}'{bound}}}}}]\n"
        );
        Policy::parse_with(yaml.as_bytes(), "trust.yaml", &roots)
    };
    let verifier = |bound: &str| Verifier::new(parse(bound).unwrap()).unwrap();
    let by = |instance: &Instance| from_bundle(&instance.bundle(&digest(), &instance.recipe()));
    for instance in [&corp, &other] {
        assert!(decide(&verifier(""), by(instance)).is_ok(), "any root certifies");
    }
    assert!(decide(&verifier(", root: corp"), by(&corp)).is_ok());
    // The other root's authority gives itself a certificate for the accepted identity.
    assert_eq!(refused_at(&verifier(", root: corp"), by(&other)), Step::Identity);
    let error = decide(&verifier(", root: corp"), by(&other)).unwrap_err().to_string();
    assert!(error.contains("the certifying root is `other`, expected `corp`"), "{error}");
    let error = parse(", root: public-good").unwrap_err().to_string();
    assert!(error.contains("`public-good`") && error.contains("`other`, `corp`"), "{error}");
}

#[test]
fn a_revoked_identity_is_refused() {
    let instance = Instance::new();
    let revoked = format!("revoked: [{{identity: '{IDENTITY}', reason: stolen}}]\n");
    let accept = format!("{{issuer: '{ISSUER}', identity: '{IDENTITY}'}}");
    let verifier = policy(&instance, &revoked, &accept);
    let candidate = from_bundle(&instance.bundle(&digest(), &instance.recipe()));
    assert_eq!(refused_at(&verifier, candidate), Step::Revocation);
}

#[test]
fn forgeries_fail_at_their_step() {
    let (instance, other) = (Instance::new(), Instance::new());
    let stranger = key();
    let verifier = plain(&instance);
    let honest = || instance.recipe();
    let mut late = honest();
    late.logged_at = "2026-02-03T12:00:00Z";
    let mut early = honest();
    early.logged_at = "2026-01-30T12:00:00Z";
    let mut unlogged_certificate = honest();
    unlogged_certificate.certificate_log = &stranger;
    let mut unknown_log = honest();
    unknown_log.transparency_log = &stranger;
    let mut forged_authority = other.recipe();
    forged_authority.certificate_log = &instance.certificate_log;
    forged_authority.transparency_log = &instance.transparency_log;
    let cases = [
        ("another authority with our logs", Step::Certificate, &other, forged_authority),
        ("another authority", Step::TransparencyLog, &other, other.recipe()),
        ("a certificate used after it expired", Step::Certificate, &instance, late),
        ("a certificate used before it was valid", Step::Certificate, &instance, early),
        ("a certificate that no known log has", Step::Certificate, &instance, unlogged_certificate),
        ("an entry of an unknown log", Step::TransparencyLog, &instance, unknown_log),
    ];
    for (what, expected, by, recipe) in cases {
        for candidate in [
            from_bundle(&by.bundle(&digest(), &recipe)),
            from_classic(by.classic(&digest(), &recipe)),
        ] {
            assert_eq!(refused_at(&verifier, candidate), expected, "{what}");
        }
    }
}

#[test]
fn a_signature_is_for_its_digest_only() {
    let instance = Instance::new();
    let other = Digest::sha256(b"another manifest");
    for candidate in [
        from_bundle(&instance.bundle(&other, &instance.recipe())),
        from_classic(instance.classic(&other, &instance.recipe())),
    ] {
        assert_eq!(refused_at(&plain(&instance), candidate), Step::Binding);
    }
}

#[test]
fn parts_of_two_honest_bundles_do_not_combine() {
    let instance = Instance::new();
    let first = instance.bundle(&digest(), &instance.recipe());
    let second = instance.bundle(&digest(), &instance.recipe());
    let entry = "/verificationMaterial/tlogEntries/0";
    for pointer in [
        "/verificationMaterial/certificate",
        entry,
        "/verificationMaterial/tlogEntries/0/inclusionPromise",
        "/verificationMaterial/tlogEntries/0/inclusionProof",
        "/verificationMaterial/tlogEntries/0/canonicalizedBody",
        "/dsseEnvelope/signatures/0/sig",
    ] {
        let mut mixed = first.clone();
        *mixed.pointer_mut(pointer).unwrap() = second.pointer(pointer).unwrap().clone();
        assert!(decide(&plain(&instance), from_bundle(&mixed)).is_err(), "{pointer}");
    }
}

#[test]
fn changed_values_are_noticed() {
    let instance = Instance::new();
    let bundle = instance.bundle(&digest(), &instance.recipe());
    let entry = "/verificationMaterial/tlogEntries/0";
    for (pointer, value) in [
        ("/integratedTime", Value::from("1769947201")),
        ("/logIndex", Value::from("1")),
        ("/inclusionProof/treeSize", Value::from("2")),
        ("/inclusionProof/logIndex", Value::from("1")),
        ("/inclusionProof/rootHash", Value::from("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
        ("/kindVersion/kind", Value::from("hashedrekord")),
        ("/inclusionPromise/signedEntryTimestamp", Value::from("AAAA")),
    ] {
        let mut changed = bundle.clone();
        *changed.pointer_mut(&format!("{entry}{pointer}")).unwrap() = value;
        assert!(decide(&plain(&instance), from_bundle(&changed)).is_err(), "{pointer}");
    }
}

#[test]
fn evidence_that_is_missing_is_not_waived() {
    let instance = Instance::new();
    let bundle = instance.bundle(&digest(), &instance.recipe());
    let without = |pointer: &str, field: &str| {
        let mut changed = bundle.clone();
        changed.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(field).unwrap();
        from_bundle(&changed)
    };
    let entry = "/verificationMaterial/tlogEntries/0";
    for candidate in [
        without("/verificationMaterial", "tlogEntries"),
        without(entry, "inclusionProof"),
        without(entry, "inclusionPromise"),
        without("/verificationMaterial", "certificate"),
    ] {
        assert!(decide(&plain(&instance), candidate).is_err());
    }
    let mut extra = bundle.clone();
    let mut bare = bundle.pointer(entry).unwrap().clone();
    for field in ["inclusionProof", "inclusionPromise"] {
        bare.as_object_mut().unwrap().remove(field);
    }
    extra["verificationMaterial"]["tlogEntries"].as_array_mut().unwrap().push(bare);
    assert_eq!(refused_at(&plain(&instance), from_bundle(&extra)), Step::TransparencyLog);
    let (payload, mut annotations) = instance.classic(&digest(), &instance.recipe());
    annotations.remove("dev.sigstore.cosign/bundle").unwrap();
    assert!(decide(&plain(&instance), from_classic((payload, annotations))).is_err());
}

#[test]
fn a_certificate_signature_does_not_pass_as_one_by_key() {
    let instance = Instance::new();
    let mut bundle = instance.bundle(&digest(), &instance.recipe());
    let material = bundle["verificationMaterial"].as_object_mut().unwrap();
    material.remove("certificate").unwrap();
    material.insert("publicKey".into(), serde_json::json!({ "hint": "" }));
    assert_eq!(refused_at(&plain(&instance), from_bundle(&bundle)), Step::Identity);
}

#[test]
fn without_the_instances_root_nothing_is_accepted() {
    let instance = Instance::new();
    let yaml = format!(
        "version: 1\nrules:\n  - match: {REPOSITORY}\n    accept:\n      - keyless: \
         {{issuer: '{ISSUER}', identity: '{IDENTITY}'}}\n"
    );
    let policy = Policy::parse(yaml.as_bytes(), "trust.yaml").unwrap();
    let verifier = Verifier::new(policy).unwrap();
    let candidate = from_bundle(&instance.bundle(&digest(), &instance.recipe()));
    assert!(matches!(decide(&verifier, candidate), Err(TrustError::Refused(_))));
}

//! Decisions over signatures that are made in the test: what is accepted, and what each attack
//! fails at.

use std::collections::BTreeMap;

use eyas_artifact::{Digest, Reference};
use jiff::Timestamp;

use crate::evidence::{Candidate, SIGNATURE};
use crate::explain::Step;
use crate::key::SigningKey;
use crate::policy::{KeySource, Policy};
use crate::sign::document;
use crate::verifier::{Evidence, Verifier};
use crate::{MAX_CANDIDATES, TrustError};

struct Keys(BTreeMap<String, String>);

impl KeySource for Keys {
    fn file(&self, name: &str) -> Result<String, String> {
        self.0.get(name).cloned().ok_or_else(|| format!("no file `{name}`"))
    }
    fn env(&self, name: &str) -> Result<String, String> {
        Err(format!("no variable `{name}`"))
    }
}

struct Fixture {
    a: SigningKey,
    b: SigningKey,
    stranger: SigningKey,
}

const NOW: &str = "2026-03-01T00:00:00Z";
const SIGNED: &str = "2026-02-01T00:00:00Z";
const REPOSITORY: &str = "r.example/org/rules";

fn digest() -> Digest {
    Digest::sha256(b"the manifest that is installed")
}

fn asked() -> Reference {
    format!("{REPOSITORY}:1").parse().unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl Fixture {
    fn new() -> Self {
        let key = || SigningKey::generate().unwrap();
        Self { a: key(), b: key(), stranger: key() }
    }

    fn verifier(&self, rules: &str) -> Verifier {
        let keys = [("a.pub", &self.a), ("b.pub", &self.b)];
        let keys = keys.map(|(name, key)| (name.to_owned(), key.public_pem()));
        let yaml = format!("version: 1\n{rules}");
        let policy = Policy::parse_with(yaml.as_bytes(), "t.yaml", &Keys(keys.into())).unwrap();
        Verifier::new(policy).unwrap()
    }

    /// The plain case: one rule, key `a`.
    fn plain(&self) -> Verifier {
        self.verifier("rules:\n  - match: r.example/org/*\n    accept: [{key: {file: a.pub}}]\n")
    }
}

fn classic(key: &SigningKey, digest: &Digest) -> Candidate {
    let signed = document::classic(key, REPOSITORY, digest, time(SIGNED)).unwrap();
    with_signature(signed.payload, signed.signature)
}

fn with_signature(payload: Vec<u8>, signature: String) -> Candidate {
    Candidate::classic("the classic tag", payload, BTreeMap::from([(SIGNATURE.into(), signature)]))
}

fn bundle(key: &SigningKey, digest: &Digest) -> Candidate {
    Candidate::bundle("a referrer", document::bundle(key, digest, time(SIGNED)).unwrap().json)
}

fn statement(key: &SigningKey, predicate_type: &str, predicate: serde_json::Value) -> Candidate {
    let signed =
        document::attestation(key, &digest(), predicate_type, predicate, time(SIGNED)).unwrap();
    Candidate::bundle("a statement", signed.json)
}

fn evidence(candidates: Vec<Candidate>) -> Evidence {
    Evidence { candidates, left_out: 0 }
}

fn decide(verifier: &Verifier, candidates: Vec<Candidate>) -> Result<crate::Decision, TrustError> {
    verifier.decide_at(&asked(), &digest(), &evidence(candidates), time(NOW))
}

/// The step at which the only candidate failed.
fn refused_at(verifier: &Verifier, candidate: Candidate) -> Step {
    match decide(verifier, vec![candidate]).unwrap_err() {
        TrustError::Refused(refusal) => refusal.attempts[0].failed.as_ref().unwrap().step,
        other => panic!("expected a refusal, found {other}"),
    }
}

#[test]
fn both_forms_by_the_accepted_key_are_accepted() {
    let fixture = Fixture::new();
    for candidate in [classic(&fixture.a, &digest()), bundle(&fixture.a, &digest())] {
        let decision = decide(&fixture.plain(), vec![candidate]).unwrap();
        let signer = &decision.signers()[0];
        assert_eq!(signer.form, "key");
        let fingerprint = fixture.a.public().fingerprint().to_string();
        assert_eq!(signer.key_fingerprint.as_deref(), Some(fingerprint.as_str()));
        assert_eq!(decision.signed_at(), Some(SIGNED));
        assert!(decision.explanation().to_string().contains("passed  binding"));
    }
}

#[test]
fn a_signature_of_another_digest_does_not_count() {
    let fixture = Fixture::new();
    let other = Digest::sha256(b"another manifest");
    for candidate in [classic(&fixture.a, &other), bundle(&fixture.a, &other)] {
        assert_eq!(refused_at(&fixture.plain(), candidate), Step::Binding);
    }
}

#[test]
fn a_stranger_does_not_count() {
    let fixture = Fixture::new();
    for candidate in [classic(&fixture.stranger, &digest()), bundle(&fixture.stranger, &digest())] {
        assert_eq!(refused_at(&fixture.plain(), candidate), Step::Signature);
    }
}

#[test]
fn a_payload_of_one_and_a_signature_of_another_do_not_combine() {
    let fixture = Fixture::new();
    let other =
        document::classic(&fixture.a, REPOSITORY, &Digest::sha256(b"x"), time(SIGNED)).unwrap();
    let ours = document::classic(&fixture.a, REPOSITORY, &digest(), time(SIGNED)).unwrap();
    let mixed = with_signature(ours.payload, other.signature);
    assert_eq!(refused_at(&fixture.plain(), mixed), Step::Signature);
}

#[test]
fn every_changed_byte_of_a_payload_is_noticed() {
    let fixture = Fixture::new();
    let verifier = fixture.plain();
    let signed = document::classic(&fixture.a, REPOSITORY, &digest(), time(SIGNED)).unwrap();
    for at in 0..signed.payload.len() {
        let mut payload = signed.payload.clone();
        payload[at] ^= 1;
        let candidate = with_signature(payload, signed.signature.clone());
        assert!(decide(&verifier, vec![candidate]).is_err(), "byte {at}");
    }
    for length in [0, 1, signed.payload.len() - 1] {
        let cut = with_signature(signed.payload[..length].to_vec(), signed.signature.clone());
        assert!(decide(&verifier, vec![cut]).is_err(), "cut at {length}");
    }
}

#[test]
fn a_cut_bundle_is_refused_as_malformed() {
    let fixture = Fixture::new();
    let json = document::bundle(&fixture.a, &digest(), time(SIGNED)).unwrap().json;
    for length in [0, 1, json.len() / 2, json.len() - 1] {
        let cut = Candidate::bundle("cut", json[..length].to_vec());
        assert_eq!(refused_at(&fixture.plain(), cut), Step::Format);
    }
}

#[test]
fn a_statement_of_another_type_is_not_a_signature() {
    let fixture = Fixture::new();
    let provenance = statement(&fixture.a, "https://slsa.dev/provenance/v1", serde_json::json!({}));
    assert_eq!(refused_at(&fixture.plain(), provenance), Step::Predicate);
}

#[test]
fn a_statement_with_two_signatures_is_refused() {
    let fixture = Fixture::new();
    let json = document::bundle(&fixture.stranger, &digest(), time(SIGNED)).unwrap().json;
    let mut value: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let ours = document::bundle(&fixture.a, &digest(), time(SIGNED)).unwrap().json;
    let ours: serde_json::Value = serde_json::from_slice(&ours).unwrap();
    let extra = ours["dsseEnvelope"]["signatures"][0].clone();
    value["dsseEnvelope"]["signatures"].as_array_mut().unwrap().push(extra);
    let candidate = Candidate::bundle("two", value.to_string().into_bytes());
    assert_eq!(refused_at(&fixture.plain(), candidate), Step::Format);
}

#[test]
fn the_hint_in_a_bundle_decides_nothing() {
    let fixture = Fixture::new();
    let json = document::bundle(&fixture.stranger, &digest(), time(SIGNED)).unwrap().json;
    let mut value: serde_json::Value = serde_json::from_slice(&json).unwrap();
    value["verificationMaterial"]["publicKey"]["hint"] = fixture.a.public().hint().into();
    let candidate = Candidate::bundle("hint", value.to_string().into_bytes());
    assert_eq!(refused_at(&fixture.plain(), candidate), Step::Signature);
}

#[test]
fn a_good_signature_is_found_among_bad_ones() {
    let fixture = Fixture::new();
    let candidates = vec![
        Candidate::bundle("rubbish", b"{}".to_vec()),
        bundle(&fixture.stranger, &digest()),
        classic(&fixture.a, &Digest::sha256(b"other")),
        classic(&fixture.a, &digest()),
    ];
    let decision = decide(&fixture.plain(), candidates).unwrap();
    assert_eq!(decision.signers().len(), 1);
    assert_eq!(decision.explanation().attempts.len(), 4);
}

#[test]
fn the_rule_is_chosen_by_what_was_asked_for() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier(
        "rules:\n  - match: r.example/org/rules\n    accept: [{key: {file: a.pub}}]\n  \
         - match: r.example/**\n    insecure: accept unsigned\n",
    );
    assert!(decide(&verifier, vec![]).is_err());
    let below: Reference = "r.example/org/rules/evil:1".parse().unwrap();
    let decision = verifier.decide(&below, &digest(), &Evidence::default()).unwrap();
    assert_eq!(decision.signers()[0].form, "unsigned-accepted");
    assert!(!verifier.needs_evidence(&below) && verifier.needs_evidence(&asked()));
}

#[test]
fn no_rule_means_no_and_names_the_lines() {
    let fixture = Fixture::new();
    let verifier = Verifier::new(Policy::refuse_all()).unwrap();
    let error = decide(&verifier, vec![]).unwrap_err();
    assert!(matches!(error, TrustError::NoRule { .. }));
    assert!(
        error
            .hint()
            .unwrap()
            .contains("- match: r.example/org/rules\n    insecure: accept unsigned")
    );
    let error = decide(&verifier, vec![bundle(&fixture.a, &digest())]).unwrap_err();
    let hint = error.hint().unwrap();
    assert!(hint.contains("- key: {file:") && !hint.contains("insecure"), "{hint}");
}

#[test]
fn unsigned_is_refused_where_a_signature_is_wanted() {
    let error = decide(&Fixture::new().plain(), vec![]).unwrap_err();
    assert!(error.to_string().contains("has no signature"), "{error}");
    assert!(error.to_string().contains("t.yaml:3"), "{error}");
    assert!(error.hint().unwrap().contains("insecure: accept unsigned"));
}

#[test]
fn thresholds_count_different_signers() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier(
        "rules:\n  - match: r.example/org/*\n    threshold: 2\n    \
         accept: [{key: {file: a.pub}}, {key: {file: b.pub}}]\n",
    );
    let (a, b) = (&fixture.a, &fixture.b);
    let twice = vec![classic(a, &digest()), bundle(a, &digest())];
    let error = decide(&verifier, twice).unwrap_err();
    assert!(error.to_string().contains("1 of 2 accepted signers"), "{error}");
    let both = vec![classic(a, &digest()), bundle(b, &digest())];
    assert_eq!(decide(&verifier, both).unwrap().signers().len(), 2);
}

#[test]
fn revoked_keys_and_digests_are_refused() {
    let fixture = Fixture::new();
    let rule = "rules:\n  - match: r.example/org/*\n    accept: [{key: {file: a.pub}}]\n";
    let fingerprint = fixture.a.public().fingerprint();
    let verifier =
        fixture.verifier(&format!("revoked: [{{key: '{fingerprint}', reason: lost}}]\n{rule}"));
    assert_eq!(refused_at(&verifier, classic(&fixture.a, &digest())), Step::Revocation);
    let verifier = fixture.verifier(&format!(
        "revoked: [{{digest: '{}', reason: it deletes files}}]\n{rule}",
        digest()
    ));
    let error = decide(&verifier, vec![classic(&fixture.a, &digest())]).unwrap_err();
    assert!(error.to_string().contains("it deletes files"), "{error}");
}

#[test]
fn listed_digests_are_accepted_and_others_are_not() {
    let fixture = Fixture::new();
    let list = |digest: Digest, more: &str| {
        fixture.verifier(&format!(
            "rules:\n  - match: r.example/**\n    digests: ['{digest}']\n{more}"
        ))
    };
    let decision = decide(&list(digest(), ""), vec![]).unwrap();
    assert_eq!(decision.signers()[0].form, "digest-listed");
    let error = decide(&list(Digest::sha256(b"x"), ""), vec![]).unwrap_err();
    assert!(matches!(error, TrustError::NotListed { .. }));
    let signed_too = list(digest(), "    accept: [{key: {file: a.pub}}]\n");
    assert!(decide(&signed_too, vec![]).is_err(), "a list does not replace a signature");
}

#[test]
fn an_old_signature_is_refused_at_the_edge() {
    let fixture = Fixture::new();
    let rule = |age: &str| {
        fixture.verifier(&format!(
            "rules:\n  - match: r.example/**\n    accept: [{{key: {{file: a.pub}}}}]\n    maximum-age: {age}\n"
        ))
    };
    // 28 days lie between signing and now.
    assert!(decide(&rule("28d"), vec![bundle(&fixture.a, &digest())]).is_ok());
    assert_eq!(refused_at(&rule("27d"), bundle(&fixture.a, &digest())), Step::Age);
}

#[test]
fn a_signature_from_the_future_is_refused_at_the_edge() {
    let fixture = Fixture::new();
    let at = |text: &str| {
        let signed = document::bundle(&fixture.a, &digest(), time(text)).unwrap();
        Candidate::bundle("f", signed.json)
    };
    let verifier = fixture.plain();
    assert!(decide(&verifier, vec![at("2026-03-01T00:05:00Z")]).is_ok(), "within the skew");
    assert_eq!(refused_at(&verifier, at("2026-03-01T00:05:01Z")), Step::Timestamp);
    // It does not spoil a good one beside it.
    let both = vec![at("2027-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z")];
    assert_eq!(decide(&verifier, both).unwrap().signed_at(), Some("2026-02-01T00:00:00Z"));
}

#[test]
fn revoked_indexes_are_refused_whoever_signed_them() {
    let fixture = Fixture::new();
    let content = b"- name: a";
    let rules = |revoked: &str| {
        fixture.verifier(&format!(
            "revoked: [{revoked}]\nindexes:\n  - index: i\n    accept: [{{key: {{file: a.pub}}}}]\n"
        ))
    };
    let signed = document::bundle(&fixture.a, &Digest::sha256(content), time(SIGNED)).unwrap().json;
    let decide =
        |verifier: Verifier| verifier.decide_index("i", "i", content, Some(signed.clone()));
    assert!(decide(rules("")).unwrap().is_some());
    let digest = Digest::sha256(content);
    let error = decide(rules(&format!("{{digest: '{digest}', reason: stolen}}"))).unwrap_err();
    assert!(error.to_string().contains("stolen"), "{error}");
}

#[test]
fn a_signature_without_a_time_is_refused_where_age_matters() {
    let key = crate::PublicKey::from_pem(include_str!("../testdata/cosign.pub"), "k").unwrap();
    let keys = Keys([("k.pub".to_owned(), key.to_pem())].into());
    let yaml = "version: 1\nrules:\n  - match: r.example/**\n    accept: [{key: {file: k.pub}}]\n";
    let digest =
        "sha256:87784ebfbb682020989b6eba3eda3fc6f2e8d86db6fa85b4a651e6d0a8e4fec2".parse().unwrap();
    let found = evidence(vec![Candidate::bundle(
        "by cosign",
        include_bytes!("../testdata/cosign-bundle.json").to_vec(),
    )]);
    for (more, accepted) in [("", true), ("    maximum-age: 10000d\n", false)] {
        let policy = Policy::parse_with(format!("{yaml}{more}").as_bytes(), "t", &keys).unwrap();
        let decision = Verifier::new(policy).unwrap().decide(&asked(), &digest, &found);
        assert_eq!(decision.is_ok(), accepted, "{decision:?}");
    }
}

#[test]
fn a_log_entry_that_is_required_must_be_there() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier(
        "rules:\n  - match: r.example/**\n    accept:\n      - key: {file: a.pub, transparency-log: required}\n",
    );
    for candidate in [classic(&fixture.a, &digest()), bundle(&fixture.a, &digest())] {
        assert_eq!(refused_at(&verifier, candidate), Step::TransparencyLog);
    }
}

#[test]
fn statements_are_requirements_besides_the_signature() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier(
        "rules:\n  - match: r.example/**\n    accept: [{key: {file: a.pub}}]\n    attestations:\n      \
         - predicate-type: https://eyas.example/rule-tests/v1\n        accept: [{key: {file: b.pub}}]\n        \
           where: [{path: /result, equals: passed}, {path: /cases, regexp: '[1-9][0-9]*'}]\n",
    );
    let signature = || bundle(&fixture.a, &digest());
    let tests = |key: &SigningKey, result: &str, cases: u32| {
        let predicate = serde_json::json!({ "result": result, "cases": cases });
        statement(key, "https://eyas.example/rule-tests/v1", predicate)
    };
    assert!(decide(&verifier, vec![signature(), tests(&fixture.b, "passed", 12)]).is_ok());
    for (candidates, why) in [
        (vec![signature()], "no accepted statement"),
        (vec![signature(), tests(&fixture.b, "failed", 12)], "`/result` is `failed`"),
        (vec![signature(), tests(&fixture.b, "passed", 0)], "`/cases` is `0`"),
        (vec![signature(), tests(&fixture.a, "passed", 12)], "not by"),
    ] {
        let error = decide(&verifier, candidates).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let alone = decide(&verifier, vec![tests(&fixture.b, "passed", 12)]).unwrap_err().to_string();
    assert!(alone.contains("0 of 1 accepted signers"), "{alone}");
}

#[test]
fn candidates_beyond_the_limit_are_not_looked_at() {
    let fixture = Fixture::new();
    let mut candidates = vec![Candidate::bundle("flood", b"{}".to_vec()); MAX_CANDIDATES - 1];
    candidates.push(classic(&fixture.a, &digest()));
    assert!(decide(&fixture.plain(), candidates.clone()).is_ok());
    candidates.insert(0, Candidate::bundle("flood", b"{}".to_vec()));
    assert!(decide(&fixture.plain(), candidates.clone()).is_err());
    candidates.truncate(MAX_CANDIDATES);
    let flooded = Evidence { candidates, left_out: 1 };
    let error = fixture.plain().decide(&asked(), &digest(), &flooded).unwrap_err();
    assert!(error.to_string().contains("at least 64 candidate signatures"), "{error}");
}

#[test]
fn a_policy_can_say_that_nothing_needs_to_be_signed() {
    let verifier = Verifier::new(Policy::allow_unsigned()).unwrap();
    let decision = decide(&verifier, vec![]).unwrap();
    assert_eq!(decision.signers()[0].form, "unsigned-accepted");
    assert_eq!(decision.signed_at(), None);
}

#[test]
fn a_refusal_stays_readable() {
    let fixture = Fixture::new();
    let candidates = vec![Candidate::bundle("flood", b"{}".to_vec()); 20];
    let error = decide(&fixture.plain(), candidates).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 10, "{error}");
    assert!(error.ends_with("and 12 more"), "{error}");
}

//! The policy file: what is read, and that everything else is refused at its place.

use std::collections::BTreeMap;

use super::*;
use crate::PolicyError;
use crate::key::SigningKey;

struct Keys(BTreeMap<&'static str, String>);

impl KeySource for Keys {
    fn file(&self, name: &str) -> Result<String, String> {
        self.0.get(name).cloned().ok_or_else(|| format!("cannot read `{name}`"))
    }
    fn env(&self, name: &str) -> Result<String, String> {
        self.file(name)
    }
}

fn keys() -> Keys {
    let pem = || SigningKey::generate().unwrap().public_pem();
    let root = sigstore::trust_root::SIGSTORE_STAGING_TRUSTED_ROOT.to_owned();
    Keys([("a.pub", pem()), ("b.pub", pem()), ("VAR", pem()), ("root.json", root)].into())
}

fn parse(yaml: &str) -> Result<Policy, Box<PolicyError>> {
    Policy::parse_with(yaml.as_bytes(), "trust.yaml", &keys())
}

fn rule(body: &str) -> Result<Policy, Box<PolicyError>> {
    parse(&format!("version: 1\nrules:\n  - match: r.example/**\n{body}"))
}

#[test]
fn lines_may_end_as_on_windows() {
    let unix = "version: 1\nrules:\n  - match: r.example/a\n    insecure: accept unsigned\n  - match: r.example/**\n    accept: [{key: {file: a.pub}}]\n";
    for text in [unix.to_owned(), unix.replace('\n', "\r\n")] {
        let policy = parse(&text).unwrap();
        let accepts =
            |asked: &str| policy.rule_for(&asked.parse().unwrap()).unwrap().accepts_unsigned();
        assert!(accepts("r.example/a:1") && !accepts("r.example/b:1"), "{text:?}");
    }
}

#[test]
fn a_policy_with_everything_is_read() {
    let inline = keys().0["a.pub"].replace('\n', "\n            ");
    let yaml = format!(
        r"
version: 1
trusted-roots:
  - embedded: public-good
  - file: root.json
revoked:
  - digest: sha256:{zeros}
    reason: broke hosts
  - key: sha256:{zeros}
  - identity: someone@example.com
rules:
  - match: ghcr.io/falcosecurity/rules/**
    threshold: 2
    accept:
      - key: {{file: b.pub}}
      - key: {{env: VAR, transparency-log: required}}
      - key:
          inline: |
            {inline}
      - keyless:
          issuer: https://token.actions.githubusercontent.com
          identity-regexp: https://github\.com/falcosecurity/rules/.*
          claims:
            source-repository-ref: refs/tags/.*
    maximum-age: 90d
    minimum-version: 1.2.0
    rule-cases: required
    attestations:
      - predicate-type: https://slsa.dev/provenance/v1
        where:
          - {{path: /buildDefinition/buildType, equals: x}}
  - match: 127.0.0.1:5000/**
    insecure: accept unsigned
  - match: r.example/pinned
    digests: ['sha256:{zeros}']
",
        zeros = "0".repeat(64)
    );
    let policy = parse(&yaml).unwrap();
    assert_eq!(policy.roots().len(), 2);
    assert_eq!(policy.rules().len(), 3);
    let revoked = policy.revoked();
    assert_eq!((revoked.digests.len(), revoked.keys.len(), revoked.identities.len()), (1, 1, 1));
    let first = &policy.rules()[0];
    assert_eq!(first.maximum_age_seconds, Some(90 * 86_400));
    assert_eq!(first.minimum_version().unwrap().to_string(), "1.2.0");
    assert_eq!(first.attestations[0].accept.len(), 4, "the rule's own signers by default");
    assert_eq!(first.place(), "trust.yaml:12");
    assert!(first.requires_rule_cases() && !policy.rules()[1].requires_rule_cases());
    let lines = first.describe();
    assert_eq!(lines[0], "2 of 4");
    assert!(lines[2].contains("`$VAR`, entered in a transparency log"), "{lines:?}");
    assert!(lines[4].contains("source-repository-ref the expression `refs/tags/.*`"), "{lines:?}");
    assert!(policy.rules()[1].accepts_unsigned());
    assert!(matches!(policy.rules()[2].basis, Basis::Listed));
}

#[test]
fn an_empty_policy_accepts_nothing() {
    let policy = parse("version: 1\n").unwrap();
    assert!(policy.rule_for(&"r.example/x".parse().unwrap()).is_none());
    assert_eq!(policy.roots().len(), 1, "the public root is the default");
}

#[test]
fn the_first_matching_rule_decides() {
    let policy = parse(
        "version: 1\nrules:\n  - match: r.example/a\n    accept: [{key: {file: a.pub}}]\n  \
         - match: r.example/*\n    insecure: accept unsigned\n",
    )
    .unwrap();
    let unsigned = |at: &str| policy.rule_for(&at.parse().unwrap()).map(Rule::accepts_unsigned);
    assert_eq!(unsigned("r.example/a:1"), Some(false));
    assert_eq!(unsigned("r.example/b:1"), Some(true));
    assert_eq!(unsigned("r.example/b/c:1"), None);
    assert_eq!(unsigned("R.EXAMPLE/a"), Some(false), "host names have no case");
}

/// Each file with the place and a part of the message.
const REFUSED: &[(&str, u64, u64, &str)] = &[
    ("", 0, 0, "names no version"),
    ("rules: []\n", 0, 0, "names no version"),
    ("version: 2\n", 1, 10, "version `2` is not known"),
    ("version: 2\nnew-key: 1\n", 1, 10, "version `2` is not known"),
    ("version: 1\nrule: []\n", 2, 1, "rule"),
    ("version: 1\nrules: []\nrules: []\n", 3, 1, "rules"),
    ("version: 1\nrules:\n  - match: r.example/x\n    acept: []\n", 4, 5, "acept"),
    ("version: 1\nrules:\n  - match: r.example\n", 3, 12, "names no repository"),
    ("version: 1\nrules:\n  - match: r.example/x\n", 3, 12, "neither whom to accept"),
    ("version: 1\nrules:\n  - match: r.example/x\n    insecure: true\n", 4, 15, "accept unsigned"),
    ("version: 1\nrules:\n  - match: r.example/x\n    insecure: yes\n", 4, 15, "accept unsigned"),
    ("version: 1\nrevoked:\n  - reason: x\n", 3, 5, "exactly one of"),
    ("version: 1\nrevoked:\n  - digest: abc\n", 3, 13, "`abc`"),
    ("version: 1\ntrusted-roots:\n  - embedded: staging\n", 3, 15, "`staging`"),
    ("version: 1\ntrusted-roots:\n  - file: none.json\n", 3, 11, "`none.json`"),
    ("version: 1\ntrusted-roots:\n  - file: a.pub\n", 3, 11, "`a.pub`"),
];

#[test]
fn what_is_wrong_is_refused_at_its_place() {
    for (yaml, line, column, why) in REFUSED {
        let error = parse(yaml).map(drop).unwrap_err();
        assert!(error.message.contains(why), "{yaml}: {error}");
        assert_eq!((error.line, error.column), (*line, *column), "{yaml}: {error}");
        assert_eq!(error.message.lines().count(), 1, "{error}");
    }
}

#[test]
fn rules_that_cannot_hold_are_refused() {
    for (body, why) in [
        ("    accept: [{key: {file: a.pub}}]\n    threshold: 2\n", "between 1 and 1"),
        ("    accept: [{key: {file: a.pub}}]\n    threshold: 0\n", "between 1 and 1"),
        ("    accept: [{key: {file: a.pub}}, {key: {file: a.pub}}]\n", "listed twice"),
        ("    accept: [{key: {file: a.pub, env: VAR}}]\n", "exactly one of `file`"),
        ("    accept: [{key: {}}]\n", "exactly one of `file`"),
        ("    accept: [{}]\n", "either `key` or `keyless`"),
        ("    accept: [{key: {file: none.pub}}]\n", "cannot read `none.pub`"),
        ("    accept: [{key: {inline: rubbish}}]\n", "no PEM block"),
        ("    accept: [{key: {file: a.pub, transparency-log: maybe}}]\n", "`required` or"),
        ("    accept: [{keyless: {issuer: x}}]\n", "either `identity` or"),
        ("    accept: [{keyless: {identity: x}}]\n", "either `issuer` or"),
        ("    accept: [{keyless: {issuer: x, identity-regexp: '('}}]\n", "`(`"),
        ("    accept: [{keyless: {issuer: x, identity: ''}}]\n", "empty"),
        ("    accept: [{keyless: {issuer: x, identity: y, claims: {z: x}}}]\n", "claim `z`"),
        ("    insecure: accept unsigned\n    accept: [{key: {file: a.pub}}]\n", "cannot also"),
        ("    insecure: accept unsigned\n    maximum-age: 1d\n", "cannot also"),
        ("    insecure: accept unsigned\n    digests: []\n", "cannot also"),
        ("    digests: []\n    threshold: 1\n", "neither whom"),
        ("    accept: [{key: {file: a.pub}}]\n    maximum-age: 90\n", "`90`"),
        ("    accept: [{key: {file: a.pub}}]\n    maximum-age: 0d\n", "`0d`"),
        ("    accept: [{key: {file: a.pub}}]\n    minimum-version: new\n", "`new`"),
        ("    digests: ['sha256:00']\n", "sha256:00"),
        ("    digests: []\n    attestations: [{predicate-type: x}]\n", "nobody is accepted"),
    ] {
        let error = rule(body).map(drop).unwrap_err();
        assert!(error.message.contains(why), "{body}: {error}");
        assert!(error.line >= 3 && error.column > 0, "{error:?}");
    }
}

#[test]
fn conditions_are_pointers_with_one_comparison() {
    let with = |condition: &str| {
        rule(&format!(
            "    accept: [{{key: {{file: a.pub}}}}]\n    attestations:\n      \
             - predicate-type: 'https://x.example/v1'\n        where: [{condition}]\n"
        ))
    };
    assert!(with("{path: /a/b, equals: c}").is_ok());
    for (condition, why) in [
        ("{path: a, equals: c}", "JSON pointer"),
        ("{path: /a}", "`equals` or `regexp`"),
        ("{path: /a, equals: b, regexp: c}", "`equals` or `regexp`"),
    ] {
        let error = with(condition).map(drop).unwrap_err();
        assert!(error.message.contains(why), "{error}");
    }
}

#[test]
fn the_same_pattern_twice_is_refused() {
    let twice = "    insecure: accept unsigned\n  - match: r.example/**\n    accept: [{key: {file: a.pub}}]\n";
    let error = rule(twice).map(drop).unwrap_err();
    assert!(error.message.contains("trust.yaml:3"), "{error}");
    assert_eq!(error.line, 5);
}

#[test]
fn the_size_limit_is_inclusive() {
    let mut yaml = b"version: 1\n# ".to_vec();
    yaml.resize(MAX_POLICY_BYTES, b'x');
    assert!(Policy::parse_with(&yaml, "t", &keys()).is_ok());
    yaml.push(b'x');
    let error = Policy::parse_with(&yaml, "t", &keys()).unwrap_err();
    assert!(error.message.contains("limit"), "{error}");
    assert!(Policy::parse_with(b"\xff", "t", &keys()).is_err());
}

#[test]
fn an_error_shows_file_line_and_column() {
    let error = parse("version: 3\n").map(drop).unwrap_err();
    assert!(error.to_string().starts_with("trust.yaml:1:10: "), "{error}");
    assert!(error.hint.as_deref().unwrap().contains("newer"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[ -~\n]{0,200}") {
        let _ = parse(&text);
        let _ = rule(&text);
    }
}

//! Policies, trusted roots, signatures and the certificates in them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyas_artifact::{Digest, Reference};
use eyas_trust::{Candidate, Evidence, KeySource, Policy, RootSource, Roots, Verifier};

/// Who has to have signed. Nobody who writes a seed here can be that.
const POLICY: &str = "version: 1
rules:
  - match: \"**\"
    accept:
      - keyless:
          issuer: https://issuer.example.org
          identity: https://example.org/nobody
";

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let policy = Policy::parse(POLICY.as_bytes(), "trust.yaml").expect("the policy above");
    Verifier::new(policy).expect("the embedded root")
});

/// Keys and roots are not there, and no command that a policy names is run.
struct Nothing;

impl KeySource for Nothing {
    fn file(&self, name: &str) -> Result<String, String> {
        Err(format!("no `{name}`"))
    }
    fn env(&self, name: &str) -> Result<String, String> {
        Err(format!("no `{name}`"))
    }
}

/// A policy file.
pub fn policy(input: &[u8]) {
    match Policy::parse_with(input, "trust.yaml", &Nothing) {
        Ok(policy) => {
            for rule in policy.rules() {
                assert!(!rule.describe().is_empty() && !rule.pattern().as_str().is_empty());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A trusted root.
pub fn root(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(source) = RootSource::from_json("root.json", text)
        && let Err(error) = Roots::prepare(&[source])
    {
        assert!(!error.to_string().is_empty());
    }
}

/// A bundle.
pub fn bundle(input: &[u8]) {
    refused(Candidate::bundle("fuzz", input.to_vec()));
}

/// A classic signature with a certificate: the payload, `NUL`, and the certificate.
pub fn certificate(input: &[u8]) {
    let (payload, certificate) = match input.iter().position(|byte| *byte == 0) {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (&b"{}"[..], input),
    };
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        STANDARD.encode(certificate)
    );
    let annotations = BTreeMap::from([
        ("dev.cosignproject.cosign/signature".to_owned(), STANDARD.encode(payload)),
        ("dev.sigstore.cosign/certificate".to_owned(), pem.clone()),
        ("dev.sigstore.cosign/chain".to_owned(), pem),
    ]);
    refused(Candidate::classic("fuzz", payload.to_vec(), annotations));
}

/// Nothing that is made up here is a signature.
fn refused(candidate: Candidate) {
    let asked: Reference = "registry.example.org/team/demo:1".parse().expect("a reference");
    let evidence = Evidence { candidates: vec![candidate], left_out: 0 };
    let digest = Digest::sha256(b"fuzz");
    let error = VERIFIER.decide(&asked, &digest, &evidence).expect_err("nobody signed this");
    assert!(!error.to_string().is_empty());
}

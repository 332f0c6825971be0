//! What a signature says: in-toto statements and the simple signing payload.
//!
//! Owns reading and writing these two documents and the comparison with a digest. Names inside
//! them (`docker-reference`, subject names) are the signer's remarks and decide nothing: content
//! may be mirrored, its digest may not change.

use std::collections::BTreeMap;

use eyas_artifact::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::explain::{Check, Step};

/// Predicate of a statement that means "signed" and nothing more.
pub const SIGNED_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
/// Predicate of a statement about the tests that a set of rules has passed.
pub const RULE_TESTS_PREDICATE: &str = "https://eyas.dev/attestation/rule-tests/v1";

/// Short names of predicate types, as `attest` and the policy take them.
const PREDICATES: [(&str, &str); 4] = [
    ("slsa-provenance", "https://slsa.dev/provenance/v1"),
    ("spdx", "https://spdx.dev/Document"),
    ("cyclonedx", "https://cyclonedx.org/bom"),
    ("rule-tests", RULE_TESTS_PREDICATE),
];

/// The predicate type behind a short name; URIs stay as they are.
pub fn predicate_type(named: &str) -> Result<String, String> {
    if named.contains("://") {
        return Ok(named.to_owned());
    }
    let found = PREDICATES.iter().find(|(name, _)| *name == named);
    found.map(|(_, uri)| (*uri).to_owned()).ok_or_else(|| {
        let known: Vec<&str> = PREDICATES.iter().map(|(name, _)| *name).collect();
        format!(
            "predicate type `{named}` is not known, expected a URI or one of `{}`",
            known.join("`, `")
        )
    })
}
/// DSSE payload type of in-toto statements.
pub(crate) const IN_TOTO_PAYLOAD: &str = "application/vnd.in-toto+json";
/// Annotation, inside what is signed, that tells when: RFC 3339 UTC. `cosign sign -a` can set it
/// as well as we do.
pub const SIGNED_AT: &str = "vnd.eyas.signed-at";
/// Largest simple signing payload; real ones have about 300 bytes.
pub const MAX_PAYLOAD_BYTES: u64 = 64 * 1024;

const STATEMENT_TYPES: [&str; 2] =
    ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];
const SIMPLE_TYPE: &str = "cosign container image signature";

/// An in-toto statement.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Statement {
    #[serde(rename = "_type")]
    type_: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    #[serde(default)]
    predicate: Value,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Subject {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    digest: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, Value>,
}

impl Statement {
    /// A statement that `digest` is signed, with the time of signing beside it.
    pub(crate) fn signed(digest: &Digest, signed_at: &str) -> Self {
        Self::about(digest, signed_at, SIGNED_PREDICATE, Value::Object(serde_json::Map::new()))
    }

    /// A statement of any type about `digest`.
    pub(crate) fn about(
        digest: &Digest,
        signed_at: &str,
        predicate_type: &str,
        predicate: Value,
    ) -> Self {
        let annotations = BTreeMap::from([(SIGNED_AT.to_owned(), Value::from(signed_at))]);
        let digest = BTreeMap::from([(digest.algorithm().to_owned(), digest.hex())]);
        let subject = Subject { name: String::new(), digest, annotations };
        Self {
            type_: STATEMENT_TYPES[0].to_owned(),
            subject: vec![subject],
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }

    /// Reads the payload of a DSSE envelope.
    pub(crate) fn parse(payload_type: &str, payload: &[u8]) -> Result<Self, Check> {
        let malformed = |detail: String| Check::new(Step::Format, detail);
        if payload_type != IN_TOTO_PAYLOAD {
            return Err(malformed(format!(
                "the payload is `{payload_type}`, expected `{IN_TOTO_PAYLOAD}`"
            )));
        }
        let statement: Self = serde_json::from_slice(payload)
            .map_err(|error| malformed(format!("the statement is malformed: {error}")))?;
        if !STATEMENT_TYPES.contains(&statement.type_.as_str()) {
            return Err(malformed(format!("statement type `{}` is not known", statement.type_)));
        }
        Ok(statement)
    }

    /// Whether one of the subjects is `digest`.
    pub(crate) fn names(&self, digest: &Digest) -> Result<Check, Check> {
        if self.subject_of(digest).is_some() {
            return Ok(named(digest));
        }
        let found: Vec<&str> = self
            .subject
            .iter()
            .filter_map(|s| s.digest.get("sha256"))
            .map(String::as_str)
            .collect();
        Err(Check::new(
            Step::Binding,
            format!("the statement is about `{}`, not about `{digest}`", found.join("`, `")),
        ))
    }

    fn subject_of(&self, digest: &Digest) -> Option<&Subject> {
        let hex = digest.hex();
        self.subject.iter().find(|subject| subject.digest.get("sha256") == Some(&hex))
    }

    /// Whether the statement is of type `wanted`.
    pub(crate) fn states(&self, wanted: &str) -> Result<Check, Check> {
        if self.predicate_type == wanted {
            return Ok(Check::new(Step::Predicate, format!("states `{wanted}`")));
        }
        Err(Check::new(
            Step::Predicate,
            format!("states `{}`, which is not `{wanted}`", self.predicate_type),
        ))
    }

    /// When the signer says that it signed `digest`.
    pub(crate) fn signed_at(&self, digest: &Digest) -> Option<String> {
        time_of(self.subject_of(digest)?.annotations.get(SIGNED_AT))
    }

    pub(crate) fn predicate(&self) -> &Value {
        &self.predicate
    }
}

/// The payload of a classic signature.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SimplePayload {
    critical: Critical,
    #[serde(default)]
    optional: Option<BTreeMap<String, Value>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Critical {
    #[serde(default)]
    identity: Value,
    image: Image,
    #[serde(rename = "type")]
    type_: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

impl SimplePayload {
    /// The payload that says that `digest` in `repository` is signed.
    pub(crate) fn signed(repository: &str, digest: &Digest, signed_at: &str) -> Self {
        let identity = serde_json::json!({ "docker-reference": repository });
        let image = Image { digest: digest.to_string() };
        let optional = BTreeMap::from([(SIGNED_AT.to_owned(), Value::from(signed_at))]);
        Self {
            critical: Critical { identity, image, type_: SIMPLE_TYPE.to_owned() },
            optional: Some(optional),
        }
    }

    /// Reads a payload as it was signed.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Check> {
        if payload.len() as u64 > MAX_PAYLOAD_BYTES {
            let found = payload.len();
            return Err(Check::new(
                Step::Format,
                format!("the payload has {found} bytes, the limit is {MAX_PAYLOAD_BYTES}"),
            ));
        }
        serde_json::from_slice(payload)
            .map_err(|error| Check::new(Step::Format, format!("the payload is malformed: {error}")))
    }

    /// Whether the payload is a signature of `digest` and of nothing else.
    pub(crate) fn names(&self, digest: &Digest) -> Result<Check, Check> {
        if self.critical.type_ != SIMPLE_TYPE {
            return Err(Check::new(
                Step::Predicate,
                format!("`critical.type` is `{}`, expected `{SIMPLE_TYPE}`", self.critical.type_),
            ));
        }
        let found = &self.critical.image.digest;
        if *found != digest.to_string() {
            return Err(Check::new(
                Step::Binding,
                format!("the payload is about `{found}`, not about `{digest}`"),
            ));
        }
        Ok(named(digest))
    }

    /// When the signer says that it signed.
    pub(crate) fn signed_at(&self) -> Option<String> {
        time_of(self.optional.as_ref()?.get(SIGNED_AT))
    }
}

fn named(digest: &Digest) -> Check {
    Check::new(Step::Binding, format!("is about `{digest}`, which is what would be installed"))
}

/// A time in canonical form, or nothing: what cannot be compared is no time.
fn time_of(value: Option<&Value>) -> Option<String> {
    let time: jiff::Timestamp = value?.as_str()?.parse().ok()?;
    Some(time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-01-02T03:04:05Z";

    fn digest() -> Digest {
        Digest::sha256(b"manifest")
    }

    fn reparse(statement: &Statement) -> Statement {
        Statement::parse(IN_TOTO_PAYLOAD, &serde_json::to_vec(statement).unwrap()).unwrap()
    }

    #[test]
    fn a_statement_is_about_its_subject_only() {
        let statement = reparse(&Statement::signed(&digest(), TIME));
        assert!(statement.names(&digest()).is_ok());
        let failed = statement.names(&Digest::sha256(b"other")).unwrap_err();
        assert_eq!(failed.step, Step::Binding);
        assert!(failed.detail.contains(&digest().hex()), "{failed}");
        assert_eq!(statement.signed_at(&digest()).as_deref(), Some(TIME));
        assert_eq!(statement.signed_at(&Digest::sha256(b"other")), None);
    }

    #[test]
    fn short_names_stand_for_predicate_types() {
        assert_eq!(predicate_type("rule-tests").unwrap(), RULE_TESTS_PREDICATE);
        assert_eq!(predicate_type("https://x.example/v1").unwrap(), "https://x.example/v1");
        assert!(predicate_type("slsa").unwrap_err().contains("`slsa-provenance`"));
    }

    #[test]
    fn another_predicate_is_not_a_signature() {
        let other =
            Statement::about(&digest(), TIME, "https://slsa.dev/provenance/v1", Value::Null);
        let failed = reparse(&other).states(SIGNED_PREDICATE).unwrap_err();
        assert_eq!(failed.step, Step::Predicate);
        assert!(failed.detail.contains("slsa.dev"), "{failed}");
        assert!(reparse(&Statement::signed(&digest(), TIME)).states(SIGNED_PREDICATE).is_ok());
    }

    #[test]
    fn what_is_no_statement_is_refused() {
        for (kind, payload, why) in [
            ("text/plain", "{}", "text/plain"),
            (IN_TOTO_PAYLOAD, "{}", "malformed"),
            (IN_TOTO_PAYLOAD, r#"{"_type":"x","subject":[],"predicateType":"p"}"#, "`x`"),
            (IN_TOTO_PAYLOAD, "not json", "malformed"),
        ] {
            let failed = Statement::parse(kind, payload.as_bytes()).unwrap_err();
            assert_eq!(failed.step, Step::Format);
            assert!(failed.detail.contains(why), "{failed}");
        }
    }

    #[test]
    fn a_payload_names_digest_and_type() {
        let payload = SimplePayload::signed("r.example/x", &digest(), TIME);
        let bytes = serde_json::to_vec(&payload).unwrap();
        let payload = SimplePayload::parse(&bytes).unwrap();
        assert!(payload.names(&digest()).is_ok());
        assert_eq!(payload.signed_at().as_deref(), Some(TIME));
        assert_eq!(payload.names(&Digest::sha256(b"b")).unwrap_err().step, Step::Binding);
        let text =
            String::from_utf8(bytes).unwrap().replace(SIMPLE_TYPE, "atomic container signature");
        let other = SimplePayload::parse(text.as_bytes()).unwrap();
        assert_eq!(other.names(&digest()).unwrap_err().step, Step::Predicate);
    }

    #[test]
    fn payloads_of_cosign_are_read() {
        let payload =
            SimplePayload::parse(include_bytes!("../testdata/simple-payload.json")).unwrap();
        let digest = "sha256:87784ebfbb682020989b6eba3eda3fc6f2e8d86db6fa85b4a651e6d0a8e4fec2";
        assert!(payload.names(&digest.parse().unwrap()).is_ok());
        assert_eq!(payload.signed_at(), None);
    }

    #[test]
    fn the_payload_limit_is_inclusive() {
        let mut bytes = serde_json::to_vec(&SimplePayload::signed("r", &digest(), TIME)).unwrap();
        bytes.resize(MAX_PAYLOAD_BYTES as usize, b' ');
        assert!(SimplePayload::parse(&bytes).is_ok());
        bytes.push(b' ');
        assert!(SimplePayload::parse(&bytes).unwrap_err().detail.contains("limit"));
    }

    #[test]
    fn a_time_that_is_none_is_not_reported() {
        for value in [Value::from(5), Value::from("yesterday"), Value::Null] {
            assert_eq!(time_of(Some(&value)), None);
        }
        assert_eq!(time_of(Some(&Value::from("2026-01-02T04:04:05+01:00"))).as_deref(), Some(TIME));
    }
}

//! What a signature is made of, and what is wrong with it: data, so that an attack can be written down in a file.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

/// Identity of an honest signer.
pub const IDENTITY: &str =
    "https://github.com/org/rules/.github/workflows/release.yml@refs/tags/v1.2.0";
/// Issuer of an honest signer's tokens.
pub const ISSUER: &str = "https://token.actions.githubusercontent.com";
const SIGNED_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// What a signature is made of.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Recipe {
    /// `bundle`, `classic`, or `statement` for a statement of the classic form.
    pub form: String,
    /// Name of the key that signs; a fresh one with a certificate when absent.
    pub key: Option<String>,
    /// Subject alternative name of the certificate.
    pub identity: String,
    /// Issuer in the certificate.
    pub issuer: String,
    /// Claims in the certificate.
    pub claims: BTreeMap<String, String>,
    /// Type of the statement.
    pub predicate_type: String,
    /// Content of the statement.
    pub predicate: Value,
    /// Type of the envelope's payload.
    pub payload_type: String,
    /// Generation of the log, 1 or 2; 0 for none.
    pub log: u8,
    /// Whether the second generation is asked to enter the envelope, not only the hash of what is signed.
    pub envelope_entered: bool,
    /// Whether the first generation is asked to enter the hash of the envelope alone.
    pub hash_entered: bool,
    /// Whether a time stamp is included.
    pub stamped: bool,
    /// How long ago the certificate began.
    pub certified_minutes_ago: i64,
    /// How long ago the log entered the signature; negative is the future.
    pub logged_minutes_ago: i64,
    /// How long ago the time was stamped.
    pub stamped_minutes_ago: i64,
    /// When the signer says that it signed, relative to now.
    pub says_signed_minutes_ago: Option<i64>,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            form: "bundle".into(),
            key: None,
            identity: IDENTITY.into(),
            issuer: ISSUER.into(),
            claims: BTreeMap::new(),
            predicate_type: SIGNED_PREDICATE.into(),
            predicate: json!({}),
            payload_type: IN_TOTO.into(),
            log: 1,
            envelope_entered: false,
            hash_entered: false,
            stamped: false,
            certified_minutes_ago: 5,
            logged_minutes_ago: 4,
            stamped_minutes_ago: 4,
            says_signed_minutes_ago: None,
            faults: Vec::new(),
        }
    }
}

/// One part made wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The certificate is by an authority that nobody trusts, entered in the right log.
    UnknownAuthority,
    /// The certificate signs itself.
    SelfSignedCertificate,
    /// The certificate is not for signing code.
    NoCodeSigning,
    /// The certificate was entered in a log that nobody trusts.
    UnknownCertificateLog,
    /// The certificate has no timestamp of a certificate log.
    NoCertificateTimestamp,
    /// The certificate's timestamp is over something else.
    ForgedCertificateTimestamp,
    /// The certificate is another one of the same identity.
    OtherCertificate,
    /// The log's key is not the one that is trusted, its name and identifier are.
    ForgedLog,
    /// The log is one that nobody trusts.
    UnknownLog,
    /// The entry's log identifier is that of another trusted log.
    OtherLogId,
    /// The proof's path is not the entry's.
    ForgedProof,
    /// The proof's path is missing.
    EmptyProof,
    /// The root in the proof is not the one in the checkpoint.
    OtherRoot,
    /// The checkpoint's signature is over something else.
    ForgedCheckpoint,
    /// Only the witness signs the checkpoint.
    WitnessOnly,
    /// The checkpoint has no signature at all.
    UnsignedCheckpoint,
    /// The promise's signature is over something else.
    ForgedPromise,
    /// There is no promise.
    NoPromise,
    /// There is no proof.
    NoProof,
    /// There is neither.
    NoEvidence,
    /// The index in the entry is not that of the proof.
    OtherIndex,
    /// The entry is an honest one of another signature.
    OtherEntry,
    /// The entry is about the envelope of another payload.
    OtherPayloadEntered,
    /// The entry is about another signature of the same envelope.
    OtherSignatureEntered,
    /// The entry does not name the envelope, only its payload.
    NoEnvelopeEntered,
    /// The envelope is spelt otherwise than it was entered, and means the same.
    RespeltEnvelope,
    /// The entry names another key or certificate than the bundle's.
    OtherVerifierEntered,
    /// The entry names a key where the bundle brings a certificate.
    KeyEntered,
    /// The entry has a second signature beside the right one.
    ExtraSignatureEntered,
    /// The entry calls the key one of another kind.
    OtherKeyDetails,
    /// The entry has a field that nobody knows.
    UnknownFieldEntered,
    /// The bundle calls an entry of a hash one of an envelope.
    OtherKindThanEntered,
    /// The log of the second generation is said to tell the time.
    TimeAdded,
    /// The entry comes with a promise that its generation does not make.
    PromiseAdded,
    /// A second entry without any evidence is beside the good one.
    ExtraBareEntry,
    /// The time in the entry was changed after the promise.
    ChangedTime,
    /// The stamp is over another signature.
    OtherStamp,
    /// The stamp is by an authority that nobody trusts.
    UnknownStamper,
    /// The stamp is no stamp.
    BrokenStamp,
    /// The signature is by another key than the certificate's.
    OtherKey,
    /// One bit of the signature is wrong.
    BrokenSignature,
    /// The payload was changed after it was signed.
    ChangedPayload,
    /// There is no signature.
    NoSignature,
    /// The certificate is left out, so that it looks like a signature by key.
    NoCertificate,
    /// The statement has the right digest only among its predicate.
    DigestInPredicate,
    /// The bundle's media type is not known.
    UnknownMediaType,
    /// The bundle is cut off.
    Truncated,
    /// The bundle is larger than the limit.
    Huge,
    /// The entry is there forty times.
    ManyEntries,
    /// The stamp is there forty times.
    ManyStamps,
    /// The payload says that it is something else than an image's signature.
    OtherPayloadKind,
}

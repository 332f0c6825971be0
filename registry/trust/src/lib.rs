//! Who may sign what, and proof that they did: policy, key and keyless verification, signing.
//!
//! The only crate that constructs [`Verified`]; nothing can be staged without one. Discovery of
//! signatures in a registry goes through `eyas-oci`.
#![forbid(unsafe_code)]

mod certificate;
mod discovery;
mod entry;
mod error;
mod evidence;
mod examine;
mod explain;
mod fingerprint;
mod key;
mod keyless;
mod policy;
mod reentry;
mod refresh;
mod roots;
pub mod sign;
pub mod single;
mod statement;
mod suggest;
mod threshold;
mod verified;
mod verifier;
#[cfg(test)]
mod verifier_tests;

pub use certificate::{CertificateIdentity, MAX_CERTIFICATE_BYTES, certificate_identity};
pub use discovery::{MAX_EVIDENCE_BYTES, classic_tag};
pub use error::{PolicyError, Refusal, TrustError};
pub use evidence::{Candidate, Content, MAX_BUNDLE_BYTES, MAX_CANDIDATES};
pub use explain::{Attempt, Check, Explanation, Step};
pub use key::{COMMAND_PATIENCE, CommandKey, MAX_KEY_BYTES, PublicKey, SigningKey};
pub use policy::{
    ACCEPT_UNSIGNED, CosignSection, IndexRule, Judgement, KeySource, MAX_PATTERN_BYTES,
    MAX_POLICY_BYTES, Matcher, Pattern, Policy, Recheck, Rule, SystemKeys,
};
pub use refresh::{KeptRoot, RootKeeper, RootRepository};
pub use roots::{MAX_ROOT_BYTES, RootSource, Roots};
pub use sign::{Form, IdentityToken, Services, Signer, Stored, attest, sign, sign_document};
pub use statement::{
    MAX_PAYLOAD_BYTES, RULE_TESTS_PREDICATE, SIGNED_AT, SIGNED_PREDICATE, predicate_type,
};
pub use suggest::{Addition, add_rule};
pub use verified::{Decision, Verified};
pub use verifier::{Evidence, MAX_CLOCK_SKEW_SECONDS, UNSIGNED, Verifier};

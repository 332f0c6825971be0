//! What can go wrong between a policy file and a decision, and what to do about it.
//!
//! One enum for the crate. A refusal is not a failure of the program: it carries the attempts made
//! and the policy lines that would have accepted what was found, so that the person who reads it
//! can decide instead of guess.

use eyas_artifact::Digest;

use eyas_oci::OciError;

use crate::explain::{Attempt, Check};

/// How many failed candidates a refusal spells out; the rest is in [`Refusal::attempts`].
const SHOWN_ATTEMPTS: usize = 8;

/// Errors of policy, keys, trusted roots, verification and signing.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The policy file cannot be used.
    #[error(transparent)]
    Policy(#[from] Box<PolicyError>),
    /// A public or private key cannot be used; `origin` says where it came from.
    #[error("key from `{origin}`: {reason}")]
    Key {
        /// File, variable or label the key came from.
        origin: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// A private key is encrypted and the password is missing or wrong.
    #[error("key from `{origin}` is encrypted and {reason}")]
    Password {
        /// File, variable or label the key came from.
        origin: String,
        /// Whether the password was missing or did not open the key.
        reason: &'static str,
    },
    /// A trusted root document cannot be used.
    #[error("trusted root `{name}`: {reason}")]
    Root {
        /// Name of the root in the policy, or its file.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A referrer, signature or payload could not be fetched or pushed.
    #[error(transparent)]
    Registry(#[from] OciError),
    /// No rule of the policy matches the reference that was asked for.
    #[error("no rule of {policy} matches `{repository}`, and what no rule matches is refused")]
    NoRule {
        /// Where the policy came from.
        policy: String,
        /// `registry/repository` that was asked for.
        repository: String,
        /// Policy lines that would accept what was found.
        suggestion: String,
    },
    /// A rule matches and asks for signatures, and there are none.
    #[error("`{repository}@{digest}` has no signature, and the rule at {rule} asks for one")]
    Unsigned {
        /// `registry/repository` that was asked for.
        repository: String,
        /// Digest that was resolved.
        digest: Digest,
        /// Rule that decided, as `file:line`.
        rule: String,
        /// Policy lines that would accept it all the same.
        suggestion: String,
    },
    /// Signatures were found and none, or not enough, satisfy the rule.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// More signatures are attached than will be looked at.
    #[error(
        "`{repository}` carries at least {found} candidate signatures for one digest, none of the first {limit} is enough"
    )]
    TooManyCandidates {
        /// `registry/repository` that was asked for.
        repository: String,
        /// How many were listed; a registry client stops counting at a limit of its own.
        found: usize,
        /// [`crate::MAX_CANDIDATES`].
        limit: usize,
    },
    /// The digest is on the policy's list of revoked digests.
    #[error("`{repository}@{digest}` is revoked by {policy}{}", because(reason.as_deref()))]
    Revoked {
        /// `registry/repository` that was asked for.
        repository: String,
        /// The revoked digest.
        digest: Digest,
        /// Where the policy came from.
        policy: String,
        /// Why, when the policy says so.
        reason: Option<String>,
    },
    /// The rule lists the digests it accepts, and this is not one of them.
    #[error("`{repository}@{digest}` is not among the digests that the rule at {rule} lists")]
    NotListed {
        /// `registry/repository` that was asked for.
        repository: String,
        /// Digest that was resolved.
        digest: Digest,
        /// Rule that decided, as `file:line`.
        rule: String,
    },
    /// Only something that names a digest can be signed.
    #[error("`{reference}` has no digest, expected `registry/repository@sha256:…`")]
    NotPinned {
        /// The reference as given.
        reference: String,
    },
    /// A service of signing did not do what it was asked for.
    #[error("{service} `{url}`: {reason}")]
    Service {
        /// Which service.
        service: &'static str,
        /// Its address.
        url: String,
        /// What it did instead.
        reason: String,
    },
    /// An identity token cannot be used; it is not shown.
    #[error("identity token from `{origin}`: {reason}")]
    Token {
        /// File, variable or service the token came from.
        origin: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// What was just signed does not hold against the trusted root, and was not stored.
    #[error("the new signature is not stored: {check}")]
    NotSound {
        /// The check that failed.
        check: Check,
    },
    /// The classic form cannot hold what the signer makes.
    #[error("the classic form cannot hold an entry of a second-generation transparency log")]
    NotClassic,
    /// A document that is about to be signed or pushed could not be built.
    #[error("cannot build the {what}: {reason}")]
    Build {
        /// Which document.
        what: &'static str,
        /// Why not.
        reason: String,
    },
}

fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

impl TrustError {
    /// What the user can do about it, when that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Policy(error) => error.hint.clone(),
            Self::Registry(error) => error.hint(),
            Self::NoRule { suggestion, .. } | Self::Unsigned { suggestion, .. } => {
                Some(format!("these lines in the policy would accept it:\n{suggestion}"))
            }
            Self::Refused(refusal) => refusal.suggestion.as_ref().map(|lines| {
                format!("these lines in the policy would accept what was found:\n{lines}")
            }),
            Self::Password { .. } => {
                Some("set the password in the environment variable COSIGN_PASSWORD".into())
            }
            Self::Token { .. } => Some(
                "give a token or its file with `--identity-token`, or set SIGSTORE_ID_TOKEN".into(),
            ),
            Self::NotSound { .. } => Some(
                "the services and the trusted root do not belong together, or a service misbehaves"
                    .into(),
            ),
            Self::NotClassic => {
                Some("use the bundle form, or a log of the first generation".into())
            }
            Self::NotPinned { .. } => {
                Some("sign the digest that the push printed, tags can move".into())
            }
            Self::TooManyCandidates { .. } => Some(
                "remove stale referrers, or install from a mirror that holds only yours".into(),
            ),
            _ => None,
        }
    }
}

/// Signatures were found and do not satisfy the rule.
#[derive(Debug)]
pub struct Refusal {
    /// `registry/repository` that was asked for.
    pub repository: String,
    /// Digest that was resolved.
    pub digest: Digest,
    /// Rule that decided, as `file:line`.
    pub rule: String,
    /// How many different signers the rule asks for.
    pub threshold: usize,
    /// How many were found.
    pub satisfied: usize,
    /// Every candidate that was tried, and why it did not count.
    pub attempts: Vec<Attempt>,
    /// Requirements that failed after the signatures themselves were good.
    pub unmet: Vec<String>,
    /// Policy lines that would accept what was found, when anything can be named.
    pub suggestion: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}@{}` is refused by the rule at {}: ",
            self.repository, self.digest, self.rule
        )?;
        if self.satisfied < self.threshold {
            write!(f, "{} of {} accepted signers found", self.satisfied, self.threshold)?;
        } else {
            f.write_str("its signatures are good but not sufficient")?;
        }
        for unmet in &self.unmet {
            write!(f, "\n  {unmet}")?;
        }
        let failed = || self.attempts.iter().filter(|attempt| !attempt.accepted());
        for attempt in failed().take(SHOWN_ATTEMPTS) {
            write!(f, "\n  {attempt}")?;
        }
        match failed().count().saturating_sub(SHOWN_ATTEMPTS) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// A policy file that cannot be used, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct PolicyError {
    /// File name as given.
    pub file: String,
    /// Line, from 1; 0 when the problem is not at a place.
    pub line: u64,
    /// Column, from 1; 0 when the problem is not at a place.
    pub column: u64,
    /// What was found and what was expected.
    pub message: String,
    /// What to write instead, when that is known.
    pub hint: Option<String>,
}

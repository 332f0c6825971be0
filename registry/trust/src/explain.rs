//! The record of a verification: each candidate, each check, and where it ended.
//!
//! Owned by the decision and kept after it, for `--explain`, for refusals and for the audit trail.
//! The words here are what a person reads; the JSON form has the same content.

use eyas_artifact::{Digest, SignerRecord};
use serde::Serialize;

/// Stages that a signature passes, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The document can be read at all.
    Format,
    /// It is about the digest that would be installed.
    Binding,
    /// It says "signed", or makes the statement that is asked for.
    Predicate,
    /// The signature fits the content and the key.
    Signature,
    /// The certificate chains to a trusted root and was valid.
    Certificate,
    /// The entry in the transparency log is genuine and about this signature.
    TransparencyLog,
    /// The time of signing is proven.
    Timestamp,
    /// The signer is one that the rule accepts.
    Identity,
    /// Neither signer nor digest is revoked.
    Revocation,
    /// The signature is young enough.
    Age,
    /// The statement's content is what the rule wants.
    Condition,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Format => "format",
            Self::Binding => "binding",
            Self::Predicate => "predicate",
            Self::Signature => "signature",
            Self::Certificate => "certificate",
            Self::TransparencyLog => "transparency log",
            Self::Timestamp => "timestamp",
            Self::Identity => "identity",
            Self::Revocation => "revocation",
            Self::Age => "age",
            Self::Condition => "condition",
        })
    }
}

/// One check that passed or failed, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The stage.
    pub step: Step,
    /// What was compared with what.
    pub detail: String,
}

impl Check {
    pub(crate) fn new(step: Step, detail: impl Into<String>) -> Self {
        Self { step, detail: detail.into() }
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.step, self.detail)
    }
}

/// One candidate signature and how far it got.
#[derive(Debug, Clone, Serialize)]
pub struct Attempt {
    /// Where the candidate was found.
    pub candidate: String,
    /// Checks that it passed, in order.
    pub passed: Vec<Check>,
    /// The check at which it ended, unless it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Check>,
    /// Who signed, when that is proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<SignerRecord>,
}

impl Attempt {
    /// Whether the candidate counts.
    pub fn accepted(&self) -> bool {
        self.failed.is_none()
    }
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.failed {
            Some(check) => write!(f, "{}: failed at {check}", self.candidate),
            None => write!(f, "{}: accepted", self.candidate),
        }
    }
}

/// What a decision rests on; kept with [`crate::Verified`].
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// `registry/repository` that was asked for.
    pub repository: String,
    /// Digest that was resolved and that every claim was compared with.
    pub digest: Digest,
    /// Policy that was applied.
    pub policy: String,
    /// Rule that decided, as `file:line`.
    pub rule: String,
    /// Pattern of that rule.
    pub pattern: String,
    /// Whom the rule accepts.
    pub wanted: Vec<String>,
    /// Every candidate that was looked at.
    pub attempts: Vec<Attempt>,
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}@{}", self.repository, self.digest)?;
        writeln!(f, "  rule {} for `{}`", self.rule, self.pattern)?;
        for line in &self.wanted {
            writeln!(f, "  wanted: {line}")?;
        }
        for attempt in &self.attempts {
            writeln!(f, "  {}", attempt.candidate)?;
            for check in &attempt.passed {
                writeln!(f, "    passed  {check}")?;
            }
            if let Some(check) = &attempt.failed {
                writeln!(f, "    failed  {check}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_json_say_the_same() {
        let explanation = Explanation {
            repository: "r.example/x".into(),
            digest: Digest::sha256(b"x"),
            policy: "trust.yaml".into(),
            rule: "trust.yaml:3".into(),
            pattern: "r.example/**".into(),
            wanted: vec!["1 of 1".into()],
            attempts: vec![Attempt {
                candidate: "tag `sha256-x.sig`".into(),
                passed: vec![Check::new(Step::Binding, "names the digest")],
                failed: Some(Check::new(Step::TransparencyLog, "unknown log")),
                signer: None,
            }],
        };
        let words = explanation.to_string();
        assert!(words.contains("passed  binding: names the digest"), "{words}");
        assert!(words.contains("failed  transparency log: unknown log"), "{words}");
        let json = serde_json::to_value(&explanation).unwrap();
        assert_eq!(json["attempts"][0]["failed"]["step"], "transparency-log");
        assert_eq!(json["digest"], Digest::sha256(b"x").to_string());
        let line = explanation.attempts[0].to_string();
        assert_eq!(line, "tag `sha256-x.sig`: failed at transparency log: unknown log");
        assert!(!explanation.attempts[0].accepted());
    }
}

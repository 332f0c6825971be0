//! The policy: for which references whose signatures are wanted.
//!
//! Owns the compiled form of `trust.yaml` and the choice of the rule. Rules are tried in the order
//! of the file and the first whose pattern matches the reference that was *asked for* decides;
//! nothing that an artifact says of itself is looked at here. What no rule matches is refused.

mod build;
mod document;
mod matcher;
mod pattern;
mod recheck;
mod revocations;
mod section;
mod source;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use eyas_artifact::{Digest, Reference, Version};

pub use matcher::Matcher;
pub use pattern::{MAX_PATTERN_BYTES, Pattern};
pub use recheck::{Judgement, Recheck};
pub use section::CosignSection;
pub use source::{KeySource, SystemKeys};

use crate::key::PublicKey;
use crate::roots::RootSource;

/// Largest policy file that is read.
pub const MAX_POLICY_BYTES: usize = 1024 * 1024;
/// The one sentence that turns verification off for a pattern.
pub const ACCEPT_UNSIGNED: &str = "accept unsigned";

/// The word that wants rules to come with cases.
pub(crate) const CASES_REQUIRED: &str = "required";

/// A compiled policy.
#[derive(Debug, Clone)]
pub struct Policy {
    origin: String,
    roots: Vec<RootSource>,
    revoked: Revoked,
    rules: Vec<Rule>,
    indexes: Vec<IndexRule>,
}

/// What is required of one index file.
#[derive(Debug, Clone)]
pub struct IndexRule {
    /// Address or name of the index, compared as a whole.
    pub(crate) index: String,
    /// Whose signatures count; its pattern is of no use here.
    pub(crate) rule: Rule,
    /// Whether the signature sections of its entries count where no rule matches.
    pub(crate) honoured: bool,
}

impl IndexRule {
    /// Address or name of the index.
    pub fn index(&self) -> &str {
        &self.index
    }

    /// What is required of it.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Whether what its entries say of signatures counts where no rule matches.
    pub fn signatures_are_honoured(&self) -> bool {
        self.honoured
    }
}

/// What is refused whatever a rule says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Revoked {
    pub(crate) digests: BTreeMap<Digest, Option<String>>,
    pub(crate) keys: BTreeMap<Digest, Option<String>>,
    pub(crate) identities: BTreeMap<String, Option<String>>,
}

/// What is required of the references that one pattern matches.
#[derive(Debug, Clone)]
pub struct Rule {
    pub(crate) pattern: Pattern,
    /// `file:line`, for messages.
    pub(crate) place: String,
    pub(crate) basis: Basis,
    pub(crate) digests: Option<BTreeSet<Digest>>,
    pub(crate) maximum_age_seconds: Option<i64>,
    pub(crate) minimum_version: Option<Version>,
    pub(crate) needs_cases: bool,
    pub(crate) attestations: Vec<Attestation>,
}

/// What makes an artifact acceptable.
#[derive(Debug, Clone)]
pub(crate) enum Basis {
    /// At least `threshold` different signers, each by another of these authorities.
    Signed { accept: Vec<Authority>, threshold: usize },
    /// Its digest is on the rule's list.
    Listed,
    /// Anything: the policy says so in words.
    Unsigned,
}

/// Someone whose signature counts.
#[derive(Debug, Clone)]
pub(crate) enum Authority {
    Key { key: PublicKey, origin: String, log: LogNeed },
    Keyless(Keyless),
}

/// Whether a signature by key has to be in a transparency log as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogNeed {
    Required,
    NotRequired,
}

/// A certificate identity whose signature counts.
#[derive(Debug, Clone)]
pub(crate) struct Keyless {
    pub(crate) issuer: Matcher,
    pub(crate) identity: Matcher,
    /// Name of the one trusted root that may certify it; any of the policy's when the file names none.
    pub(crate) root: Option<String>,
    pub(crate) claims: Vec<(crate::keyless::Claim, Matcher)>,
}

/// A statement that must be attached and signed besides the signature itself.
#[derive(Debug, Clone)]
pub(crate) struct Attestation {
    pub(crate) predicate_type: String,
    /// Whose statements count; the rule's own authorities when the file names none.
    pub(crate) accept: Vec<Authority>,
    pub(crate) conditions: Vec<Condition>,
}

/// One comparison in a predicate.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    /// JSON pointer into the predicate.
    pub(crate) path: String,
    pub(crate) matcher: Matcher,
}

impl Policy {
    /// The policy that accepts nothing: what an absent file means.
    pub fn refuse_all() -> Self {
        Self::with_rules("the built-in policy", Vec::new())
    }

    /// The policy that accepts everything, for callers that were told so in words.
    pub fn allow_unsigned() -> Self {
        let mut rule = Rule::new(Pattern::everything(), "the built-in policy", Basis::Unsigned);
        rule.place = "the request to accept unsigned artifacts".into();
        Self::with_rules("the request to accept unsigned artifacts", vec![rule])
    }

    fn with_rules(origin: &str, rules: Vec<Rule>) -> Self {
        Self {
            origin: origin.to_owned(),
            roots: vec![RootSource::PublicGood],
            revoked: Revoked::default(),
            rules,
            indexes: Vec::new(),
        }
    }

    /// Where the policy came from, for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The trusted roots that keyless signatures may chain to.
    pub fn roots(&self) -> &[RootSource] {
        &self.roots
    }

    /// Uses a newer copy of a root that the policy trusts already: of the public one under the name
    /// `public-good`, of a file under its name without folder and ending. A root that the policy
    /// does not name stays untrusted.
    #[must_use]
    pub fn with_root(mut self, root: &RootSource) -> Self {
        for known in &mut self.roots {
            if known.stem() == root.stem() {
                *known = root.clone();
            }
        }
        self
    }

    /// Rules in the order in which they are tried.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Rules about index files.
    pub fn indexes(&self) -> &[IndexRule] {
        &self.indexes
    }

    /// The rule for an index, by its address or, where no rule has that, its name.
    pub fn rule_for_index(&self, address: &str, name: &str) -> Option<&IndexRule> {
        let find = |text: &str| self.indexes.iter().find(|rule| rule.index == text);
        find(address).or_else(|| find(name))
    }

    pub(crate) fn revoked(&self) -> &Revoked {
        &self.revoked
    }

    /// The rule for a reference as it was asked for.
    pub fn rule_for(&self, asked: &Reference) -> Option<&Rule> {
        let locator = asked.locator();
        self.rules.iter().find(|rule| rule.pattern.matches(&locator))
    }

    /// Puts a rule in front of all others.
    pub(crate) fn push_front(&mut self, rule: Rule) {
        self.rules.insert(0, rule);
    }
}

impl Rule {
    pub(crate) fn new(pattern: Pattern, place: &str, basis: Basis) -> Self {
        Self {
            pattern,
            place: place.to_owned(),
            basis,
            digests: None,
            maximum_age_seconds: None,
            minimum_version: None,
            needs_cases: false,
            attestations: Vec::new(),
        }
    }

    /// The pattern of references that the rule is about.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// `file:line`.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Lowest version that may be installed; enforced by whoever reads the artifact's version.
    pub fn minimum_version(&self) -> Option<&Version> {
        self.minimum_version.as_ref()
    }

    /// Whether rules have to come with cases that hold; enforced by whoever can run them.
    pub fn requires_rule_cases(&self) -> bool {
        self.needs_cases
    }

    /// Whether the rule accepts artifacts without any signature.
    pub fn accepts_unsigned(&self) -> bool {
        matches!(self.basis, Basis::Unsigned)
    }

    /// Who is accepted, one line each, for listings.
    pub fn describe(&self) -> Vec<String> {
        match &self.basis {
            Basis::Unsigned => vec!["insecure: accept unsigned".into()],
            Basis::Listed => vec!["the digests listed in the rule".into()],
            Basis::Signed { accept, threshold } => {
                let mut lines = vec![format!("{threshold} of {}", accept.len())];
                lines.extend(accept.iter().map(ToString::to_string));
                lines
            }
        }
    }
}

impl std::fmt::Display for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key { key, origin, log } => {
                write!(f, "{key} from `{origin}`")?;
                if *log == LogNeed::Required {
                    f.write_str(", entered in a transparency log")?;
                }
                Ok(())
            }
            Self::Keyless(keyless) => {
                write!(f, "identity {} issued by {}", keyless.identity, keyless.issuer)?;
                if let Some(root) = &keyless.root {
                    write!(f, ", certified by `{root}`")?;
                }
                for (claim, matcher) in &keyless.claims {
                    write!(f, ", {claim} {matcher}")?;
                }
                Ok(())
            }
        }
    }
}

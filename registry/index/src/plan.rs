//! From what is wanted and what is installed to what will change, and why.
//!
//! Owns the rules against silent downgrades and against taking another artifact's name: what an artifact
//! calls itself is its signer's word, and a signer who is trusted for one repository must not replace
//! what came from another. Pure and deterministic: the same candidates in any
//! order give the same plan.

use std::fmt;

use eyas_artifact::{Digest, Entry, Generation, Kind, Locked, Reference, Version};

use crate::error::{IndexError, Refusal, RefusalReason};

/// An artifact that was found in a registry and verified, and might be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Kind, from its layer.
    pub kind: Kind,
    /// Name, from its configuration.
    pub name: String,
    /// Version, from its configuration.
    pub version: Version,
    /// The reference as asked, tag included.
    pub reference: Reference,
    /// Digest of what the tag pointed at.
    pub root_digest: Digest,
    /// Digest of the manifest for this platform.
    pub manifest_digest: Digest,
    /// Verified signing time, RFC 3339.
    pub signed_at: Option<String>,
    /// Why it is a candidate.
    pub cause: Cause,
}

impl Candidate {
    /// The candidate as a lock file has it.
    pub fn into_locked(self) -> Locked {
        let Self { kind, name, version, reference, root_digest: digest, .. } = self;
        Locked { kind, name, version, reference, digest }
    }
}

/// Why an artifact is wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Somebody asked for it.
    Requested,
    /// A followed tag was checked.
    Followed,
    /// Another artifact depends on it.
    DependencyOf(String),
    /// What is installed does not go together with a change of this artifact.
    FitsWith(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("requested"),
            Self::Followed => f.write_str("followed"),
            Self::DependencyOf(name) => write!(f, "needed by `{name}`"),
            Self::FitsWith(name) => write!(f, "to go with `{name}`"),
        }
    }
}

/// What may be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// Whether an older version or an older signature is acceptable.
    pub allow_downgrade: bool,
    /// Whether an artifact may take the place of one of the same name from another repository.
    pub allow_other_repository: bool,
    /// Whether what is already installed is installed again.
    pub reinstall: bool,
}

/// What will change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// One step per artifact, sorted by kind and name.
    pub steps: Vec<Step>,
    /// Things a user should know that do not stop the plan.
    pub notes: Vec<String>,
}

/// What happens to one artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// With which artifact.
    pub candidate: Candidate,
    /// Version that is installed now.
    pub installed: Option<Version>,
    /// The reason, for people and for the lock file.
    pub why: Why,
}

/// What is done with an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Nothing of that name is installed.
    Install,
    /// A higher version replaces the installed one.
    Upgrade,
    /// A lower version or older signature replaces the installed one, as was allowed.
    Downgrade,
    /// The same version with other content, or installed again on request.
    Replace,
    /// It is installed already.
    Keep,
}

impl Action {
    /// Whether anything is fetched and activated.
    pub fn changes(self) -> bool {
        self != Self::Keep
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
            Self::Replace => "replace",
            Self::Keep => "keep",
        })
    }
}

/// Why a step is what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// Why the artifact is wanted.
    pub cause: Cause,
    /// What was compared.
    pub detail: String,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause, self.detail)
    }
}

impl Plan {
    /// Compares candidates, one for each kind and name as [`crate::solve()`] chose them, with what is
    /// installed.
    ///
    /// Fails when any would be a downgrade that the options do not allow; nothing should be done
    /// then.
    pub fn compute(
        mut candidates: Vec<Candidate>,
        installed: Option<&Generation>,
        options: PlanOptions,
    ) -> Result<Self, IndexError> {
        let mut plan = Self::default();
        let mut refusals = Vec::new();
        // A total order makes the plan independent of the order of the requests.
        candidates.sort_by(|a, b| order(a).cmp(&order(b)));
        for candidate in candidates {
            let current = installed.and_then(|active| active.find(candidate.kind, &candidate.name));
            match step(candidate, current, options) {
                Ok(step) => plan.steps.push(step),
                Err(refusal) => refusals.push(*refusal),
            }
        }
        if refusals.is_empty() { Ok(plan) } else { Err(IndexError::Refused { refusals }) }
    }

    /// Whether nothing has to be fetched or activated.
    pub fn is_empty(&self) -> bool {
        self.changes().next().is_none()
    }

    /// The steps that change something.
    pub fn changes(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.action.changes())
    }
}

fn order(candidate: &Candidate) -> impl Ord + '_ {
    let Candidate { kind, name, version, manifest_digest, cause, reference, .. } = candidate;
    (kind, name, version, manifest_digest, cause, reference)
}

fn step(
    candidate: Candidate,
    installed: Option<&Entry>,
    options: PlanOptions,
) -> Result<Step, Box<Refusal>> {
    let Some(current) = installed else {
        let detail = format!("version `{}` is not installed", candidate.version);
        return Ok(make(Action::Install, candidate, None, detail));
    };
    let version = Some(current.version.clone());
    if candidate.manifest_digest == current.manifest_digest {
        let (action, detail) = if options.reinstall {
            (Action::Replace, format!("version `{}` is installed again", current.version))
        } else {
            (Action::Keep, format!("version `{}` is installed already", current.version))
        };
        return Ok(make(action, candidate, version, detail));
    }
    let refusal = |reason| Refusal {
        kind: candidate.kind,
        name: candidate.name.clone(),
        installed: current.version.clone(),
        found: candidate.version.clone(),
        reason,
    };
    if let Some(reason) = elsewhere(&candidate, current)
        && !options.allow_other_repository
    {
        return Err(Box::new(refusal(reason)));
    }
    if let Some(reason) = older(&candidate, current) {
        let refusal = refusal(reason);
        if !options.allow_downgrade {
            return Err(Box::new(refusal));
        }
        let detail = format!("{refusal}; allowed");
        return Ok(make(Action::Downgrade, candidate, version, detail));
    }
    let (action, detail) = if candidate.version > current.version {
        (Action::Upgrade, format!("`{}` is higher than `{}`", candidate.version, current.version))
    } else {
        let detail = format!("version `{}` has new content", candidate.version);
        (Action::Replace, detail)
    };
    Ok(make(action, candidate, version, detail))
}

fn make(action: Action, candidate: Candidate, installed: Option<Version>, detail: String) -> Step {
    let why = Why { cause: candidate.cause.clone(), detail };
    Step { action, candidate, installed, why }
}

/// Whether a candidate is from another repository than what is installed.
fn elsewhere(candidate: &Candidate, current: &Entry) -> Option<RefusalReason> {
    let found = candidate.reference.locator();
    let installed = current.reference.parse::<Reference>().map(|from| from.locator());
    let installed = installed.unwrap_or_else(|_| current.reference.clone());
    (found != installed).then_some(RefusalReason::OtherRepository { installed, found })
}

/// In which way a candidate is older than what is installed. Versions are compared in any case. Of two
/// contents of one version the time decides, so one without a time is not taken for the newer one.
fn older(candidate: &Candidate, current: &Entry) -> Option<RefusalReason> {
    if candidate.version < current.version {
        return Some(RefusalReason::LowerVersion);
    }
    let parsed = |text: Option<&str>| text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let installed = current.signed_at.as_deref();
    let before = parsed(installed)?;
    let installed = installed.unwrap_or_default().to_owned();
    match parsed(candidate.signed_at.as_deref()) {
        Some(after) if after < before => {
            let found = candidate.signed_at.clone().unwrap_or_default();
            Some(RefusalReason::OlderSignature { installed, found })
        }
        None if candidate.version == current.version => {
            Some(RefusalReason::UnknownTime { installed })
        }
        _ => None,
    }
}

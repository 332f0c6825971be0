//! Why there is no solution, in words.
//!
//! Each clash is a fact that holds by itself: a version, what it needs, and what there is instead.

use std::fmt;

use eyas_artifact::{Constraint, Version};

use crate::Unmet;
use crate::error::{Refusal, hint_for};

/// Most clashes that are told; the first ones are about what was asked for.
const MAX_TOLD: usize = 6;
/// Most versions that are listed in a sentence.
const MAX_VERSIONS: usize = 5;

/// Why requests cannot be met together. At least one clash, or a search that was given up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conflict {
    /// What stands against it, in the order in which it was met.
    pub clashes: Vec<Clash>,
    /// Choices that were tried before the search was given up; it may have a solution then.
    pub gave_up: Option<usize>,
    /// What would fit instead, when somebody found out.
    pub instead: Option<String>,
}

/// One reason why a version cannot be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Clash {
    /// The sensor does not offer what it requires.
    Requirement {
        /// Name of the artifact.
        name: String,
        /// Its version.
        version: Version,
        /// What is required and what is offered.
        unmet: Unmet,
    },
    /// What it depends on is there in a version that does not do.
    Dependency {
        /// Who needs it.
        by: String,
        /// In which version.
        by_version: Version,
        /// Whether that one is installed and would stay.
        by_installed: bool,
        /// Name of what is needed.
        name: String,
        /// Which versions will do.
        wanted: Constraint,
        /// The version that is there.
        found: Version,
    },
    /// No version is in all that is asked of it.
    NoVersion {
        /// Name of the artifact.
        name: String,
        /// What is asked, and by whom.
        wanted: Vec<(Constraint, String)>,
        /// The versions there are, newest first.
        available: Vec<Version>,
        /// The installed version, below which nothing is taken.
        installed: Option<Version>,
    },
    /// It cannot be had at all.
    Unavailable {
        /// Name of the artifact.
        name: String,
        /// The version, if one was named.
        version: Option<Version>,
        /// Who wants it.
        by: String,
        /// Why not.
        reason: String,
    },
    /// It is older than what is installed.
    Downgrade(Refusal),
    /// What is installed must not be moved.
    Pinned {
        /// Name of the artifact.
        name: String,
        /// The version it is held at.
        version: Version,
        /// What was wanted instead.
        wanted: String,
    },
    /// One name is asked for as two different things.
    Twice {
        /// Name of the artifact.
        name: String,
        /// One of them.
        one: String,
        /// The other.
        other: String,
    },
    /// More artifacts than one set may have.
    TooMany {
        /// The limit.
        limit: usize,
    },
}

impl Conflict {
    pub(super) fn of(clash: Clash) -> Self {
        Self { clashes: vec![clash], ..Self::default() }
    }

    /// The changes that would bring something older, when nothing else is in the way.
    pub fn refusals(&self) -> Option<Vec<Refusal>> {
        let refusals = self.clashes.iter().map(|clash| match clash {
            Clash::Downgrade(refusal) => Some(refusal.clone()),
            _ => None,
        });
        refusals.collect::<Option<Vec<_>>>().filter(|all| !all.is_empty())
    }

    /// Whether all that is wrong is that something cannot be found.
    pub fn is_absence(&self) -> bool {
        !self.clashes.is_empty()
            && self.clashes.iter().all(|clash| matches!(clash, Clash::Unavailable { .. }))
    }

    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        let any = |found: fn(&Clash) -> bool| self.clashes.iter().any(found);
        if any(|clash| matches!(clash, Clash::Pinned { .. })) {
            return "`eyas artifact unpin NAME` lets it move".to_owned();
        }
        if any(|clash| matches!(clash, Clash::Requirement { .. })) {
            return "update the sensor, or install a version that it can run".to_owned();
        }
        if any(|clash| matches!(clash, Clash::Twice { .. })) {
            return "request only one of them".to_owned();
        }
        if self.is_absence() {
            return "`eyas index update` fetches the indexes again; `--resolve-deps=false` installs \
                    without what is needed"
                .to_owned();
        }
        let refusals = self.clashes.iter().filter_map(|clash| match clash {
            Clash::Downgrade(refusal) => Some(refusal),
            _ => None,
        });
        let hint = hint_for(refusals);
        if !hint.is_empty() {
            return hint;
        }
        "ask for a wider range, or install what stands in the way in another version first"
            .to_owned()
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.clashes.len().min(MAX_TOLD);
        let mut texts: Vec<String> = self.clashes[..shown].iter().map(Clash::to_string).collect();
        if self.clashes.len() > shown {
            texts.push(format!("and {} more reasons of this kind", self.clashes.len() - shown));
        }
        if let Some(tries) = self.gave_up {
            texts.push(format!(
                "no solution was found in {tries} tries, and there may be one: ask for narrower \
                 versions"
            ));
        }
        texts.extend(self.instead.clone());
        f.write_str(&texts.join("; "))
    }
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requirement { name, version, unmet } => {
                let Unmet { name: what, required, offered } = unmet;
                write!(f, "`{name}` {version} needs `{what}` {required}, ")?;
                match offered {
                    Some(offered) => write!(f, "the sensor offers {offered}"),
                    None => f.write_str("which the sensor does not offer"),
                }
            }
            Self::Dependency { by, by_version, by_installed, name, wanted, found } => {
                let installed = if *by_installed { "installed " } else { "" };
                write!(
                    f,
                    "{installed}`{by}` {by_version} needs `{name}` {}, and {found} does not do",
                    Words(wanted)
                )
            }
            Self::NoVersion { name, wanted, available, installed } => {
                write!(f, "no version of `{name}` is ")?;
                for (at, (constraint, by)) in wanted.iter().enumerate() {
                    let and = if at > 0 { " and " } else { "" };
                    write!(f, "{and}{} ({by})", Words(constraint))?;
                }
                if let Some(installed) = installed {
                    write!(f, " and not older than the installed {installed}")?;
                }
                f.write_str(": ")?;
                versions(available, f)
            }
            Self::Unavailable { name, version, by, reason } => {
                write!(f, "`{name}`")?;
                if let Some(version) = version {
                    write!(f, " {version}")?;
                }
                write!(f, " ({by}) cannot be had: {reason}")
            }
            Self::Downgrade(refusal) => refusal.fmt(f),
            Self::Pinned { name, version, wanted } => {
                write!(f, "`{name}` is pinned at {version}, and {wanted} is asked for")
            }
            Self::Twice { name, one, other } => {
                write!(f, "`{name}` is wanted as {one} and as {other}")
            }
            Self::TooMany { limit } => {
                write!(f, "more than {limit} artifacts are needed together")
            }
        }
    }
}

/// A constraint as it is read in a sentence.
struct Words<'a>(&'a Constraint);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Constraint::AtLeast(version) => {
                write!(f, "{version} or a later {}.x", version.major())
            }
            Constraint::Range(range) => write!(f, "`{range}`"),
        }
    }
}

fn versions(all: &[Version], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if all.is_empty() {
        return f.write_str("there are none");
    }
    let shown: Vec<String> = all.iter().take(MAX_VERSIONS).map(ToString::to_string).collect();
    let more = if all.len() > shown.len() { " and older ones" } else { "" };
    write!(f, "there are {}{more}", shown.join(", "))
}

//! Which versions to install: requests, what is installed, dependencies with alternatives, what the
//! sensor offers and what is pinned, as one problem.
//!
//! Owns the meaning of "fits" and the order of preference: the newest version of what was asked for,
//! then as little change as possible of what is installed. Pure and deterministic. Facts about
//! registries come from [`Offers`]; one that is not known yet ends the run with a [`Question`], and
//! the caller asks again once it knows, so that only what matters is fetched.

mod conflict;
mod search;

pub use conflict::{Clash, Conflict};

use std::collections::BTreeMap;

use eyas_artifact::{Dependency, Digest, Kind, Requirement, Version, VersionRange};

use crate::Cause;

/// Most artifacts that one solution may have.
pub const MAX_PACKAGES: usize = 256;
/// Most choices that are tried before the search gives up and says so.
pub const MAX_TRIES: usize = 20_000;

/// What is to be solved.
#[derive(Debug, Clone, Default)]
pub struct Problem {
    /// What is asked for.
    pub demands: Vec<Demand>,
    /// What is installed.
    pub installed: Vec<Held>,
    /// Version by name of what the sensor and the machine offer.
    pub offered: BTreeMap<String, String>,
    /// Names that are built into the sensor, in whatever version is asked for.
    pub built_in: Vec<String>,
    /// Whether an older version than the installed one will do.
    pub allow_downgrade: bool,
    /// Whether dependencies count.
    pub dependencies: bool,
}

/// One thing that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Name of the artifact.
    pub name: String,
    /// Which versions of it.
    pub wanted: Wanted,
    /// Why.
    pub cause: Cause,
}

/// Which versions will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// This one: a tag or a digest was given.
    This(Offered),
    /// Any in the range; the newest is best.
    Within(VersionRange),
}

/// A version of an artifact in a registry, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Kind, from its layer.
    pub kind: Kind,
    /// Its version.
    pub version: Version,
    /// Digest of its manifest: the same version may have several contents.
    pub digest: Digest,
    /// Other artifacts that it needs.
    pub dependencies: Vec<Dependency>,
    /// What the sensor must offer.
    pub requirements: Vec<Requirement>,
}

/// An artifact that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its name.
    pub name: String,
    /// What it is.
    pub offered: Offered,
    /// Whether it must not be moved.
    pub pinned: bool,
}

/// A fact about registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known<T> {
    /// It is so.
    Yes(T),
    /// It cannot be had, and why.
    No(String),
    /// Nobody has asked yet.
    NotYet,
}

/// What registries have, as far as it is known.
pub trait Offers {
    /// Versions of an artifact, newest first, each once.
    fn versions(&self, name: &str) -> Known<&[Version]>;

    /// One version of an artifact.
    fn offer(&self, name: &str, version: &Version) -> Known<&Offered>;
}

/// A fact that the search needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Which versions there are of this.
    Versions(String),
    /// What this version is, and why it is looked at.
    Offer(String, Version, Cause),
}

/// How far a run came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is solved.
    Solved(Solution),
    /// A fact is missing.
    Ask(Question),
}

/// What to install.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Solution {
    /// What was asked for and what has to change for it, by name. What is installed and stays
    /// without having been asked for is not listed.
    pub picks: Vec<Pick>,
    /// Things a user should know.
    pub notes: Vec<String>,
}

/// One chosen artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// What is done about it.
    pub choice: Choice,
    /// Why it is wanted.
    pub cause: Cause,
}

/// What is done about an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// What is installed fits.
    Keep,
    /// The manifest of this digest is taken.
    Take(Digest),
}

/// Solves a problem, as far as the facts go.
pub fn solve(problem: &Problem, offers: &dyn Offers) -> Result<Answer, Conflict> {
    search::run(problem, offers)
}

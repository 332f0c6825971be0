//! The sensor as operations see it: something that can be told about a generation.
//!
//! How it is reached is left to the command line, which plugs the control socket in.

use std::collections::BTreeMap;
use std::path::PathBuf;

use eyas_artifact::Digest;

/// A generation that was put in force on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// Its number.
    pub generation: u64,
    /// Digest of its lock file.
    pub lock_digest: Digest,
    /// The state directory it is in.
    pub dir: PathBuf,
}

/// What a running sensor can take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// Version by requirement name, such as `engine_version_semver`.
    pub versions: BTreeMap<String, String>,
    /// Plugins that are built in, in whatever version is asked for.
    pub plugins: Vec<String>,
    /// Nothing is known of what will run the artifacts: requirements are told and not refused.
    pub unknown: bool,
}

/// Whether there is a sensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// One answers.
    Running(Offer),
    /// None is there, with where it was looked for.
    Absent(String),
    /// It is not to be told.
    NotAsked,
}

/// What a sensor says to a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It runs it.
    Accepted(Vec<String>),
    /// It keeps what it had; the lines say why.
    Refused(Vec<String>),
    /// It is not there any more.
    Absent(String),
}

/// What a sensor has in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InForce {
    /// Number of the generation; none when its rules are from elsewhere, or it has none.
    pub generation: Option<u64>,
    /// Digest of that generation's lock file.
    pub lock_digest: Option<Digest>,
}

/// Why a sensor could not be asked although something is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    /// What was found and what was expected.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A sensor.
pub trait Sensor: Send + Sync {
    /// Whether one answers, asked before anything is changed.
    fn presence(&self) -> Result<Presence, Unreachable>;

    /// What it runs; none when nobody answers.
    fn in_force(&self) -> Result<Option<InForce>, Unreachable>;

    /// Tells it to run a generation. It may take as long as compiling the rules does.
    fn reload(&self, activation: &Activation) -> Result<Verdict, Unreachable>;

    /// What requirements are held against when no sensor answers.
    fn default_offer(&self) -> Offer;
}

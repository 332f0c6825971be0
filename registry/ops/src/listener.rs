//! What an operation says while it works.
//!
//! Operations tell; whether and how it is shown is left to the caller. Nothing here decides anything.

use std::fmt;
use std::path::Path;

use eyas_artifact::{Digest, Generation, Reference, SignerRecord, Version};
use eyas_index::{Cause, Plan};
use eyas_store::FlatReport;

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A tag was pinned.
    Pinned {
        /// What was asked for.
        asked: &'a Reference,
        /// What it is.
        digest: Digest,
    },
    /// An artifact satisfies the policy.
    Verified {
        /// Name of the artifact.
        name: &'a str,
        /// Its version.
        version: &'a Version,
        /// Why it is wanted.
        cause: &'a Cause,
        /// Whose signatures counted; empty when none was needed.
        signers: &'a [SignerRecord],
    },
    /// What will change is settled.
    Planned(&'a Plan),
    /// A layer is arriving.
    Transfer {
        /// Name of the artifact.
        name: &'a str,
        /// Bytes that are there.
        done: u64,
        /// Bytes there will be.
        total: u64,
    },
    /// An artifact is complete on disk, and not in force.
    Staged {
        /// Name of the artifact.
        name: &'a str,
        /// Its version.
        version: &'a Version,
        /// Number of files.
        files: usize,
    },
    /// The whole new set was checked.
    Validated,
    /// A generation is in force on disk.
    Activated {
        /// The generation.
        generation: &'a Generation,
        /// The one before.
        previous: Option<u64>,
    },
    /// The sensor runs the generation.
    Confirmed {
        /// Number of the generation.
        generation: u64,
        /// What the sensor says, verdict first.
        lines: &'a [String],
    },
    /// Nothing runs that could be told.
    NoSensor {
        /// Number of the generation.
        generation: u64,
        /// Where it was looked for, and what was found.
        reason: &'a str,
    },
    /// The generation was taken back.
    RolledBack {
        /// The generation that was refused.
        refused: u64,
        /// The generation in force again; none when nothing was installed before.
        restored: Option<u64>,
    },
    /// A plain directory is at the active generation.
    Published {
        /// Where.
        directory: &'a Path,
        /// What was done there.
        report: &'a FlatReport,
    },
    /// Something a person should look at.
    Warning(&'a str),
    /// How something was done.
    Detail(&'a str),
}

/// Is told what happens.
pub trait Listener: Send + Sync {
    /// Takes one event. It is called from the thread that works, so it must not block for long.
    fn tell(&self, event: &Event<'_>);
}

/// A listener that ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Listener for Silent {
    fn tell(&self, _event: &Event<'_>) {}
}

/// A signer in a few words, for listings.
pub struct SignerWords<'a>(pub Option<&'a SignerRecord>);

impl fmt::Display for SignerWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(signer) = self.0 else { return f.write_str("nobody") };
        match (&signer.identity, &signer.key_fingerprint) {
            (Some(identity), _) => write!(f, "{identity}"),
            (None, Some(fingerprint)) => write!(f, "key {fingerprint}"),
            (None, None) => f.write_str(&signer.form),
        }
    }
}

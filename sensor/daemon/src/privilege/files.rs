//! Where files may be written (Landlock, Linux 5.13 and later). Reading is not limited: rules,
//! configuration and the files of container runtimes may lie anywhere.

use std::path::PathBuf;

use landlock::{
    ABI, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, path_beneath_rules,
};

use crate::error::DaemonError;

/// Newest kernel interface whose rights are asked for (Linux 6.10); of older ones, what they have.
const NEWEST: ABI = ABI::V5;

/// Confines this thread and what it starts.
pub(super) fn confine(writable: &[PathBuf]) -> Result<&'static str, DaemonError> {
    let status = restrict(writable).map_err(|error| DaemonError::System {
        doing: "give up writing to files",
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(match status {
        RulesetStatus::NotEnforced => "files: not confined, for this kernel has no landlock",
        _ => "files: written only where outputs write",
    })
}

fn restrict(writable: &[PathBuf]) -> Result<RulesetStatus, RulesetError> {
    let writing = AccessFs::from_write(NEWEST);
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(writing)?
        .create()?
        .set_compatibility(CompatLevel::BestEffort)
        // A folder that is not there cannot be written to either.
        .add_rules(path_beneath_rules(writable, writing))?
        .restrict_self()?;
    Ok(restricted.ruleset)
}

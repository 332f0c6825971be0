//! Rules tried on cases: events as field values, or those of a capture, with the rules that are to match
//! and those that are not to.
//!
//! Owns the form of case files and what a run of them comes to; captures are played by whoever reads them. A case file lies beside the rules
//! it is about and ends in [`EXTENSION`], so that no engine takes it for rules. All rules are tried,
//! also those that are not enabled, and all matches count.
mod played;
mod read;
mod run;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

pub use played::{NoCaptures, Player};
pub use read::read;
pub use run::{Coverage, Failure, Outcome, options, run};

/// What the names of case files end in, behind a dot.
pub const EXTENSION: &str = "cases";

/// One event, or those of a capture, and what is expected of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What it is about.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Its line, from one.
    pub line: u32,
    /// Field texts and values, those given for all cases included.
    pub fields: Map<String, Value>,
    /// The capture whose events are judged instead, as the case names it: beside its file.
    pub capture: Option<String>,
    /// Rules that must match.
    pub matches: Vec<String>,
    /// Of these, how often in a capture; any number where nothing is said.
    pub counts: BTreeMap<String, u64>,
    /// Rules that must not.
    pub misses: Vec<String>,
    /// Texts that the message of the first of `matches` contains.
    pub says: Vec<String>,
}

/// Why a file is no case file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct CaseError {
    /// The file.
    pub file: String,
    /// From one.
    pub line: u32,
    /// From one.
    pub column: u32,
    /// What was found and expected.
    pub message: String,
}

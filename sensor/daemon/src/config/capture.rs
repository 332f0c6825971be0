//! `capture`: recordings that rules with `capture: true` start.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// When events are written to capture files, and how much.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct CaptureFiles {
    /// Whether rules start recordings.
    pub(crate) enabled: bool,
    /// Path of the files up to what tells them apart: time and number.
    pub(crate) path_prefix: PathBuf,
    /// `rules` for those with `capture: true`, `all_rules` for every match.
    pub(crate) mode: String,
    /// How long a recording lasts when its rule does not say, milliseconds.
    pub(crate) default_duration: u64,
    /// How much of what came before is kept for it, milliseconds; 0 for nothing.
    pub(crate) before_duration: u64,
    /// Most bytes of what came before.
    pub(crate) before_bytes: usize,
    /// Most bytes of one file.
    pub(crate) max_bytes: u64,
    /// Most files of one run.
    pub(crate) max_files: u32,
}

impl Default for CaptureFiles {
    fn default() -> Self {
        Self {
            enabled: false,
            path_prefix: "/var/lib/eyas/captures/eyas".into(),
            mode: "rules".into(),
            default_duration: 5000,
            before_duration: 0,
            before_bytes: 8 * 1024 * 1024,
            max_bytes: 256 * 1024 * 1024,
            max_files: 100,
        }
    }
}

//! `capture`: recordings that rules with `capture: true` start, and those that are asked for.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::check::Flaw;

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
    /// Most files of one run, of those that rules start and of those that are asked for each.
    pub(crate) max_files: u32,
    /// Most bytes that wait to be written.
    pub(crate) queue_bytes: usize,
    /// Whether recordings may be asked for over the control socket.
    pub(crate) on_request: bool,
    /// Directories that may be asked for besides that of `path_prefix`.
    pub(crate) directories: Vec<PathBuf>,
    /// Longest time that may be asked for, milliseconds.
    pub(crate) max_duration: u64,
}

impl CaptureFiles {
    /// Whether anything may be recorded at all.
    pub(crate) fn is_wanted(&self) -> bool {
        self.enabled || self.on_request
    }

    /// The first setting that no recording could have.
    pub(super) fn flaw(&self) -> Option<Flaw> {
        if !["rules", "all_rules"].contains(&self.mode.as_str()) {
            let why = format!("is `{}`, expected `rules` or `all_rules`", self.mode);
            return Some(Flaw::new("capture.mode", why));
        }
        let bytes = self.queue_bytes;
        (bytes == 0).then(|| Flaw::new("capture.queue_bytes", "is `0`, expected at least 1"))
    }

    /// Directory of the files that are not asked to be elsewhere.
    pub(crate) fn directory(&self) -> &Path {
        match self.path_prefix.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// All directories that files are written to.
    pub(crate) fn all_directories(&self) -> impl Iterator<Item = &Path> {
        let more = self.directories.iter().filter(|_| self.on_request);
        [self.directory()]
            .into_iter()
            .chain(more.map(PathBuf::as_path))
            .filter(|_| self.is_wanted())
    }
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
            queue_bytes: 16 * 1024 * 1024,
            on_request: true,
            directories: Vec::new(),
            max_duration: 60 * 60 * 1000,
        }
    }
}

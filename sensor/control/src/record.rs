//! Documents about recordings that are asked for: begin one, end it, how far it is.
//!
//! The daemon chooses the name of the file. A directory that a client names is compared with those of the
//! daemon's configuration and opened only if it is one of them.

use serde::{Deserialize, Serialize};

/// Asks for what happens to be written to a capture file from now on. What is left out is the daemon's to
/// choose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Condition that events must fulfil; without one, every event is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Longest time, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Most bytes of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Most events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_events: Option<u64>,
    /// Where to write: one of the directories that the daemon's configuration names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Record what the rules in force ask the kernel for, and ask it for nothing more.
    #[serde(default)]
    pub only_enabled: bool,
}

/// Asks for the recording that is under way to be ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRecording {
    /// Which one; absent means whichever it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
}

/// The recording that was asked for last, if there was one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingReport {
    /// Absent when none was asked for since the daemon started.
    #[serde(default)]
    pub recording: Option<Recording>,
}

/// How far a recording is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// Its number in this run of the daemon.
    pub id: u64,
    /// The file, as the daemon names it.
    pub path: String,
    /// Condition that events must fulfil.
    pub filter: Option<String>,
    /// When it began, RFC 3339 UTC.
    pub started: String,
    /// Longest time, milliseconds.
    pub duration_ms: u64,
    /// Most bytes of the file.
    pub max_bytes: u64,
    /// Most events.
    pub max_events: Option<u64>,
    /// Whether it still runs, and how it ended.
    pub state: RecordingState,
    /// Why it ended, in plain words.
    pub reason: Option<String>,
    /// Events in the file.
    pub events: u64,
    /// Length of the file, bytes.
    pub bytes: u64,
    /// Events that could not be written in time or at all.
    pub events_lost: u64,
    /// Events that the kernel could not hand over meanwhile.
    pub events_lost_in_kernel: u64,
    /// Event types that the kernel is asked for because of it alone.
    pub widened_by: u64,
}

/// Whether a recording runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RecordingState {
    /// It was asked for and is about to begin.
    Starting,
    /// Events are written.
    Running,
    /// It ended as it should: it was stopped, or a limit was reached.
    Done,
    /// It ended because the file could not be written. What is in the file can be read.
    Failed,
    /// A state of a newer daemon.
    #[serde(other)]
    Other,
}

impl RecordingState {
    /// Whether it has not ended yet.
    pub fn is_under_way(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Other => "other",
        }
    }
}

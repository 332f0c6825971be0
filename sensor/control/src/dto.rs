//! The documents on the wire. Field names are the contract: they may be added to, never renamed.
//!
//! Unknown fields are ignored on both sides, so that either end may be the newer one; an unknown
//! request or version is answered with an error that says so.

use std::fmt;

use eyas_artifact::Digest;
use serde::{Deserialize, Serialize};

use crate::record::{Record, Recording, RecordingReport, StopRecording};
use crate::watch::{Figures, Item, LogLevel, Processes, Rules, Select, SetLogLevel, Subscribe};

/// The version of the envelope and of the documents in it.
pub const PROTOCOL_VERSION: u32 = 1;

/// One request as it is framed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestEnvelope<R = Request> {
    /// [`PROTOCOL_VERSION`] of the sender.
    pub version: u32,
    /// Chosen by the client, repeated in the response.
    pub id: u64,
    /// The request itself.
    pub request: R,
}

/// One response as it is framed: exactly one of `ok` and `error` is present.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResponseEnvelope {
    /// [`PROTOCOL_VERSION`] of the sender.
    pub version: u32,
    /// The request's id; 0 when the request could not be read that far.
    pub id: u64,
    /// The answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ok: Option<Reply>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ErrorBody>,
}

/// What a client can ask for. One object with one key, so that every request can grow arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// Who are you, and what can you do.
    Hello {},
    /// What are you running.
    Status {},
    /// Would you take this.
    Validate(Validate),
    /// Take the store's current generation.
    Reload(Reload),
    /// What are your figures.
    Metrics {},
    /// Which rules are in force.
    Rules {},
    /// Switch rules on or off.
    Select(Select),
    /// Who makes most events. Counting begins with the first request and ends when nobody asks.
    Processes {},
    /// How much do you say about yourself.
    LogLevel(SetLogLevel),
    /// Write what happens to a capture file.
    Record(Record),
    /// End the recording that is under way.
    StopRecording(StopRecording),
    /// How far is the recording that was asked for last.
    Recording {},
    /// Tell me of alerts as they come. Answered by [`Reply::Subscribed`] and then by
    /// [`StreamEnvelope`]s until either side closes.
    Subscribe(Subscribe),
}

impl Request {
    /// Every name on the wire, in the order of the variants.
    pub const NAMES: [&str; 13] = [
        "hello",
        "status",
        "validate",
        "reload",
        "metrics",
        "rules",
        "select",
        "processes",
        "log_level",
        "record",
        "stop_recording",
        "recording",
        "subscribe",
    ];
}

/// Answers, one for each [`Request`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reply {
    /// To [`Request::Hello`].
    Hello(Hello),
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Validate`].
    Validate(ValidateReport),
    /// To [`Request::Reload`] and [`Request::Select`].
    Reload(ReloadReport),
    /// To [`Request::Metrics`].
    Metrics(Figures),
    /// To [`Request::Rules`].
    Rules(Rules),
    /// To [`Request::Processes`].
    Processes(Processes),
    /// To [`Request::LogLevel`].
    LogLevel(LogLevel),
    /// To [`Request::Record`], [`Request::StopRecording`] and [`Request::Recording`].
    Recording(RecordingReport),
    /// To [`Request::Subscribe`]: items follow.
    Subscribed {},
}

/// One item after [`Reply::Subscribed`], as it is framed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamEnvelope<I = Item> {
    /// [`PROTOCOL_VERSION`] of the daemon.
    pub version: u32,
    /// The subscribing request's id.
    pub id: u64,
    /// What happened.
    pub item: I,
}

/// Why a request got no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Machine-readable class.
    pub code: Code,
    /// For people.
    pub message: String,
}

/// Classes of errors a daemon answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Code {
    /// The envelope's version is not spoken here.
    UnsupportedVersion,
    /// The request is not known here.
    UnknownRequest,
    /// The request is known and its arguments are wrong.
    BadRequest,
    /// The peer is not on the list of those who may ask.
    NotPermitted,
    /// As many clients as allowed are connected.
    Busy,
    /// The generation asked for is not the one in the store, or the store cannot be read.
    Store,
    /// What is asked for cannot be while something else goes on.
    Conflict,
    /// A fault of the daemon.
    Internal,
    /// A code of a newer daemon.
    #[serde(other)]
    Other,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnsupportedVersion => "unsupported_version",
            Self::UnknownRequest => "unknown_request",
            Self::BadRequest => "bad_request",
            Self::NotPermitted => "not_permitted",
            Self::Busy => "busy",
            Self::Store => "store",
            Self::Conflict => "conflict",
            Self::Internal => "internal",
            Self::Other => "other",
        })
    }
}

/// The daemon introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// `eyasd`.
    pub name: String,
    /// Release of the daemon.
    pub version: String,
    /// Names of the requests it answers.
    pub requests: Vec<String>,
    /// What rules and probes it can take.
    pub capabilities: Capabilities,
}

/// What decides whether an artifact fits this daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Version of the rule language, as `required_engine_version` compares it.
    pub engine_version: String,
    /// Layout a probe object must have been built for.
    pub layout_hash: String,
    /// Whether events are read from the kernel at all.
    pub kernel_events: bool,
}

/// What the daemon is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Release of the daemon.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started, RFC 3339 UTC.
    pub started: String,
    /// Generation in force; absent when rules came from files or there are none.
    pub generation: Option<u64>,
    /// Digest of that generation's lock file.
    pub lock_digest: Option<Digest>,
    /// Rules in force.
    pub rules: RuleCounts,
    /// Where events come from.
    pub probe: ProbeState,
    /// Names of the event types the probe is asked for.
    pub events_enabled: Vec<String>,
    /// Running totals since start.
    pub counters: Counters,
    /// Where alerts go, and what became of them there.
    #[serde(default)]
    pub outputs: Vec<OutputState>,
    /// How the last reload went.
    pub last_reload: Option<LastReload>,
    /// The recording that was asked for last.
    #[serde(default)]
    pub recording: Option<Recording>,
}

/// Number of rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCounts {
    /// In the files.
    pub loaded: u64,
    /// Of these, evaluated.
    pub enabled: u64,
}

/// The probe in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeState {
    /// Where the object came from.
    pub source: ProbeSource,
    /// Release of the object; absent without a probe.
    pub version: Option<String>,
    /// Digest of the object file.
    pub object_digest: Option<Digest>,
    /// Why not the one that would have been preferred, in plain words.
    pub reason: Option<String>,
}

/// Where the probe object came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProbeSource {
    /// No events are read from the kernel.
    None,
    /// The object built into the daemon.
    Embedded,
    /// An artifact of the active generation.
    Artifact {
        /// Its name in the generation.
        name: String,
    },
}

/// Totals since start. All count up, and survive a reload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Records read from the kernel.
    pub events: u64,
    /// Records the kernel could not hand over.
    pub events_dropped: u64,
    /// System calls and the like that the kernel side turned away because nobody asked for them.
    #[serde(default)]
    pub events_filtered: u64,
    /// Records that did not decode.
    pub events_malformed: u64,
    /// Rule matches.
    pub matches: u64,
    /// Alerts handed to an output.
    pub alerts_written: u64,
    /// Alerts an output did not take in time.
    pub alerts_dropped: u64,
    /// Processes known now.
    pub processes: u64,
    /// Processes forgotten because the table was full.
    pub processes_evicted: u64,
    /// Reloads taken.
    pub reloads: u64,
    /// Reloads refused.
    pub reloads_refused: u64,
    /// Events written to recordings.
    #[serde(default)]
    pub events_recorded: u64,
    /// Events that recordings lack because the disk was too slow or full.
    #[serde(default)]
    pub events_unrecorded: u64,
}

/// One output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputState {
    /// What it is, and where it leads.
    pub name: String,
    /// Alerts it has taken since it was configured.
    pub written: u64,
    /// Alerts that found its queue full.
    pub dropped: u64,
    /// Alerts it could not deliver.
    pub failed: u64,
    /// Why not the last of these.
    #[serde(default)]
    pub last_error: Option<String>,
}

/// How the last reload went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastReload {
    /// When, RFC 3339 UTC.
    pub at: String,
    /// Whether the new set is in force.
    pub accepted: bool,
    /// Which generation it was about.
    pub generation: Option<u64>,
    /// One line for people.
    pub message: String,
}

/// A set of rules to try without putting it in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validate {
    /// What to try.
    pub candidate: Candidate,
}

/// What to try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Candidate {
    /// A generation of the daemon's own store.
    Generation(u64),
    /// Texts, in loading order.
    Files(Vec<RulesText>),
}

/// One rules file by value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesText {
    /// Name for messages.
    pub name: String,
    /// Content.
    pub text: String,
}

/// Verdict on a [`Validate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidateReport {
    /// Whether the daemon would take it.
    pub accepted: bool,
    /// Rules found.
    pub rules: RuleCounts,
    /// Errors and warnings.
    pub reports: Vec<Report>,
}

/// Asks for the store's current generation to be put in force.
///
/// The store is the truth: the daemon reads it again and answers with [`Code::Store`] when what it
/// finds is not what is named here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// The generation the client has activated; absent means whatever is current.
    #[serde(default)]
    pub generation: Option<u64>,
    /// Digest of its lock file.
    #[serde(default)]
    pub lock_digest: Option<Digest>,
    /// The client's store directory, to catch two programs configured with different stores. It is
    /// compared, never opened.
    #[serde(default)]
    pub dir: Option<String>,
}

/// What came of a [`Reload`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// Whether the new set is in force. If not, the old one still is.
    pub accepted: bool,
    /// The generation this is about.
    pub generation: Option<u64>,
    /// The generation in force before.
    pub previous: Option<u64>,
    /// Rules in force now.
    pub rules: RuleCounts,
    /// The probe in use now.
    pub probe: ProbeState,
    /// Errors and warnings.
    pub reports: Vec<Report>,
}

impl ReloadReport {
    /// The report as lines for people, the verdict first.
    pub fn lines(&self) -> Vec<String> {
        let generation = self.generation.map_or("the rules".into(), |n| format!("generation {n}"));
        let verdict = if self.accepted {
            format!(
                "sensor runs {generation}: {} rules, {} enabled",
                self.rules.loaded, self.rules.enabled
            )
        } else {
            match self.previous {
                Some(n) => format!("sensor refused {generation} and keeps running generation {n}"),
                None => format!("sensor refused {generation} and keeps running what it had"),
            }
        };
        std::iter::once(verdict).chain(self.reports.iter().map(|r| r.text.clone())).collect()
    }
}

/// How bad a [`Report`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The set is not taken.
    Error,
    /// The set is taken.
    Warning,
}

/// Wire form of a diagnostic of the rule compiler or of the probe loader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Stable code such as `LOAD_ERR_COMPILE_CONDITION`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence.
    pub message: String,
    /// File it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The whole diagnostic as it should be printed, snippet included.
    pub text: String,
}

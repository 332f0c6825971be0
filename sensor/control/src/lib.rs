//! The control protocol between `eyas` and `eyasd`: framed JSON over a Unix socket, versioned,
//! length-limited, with peer credentials checked on both sides.
//!
//! [`Server`] owns the socket file and one thread per client, bounded; what a request means is the
//! [`Handler`]'s business. [`Client`] is blocking and has a time limit on everything it waits for.
//! No path ever crosses the socket to be opened: the daemon reads its own store and names the files of
//! recordings itself, in directories of its own configuration, so a client cannot make it read or write a
//! file for it.
#![forbid(unsafe_code)]

mod client;
mod conversation;
mod dto;
mod error;
mod frame;
mod peer;
mod record;
mod server;
mod watch;

pub use client::{Client, ClientOptions, Subscription};
pub use dto::{
    Candidate, Capabilities, Code, Counters, ErrorBody, Hello, LastReload, OutputState,
    PROTOCOL_VERSION, ProbeSource, ProbeState, Reload, ReloadReport, Reply, Report, Request,
    RequestEnvelope, ResponseEnvelope, RuleCounts, RulesText, Severity, Status, StreamEnvelope,
    Validate, ValidateReport,
};
pub use error::ControlError;
pub use frame::{MAX_FRAME_BYTES, read_frame, write_frame};
pub use peer::{Allowed, Peer};
pub use record::{Record, Recording, RecordingReport, RecordingState, StopRecording};
pub use server::{Feed, Handler, Next, Refusal, Running, Server, ServerOptions, serve_one};
pub use watch::{
    Family, FigureKind, Figures, Item, LogLevel, ProcessInfo, Processes, RuleInfo, Rules, Sample,
    Select, SetLogLevel, Subscribe, Switch, Value,
};

//! Alerts in Falco's text and JSON schema, and the sinks they are written to, each behind a bounded
//! queue so that a slow sink never stalls the event path.
//!
//! [`Format`] turns a rule's match into its line, [`Sinks`] hands lines out. What an alert says is
//! decided by the rules crate; where its time zone and host name come from, by the daemon.
#![forbid(unsafe_code)]

mod alert;
mod error;
mod format;
mod hold;
mod message;
mod queue;
mod relay;
mod sink;

pub use alert::Internal;

pub use error::OutputError;
pub use format::Format;
pub use hold::{Hold, HoldLimits};
pub use message::Message;
pub use queue::{DEFAULT_QUEUE_ALERTS, DEFAULT_QUEUE_BYTES, QueueLimits};
pub use relay::{HttpTarget, Post, Posted};
pub use sink::{Facility, Prepared, ProgramTarget, SinkCounts, Sinks, SyslogTarget, Target};

//! Which rules an event can concern: event types of a condition, rules by event code.
//!
//! Owns the algebra of event sets and what names of event types mean. Values are never looked at
//! here: a set is an upper bound of what the condition can match.

mod candidates;
mod capture;
mod id_set;
mod infer;
pub mod schema;

pub use candidates::Candidates;
pub use capture::{BaseSyscalls, Names, Selected, state_set};
pub use id_set::IdSet;
pub use infer::{
    ASYNC_EVENT, BROAD, PLUGIN_EVENT, event_codes, event_names, rule_codes, system_calls,
};

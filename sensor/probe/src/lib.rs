//! The kernel side's owner: opens the probe object, checks its layout, attaches it, reads its rings
//! and counters.
//!
//! Alone in making bpf calls. What an event means is left to `eyas-state` and `eyas-rules`.
//!
//! Unsafe code is confined to `rings/map.rs`, which maps ring buffers and reads positions that the kernel
//! writes.

mod btf;
mod capability;
mod counters;
mod descriptors;
mod error;
mod examine;
mod hooks;
mod load;
pub mod memory;
mod object;
mod plain;
mod rings;
pub mod seed;
mod settings;
mod verify;

pub use capability::{Why, capability};
pub use counters::{Counter, Counters};
pub use error::ProbeError;
pub use examine::{Examination, Finding, State, examine};
pub use hooks::{Feature, Missing};
pub use load::{Options, Probe, Program, RING_EVENTS_DEFAULT, RING_LIFECYCLE_DEFAULT, Reads};
pub use object::{
    OBJECT_NAME, check, describe, embedded, embedded as embedded_object, embedded_digest,
    embedded_for,
};
pub use rings::{POLL_DEFAULT, POLL_QUIET, Poll, Rings, SETTLE};
pub use seed::{Seeded, Snapshot, seed};
pub use settings::{ARGS_DEFAULT, ARGS_MAX, DATA_DEFAULT, DATA_MAX};

//! The event schema and the record format that the kernel probe and user space share.
//!
//! Only this crate reads event bytes. Decoding borrows from the buffer, checks every bound and never
//! panics.
//!
//! - [`schema`]: which events exist, their parameters, flag tables and system call numbers, generated at
//!   build time from `events.tsv`, `flags.tsv` and `syscalls.tsv`.
//! - [`Event`]: one record, decoded in place; [`EventBuilder`] writes one.
//! - [`value`]: the parameter encodings that are more than an integer or bytes.
#![forbid(unsafe_code)]

mod builder;
mod event;
mod header;
pub mod schema;
pub mod value;

pub use builder::{EventBuilder, RECORD_MAX};
pub use event::{DecodeError, Event};
pub use header::{HEADER_LEN, Header, HeaderField, NO_SYSCALL, RecordFlags};
pub use schema::LAYOUT_HASH;

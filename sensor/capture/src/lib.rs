//! Captures: files of recorded events in the `.scap` format.
//!
//! - [`Reader`]: blocks of a file, plain or gzip: tables and events of every version of the format.
//!
//! Only this crate knows the format. It reads streams that are handed to it and opens no file.
#![forbid(unsafe_code)]

mod convert;
mod cursor;
mod error;
mod event;
mod ids;
mod input;
pub mod layout;
mod reader;
mod record;
mod replay;
mod state;
mod syscalls;
pub mod tables;

pub use error::CaptureError;
pub use event::RawEvent;
pub use eyas_state::{Ctx, Limits};
pub use reader::{Item, MAX_BLOCK_BYTES, Reader};
pub use record::{Opening, Recorder, is_life};
pub use replay::{Counts, Replay, Visitor};
pub use state::Losses;

//! One module per operation: install, follow, list, search, status, push, pull, index, serve.
//!
//! Each operation is plan, then act, and reports what it does to a listener; printing is left to the
//! command line.
#![forbid(unsafe_code)]

mod class;
mod error;

pub use class::Class;
pub use error::OpsError;

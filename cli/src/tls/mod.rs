//! Certificates for mutual TLS: an authority of one's own, and a server and a client by it.
//!
//! Owns what stands in them and how they come to a directory: keys that only their owner can read,
//! nothing replaced unless it is meant, and nothing half written. The key of the authority is
//! written last of all, so that a set without it is known to be unfinished.

mod certificates;
mod files;

pub(crate) use self::certificates::{KeyKind, Set, Subject};
pub(crate) use self::files::{FILES, existing, write};

//! The state directory: content-addressed blobs, staging, numbered generations and the one link that
//! says which is active.
//!
//! Alone in writing below the state directory. A reader sees the old or the new generation, never a
//! mix, through any crash.
#![forbid(unsafe_code)]

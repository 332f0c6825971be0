//! What the value types accept, refuse and print.
#![expect(clippy::unwrap_used, reason = "in a test a failed unwrap is the finding")]

mod documents;
mod generations;
mod locks;
mod names;
mod properties;
mod ranges;
mod references;
mod values;

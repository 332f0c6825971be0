//! Names and descriptions of what is distributed: references, digests, versions, platforms,
//! artifact kinds and their configuration documents, and the generation that a host runs.
//!
//! Pure: no I/O, no clock, no global state. Everything here is a value that was parsed once and can
//! be printed again. Resolving names is left to `eyas-index`, transfer to `eyas-oci`, disk to
//! `eyas-store`.
#![forbid(unsafe_code)]

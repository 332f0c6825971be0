//! Who may sign what, and proof that they did: policy, key and keyless verification, signing.
//!
//! The only crate that constructs [`Verified`]; nothing can be staged without one. Discovery of
//! signatures in a registry goes through `eyas-oci`.
#![forbid(unsafe_code)]

//! The OCI distribution protocol: authentication, manifests, blob streams, referrers, push, image
//! layout directories, and a small registry that serves such a directory.
//!
//! Owns every byte that crosses the network to a registry. It checks size and digest while
//! streaming; whether a digest may be trusted is left to `eyas-trust`, where bytes end up on disk to
//! `eyas-store`.
#![forbid(unsafe_code)]

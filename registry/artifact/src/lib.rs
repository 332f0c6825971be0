//! Names and descriptions of what is distributed: references, digests, versions, platforms,
//! artifact kinds and their configuration documents, and the generation that a host runs.
//!
//! Pure: no I/O, no clock, no global state. Everything here is a value that was parsed once and can
//! be printed again. Resolving names is left to `eyas-index`, transfer to `eyas-oci`, disk to
//! `eyas-store`.
#![forbid(unsafe_code)]

mod config;
mod digest;
mod error;
mod generation;
mod kind;
mod lock;
mod manifest;
pub mod media;
mod name;
mod platform;
mod range;
mod reference;
mod request;
mod version;

pub use config::{
    Alternative, BundleConfig, Dependency, KernelNeeds, MAX_CONFIG_BYTES, ProbeConfig, Requirement,
};
pub use digest::{Digest, Hasher};
pub use error::ArtifactError;
pub use generation::{
    AttestationRecord, Entry, GENERATION_FORMAT, Generation, InstalledFile, MAX_GENERATION_BYTES,
    SignerRecord,
};
pub use kind::Kind;
pub use lock::{LOCK_FORMAT, Lock, Locked, MAX_LOCK_BYTES};
pub use manifest::{
    Descriptor, Document, ImageIndex, MAX_EMBEDDED_BYTES, MAX_MANIFEST_BYTES, Manifest,
};
pub use name::{MAX_NAME_LENGTH, Name, is_artifact_name};
pub use platform::Platform;
pub use range::{Constraint, VersionRange};
pub use reference::{DEFAULT_TAG, Reference};
pub use request::Request;
pub use version::Version;

//! The OCI distribution protocol: authentication, manifests, blob streams, referrers, push, image
//! layout directories, and a small registry that serves such a directory.
//!
//! Owns every byte that crosses the network to a registry. It checks size and digest while
//! streaming; whether a digest may be trusted is left to `eyas-trust`, where bytes end up on disk to
//! `eyas-store`.
#![forbid(unsafe_code)]

mod auth;
mod client;
mod config;
mod digesting;
mod error;
mod layout;
mod secret;
pub mod server;
mod transport;

#[doc(hidden)] // for the fuzzer
pub use auth::credential_in;
pub use auth::{
    ClientCredentials, Cloud, Configured, Credential, CredentialSources, Kept, Variables,
    docker_config_path,
};
pub use client::{
    Ask, BlobSink, BlobSource, Client, Document, Fetched, Metered, Object, Ping, Pinned, Pushed,
    Reply, Resolved, fallback_tag,
};
pub use config::{
    ClientCertificate, ClientConfig, Limits, Listener, Location, MAX_ERROR_BYTES,
    MAX_MANIFEST_BYTES, MAX_PAGES, MAX_REDIRECTS, MAX_REFERRERS, MAX_TOKEN_BYTES, Mirror, Notice,
    RegistryConfig, Scheme, Timeouts, Verification,
};
pub use digesting::Digesting;
pub use error::{NetworkKind, OciError};
pub use layout::{
    BlobWriter, Layout, LayoutIndex, REPOSITORY_ANNOTATION, Removal, layout_host, layout_of_host,
};
pub use secret::{Secret, printable};
pub use transport::{RetryPolicy, SLOWEST_BYTES_PER_SECOND};

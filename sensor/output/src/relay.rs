//! The words between the daemon and the process that posts its alerts.
//!
//! The daemon holds capabilities and therefore no TLS stack and no HTTP client; a child without any
//! privilege has both. On the child's standard input comes one line with [`Post`], then batches: a
//! line with a number, and so many lines of alerts. For each batch it answers one line, [`Posted`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where and how alerts are posted. Certificates and keys come by value: the child may read no files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own, as users know it")]
pub struct Post {
    /// `http` or `https` address.
    pub url: String,
    /// `User-Agent`.
    pub user_agent: String,
    /// Whether the alerts are JSON objects.
    pub json: bool,
    /// Accept any server certificate.
    pub insecure: bool,
    /// Certificates of authorities to trust beside the system's, in PEM.
    pub authorities: Vec<String>,
    /// Client certificate chain and key, in PEM.
    pub identity: Option<String>,
    /// Compress bodies with gzip.
    pub compress: bool,
    /// Keep connections.
    pub keep_alive: bool,
    /// Alerts in one request; more than one are separated by line feeds.
    pub batch: usize,
    /// Seconds one request may take.
    pub timeout_s: u64,
    /// Seconds after which an alert that could not be posted is given up.
    pub give_up_s: u64,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// Alerts the receiver has taken.
    pub delivered: u64,
    /// Why not the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// An HTTP receiver and the program that posts to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTarget {
    /// What to post.
    pub post: Post,
    /// The program and its arguments.
    pub program: (PathBuf, Vec<String>),
    /// User and group it runs as; `None` for those of the daemon.
    pub user: Option<(u32, u32)>,
}

//! Harness of the end-to-end tests: where the programs and inputs are, loopback registries, throw-away
//! state directories, and the gate that decides whether kernel tests can run here.
//!
//! Nothing here touches a network but loopback or a file outside of temporary folders.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

/// The folder that holds the workspace manifest.
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

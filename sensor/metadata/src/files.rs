//! The host's files, from where its root is to be seen.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// The host's files below its root.
pub(crate) struct Files<'a>(pub(crate) &'a Path);

impl Files<'_> {
    fn path(&self, relative: &str) -> PathBuf {
        self.0.join(relative.trim_start_matches('/'))
    }

    pub(crate) fn exists(&self, relative: &str) -> bool {
        self.path(relative).exists()
    }

    pub(crate) fn names(&self, relative: &str, most: usize) -> Vec<String> {
        let entries = fs::read_dir(self.path(relative)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).take(most).collect();
        names.sort();
        names
    }

    /// A document; `None` where there is none that can be read.
    pub(crate) fn json(&self, relative: &str) -> Option<Value> {
        serde_json::from_slice(&self.bytes(relative)?).ok()
    }

    pub(crate) fn text(&self, relative: &str) -> Option<String> {
        String::from_utf8(self.bytes(relative)?).ok()
    }

    /// A file's content; `None` for what is not a file, or too large.
    fn bytes(&self, relative: &str) -> Option<Vec<u8>> {
        let path = self.path(relative);
        let metadata = fs::metadata(&path).ok()?;
        if !metadata.is_file() || metadata.len() > MAX_FILE {
            return None;
        }
        let mut bytes = Vec::new();
        File::open(path).ok()?.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Whether a path leads to the host's own namespace of a kind, as `/proc/PID/ns` names it.
    pub(crate) fn is_own_namespace(&self, path: &str, kind: &str) -> bool {
        let own = self.own_namespace(kind);
        own.is_some() && own == self.namespace(path, kind)
    }

    /// Number of the host's namespace of a kind: the first process's, or where that is hidden from us, that of the
    /// thread from which the kernel makes its own.
    pub(crate) fn own_namespace(&self, kind: &str) -> Option<u64> {
        self.namespace(&format!("proc/1/ns/{kind}"), kind).or_else(|| {
            let kernels = self.text("proc/2/comm").is_some_and(|name| name == "kthreadd\n");
            kernels.then(|| self.namespace(&format!("proc/2/ns/{kind}"), kind)).flatten()
        })
    }

    /// Number of the namespace to which a link of `/proc/PID/ns` leads, or on which it is kept.
    pub(crate) fn namespace(&self, path: &str, kind: &str) -> Option<u64> {
        let path = self.path(path);
        let Ok(link) = fs::read_link(&path) else {
            return fs::metadata(&path).ok().map(|found| found.ino());
        };
        let number = link.to_str()?.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?;
        number.parse().ok()
    }
}

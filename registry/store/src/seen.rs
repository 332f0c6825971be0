//! Files that were hashed before and have not been touched since.
//!
//! Owns the shortcut that lets a service look at all installed files at every check: a file whose
//! inode, size and times are the same has the same content. A file that changed a moment ago is not
//! believed, because a second change within one tick of the clock would not show.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use eyas_artifact::Digest;

use crate::StoreError;
use crate::blobs::digest_of;

/// Age from which the times of a file are believed, in seconds.
const SETTLED_SECONDS: i64 = 2;

/// What is known of files. An empty one knows nothing, so that everything is hashed.
#[derive(Debug, Clone, Default)]
pub struct Seen(BTreeMap<PathBuf, (Stamp, Digest)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Seen {
    /// Digest of a file whose metadata are these; `None` when it does not exist any more.
    pub(crate) fn digest_of(
        &mut self,
        path: &Path,
        meta: &Metadata,
    ) -> Result<Option<Digest>, StoreError> {
        let stamp = Stamp {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        };
        match self.0.get(path) {
            Some((known, digest)) if *known == stamp => return Ok(Some(*digest)),
            _ => drop(self.0.remove(path)),
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs() as i64);
        let found = digest_of(path)?;
        if let Some(digest) = found
            && now - meta.ctime() >= SETTLED_SECONDS
        {
            self.0.insert(path.to_owned(), (stamp, digest));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_noticed_at_once_and_a_quiet_file_is_hashed_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "one").unwrap();
        let mut seen = Seen::default();
        let look = |seen: &mut Seen| {
            seen.digest_of(&path, &std::fs::metadata(&path).unwrap()).unwrap().unwrap()
        };
        assert_eq!(look(&mut seen), Digest::sha256("one"));
        assert!(seen.0.is_empty(), "it changed a moment ago");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(look(&mut seen), Digest::sha256("two"));
        while seen.0.is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(100));
            look(&mut seen);
        }
        // What is remembered is taken, as long as nothing shows a change.
        seen.0.values_mut().for_each(|(_, digest)| *digest = Digest::sha256("remembered"));
        assert_eq!(look(&mut seen), Digest::sha256("remembered"));
        std::fs::write(&path, "owt").unwrap();
        assert_eq!(look(&mut seen), Digest::sha256("owt"), "same size, other content");
    }
}

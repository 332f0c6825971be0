//! Archives: unpacked for real, into a directory in memory where there is one.

use std::cell::RefCell;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use eyas_store::{ExtractLimits, unpack};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Limits under which one run is short.
const LIMITS: ExtractLimits =
    ExtractLimits { max_entries: 64, max_bytes: 4 * 1024 * 1024, max_ratio: 100 };

/// A directory that is in memory where that is possible.
struct Place {
    folder: tempfile::TempDir,
}

thread_local! {
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self { folder: folder.expect("a temporary directory") }
    }

    fn layer(&self) -> PathBuf {
        self.folder.path().join("layer")
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("target")
    }
}

/// A layer as it comes from a registry, or, behind a zero byte, the archive in it.
pub fn archive(input: &[u8]) {
    let compressed;
    let layer = match input {
        [0, tar @ ..] => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
            encoder.write_all(tar).expect("memory");
            compressed = encoder.finish().expect("memory");
            &compressed
        }
        other => other,
    };
    PLACE.with_borrow_mut(|place| check(place.get_or_insert_with(Place::new), layer));
}

fn check(place: &Place, layer: &[u8]) {
    let target = place.target();
    let _ = fs::remove_dir_all(&target);
    fs::create_dir(&target).expect("an empty directory");
    fs::write(place.layer(), layer).expect("a layer");
    let outcome = unpack("fuzz", &place.layer(), &target, &LIMITS);
    let mut found = Vec::new();
    walk(&target, &mut found);
    if let Ok(files) = outcome {
        assert_eq!(files.len(), found.len(), "what is reported is what is there");
        for file in &files {
            let path = target.join(&file.path);
            let data = fs::symlink_metadata(&path).expect("a reported file is there");
            assert!(data.is_file() && data.len() == file.size, "{}", path.display());
        }
    }
    let others = fs::read_dir(place.folder.path()).expect("the directory").count();
    assert_eq!(others, 2, "something was written beside the target");
}

/// Every file; anything but a file or a directory, and any mode but ours, is a finding.
fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a directory").flatten() {
        let path = entry.path();
        let data = fs::symlink_metadata(&path).expect("an entry");
        if data.is_dir() {
            walk(&path, into);
            continue;
        }
        assert!(data.is_file(), "{} is no file", path.display());
        assert_eq!(data.permissions().mode() & 0o7133, 0, "mode of {}", path.display());
        into.push(path);
    }
}

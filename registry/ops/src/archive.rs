//! Archives as they are pushed: the same files give the same bytes.
//!
//! Owns what an archive keeps of a file: its name without directories and its content. Owner, time
//! and mode are set, so that neither the machine nor the moment shows.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use eyas_artifact::{Digest, Hasher};
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};
use tempfile::NamedTempFile;

use crate::OpsError;

/// Most files that are packed from a directory.
pub const MAX_FILES: usize = 10_000;
/// Mode of every packed file.
const FILE_MODE: u32 = 0o644;
/// First two bytes of gzip.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Bytes copied at once.
const CHUNK_BYTES: usize = 128 * 1024;

/// A packed archive in a temporary file.
pub(crate) struct Archive {
    file: NamedTempFile,
    /// Digest of the compressed bytes.
    pub(crate) digest: Digest,
    /// Number of compressed bytes.
    pub(crate) size: u64,
    /// File name that readers show and unpack from.
    pub(crate) title: String,
}

impl Archive {
    /// Where the bytes are, as long as this value lives.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Packs one file or directory; a file that is gzip already is taken as it is.
    pub(crate) fn of_path(path: &Path) -> Result<Self, OpsError> {
        let unreadable = |source| OpsError::input(path, source);
        let found = fs::metadata(path).map_err(unreadable)?;
        let title = file_name(path)?;
        if found.is_dir() {
            let files = files_below(path)?;
            return Self::pack(&format!("{title}.tar.gz"), &files);
        }
        if starts_with_gzip(path).map_err(unreadable)? {
            return Self::copy(&title, path);
        }
        let files = BTreeMap::from([(title.clone(), Content::File(path.to_owned()))]);
        Self::pack(&format!("{title}.tar.gz"), &files)
    }

    /// Packs several files side by side.
    pub(crate) fn of_paths(title: &str, paths: &[PathBuf]) -> Result<Self, OpsError> {
        let mut files = BTreeMap::new();
        for path in paths {
            add(&mut files, path)?;
        }
        Self::pack(title, &files)
    }

    /// Packs bytes that are in memory.
    pub(crate) fn of_bytes(title: &str, name: &str, bytes: &[u8]) -> Result<Self, OpsError> {
        let files = BTreeMap::from([(name.to_owned(), Content::Bytes(bytes.to_vec()))]);
        Self::pack(title, &files)
    }

    fn pack(title: &str, files: &BTreeMap<String, Content>) -> Result<Self, OpsError> {
        let mut target = Measured::new()?;
        // No name and no time: both would make two equal inputs differ.
        let gzip = GzBuilder::new().mtime(0).write(&mut target, Compression::default());
        let mut builder = Builder::new(gzip);
        for (name, content) in files {
            content.append(&mut builder, name)?;
        }
        let written = builder.into_inner().and_then(flate2::write::GzEncoder::finish);
        written.map_err(OpsError::scratch)?;
        target.finish(title)
    }

    fn copy(title: &str, path: &Path) -> Result<Self, OpsError> {
        let unreadable = |source| OpsError::input(path, source);
        let mut target = Measured::new()?;
        let mut source = File::open(path).map_err(unreadable)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match source.read(&mut chunk).map_err(unreadable)? {
                0 => break,
                count => target.write_all(&chunk[..count]).map_err(OpsError::scratch)?,
            }
        }
        target.finish(title)
    }
}

enum Content {
    File(PathBuf),
    Bytes(Vec<u8>),
}

impl Content {
    fn append<W: Write>(&self, builder: &mut Builder<W>, name: &str) -> Result<(), OpsError> {
        match self {
            Self::Bytes(bytes) => append(builder, name, bytes.len() as u64, bytes.as_slice())
                .map_err(OpsError::scratch),
            Self::File(path) => {
                let unreadable = |source| OpsError::input(path, source);
                let file = File::open(path).map_err(unreadable)?;
                let size = file.metadata().map_err(unreadable)?.len();
                append(builder, name, size, file.take(size)).map_err(unreadable)
            }
        }
    }
}

fn append<W: Write>(
    builder: &mut Builder<W>,
    name: &str,
    size: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(FILE_MODE);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    builder.append_data(&mut header, name, content)
}

/// A temporary file that knows digest and size of what was written.
struct Measured {
    file: NamedTempFile,
    hasher: Hasher,
    size: u64,
}

impl Measured {
    fn new() -> Result<Self, OpsError> {
        let file = NamedTempFile::new().map_err(OpsError::scratch)?;
        Ok(Self { file, hasher: Hasher::new(), size: 0 })
    }

    fn finish(mut self, title: &str) -> Result<Archive, OpsError> {
        self.file.flush().map_err(OpsError::scratch)?;
        let Self { file, hasher, size } = self;
        Ok(Archive { file, digest: hasher.finish(), size, title: title.to_owned() })
    }
}

impl Write for Measured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Regular files below a directory, by base name; a name that occurs twice cannot be packed flat.
fn files_below(root: &Path) -> Result<BTreeMap<String, Content>, OpsError> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        let unreadable = |source| OpsError::input(&dir, source);
        for entry in fs::read_dir(&dir).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                add(&mut files, &entry.path())?;
            } else {
                let path = entry.path();
                return Err(OpsError::usage(
                    format!("`{}` is neither a file nor a directory", path.display()),
                    Some("archives hold regular files only; copy the file there instead"),
                ));
            }
        }
    }
    if files.is_empty() {
        let message = format!("`{}` has no files to pack", root.display());
        return Err(OpsError::usage(message, None));
    }
    Ok(files)
}

fn add(files: &mut BTreeMap<String, Content>, path: &Path) -> Result<(), OpsError> {
    let name = file_name(path)?;
    if files.insert(name.clone(), Content::File(path.to_owned())).is_some() {
        return Err(OpsError::usage(
            format!("two files are named `{name}`"),
            Some("archives hold base names only; rename one of them"),
        ));
    }
    if files.len() > MAX_FILES {
        return Err(OpsError::usage(format!("more than {MAX_FILES} files to pack"), None));
    }
    Ok(())
}

fn file_name(path: &Path) -> Result<String, OpsError> {
    let resolved = if path.file_name().is_none() { path.canonicalize().ok() } else { None };
    let name = resolved.as_deref().unwrap_or(path).file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| {
        OpsError::usage(format!("`{}` has no file name in UTF-8", path.display()), None)
    })
}

fn starts_with_gzip(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
    Ok(start == GZIP_MAGIC)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(&path, text).expect("written");
        path
    }

    #[test]
    fn the_same_files_give_the_same_bytes_wherever_and_whenever() {
        let (one, two) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        for dir in [one.path(), two.path()] {
            write(dir, "set/a.yaml", "- rule: a");
            write(dir, "set/deep/b.yaml", "- rule: b");
        }
        let old = File::options().write(true).open(two.path().join("set/a.yaml")).expect("open");
        old.set_modified(SystemTime::now() - Duration::from_hours(24)).expect("set");
        let first = Archive::of_path(&one.path().join("set")).expect("packed");
        let second = Archive::of_path(&two.path().join("set")).expect("packed");
        assert_eq!(first.digest, second.digest);
        assert_eq!(first.title, "set.tar.gz");
        let bytes = fs::read(first.path()).expect("read");
        assert_eq!(Digest::sha256(&bytes), first.digest);
        assert_eq!(bytes.len() as u64, first.size);
    }

    #[test]
    fn only_base_name_and_content_are_kept() {
        let dir = tempfile::tempdir().expect("dir");
        let path = write(dir.path(), "deep/rules.yaml", "- rule: a");
        let archive = Archive::of_path(&path).expect("packed");
        let gzip = flate2::read::GzDecoder::new(File::open(archive.path()).expect("open"));
        let mut unpacked = tar::Archive::new(gzip);
        let entries: Vec<_> = unpacked.entries().expect("entries").collect();
        assert_eq!(entries.len(), 1);
        let entry = entries.into_iter().next().expect("one").expect("an entry");
        assert_eq!(entry.path().expect("a path").to_str(), Some("rules.yaml"));
        assert_eq!(entry.header().mode().expect("a mode"), FILE_MODE);
        assert_eq!(entry.header().mtime().expect("a time"), 0);
    }

    #[test]
    fn a_gzip_file_is_taken_as_it_is() {
        let dir = tempfile::tempdir().expect("dir");
        let source = write(dir.path(), "rules.yaml", "- rule: a");
        let packed = Archive::of_path(&source).expect("packed");
        let copy = dir.path().join("mine.tar.gz");
        fs::copy(packed.path(), &copy).expect("copied");
        let again = Archive::of_path(&copy).expect("taken");
        assert_eq!((again.digest, again.title.as_str()), (packed.digest, "mine.tar.gz"));
    }

    #[test]
    fn what_cannot_be_packed_is_refused() {
        let dir = tempfile::tempdir().expect("dir");
        let empty = dir.path().join("empty");
        fs::create_dir(&empty).expect("made");
        assert!(Archive::of_path(&empty).is_err());
        assert!(Archive::of_path(&dir.path().join("absent")).is_err());
        write(dir.path(), "twice/a.yaml", "1");
        write(dir.path(), "twice/deep/a.yaml", "2");
        assert!(Archive::of_path(&dir.path().join("twice")).is_err());
        let linked = dir.path().join("linked");
        fs::create_dir(&linked).expect("made");
        std::os::unix::fs::symlink("/etc/hostname", linked.join("x")).expect("linked");
        assert!(Archive::of_path(&linked).is_err());
    }
}

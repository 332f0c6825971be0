//! Rules files as sources: by path, from standard input, or those that are installed.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use eyas_artifact::Kind;
use eyas_ops::OpsError;
use eyas_rules::SourceFile;
use eyas_rules::load::Missing;

use crate::args::Global;
use crate::commands::install::store;
use crate::exit::Failure;
use crate::judge::{MAX_RULES_FILE_BYTES, is_rules};
use crate::settings::Settings;

/// A file that cannot be had as text.
#[derive(Debug)]
pub(super) enum Unread {
    /// It cannot be read.
    File { path: PathBuf, source: io::Error },
    /// It is too large or no text.
    Text { path: PathBuf, why: String },
}

impl Unread {
    /// The file as it was named, and what the load says of it.
    pub(super) fn into_missing(self) -> (String, Missing) {
        match self {
            Self::File { path, source } => (
                path.display().to_string(),
                Missing::Unreadable(format!("cannot be read: {source}")),
            ),
            Self::Text { path, why } => (path.display().to_string(), Missing::NoText(why)),
        }
    }
}

impl From<Unread> for anyhow::Error {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::File { path, source } => OpsError::Input { path, source }.into(),
            Unread::Text { path, why } => {
                Failure::usage(format!("`{}` {why}", path.display())).into()
            }
        }
    }
}

/// Reads files, directories and standard input, in the order given.
pub(super) fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<SourceFile>> {
    match read_most(paths) {
        (sources, None) => Ok(sources),
        (_, Some(unread)) => Err(unread.into()),
    }
}

/// Reads files, directories and standard input up to the first that is not there.
pub(super) fn read_most(paths: &[PathBuf]) -> (Vec<SourceFile>, Option<Unread>) {
    let mut sources = Vec::new();
    let unread = paths.iter().find_map(|path| read(path, &mut sources).err());
    (sources, unread)
}

/// The files given, or else the rules of the active generation, in the order in which the sensor
/// loads them.
pub(super) fn given_or_installed(
    paths: &[PathBuf],
    global: &Global,
    settings: &Settings,
) -> anyhow::Result<Vec<SourceFile>> {
    if !paths.is_empty() {
        return read_all(paths);
    }
    let store = store(global, settings)?;
    let mut sources = Vec::new();
    if let Some(generation) = store.current().map_err(OpsError::from)? {
        let directory = store.generation_dir(generation.number);
        for entry in generation.entries.iter().filter(|entry| entry.kind == Kind::Rulesfile) {
            for file in entry.files.iter().filter(|file| is_rules(&file.path)) {
                read(&directory.join(entry.directory()).join(&file.path), &mut sources)?;
            }
        }
    }
    if sources.is_empty() {
        let message = format!("no rules are installed in {}", store.directory().display());
        return Err(Failure::usage(message).with_hint("name rules files").into());
    }
    Ok(sources)
}

/// Reads one file, or standard input for `-`.
pub(super) fn read_text(path: &Path) -> Result<SourceFile, Unread> {
    let limit = MAX_RULES_FILE_BYTES + 1;
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(unreadable(path))?;
    source(path, bytes).map_err(|why| Unread::Text { path: path.to_owned(), why })
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> Unread {
    |source| Unread::File { path: path.to_owned(), source }
}

/// Reads a file, standard input for `-`, or the rules files of a directory by name.
fn read(path: &Path, sources: &mut Vec<SourceFile>) -> Result<(), Unread> {
    if path == Path::new("-") {
        sources.push(read_text(path)?);
        return Ok(());
    }
    if fs::metadata(path).map_err(unreadable(path))?.is_dir() {
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(path).map_err(unreadable(path))? {
            let found = entry.map_err(unreadable(path))?.path();
            if found.is_file() && is_rules(&found.to_string_lossy()) {
                files.push(found);
            }
        }
        files.sort();
        return files.iter().try_for_each(|file| read(file, sources));
    }
    sources.push(read_text(path)?);
    Ok(())
}

fn source(path: &Path, bytes: Vec<u8>) -> Result<SourceFile, String> {
    if bytes.len() as u64 > MAX_RULES_FILE_BYTES {
        return Err(format!("has more than {MAX_RULES_FILE_BYTES} bytes"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceFile { name: path.display().to_string(), text }),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            Err(format!("is not UTF-8 text: wrong from byte {at} on"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_its_rules_files_by_name() {
        let dir = tempfile::tempdir().expect("dir");
        for name in ["b.yaml", "a.yml", "README.md"] {
            fs::write(dir.path().join(name), "[]\n").expect("written");
        }
        let mut sources = Vec::new();
        read(dir.path(), &mut sources).expect("readable");
        let names: Vec<&str> =
            sources.iter().filter_map(|file| file.name.rsplit('/').next()).collect();
        assert_eq!(names, ["a.yml", "b.yaml"]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().expect("dir");
        let said = read_all(&[dir.path().join("absent.yaml")]).expect_err("absent");
        assert!(said.to_string().contains("absent.yaml"), "{said}");
        fs::write(dir.path().join("latin.yaml"), b"a: \xe9\n").expect("written");
        let said = read_all(&[dir.path().join("latin.yaml")]).expect_err("not text");
        assert!(said.to_string().contains("byte 3"), "{said}");
    }
}

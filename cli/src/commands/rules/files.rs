//! Rules files as sources: by path, from standard input, or those that are installed.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use eyas_artifact::Kind;
use eyas_ops::OpsError;
use eyas_rules::SourceFile;

use crate::args::Global;
use crate::commands::install::store;
use crate::exit::Failure;
use crate::judge::{MAX_RULES_FILE_BYTES, is_rules};
use crate::settings::Settings;

/// Reads files, directories and standard input, in the order given.
pub(super) fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<SourceFile>> {
    let mut sources = Vec::new();
    for path in paths {
        read(path, &mut sources)?;
    }
    Ok(sources)
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
pub(super) fn read_text(path: &Path) -> anyhow::Result<SourceFile> {
    let mut bytes = Vec::new();
    let name = path.display().to_string();
    if path == Path::new("-") {
        io::stdin().lock().take(MAX_RULES_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    } else {
        fs::File::open(path)
            .and_then(|file| file.take(MAX_RULES_FILE_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|source| OpsError::Input { path: path.to_owned(), source })?;
    }
    Ok(source(&name, bytes)?)
}

/// Reads a file, standard input for `-`, or the rules files of a directory by name.
fn read(path: &Path, sources: &mut Vec<SourceFile>) -> anyhow::Result<()> {
    if path == Path::new("-") {
        sources.push(read_text(path)?);
        return Ok(());
    }
    let unreadable = |source| OpsError::Input { path: path.to_owned(), source };
    if fs::metadata(path).map_err(unreadable)?.is_dir() {
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(path).map_err(unreadable)? {
            let found = entry.map_err(unreadable)?.path();
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

fn source(name: &str, bytes: Vec<u8>) -> Result<SourceFile, Failure> {
    if bytes.len() as u64 > MAX_RULES_FILE_BYTES {
        let message = format!("`{name}` has more than {MAX_RULES_FILE_BYTES} bytes");
        return Err(Failure::usage(message));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceFile { name: name.to_owned(), text }),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            Err(Failure::usage(format!("`{name}` is not UTF-8 text: wrong from byte {at} on")))
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
        let said = read(&dir.path().join("absent.yaml"), &mut Vec::new()).expect_err("absent");
        assert!(said.to_string().contains("absent.yaml"), "{said}");
        fs::write(dir.path().join("latin.yaml"), b"a: \xe9\n").expect("written");
        let said = read(&dir.path().join("latin.yaml"), &mut Vec::new()).expect_err("not text");
        assert!(said.to_string().contains("byte 3"), "{said}");
    }
}

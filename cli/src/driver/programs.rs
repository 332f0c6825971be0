//! Programs of the host that do what only they can: building, loading and unloading modules.
//!
//! Each is found on the path, runs without a shell, and says what it has to say into memory that
//! does not grow: only the end of it is kept.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};

/// How much of what a program said is kept.
const KEPT_BYTES: u64 = 16 * 1024;
/// How many lines of that are repeated in an error.
const SHOWN_LINES: usize = 12;

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The command as it was called.
    pub(crate) command: String,
    /// Whether it said that all went well.
    pub(crate) success: bool,
    /// The end of what it said, on both streams.
    pub(crate) said: String,
}

impl Ran {
    /// What to repeat of it in an error: how it ended, and its last lines.
    pub(crate) fn failure(&self) -> String {
        let lines: Vec<&str> = self.said.lines().filter(|line| !line.trim().is_empty()).collect();
        let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
        if shown.is_empty() {
            return format!("`{}` failed and said nothing", self.command);
        }
        format!("`{}` failed and said: {}", self.command, shown.join("\n"))
    }
}

/// Runs a program to its end; `None` where it is not on the path.
pub(crate) fn run<S: AsRef<OsStr>>(
    program: &str,
    arguments: &[S],
    directory: Option<&Path>,
) -> io::Result<Option<Ran>> {
    let mut said = File::from(memfd_create("said", MemfdFlags::CLOEXEC)?);
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::from(said.try_clone()?))
        .stderr(Stdio::from(said.try_clone()?));
    if let Some(directory) = directory {
        command.current_dir(directory);
    }
    let status = match command.status() {
        Ok(status) => status,
        Err(error) if error.kind() == ErrorKind::NotFound && is_absent(program) => return Ok(None),
        Err(error) => return Err(error),
    };
    let shown = std::iter::once(program.into())
        .chain(arguments.iter().map(|argument| argument.as_ref().to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ");
    let end = said.seek(SeekFrom::End(0))?;
    said.seek(SeekFrom::Start(end.saturating_sub(KEPT_BYTES)))?;
    let mut bytes = Vec::new();
    said.take(KEPT_BYTES).read_to_end(&mut bytes)?;
    let said = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Some(Ran { command: shown, success: status.success(), said }))
}

/// Whether a program is on the path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn is_absent(program: &str) -> bool {
    find(program).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_streams_are_kept_and_the_outcome_is_told() {
        let ran = run("sh", &["-c", "echo one; echo two >&2; exit 3"], None);
        let ran = ran.expect("runs").expect("there is a shell");
        assert!(!ran.success);
        assert_eq!(ran.said, "one\ntwo\n");
        assert!(ran.failure().ends_with("failed and said: one\ntwo"), "{}", ran.failure());
        assert!(run("true", &[""; 0], None).expect("runs").expect("there").success);
    }

    #[test]
    fn a_program_that_is_not_there_is_no_error() {
        assert!(run("no-such-program-of-ours", &[""; 0], None).expect("no error").is_none());
        assert!(find("no-such-program-of-ours").is_none() && find("sh").is_some());
    }

    #[test]
    fn only_the_end_of_much_output_is_kept() {
        let script = "i=0; while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); done; exit 1";
        let ran = run("sh", &["-c", script], None).expect("runs").expect("there");
        assert_eq!(ran.said.len() as u64, KEPT_BYTES);
        assert!(ran.said.ends_with("line 3999\n"));
        assert_eq!(ran.failure().lines().count(), SHOWN_LINES);
    }

    #[test]
    fn it_runs_where_it_is_told_to() {
        let folder = tempfile::tempdir().expect("folder");
        let ran = run("pwd", &[""; 0], Some(folder.path())).expect("runs").expect("there");
        let here = folder.path().canonicalize().expect("path");
        assert_eq!(ran.said.trim_end(), here.display().to_string());
    }
}

//! What the daemon gives up once everything is open: capabilities, gaining new ones, system calls,
//! writing elsewhere than where outputs write.
//!
//! Each holds for the calling thread and those it starts, so this is done before the first one that
//! lasts. What the kernel does not offer is said and not missed; what it refuses is an error, for a
//! daemon that was meant to be confined must not run unconfined in silence.

mod calls;
mod capabilities;
mod files;

use std::path::{Path, PathBuf};

use rustix::process::setpriority_process;
use rustix::thread::gettid;

use crate::config::{Config, Hardening};
use crate::error::DaemonError;

/// Priority of what comes before others, as `nice` counts.
const PREFERRED: i32 = -10;

/// What runs beside the daemon as its children, and therefore under its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Children {
    /// A command of the user's, which may do anything.
    program: bool,
    /// The process that posts alerts.
    poster: bool,
}

impl Children {
    fn of(config: &Config) -> Self {
        Self { program: config.program_output.enabled, poster: config.http_output.enabled }
    }
}

/// Whether the calling thread and those it starts from now on come before others. The way of an event to its
/// alert does: what is not read in time, the kernel drops.
pub(crate) fn prefer(preferred: bool) {
    let nice = if preferred { PREFERRED } else { 0 };
    // Not permitted without privileges, where it only makes losses likelier under load.
    let _ = setpriority_process(Some(gettid()), nice);
}

/// Gives up capabilities and the way to new ones; says what is left.
pub(crate) fn drop_capabilities(config: &Config) -> Result<String, DaemonError> {
    let failed = |source| DaemonError::System { doing: "give up capabilities", source };
    let mut kept = "all capabilities that were given".to_owned();
    if config.hardening.capabilities {
        let has_probe = config.probe.kind != "none";
        kept = capabilities::reduce(has_probe, Children::of(config)).map_err(failed)?;
    }
    if config.hardening.no_new_privileges {
        let failed = |error: rustix::io::Errno| DaemonError::System {
            doing: "give up gaining privileges",
            source: error.into(),
        };
        rustix::thread::set_no_new_privs(true).map_err(failed)?;
    }
    Ok(kept)
}

/// Gives up writing to files and what system calls nobody needs; says what came of it. The threads that
/// run already keep their files and lose the system calls.
pub(crate) fn confine(config: &Config) -> Result<String, DaemonError> {
    let children = Children::of(config);
    let files = if !config.hardening.landlock {
        "files: not confined, as configured"
    } else if children.program {
        // What a user's command writes to is not known.
        "files: not confined, for `program_output` may write anywhere"
    } else {
        files::confine(&writable(config))?
    };
    let calls = if !config.hardening.seccomp {
        "system calls: not confined, as configured"
    } else if !config.hardening.no_new_privileges {
        "system calls: not confined, for that takes `hardening.no_new_privileges`"
    } else {
        calls::confine(children)?
    };
    Ok(format!("{files}; {calls}"))
}

/// Puts back outputs that could not work under what was given up at start, and names them: they count from the next
/// start on.
pub(crate) fn keep_confined(
    config: &mut Config,
    before: &Config,
    at_start: &Config,
) -> Vec<&'static str> {
    let Hardening { capabilities, no_new_privileges, seccomp, landlock } = at_start.hardening;
    let children = Children::of(at_start);
    let calls = seccomp && no_new_privileges;
    let files = landlock && !children.program;
    let folders = writable(at_start);
    let is_out = |path: Option<&PathBuf>| {
        let folder = path.filter(|_| files).and_then(|path| folder(path));
        // One that is not there is a mistake, which whoever opens the file tells of.
        folder.is_some_and(|folder| folder.is_dir() && !is_below(&folder, &folders))
    };
    let mut kept = Vec::new();
    if config.program_output.enabled && !children.program && (calls || files) {
        config.program_output = before.program_output.clone();
        kept.push("program_output");
    }
    if config.http_output.enabled && !children.poster && (calls || capabilities) {
        config.http_output = before.http_output.clone();
        kept.push("http_output");
    }
    if config.file_output.enabled && is_out(config.file_output.filename.as_ref()) {
        config.file_output = before.file_output.clone();
        kept.push("file_output");
    }
    if config.metrics.enabled && is_out(config.metrics.output_file.as_ref()) {
        config.metrics.output_file.clone_from(&before.metrics.output_file);
        kept.push("metrics.output_file");
    }
    kept
}

fn is_below(folder: &Path, folders: &[PathBuf]) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let folder = real(folder);
    folders.iter().any(|one| folder.starts_with(real(one)))
}

/// The folder a file lies in; `None` for an empty path.
fn folder(file: &Path) -> Option<PathBuf> {
    let folder = file.parent()?;
    Some(if folder.as_os_str().is_empty() { ".".into() } else { folder.to_path_buf() })
}

/// Folders in which files are made, replaced or removed.
fn writable(config: &Config) -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from("/dev")];
    let files = [
        config.file_output.filename.clone().filter(|_| config.file_output.enabled),
        config.metrics.output_file.clone().filter(|_| config.metrics.enabled),
        // Its file is removed at the end.
        Some(config.control.socket.clone()).filter(|_| config.control.enabled),
    ];
    folders.extend(files.iter().flatten().filter_map(|file| folder(file)));
    folders.extend(config.capture.all_directories().map(Path::to_path_buf));
    folders.sort();
    folders.dedup();
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_work_any_more_is_kept_as_it_was() {
        let at_start = Config::default();
        let mut wanted = Config::default();
        wanted.program_output.enabled = true;
        wanted.http_output.enabled = true;
        wanted.file_output.enabled = true;
        wanted.file_output.filename = Some("/usr/alerts".into());
        wanted.metrics.enabled = true;
        wanted.metrics.output_file = Some("/dev/shm/figures".into());
        let mut config = wanted.clone();
        let kept = keep_confined(&mut config, &at_start, &at_start);
        assert_eq!(kept, ["program_output", "http_output", "file_output"]);
        assert!(!config.program_output.enabled && !config.http_output.enabled);
        assert_eq!(config.file_output, at_start.file_output);
        // What ran at start, or was never confined, may be switched at will.
        let mut config = wanted.clone();
        assert!(keep_confined(&mut config, &at_start, &wanted).is_empty());
        assert_eq!(config, wanted);
        let free = Hardening {
            capabilities: false,
            no_new_privileges: false,
            seccomp: false,
            landlock: false,
        };
        let at_start = Config { hardening: free, ..Config::default() };
        assert!(keep_confined(&mut config, &at_start, &at_start).is_empty());
    }

    #[test]
    fn folders_that_outputs_write_to_stay_writable() {
        let mut config = Config::default();
        let captures = PathBuf::from("/var/lib/eyas/captures");
        assert_eq!(writable(&config), ["/dev".into(), "/run/eyas".into(), captures]);
        config.capture.on_request = false;
        config.capture.directories = vec!["/srv".into()];
        assert_eq!(writable(&config), [PathBuf::from("/dev"), "/run/eyas".into()]);
        config.file_output.filename = Some("/var/log/eyas/alerts".into());
        assert_eq!(writable(&config).len(), 2, "it is not enabled");
        config.file_output.enabled = true;
        config.metrics.enabled = true;
        config.metrics.output_file = Some("figures".into());
        config.control.enabled = false;
        let expected: [PathBuf; 3] = ["/dev".into(), "/var/log/eyas".into(), ".".into()];
        assert_eq!(writable(&config), expected);
    }
}

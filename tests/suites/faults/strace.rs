//! Runs the program below `strace`: to list the calls that change a disk, or to let one of them fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use eyas_tests::{Finished, peer, run, skip};

/// System calls that change what is on a disk.
const CALLS: [&str; 24] = [
    "openat",
    "write",
    "writev",
    "pwrite64",
    "copy_file_range",
    "sendfile",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "symlink",
    "symlinkat",
    "fchmod",
    "chmod",
];

/// One call of a run: the N-th of its name, counted from 1 in the thread that
/// does the most of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) call: String,
    pub(crate) at: usize,
    /// What was traced, for messages.
    pub(crate) line: String,
}

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Kill,
    NoSpace,
    InputOutput,
}

impl Fault {
    fn words(self) -> &'static str {
        match self {
            Self::Kill => "signal=KILL",
            Self::NoSpace => "error=ENOSPC",
            Self::InputOutput => "error=EIO",
        }
    }
}

/// The tool, where it is installed and may trace.
pub(crate) fn tool(test: &str) -> Option<PathBuf> {
    let Some(tool) = peer("STRACE") else {
        skip(test, "strace is not installed");
        return None;
    };
    let tried = run(Command::new(&tool).args(["-f", "-qq", "-o", "/dev/null", "true"]));
    if tried.code() != 0 {
        skip(test, &format!("strace may not trace here: {}", tried.stderr.trim()));
        return None;
    }
    Some(tool)
}

/// The same command below `strace` with these arguments.
fn below(tool: &Path, arguments: &[String], command: &Command) -> Command {
    let mut traced = Command::new(tool);
    traced.args(["-f", "-qq", "--seccomp-bpf"]).args(arguments);
    run_by(traced, command)
}

/// A command run by another one, whose arguments it ends.
pub(crate) fn run_by(mut other: Command, command: &Command) -> Command {
    other.arg(command.get_program()).args(command.get_args());
    other.env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            other.env(name, value);
        }
    }
    if let Some(folder) = command.get_current_dir() {
        other.current_dir(folder);
    }
    other
}

/// Every call of a run that changes something below one of `folders`, in order.
pub(crate) fn points(
    tool: &Path,
    command: &Command,
    log: &Path,
    folders: &[PathBuf],
) -> Vec<Point> {
    let arguments = ["-y".to_owned(), "-s0".to_owned(), "-o".to_owned(), log.display().to_string()];
    let trace = ["-e".to_owned(), format!("trace={}", CALLS.join(","))];
    run(&mut below(tool, &[&arguments[..], &trace[..]].concat(), command)).expect_code(0);
    let text = fs::read_to_string(log).expect("the trace");
    let mut threads: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((call, said)) = rest.trim_start().split_once('(') else { continue };
        if !CALLS.contains(&call) {
            continue;
        }
        let count = counts.entry((thread, call)).or_default();
        *count += 1;
        if changes(call, said) && folders.iter().any(|folder| concerns(said, folder)) {
            let point = Point { call: call.to_owned(), at: *count, line: rest.trim().to_owned() };
            threads.entry(thread).or_default().push(point);
        }
    }
    threads.into_values().max_by_key(Vec::len).unwrap_or_default()
}

/// A path stands in quotes or, resolved from a descriptor, in angle brackets.
fn concerns(said: &str, folder: &Path) -> bool {
    let whole = folder.display().to_string();
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    said.contains(&whole) || said.contains(&format!("\"{name}"))
}

fn changes(call: &str, said: &str) -> bool {
    call != "openat" || ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| said.contains(flag))
}

/// Runs the command with a fault at a point.
pub(crate) fn inject(tool: &Path, command: &Command, fault: Fault, point: &Point) -> Finished {
    let Point { call, at, .. } = point;
    let arguments = [
        "-o".to_owned(),
        "/dev/null".to_owned(),
        "-e".to_owned(),
        format!("trace={call}"),
        "-e".to_owned(),
        format!("inject={call}:{}:when={at}", fault.words()),
    ];
    run(&mut below(tool, &arguments, command))
}

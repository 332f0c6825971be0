//! Exec, fork and exit on the live kernel, compared with what the host says of the same files and processes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::live::{Live, Record, own_calls, start};
use eyas_abi::RecordFlags;
use eyas_probe::{Counter, Options};

const NS: i64 = 1_000_000_000;

pub(crate) fn true_path() -> PathBuf {
    ["/bin/true", "/usr/bin/true"]
        .iter()
        .find_map(|path| fs::canonicalize(path).ok())
        .expect("a `true` program")
}

/// A copy of a small program under a name of its own.
///
/// Another process makes it: were it written here, a child that some other test starts meanwhile would
/// hold the file open for writing until its own exec, and the kernel would refuse to run it (ETXTBSY).
pub(crate) fn copy_of_true(directory: &Path, name: &str) -> PathBuf {
    let path = directory.join(name);
    let copied = Command::new("install").args(["-m", "755"]).arg(true_path()).arg(&path).status();
    assert!(copied.as_ref().is_ok_and(std::process::ExitStatus::success), "{copied:?}");
    path
}

fn exec_of(live: &mut Live, pid: u32) -> Record {
    live.wait_for("execve", |r| {
        r.name == "execve" && r.header.tgid == pid && r.int("res") == Some(0)
    })
}

#[test]
fn an_exec_carries_every_argument_and_the_exact_facts_of_its_file() {
    let Some(mut live) = start(&[], &Options::default()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = copy_of_true(directory.path(), "exec-me");
    let arguments: Vec<String> = (0..200).map(|i| format!("arg {i}")).collect();
    let mut child = Command::new(&path)
        .args(&arguments)
        .env("EYAS_TEST", "kept out")
        .current_dir(directory.path())
        .spawn()
        .unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let exec = exec_of(&mut live, pid);

    assert_eq!(exec.text("exe").as_deref(), path.to_str());
    assert_eq!(exec.list("args"), arguments);
    assert_eq!(exec.text("comm").as_deref(), Some("exec-me"));
    assert_eq!(exec.int("pid"), Some(i64::from(pid)));
    assert_eq!(exec.int("ptid"), Some(i64::from(std::process::id())));
    let real = fs::canonicalize(&path).unwrap();
    assert_eq!(exec.text("trusted_exepath").as_deref(), real.to_str());
    assert_eq!(exec.text("filename").as_deref(), path.to_str());
    let cwd = fs::canonicalize(directory.path()).unwrap();
    assert_eq!(exec.text("cwd").as_deref(), cwd.to_str());
    assert!(exec.raw("env").is_empty(), "the environment is sent only when asked for");
    assert!(exec.int("eyas_env_len") > Some(0), "but its size is known");
    let args_len: usize =
        path.as_os_str().len() + 1 + arguments.iter().map(|a| a.len() + 1).sum::<usize>();
    assert_eq!(exec.int("eyas_args_len"), Some(args_len as i64));

    let file = fs::metadata(&path).unwrap();
    assert_eq!(exec.int("exe_ino"), Some(file.ino() as i64));
    assert_eq!(exec.int("exe_ino_ctime"), Some(file.ctime() * NS + file.ctime_nsec()));
    assert_eq!(exec.int("exe_ino_mtime"), Some(file.mtime() * NS + file.mtime_nsec()));
    assert_eq!(exec.int("eyas_exe_nlink"), Some(1));
    let dev = file.dev();
    let (major, minor) = (rustix::fs::major(dev), rustix::fs::minor(dev));
    let dev = i64::from((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12));
    assert_eq!(exec.int("eyas_exe_dev"), Some(dev));

    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = |key: &str| {
        let found = status.lines().find_map(|text| text.strip_prefix(key)).unwrap();
        i64::from_str_radix(found.trim(), 16).unwrap()
    };
    assert_eq!(exec.int("cap_effective"), Some(mask("CapEff:")));
    assert_eq!(exec.int("cap_permitted"), Some(mask("CapPrm:")));
    assert_eq!(exec.int("cap_inheritable"), Some(mask("CapInh:")));
    let uid = i64::from(rustix::process::geteuid().as_raw());
    assert_eq!(exec.int("uid"), Some(uid));
    assert_eq!(exec.int("eyas_ruid"), Some(i64::from(rustix::process::getuid().as_raw())));
    // As the innermost pid namespace numbers them: 0 for a leader outside of it, which is how a
    // program that was started by `unshare --pid` or in a container sees its session.
    let innermost = |key: &str| {
        let found = status.lines().find_map(|text| text.strip_prefix(key)).unwrap();
        found.split_whitespace().next_back().unwrap().parse::<i64>().ok()
    };
    assert_eq!(exec.int("pgid"), innermost("NSpgid:"));
    assert_eq!(exec.int("eyas_sid"), innermost("NSsid:"));
    let namespace = |name: &str| {
        let link = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        let text = link.to_str().unwrap();
        text[text.find('[').unwrap() + 1..text.len() - 1].parse::<i64>().ok()
    };
    assert_eq!(exec.int("eyas_pidns"), namespace("pid"));
    assert_eq!(exec.int("eyas_mntns"), namespace("mnt"));
    assert_eq!(exec.int("eyas_userns"), namespace("user"));
    let login =
        fs::read_to_string("/proc/self/loginuid").ok().and_then(|text| text.trim().parse().ok());
    if let Some(login) = login {
        assert_eq!(exec.int("loginuid"), Some(login));
    }
    let cgroup = fs::read_to_string("/proc/self/cgroup").unwrap();
    if let Some(path) = cgroup.lines().find_map(|line| line.strip_prefix("0::"))
        && !cgroup.contains(":memory:")
        && in_first_cgroup_namespace()
    {
        assert_eq!(exec.list("cgroups"), [format!("={path}")]);
    }
    assert!(!exec.header.flags.has(RecordFlags::TRUNCATED));
}

/// Whether paths of `/proc/self/cgroup` start where the kernel's own do (`PROC_CGROUP_INIT_INO`).
fn in_first_cgroup_namespace() -> bool {
    fs::read_link("/proc/self/ns/cgroup")
        .is_ok_and(|link| link.as_os_str() == "cgroup:[4026531835]")
}

#[test]
fn a_process_comes_as_fork_exec_exit_in_that_order() {
    let Some(mut live) = start(&[], &Options::default()) else { return };
    let mut child = Command::new("/bin/sh").args(["-c", "exit 7"]).spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let end = live.wait_for("procexit", |r| r.name == "procexit" && r.header.tgid == pid);
    let fork = live
        .wait_for("fork", |r| r.name == "clone" && r.header.tgid == pid && r.int("res") == Some(0));
    let exec = exec_of(&mut live, pid);
    assert!(fork.header.time <= exec.header.time && exec.header.time <= end.header.time);
    assert_eq!(fork.header.start, exec.header.start, "the start names the process");
    assert_eq!(exec.header.start, end.header.start);
    assert_eq!(fork.int("eyas_start"), Some(fork.header.start as i64));
    assert_eq!(fork.int("ptid"), Some(i64::from(std::process::id())));
    assert_eq!(end.int("ret"), Some(7));
    assert_eq!(end.int("sig"), Some(0));
    assert_eq!(end.int("eyas_group_dead"), Some(1));
}

#[test]
fn a_thread_is_told_from_a_process() {
    let Some(mut live) = start(&[], &Options::default()) else { return };
    let tid = std::thread::spawn(|| rustix::thread::gettid().as_raw_nonzero().get() as u32)
        .join()
        .unwrap();
    let fork = live.wait_for("thread", |r| r.name == "clone" && r.header.tid == tid);
    assert_eq!(fork.header.tgid, std::process::id());
    assert_eq!(fork.int("flags").unwrap() & 0x2000, 0x2000, "CLONE_THREAD");
    let end = live.wait_for("its end", |r| r.name == "procexit" && r.header.tid == tid);
    assert_eq!(end.int("eyas_group_dead"), Some(0));
}

#[test]
fn too_many_arguments_are_cut_marked_and_counted() {
    let Some(mut live) = start(&[], &Options::default()) else { return };
    let before = live.counters().get(Counter::CutArguments);
    let long = "x".repeat(100_000);
    let mut child = Command::new(true_path()).args([&long, "last"]).spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let exec = exec_of(&mut live, pid);
    assert_eq!(exec.raw("args").len(), eyas_probe::ARGS_DEFAULT as usize);
    assert!(exec.header.flags.has(RecordFlags::TRUNCATED));
    assert!(exec.int("eyas_args_len") > Some(100_000), "the true size is known");
    assert!(live.counters().get(Counter::CutArguments) > before);
}

#[test]
fn arguments_up_to_the_setting_are_whole() {
    let options = Options { args_bytes: eyas_probe::ARGS_MAX, ..Options::default() };
    let Some(mut live) = start(&[], &options) else { return };
    for (len, whole) in
        [(eyas_probe::ARGS_MAX as usize - 1, true), (eyas_probe::ARGS_MAX as usize, false)]
    {
        let argument = "y".repeat(len);
        let mut child = Command::new(true_path()).arg(&argument).spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        let exec = exec_of(&mut live, pid);
        assert_eq!(exec.raw("args").len(), eyas_probe::ARGS_MAX as usize);
        assert_eq!(exec.header.flags.has(RecordFlags::TRUNCATED), !whole);
    }
}

#[test]
fn the_environment_comes_when_asked_for() {
    let options = Options { env_bytes: 4096, ..Options::default() };
    let Some(mut live) = start(&[], &options) else { return };
    let mut child = Command::new(true_path())
        .env_clear()
        .env("A", "1")
        .env("EYAS_TEST", "x=y")
        .spawn()
        .unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let exec = exec_of(&mut live, pid);
    assert_eq!(exec.list("env"), ["A=1", "EYAS_TEST=x=y"]);
    live.probe.set_env_bytes(0).unwrap();
    let mut child = Command::new(true_path()).spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    assert!(exec_of(&mut live, pid).raw("env").is_empty());
}

#[test]
fn a_failed_exec_is_reported_with_its_arguments() {
    let Some(mut live) = start(&["execve"], &own_calls()) else { return };
    let missing = "/nonexistent/eyas-test";
    assert!(Command::new(missing).args(["one", "two"]).spawn().is_err());
    let exec = live.wait_for("failed execve", |r| {
        r.name == "execve" && r.text("filename").as_deref() == Some(missing)
    });
    assert_eq!(exec.int("res"), Some(-2));
    assert_eq!(exec.text("exe").as_deref(), Some(missing));
    assert_eq!(exec.list("args"), ["one", "two"]);
}

#[test]
fn a_memfd_is_known_as_such() {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    let Some(mut live) = start(&[], &Options::default()) else { return };
    let memfd = rustix::fs::memfd_create("eyas-memfd", rustix::fs::MemfdFlags::empty()).unwrap();
    let mut file = fs::File::from(memfd);
    file.write_all(&fs::read(true_path()).unwrap()).unwrap();
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    // a file that is open for writing cannot be executed: open it again for reading and close the first
    let reader = fs::File::open(&path).unwrap();
    let path = format!("/proc/{}/fd/{}", std::process::id(), reader.as_raw_fd());
    drop(file);
    let mut child = Command::new(&path).spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let exec = exec_of(&mut live, pid);
    assert_eq!(exec.int("flags").unwrap() & 4, 4, "EXE_FROM_MEMFD");
    assert_eq!(exec.text("trusted_exepath").as_deref(), Some("memfd:eyas-memfd"));
}

#[test]
fn a_program_whose_file_is_gone_is_marked_as_such() {
    let Some(mut live) = start(&[], &Options::default()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = copy_of_true(directory.path(), "soon-gone");
    let file = fs::File::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let mut child = Command::new(format!("/proc/{}/fd/{}", std::process::id(), {
        use std::os::fd::AsRawFd;
        file.as_raw_fd()
    }))
    .spawn()
    .unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let exec = exec_of(&mut live, pid);
    let real = fs::canonicalize(directory.path()).unwrap().join("soon-gone");
    let marked = format!("{} (deleted)", real.display());
    assert_eq!(exec.text("trusted_exepath"), Some(marked));
    assert!(!exec.header.flags.has(RecordFlags::TRUNCATED));
}

#[test]
fn a_clone_says_what_was_asked_for() {
    let Some(mut live) = start(&["clone", "clone3", "vfork"], &Options::default()) else { return };
    let mut child = Command::new("unshare").args(["--fork", "--uts", "true"]).spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let from_parent = live.wait_for("the parent's side", |r| {
        r.name.starts_with("clone") && r.header.tgid == pid && r.int("res") > Some(0)
    });
    // fork of the C library: CLONE_CHILD_SETTID and CLONE_CHILD_CLEARTID
    assert_eq!(from_parent.int("flags"), Some(0x180_0000));
}

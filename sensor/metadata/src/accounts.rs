//! Users and groups of a container, from its own files, which the container controls: each is looked for
//! below the container's root only, links included, and read only if it is a file and not too large.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use eyas_state::Host;
use eyas_state::container::{Accounts, Witness};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};

use crate::Places;
use crate::files::Files;

/// Largest table that is read, in bytes.
const MAX_TABLE: u64 = 1024 * 1024;

/// The tables below the root of a process; `None` when it sees the host's root, as a runtime does before
/// it has made the container, or is gone.
pub(crate) fn of_process(places: &Places, pid: u32) -> Option<Accounts> {
    let processes = places.root.join("proc");
    let root = processes.join(pid.to_string()).join("root");
    let identity = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let own = identity(&root)?;
    // The first process may be hidden from us; then what is known of the host's root must do.
    let first = processes.join("1/root");
    let hosts = [first.as_path(), &places.root, Path::new("/")];
    hosts.iter().all(|host| identity(host) != Some(own)).then(|| below(&root))
}

/// What tells one state of a container's tables from another: inode, time of change and size of each; nothing for one
/// that is not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tables([Option<(u64, i64, i64, u64)>; 2]);

/// The tables below the root of a process, if they are in another state than `seen`; `None` when they are not, or the
/// process is gone or elsewhere by now.
pub fn changed(places: &Places, witness: Witness, seen: &mut Tables) -> Option<Accounts> {
    let processes = places.root.join("proc");
    let namespace = format!("proc/{}/ns/mnt", witness.pid);
    let known = witness.mount_namespace;
    if known != 0 && Files(&places.root).namespace(&namespace, "mnt") != Some(known.into()) {
        return None;
    }
    let root = processes.join(witness.pid.to_string()).join("root");
    if !root.exists() {
        return None;
    }
    let state = |path: &str| {
        let found = open(&root, path)?.metadata().ok()?;
        Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
    };
    let now = Tables([state("etc/passwd"), state("etc/group")]);
    if now == *seen {
        return None;
    }
    let accounts = of_process(places, witness.pid)?;
    *seen = now;
    Some(accounts)
}

fn below(root: &Path) -> Accounts {
    let table = |path: &str| read(root, path).unwrap_or_default();
    Accounts {
        users: Host::read_users(&table("etc/passwd")),
        groups: Host::read_groups(&table("etc/group")),
    }
}

fn open(root: &Path, path: &str) -> Option<File> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, root, folder, Mode::empty()).ok()?;
    // Not waiting for whoever writes to a pipe that lies there.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(&root, path, flags, Mode::empty(), inside).ok().map(File::from)
}

fn read(root: &Path, path: &str) -> Option<Vec<u8>> {
    let file = open(root, path)?;
    let found = file.metadata().ok()?;
    if !found.is_file() || found.len() > MAX_TABLE {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MAX_TABLE).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn tables_are_read_below_the_root_wherever_links_lead() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(&outside, "host:x:7:7::/:/bin/sh\n").unwrap();
        fs::write(root.join("users"), "web:x:33:33::/www:/bin/false\n").unwrap();
        fs::write(root.join("etc/group"), "www:x:33:\n").unwrap();
        symlink("/users", root.join("etc/passwd")).unwrap();
        let found = below(&root);
        assert_eq!(&*found.users[&33].name, b"web");
        assert_eq!(&*found.groups[&33].name, b"www");
        for target in ["../../outside", outside.to_str().unwrap(), "/proc/self/environ"] {
            fs::remove_file(root.join("etc/passwd")).unwrap();
            symlink(target, root.join("etc/passwd")).unwrap();
            assert!(below(&root).users.is_empty(), "{target}");
        }
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc/group")).unwrap();
        let pipe = dir.path().join("etc/passwd");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(below(dir.path()), Accounts::default());
    }

    #[test]
    fn a_process_that_sees_the_hosts_root_is_in_no_container_yet() {
        let places = Places { root: "/".into(), ..Places::default() };
        assert_eq!(of_process(&places, std::process::id()), None);
    }
}

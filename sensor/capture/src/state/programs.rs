//! What a thread runs and as whom: exec, working directory and root, user and group, capabilities,
//! session, name and limits.

use std::sync::Arc;

use eyas_abi::value;
use eyas_state::{ExeFlags, Image, Process};

use super::thread::Enter;
use super::{Now, State, code};

/// Parameters of an exec.
mod at {
    pub(super) const EXE: usize = 1;
    pub(super) const ARGS: usize = 2;
    pub(super) const PID: usize = 4;
    pub(super) const PTID: usize = 5;
    pub(super) const FD_LIMIT: usize = 7;
    pub(super) const FAULTS: usize = 8;
    pub(super) const MEMORY: usize = 10;
    pub(super) const COMM: usize = 13;
    pub(super) const CGROUPS: usize = 14;
    pub(super) const ENV: usize = 15;
    pub(super) const TTY: usize = 16;
    pub(super) const VPGID: usize = 17;
    pub(super) const LOGINUID: usize = 18;
    pub(super) const FLAGS: usize = 19;
    pub(super) const CAP_INHERITABLE: usize = 20;
    pub(super) const CAP_PERMITTED: usize = 21;
    pub(super) const CAP_EFFECTIVE: usize = 22;
    pub(super) const INODE: usize = 23;
    pub(super) const CTIME: usize = 24;
    pub(super) const MTIME: usize = 25;
    pub(super) const UID: usize = 26;
    pub(super) const EXE_PATH: usize = 27;
    pub(super) const PGID: usize = 28;
    pub(super) const GID: usize = 29;
}

/// `execveat` of the descriptor itself.
const EMPTY_PATH: u64 = 0x1;
/// A set of the capabilities that exist.
const ALL_CAPABILITIES: u64 = (1 << 41) - 1;
const NEW_USER_NAMESPACE: u64 = 0x10_0000;
/// `prctl` options that mark a process as one that takes over orphans, and that ask for the mark.
const SET_SUBREAPER: u64 = 0x24;
const GET_SUBREAPER: u64 = 0x25;
/// Limit on descriptors.
const NOFILE: u64 = 7;

impl State {
    pub(super) fn exec(&mut self, now: &Now<'_>) {
        if !now.succeeded() {
            return;
        }
        let path = self.executed(now);
        self.leave_threads(now.tid);
        let Some(thread) = self.threads.get_mut(&now.tid) else { return };
        let stranger = std::mem::take(&mut thread.placeholder);
        if let Some(pid) = now.unsigned(at::PID).filter(|pid| *pid != u64::MAX) {
            thread.pid = pid;
        }
        if let Some(uid) = now.unsigned(at::UID) {
            thread.uid = uid as u32;
        }
        if let Some(gid) = now.unsigned(at::GID) {
            thread.gid = gid as u32;
        }
        if thread.vtid < 0 {
            thread.vtid = now.tid as i64;
        }
        if thread.vpid < 0 {
            thread.vpid = thread.pid as i64;
        }
        let before = thread.fds.len();
        thread.fds.retain(|_, open| !open.close_on_exec);
        let closed = before - thread.fds.len();
        let (pid, vpid) = (thread.pid, thread.vpid);
        self.descriptors -= closed;
        if stranger && let Some(ptid) = now.unsigned(at::PTID) {
            self.descend(now.tid, ptid);
        }
        self.tables.edit(now.tid as u32, |process| {
            process.pid = pid as u32;
            if process.placeholder {
                process.vpid = vpid as u32;
                process.placeholder = false;
            }
            if stranger {
                process.cwd = Arc::from([]);
                process.image = Arc::default();
            }
            run(now, process, path.as_deref());
        });
    }

    /// Says who the parent of a thread is that was heard of without one.
    fn descend(&mut self, tid: u64, ptid: u64) {
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.ptid = ptid;
        }
        self.note_kin(tid, tid, ptid);
        let parent = self.parent(ptid);
        self.tables.edit(tid as u32, |process| process.parent = parent);
    }

    /// An exec ends all other threads of a process.
    fn leave_threads(&mut self, tid: u64) {
        let Some(thread) = self.threads.get(&tid) else { return };
        let pid = thread.pid;
        let members = self.threads.get_mut(&pid).map(|main| std::mem::take(&mut main.members));
        for member in members.into_iter().flatten().filter(|member| *member != tid) {
            self.remove(member);
        }
    }

    /// The program file: as the kernel resolved it, or as the call named it.
    fn executed(&self, now: &Now<'_>) -> Option<Vec<u8>> {
        if let Some(path) = now.text(at::EXE_PATH) {
            return Some(path.to_vec());
        }
        let unknown = || b"<NA>".to_vec();
        let enter = self.threads.get(&now.tid)?.enter.as_ref()?;
        match enter.code {
            code::EXECVE_ENTER => Some(match value::text(enter.param(0)) {
                Some(path) if path != b"<NA>" => self.join(now.tid, super::AT_FDCWD, path),
                _ => unknown(),
            }),
            code::EXECVEAT_ENTER => Some(self.executed_at(now.tid, enter).unwrap_or_else(unknown)),
            _ => None,
        }
    }

    /// The program file of an `execveat`.
    fn executed_at(&self, tid: u64, enter: &Enter) -> Option<Vec<u8>> {
        let dirfd = value::int(enter.param(0), true)?;
        let flags = value::int(enter.param(2), false).unwrap_or(0) as u64;
        if flags & EMPTY_PATH != 0 {
            return self.open(tid, dirfd).map(|open| open.name.to_vec());
        }
        value::text(enter.param(1)).map(|path| self.join(tid, dirfd, path))
    }

    /// What else changes a process.
    pub(super) fn change_process(&mut self, now: &Now<'_>) {
        if !now.succeeded() {
            return;
        }
        match now.code {
            code::CHDIR => {
                if let Some(path) = now.text(1) {
                    let path = self.join(now.tid, super::AT_FDCWD, path);
                    self.move_to(now.tid, &path);
                }
            }
            code::FCHDIR => {
                let path = now.int(1).and_then(|fd| self.open(now.tid, fd)).map(|d| d.name.clone());
                if let Some(path) = path {
                    self.move_to(now.tid, &path);
                }
            }
            code::GETCWD => {
                if let Some(path) = now.text(1) {
                    self.move_to(now.tid, path);
                }
            }
            code::CHROOT => {
                if let Some(path) = now.text(1) {
                    let path = self.join(now.tid, super::AT_FDCWD, path);
                    if let Some(thread) = self.threads.get_mut(&now.tid) {
                        thread.root = path.into();
                    }
                }
            }
            code::SETSID => {
                let sid = now.result.unwrap_or(0) as u32;
                self.tables.edit(now.tid as u32, |process| process.sid = sid);
            }
            code::CAPSET => self.set_capabilities(now),
            code::UNSHARE | code::SETNS => self.enter_namespace(now),
            code::PRCTL => self.mark_reaper(now),
            _ => self.change_ids(now),
        }
    }

    fn move_to(&mut self, tid: u64, path: &[u8]) {
        let cwd = with_slash(path);
        let owner = self.owner(tid);
        self.tables.edit(owner as u32, |process| process.cwd = cwd);
    }

    fn set_capabilities(&mut self, now: &Now<'_>) {
        let [inheritable, permitted, effective] = [1, 2, 3].map(|index| now.unsigned(index));
        self.tables.edit(now.tid as u32, |process| {
            process.cap_inheritable = inheritable.unwrap_or(process.cap_inheritable);
            process.cap_permitted = permitted.unwrap_or(process.cap_permitted);
            process.cap_effective = effective.unwrap_or(process.cap_effective);
        });
    }

    /// Whoever makes or enters a user namespace may do anything in it.
    fn enter_namespace(&mut self, now: &Now<'_>) {
        let flags = now.unsigned(if now.code == code::UNSHARE { 1 } else { 2 }).unwrap_or(0);
        if flags & NEW_USER_NAMESPACE == 0 {
            return;
        }
        self.tables.edit(now.tid as u32, |process| {
            process.cap_inheritable = ALL_CAPABILITIES;
            process.cap_permitted = ALL_CAPABILITIES;
            process.cap_effective = ALL_CAPABILITIES;
        });
    }

    fn mark_reaper(&mut self, now: &Now<'_>) {
        let (option, mark) = (now.unsigned(1), now.int(3));
        if matches!(option, Some(SET_SUBREAPER | GET_SUBREAPER))
            && let Some(mark) = mark
        {
            let owner = self.owner(now.tid);
            if let Some(main) = self.threads.get_mut(&owner) {
                main.reaper = mark != 0;
            }
        }
    }

    fn change_ids(&mut self, now: &Now<'_>) {
        // Which parameter is the effective id.
        let (index, is_user) = match now.ty.name {
            "setuid" => (1, true),
            "setreuid" | "setresuid" => (2, true),
            "setgid" => (1, false),
            "setregid" | "setresgid" => (2, false),
            "setrlimit" | "getrlimit" | "prlimit" => return self.limit(now),
            _ => return,
        };
        // All ones leave an id as it is.
        let id = now.unsigned(index).map(|id| id as u32).filter(|id| *id != u32::MAX);
        if let (Some(id), Some(thread)) = (id, self.threads.get_mut(&now.tid)) {
            *(if is_user { &mut thread.uid } else { &mut thread.gid }) = id;
        }
    }

    fn limit(&mut self, now: &Now<'_>) {
        let (resource, new) = match now.ty.name {
            "prlimit" => (6, now.int(1).filter(|limit| *limit != -1).or_else(|| now.int(3))),
            _ => (3, now.int(1)),
        };
        let own = now.ty.name != "prlimit" || matches!(now.int(5), None | Some(0));
        if let (true, Some(NOFILE), Some(new)) = (own, now.unsigned(resource), new) {
            let owner = self.owner(now.tid);
            self.tables.edit(owner as u32, |process| process.fd_limit = new);
        }
    }

    /// A thread gives the processor to another one; what it used by then is told.
    pub(super) fn count_faults(&mut self, now: &Now<'_>) {
        let [major, minor] = [1, 2].map(|index| now.unsigned(index));
        let memory = [3, 4, 5].map(|index| now.unsigned(index).map(|kb| kb as u32));
        if major.is_none() && memory[0].is_none() {
            return;
        }
        self.tables.edit(now.tid as u32, |process| {
            process.faults =
                [major.unwrap_or(process.faults[0]), minor.unwrap_or(process.faults[1])];
            for (slot, told) in process.memory.iter_mut().zip(memory) {
                *slot = told.unwrap_or(*slot);
            }
        });
    }
}

/// Puts a new program into a process.
fn run(now: &Now<'_>, process: &mut Process, path: Option<&[u8]>) {
    let old = Arc::clone(&process.image);
    let exe = now.text(at::EXE).unwrap_or(&old.exe);
    let comm = now.text(at::COMM).unwrap_or_else(|| old.comm.as_bytes());
    let mut image = Image::new(comm, exe, now.bytes(at::ARGS));
    image.exe_path = path.map_or_else(|| old.exe_path.clone(), Into::into);
    image.environment = match now.bytes(at::ENV) {
        [] => old.environment.clone(),
        environment => environment.into(),
    };
    image.exe_inode = now.unsigned(at::INODE).unwrap_or(0);
    image.exe_ctime_ns = now.unsigned(at::CTIME).unwrap_or(0);
    image.exe_mtime_ns = now.unsigned(at::MTIME).unwrap_or(0);
    image.exe_flags = ExeFlags(now.unsigned(at::FLAGS).unwrap_or(0) as u32);
    process.image = Arc::new(image);
    process.threads = 0;
    process.fd_limit = now.int(at::FD_LIMIT).unwrap_or(process.fd_limit);
    for (offset, slot) in process.faults.iter_mut().enumerate() {
        *slot = now.unsigned(at::FAULTS + offset).unwrap_or(*slot);
    }
    for (offset, slot) in process.memory.iter_mut().enumerate() {
        *slot = now.unsigned(at::MEMORY + offset).map_or(*slot, |kb| kb as u32);
    }
    if !now.bytes(at::CGROUPS).is_empty() {
        process.cgroups = cgroups(now.bytes(at::CGROUPS));
    }
    let id = |index: usize, old: u32| now.unsigned(index).map_or(old, |id| id as u32);
    process.tty = id(at::TTY, process.tty);
    process.vpgid = id(at::VPGID, process.vpgid);
    process.loginuid = id(at::LOGINUID, process.loginuid);
    process.pgid = id(at::PGID, u32::MAX);
    process.cap_inheritable = now.unsigned(at::CAP_INHERITABLE).unwrap_or(process.cap_inheritable);
    process.cap_permitted = now.unsigned(at::CAP_PERMITTED).unwrap_or(process.cap_permitted);
    process.cap_effective = now.unsigned(at::CAP_EFFECTIVE).unwrap_or(process.cap_effective);
}

/// A directory with the slash that working directories end in.
pub(super) fn with_slash(path: &[u8]) -> Arc<[u8]> {
    match path.last() {
        Some(b'/') | None => Arc::from(path),
        Some(_) => Arc::from([path, b"/"].concat()),
    }
}

/// Control groups under the names the kernel gives them now.
pub(super) fn cgroups(list: &[u8]) -> Arc<[u8]> {
    let mut out = Vec::with_capacity(list.len() + 1);
    for entry in value::list(list) {
        let split = entry.iter().position(|byte| *byte == b'=').unwrap_or(entry.len());
        let (name, path) = entry.split_at(split);
        let name = name.strip_suffix(b"_cgroup").unwrap_or(name);
        out.extend_from_slice(match name {
            b"perf" => b"perf_event",
            b"mem" => b"memory",
            b"io" => b"blkio",
            name => name,
        });
        out.extend_from_slice(path);
        out.push(0);
    }
    Arc::from(out)
}

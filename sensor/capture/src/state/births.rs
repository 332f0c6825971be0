//! Births, seen by the parent, by the child or by both, in either order; and deaths.

#![expect(clippy::similar_names, reason = "everybody calls them tid, pid and ptid")]

use std::sync::Arc;

use eyas_state::{Image, Parent, Process};

use super::thread::{OpenTable, Thread};
use super::{Ending, Now, State, code};

/// Events that belong together come within this time.
const TOGETHER_NS: u64 = 2_000_000_000;

/// Parameters of a birth.
mod at {
    pub(super) const EXE: usize = 1;
    pub(super) const ARGS: usize = 2;
    pub(super) const PID: usize = 4;
    pub(super) const PTID: usize = 5;
    pub(super) const CWD: usize = 6;
    pub(super) const FD_LIMIT: usize = 7;
    pub(super) const FAULTS: usize = 8;
    pub(super) const MEMORY: usize = 10;
    pub(super) const COMM: usize = 13;
    pub(super) const CGROUPS: usize = 14;
    pub(super) const FLAGS: usize = 15;
    pub(super) const UID: usize = 16;
    pub(super) const GID: usize = 17;
    pub(super) const VTID: usize = 18;
    pub(super) const VPID: usize = 19;
    pub(super) const PIDNS_START: usize = 20;
}

mod flag {
    pub(super) const NEW_PID: u64 = 0x40;
    pub(super) const PARENT: u64 = 0x100;
    pub(super) const THREAD: u64 = 0x2000;
    pub(super) const VFORK: u64 = 0x800_0000;
    pub(super) const CHILD_IN_PIDNS: u64 = 0x2000_0000;
}

/// Who is born from whom.
struct Birth {
    tid: u64,
    pid: u64,
    ptid: u64,
    vtid: i64,
    vpid: i64,
    /// Whose facts it inherits.
    model: u64,
    inverted: bool,
}

impl State {
    pub(super) fn birth(&mut self, now: &Now<'_>) {
        match now.result {
            Some(0) => self.born(now),
            Some(child @ 1..) => self.bore(now, child as u64),
            _ => {}
        }
    }

    /// The parent's side.
    fn bore(&mut self, now: &Now<'_>, child: u64) {
        if self.threads.get(&now.tid).is_none_or(|thread| thread.placeholder) {
            self.describe_caller(now);
        }
        let Some(caller) = self.threads.get(&now.tid) else { return };
        let flags = now.unsigned(at::FLAGS).unwrap_or(0);
        let elsewhere = flag::CHILD_IN_PIDNS | flag::NEW_PID | flag::PARENT | flag::VFORK;
        // Where the child has other ids or shares the parent's memory, its own event says more.
        if flags & elsewhere != 0
            || now.code == code::VFORK
            || (caller.vtid >= 0 && caller.vtid as u64 != now.tid)
        {
            return;
        }
        let (process, parent) = (caller.pid, caller.ptid);
        match self.threads.get_mut(&child) {
            Some(known) if known.inverted => {
                known.inverted = false;
                return;
            }
            Some(_) => self.remove(child),
            None => {}
        }
        let is_thread = flags & flag::THREAD != 0;
        let birth = Birth {
            tid: child,
            pid: if is_thread { process } else { child },
            ptid: if is_thread { parent } else { now.tid },
            vtid: child as i64,
            vpid: if is_thread { process as i64 } else { child as i64 },
            model: now.tid,
            inverted: false,
        };
        self.bear(now, &birth);
    }

    /// The child's side.
    fn born(&mut self, now: &Now<'_>) {
        if let Some(known) = self.threads.get(&now.tid) {
            if !known.placeholder && now.time.saturating_sub(known.cloned_ns) < TOGETHER_NS {
                return;
            }
            self.remove(now.tid);
        }
        let id = |index: usize| now.unsigned(index).filter(|id| *id != u64::MAX);
        let pid = id(at::PID).unwrap_or(now.tid);
        let is_thread = pid != now.tid || now.unsigned(at::FLAGS).unwrap_or(0) & flag::THREAD != 0;
        let ptid = id(at::PTID).unwrap_or(0);
        let birth = Birth {
            tid: now.tid,
            pid,
            ptid,
            vtid: now.int(at::VTID).unwrap_or(now.tid as i64),
            vpid: now.int(at::VPID).unwrap_or(pid as i64),
            model: if is_thread { pid } else { ptid },
            inverted: true,
        };
        self.bear(now, &birth);
    }

    /// A caller that nobody has heard of describes itself in its event.
    fn describe_caller(&mut self, now: &Now<'_>) {
        let id = |index: usize| now.unsigned(index).filter(|id| *id != u64::MAX);
        let pid = id(at::PID).unwrap_or(now.tid);
        let birth = Birth {
            tid: now.tid,
            pid,
            ptid: id(at::PTID).unwrap_or(0),
            vtid: now.int(at::VTID).unwrap_or(now.tid as i64),
            vpid: now.int(at::VPID).unwrap_or(pid as i64),
            model: u64::MAX,
            inverted: false,
        };
        self.bear(now, &birth);
        if let Some(thread) = self.threads.get_mut(&now.tid) {
            thread.cloned_ns = 0;
        }
    }

    fn bear(&mut self, now: &Now<'_>, birth: &Birth) {
        let is_thread = birth.pid != birth.tid;
        if is_thread && !self.threads.contains_key(&birth.pid) {
            self.hear_of(birth.pid);
        }
        let model = self.tables.get(birth.model as u32).filter(|model| !model.placeholder).cloned();
        let owner = self.owner(birth.model);
        let mut process = match &model {
            Some(model) => model.clone(),
            None => stranger(birth.pid),
        };
        describe(now, &mut process, model.as_ref());
        process.pid = birth.pid as u32;
        process.vpid = birth.vpid as u32;
        process.start_ns = now.time;
        process.parent = self.parent(birth.ptid);
        process.threads = 0;
        if let Some(main) = self.tables.get(owner as u32).filter(|_| model.is_some()) {
            process.cwd = Arc::clone(&main.cwd);
        }
        let fds = if is_thread { OpenTable::default() } else { self.copy_of(owner) };
        let (root, ids) = self
            .threads
            .get(&birth.model)
            .map_or((Box::default(), (u32::MAX, u32::MAX)), |m| (m.root.clone(), (m.uid, m.gid)));
        let id = |index: usize, old: u32| now.unsigned(index).map_or(old, |id| id as u32);
        let thread = Thread {
            pid: birth.pid,
            ptid: birth.ptid,
            vtid: birth.vtid,
            vpid: birth.vpid,
            uid: id(at::UID, ids.0),
            gid: id(at::GID, ids.1),
            cloned_ns: now.time,
            root,
            fds,
            inverted: birth.inverted,
            ..Thread::default()
        };
        self.insert(birth.tid, thread, process);
        self.note_kin(birth.tid, birth.pid, birth.ptid);
    }

    /// Tells parent and process of a thread that it exists.
    pub(super) fn note_kin(&mut self, tid: u64, pid: u64, ptid: u64) {
        if pid != tid {
            if let Some(main) = self.threads.get_mut(&pid) {
                main.members.insert(tid);
            }
            self.count_threads(pid, 0);
        }
        if self.threads.get_mut(&ptid).is_some_and(|parent| parent.add_child(tid)) {
            let Self { threads, .. } = self;
            let mut children =
                threads.get_mut(&ptid).map(|p| std::mem::take(&mut p.children)).unwrap_or_default();
            children.retain(|child| threads.get(child).is_some_and(|child| child.ptid == ptid));
            if let Some(parent) = threads.get_mut(&ptid) {
                parent.children = children;
            }
        }
    }

    /// Writes down how many threads a process has beside one, `leaving` of them not counted any more.
    pub(super) fn count_threads(&mut self, pid: u64, leaving: u32) {
        let Some(main) = self.threads.get(&pid) else { return };
        let gone = leaving + u32::from(main.dead);
        let count = (main.members.len() as u32).saturating_sub(gone);
        self.tables.edit(pid as u32, |process| process.threads = count);
    }

    /// A parent as the table of processes has it: the main thread of the process that the thread
    /// belongs to; none when nobody has heard of it.
    pub(super) fn parent(&self, ptid: u64) -> Option<Parent> {
        let thread = self.threads.get(&ptid).filter(|_| ptid != 0)?;
        let id = if self.threads.contains_key(&thread.pid) { thread.pid } else { ptid };
        Some(Parent { pid: id as u32, start_ns: 0 })
    }

    /// A thread ends. It can be looked at until the next event.
    pub(super) fn exit(&mut self, now: &Now<'_>) {
        let Some(thread) = self.threads.get_mut(&now.tid) else { return };
        thread.dead = true;
        let pid = thread.pid;
        let waits = pid == now.tid && !thread.members.is_empty();
        if !waits {
            self.ending = Ending::Thread(now.tid);
        }
        self.count_threads(pid, u32::from(pid != now.tid));
        let reaper = now.unsigned(4).filter(|reaper| *reaper as i64 > 0);
        self.give_away(now.tid, pid, reaper);
    }

    /// Finds somebody for the children of a thread that ends.
    fn give_away(&mut self, tid: u64, pid: u64, told: Option<u64>) {
        let children = self
            .threads
            .get_mut(&tid)
            .map(|thread| std::mem::take(&mut thread.children))
            .unwrap_or_default();
        if children.is_empty() {
            return;
        }
        let reaper = told
            .filter(|reaper| self.threads.contains_key(reaper))
            .or_else(|| self.sibling(tid, pid))
            .or_else(|| self.ancestor_that_reaps(tid))
            .unwrap_or(0);
        let parent = self.parent(reaper);
        for child in children {
            match self.threads.get_mut(&child) {
                Some(thread) if thread.ptid == tid => thread.ptid = reaper,
                _ => continue,
            }
            self.tables.edit(child as u32, |process| process.parent = parent);
            if let Some(reaper) = self.threads.get_mut(&reaper) {
                reaper.children.push(child);
            }
        }
    }

    /// A living thread of the same process.
    fn sibling(&self, tid: u64, pid: u64) -> Option<u64> {
        let main = self.threads.get(&pid)?;
        let lives = |tid: &u64| self.threads.get(tid).is_some_and(|thread| !thread.dead);
        let others = main.members.iter().copied().filter(|other| *other != tid && lives(other));
        if pid != tid && lives(&pid) { Some(pid) } else { others.min() }
    }

    /// The nearest ancestor that takes orphans over, in the same pid namespace.
    fn ancestor_that_reaps(&self, tid: u64) -> Option<u64> {
        let thread = self.threads.get(&tid)?;
        let inside = thread.vtid != tid as i64;
        let mut at = thread.ptid;
        for _ in 0..128 {
            let ancestor = self.threads.get(&at)?;
            if (ancestor.vtid != at as i64) != inside {
                return None;
            }
            let main = self.threads.get(&ancestor.pid).unwrap_or(ancestor);
            if main.reaper && !main.dead {
                return Some(if main.dead { at } else { ancestor.pid });
            }
            at = ancestor.ptid;
        }
        None
    }
}

/// A process of which nothing but its id is known.
pub(super) fn stranger(pid: u64) -> Process {
    let mut process = Process::placeholder(pid as u32, 0);
    (process.sid, process.pgid, process.vpgid) = (u32::MAX, u32::MAX, u32::MAX);
    process
}

/// Fills in what the event says about who is born; what it does not say stays the model's.
fn describe(now: &Now<'_>, process: &mut Process, model: Option<&Process>) {
    let exe = now.text(at::EXE).unwrap_or_default();
    let comm = now.text(at::COMM).unwrap_or(exe);
    let args = now.bytes(at::ARGS);
    process.placeholder = false;
    let same = model.is_some_and(|model| {
        let image = &model.image;
        image.comm.as_bytes() == comm && *image.exe == *exe && is_argument_list(image, args)
    });
    if !same {
        let mut image = Image::new(comm, exe, args);
        if let Some(model) = model {
            inherit(&mut image, &model.image);
        }
        process.image = Arc::new(image);
    }
    if let Some(cwd) = now.text(at::CWD).filter(|_| model.is_none()) {
        process.cwd = super::programs::with_slash(cwd);
    }
    if let Some(limit) = now.int(at::FD_LIMIT) {
        process.fd_limit = limit;
    }
    for (offset, slot) in process.faults.iter_mut().enumerate() {
        *slot = now.unsigned(at::FAULTS + offset).unwrap_or(0);
    }
    for (offset, slot) in process.memory.iter_mut().enumerate() {
        *slot = now.unsigned(at::MEMORY + offset).unwrap_or(0) as u32;
    }
    let cgroups = now.bytes(at::CGROUPS);
    if !cgroups.is_empty() && *process.cgroups != *cgroups {
        process.cgroups = super::programs::cgroups(cgroups);
    }
    if let Some(start) = now.unsigned(at::PIDNS_START).filter(|start| *start != 0) {
        process.pidns_start_epoch_ns = start;
    }
}

/// What an exec brought stays what it was.
fn inherit(image: &mut Image, model: &Image) {
    image.exe_path.clone_from(&model.exe_path);
    image.environment.clone_from(&model.environment);
    image.exe_inode = model.exe_inode;
    image.exe_ctime_ns = model.exe_ctime_ns;
    image.exe_mtime_ns = model.exe_mtime_ns;
    image.exe_flags = model.exe_flags;
}

/// Whether `list`, texts each with a NUL, are the arguments of `image`.
fn is_argument_list(image: &Image, list: &[u8]) -> bool {
    let mut rest = list;
    for index in 0..image.argument_count() {
        let Some(argument) = image.argument(index) else { return false };
        match rest.strip_prefix(argument) {
            Some([0, after @ ..]) => rest = after,
            Some([]) if index + 1 == image.argument_count() => rest = &[],
            _ => return false,
        }
    }
    rest.is_empty()
}

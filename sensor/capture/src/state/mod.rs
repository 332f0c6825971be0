//! State rebuilt from recorded events: threads, descriptors, working directories, ids, users and
//! containers. Only replay uses it; live events carry what they need.
//!
//! Facts of processes are kept in [`Tables`] under thread ids, where fields find them; what else is
//! needed to keep step lies in [`thread::Thread`]. An event is taken in by [`State::apply`], after
//! which [`State::seen`] says what is known around it. What an event ends, such as a descriptor, is
//! taken away with the next event, so that it can still be looked at.

mod births;
mod files;
mod known;
mod open;
mod programs;
mod sockets;
mod start;
mod thread;

use std::borrow::Cow;
use std::sync::Arc;

use eyas_abi::schema::{self, EventFlags, EventType};
use eyas_abi::value;
use eyas_state::{Descriptors, Fd, Given, Limits, Process, Tables};

use crate::convert::{Converted, Params};
use crate::ids::ByThread;
use open::Open;
use thread::{Enter, MAX_DESCRIPTORS, OpenTable, Thread};

/// Descriptor that stands for the working directory.
const AT_FDCWD: i64 = -100;
/// Longest path; what is longer is given up.
const MAX_PATH: usize = 1024;
/// Most threads that are kept beside the table's own limit.
const MAX_THREADS: usize = 131_072;

/// Codes of current events that change state.
pub(crate) mod code {
    pub(crate) const OPEN_ENTER: u16 = 2;
    pub(crate) const OPEN: u16 = 3;
    pub(crate) const CLOSE: u16 = 5;
    pub(crate) const SOCKET: u16 = 19;
    pub(crate) const BIND: u16 = 21;
    pub(crate) const CONNECT_ENTER: u16 = 22;
    pub(crate) const CONNECT: u16 = 23;
    pub(crate) const SOCKETPAIR: u16 = 43;
    pub(crate) const GETSOCKOPT: u16 = 47;
    pub(crate) const CREAT_ENTER: u16 = 58;
    pub(crate) const CREAT: u16 = 59;
    pub(crate) const PIPE: u16 = 61;
    pub(crate) const GETCWD: u16 = 93;
    pub(crate) const CHDIR: u16 = 95;
    pub(crate) const FCHDIR: u16 = 97;
    pub(crate) const FCNTL: u16 = 151;
    pub(crate) const SWITCH: u16 = 152;
    pub(crate) const PROCEXIT: u16 = 186;
    pub(crate) const CLONE: u16 = 223;
    pub(crate) const FORK: u16 = 225;
    pub(crate) const VFORK: u16 = 227;
    pub(crate) const ACCEPT: u16 = 247;
    pub(crate) const SETNS: u16 = 241;
    pub(crate) const CHROOT: u16 = 267;
    pub(crate) const SETSID: u16 = 275;
    pub(crate) const UNSHARE: u16 = 285;
    pub(crate) const EXECVE_ENTER: u16 = 292;
    pub(crate) const EXECVE: u16 = 293;
    pub(crate) const OPENAT_ENTER: u16 = 306;
    pub(crate) const OPENAT: u16 = 307;
    pub(crate) const CONTAINER: u16 = 324;
    pub(crate) const OPENAT2_ENTER: u16 = 326;
    pub(crate) const OPENAT2: u16 = 327;
    pub(crate) const EXECVEAT_ENTER: u16 = 330;
    pub(crate) const EXECVEAT: u16 = 331;
    pub(crate) const CLONE3: u16 = 335;
    pub(crate) const OPEN_BY_HANDLE: u16 = 337;
    pub(crate) const CAPSET: u16 = 353;
    pub(crate) const USER_ADDED: u16 = 354;
    pub(crate) const USER_DELETED: u16 = 356;
    pub(crate) const GROUP_ADDED: u16 = 358;
    pub(crate) const GROUP_DELETED: u16 = 360;
    pub(crate) const ACCEPT4: u16 = 389;
    pub(crate) const PIPE2: u16 = 393;
    pub(crate) const PRCTL: u16 = 401;
    pub(crate) const ASYNC: u16 = 402;
    pub(crate) const CLOSE_RANGE: u16 = 451;
}

/// The event at hand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now<'e> {
    pub(crate) tid: u64,
    pub(crate) time: u64,
    pub(crate) code: u16,
    pub(crate) ty: &'static EventType,
    pub(crate) params: &'e Params<'e>,
    pub(crate) result: Option<i64>,
}

impl<'e> Now<'e> {
    pub(crate) fn new(tid: u64, time: u64, event: &'e Converted<'e>) -> Option<Self> {
        let ty = schema::by_code(event.code)?;
        let exit = ty.source == schema::Source::Syscall && ty.code % 2 == 1 && !ty.is_generic();
        let signed = ty.params.first().is_some_and(|param| param.ty.is_signed());
        let result = if exit { value::int(event.params.get(0), signed) } else { None };
        Some(Self { tid, time, code: event.code, ty, params: &event.params, result })
    }

    pub(crate) fn bytes(&self, index: usize) -> &'e [u8] {
        self.params.get(index)
    }

    fn text(&self, index: usize) -> Option<&'e [u8]> {
        value::text(self.bytes(index)).filter(|text| *text != b"(NULL)")
    }

    fn int(&self, index: usize) -> Option<i64> {
        value::int(self.bytes(index), true)
    }

    fn unsigned(&self, index: usize) -> Option<u64> {
        value::int(self.bytes(index), false).map(|number| number as u64)
    }

    fn succeeded(&self) -> bool {
        self.result.is_some_and(|result| result >= 0)
    }
}

/// What goes with the next event.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Ending {
    #[default]
    Nothing,
    Thread(u64),
    Descriptor(u64, i64),
    Descriptors(u64, i64, i64),
}

/// What is known around the event at hand.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// Under which id the thread's facts are, if it is known.
    pub(crate) thread: Option<u64>,
    /// The descriptor the event works on.
    fd: Option<i64>,
}

/// What was found and what had to be given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Threads that were heard of without their start having been recorded.
    pub unknown_threads: u64,
    /// Descriptors that there was no room for.
    pub descriptors: u64,
}

/// Everything that is known at one point of a capture.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tables: Tables,
    threads: ByThread<Thread>,
    known: known::Known,
    ending: Ending,
    descriptors: usize,
    pub(crate) losses: Losses,
}

impl State {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            tables: Tables::new(limits, Arc::default()),
            threads: ByThread::default(),
            known: known::Known::default(),
            ending: Ending::Nothing,
            descriptors: 0,
            losses: Losses::default(),
        }
    }

    /// Forgets everything: a new section begins.
    pub(crate) fn clear(&mut self) {
        self.tables.clear();
        self.threads.clear();
        self.known = known::Known::default();
        self.ending = Ending::Nothing;
        self.descriptors = 0;
        self.publish();
    }

    /// Takes an event in.
    pub(crate) fn apply(&mut self, now: &Now<'_>) -> Seen {
        self.end();
        match now.ty.source {
            schema::Source::Meta | schema::Source::Plugin => {
                self.told(now);
                return Seen::default();
            }
            _ => {}
        }
        if !self.threads.contains_key(&now.tid) && !is_threadless(now.code) {
            self.hear_of(now.tid);
        }
        if now.ty.is_enter() {
            self.enter(now.tid, now.code, now.params);
            return Seen::default();
        }
        let mut seen = Seen { thread: self.thread_of(now), fd: Self::fd_of(now) };
        self.change(now, &mut seen);
        if seen.thread.is_none() {
            seen.thread = self.thread_of(now);
        }
        seen
    }

    fn thread_of(&self, now: &Now<'_>) -> Option<u64> {
        self.threads.contains_key(&now.tid).then_some(now.tid)
    }

    /// The descriptor that an event works on.
    fn fd_of(now: &Now<'_>) -> Option<i64> {
        if !now.ty.flags.has_fd() {
            return None;
        }
        if matches!(now.code, code::PIPE | code::PIPE2 | code::SOCKETPAIR) {
            return now.int(2);
        }
        if now.ty.flags.has(EventFlags::CREATES_FD) {
            return now.result;
        }
        now.ty.fd_param.and_then(|index| now.int(usize::from(index)))
    }

    fn change(&mut self, now: &Now<'_>, seen: &mut Seen) {
        match now.code {
            code::CLONE | code::FORK | code::VFORK | code::CLONE3 => self.birth(now),
            code::EXECVE | code::EXECVEAT => self.exec(now),
            code::PROCEXIT => self.exit(now),
            code::SWITCH => self.count_faults(now),
            _ if !self.change_file(now, seen) && !self.change_socket(now, seen) => {
                self.change_process(now);
            }
            _ => {}
        }
        if now.ty.code % 2 == 1
            && let Some(thread) = self.threads.get_mut(&now.tid)
        {
            // Whatever was under way is over.
            thread.enter = None;
        }
    }

    /// Takes away what ended with the event before.
    fn end(&mut self) {
        match std::mem::take(&mut self.ending) {
            Ending::Nothing => {}
            Ending::Thread(tid) => self.remove(tid),
            Ending::Descriptor(owner, fd) => self.close(owner, fd),
            Ending::Descriptors(owner, first, last) => {
                let gone: Vec<i64> = self.threads.get(&owner).map_or_else(Vec::new, |thread| {
                    thread.fds.keys().copied().filter(|fd| (first..=last).contains(fd)).collect()
                });
                for fd in gone {
                    self.close(owner, fd);
                }
            }
        }
    }

    /// The enter half of a call that the schema has no row for any more.
    pub(crate) fn half(&mut self, tid: u64, event: &Converted<'_>) {
        self.end();
        if !self.threads.contains_key(&tid) {
            self.hear_of(tid);
        }
        self.enter(tid, event.code, &event.params);
    }

    /// Keeps the enter half of a call whose exit says less.
    fn enter(&mut self, tid: u64, code: u16, params: &Params<'_>) {
        let wanted = matches!(
            code,
            code::OPEN_ENTER
                | code::CREAT_ENTER
                | code::OPENAT_ENTER
                | code::OPENAT2_ENTER
                | code::CONNECT_ENTER
                | code::EXECVE_ENTER
                | code::EXECVEAT_ENTER
        );
        let says_something = params.as_slice().iter().any(|param| !param.is_empty());
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.enter = (wanted && says_something).then(|| Enter {
                code,
                params: params.as_slice().iter().map(|param| Box::from(*param)).collect(),
            });
        }
    }

    /// A thread of which nothing is known but that it exists.
    fn hear_of(&mut self, tid: u64) {
        self.losses.unknown_threads += 1;
        let mut process = Process::placeholder(u32::MAX, 0);
        process.image = Arc::new(eyas_state::Image::new(b"<NA>", b"<NA>", b""));
        process.cwd = Arc::from(&b"./"[..]);
        process.sid = u32::MAX;
        process.pgid = u32::MAX;
        process.vpgid = u32::MAX;
        process.vpid = u32::MAX;
        let thread = Thread {
            pid: tid,
            vtid: -1,
            vpid: -1,
            uid: u32::MAX,
            gid: u32::MAX,
            placeholder: true,
            ..Thread::default()
        };
        self.insert(tid, thread, process);
    }

    /// Puts a thread in. Its descriptors are counted already.
    fn insert(&mut self, tid: u64, thread: Thread, process: Process) {
        if self.threads.len() >= MAX_THREADS && !self.threads.contains_key(&tid) {
            // Which one does not matter: a capture with so many is made up.
            let Some(victim) = self.threads.keys().next().copied() else { return };
            self.remove(victim);
        }
        self.tables.put(tid as u32, process);
        if let Some(old) = self.threads.insert(tid, thread) {
            self.descriptors = self.descriptors.saturating_sub(old.fds.len());
        }
    }

    /// Takes a thread out with all it had.
    fn remove(&mut self, tid: u64) {
        let Some(thread) = self.threads.remove(&tid) else { return };
        self.descriptors = self.descriptors.saturating_sub(thread.fds.len());
        self.tables.forget(tid as u32);
        if thread.pid != tid {
            let mut last = false;
            if let Some(main) = self.threads.get_mut(&thread.pid) {
                main.members.remove(&tid);
                last = main.dead && main.members.is_empty();
            }
            if last {
                self.remove(thread.pid);
            } else {
                self.count_threads(thread.pid, 0);
            }
        }
    }

    /// Whose descriptors and working directory a thread uses.
    fn owner(&self, tid: u64) -> u64 {
        match self.threads.get(&tid) {
            Some(thread) if self.threads.contains_key(&thread.pid) => thread.pid,
            _ => tid,
        }
    }

    fn open(&self, tid: u64, fd: i64) -> Option<&Open> {
        self.threads.get(&self.owner(tid))?.fds.get(&fd).map(|open| &**open)
    }

    fn open_mut(&mut self, tid: u64, fd: i64) -> Option<&mut Open> {
        let owner = self.owner(tid);
        self.threads.get_mut(&owner)?.fds.get_mut(&fd).map(Arc::make_mut)
    }

    /// Gives a process a descriptor.
    fn add(&mut self, tid: u64, fd: i64, open: Open) {
        self.add_shared(self.owner(tid), fd, Arc::new(open));
    }

    fn add_shared(&mut self, owner: u64, fd: i64, open: Arc<Open>) {
        if self.descriptors >= MAX_DESCRIPTORS {
            self.losses.descriptors += 1;
            return;
        }
        if let Some(thread) = self.threads.get_mut(&owner)
            && thread.fds.insert(fd, open).is_none()
        {
            self.descriptors += 1;
        }
    }

    fn close(&mut self, owner: u64, fd: i64) {
        if let Some(thread) = self.threads.get_mut(&owner)
            && thread.fds.remove(&fd).is_some()
        {
            self.descriptors -= 1;
        }
    }

    /// A copy of a process's descriptors, if there is room for it.
    fn copy_of(&mut self, owner: u64) -> OpenTable {
        let Some(thread) = self.threads.get(&owner) else { return OpenTable::default() };
        let count = thread.fds.len();
        if self.descriptors + count > MAX_DESCRIPTORS {
            self.losses.descriptors += count as u64;
            return OpenTable::default();
        }
        self.descriptors += count;
        thread.fds.clone()
    }

    /// Makes a thread know what its process knows: where it is and how many threads there are.
    pub(crate) fn share(&mut self, tid: u64) {
        let owner = self.owner(tid);
        if owner == tid {
            return;
        }
        let Some(main) = self.tables.get(owner as u32) else { return };
        // Of a main thread that was only heard of, nobody knows where it is.
        let cwd = (!main.placeholder).then(|| Arc::clone(&main.cwd));
        let threads = main.threads;
        self.tables.edit(tid as u32, |process| {
            process.threads = threads;
            if let Some(cwd) = cwd {
                process.cwd = cwd;
            }
        });
    }

    /// The directory that a descriptor stands for, or the working directory.
    fn directory(&self, tid: u64, dirfd: i64) -> Option<&[u8]> {
        if dirfd == AT_FDCWD {
            let owner = self.owner(tid);
            return self.tables.get(owner as u32).map(|process| &*process.cwd);
        }
        self.open(tid, dirfd).map(|open| &*open.name)
    }

    /// A path made absolute from a directory.
    fn join(&self, tid: u64, dirfd: i64, path: &[u8]) -> Vec<u8> {
        let joined = match self.directory(tid, dirfd) {
            Some(directory) if directory.first() != Some(&b'/') && path.first() != Some(&b'/') => {
                beside(directory, path)
            }
            directory => eyas_state::absolute(directory, path).into_owned(),
        };
        if joined.len() > MAX_PATH {
            return b"/DIR_TOO_LONG/FILENAME_TOO_LONG".to_vec();
        }
        joined
    }

    /// What fields are told about the descriptors of the event that was taken in last.
    pub(crate) fn given<'a>(
        &'a self,
        now: &Now<'_>,
        seen: &Seen,
        descriptors: &'a OfThread<'a>,
    ) -> Given<'a> {
        let mut given = Given { descriptors: Some(descriptors), ..Given::default() };
        if now.ty.flags.has_fd() {
            let found = seen.fd.and_then(|fd| self.open(now.tid, fd).map(|open| (fd, open)));
            given.fd = Some(if let Some((fd, open)) = found {
                given.fd_name = open.plain_name();
                open.view(fd, |ip| self.is_own(ip))
            } else {
                given.fd_name = self.attempted(now);
                Fd::unread(seen.fd, false, false)
            });
        }
        given.directories = self.directories(now);
        given.vtid = self.threads.get(&now.tid).map(|thread| thread.vtid);
        given
    }

    /// What a call that opened nothing was about.
    fn attempted(&self, now: &Now<'_>) -> Option<Cow<'static, [u8]>> {
        let (dirfd, path) = files::opened_path(now)?;
        Some(Cow::Owned(match path {
            [b'/', ..] => path.to_vec(),
            path => self.join(now.tid, dirfd, path),
        }))
    }

    /// Where the event's first and second path start, when it takes them from descriptors.
    fn directories<'a>(&'a self, now: &Now<'_>) -> [Option<&'a [u8]>; 2] {
        // Recorders of old did not say where a process was; paths stay as they are written then.
        let cwd = self.directory(now.tid, AT_FDCWD);
        let mut found = [cwd.filter(|cwd| cwd.is_empty()); 2];
        let starts = now.ty.params.iter().filter_map(|param| param.relative_to);
        for (slot, dirfd) in found.iter_mut().zip(starts) {
            let Some(fd) = now.int(usize::from(dirfd)).filter(|fd| *fd != AT_FDCWD) else {
                continue;
            };
            *slot = self.open(now.tid, fd).map(|open| &*open.name);
        }
        found
    }

    fn is_own(&self, address: std::net::IpAddr) -> bool {
        self.tables.host().addresses.contains(&address)
    }

    /// User and group of a thread at the moment.
    pub(crate) fn ids(&self, tid: u64) -> (u32, u32) {
        self.threads.get(&tid).map_or((u32::MAX, u32::MAX), |thread| (thread.uid, thread.gid))
    }

    /// The process a thread belongs to; all ones for a thread of which nothing is known.
    pub(crate) fn pid(&self, tid: u64) -> u32 {
        match self.threads.get(&tid) {
            Some(thread) if thread.placeholder => u32::MAX,
            Some(thread) => thread.pid as u32,
            None => tid as u32,
        }
    }
}

/// The descriptors of one thread's process, for fields that resolve numbers.
#[derive(Debug)]
pub(crate) struct OfThread<'a> {
    pub(crate) state: &'a State,
    pub(crate) tid: u64,
}

impl Descriptors for OfThread<'_> {
    fn descriptor(&self, number: i64) -> Option<(Fd<'_>, Cow<'_, [u8]>)> {
        let open = self.state.open(self.tid, number)?;
        let fd = open.view(number, |ip| self.state.is_own(ip));
        let name = match open.plain_name() {
            Some(name) => name,
            None => fd.made_name()?,
        };
        Some((fd, name))
    }
}

/// A path beside a directory that is none of an absolute one, such as the empty text.
fn beside(directory: &[u8], path: &[u8]) -> Vec<u8> {
    let rooted = [b"/", directory, b"/", path].concat();
    let mut joined = eyas_state::absolute(None, &rooted).into_owned();
    joined.remove(0);
    joined
}

/// Events that may happen to threads nobody has heard of, without that saying anything.
fn is_threadless(code: u16) -> bool {
    matches!(
        code,
        code::CLONE | code::FORK | code::VFORK | code::CLONE3 | code::SWITCH | code::PROCEXIT
    )
}

//! Descriptors that are no sockets: opened, copied, closed, made by calls that make one kind of thing.

use std::sync::Arc;

use eyas_abi::value;
use eyas_state::FdKind;

use super::open::Open;
use super::thread::Enter;
use super::{AT_FDCWD, Ending, Now, Seen, State, code};

const O_DIRECTORY: u32 = 0x400;
const O_CLOEXEC: u32 = 0x1000;
/// Flags that only an exit event knows, from here up.
const EXIT_ONLY: u32 = !0x3fff;
/// `fcntl` commands.
mod fcntl {
    pub(super) const DUPFD: u64 = 0x0;
    pub(super) const DUPFD_FLAGGED: u64 = 0x1;
    pub(super) const SETFD: u64 = 0x3;
    pub(super) const DUPFD_CLOEXEC: u64 = 0x1a;
}
/// Argument of `F_SETFD`.
const FD_CLOEXEC: u64 = 1;
const CLOSE_RANGE_CLOEXEC: u64 = 0x4;

/// What an opening call said.
struct Opening<'a> {
    dirfd: i64,
    path: &'a [u8],
    flags: u32,
    dev: u32,
    ino: u64,
}

impl State {
    /// Takes in what an event does to descriptors that are no sockets; whether it is such an event.
    pub(super) fn change_file(&mut self, now: &Now<'_>, seen: &mut Seen) -> bool {
        match now.code {
            code::OPEN | code::OPENAT | code::OPENAT2 | code::CREAT | code::OPEN_BY_HANDLE => {
                self.opened(now);
            }
            code::CLOSE => self.closed(now),
            code::CLOSE_RANGE => self.closed_range(now),
            code::PIPE | code::PIPE2 => self.piped(now),
            code::FCNTL => self.controlled(now, seen),
            _ => return self.copied(now) || self.made(now),
        }
        true
    }

    fn opened(&mut self, now: &Now<'_>) {
        let Some(fd @ 0..) = now.result else { return };
        let enter = self.threads.get_mut(&now.tid).and_then(|thread| thread.enter.take());
        let opening = opening(now, enter.as_ref());
        let name = if now.code == code::OPEN_BY_HANDLE {
            opening.path.to_vec()
        } else {
            self.join(now.tid, opening.dirfd, opening.path)
        };
        let kind = if opening.flags & O_DIRECTORY != 0 { FdKind::Directory } else { FdKind::File };
        let mut open = Open::named(kind, &name);
        if opening.path != &*open.name {
            open.written = Some(opening.path.into());
        }
        open.flags = opening.flags;
        open.close_on_exec = opening.flags & O_CLOEXEC != 0;
        (open.dev, open.ino) = (opening.dev, opening.ino);
        self.add(now.tid, fd, open);
    }

    fn closed(&mut self, now: &Now<'_>) {
        if let (true, Some(fd)) = (now.succeeded(), now.int(1)) {
            self.ending = Ending::Descriptor(self.owner(now.tid), fd);
        }
    }

    fn closed_range(&mut self, now: &Now<'_>) {
        let (true, Some(first), Some(last)) = (now.succeeded(), now.unsigned(1), now.unsigned(2))
        else {
            return;
        };
        let (first, last) = (first as i64, last as i64);
        let owner = self.owner(now.tid);
        if now.unsigned(3).unwrap_or(0) & CLOSE_RANGE_CLOEXEC == 0 {
            self.ending = Ending::Descriptors(owner, first, last);
            return;
        }
        let Some(thread) = self.threads.get_mut(&owner) else { return };
        for (_, open) in thread.fds.iter_mut().filter(|(fd, _)| (first..=last).contains(*fd)) {
            Arc::make_mut(open).close_on_exec = true;
        }
    }

    fn piped(&mut self, now: &Now<'_>) {
        if !now.succeeded() {
            return;
        }
        let flags = now.unsigned(4).unwrap_or(0) as u32;
        for fd in [1, 2].into_iter().filter_map(|index| now.int(index)) {
            let mut open = Open::new(FdKind::Pipe);
            open.ino = now.unsigned(3).unwrap_or(0);
            open.close_on_exec = flags & O_CLOEXEC != 0;
            self.add(now.tid, fd, open);
        }
    }

    /// `fcntl`: copies and the mark that exec closes.
    fn controlled(&mut self, now: &Now<'_>, seen: &mut Seen) {
        let (true, Some(fd), Some(command)) = (now.succeeded(), now.int(1), now.unsigned(2)) else {
            return;
        };
        match command {
            fcntl::DUPFD_FLAGGED | fcntl::DUPFD | fcntl::DUPFD_CLOEXEC => {
                self.copy(now, fd, command == fcntl::DUPFD_CLOEXEC);
                seen.fd = now.result;
            }
            fcntl::SETFD => {
                let set = now.unsigned(3).unwrap_or(0) & FD_CLOEXEC != 0;
                if let Some(open) = self.open_mut(now.tid, fd) {
                    open.close_on_exec = set;
                }
            }
            _ => {}
        }
    }

    fn copied(&mut self, now: &Now<'_>) -> bool {
        let (from, flags) = match now.ty.name {
            "dup" | "dup2" => (now.int(1), 0),
            "dup3" => (now.int(1), now.unsigned(3).unwrap_or(0) as u32),
            "pidfd_getfd" => (None, O_CLOEXEC),
            _ => return false,
        };
        if let Some(from) = from {
            self.copy(now, from, flags & O_CLOEXEC != 0);
        } else {
            self.fetched(now);
        }
        true
    }

    /// A copy of a descriptor at the number that the call gives back.
    fn copy(&mut self, now: &Now<'_>, from: i64, close_on_exec: bool) {
        let Some(to @ 0..) = now.result else { return };
        let Some(open) = self.open(now.tid, from) else { return };
        let mut open = open.clone();
        open.close_on_exec = close_on_exec;
        if to == from {
            return;
        }
        self.add(now.tid, to, open);
    }

    /// `pidfd_getfd`: a descriptor of another process.
    fn fetched(&mut self, now: &Now<'_>) {
        let (Some(to @ 0..), Some(pidfd), Some(from)) = (now.result, now.int(1), now.int(2)) else {
            return;
        };
        let target = self.open(now.tid, pidfd).map(|open| open.ino);
        let found = target.and_then(|pid| self.open(pid, from)).cloned();
        if let Some(mut open) = found {
            open.close_on_exec = true;
            self.add(now.tid, to, open);
        }
    }

    /// Calls that make a thing of one kind.
    fn made(&mut self, now: &Now<'_>) -> bool {
        let none = || Vec::new();
        let (kind, name, flags) = match now.ty.name {
            "eventfd" => (FdKind::Event, none(), now.unsigned(2)),
            "eventfd2" => (FdKind::Event, none(), now.unsigned(1)),
            "signalfd" => (FdKind::Signalfd, none(), None),
            "signalfd4" => (FdKind::Signalfd, none(), now.unsigned(1)),
            "timerfd_create" => (FdKind::Timerfd, none(), None),
            "inotify_init" => (FdKind::Inotify, none(), None),
            "inotify_init1" => (FdKind::Inotify, none(), now.unsigned(1)),
            "epoll_create" => (FdKind::Eventpoll, none(), None),
            "epoll_create1" => {
                let cloexec = now.unsigned(1).unwrap_or(0) & 1 != 0;
                (FdKind::Eventpoll, none(), cloexec.then_some(u64::from(O_CLOEXEC)))
            }
            "userfaultfd" => (FdKind::Userfaultfd, none(), now.unsigned(1)),
            "io_uring_setup" => (FdKind::IoUring, none(), None),
            "bpf" => (FdKind::Bpf, none(), None),
            "memfd_create" => {
                let cloexec = now.unsigned(2).unwrap_or(0) & 1 != 0;
                let name = now.text(1).unwrap_or_default().to_vec();
                (FdKind::Memfd, name, cloexec.then_some(u64::from(O_CLOEXEC)))
            }
            "pidfd_open" => {
                let name = format!("/proc/{}", now.unsigned(1).unwrap_or(0)).into_bytes();
                (FdKind::Pidfd, name, None)
            }
            _ => return false,
        };
        if let Some(fd @ 0..) = now.result {
            let mut open = Open::named(kind, &name);
            open.close_on_exec = flags.unwrap_or(0) as u32 & O_CLOEXEC != 0;
            if kind == FdKind::Pidfd {
                // The process it stands for; there is no inode to remember.
                open.ino = now.unsigned(1).unwrap_or(0);
            }
            self.add(now.tid, fd, open);
        }
        true
    }
}

/// The path of an opening call and the directory it starts from.
pub(super) fn opened_path<'e>(now: &Now<'e>) -> Option<(i64, &'e [u8])> {
    let opens = matches!(
        now.code,
        code::OPEN | code::OPENAT | code::OPENAT2 | code::CREAT | code::OPEN_BY_HANDLE
    );
    opens.then(|| {
        let opening = opening(now, None);
        (opening.dirfd, opening.path)
    })
}

/// What an opening call said. Where its enter half was recorded that is believed, because memory may
/// have been changed since.
fn opening<'a>(now: &Now<'a>, enter: Option<&'a Enter>) -> Opening<'a> {
    let int = |index: usize| now.unsigned(index).unwrap_or(0);
    let text = |index: usize| now.text(index).unwrap_or(b"<NA>");
    let dirfd = |index: usize| now.int(index).unwrap_or(AT_FDCWD);
    let (directory, path, flags, dev, ino, enter_code) = match now.code {
        code::OPEN => (AT_FDCWD, text(1), int(2), int(4), int(5), code::OPEN_ENTER),
        code::CREAT => (AT_FDCWD, text(1), 0, int(3), int(4), code::CREAT_ENTER),
        code::OPENAT => (dirfd(1), text(2), int(3), int(5), int(6), code::OPENAT_ENTER),
        code::OPENAT2 => (dirfd(1), text(2), int(3), int(6), int(7), code::OPENAT2_ENTER),
        _ => (AT_FDCWD, text(3), int(2), int(4), int(5), u16::MAX),
    };
    let mut opening = Opening { dirfd: directory, path, flags: flags as u32, dev: dev as u32, ino };
    let Some(enter) = enter.filter(|enter| enter.code == enter_code) else { return opening };
    let relative = matches!(enter.code, code::OPENAT_ENTER | code::OPENAT2_ENTER);
    let first = usize::from(relative);
    let Some(path) = value::text(enter.param(first)).filter(|path| *path != b"<NA>") else {
        return opening;
    };
    opening.path = path;
    if relative {
        opening.dirfd = value::int(enter.param(0), true).unwrap_or(opening.dirfd);
    }
    if enter.code != code::CREAT_ENTER
        && let Some(flags) = value::int(enter.param(first + 1), false)
    {
        opening.flags = (opening.flags & EXIT_ONLY) | flags as u32;
    }
    opening
}

//! One event with everything known around it: what rules are judged on.
//!
//! Values that have to be put together are made at most once per event and kept here.

mod moment;

use std::borrow::Cow;
use std::cell::OnceCell;

use eyas_abi::schema::{EventType, ParamType, Source};
use eyas_abi::value::{SockAddr, SockTuple};
use eyas_abi::{Event, value};

use crate::container::{Accounts, Place};
use crate::fd::{Fd, address_text, tuple_text};
use crate::host::{Group, Host, User};
use crate::path::absolute;
use crate::process::Process;
use crate::slots::FdSlots;
use crate::tables::Tables;

pub use moment::Moment;

/// Parameter value that stands for the working directory.
const AT_FDCWD: i64 = -100;

/// An event, the process it happened in, and what the table knows besides.
#[derive(Debug)]
pub struct Ctx<'a> {
    event: &'a Event<'a>,
    tables: &'a Tables,
    process: Option<&'a Process>,
    /// What was around the event, when it is not judged at once.
    moment: Option<&'a Moment>,
    at: &'a FdSlots,
    fd: OnceCell<Option<Fd<'a>>>,
    fd_name: OnceCell<Option<Cow<'a, [u8]>>>,
    /// Where relative paths start, for events that do not carry it.
    directories: [Option<&'a [u8]>; 2],
    descriptors: Option<&'a dyn Descriptors>,
    vtid: Option<i64>,
}

/// What is known about an event's descriptors beside the event. Live events carry it themselves; a
/// recording does not.
#[derive(Debug, Default)]
pub struct Given<'a> {
    /// The event's descriptor.
    pub fd: Option<Fd<'a>>,
    /// Its name, where that is no matter of putting a tuple into words.
    pub fd_name: Option<Cow<'a, [u8]>>,
    /// The directories that the event's first and second path start from.
    pub directories: [Option<&'a [u8]>; 2],
    /// The process's other descriptors.
    pub descriptors: Option<&'a dyn Descriptors>,
    /// Thread id in the thread's own pid namespace.
    pub vtid: Option<i64>,
}

/// Knows the descriptors of the event's process by number.
pub trait Descriptors: std::fmt::Debug {
    /// The descriptor with this number and its name.
    fn descriptor(&self, number: i64) -> Option<(Fd<'_>, Cow<'_, [u8]>)>;
}

impl<'a> Ctx<'a> {
    pub(crate) fn new(tables: &'a Tables, event: &'a Event<'a>) -> Self {
        Self::around(tables, event, tables.get(subject(event)))
    }

    pub(crate) fn around(
        tables: &'a Tables,
        event: &'a Event<'a>,
        process: Option<&'a Process>,
    ) -> Self {
        Self {
            event,
            tables,
            process,
            moment: None,
            at: tables.slots.fd(event.code()),
            fd: OnceCell::new(),
            fd_name: OnceCell::new(),
            directories: [None; 2],
            descriptors: None,
            vtid: None,
        }
    }

    pub(crate) fn given(
        tables: &'a Tables,
        event: &'a Event<'a>,
        process: Option<&'a Process>,
        given: Given<'a>,
    ) -> Self {
        let ctx = Self::around(tables, event, process);
        let fd_name = match given.fd_name {
            Some(name) => OnceCell::from(Some(name)),
            None => OnceCell::new(),
        };
        let Given { directories, descriptors, vtid, .. } = given;
        Self { fd: OnceCell::from(given.fd), fd_name, directories, descriptors, vtid, ..ctx }
    }

    /// The thread's id in its own pid namespace, where something but the kernel knows it.
    pub fn vtid(&self) -> Option<i64> {
        self.vtid
    }

    /// The process's other descriptors, where something but the kernel knows them.
    pub fn descriptors(&self) -> Option<&'a dyn Descriptors> {
        self.descriptors
    }

    /// The event.
    pub fn event(&self) -> &'a Event<'a> {
        self.event
    }

    /// Everything known about processes.
    pub fn tables(&self) -> &'a Tables {
        self.tables
    }

    /// What is known of the host.
    pub fn host(&self) -> &'a Host {
        self.tables.host()
    }

    /// The process the event happened in; `None` for what happens in none.
    pub fn process(&self) -> Option<&'a Process> {
        self.process
    }

    /// The user of this id: of the container's own table, or of the host's where there is none.
    pub fn user(&self, uid: u32) -> Option<&'a User> {
        match self.accounts() {
            Some(accounts) if !accounts.users.is_empty() => accounts.users.get(&uid),
            _ => self.host().users.get(&uid),
        }
    }

    /// The group of this id, in the same way.
    pub fn group(&self, gid: u32) -> Option<&'a Group> {
        match self.accounts() {
            Some(accounts) if !accounts.groups.is_empty() => accounts.groups.get(&gid),
            _ => self.host().groups.get(&gid),
        }
    }

    fn accounts(&self) -> Option<&'a Accounts> {
        match self.place() {
            Place::Container(container) => container.accounts.as_deref(),
            _ => None,
        }
    }

    /// Whether the process is in a container, and in which.
    pub fn place(&self) -> Place<'a> {
        let claim = self.process.and_then(|process| process.claim.as_deref());
        self.tables.containers.place(claim)
    }

    /// Number of the event, from 1.
    pub fn number(&self) -> u64 {
        self.moment.map_or(self.tables.events, Moment::number)
    }

    /// Time of the event, nanoseconds since the epoch.
    pub fn epoch_ns(&self) -> u64 {
        self.host().epoch_ns(self.event.header().time)
    }

    /// Nanoseconds since the first event.
    pub fn since_first_ns(&self) -> u64 {
        self.event.header().time.saturating_sub(self.tables.first_ns)
    }

    /// Nanoseconds since the event before.
    pub fn since_previous_ns(&self) -> u64 {
        let tables = self.tables;
        let now = || tables.current_ns.saturating_sub(tables.previous_ns);
        self.moment.map_or_else(now, Moment::since_previous_ns)
    }

    /// Whether rules are to be judged on this event: not on enter events and not on what is only
    /// there to fill the table.
    pub fn is_judged(&self) -> bool {
        let ty = self.event.ty();
        ty.source != Source::Iterator && !ty.is_enter()
    }

    /// The ancestor `level` steps up; 0 is the process itself.
    pub fn ancestor(&self, level: u32) -> Option<&'a Process> {
        let process = self.process?;
        match level {
            0 => Some(process),
            _ => self.ancestors().nth(level as usize - 1),
        }
    }

    /// The ancestors of the event's process, from its parent upwards.
    pub fn ancestors(&self) -> impl Iterator<Item = &'a Process> + use<'a> {
        let now = match self.moment {
            Some(_) => None,
            None => self.process.map(|process| self.tables.ancestors(process)),
        };
        let then = self.moment.map(Moment::ancestors);
        now.into_iter().flatten().chain(then.into_iter().flatten())
    }

    /// The process with this id.
    pub fn process_by_id(&self, pid: u32) -> Option<&'a Process> {
        let then = self.moment.and_then(|moment| moment.get(pid));
        then.or_else(|| self.tables.get(pid))
    }

    /// The event's descriptor; `None` for events that have none.
    pub fn fd(&self) -> Option<&Fd<'a>> {
        self.fd.get_or_init(|| Fd::of(self.event, self.at)).as_ref()
    }

    /// `fd.name`: the path as the program wrote it made absolute, both ends of a socket, or the
    /// kernel's name for the thing.
    pub fn fd_name(&self) -> Option<&[u8]> {
        self.fd_name.get_or_init(|| self.make_fd_name()).as_deref()
    }

    fn make_fd_name(&self) -> Option<Cow<'a, [u8]>> {
        let fd = self.fd()?;
        if let Some((index, _)) = self.opened_path() {
            return match self.event.text(index) {
                Some(b"") | None => fd.path.map(Cow::Borrowed),
                Some(_) => self.absolute_param(index),
            };
        }
        match fd.kind {
            Some(kind) if kind.is_file() => fd.path.map(Cow::Borrowed),
            Some(_) => fd.other_name().or(Some(Cow::Borrowed(b""))),
            None => Some(attempted_name(fd)),
        }
    }

    /// The path parameter of a call that opens a file by name.
    pub fn opened_path(&self) -> Option<(usize, &'static EventType)> {
        let ty = self.event.ty();
        let name = match ty.name {
            "open" | "openat" | "openat2" | "creat" => "name",
            "open_by_handle_at" => "path",
            _ => return None,
        };
        ty.param(name).map(|(index, _)| (index, ty))
    }

    /// A path parameter, absolute. The directory is the one the kernel saw in the call; `None` when
    /// the parameter is not known.
    pub fn absolute_param(&self, index: usize) -> Option<Cow<'a, [u8]>> {
        let path = self.event.text(index)?;
        if path.first() == Some(&b'/') {
            return Some(absolute(None, path));
        }
        Some(absolute(self.directory_of(index), path))
    }

    /// The directory a path parameter starts from.
    fn directory_of(&self, index: usize) -> Option<&'a [u8]> {
        let second = self.is_second_path(index);
        if let Some(directory) = self.directories.get(usize::from(second)).copied().flatten() {
            return Some(directory);
        }
        let slot = if second { self.at.dir2 } else { self.at.dir };
        if let Some(directory) = value::text(self.event.param(usize::from(slot))) {
            return Some(directory);
        }
        let relative = self.event.ty().params.get(index).and_then(|param| param.relative_to);
        let from_cwd = relative
            .is_none_or(|dirfd| self.event.int(usize::from(dirfd)).is_none_or(|fd| fd == AT_FDCWD));
        let cwd = &*self.process?.cwd;
        (from_cwd && !cwd.is_empty()).then_some(cwd)
    }

    /// Whether a parameter is the second of two paths.
    fn is_second_path(&self, index: usize) -> bool {
        let params = self.event.ty().params;
        let is_path = |ty| matches!(ty, ParamType::FsPath | ParamType::FsRelPath);
        let before = params.iter().take(index).filter(|p| !p.extra && is_path(p.ty)).count();
        before > 0
    }

    /// The text of a socket tuple parameter.
    pub fn tuple_text(&self, tuple: &SockTuple<'_>) -> Vec<u8> {
        tuple_text(tuple, self.fd().and_then(|fd| fd.protocol))
    }

    /// The text of a socket address parameter.
    pub fn address_text(address: &SockAddr<'_>) -> Vec<u8> {
        address_text(address)
    }
}

/// What a call that failed was about.
fn attempted_name<'a>(fd: &Fd<'a>) -> Cow<'a, [u8]> {
    if let Some(tuple) = &fd.tuple {
        return Cow::Owned(tuple_text(tuple, fd.protocol));
    }
    fd.address.as_ref().map_or(Cow::Borrowed(b"".as_slice()), |a| Cow::Owned(address_text(a)))
}

/// The process an event is about. Births seen from the child are about the child, whichever task
/// the record was written in.
fn subject(event: &Event<'_>) -> u32 {
    let header = event.header();
    if matches!(event.code(), 223 | 225 | 227 | 335) && event.result() == Some(0) {
        let pid = value::int(event.param_named("pid"), true);
        return pid.map_or(header.tgid, |pid| pid as u32);
    }
    header.tgid
}

#[cfg(test)]
mod tests;

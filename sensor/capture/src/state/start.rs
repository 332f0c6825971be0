//! The tables in front of the events, taken in: who is there, what they have open.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use eyas_state::{ExeFlags, FdKind, Image, Process, Role};

use super::State;
use super::open::{End, Ends, Open, protocol};
use super::programs::{cgroups, with_slash};
use super::thread::Thread;
use crate::tables::{Descriptor, DescriptorKind, ThreadEntry};

const O_CLOEXEC: u32 = 0x1000;

impl State {
    /// A thread of the process list.
    pub(crate) fn listed(&mut self, entry: &ThreadEntry<'_>) {
        let pid = entry.pid as u32;
        let mut image = Image::new(entry.comm, entry.exe, entry.args);
        image.exe_path = entry.exe_path.into();
        image.environment = entry.env.into();
        image.exe_inode = entry.exe_ino;
        image.exe_ctime_ns = entry.exe_ctime_ns;
        image.exe_mtime_ns = entry.exe_mtime_ns;
        image.exe_flags = marks(entry);
        let [inheritable, permitted, effective] = entry.capabilities;
        let process = Process {
            parent: None,
            vpid: entry.vpid as u32,
            sid: entry.sid as u32,
            pgid: entry.pgid as u32,
            vpgid: entry.vpgid as u32,
            loginuid: entry.loginuid,
            tty: entry.tty,
            cap_permitted: permitted,
            cap_inheritable: inheritable,
            cap_effective: effective,
            cwd: with_slash(entry.cwd),
            cgroups: cgroups(entry.cgroups),
            pidns_start_epoch_ns: entry.pidns_start_ns,
            fd_limit: entry.fd_limit,
            memory: entry.memory,
            faults: entry.faults,
            image: Arc::new(image),
            placeholder: false,
            ..Process::placeholder(pid, 0)
        };
        let thread = Thread {
            pid: entry.pid as u64,
            ptid: u64::try_from(entry.ptid).unwrap_or(0),
            vtid: entry.vtid,
            vpid: entry.vpid,
            uid: entry.uid,
            gid: entry.gid,
            root: entry.root.into(),
            reaper: entry.tid == 1 || entry.vpid == 1,
            ..Thread::default()
        };
        self.insert(entry.tid as u64, thread, process);
    }

    /// A descriptor of a thread; those of threads that are not listed are left out.
    pub(crate) fn listed_descriptor(&mut self, tid: u64, entry: &Descriptor<'_>) {
        if !self.threads.contains_key(&tid) {
            return;
        }
        self.add_shared(tid, entry.fd, Arc::new(open_of(entry)));
    }

    /// All tables are there: who belongs to whom, and which end of a socket is whose.
    pub(crate) fn all_listed(&mut self) {
        let kin: Vec<(u64, u64, u64)> =
            self.threads.iter().map(|(tid, thread)| (*tid, thread.pid, thread.ptid)).collect();
        for (tid, pid, ptid) in kin {
            self.note_kin(tid, pid, ptid);
            let parent = self.parent(ptid);
            if parent.is_none()
                && let Some(thread) = self.threads.get_mut(&tid)
            {
                thread.ptid = 0;
            }
            self.tables.edit(tid as u32, |process| process.parent = parent);
            if pid != tid {
                self.share_with_main(tid, pid);
            }
        }
        self.tell_ends_apart();
        self.publish();
    }

    /// Working directory and environment are the process's.
    fn share_with_main(&mut self, tid: u64, pid: u64) {
        let Some(main) = self.tables.get(pid as u32) else { return };
        let (cwd, environment) = (Arc::clone(&main.cwd), main.image.environment.clone());
        self.tables.edit(tid as u32, |process| {
            process.cwd = cwd;
            if process.image.environment != environment {
                let mut image = Image::clone(&process.image);
                image.environment = environment;
                process.image = Arc::new(image);
            }
        });
    }

    /// Who listens on a port is the server of those connections that end there.
    fn tell_ends_apart(&mut self) {
        let sockets = || self.threads.values().flat_map(|thread| thread.fds.values());
        let listening: HashSet<u16> = sockets()
            .filter_map(|open| match open.ends {
                Ends::Listening((_, port)) => Some(port),
                _ => None,
            })
            .collect();
        let interfaces = std::mem::take(&mut self.known.interfaces);
        for thread in self.threads.values_mut() {
            for open in thread.fds.values_mut() {
                let Ends::Inet(source, destination) = open.ends else { continue };
                let open = Arc::make_mut(open);
                let is_server = open.kind == FdKind::Ipv4 && listening.contains(&source.1);
                if is_server {
                    open.ends = Ends::Inet(destination, source);
                }
                open.role = match open.kind {
                    FdKind::Ipv4 if is_server => Role::Server,
                    FdKind::Ipv4 => Role::Client,
                    _ => Role::Unknown,
                };
                fill_addresses(open, &interfaces);
            }
        }
        self.known.interfaces = interfaces;
    }
}

fn marks(entry: &ThreadEntry<'_>) -> ExeFlags {
    let marks = [
        (entry.exe_writable, ExeFlags::WRITABLE),
        (entry.exe_upper_layer, ExeFlags::UPPER_LAYER),
        (entry.exe_from_memfd, ExeFlags::MEMFD),
        (entry.exe_lower_layer, ExeFlags::LOWER_LAYER),
    ];
    ExeFlags(marks.iter().filter(|(set, _)| *set).map(|(_, mark)| mark.0).sum())
}

fn open_of(entry: &Descriptor<'_>) -> Open {
    let mut open = match &entry.kind {
        DescriptorKind::File { name, flags, dev } => {
            let mut open = Open::named(FdKind::File, name);
            (open.flags, open.dev) = (*flags, *dev);
            open.close_on_exec = flags & O_CLOEXEC != 0;
            open
        }
        DescriptorKind::Named(name) => Open::named(kind_of(entry.code), name),
        DescriptorKind::Socket { source, destination, transport } => {
            let mut open = Open::new(FdKind::Ipv4);
            open.set_ends(*source, *destination);
            open.protocol = protocol_of(*transport);
            open.connected = open.protocol == protocol::TCP;
            open
        }
        DescriptorKind::Listening { end, transport } => {
            let mut open = Open::new(FdKind::Ipv4);
            open.listen(*end);
            open.role = Role::Unknown;
            open.protocol = protocol_of(*transport);
            open
        }
        DescriptorKind::Unix { name, .. } => {
            let mut open = Open::named(FdKind::Unix, name);
            open.role = if name.is_empty() { Role::Client } else { Role::Server };
            open
        }
        DescriptorKind::Newer => Open::new(FdKind::Other),
    };
    open.ino = entry.ino;
    // The list has names as the kernel resolved them, not as anybody wrote them.
    open.written = Some(Box::default());
    open
}

fn kind_of(code: u8) -> FdKind {
    match code {
        1 => FdKind::File,
        2 => FdKind::Directory,
        7 => FdKind::Pipe,
        9 => FdKind::Event,
        11 => FdKind::Signalfd,
        12 => FdKind::Eventpoll,
        13 => FdKind::Inotify,
        14 => FdKind::Timerfd,
        15 => FdKind::Netlink,
        17 => FdKind::Bpf,
        18 => FdKind::Userfaultfd,
        19 => FdKind::IoUring,
        20 => FdKind::Memfd,
        21 => FdKind::Pidfd,
        _ => FdKind::Other,
    }
}

fn protocol_of(transport: u8) -> u8 {
    match transport {
        2 => protocol::TCP,
        3 => protocol::UDP,
        4 => protocol::ICMP,
        5 => protocol::RAW,
        _ => protocol::NONE,
    }
}

/// An end without an address gets that of the interface that reaches the other one.
pub(super) fn fill_addresses(open: &mut Open, interfaces: &[(IpAddr, IpAddr)]) {
    let Ends::Inet(source, destination) = &mut open.ends else { return };
    if source.0.is_unspecified() && destination.0.is_unspecified() {
        return;
    }
    if source.0.is_unspecified() {
        fill(source, destination.0, interfaces);
    } else if destination.0.is_unspecified() {
        fill(destination, source.0, interfaces);
    }
}

fn fill(end: &mut End, other: IpAddr, interfaces: &[(IpAddr, IpAddr)]) {
    let (IpAddr::V4(other), false) = (other, interfaces.is_empty()) else { return };
    let four = || {
        interfaces.iter().filter_map(|(ip, mask)| match (ip, mask) {
            (IpAddr::V4(ip), IpAddr::V4(mask)) => Some((*ip, *mask)),
            _ => None,
        })
    };
    let bits = |ip: std::net::Ipv4Addr| u32::from(ip);
    let found = four()
        .find(|(ip, _)| *ip == other)
        .or_else(|| four().find(|(ip, mask)| bits(*ip) & bits(*mask) == bits(other) & bits(*mask)))
        .or_else(|| four().find(|(ip, _)| !ip.is_loopback()));
    if let Some((ip, _)) = found {
        end.0 = ip.into();
    }
}

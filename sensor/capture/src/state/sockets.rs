//! Sockets: made, bound, connected, accepted, and named after whom they talk to.

use std::net::IpAddr;

use eyas_abi::schema::EventFlags;
use eyas_abi::value::{self, SockAddr, SockTuple};
use eyas_state::{FdKind, Role};

use super::open::{Ends, Open, protocol};
use super::start::fill_addresses;
use super::{Now, Seen, State, code};

/// `EINPROGRESS`: the connection is being made.
const IN_PROGRESS: i64 = -115;
mod family {
    pub(super) const UNIX: u64 = 1;
    pub(super) const INET: u64 = 2;
    pub(super) const INET6: u64 = 10;
    pub(super) const NETLINK: u64 = 16;
}
/// Socket types, in the low byte.
mod socket_type {
    pub(super) const STREAM: u64 = 1;
    pub(super) const DATAGRAM: u64 = 2;
    pub(super) const RAW: u64 = 3;
}
const SOCK_CLOEXEC: u64 = 0x8_0000;
/// `SOL_SOCKET` and `SO_ERROR` in the encoding of the event format.
const SOL_SOCKET: u64 = 1;
const SO_ERROR: u64 = 4;

impl State {
    /// Takes in what an event does to sockets; whether it is such an event.
    pub(super) fn change_socket(&mut self, now: &Now<'_>, seen: &mut Seen) -> bool {
        match now.code {
            code::SOCKET => self.made_socket(now),
            code::SOCKETPAIR => self.made_pair(now),
            code::BIND => self.bound(now),
            code::CONNECT => self.connected(now),
            code::ACCEPT | code::ACCEPT4 => self.accepted(now),
            code::GETSOCKOPT => self.asked_for_error(now),
            _ if is_transfer(now) => self.transferred(now, seen),
            _ => return false,
        }
        true
    }

    fn made_socket(&mut self, now: &Now<'_>) {
        let Some(fd @ 0..) = now.result else { return };
        let int = |index: usize| now.unsigned(index).unwrap_or(0);
        let (domain, ty, number) = (int(1), int(2), int(3));
        let mut open = Open::new(match domain {
            family::UNIX => FdKind::Unix,
            family::INET => FdKind::Ipv4,
            family::INET6 => FdKind::Ipv6,
            family::NETLINK => FdKind::Netlink,
            _ => FdKind::Other,
        });
        if matches!(domain, family::INET | family::INET6) {
            open.protocol = match (number, ty & 0xff) {
                (_, socket_type::RAW) | (255, _) => protocol::RAW,
                (6, _) | (0, socket_type::STREAM) => protocol::TCP,
                (17, _) | (0, socket_type::DATAGRAM) => protocol::UDP,
                (1, _) => protocol::ICMP,
                _ => protocol::NONE,
            };
        }
        open.close_on_exec = ty & SOCK_CLOEXEC != 0;
        self.add(now.tid, fd, open);
    }

    fn made_pair(&mut self, now: &Now<'_>) {
        let (true, Some(first), Some(second)) = (now.succeeded(), now.int(1), now.int(2)) else {
            return;
        };
        if first == second {
            return;
        }
        for fd in [first, second] {
            let mut open = Open::new(FdKind::Unix);
            open.close_on_exec = now.unsigned(6).unwrap_or(0) & SOCK_CLOEXEC != 0;
            self.add(now.tid, fd, open);
        }
    }

    fn bound(&mut self, now: &Now<'_>) {
        let (true, Some(fd)) = (now.succeeded(), now.int(2)) else { return };
        let Some(open) = self.open_mut(now.tid, fd) else { return };
        match SockAddr::read(now.bytes(1)) {
            Some(SockAddr::Inet(ip, port)) if port > 0 => open.listen((ip, port)),
            Some(SockAddr::Inet(ip, _)) => open.name = format!("{ip}:0").into_bytes().into(),
            Some(SockAddr::Unix(path)) => open.name = path.into(),
            _ => {}
        }
    }

    fn connected(&mut self, now: &Now<'_>) {
        let Some(fd) = now.int(2) else { return };
        if !now.succeeded() && now.result != Some(IN_PROGRESS) {
            return;
        }
        let named = self.named_address(now);
        let Some(open) = self.open_mut(now.tid, fd) else { return };
        let tuple = SockTuple::read(now.bytes(1));
        match tuple {
            Some(SockTuple::Inet { source, destination }) => {
                let told = now_address(now).map(canonical);
                let destination = match named {
                    // Memory may have been changed between the halves of the call.
                    Some(named) if told == Some(canonical(destination)) => named,
                    _ => destination,
                };
                let before = open.kind;
                open.set_ends(source, destination);
                // The reference forgets what a socket speaks when that changes its family.
                if (before, open.kind) == (FdKind::Ipv6, FdKind::Ipv4) {
                    open.protocol = protocol::NONE;
                }
            }
            Some(SockTuple::Unix { source, destination, path }) => {
                open.kind = FdKind::Unix;
                open.ends = Ends::Unix { source, destination, path: path.into() };
            }
            _ => {
                if let Some(destination) = named.or_else(|| now_address(now)) {
                    let nobody: IpAddr = match destination.0 {
                        IpAddr::V4(_) => [0; 4].into(),
                        IpAddr::V6(_) => [0; 16].into(),
                    };
                    open.set_ends((nobody, 0), destination);
                }
            }
        }
        if open.role == Role::Unknown {
            open.role = Role::Client;
        }
        open.connected = true;
        open.pending = !now.succeeded();
        self.reach(now.tid, fd);
    }

    /// An end without an address gets that of the interface that reaches the other one.
    fn reach(&mut self, tid: u64, fd: i64) {
        let interfaces = std::mem::take(&mut self.known.interfaces);
        if let Some(open) = self.open_mut(tid, fd).filter(|open| open.protocol != protocol::NONE) {
            fill_addresses(open, &interfaces);
        }
        self.known.interfaces = interfaces;
    }

    /// The internet address that the enter half of a connect named.
    fn named_address(&self, now: &Now<'_>) -> Option<(IpAddr, u16)> {
        let enter = self.threads.get(&now.tid)?.enter.as_ref()?;
        if enter.code != code::CONNECT_ENTER {
            return None;
        }
        match SockAddr::read(enter.param(1))? {
            SockAddr::Inet(ip, port) => Some((ip, port)),
            _ => None,
        }
    }

    fn accepted(&mut self, now: &Now<'_>) {
        let Some(fd @ 0..) = now.result else { return };
        let mut open = match SockTuple::read(now.bytes(1)) {
            Some(SockTuple::Inet { source, destination }) => {
                let mut open = Open::new(FdKind::Ipv4);
                open.set_ends(source, destination);
                open.protocol = protocol::TCP;
                open
            }
            Some(SockTuple::Unix { source, destination, path }) => {
                let mut open = Open::new(FdKind::Unix);
                open.ends = Ends::Unix { source, destination, path: path.into() };
                open
            }
            _ => return,
        };
        open.role = Role::Server;
        open.connected = true;
        if now.code == code::ACCEPT4 {
            open.close_on_exec = now.unsigned(5).unwrap_or(0) & SOCK_CLOEXEC != 0;
        }
        self.add(now.tid, fd, open);
    }

    /// Asking for a socket's error is how a connection that took its time is found to be made.
    fn asked_for_error(&mut self, now: &Now<'_>) {
        let asked = (now.unsigned(2), now.unsigned(3)) == (Some(SOL_SOCKET), Some(SO_ERROR));
        let (true, true, Some(fd)) = (asked, now.succeeded(), now.int(1)) else { return };
        // The first byte says how the rest is to be read.
        let error = now.bytes(4).get(1..).and_then(|bytes| value::int(bytes, true));
        if let Some(open) = self.open_mut(now.tid, fd).filter(|open| open.pending) {
            open.pending = false;
            open.connected |= error == Some(0);
        }
    }

    /// Data moved: an unconnected socket is named after its peer of the moment.
    fn transferred(&mut self, now: &Now<'_>, seen: &Seen) {
        let (Some(tuple), Some(fd)) = (tuple_of(now), seen.fd) else { return };
        if !now.succeeded() {
            return;
        }
        let reads = now.ty.flags.has(EventFlags::READS);
        if self.open(now.tid, fd).is_none() {
            if reads {
                return;
            }
            let mut open = Open::new(FdKind::Ipv4);
            open.protocol = protocol::UDP;
            self.add(now.tid, fd, open);
        }
        let bound = self.is_bound(now.tid, &tuple, reads);
        let Some(open) = self.open_mut(now.tid, fd) else { return };
        if !open.is_nameless() && open.protocol == protocol::TCP {
            return;
        }
        match tuple {
            SockTuple::Inet { source, destination } => {
                if open.role == Role::Unknown {
                    open.role = if bound || reads { Role::Server } else { Role::Client };
                }
                let turned = match open.role {
                    Role::Client => reads,
                    _ => !reads,
                };
                if turned {
                    open.set_ends(destination, source);
                } else {
                    open.set_ends(source, destination);
                }
                if open.protocol == protocol::NONE {
                    open.protocol = protocol::UDP;
                }
                open.connected |= !reads;
                self.reach(now.tid, fd);
            }
            SockTuple::Unix { source, destination, path } => {
                open.kind = FdKind::Unix;
                open.ends = Ends::Unix { source, destination, path: path.into() };
            }
            SockTuple::Other(_) => {}
        }
    }

    /// Whether the process listens on its own port of a tuple, and does not also call from it.
    fn is_bound(&self, tid: u64, tuple: &SockTuple<'_>, reads: bool) -> bool {
        let SockTuple::Inet { source, destination } = tuple else { return false };
        let own = if reads { destination.1 } else { source.1 };
        let Some(thread) = self.threads.get(&self.owner(tid)) else { return false };
        let mut bound = false;
        for open in thread.fds.values() {
            match (&open.ends, open.role) {
                (Ends::Listening(end) | Ends::Inet(_, end), Role::Server) => {
                    bound |= end.1 == own;
                }
                (Ends::Inet(end, _), Role::Client) if end.1 == own => return false,
                _ => {}
            }
        }
        bound
    }
}

fn canonical((ip, port): (IpAddr, u16)) -> (IpAddr, u16) {
    (ip.to_canonical(), port)
}

/// The internet address in the exit half of a connect.
fn now_address(now: &Now<'_>) -> Option<(IpAddr, u16)> {
    match SockAddr::read(now.bytes(3))? {
        SockAddr::Inet(ip, port) => Some((ip, port)),
        _ => None,
    }
}

/// Events that move data and may carry a tuple.
fn is_transfer(now: &Now<'_>) -> bool {
    let moves = EventFlags::READS.with(EventFlags::WRITES);
    now.ty.flags.has(moves) && now.ty.flags.has(EventFlags::USES_FD) && tuple_index(now).is_some()
}

/// Where the tuple of such an event is.
fn tuple_index(now: &Now<'_>) -> Option<usize> {
    Some(match now.ty.name {
        "send" | "sendto" | "recv" | "sendmsg" | "sendmmsg" | "recvmmsg" => 4,
        "recvfrom" => 2,
        "recvmsg" => 3,
        _ => return None,
    })
}

fn tuple_of<'e>(now: &Now<'e>) -> Option<SockTuple<'e>> {
    SockTuple::read(now.bytes(tuple_index(now)?))
}

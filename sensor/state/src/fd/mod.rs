//! The descriptor an event works on, as the kernel described it in the event.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;

use eyas_abi::value::{SockAddr, SockTuple};
use eyas_abi::{Event, schema::EventFlags, value};

use crate::slots::FdSlots;

/// The probe's letter for the kernel's nameless files.
const NAMELESS: u8 = b'a';
/// A connection that is still being made.
const EINPROGRESS: i64 = 115;
/// State of a connected socket.
const ESTABLISHED: u64 = 1;
/// Lowest port that the kernel hands out to clients by default.
const HANDED_OUT: u16 = 32_768;
/// State of a listening socket.
const LISTENING: u64 = 10;

/// What a descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of `fd.type`")]
pub enum FdKind {
    File,
    Directory,
    Ipv4,
    Ipv6,
    Unix,
    Pipe,
    Event,
    Signalfd,
    Eventpoll,
    Inotify,
    Timerfd,
    Netlink,
    Bpf,
    Userfaultfd,
    IoUring,
    Memfd,
    Pidfd,
    /// Something that has no word.
    Other,
}

impl FdKind {
    const ALL: [(Self, u8, &'static str); 18] = [
        (Self::File, b'f', "file"),
        (Self::Directory, b'd', "directory"),
        (Self::Ipv4, b'4', "ipv4"),
        (Self::Ipv6, b'6', "ipv6"),
        (Self::Unix, b'u', "unix"),
        (Self::Pipe, b'p', "pipe"),
        (Self::Event, b'e', "event"),
        (Self::Signalfd, b's', "signalfd"),
        (Self::Eventpoll, b'l', "eventpoll"),
        (Self::Inotify, b'i', "inotify"),
        (Self::Timerfd, b't', "timerfd"),
        (Self::Netlink, b'n', "netlink"),
        (Self::Bpf, b'b', "bpf"),
        (Self::Userfaultfd, b'U', "userfaultfd"),
        (Self::IoUring, b'r', "io_uring"),
        (Self::Memfd, b'm', "memfd"),
        (Self::Pidfd, b'P', "pidfd"),
        (Self::Other, b'o', "<NA>"),
    ];

    /// Reads the probe's letter; anything else says that the descriptor is not known.
    pub fn from_wire(letter: u8) -> Option<Self> {
        Self::ALL.iter().find(|(_, wire, _)| *wire == letter).map(|(kind, ..)| *kind)
    }

    /// What one of the kernel's nameless files is, by the word that stands for its name. Processes have none.
    fn anonymous(word: Option<&[u8]>) -> Self {
        let word = word.unwrap_or_default();
        let is = |name: &str| word.strip_prefix(b"[").unwrap_or(word).starts_with(name.as_bytes());
        let words = [
            ("eventfd", Self::Event),
            ("eventpoll", Self::Eventpoll),
            ("inotify", Self::Inotify),
            ("signalfd", Self::Signalfd),
            ("timerfd", Self::Timerfd),
            ("userfaultfd", Self::Userfaultfd),
            ("io_uring", Self::IoUring),
            ("pidfd", Self::Pidfd),
            ("bpf", Self::Bpf),
        ];
        match words.into_iter().find(|(name, _)| is(name)) {
            Some((_, kind)) => kind,
            None if word.is_empty() => Self::Pidfd,
            None => Self::Other,
        }
    }

    /// The word of `fd.type`.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("<NA>", |(.., word)| word)
    }

    /// The letter of `fd.typechar`.
    pub fn letter(self) -> u8 {
        match self {
            // On the wire it has one of its own; as a field it shares that of unix sockets.
            Self::Userfaultfd => b'u',
            _ => {
                Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or(b'o', |(_, wire, _)| *wire)
            }
        }
    }

    /// Whether it is an internet socket.
    pub fn is_ip(self) -> bool {
        matches!(self, Self::Ipv4 | Self::Ipv6)
    }

    /// Whether it is a file or a directory.
    pub fn is_file(self) -> bool {
        matches!(self, Self::File | Self::Directory)
    }
}

/// Which end of a socket is the process's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// The ends themselves tell: the client's comes first.
    Told,
    /// It was followed and is not known yet.
    #[default]
    Unknown,
    /// The client's.
    Client,
    /// The server's.
    Server,
}

/// One descriptor.
#[derive(Debug, Clone, Copy)]
pub struct Fd<'a> {
    /// Its number, or the error of the call that should have made it.
    pub number: Option<i64>,
    /// What it is; `None` when the kernel had nothing at that number.
    pub kind: Option<FdKind>,
    /// The path of the file as the kernel resolved it, or the name the kernel gives the thing.
    pub path: Option<&'a [u8]>,
    /// Whether it is one of the kernel's nameless files.
    nameless: bool,
    /// Both ends of a socket.
    pub tuple: Option<SockTuple<'a>>,
    /// Both ends as the kernel's socket has them, its own first; not those of a connection that failed.
    kernel_tuple: Option<SockTuple<'a>>,
    /// Transport protocol number.
    pub protocol: Option<u8>,
    /// Device of the file.
    pub device: Option<u32>,
    /// Inode of the file.
    pub inode: Option<u64>,
    /// Flags it was opened with.
    pub flags: u32,
    /// The address the program named, for connect and bind.
    pub address: Option<SockAddr<'a>>,
    /// Which end is the own one, where that was followed.
    pub role: Role,
    /// Whether the server's end is this machine's; `None` when the ends have to tell.
    pub server: Option<bool>,
    state: Option<u64>,
}

impl<'a> Fd<'a> {
    /// The descriptor of `event`; `None` for events that have none.
    pub(crate) fn of(event: &Event<'a>, at: &FdSlots) -> Option<Self> {
        let ty = event.ty();
        if !ty.flags.has_fd() {
            return None;
        }
        let int = |slot: u8| value::int(event.param(usize::from(slot)), false);
        let bytes = |slot: u8| event.param(usize::from(slot));
        let number = if ty.flags.has(EventFlags::CREATES_FD) && ty.code % 2 == 1 {
            event.int(0)
        } else {
            ty.fd_param.and_then(|index| event.int(usize::from(index)))
        };
        // A tuple of the call itself has the client first; the kernel's own has the local end first.
        let tuple = SockTuple::read(bytes(at.event_tuple))
            .or_else(|| SockTuple::read(bytes(at.tuple)).map(client_first));
        // A socket forgets whom it could not reach; then the probe puts what was asked for in its place.
        let failed = event.result().is_some_and(|result| result < 0 && result != -EINPROGRESS);
        let path = value::text(bytes(at.path)).filter(|path| !path.is_empty());
        let nameless = bytes(at.kind) == [NAMELESS];
        let kind = if nameless {
            Some(FdKind::anonymous(path))
        } else {
            bytes(at.kind).first().and_then(|letter| FdKind::from_wire(*letter))
        };
        Some(Self {
            number,
            kind: kind.or_else(|| kind_of(tuple.as_ref(), number)),
            path,
            nameless,
            tuple,
            kernel_tuple: SockTuple::read(bytes(at.tuple)).filter(|_| !failed),
            protocol: int(at.proto).map(|number| number as u8),
            device: int(at.dev).or_else(|| int(at.event_dev)).map(|number| number as u32),
            inode: int(at.ino).or_else(|| int(at.event_ino)).map(|number| number as u64),
            flags: int(at.event_flags).or_else(|| int(at.flags)).map_or(0, |number| number as u32),
            address: SockAddr::read(bytes(at.addr)),
            role: Role::Told,
            server: None,
            state: int(at.state).map(|number| number as u64),
        })
    }

    /// A descriptor that was not read from an event, with the state of its connection.
    pub fn unread(number: Option<i64>, connected: bool, listening: bool) -> Self {
        let state = match (connected, listening) {
            (_, true) => LISTENING,
            (true, false) => ESTABLISHED,
            (false, false) => 0,
        };
        Self {
            number,
            kind: None,
            nameless: false,
            path: None,
            tuple: None,
            kernel_tuple: None,
            protocol: None,
            device: None,
            inode: None,
            flags: 0,
            address: None,
            role: Role::Unknown,
            server: None,
            state: Some(state),
        }
    }

    /// Whether the socket is connected; `None` when that is not known.
    pub fn connected(&self) -> Option<bool> {
        self.state.map(|state| state == ESTABLISHED)
    }

    /// Whether the socket is listening.
    pub fn listening(&self) -> bool {
        self.state == Some(LISTENING)
    }

    /// The remote end as the kernel has it: address and port, or the path of a unix socket.
    pub fn kernel_peer(&self) -> Option<Vec<u8>> {
        match self.kernel_tuple? {
            SockTuple::Inet { destination: (ip, port), .. } if port != 0 => {
                Some(end_text(ip.to_canonical(), port).into_bytes())
            }
            SockTuple::Unix { path, destination, .. } if destination != 0 && !path.is_empty() => {
                Some(path.to_vec())
            }
            _ => None,
        }
    }

    /// Client and server end of an internet socket that has both.
    pub fn ends(&self) -> Option<((IpAddr, u16), (IpAddr, u16))> {
        match self.tuple {
            Some(SockTuple::Inet { source, destination }) if !self.listening() => {
                Some((canonical(source), canonical(destination)))
            }
            _ => None,
        }
    }

    /// The own end of a listening socket.
    pub fn listening_end(&self) -> Option<(IpAddr, u16)> {
        match self.tuple {
            Some(SockTuple::Inet { source, destination }) if self.listening() => {
                // The probe may put the only end in either place.
                let own = if destination.1 == 0 { source } else { destination };
                Some(canonical(own))
            }
            _ => None,
        }
    }

    /// The name of a socket, made of its ends.
    pub fn made_name(&self) -> Option<Cow<'a, [u8]>> {
        self.other_name()
    }

    /// The name of a socket or of what is no file.
    pub(crate) fn other_name(&self) -> Option<Cow<'a, [u8]>> {
        if let Some((ip, port)) = self.listening_end() {
            return Some(Cow::Owned(end_text(ip, port).into_bytes()));
        }
        if let Some(tuple) = &self.tuple {
            return Some(Cow::Owned(tuple_text(tuple, self.protocol)));
        }
        match (self.path, self.inode) {
            (Some(word), _) if self.nameless => {
                Some(Cow::Owned([b"anon_inode:".as_slice(), word].concat()))
            }
            (None, Some(inode)) if self.kind == Some(FdKind::Pipe) => {
                Some(Cow::Owned(format!("pipe:[{inode}]").into_bytes()))
            }
            (path, _) => path.map(Cow::Borrowed),
        }
    }
}

/// An IPv4 address in IPv6 clothes is shown as what it is.
fn canonical((ip, port): (IpAddr, u16)) -> (IpAddr, u16) {
    (ip.to_canonical(), port)
}

/// Turns a tuple with the local end first around if this end looks like the server: it has a port
/// that somebody chose while the other end has one of those that are handed out.
fn client_first(tuple: SockTuple<'_>) -> SockTuple<'_> {
    match tuple {
        SockTuple::Inet { source, destination }
            if source.1 != 0 && source.1 < HANDED_OUT && destination.1 >= HANDED_OUT =>
        {
            SockTuple::Inet { source: destination, destination: source }
        }
        other => other,
    }
}

/// What a tuple says about a descriptor of which nothing else is known.
fn kind_of(tuple: Option<&SockTuple<'_>>, number: Option<i64>) -> Option<FdKind> {
    if number.is_none_or(|number| number < 0) {
        return None;
    }
    match tuple? {
        SockTuple::Unix { .. } => Some(FdKind::Unix),
        SockTuple::Inet { source: (ip, _), .. } if ip.is_ipv4() => Some(FdKind::Ipv4),
        SockTuple::Inet { .. } => Some(FdKind::Ipv6),
        SockTuple::Other(_) => None,
    }
}

/// Both ends as `fd.name` shows them. Protocols without ports are shown without.
pub(crate) fn tuple_text(tuple: &SockTuple<'_>, protocol: Option<u8>) -> Vec<u8> {
    match tuple {
        SockTuple::Unix { source, destination, path } => {
            let mut text = format!("{source:x}->{destination:x} ").into_bytes();
            text.extend_from_slice(path);
            text
        }
        SockTuple::Inet { source, destination } => {
            let (source, destination) = (canonical(*source), canonical(*destination));
            let ports = !matches!(protocol, Some(1 | 58 | 255));
            let mut text = String::new();
            for (gap, (ip, port)) in [("", source), ("->", destination)] {
                // Writing to a String cannot fail.
                let _ = if ports {
                    write!(text, "{gap}{ip}:{port}")
                } else {
                    write!(text, "{gap}{ip}")
                };
            }
            text.into_bytes()
        }
        SockTuple::Other(family) => format!("family {family}").into_bytes(),
    }
}

/// An address as the parameter of bind or connect shows it.
pub(crate) fn address_text(address: &SockAddr<'_>) -> Vec<u8> {
    match address {
        SockAddr::Unix(path) => path.to_vec(),
        SockAddr::Inet(ip, port) => end_text(ip.to_canonical(), *port).into_bytes(),
        SockAddr::Other(family) => format!("family {family}").into_bytes(),
    }
}

fn end_text(ip: IpAddr, port: u16) -> String {
    format!("{ip}:{port}")
}

#[cfg(test)]
mod tests;

//! One descriptor as it follows from the events: what a live event is told by the kernel.

use std::borrow::Cow;
use std::net::IpAddr;

use eyas_abi::value::SockTuple;
use eyas_state::{Fd, FdKind, Role};

/// Transport protocol numbers.
pub(super) mod protocol {
    pub(crate) const NONE: u8 = 0;
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const RAW: u8 = 255;
}

/// An address and a port.
pub(super) type End = (IpAddr, u16);

/// What a socket is between.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Ends {
    #[default]
    None,
    /// The client's end and the server's.
    Inet(End, End),
    Listening(End),
    Unix {
        source: u64,
        destination: u64,
        path: Box<[u8]>,
    },
}

/// A descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) kind: FdKind,
    /// Path or name; empty for sockets, which are named by their ends.
    pub(super) name: Box<[u8]>,
    /// The path as it was written, where that differs.
    pub(super) written: Option<Box<[u8]>>,
    pub(super) ends: Ends,
    pub(super) protocol: u8,
    pub(super) dev: u32,
    pub(super) ino: u64,
    pub(super) flags: u32,
    pub(super) role: Role,
    pub(super) connected: bool,
    /// A connection is under way.
    pub(super) pending: bool,
    pub(super) close_on_exec: bool,
}

impl Open {
    pub(super) fn new(kind: FdKind) -> Self {
        Self {
            kind,
            name: Box::default(),
            written: None,
            ends: Ends::None,
            protocol: protocol::NONE,
            dev: 0,
            ino: 0,
            flags: 0,
            role: Role::Unknown,
            connected: false,
            pending: false,
            close_on_exec: false,
        }
    }

    pub(super) fn named(kind: FdKind, name: &[u8]) -> Self {
        Self { name: name.into(), ..Self::new(kind) }
    }

    /// Whether nothing tells yet what a socket is connected to.
    pub(super) fn is_nameless(&self) -> bool {
        self.ends == Ends::None && self.name.is_empty()
    }

    /// Takes both ends in. IPv4 in IPv6 clothes is IPv4.
    pub(super) fn set_ends(&mut self, source: End, destination: End) {
        let (source, destination) = plain_pair(source, destination);
        self.kind =
            if source.0.is_ipv4() && destination.0.is_ipv4() { FdKind::Ipv4 } else { FdKind::Ipv6 };
        self.ends = Ends::Inet(source, destination);
    }

    pub(super) fn listen(&mut self, end: End) {
        let end = plain(end);
        // Any address of either family is spoken to over both.
        let four = end.0.is_ipv4() || end.0.is_unspecified();
        self.kind = if four { FdKind::Ipv4 } else { FdKind::Ipv6 };
        self.ends = Ends::Listening(end);
        self.role = Role::Server;
    }

    /// As fields see it. `is_own` tells the machine's own addresses.
    pub(super) fn view(&self, number: i64, is_own: impl Fn(IpAddr) -> bool) -> Fd<'_> {
        let mut fd = Fd::unread(Some(number), self.connected, self.listens());
        fd.kind = Some(self.kind);
        fd.path = Some(self.written.as_deref().unwrap_or(&self.name));
        fd.tuple = self.tuple();
        fd.role = self.role;
        // While nobody knows which end is whose, nobody says what runs between them either.
        let known = self.role != Role::Unknown || self.listens();
        fd.protocol = known.then_some(self.protocol);
        fd.device = Some(self.dev);
        fd.inode = Some(self.ino);
        fd.flags = self.flags;
        fd.server = Some(match self.ends {
            Ends::Listening(_) => true,
            Ends::Inet(_, (IpAddr::V4(server), _)) => is_own(server.into()),
            _ => false,
        });
        fd
    }

    /// Its name, unless that has to be made of the ends.
    pub(super) fn plain_name(&self) -> Option<Cow<'_, [u8]>> {
        match self.ends {
            Ends::None => Some(Cow::Borrowed(&self.name)),
            _ => None,
        }
    }

    pub(super) fn listens(&self) -> bool {
        matches!(self.ends, Ends::Listening(_))
    }

    fn tuple(&self) -> Option<SockTuple<'_>> {
        match &self.ends {
            Ends::None => None,
            Ends::Inet(source, destination) => {
                Some(SockTuple::Inet { source: *source, destination: *destination })
            }
            Ends::Listening(end) => {
                let nobody = (unspecified(end.0), 0);
                Some(SockTuple::Inet { source: nobody, destination: *end })
            }
            Ends::Unix { source, destination, path } => {
                Some(SockTuple::Unix { source: *source, destination: *destination, path })
            }
        }
    }
}

/// Both ends as IPv4 if both are, whatever they are written as.
fn plain_pair(source: End, destination: End) -> (End, End) {
    let four = |(ip, port): End| match ip.to_canonical() {
        IpAddr::V4(ip) => Some((IpAddr::V4(ip), port)),
        IpAddr::V6(ip) if ip.is_unspecified() => Some(([0; 4].into(), port)),
        IpAddr::V6(_) => None,
    };
    match (four(source), four(destination)) {
        (Some(source), Some(destination)) => (source, destination),
        _ => (plain(source), plain(destination)),
    }
}

fn plain((ip, port): End) -> End {
    (ip.to_canonical(), port)
}

fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

//! Parameter encodings that are more than bytes: numbers, text, lists of text, addresses, tuples.
//!
//! Addresses are in network order, ports and all other integers in the host's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `family` byte of a unix socket address.
pub const AF_UNIX: u8 = 1;
/// `family` byte of an IPv4 address.
pub const AF_INET: u8 = 2;
/// `family` byte of an IPv6 address.
pub const AF_INET6: u8 = 10;

/// A number of one, two, four or eight bytes; `None` for any other length.
pub fn int(bytes: &[u8], signed: bool) -> Option<i64> {
    Some(match (bytes.len(), signed) {
        (1, false) => i64::from(bytes[0]),
        (1, true) => i64::from(bytes[0] as i8),
        (2, false) => i64::from(u16::from_ne_bytes(bytes.try_into().ok()?)),
        (2, true) => i64::from(i16::from_ne_bytes(bytes.try_into().ok()?)),
        (4, false) => i64::from(u32::from_ne_bytes(bytes.try_into().ok()?)),
        (4, true) => i64::from(i32::from_ne_bytes(bytes.try_into().ok()?)),
        (8, _) => i64::from_ne_bytes(bytes.try_into().ok()?),
        _ => return None,
    })
}

/// Text without the terminating NUL; `None` when nothing is known.
pub fn text(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.is_empty() {
        return None;
    }
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    Some(&bytes[..end])
}

/// The texts of a list, each without its NUL. The last one may lack it.
pub fn list(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    let empty = bytes.is_empty();
    bytes.split(|byte| *byte == 0).filter(move |_| !empty)
}

/// One end of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SockAddr<'a> {
    /// Path of a unix socket; abstract names begin with a NUL.
    Unix(&'a [u8]),
    /// Internet address and port.
    Inet(IpAddr, u16),
    /// Another family, by its number.
    Other(u8),
}

impl<'a> SockAddr<'a> {
    /// Reads a `sockaddr` value; `None` when it is not known or malformed.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (family, rest) = bytes.split_first()?;
        Some(match *family {
            AF_UNIX => Self::Unix(unix_path(rest)),
            AF_INET => {
                let (ip, rest) = rest.split_first_chunk()?;
                Self::Inet(Ipv4Addr::from(*ip).into(), port(rest)?.0)
            }
            AF_INET6 => {
                let (ip, rest) = rest.split_first_chunk()?;
                Self::Inet(Ipv6Addr::from(*ip).into(), port(rest)?.0)
            }
            other => Self::Other(other),
        })
    }
}

/// Both ends of a socket. For a client the source is its own end, for a server the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SockTuple<'a> {
    /// Kernel addresses of both sockets and the path.
    Unix {
        /// The client's socket.
        source: u64,
        /// The server's socket.
        destination: u64,
        /// Path or abstract name.
        path: &'a [u8],
    },
    /// Addresses and ports.
    Inet {
        /// The client's address and port.
        source: (IpAddr, u16),
        /// The server's address and port.
        destination: (IpAddr, u16),
    },
    /// Another family, by its number.
    Other(u8),
}

impl<'a> SockTuple<'a> {
    /// Reads a `socktuple` value; `None` when it is not known or malformed.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (family, rest) = bytes.split_first()?;
        Some(match *family {
            AF_UNIX => {
                let (source, rest) = rest.split_first_chunk()?;
                let (destination, rest) = rest.split_first_chunk()?;
                Self::Unix {
                    source: u64::from_ne_bytes(*source),
                    destination: u64::from_ne_bytes(*destination),
                    path: unix_path(rest),
                }
            }
            AF_INET => {
                let (source, source_port, rest) = end_v4(rest)?;
                let (destination, destination_port, _) = end_v4(rest)?;
                Self::Inet {
                    source: (source.into(), source_port),
                    destination: (destination.into(), destination_port),
                }
            }
            AF_INET6 => {
                let (source, source_port, rest) = end_v6(rest)?;
                let (destination, destination_port, _) = end_v6(rest)?;
                Self::Inet {
                    source: (source.into(), source_port),
                    destination: (destination.into(), destination_port),
                }
            }
            other => Self::Other(other),
        })
    }
}

/// The path of a unix socket: up to the NUL, or to the end of an abstract name.
fn unix_path(bytes: &[u8]) -> &[u8] {
    match bytes {
        [0, rest @ ..] if !rest.is_empty() => bytes.strip_suffix(&[0]).unwrap_or(bytes),
        _ => text(bytes).unwrap_or_default(),
    }
}

fn end_v4(bytes: &[u8]) -> Option<(Ipv4Addr, u16, &[u8])> {
    let (ip, rest) = bytes.split_first_chunk::<4>()?;
    let (port, rest) = port(rest)?;
    Some((Ipv4Addr::from(*ip), port, rest))
}

fn end_v6(bytes: &[u8]) -> Option<(Ipv6Addr, u16, &[u8])> {
    let (ip, rest) = bytes.split_first_chunk::<16>()?;
    let (port, rest) = port(rest)?;
    Some((Ipv6Addr::from(*ip), port, rest))
}

fn port(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (port, rest) = bytes.split_first_chunk()?;
    Some((u16::from_ne_bytes(*port), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_extended_by_their_sign() {
        assert_eq!(int(&[0xff], false), Some(255));
        assert_eq!(int(&[0xff], true), Some(-1));
        assert_eq!(int(&0xffff_u16.to_ne_bytes(), true), Some(-1));
        assert_eq!(int(&0xffff_ffff_u32.to_ne_bytes(), false), Some(0xffff_ffff));
        assert_eq!(int(&(-100_i64).to_ne_bytes(), true), Some(-100));
        assert_eq!(int(&[], false), None);
        assert_eq!(int(&[0; 3], false), None);
    }

    #[test]
    fn text_ends_at_its_nul() {
        assert_eq!(text(b""), None);
        assert_eq!(text(b"\0"), Some(&b""[..]));
        assert_eq!(text(b"ls\0"), Some(&b"ls"[..]));
        assert_eq!(text(b"ls"), Some(&b"ls"[..]));
    }

    #[test]
    fn lists_keep_empty_items_and_tolerate_a_missing_end() {
        let items = |bytes: &'static [u8]| list(bytes).collect::<Vec<_>>();
        assert_eq!(items(b"").len(), 0);
        assert_eq!(items(b"-l\0/\0"), [&b"-l"[..], b"/"]);
        assert_eq!(items(b"-l\0/"), [&b"-l"[..], b"/"]);
        assert_eq!(items(b"a\0\0b\0"), [&b"a"[..], b"", b"b"]);
    }

    #[test]
    fn addresses_of_each_family() {
        let mut v4 = vec![AF_INET, 127, 0, 0, 1];
        v4.extend(80_u16.to_ne_bytes());
        assert_eq!(SockAddr::read(&v4), Some(SockAddr::Inet([127, 0, 0, 1].into(), 80)));
        assert_eq!(SockAddr::read(b"\x01/run/x\0"), Some(SockAddr::Unix(b"/run/x")));
        assert_eq!(SockAddr::read(b"\x01\0name"), Some(SockAddr::Unix(b"\0name")));
        assert_eq!(SockAddr::read(&[16, 1, 2]), Some(SockAddr::Other(16)));
        assert_eq!(SockAddr::read(&v4[..6]), None);
        assert_eq!(SockAddr::read(&[]), None);
    }

    #[test]
    fn tuples_of_each_family() {
        let mut v6 = vec![AF_INET6];
        v6.extend(Ipv6Addr::LOCALHOST.octets());
        v6.extend(4000_u16.to_ne_bytes());
        v6.extend(Ipv6Addr::LOCALHOST.octets());
        v6.extend(443_u16.to_ne_bytes());
        let end = |port| (IpAddr::from(Ipv6Addr::LOCALHOST), port);
        assert_eq!(
            SockTuple::read(&v6),
            Some(SockTuple::Inet { source: end(4000), destination: end(443) })
        );
        let mut unix = vec![AF_UNIX];
        unix.extend(1_u64.to_ne_bytes());
        unix.extend(2_u64.to_ne_bytes());
        unix.extend(b"/run/x\0");
        assert_eq!(
            SockTuple::read(&unix),
            Some(SockTuple::Unix { source: 1, destination: 2, path: b"/run/x" })
        );
        assert_eq!(SockTuple::read(&v6[..36]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (SockAddr::read(&bytes), SockTuple::read(&bytes), text(&bytes), int(&bytes, true));
            let _ = list(&bytes).count();
        }
    }
}

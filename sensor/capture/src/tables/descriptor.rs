//! Descriptor lists: what each thread had open when the recording began.

use std::net::IpAddr;

use super::{Entries, EntryError, sized};
use crate::cursor::Cursor;

/// All descriptors of one thread.
#[derive(Debug, Clone)]
pub struct Descriptors<'a> {
    /// The thread.
    pub tid: u64,
    /// Its descriptors.
    pub entries: Entries<'a, Descriptor<'a>>,
}

/// One descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor<'a> {
    /// Its number.
    pub fd: i64,
    /// Inode.
    pub ino: u64,
    /// Type as the file has it.
    pub code: u8,
    /// What it is.
    pub kind: DescriptorKind<'a>,
}

/// What a descriptor is, by the payload that describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DescriptorKind<'a> {
    /// A file with its open flags and device.
    File {
        /// Path.
        name: &'a [u8],
        /// Open flags.
        flags: u32,
        /// Device number.
        dev: u32,
    },
    /// Anything that has a name and nothing else.
    Named(&'a [u8]),
    /// A socket with both ends.
    Socket {
        /// Own address and port.
        source: (IpAddr, u16),
        /// The peer's.
        destination: (IpAddr, u16),
        /// Transport: 2 TCP, 3 UDP, 4 ICMP, 5 raw.
        transport: u8,
    },
    /// A listening socket.
    Listening {
        /// Own address and port.
        end: (IpAddr, u16),
        /// Transport.
        transport: u8,
    },
    /// A unix socket.
    Unix {
        /// Kernel address of the own socket.
        source: u64,
        /// Kernel address of the peer's.
        destination: u64,
        /// Path or abstract name.
        name: &'a [u8],
    },
    /// Of a type newer than this reader.
    Newer,
}

pub(super) fn read<'a>(rest: &mut Cursor<'a>, form: u8) -> Result<Descriptor<'a>, EntryError> {
    if form == 0 {
        let descriptor = body(rest, false)?;
        return match descriptor.kind {
            DescriptorKind::Newer => Err(EntryError::Kind(u16::from(descriptor.code))),
            _ => Ok(descriptor),
        };
    }
    body(&mut sized(rest)?, true)
}

fn body<'a>(rest: &mut Cursor<'a>, sized: bool) -> Result<Descriptor<'a>, EntryError> {
    let (fd, ino, code) = (rest.i64()?, rest.u64()?, rest.u8()?);
    let kind = match code {
        1 | 2 | 7 | 9..=15 | 17..=21 => DescriptorKind::Named(rest.text()?),
        3 | 4 => {
            let (own, peer) = (address(rest, code == 4)?, address(rest, code == 4)?);
            let (own_port, peer_port) = (rest.u16()?, rest.u16()?);
            DescriptorKind::Socket {
                source: (own, own_port),
                destination: (peer, peer_port),
                transport: rest.u8()?,
            }
        }
        5 | 6 => DescriptorKind::Listening {
            end: (address(rest, code == 6)?, rest.u16()?),
            transport: rest.u8()?,
        },
        8 => DescriptorKind::Unix {
            source: rest.u64()?,
            destination: rest.u64()?,
            name: rest.text()?,
        },
        16 => {
            let (flags, name) = (rest.u32()?, rest.text()?);
            // Added later, and only to lists that carry the lengths of their entries.
            let dev = if sized { rest.u32().unwrap_or(0) } else { 0 };
            DescriptorKind::File { name, flags, dev }
        }
        _ => DescriptorKind::Newer,
    };
    Ok(Descriptor { fd, ino, code, kind })
}

fn address(rest: &mut Cursor<'_>, wide: bool) -> Result<IpAddr, EntryError> {
    Ok(if wide { rest.array::<16>()?.into() } else { rest.array::<4>()?.into() })
}

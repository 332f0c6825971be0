//! Socket addresses as text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use eyas_abi::value::{SockAddr, SockTuple};

use super::number::append;

/// An address of four or sixteen bytes in network order.
pub(super) fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(bytes).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into())
}

pub(super) fn write_ip(bytes: &[u8], out: &mut Vec<u8>) {
    if let Some(ip) = ip(bytes) {
        append(out, format_args!("{ip}"));
    }
}

/// `path`, `a.b.c.d:port`, `addr:port` or `family N`.
pub(super) fn write_one(bytes: &[u8], out: &mut Vec<u8>) {
    match SockAddr::read(bytes) {
        Some(SockAddr::Unix(path)) => out.extend_from_slice(path),
        Some(SockAddr::Inet(ip, port)) => append(out, format_args!("{ip}:{port}")),
        Some(SockAddr::Other(family)) => append(out, format_args!("family {family}")),
        None => {}
    }
}

/// `source->destination`; addresses of the other family in disguise are shown as what they are.
pub(super) fn write_both(bytes: &[u8], out: &mut Vec<u8>) {
    match SockTuple::read(bytes) {
        Some(SockTuple::Unix { source, destination, path }) => {
            append(out, format_args!("{source:x}->{destination:x} "));
            out.extend_from_slice(path);
        }
        Some(SockTuple::Inet { source, destination }) => {
            let (from, to) = (source.0.to_canonical(), destination.0.to_canonical());
            append(out, format_args!("{from}:{}->{to}:{}", source.1, destination.1));
        }
        Some(SockTuple::Other(family)) => append(out, format_args!("family {family}")),
        None => {}
    }
}

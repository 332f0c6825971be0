//! Network interfaces.

use std::net::IpAddr;

use super::EntryError;
use crate::cursor::Cursor;

/// One address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface<'a> {
    /// Name of the interface.
    pub name: &'a [u8],
    /// Its address.
    pub address: IpAddr,
    /// Mask of its network.
    pub netmask: IpAddr,
    /// Broadcast address.
    pub broadcast: IpAddr,
}

pub(super) fn read<'a>(rest: &mut Cursor<'a>, form: u8) -> Result<Interface<'a>, EntryError> {
    if form == 0 {
        return body(rest);
    }
    // Here the length does not count itself.
    let left = rest.left();
    let found = rest.u32()? as usize;
    body(&mut rest.part(found).map_err(|_| EntryError::Length { found, left })?)
}

fn body<'a>(rest: &mut Cursor<'a>) -> Result<Interface<'a>, EntryError> {
    let kind = rest.u16()?;
    let name_len = usize::from(rest.u16()?);
    let wide = match kind {
        1 | 3 => false,
        2 | 4 => true,
        other => return Err(EntryError::Kind(other)),
    };
    let mut address = || -> Result<IpAddr, EntryError> {
        Ok(if wide { rest.array::<16>()?.into() } else { rest.array::<4>()?.into() })
    };
    let (own, netmask, broadcast) = (address()?, address()?, address()?);
    if kind < 3 {
        // The link's speed.
        rest.u64()?;
    }
    Ok(Interface { name: rest.bytes(name_len)?, address: own, netmask, broadcast })
}

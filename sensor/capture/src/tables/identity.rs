//! Users and groups.

use super::{EntryError, sized};
use crate::cursor::Cursor;

/// A user or a group of the recorded machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity<'a> {
    /// A user.
    User {
        /// User id.
        uid: u32,
        /// Its first group.
        gid: u32,
        /// Login name.
        name: &'a [u8],
        /// Home directory.
        home: &'a [u8],
        /// Login shell.
        shell: &'a [u8],
    },
    /// A group.
    Group {
        /// Group id.
        gid: u32,
        /// Name.
        name: &'a [u8],
    },
}

pub(super) fn read<'a>(rest: &mut Cursor<'a>, form: u8) -> Result<Identity<'a>, EntryError> {
    if form == 0 { body(rest) } else { body(&mut sized(rest)?) }
}

fn body<'a>(rest: &mut Cursor<'a>) -> Result<Identity<'a>, EntryError> {
    if rest.u8()? != 0 {
        return Ok(Identity::Group { gid: rest.u32()?, name: rest.text()? });
    }
    Ok(Identity::User {
        uid: rest.u32()?,
        gid: rest.u32()?,
        name: rest.text()?,
        home: rest.text()?,
        shell: rest.text()?,
    })
}

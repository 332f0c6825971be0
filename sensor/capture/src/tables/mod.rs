//! The tables in front of the events: machine, interfaces, users, threads, descriptors.
//!
//! Entries are read one by one while somebody asks for them and borrow from the block, so that a table
//! costs nothing beyond what is kept of it. Nothing here decides what entries mean.

mod descriptor;
mod identity;
mod interface;
mod machine;
mod thread;

pub use descriptor::{Descriptor, DescriptorKind, Descriptors};
pub use identity::Identity;
pub use interface::Interface;
pub use machine::Machine;
pub use thread::ThreadEntry;

use crate::cursor::{Cursor, Short};
use crate::error::CaptureError;

/// Bytes below which a list has ended.
const LIST_END: usize = 4;

/// Why an entry cannot be read, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EntryError {
    #[error(transparent)]
    Short(#[from] Short),
    #[error("an entry claims `{found}` bytes, its block has `{left}` left")]
    Length { found: usize, left: usize },
    #[error("an entry is of the unknown type `{0}`, whose length is not known either")]
    Kind(u16),
}

/// How one entry is read.
type Read<'a, T> = fn(&mut Cursor<'a>, u8) -> Result<T, EntryError>;

/// The entries of a table.
#[derive(Debug, Clone)]
pub struct Entries<'a, T> {
    rest: Cursor<'a>,
    form: u8,
    read: Read<'a, T>,
    table: &'static str,
    offset: u64,
    failed: bool,
}

impl<'a, T> Entries<'a, T> {
    fn new(
        body: Cursor<'a>,
        form: u8,
        read: Read<'a, T>,
        table: &'static str,
        offset: u64,
    ) -> Self {
        Self { rest: body, form, read, table, offset, failed: false }
    }
}

impl<T> Iterator for Entries<'_, T> {
    type Item = Result<T, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.rest.left() < LIST_END {
            return None;
        }
        Some((self.read)(&mut self.rest, self.form).map_err(|error| {
            self.failed = true;
            let (offset, table) = (self.offset, self.table);
            CaptureError::Table { offset, table, what: error.to_string() }
        }))
    }
}

/// The body of an entry that begins with its own length, which counts itself.
fn sized<'a>(rest: &mut Cursor<'a>) -> Result<Cursor<'a>, EntryError> {
    let left = rest.left();
    let found = rest.u32()? as usize;
    let body = found.checked_sub(4).ok_or(EntryError::Length { found, left })?;
    rest.part(body).map_err(|_| EntryError::Length { found, left })
}

/// Threads of a process list of this version.
pub(crate) fn threads(body: &[u8], version: u8, offset: u64) -> Entries<'_, ThreadEntry<'_>> {
    Entries::new(Cursor::new(body), version, thread::read, "process list", offset)
}

/// Interfaces of a list whose entries carry their length or not.
pub(crate) fn interfaces(body: &[u8], sized: bool, offset: u64) -> Entries<'_, Interface<'_>> {
    Entries::new(Cursor::new(body), u8::from(sized), interface::read, "interface list", offset)
}

/// Users and groups.
pub(crate) fn identities(body: &[u8], sized: bool, offset: u64) -> Entries<'_, Identity<'_>> {
    Entries::new(Cursor::new(body), u8::from(sized), identity::read, "user list", offset)
}

/// Descriptors of one thread.
pub(crate) fn descriptors(
    body: &[u8],
    sized: bool,
    offset: u64,
) -> Result<Descriptors<'_>, CaptureError> {
    let table = "descriptor list";
    let mut cursor = Cursor::new(body);
    let tid = cursor.u64().map_err(|short| CaptureError::Table {
        offset,
        table,
        what: short.to_string(),
    })?;
    let entries = Entries::new(cursor, u8::from(sized), descriptor::read, table, offset);
    Ok(Descriptors { tid, entries })
}

/// Facts of the machine.
pub(crate) fn machine(body: &[u8], offset: u64) -> Result<Machine, CaptureError> {
    machine::read(body).map_err(|short| CaptureError::Table {
        offset,
        table: "machine info",
        what: short.to_string(),
    })
}

//! Headers of an archive, one real member at a time.
//!
//! Owns long names and extended headers, with limits, so that a header cannot ask for memory. An
//! archive that two readers would understand differently is refused.

use std::io::{self, Read};

use tar::{Entries, Entry, EntryType, PaxExtensions};

/// Largest extended header or long name, in bytes.
const MAX_HEADER_BYTES: u64 = 64 * 1024;
/// Most extended headers before one member.
const MAX_HEADERS_PER_MEMBER: usize = 8;

/// A file or directory of the archive.
pub(super) struct Member<R> {
    pub(super) name: Vec<u8>,
    pub(super) is_directory: bool,
    pub(super) size: u64,
    pub(super) content: R,
}

/// Reads members from raw entries.
pub(super) struct Members<'a, R: Read> {
    entries: Entries<'a, R>,
}

impl<'a, R: Read> Members<'a, R> {
    pub(super) fn new(entries: Entries<'a, R>) -> Self {
        Self { entries }
    }

    /// The next file or directory; an error for anything else.
    pub(super) fn next(&mut self) -> io::Result<Option<Member<Entry<'a, R>>>> {
        let mut extended = Extended::default();
        for _ in 0..=MAX_HEADERS_PER_MEMBER {
            let Some(entry) = self.entries.next() else {
                return if extended.is_empty() {
                    Ok(None)
                } else {
                    Err(refuse("it ends after an extended header"))
                };
            };
            let mut entry = entry?;
            match entry.header().entry_type() {
                EntryType::XGlobalHeader => check_global(&small(&mut entry)?)?,
                EntryType::XHeader => extended.read_pax(&small(&mut entry)?)?,
                EntryType::GNULongName => extended.set_name(until_nul(&small(&mut entry)?))?,
                EntryType::GNULongLink => return Err(refuse("it contains a link")),
                kind => return member(entry, kind, extended).map(Some),
            }
        }
        Err(refuse("too many extended headers before an entry"))
    }
}

/// What extended headers say about the next member.
#[derive(Default)]
struct Extended {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    any: bool,
}

impl Extended {
    fn is_empty(&self) -> bool {
        !self.any
    }

    fn set_name(&mut self, name: &[u8]) -> io::Result<()> {
        self.any = true;
        match self.name.replace(name.to_owned()) {
            Some(before) if before != name => Err(refuse("an entry has two names")),
            _ => Ok(()),
        }
    }

    fn read_pax(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.any = true;
        for (key, value) in records(bytes)? {
            match key.as_str() {
                "path" => self.set_name(&value)?,
                "size" => {
                    let size = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
                    self.size = Some(size.ok_or_else(|| refuse("an entry has a malformed size"))?);
                }
                key if is_sparse(key) => return Err(refuse("it contains a sparse file")),
                // Times, owners and attributes are not kept.
                _ => {}
            }
        }
        Ok(())
    }
}

/// A global header may carry comments; one that renames or resizes would change every member.
fn check_global(bytes: &[u8]) -> io::Result<()> {
    for (key, _) in records(bytes)? {
        if matches!(key.as_str(), "path" | "size" | "linkpath") || is_sparse(&key) {
            return Err(refuse("a global header changes the entries that follow"));
        }
    }
    Ok(())
}

fn is_sparse(key: &str) -> bool {
    key.starts_with("GNU.sparse")
}

fn records(bytes: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
    let malformed = || refuse("an extended header is malformed");
    PaxExtensions::new(bytes)
        .map(|record| {
            let record = record.map_err(|_| malformed())?;
            let key = record.key().map_err(|_| malformed())?.to_owned();
            Ok((key, record.value_bytes().to_owned()))
        })
        .collect()
}

/// The content of an extended header.
fn small(entry: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(MAX_HEADER_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_HEADER_BYTES {
        return Err(refuse("an extended header is larger than 64 KiB"));
    }
    Ok(bytes)
}

fn member<R: Read>(
    entry: Entry<'_, R>,
    kind: EntryType,
    extended: Extended,
) -> io::Result<Member<Entry<'_, R>>> {
    let size = entry.size();
    if extended.size.is_some_and(|said| said != size) {
        return Err(refuse("an entry has two sizes"));
    }
    let name = extended.name.unwrap_or_else(|| entry.path_bytes().into_owned());
    let is_directory = match kind {
        EntryType::Directory => true,
        // Before there was a type for directories, a final slash said it.
        EntryType::Regular | EntryType::Continuous => name.ends_with(b"/"),
        other => {
            let shown = super::names::printable(&name);
            return Err(refuse(&format!(
                "entry `{shown}` is {}, expected a regular file or a directory",
                describe(other)
            )));
        }
    };
    if is_directory && size > 0 {
        return Err(refuse("a directory has content"));
    }
    Ok(Member { name, is_directory, size, content: entry })
}

fn describe(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Link => "a hard link",
        EntryType::Symlink => "a symbolic link",
        EntryType::Char => "a character device",
        EntryType::Block => "a block device",
        EntryType::Fifo => "a named pipe",
        EntryType::GNUSparse => "a sparse file",
        _ => "of an unknown type",
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn refuse(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}

//! The process list: one entry for each thread. Nine versions, each with more fields than the one
//! before; the last one only ever grows at its end.

use super::{EntryError, sized};
use crate::cursor::{Cursor, Short};

/// Tails up to this long were written before `tty` and the start of the pid namespace were put in
/// front of them, bytes.
const OLD_TAIL: usize = 29;

/// A thread as it was when the recording began. What an older writer did not know is -1 for ids and
/// otherwise zero or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the fields of processes are")]
#[expect(clippy::struct_excessive_bools, reason = "each is a mark of its own")]
pub struct ThreadEntry<'a> {
    pub tid: i64,
    pub pid: i64,
    /// Thread or process it descends from.
    pub ptid: i64,
    pub sid: i64,
    pub vpgid: i64,
    pub pgid: i64,
    pub vtid: i64,
    pub vpid: i64,
    pub comm: &'a [u8],
    /// `argv[0]`.
    pub exe: &'a [u8],
    pub exe_path: &'a [u8],
    /// The other arguments, each with a NUL; the last one may lack it.
    pub args: &'a [u8],
    pub cwd: &'a [u8],
    pub root: &'a [u8],
    /// Environment, each variable with a NUL.
    pub env: &'a [u8],
    /// `subsystem=path` each with a NUL.
    pub cgroups: &'a [u8],
    pub fd_limit: i64,
    /// Set of clone flags.
    pub flags: u32,
    pub uid: u32,
    pub gid: u32,
    /// All ones when not set or not known.
    pub loginuid: u32,
    /// Memory, kB: virtual, resident, swapped.
    pub memory: [u32; 3],
    /// Page faults: major, minor.
    pub faults: [u64; 2],
    /// Start of the pid namespace's first process on the boot clock, nanoseconds.
    pub pidns_start_ns: u64,
    pub tty: u32,
    /// Capabilities: inheritable, permitted, effective.
    pub capabilities: [u64; 3],
    pub exe_writable: bool,
    pub exe_upper_layer: bool,
    pub exe_lower_layer: bool,
    pub exe_from_memfd: bool,
    pub exe_ino: u64,
    /// Nanoseconds since the epoch.
    pub exe_ctime_ns: u64,
    /// Nanoseconds since the epoch.
    pub exe_mtime_ns: u64,
}

pub(super) fn read<'a>(rest: &mut Cursor<'a>, version: u8) -> Result<ThreadEntry<'a>, EntryError> {
    if version < 9 {
        return Ok(fixed(rest, version)?);
    }
    let mut entry = sized(rest)?;
    let mut thread = fixed(&mut entry, version)?;
    // A field that does not fit is one that the writer did not have.
    let _ = tail(&mut entry, &mut thread);
    Ok(thread)
}

/// The fields that each version has or does not have.
fn fixed<'a>(rest: &mut Cursor<'a>, version: u8) -> Result<ThreadEntry<'a>, Short> {
    let mut thread = ThreadEntry {
        tid: rest.i64()?,
        pid: rest.i64()?,
        ptid: rest.i64()?,
        sid: if version >= 6 { rest.i64()? } else { -1 },
        vpgid: if version >= 8 { rest.i64()? } else { -1 },
        pgid: -1,
        vtid: -1,
        vpid: -1,
        loginuid: u32::MAX,
        ..ThreadEntry::default()
    };
    thread.comm = rest.text()?;
    thread.exe = rest.text()?;
    if version >= 7 {
        thread.exe_path = rest.text()?;
    }
    thread.args = rest.text()?;
    thread.cwd = rest.text()?;
    thread.fd_limit = rest.i64()?;
    thread.flags = rest.u32()?;
    thread.uid = rest.u32()?;
    thread.gid = rest.u32()?;
    if version >= 2 {
        thread.memory = [rest.u32()?, rest.u32()?, rest.u32()?];
        thread.faults = [rest.u64()?, rest.u64()?];
    }
    if version >= 3 {
        thread.env = rest.text()?;
    }
    if version >= 4 {
        thread.vtid = rest.i64()?;
        thread.vpid = rest.i64()?;
        thread.cgroups = rest.text()?;
    }
    if version >= 5 {
        thread.root = rest.text()?;
    }
    Ok(thread)
}

/// What was added since lists carry the lengths of their entries.
fn tail(rest: &mut Cursor<'_>, thread: &mut ThreadEntry<'_>) -> Result<(), Short> {
    if rest.left() > OLD_TAIL {
        thread.pidns_start_ns = rest.u64()?;
        thread.tty = rest.u32()?;
    }
    thread.loginuid = rest.u32()?;
    thread.exe_writable = rest.u8()? != 0;
    for set in &mut thread.capabilities {
        *set = rest.u64()?;
    }
    thread.exe_upper_layer = rest.u8()? != 0;
    thread.exe_ino = rest.u64()?;
    thread.exe_ctime_ns = rest.u64()?;
    thread.exe_mtime_ns = rest.u64()?;
    thread.exe_from_memfd = rest.u8()? != 0;
    thread.exe_lower_layer = rest.u8()? != 0;
    thread.pgid = rest.i64()?;
    Ok(())
}

//! The machine that was recorded.

use crate::cursor::{Cursor, Short};

/// Facts of the recorded machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Processors.
    pub cpus: u32,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Greatest process id.
    pub max_pid: u64,
    /// Host name.
    pub hostname: Vec<u8>,
    /// When it was started, nanoseconds since the epoch; 0 when not known.
    pub boot_epoch_ns: u64,
}

pub(super) fn read(body: &[u8]) -> Result<Machine, Short> {
    let mut cursor = Cursor::new(body);
    let (cpus, memory_bytes, max_pid) = (cursor.u32()?, cursor.u64()?, cursor.u64()?);
    let name = cursor.bytes(128)?;
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    Ok(Machine {
        cpus,
        memory_bytes,
        max_pid,
        hostname: name.get(..end).unwrap_or_default().to_vec(),
        boot_epoch_ns: cursor.u64()?,
    })
}

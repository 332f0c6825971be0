//! The fixed part of a record, mirrored from `abi.h`.
//!
//! Integers are read at offsets; no struct is laid over the bytes. [`Header::FIELDS`] says where each field
//! lies, and the probe compares that list with the type information inside the object it loads.

/// Size of the header, bytes.
pub const HEADER_LEN: usize = 64;

/// Value of [`Header::syscall`] when no system call is behind the record.
pub const NO_SYSCALL: u16 = 0xffff;

/// Who, when and how: the part that every record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Boot clock, nanoseconds.
    pub time: u64,
    /// Boot clock, nanoseconds: when the process was made. With `tgid` it names a process for good, where
    /// the number alone is used again.
    pub start: u64,
    /// Id of the cgroup in the default hierarchy.
    pub cgroup: u64,
    /// Number of the record on its CPU. Dropped records are counted too, so a gap is a loss.
    pub sequence: u64,
    /// Process, as the initial pid namespace numbers it.
    pub tgid: u32,
    /// Thread, likewise.
    pub tid: u32,
    /// Effective user at the time of the event.
    pub euid: u32,
    /// Effective group at the time of the event.
    pub egid: u32,
    /// Which settings the kernel side worked with.
    pub generation: u32,
    /// Event code.
    pub code: u16,
    /// Size of the whole record with padding, bytes.
    pub len: u16,
    /// Where it happened.
    pub cpu: u16,
    /// System call number as the caller gave it; [`NO_SYSCALL`] without one.
    pub syscall: u16,
    /// How many parameters follow.
    pub params: u8,
    /// Marks.
    pub flags: RecordFlags,
}

/// Marks of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordFlags(pub u8);

impl RecordFlags {
    /// The call came in through the 32-bit table.
    pub const COMPAT: Self = Self(0x01);
    /// The number carried the x32 bit.
    pub const X32: Self = Self(0x02);
    /// A value is shorter than the truth.
    pub const TRUNCATED: Self = Self(0x04);
    /// Memory that a value needs could not be read.
    pub const READ_FAILED: Self = Self(0x08);
    /// The record describes what was there before, not what just happened.
    pub const SNAPSHOT: Self = Self(0x10);
    /// The request came through `io_uring` and not by a system call of its own.
    pub const IO_URING: Self = Self(0x20);

    /// True if any mark of `other` is set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Where a field of the header lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderField {
    /// Name in `abi.h`.
    pub name: &'static str,
    /// From the start of the record, bytes.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
}

const fn field(name: &'static str, offset: usize, size: usize) -> HeaderField {
    HeaderField { name, offset, size }
}

impl Header {
    /// Every field with its place, in the order of `abi.h`.
    pub const FIELDS: [HeaderField; 17] = [
        field("time", 0, 8),
        field("start", 8, 8),
        field("cgroup", 16, 8),
        field("seq", 24, 8),
        field("tgid", 32, 4),
        field("tid", 36, 4),
        field("euid", 40, 4),
        field("egid", 44, 4),
        field("generation", 48, 4),
        field("type", 52, 2),
        field("len", 54, 2),
        field("cpu", 56, 2),
        field("syscall", 58, 2),
        field("nparams", 60, 1),
        field("flags", 61, 1),
        field("reserved", 62, 2),
        field("", HEADER_LEN, 0),
    ];

    /// Reads a header; `None` if there are too few bytes.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        Some(Self {
            time: u64_at(bytes, 0),
            start: u64_at(bytes, 8),
            cgroup: u64_at(bytes, 16),
            sequence: u64_at(bytes, 24),
            tgid: u32_at(bytes, 32),
            tid: u32_at(bytes, 36),
            euid: u32_at(bytes, 40),
            egid: u32_at(bytes, 44),
            generation: u32_at(bytes, 48),
            code: u16_at(bytes, 52),
            len: u16_at(bytes, 54),
            cpu: u16_at(bytes, 56),
            syscall: u16_at(bytes, 58),
            params: bytes[60],
            flags: RecordFlags(bytes[61]),
        })
    }

    /// The time stamp of a record, without decoding the rest; `None` if there are too few bytes.
    pub fn peek_time(bytes: &[u8]) -> Option<u64> {
        bytes.first_chunk().map(|time| u64::from_ne_bytes(*time))
    }

    /// Writes the header's bytes.
    pub fn write(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[0..8].copy_from_slice(&self.time.to_ne_bytes());
        out[8..16].copy_from_slice(&self.start.to_ne_bytes());
        out[16..24].copy_from_slice(&self.cgroup.to_ne_bytes());
        out[24..32].copy_from_slice(&self.sequence.to_ne_bytes());
        out[32..36].copy_from_slice(&self.tgid.to_ne_bytes());
        out[36..40].copy_from_slice(&self.tid.to_ne_bytes());
        out[40..44].copy_from_slice(&self.euid.to_ne_bytes());
        out[44..48].copy_from_slice(&self.egid.to_ne_bytes());
        out[48..52].copy_from_slice(&self.generation.to_ne_bytes());
        out[52..54].copy_from_slice(&self.code.to_ne_bytes());
        out[54..56].copy_from_slice(&self.len.to_ne_bytes());
        out[56..58].copy_from_slice(&self.cpu.to_ne_bytes());
        out[58..60].copy_from_slice(&self.syscall.to_ne_bytes());
        out[60] = self.params;
        out[61] = self.flags.0;
        out
    }
}

fn u64_at(bytes: &[u8; HEADER_LEN], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |b| u64::from_ne_bytes(*b))
}

fn u32_at(bytes: &[u8; HEADER_LEN], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |b| u32::from_ne_bytes(*b))
}

fn u16_at(bytes: &[u8; HEADER_LEN], at: usize) -> u16 {
    bytes[at..].first_chunk().map_or(0, |b| u16::from_ne_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_cover_the_header_without_gap_or_overlap() {
        let mut next = 0;
        for field in Header::FIELDS {
            assert_eq!(field.offset, next, "{}", field.name);
            next = field.offset + field.size;
        }
        assert_eq!(next, HEADER_LEN);
    }

    #[test]
    fn each_field_is_read_from_its_own_place() {
        let header = Header {
            time: 1,
            start: 2,
            cgroup: 3,
            sequence: 4,
            tgid: 5,
            tid: 6,
            euid: 7,
            egid: 8,
            generation: 9,
            code: 10,
            len: 64,
            cpu: 12,
            syscall: 13,
            params: 14,
            flags: RecordFlags(15),
        };
        let bytes = header.write();
        assert_eq!(Header::read(&bytes), Some(header));
        assert_eq!(Header::peek_time(&bytes), Some(1));
        for place in 0..62 {
            let mut changed = bytes;
            changed[place] ^= 0x80;
            assert_ne!(Header::read(&changed), Some(header), "byte {place} is not read");
        }
    }

    #[test]
    fn too_few_bytes_give_nothing() {
        assert_eq!(Header::read(&[0; HEADER_LEN - 1]), None);
        assert_eq!(Header::peek_time(&[0; 7]), None);
    }
}

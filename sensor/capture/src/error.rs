//! What can be wrong with a capture. Places are offsets into the uncompressed stream, bytes.

use std::io;

/// Why a capture, or the rest of one, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Opening or reading failed.
    #[error("cannot read the capture: {0}")]
    Read(#[from] io::Error),
    /// Writing failed.
    #[error("cannot write the capture: {0}")]
    Write(#[source] io::Error),
    /// No bytes at all.
    #[error("the file is empty: a capture begins with a section header")]
    Empty,
    /// The first block is no section header.
    #[error(
        "no capture: it begins with `{found:#010x}`, a section header `0x0a0d0d0a` was expected"
    )]
    NotACapture {
        /// Type of the first block.
        found: u32,
    },
    /// Written on a machine with the other byte order.
    #[error(
        "the capture at offset {offset} has the other byte order (`{found:#010x}`), which is not read"
    )]
    ForeignOrder {
        /// Where the section begins.
        offset: u64,
        /// The magic number found.
        found: u32,
    },
    /// The magic number is none.
    #[error(
        "the section header at offset {offset} has the magic number `{found:#010x}`, `0x1a2b3c4d` was expected"
    )]
    Magic {
        /// Where the section begins.
        offset: u64,
        /// What stands there.
        found: u32,
    },
    /// A format of the future.
    #[error(
        "the capture has format version `{major}.{minor}`, up to 1.x is read: a newer eyas is needed"
    )]
    Version {
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    },
    /// The stream ends inside a block.
    #[error(
        "the capture is cut short: the block at offset {offset} has {found} of its {expected} bytes"
    )]
    Truncated {
        /// Where the block begins.
        offset: u64,
        /// Bytes the block claims.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The compressed stream itself is damaged.
    #[error("the compressed stream is damaged behind offset {offset}: {source}")]
    Compression {
        /// How far it could be read.
        offset: u64,
        /// What the decompressor says.
        source: io::Error,
    },
    /// A block length that cannot be.
    #[error("the block at offset {offset} claims `{found}` bytes: {expected} expected")]
    BlockLength {
        /// Where the block begins.
        offset: u64,
        /// Claimed.
        found: u32,
        /// What would do, in words.
        expected: &'static str,
    },
    /// The length behind a block differs from the one before it.
    #[error("the block at offset {offset} begins with length `{header}` and ends with `{trailer}`")]
    Trailer {
        /// Where the block begins.
        offset: u64,
        /// Length before the body.
        header: u32,
        /// Length behind it.
        trailer: u32,
    },
    /// An entry of a table claims more than its block holds.
    #[error("the {table} at offset {offset} is damaged: {what}")]
    Table {
        /// Where the block begins.
        offset: u64,
        /// Which table.
        table: &'static str,
        /// What was found.
        what: String,
    },
    /// An event whose lengths do not agree with each other.
    #[error("the event at offset {offset} is damaged: {what}")]
    Event {
        /// Where the block begins.
        offset: u64,
        /// What was found.
        what: String,
    },
}

impl CaptureError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Empty | Self::NotACapture { .. } => {
                Some("give a .scap file, plain or compressed with gzip")
            }
            Self::Truncated { .. } | Self::Compression { .. } => {
                Some("all that comes before was read; a recorder that was killed leaves such files")
            }
            _ => None,
        }
    }
}

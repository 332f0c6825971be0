//! Blocks of a capture, one after the other: framing, kinds, what is skipped and what is refused.
//!
//! Owns the position in the stream. Events are borrowed from the stream's window; tables are decoded
//! by `tables`. What blocks mean together is `replay`'s.

use std::io::{self, Read};

use crate::error::CaptureError;
use crate::event::{Decoded, RawEvent};
use crate::input::{Filled, Input};
use crate::tables::{self, Descriptors, Entries, Identity, Interface, Machine, ThreadEntry};

/// Longest block that is taken in as a whole, bytes. Tables of hundreds of thousands of threads fit.
pub const MAX_BLOCK_BYTES: u32 = 64 * 1024 * 1024;
/// Longest event block that is not a large one, bytes, without its frame.
const MAX_PLAIN_BODY: usize = 64 * 1024 + 32;
/// Two lengths and the type.
const FRAME: u32 = 12;
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// Bytes of a section header before its options.
const SECTION_FIXED: usize = 16;

/// What a block holds.
#[derive(Debug)]
pub enum Item<'a> {
    /// A new section begins: all state starts anew.
    Section {
        /// Format version.
        version: (u16, u16),
    },
    /// Facts of the machine.
    Machine(Machine),
    /// Network interfaces.
    Interfaces(Entries<'a, Interface<'a>>),
    /// Users and groups.
    Identities(Entries<'a, Identity<'a>>),
    /// All threads.
    Threads(Entries<'a, ThreadEntry<'a>>),
    /// Descriptors of one thread.
    Descriptors(Descriptors<'a>),
    /// An event.
    Event(RawEvent<'a>),
    /// A block or an event of a kind that this reader does not know.
    Unknown {
        /// Type of the block.
        kind: u32,
    },
}

/// How event blocks differ.
#[derive(Debug, Clone, Copy)]
struct EventBlock {
    flags: bool,
    counted: bool,
    large: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Section,
    Machine,
    Interfaces {
        sized: bool,
    },
    Identities {
        sized: bool,
    },
    /// Version of the process list, 1 to 9.
    Threads {
        version: u8,
    },
    Descriptors {
        sized: bool,
    },
    Event(EventBlock),
    Unknown,
}

impl Kind {
    fn of(number: u32) -> Self {
        let event = |flags, counted, large| Self::Event(EventBlock { flags, counted, large });
        match number {
            SECTION_HEADER => Self::Section,
            0x201 | 0x8002_abcd => Self::Machine,
            0x202 | 0x8000_abcd => Self::Threads { version: 1 },
            0x207 | 0x8013_abcd => Self::Threads { version: 2 },
            0x209 | 0x8014_abcd => Self::Threads { version: 3 },
            0x210..=0x215 => Self::Threads { version: (number - 0x210) as u8 + 4 },
            0x203 | 0x8001_abcd => Self::Descriptors { sized: false },
            0x218 => Self::Descriptors { sized: true },
            0x205 | 0x8011_abcd => Self::Interfaces { sized: false },
            0x219 => Self::Interfaces { sized: true },
            0x206 | 0x8012_abcd => Self::Identities { sized: false },
            0x220 => Self::Identities { sized: true },
            0x204 | 0x8010_abcd => event(false, false, false),
            0x208 => event(true, false, false),
            0x216 => event(false, true, false),
            0x217 => event(true, true, false),
            0x221 => event(false, true, true),
            0x222 => event(true, true, true),
            _ => Self::Unknown,
        }
    }
}

/// Reads a capture block by block.
#[derive(Debug)]
pub struct Reader {
    input: Input,
    /// Bytes of the block that was handed out last.
    pending: usize,
    started: bool,
}

impl Reader {
    /// Starts on a stream, plain or compressed with gzip.
    pub fn new(source: impl Read + Send + 'static) -> Result<Self, CaptureError> {
        Ok(Self { input: Input::new(source)?, pending: 0, started: false })
    }

    /// Whether the stream is compressed.
    pub fn is_compressed(&self) -> bool {
        self.input.is_compressed()
    }

    /// Where the next block begins, in the uncompressed stream.
    pub fn offset(&self) -> u64 {
        self.input.offset() + self.pending as u64
    }

    /// The next block; `None` at a clean end. After an error nothing more can be read.
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>, CaptureError> {
        self.input.consume(self.pending);
        self.pending = 0;
        let Some((number, total)) = self.frame()? else { return Ok(None) };
        let kind = Kind::of(number);
        if !self.started && !matches!(kind, Kind::Section) {
            return Err(CaptureError::NotACapture { found: number });
        }
        if matches!(kind, Kind::Unknown) {
            self.skip(total)?;
            return Ok(Some(Item::Unknown { kind: number }));
        }
        let offset = self.input.offset();
        self.take(offset, total)?;
        self.pending = total as usize;
        self.started = true;
        let block = self.input.bytes().get(..total as usize).unwrap_or_default();
        let body = block.get(8..block.len() - 4).unwrap_or_default();
        if let Kind::Event(event) = kind {
            return event_of(offset, number, body, event).map(Some);
        }
        let trailer = last_word(block);
        // A foreign byte order shows in both lengths; the magic number says so more clearly.
        if !matches!(kind, Kind::Section) && trailer != total {
            return Err(CaptureError::Trailer { offset, header: total, trailer });
        }
        table_of(offset, kind, body).map(Some)
    }

    /// Type and length of the next block.
    fn frame(&mut self) -> Result<Option<(u32, u32)>, CaptureError> {
        let offset = self.input.offset();
        match self.input.fill(8) {
            Filled::Enough => {}
            Filled::End(found) => {
                if let Some(error) = self.broken_off() {
                    return Err(error);
                }
                return match found {
                    0 if self.started => Ok(None),
                    0 => Err(CaptureError::Empty),
                    found => Err(CaptureError::Truncated {
                        offset,
                        expected: u64::from(FRAME),
                        found: found as u64,
                    }),
                };
            }
        }
        let bytes = self.input.bytes();
        let number = word(bytes, 0);
        let total = word(bytes, 4);
        if number == SECTION_HEADER && total.swap_bytes() < 1 << 16 && total > MAX_BLOCK_BYTES {
            self.input.fill(12);
            let found = word(self.input.bytes(), 8);
            return Err(CaptureError::ForeignOrder { offset, found });
        }
        if !self.started && number != SECTION_HEADER {
            return Err(CaptureError::NotACapture { found: number });
        }
        if total < FRAME {
            let expected = "at least the 12 of its frame";
            return Err(CaptureError::BlockLength { offset, found: total, expected });
        }
        Ok(Some((number, total)))
    }

    /// Brings a whole block into the window.
    fn take(&mut self, offset: u64, total: u32) -> Result<(), CaptureError> {
        if total > MAX_BLOCK_BYTES {
            // Nobody writes such blocks: either the length is damaged or the file ends before.
            let expected = "no more than 64 MiB";
            return Err(CaptureError::BlockLength { offset, found: total, expected });
        }
        match self.input.fill(total as usize) {
            Filled::Enough => Ok(()),
            Filled::End(found) => Err(self.broken_off().unwrap_or(CaptureError::Truncated {
                offset,
                expected: u64::from(total),
                found: found as u64,
            })),
        }
    }

    fn skip(&mut self, total: u32) -> Result<(), CaptureError> {
        let offset = self.input.offset();
        let found = self.input.skip(u64::from(total));
        if found == u64::from(total) {
            return Ok(());
        }
        Err(self.broken_off().unwrap_or(CaptureError::Truncated {
            offset,
            expected: u64::from(total),
            found,
        }))
    }

    /// Why the source ended early, unless it simply ended.
    fn broken_off(&mut self) -> Option<CaptureError> {
        let error = self.input.failure()?;
        let offset = self.input.offset() + self.input.bytes().len() as u64;
        if error.kind() == io::ErrorKind::UnexpectedEof && !self.input.is_compressed() {
            return None;
        }
        if self.input.is_compressed() {
            return Some(CaptureError::Compression { offset, source: error });
        }
        Some(CaptureError::Read(error))
    }
}

#[expect(clippy::inline_always, reason = "half a hundred bytes per event are not moved again")]
#[inline(always)]
fn event_of(
    offset: u64,
    number: u32,
    body: &[u8],
    block: EventBlock,
) -> Result<Item<'_>, CaptureError> {
    if !block.large && body.len() > MAX_PLAIN_BODY {
        let (found, expected) = (body.len() as u32 + FRAME, "no more than 64 KiB for an event");
        return Err(CaptureError::BlockLength { offset, found, expected });
    }
    match RawEvent::decode(offset, body, block.flags, block.counted) {
        Decoded::Event(event) => Ok(Item::Event(event)),
        Decoded::Newer => Ok(Item::Unknown { kind: number }),
        Decoded::Damaged(what) => Err(CaptureError::Event { offset, what }),
    }
}

fn table_of(offset: u64, kind: Kind, body: &[u8]) -> Result<Item<'_>, CaptureError> {
    Ok(match kind {
        Kind::Section => section(offset, body)?,
        Kind::Machine => Item::Machine(tables::machine(body, offset)?),
        Kind::Interfaces { sized } => Item::Interfaces(tables::interfaces(body, sized, offset)),
        Kind::Identities { sized } => Item::Identities(tables::identities(body, sized, offset)),
        Kind::Threads { version } => Item::Threads(tables::threads(body, version, offset)),
        Kind::Descriptors { sized } => Item::Descriptors(tables::descriptors(body, sized, offset)?),
        Kind::Event(_) | Kind::Unknown => Item::Unknown { kind: 0 },
    })
}

fn section(offset: u64, body: &[u8]) -> Result<Item<'_>, CaptureError> {
    if body.len() < SECTION_FIXED {
        let (found, expected) = (body.len() as u32 + FRAME, "at least 28 for a section header");
        return Err(CaptureError::BlockLength { offset, found, expected });
    }
    let magic = word(body, 0);
    if magic.swap_bytes() == BYTE_ORDER {
        return Err(CaptureError::ForeignOrder { offset, found: magic });
    }
    if magic != BYTE_ORDER {
        return Err(CaptureError::Magic { offset, found: magic });
    }
    let half = |at: usize| (word(body, at) & 0xffff) as u16;
    let (major, minor) = (half(4), half(6));
    if major > 1 {
        return Err(CaptureError::Version { major, minor });
    }
    Ok(Item::Section { version: (major, minor) })
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|bytes| bytes.first_chunk())
        .map_or(0, |four| u32::from_le_bytes(*four))
}

fn last_word(bytes: &[u8]) -> u32 {
    bytes.last_chunk().map_or(0, |four| u32::from_le_bytes(*four))
}

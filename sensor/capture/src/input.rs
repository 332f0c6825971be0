//! The byte stream of a capture: plain or gzip, read through one window from which blocks are
//! borrowed in place. The window grows with what was really read, never with what a length claims.

use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;

/// Smallest window, bytes.
const WINDOW: usize = 256 * 1024;
/// First bytes of a gzip stream.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What filling the window came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filled {
    /// As many bytes as asked for are there.
    Enough,
    /// The stream ends with this many.
    End(usize),
}

/// A stream with a window over it.
pub(crate) struct Input {
    source: Box<dyn Read + Send>,
    compressed: bool,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of the window's start in the uncompressed stream.
    offset: u64,
    /// Said by the source, kept until all before it is consumed.
    failure: Option<io::Error>,
    ended: bool,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl Input {
    /// Looks at the first bytes to see whether the stream is compressed.
    pub(crate) fn new(mut source: impl Read + Send + 'static) -> io::Result<Self> {
        let mut first = Vec::with_capacity(GZIP.len());
        source.by_ref().take(GZIP.len() as u64).read_to_end(&mut first)?;
        let compressed = first == GZIP;
        let whole = io::Cursor::new(first).chain(source);
        let source: Box<dyn Read + Send> = if compressed {
            Box::new(MultiGzDecoder::new(BufReader::with_capacity(64 * 1024, whole)))
        } else {
            Box::new(whole)
        };
        Ok(Self {
            source,
            compressed,
            buffer: vec![0; WINDOW],
            start: 0,
            end: 0,
            offset: 0,
            failure: None,
            ended: false,
        })
    }

    /// Where the next byte lies in the uncompressed stream.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// What the source said last, if it failed; asked once the bytes before it are used up.
    pub(crate) fn failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Whether the stream is compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// The bytes in the window.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Moves on by `count` bytes, which are in the window.
    pub(crate) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.offset += count as u64;
    }

    /// Reads until `count` bytes are in the window or the stream ends.
    pub(crate) fn fill(&mut self, count: usize) -> Filled {
        while self.end - self.start < count {
            if self.ended {
                return Filled::End(self.end - self.start);
            }
            self.make_room();
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.source.read(room) {
                Ok(0) => self.ended = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    self.ended = true;
                }
            }
        }
        Filled::Enough
    }

    /// Moves on by `count` bytes without keeping them; gives how many there were.
    pub(crate) fn skip(&mut self, count: u64) -> u64 {
        let mut left = count;
        while left > 0 {
            if self.fill(1) != Filled::Enough {
                break;
            }
            let step = left.min((self.end - self.start) as u64);
            self.consume(step as usize);
            left -= step;
        }
        count - left
    }

    /// Frees space behind the window: what was consumed first, then by doubling.
    fn make_room(&mut self) {
        if self.end < self.buffer.len() {
            return;
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        } else {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read_all(mut input: Input) -> Vec<u8> {
        let mut all = Vec::new();
        while input.fill(1) == Filled::Enough {
            all.extend_from_slice(input.bytes());
            let count = input.bytes().len();
            input.consume(count);
        }
        assert_eq!(input.offset(), all.len() as u64);
        all
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn plain_and_compressed_streams_read_alike() {
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
        assert_eq!(read_all(Input::new(io::Cursor::new(bytes.clone())).unwrap()), bytes);
        let packed = [gzip(&bytes[..400]), gzip(&bytes[400..])].concat();
        assert_eq!(read_all(Input::new(io::Cursor::new(packed)).unwrap()), bytes);
        assert_eq!(read_all(Input::new(io::empty()).unwrap()), b"");
    }

    #[test]
    fn a_cut_stream_gives_what_it_has_and_then_says_so() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(n) >> 3) as u8).collect();
        let mut packed = gzip(&bytes);
        packed.truncate(packed.len() / 2);
        let mut input = Input::new(io::Cursor::new(packed)).unwrap();
        let Filled::End(found) = input.fill(bytes.len()) else { panic!("cut") };
        assert!(found > 0 && input.bytes() == &bytes[..found]);
        assert!(input.failure().is_some());
    }

    #[test]
    fn skipping_keeps_nothing() {
        let mut input = Input::new(io::repeat(7).take(10_000_000)).unwrap();
        assert_eq!(input.skip(9_999_999), 9_999_999);
        assert_eq!(input.bytes().len(), 1);
        assert_eq!(input.skip(5), 1);
        assert!(input.buffer.len() <= 2 * WINDOW);
    }
}

//! How much an archive may cost.
//!
//! Owns the counters that both ends of the decompressor share, so that a bomb is stopped while it
//! expands and not afterwards.

use std::cell::Cell;
use std::io::{self, Read};

/// Limits on one archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtractLimits {
    /// Most entries, directories included.
    pub max_entries: u64,
    /// Most bytes after decompression, headers included.
    pub max_bytes: u64,
    /// Most bytes that one compressed byte may become, once the first MiB is through.
    pub max_ratio: u64,
}

impl Default for ExtractLimits {
    fn default() -> Self {
        Self { max_entries: 10_000, max_bytes: 2 * 1024 * 1024 * 1024, max_ratio: 100 }
    }
}

/// Expanded bytes below which the ratio says nothing: small text compresses very well.
pub(super) const RATIO_GRACE_BYTES: u64 = 1024 * 1024;

/// What has been read so far.
#[derive(Debug)]
pub(super) struct Counter {
    limits: ExtractLimits,
    compressed: Cell<u64>,
    expanded: Cell<u64>,
    entries: Cell<u64>,
    exceeded: Cell<Option<(u64, &'static str)>>,
}

impl Counter {
    pub(super) fn new(limits: &ExtractLimits) -> Self {
        Self {
            limits: *limits,
            compressed: Cell::new(0),
            expanded: Cell::new(0),
            entries: Cell::new(0),
            exceeded: Cell::new(None),
        }
    }

    /// The limit that was exceeded first, and what it counts.
    pub(super) fn exceeded(&self) -> Option<(u64, &'static str)> {
        self.exceeded.get()
    }

    /// Counts an entry.
    pub(super) fn entry(&self) -> io::Result<()> {
        self.entries.set(self.entries.get() + 1);
        self.check()
    }

    /// Counts what is read from the compressed side.
    pub(super) fn compressed<R>(&self, inner: R) -> Metered<'_, R> {
        Metered { inner, counter: self, count: &self.compressed }
    }

    /// Counts what comes out.
    pub(super) fn expanded<R>(&self, inner: R) -> Metered<'_, R> {
        Metered { inner, counter: self, count: &self.expanded }
    }

    fn check(&self) -> io::Result<()> {
        let (compressed, expanded) = (self.compressed.get(), self.expanded.get());
        let limits = &self.limits;
        let allowed = compressed.saturating_mul(limits.max_ratio);
        let found = if self.entries.get() > limits.max_entries {
            (limits.max_entries, "entries")
        } else if expanded > limits.max_bytes {
            (limits.max_bytes, "bytes after decompression")
        } else if expanded > RATIO_GRACE_BYTES && expanded > allowed {
            (limits.max_ratio, "bytes per compressed byte")
        } else {
            return Ok(());
        };
        self.exceeded.set(Some(self.exceeded.get().unwrap_or(found)));
        Err(io::Error::other("limit exceeded"))
    }
}

/// A reader that counts.
pub(super) struct Metered<'a, R> {
    inner: R,
    counter: &'a Counter,
    count: &'a Cell<u64>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.set(self.count.get() + count as u64);
        self.counter.check()?;
        Ok(count)
    }
}

//! One ring buffer in memory.
//!
//! The kernel shares a ring as pages: one with the reader's position, which we write; one with the writer's
//! position and then the data, which we read. The kernel would map the data pages twice in a row, for records that
//! cross the end; they would count twice in what a process is said to use, so such records are put together here.

use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

/// Set in a record's length while the kernel still writes it.
const BUSY: u32 = 1 << 31;
/// Set in the length of a record that was given up.
const DISCARDED: u32 = 1 << 30;
/// Length and page offset in front of each record, bytes.
const RECORD_HEADER: usize = 8;

/// Pages mapped from a descriptor; unmapped on drop.
#[derive(Debug)]
struct Pages {
    start: NonNull<u8>,
    len: NonZeroUsize,
}

impl Pages {
    fn map(fd: BorrowedFd<'_>, offset: usize, len: usize, prot: ProtFlags) -> Result<Self, Errno> {
        let len = NonZeroUsize::new(len).ok_or(Errno::INVAL)?;
        // SAFETY: a new shared mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            mmap(std::ptr::null_mut(), len.get(), prot, MapFlags::SHARED, fd, offset as u64)?
        };
        // A child has no use for them, and copying their tables at each fork costs more than the fork.
        // SAFETY: the range is the mapping just made; it stays readable here.
        let _ = unsafe { madvise(start, len.get(), Advice::LinuxDontFork) };
        let start = NonNull::new(start.cast()).ok_or(Errno::FAULT)?;
        Ok(Self { start, len })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: start and len are those of a mapping that this value made and nobody else unmaps. All
        // references into it are bound to a borrow of this value.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len.get()) };
    }
}

// SAFETY: the pages belong to this value alone; what the kernel writes is read through atomics.
unsafe impl Send for Pages {}

/// The reading end of one ring.
#[derive(Debug)]
pub(crate) struct Ring {
    reader: Pages,
    writer: Pages,
    page: usize,
    size: usize,
    /// The record that crosses the end, in one piece.
    crossing: Vec<u8>,
    /// Where the next record starts; published to the kernel by [`Ring::publish`].
    position: usize,
    /// How far the kernel had written at the last [`Ring::refresh`].
    limit: usize,
}

impl Ring {
    /// Maps a ring of `size` data bytes, which is a power of two.
    pub(crate) fn map(fd: BorrowedFd<'_>, size: u32) -> Result<Self, Errno> {
        let page = rustix::param::page_size();
        let size = size as usize;
        let reader = Pages::map(fd, 0, page, ProtFlags::READ | ProtFlags::WRITE)?;
        let writer = Pages::map(fd, page, page + size, ProtFlags::READ)?;
        let mut ring =
            Self { reader, writer, page, size, crossing: Vec::new(), position: 0, limit: 0 };
        ring.position = ring.reader_position().load(Ordering::Acquire);
        ring.limit = ring.position;
        Ok(ring)
    }

    fn reader_position(&self) -> &AtomicUsize {
        // SAFETY: the page is mapped readable and writable for as long as self lives, is aligned, and begins
        // with an unsigned long that both sides access atomically.
        unsafe { AtomicUsize::from_ptr(self.reader.start.as_ptr().cast()) }
    }

    #[expect(clippy::cast_ptr_alignment, reason = "the start of a mapping is aligned to a page")]
    fn writer_position(&self) -> usize {
        // SAFETY: the page is mapped readable for as long as self lives, is aligned, and begins with an unsigned
        // long that the kernel stores atomically. Only a load is done, so a read-only page is enough.
        let position = unsafe { &*self.writer.start.as_ptr().cast::<AtomicUsize>() };
        position.load(Ordering::Acquire)
    }

    /// Looks how far the kernel has written.
    pub(crate) fn refresh(&mut self) {
        self.limit = self.writer_position();
    }

    /// Bytes between the reader and the last known writer.
    pub(crate) fn pending(&self) -> usize {
        self.limit.wrapping_sub(self.position)
    }

    /// The next complete record before the limit, without taking it.
    #[expect(clippy::cast_ptr_alignment, reason = "records start at multiples of eight")]
    pub(crate) fn peek(&mut self) -> Option<&[u8]> {
        loop {
            if self.pending() < RECORD_HEADER {
                return None;
            }
            let offset = self.page + (self.position & (self.size - 1));
            // SAFETY: offset + header lies within the mapping, because records and its end are aligned to eight. The
            // kernel clears the busy bit after the record's bytes are written.
            let word = unsafe { &*self.writer.start.as_ptr().add(offset).cast::<AtomicU32>() };
            let word = word.load(Ordering::Acquire);
            if word & BUSY != 0 {
                return None;
            }
            let len = (word & !DISCARDED) as usize;
            if len > self.size {
                return None;
            }
            if word & DISCARDED != 0 {
                self.skip(len);
                continue;
            }
            return Some(self.record(offset + RECORD_HEADER, len));
        }
    }

    /// The `len` bytes from `offset` on in the mapping, going on at the start of the data behind its end.
    fn record(&mut self, offset: usize, len: usize) -> &[u8] {
        let end = self.page + self.size;
        let first = len.min(end - offset);
        // SAFETY: both pieces lie within the mapping: the first ends where that ends at the latest, the second starts
        // with the data and is at most as long as them, for so is a record. Their bytes do not change until the position
        // is published, which needs &mut self.
        let (first, second) = unsafe {
            let start = self.writer.start.as_ptr();
            let second = slice::from_raw_parts(start.add(self.page), len - first);
            (slice::from_raw_parts(start.add(offset), first), second)
        };
        if second.is_empty() {
            return first;
        }
        self.crossing.clear();
        self.crossing.extend_from_slice(first);
        self.crossing.extend_from_slice(second);
        &self.crossing
    }

    /// Takes the record of `len` bytes that [`Ring::peek`] showed.
    pub(crate) fn skip(&mut self, len: usize) {
        self.position = self.position.wrapping_add((RECORD_HEADER + len).next_multiple_of(8));
    }

    /// Gives the space of all taken records back to the kernel.
    pub(crate) fn publish(&mut self) {
        self.reader_position().store(self.position, Ordering::Release);
    }
}

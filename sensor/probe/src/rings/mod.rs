//! All rings as one stream in the order of time.
//!
//! There are two rings for each CPU, one for exec, fork and exit and one for the rest. [`Rings::poll`] looks how
//! far each has been written, then merges by time stamp. A record that is younger than the moment of that look
//! by less than [`SETTLE`] waits for the next round, because an older one may still be on its way into another
//! ring. Positions are published once for each batch, not for each record.

mod map;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use eyas_abi::Header;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::error::ProbeError;
use map::Ring;

/// How long a record waits for older ones of other CPUs. The kernel takes the time stamp at the start of a
/// record; writing one takes microseconds.
pub const SETTLE: Duration = Duration::from_micros(200);

/// Longest wait while records come that wake nobody, unless the caller asks for less.
pub const POLL_DEFAULT: Duration = Duration::from_millis(10);

/// Wait of a caller that has nothing else to do: as long as nothing comes. Bounds what a record waits whose CPU was
/// taken away while it was being made.
pub const POLL_QUIET: Duration = Duration::from_millis(100);

/// `EYAS_QUIET_NS` of the kernel side: a record this long after the one before it on its CPU wakes the reader.
const QUIET: Duration = Duration::from_millis(10);

/// When nothing has come for so long, whatever comes next wakes: twice as long, for what is just on its way.
const ALL_QUIET: Duration = QUIET.saturating_mul(2);

/// Records taken from one ring before its position is published and the heap is asked again.
const BATCH: usize = 256;

/// What one round of [`Rings::poll`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Poll {
    /// Records delivered.
    pub records: u64,
    /// Bytes delivered.
    pub bytes: u64,
    /// True when records are there that were too young to be delivered.
    pub waiting: bool,
    /// Time of the newest record delivered.
    newest: u64,
}

/// The reading side of all rings.
#[derive(Debug)]
pub struct Rings {
    all: Vec<Ring>,
    heap: BinaryHeap<Reverse<(u64, usize)>>,
    epoll: OwnedFd,
    waiting: bool,
    /// Time of the newest record taken.
    newest: u64,
    /// Nothing has come for so long that the next record wakes.
    quiet: bool,
}

impl Rings {
    pub(crate) fn open<'f, F: AsFd + 'f>(
        rings: impl Iterator<Item = (u32, u32, &'f F)>,
    ) -> Result<Self, ProbeError> {
        let failed = |cpu, bytes, error: rustix::io::Errno| ProbeError::Ring {
            cpu,
            bytes,
            reason: error.to_string(),
        };
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(|error| failed(0, 0, error))?;
        let mut mapped = Vec::new();
        for (cpu, bytes, fd) in rings {
            let fd = fd.as_fd();
            mapped.push(Ring::map(fd, bytes).map_err(|error| failed(cpu, bytes, error))?);
            // Edge-triggered: a ring that has records nobody was woken for must not count as ready.
            epoll::add(&epoll, fd, EventData::new_u64(0), EventFlags::IN | EventFlags::ET)
                .map_err(|error| failed(cpu, bytes, error))?;
        }
        let heap = BinaryHeap::new();
        Ok(Self { all: mapped, heap, epoll, waiting: false, newest: now(), quiet: false })
    }

    /// Waits for a record that wakes or until `timeout` is over, then delivers what is there, oldest first. Urgent
    /// records wake, and those that come after a quiet time; while others come, no wait is longer than
    /// [`POLL_DEFAULT`].
    pub fn poll(
        &mut self,
        timeout: Duration,
        deliver: &mut dyn FnMut(&[u8]),
    ) -> Result<Poll, ProbeError> {
        if self.waiting {
            // A wait for readiness counts in milliseconds where the kernel may be older than 5.11.
            std::thread::sleep(SETTLE.min(timeout));
        } else {
            self.wait(if self.quiet { timeout } else { timeout.min(POLL_DEFAULT) });
        }
        let start = now();
        let poll = self.drain(start.saturating_sub(SETTLE.as_nanos() as u64), deliver);
        self.waiting = poll.waiting;
        self.newest = self.newest.max(poll.newest);
        self.quiet =
            !poll.waiting && start.saturating_sub(self.newest) > ALL_QUIET.as_nanos() as u64;
        Ok(poll)
    }

    /// Delivers everything that is there, the youngest records included, without waiting.
    pub fn flush(&mut self, deliver: &mut dyn FnMut(&[u8])) -> Poll {
        self.drain(u64::MAX, deliver)
    }

    fn wait(&self, timeout: Duration) {
        let mut buffer = [std::mem::MaybeUninit::<epoll::Event>::uninit(); 16];
        let timeout = Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        // An interrupted wait is a short wait.
        let _ = epoll::wait(&self.epoll, &mut buffer, Some(&timeout));
    }

    /// Delivers in order of time what is not younger than `newest`.
    fn drain(&mut self, newest: u64, deliver: &mut dyn FnMut(&[u8])) -> Poll {
        let mut poll = Poll::default();
        self.heap.clear();
        for (index, ring) in self.all.iter_mut().enumerate() {
            ring.refresh();
            if let Some(time) = ring.peek().map(time_of) {
                self.heap.push(Reverse((time, index)));
            }
        }
        while let Some(Reverse((time, index))) = self.heap.pop() {
            if time > newest {
                poll.waiting = true;
                break;
            }
            let bound = self.heap.peek().map_or(newest, |Reverse((time, _))| (*time).min(newest));
            if let Some(time) = take(&mut self.all[index], bound, &mut poll, deliver) {
                self.heap.push(Reverse((time, index)));
            }
        }
        for ring in &mut self.all {
            ring.publish();
        }
        poll
    }
}

/// Delivers from one ring while its records are not younger than `bound`. Gives the time of the next one.
fn take(
    ring: &mut Ring,
    bound: u64,
    poll: &mut Poll,
    deliver: &mut dyn FnMut(&[u8]),
) -> Option<u64> {
    let mut taken = 0;
    loop {
        let record = ring.peek()?;
        let time = time_of(record);
        if taken > 0 && (time > bound || taken >= BATCH) {
            ring.publish();
            return Some(time);
        }
        let len = record.len();
        deliver(record);
        ring.skip(len);
        taken += 1;
        poll.newest = poll.newest.max(time);
        poll.records += 1;
        poll.bytes += len as u64;
    }
}

fn time_of(record: &[u8]) -> u64 {
    Header::peek_time(record).unwrap_or(0)
}

/// The clock of the records.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

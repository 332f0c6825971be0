//! The bounded queue in front of a sink: limited by number and by bytes, and never waited on by the
//! one who puts something in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::message::Message;

/// Alerts that may wait for one sink.
pub const DEFAULT_QUEUE_ALERTS: usize = 4096;
/// Bytes that may wait for one sink.
pub const DEFAULT_QUEUE_BYTES: u64 = 8 * 1024 * 1024;

/// How much may wait for one sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Most alerts.
    pub alerts: usize,
    /// Most bytes of lines.
    pub bytes: u64,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { alerts: DEFAULT_QUEUE_ALERTS, bytes: DEFAULT_QUEUE_BYTES }
    }
}

/// An alert on its way to one or more sinks.
pub(crate) type Line = Arc<Message>;

/// Makes a queue.
pub(crate) fn queue(limits: QueueLimits) -> (Inlet, Outlet) {
    let (sender, receiver) = sync_channel(limits.alerts);
    let waiting = Arc::new(AtomicU64::new(0));
    let inlet = Inlet { sender, waiting: Arc::clone(&waiting), most_bytes: limits.bytes };
    (inlet, Outlet { receiver, waiting })
}

/// The end into which lines are put.
#[derive(Debug)]
pub(crate) struct Inlet {
    sender: SyncSender<Line>,
    waiting: Arc<AtomicU64>,
    most_bytes: u64,
}

impl Inlet {
    /// Puts a line in; `false` when there is no room for it. Never waits.
    pub(crate) fn offer(&self, line: &Line) -> bool {
        let size = line.line().len() as u64;
        let before = self.waiting.fetch_add(size, Ordering::Relaxed);
        // A line longer than the limit still passes when nothing else waits.
        let fits = before == 0 || before.saturating_add(size) <= self.most_bytes;
        if fits && self.sender.try_send(Arc::clone(line)).is_ok() {
            return true;
        }
        self.waiting.fetch_sub(size, Ordering::Relaxed);
        false
    }

    /// Bytes waiting.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// The end from which lines are taken.
#[derive(Debug)]
pub(crate) struct Outlet {
    receiver: Receiver<Line>,
    waiting: Arc<AtomicU64>,
}

/// What [`Outlet::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A line.
    Line(Line),
    /// Nothing yet.
    Nothing,
    /// Nothing, and nothing will come.
    Ended,
}

impl Outlet {
    /// Waits for a line.
    pub(crate) fn next(&self, limit: Duration) -> Next {
        match self.receiver.recv_timeout(limit) {
            Ok(line) => Next::Line(self.took(line)),
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::Ended,
        }
    }

    /// A line if there is one already.
    pub(crate) fn ready(&self) -> Option<Line> {
        self.receiver.try_recv().ok().map(|line| self.took(line))
    }

    fn took(&self, line: Line) -> Line {
        self.waiting.fetch_sub(line.line().len() as u64, Ordering::Relaxed);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(length: usize) -> Line {
        Arc::new(Message::new("x".repeat(length), "Notice", Arc::from("r")))
    }

    #[test]
    fn the_number_limit_holds_at_its_edge() {
        let (inlet, outlet) = queue(QueueLimits { alerts: 2, bytes: 1000 });
        assert!(inlet.offer(&line(1)));
        assert!(inlet.offer(&line(1)));
        assert!(!inlet.offer(&line(1)));
        assert!(outlet.ready().is_some());
        assert!(inlet.offer(&line(1)));
        assert_eq!(inlet.waiting_bytes(), 2);
    }

    #[test]
    fn the_byte_limit_holds_at_its_edge_and_one_oversized_line_passes_alone() {
        let (inlet, outlet) = queue(QueueLimits { alerts: 100, bytes: 10 });
        assert!(inlet.offer(&line(4)));
        assert!(inlet.offer(&line(6)));
        assert!(!inlet.offer(&line(1)));
        assert_eq!(inlet.waiting_bytes(), 10);
        assert!(outlet.ready().is_some());
        assert!(outlet.ready().is_some());
        assert!(inlet.offer(&line(11)));
        assert!(!inlet.offer(&line(1)));
        assert_eq!(outlet.next(Duration::ZERO), Next::Line(line(11)));
        assert_eq!(inlet.waiting_bytes(), 0);
        assert_eq!(outlet.next(Duration::ZERO), Next::Nothing);
        drop(inlet);
        assert_eq!(outlet.next(Duration::ZERO), Next::Ended);
    }
}

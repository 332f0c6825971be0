//! How long a body may take.
//!
//! Owns both limits on one that keeps arriving: a pause between two pieces, and all of it. Without the
//! second a server that sends a byte now and then would keep a command, or a follower, for ever.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Response;

use super::failure::Failure;
use crate::{config::Timeouts, error::OciError};

/// Content that arrives slower than this on average, after the first [`Timeouts::total`], is given up.
pub const SLOWEST_BYTES_PER_SECOND: u64 = 4 * 1024;

/// The watch over one body, which may come in several answers.
pub(crate) struct Pace {
    stall: Duration,
    total: Duration,
    /// Whether what arrives earns more time.
    earns: bool,
    received: u64,
    /// Time spent waiting for bytes; waits before another try do not count.
    spent: Duration,
}

impl Pace {
    /// Of a document, which has a limit of its own and is small.
    pub(crate) fn of_document(timeouts: &Timeouts) -> Self {
        let Timeouts { stall, total, .. } = *timeouts;
        Self { stall, total, earns: false, received: 0, spent: Duration::ZERO }
    }

    /// Of content of any size.
    pub(crate) fn of_content(timeouts: &Timeouts) -> Self {
        Self { earns: true, ..Self::of_document(timeouts) }
    }

    /// The next piece of a body, or none at its end.
    pub(crate) async fn next(
        &mut self,
        response: &mut Response,
        what: &str,
    ) -> Result<Option<Bytes>, Failure> {
        let left = self.limit().saturating_sub(self.spent);
        let begin = Instant::now();
        let waited = self.stall.min(left);
        let piece = tokio::time::timeout(waited, response.chunk()).await;
        self.spent += begin.elapsed();
        match piece {
            Ok(Ok(Some(piece))) => {
                self.received += piece.len() as u64;
                Ok(Some(piece))
            }
            Ok(Ok(None)) => Ok(None),
            Ok(Err(error)) => Err(Failure::network(&error, what)),
            Err(_) if left <= self.stall => Err(self.too_slow(what).into()),
            Err(_) => Err(Failure::stalled(what, waited, self.received)),
        }
    }

    fn limit(&self) -> Duration {
        let earned = if self.earns { self.received / SLOWEST_BYTES_PER_SECOND } else { 0 };
        self.total.saturating_add(Duration::from_secs(earned))
    }

    fn too_slow(&self, what: &str) -> OciError {
        OciError::TooSlow {
            what: what.to_owned(),
            received: self.received,
            took: self.spent,
            limit: self.limit(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_earns_time_and_a_document_does_not() {
        let timeouts = Timeouts::default();
        let after = |pace: Pace, received| Pace { received, ..pace }.limit();
        let mib = 1024 * 1024;
        assert_eq!(after(Pace::of_document(&timeouts), mib), timeouts.total);
        let earned = Duration::from_secs(mib / SLOWEST_BYTES_PER_SECOND);
        assert_eq!(after(Pace::of_content(&timeouts), mib), timeouts.total + earned);
        let endless = Timeouts { total: Duration::MAX, ..timeouts };
        assert_eq!(after(Pace::of_content(&endless), u64::MAX), Duration::MAX);
    }
}

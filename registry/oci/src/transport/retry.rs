//! When to ask again, and how long to wait before it.
//!
//! Owns the schedule: exponential backoff with jitter, bounded in attempts and in time, and the
//! reading of `Retry-After`. What counts as worth a retry is decided where the answer is seen.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::{Duration, SystemTime},
};

use http::{HeaderMap, header::RETRY_AFTER};

/// Bounds on repeating a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Repetitions after the first try. Default 4.
    pub retries: u32,
    /// Wait before the first repetition; doubles each time. Default 250 ms.
    pub first_wait: Duration,
    /// Longest wait of our own choosing. Default 10 s.
    pub longest_wait: Duration,
    /// Longest `Retry-After` that is waited for; a longer one is reported instead. Default 60 s.
    pub longest_retry_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 4,
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(10),
            longest_retry_after: Duration::from_mins(1),
        }
    }
}

impl RetryPolicy {
    /// One try, no repetition.
    pub fn never() -> Self {
        Self { retries: 0, ..Self::default() }
    }

    /// How long to wait before repetition `attempt` (from 0), or `None` to give up. What the
    /// registry asks for is a lower bound: coming back earlier only makes it worse.
    pub(crate) fn wait(&self, attempt: u32, retry_after: Option<Duration>) -> Option<Duration> {
        if attempt >= self.retries {
            return None;
        }
        let ceiling = self.first_wait.saturating_mul(1 << attempt.min(20)).min(self.longest_wait);
        match retry_after {
            Some(asked) if asked > self.longest_retry_after => None,
            Some(asked) => Some(asked + jitter(ceiling) / 2),
            None => Some(jitter(ceiling)),
        }
    }
}

/// A random time between half of `ceiling` and all of it, so that a fleet that failed together does
/// not come back together. The standard library's hash seed is random enough for that.
fn jitter(ceiling: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let half = ceiling / 2;
    half + half.mul_f64(random as u32 as f64 / u32::MAX as f64)
}

/// The wait that a `Retry-After` header asks for: seconds or a date (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    let at = SystemTime::from(date.timestamp());
    Some(at.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert(RETRY_AFTER, text.parse().unwrap());
        map
    }

    #[test]
    fn waits_grow_and_stay_under_the_ceiling() {
        let policy = RetryPolicy { retries: 12, ..RetryPolicy::default() };
        for attempt in 0..12 {
            let ceiling = Duration::from_millis(250 << attempt).min(Duration::from_secs(10));
            let wait = policy.wait(attempt, None).unwrap();
            assert!(wait >= ceiling / 2 && wait <= ceiling, "{attempt}: {wait:?}");
        }
    }

    #[test]
    fn the_number_of_repetitions_is_bounded() {
        let policy = RetryPolicy::default();
        assert!(policy.wait(3, None).is_some());
        assert!(policy.wait(4, None).is_none());
        assert!(RetryPolicy::never().wait(0, Some(Duration::ZERO)).is_none());
    }

    #[test]
    fn the_registrys_wish_is_a_lower_bound_up_to_the_limit() {
        let policy = RetryPolicy::default();
        let edge = policy.longest_retry_after;
        assert!(policy.wait(0, Some(edge)).unwrap() >= edge);
        assert!(policy.wait(0, Some(edge + Duration::from_secs(1))).is_none());
        assert!(policy.wait(0, Some(Duration::ZERO)).unwrap() > Duration::ZERO);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(retry_after(&header("120"), now), Some(Duration::from_mins(2)));
        assert_eq!(
            retry_after(&header("Sun, 06 Nov 1994 08:49:57 GMT"), now),
            Some(Duration::from_secs(20))
        );
        assert_eq!(
            retry_after(&header("Sun, 06 Nov 1994 08:00:00 GMT"), now),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after(&header("soon"), now), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn jitter_varies() {
        let values: std::collections::HashSet<_> =
            (0..32).map(|_| jitter(Duration::from_secs(8))).collect();
        assert!(values.len() > 1);
    }
}

//! When checks happen.

use std::time::Duration;

use eyas_artifact::Digest;

/// Longest random delay before the first check, whatever the interval: a fleet spreads over minutes,
/// and nobody waits for days.
pub const MAX_JITTER: Duration = Duration::from_mins(5);

/// When the first check happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Startup {
    /// At once.
    Immediate,
    /// After a random delay of at most [`MAX_JITTER`] and one interval.
    Jitter,
    /// After one interval.
    Skip,
}

/// An interval and a beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// From the end of one check to the next.
    pub every: Duration,
    /// When the first check happens.
    pub startup: Startup,
}

impl Schedule {
    /// Delay before the first check. `seed` is anything that differs between hosts.
    pub fn first(&self, seed: &[u8]) -> Duration {
        match self.startup {
            Startup::Immediate => Duration::ZERO,
            Startup::Skip => self.every,
            Startup::Jitter => self.every.min(MAX_JITTER).mul_f64(fraction(seed)),
        }
    }
}

/// A number in [0, 1) that is the same for the same seed.
fn fraction(seed: &[u8]) -> f64 {
    let digest = Digest::sha256(seed);
    let bytes = digest.as_bytes();
    let number = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    f64::from(number) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_check_comes_as_asked() {
        let at = |startup| Schedule { every: Duration::from_hours(1), startup };
        assert_eq!(at(Startup::Immediate).first(b"x"), Duration::ZERO);
        assert_eq!(at(Startup::Skip).first(b"x"), Duration::from_hours(1));
    }

    #[test]
    fn jitter_spreads_within_minutes() {
        let week = Schedule { every: Duration::from_hours(168), startup: Startup::Jitter };
        let delays: Vec<Duration> = (0..100u8).map(|host| week.first(&[host])).collect();
        assert!(delays.iter().all(|delay| *delay < MAX_JITTER));
        assert!(delays.iter().any(|delay| *delay < MAX_JITTER / 4));
        assert!(delays.iter().any(|delay| *delay > MAX_JITTER / 4 * 3));
        let short = Schedule { every: Duration::from_secs(2), startup: Startup::Jitter };
        assert!((0..100u8).all(|host| short.first(&[host]) < Duration::from_secs(2)));
    }
}

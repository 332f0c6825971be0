//! Intervals as they are typed: `30s`, `6h`, `1h30m`, `168h`.

use std::time::Duration;

/// Shortest interval between two checks; a shorter one would be a busy loop against a registry.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_millis(50);

/// Parses an interval such as `6h` or `1h30m`.
pub(crate) fn parse_interval(text: &str) -> Result<Duration, String> {
    let signed: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "expected a duration such as `30s`, `6h` or `1h30m`".to_owned())?;
    let interval = Duration::try_from(signed)
        .map_err(|_| "expected a duration that is not negative".to_owned())?;
    if interval < MIN_INTERVAL {
        return Err(format!("expected at least {} ms", MIN_INTERVAL.as_millis()));
    }
    Ok(interval)
}

/// Parses a delay, which may be none at all: `0`, `30s`.
pub(crate) fn parse_jitter(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s") { Ok(Duration::ZERO) } else { parse_interval(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_people_write() {
        for (text, seconds) in [("30s", 30), ("6h", 21_600), ("1h30m", 5_400), ("168h", 604_800)] {
            assert_eq!(parse_interval(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_interval("250ms"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn refuses_the_rest_in_words() {
        for text in ["", "soon", "12", "-1h"] {
            let said = parse_interval(text).expect_err(text);
            assert!(said.starts_with("expected"), "{text}: {said}");
        }
    }

    #[test]
    fn a_delay_may_be_none() {
        assert_eq!(parse_jitter("0"), Ok(Duration::ZERO));
        assert_eq!(parse_jitter("30s"), Ok(Duration::from_secs(30)));
        assert!(parse_jitter("-1s").is_err());
    }

    #[test]
    fn the_floor_is_inclusive() {
        assert_eq!(parse_interval("50ms"), Ok(MIN_INTERVAL));
        assert!(parse_interval("49ms").is_err());
    }
}

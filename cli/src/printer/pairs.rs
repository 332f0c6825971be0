//! A message as `falcoctl` writes it: local time, level, sentence, and its named values on the same line
//! or, when that gets too long, one below the other.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::record::{Record, level_name, one_line, printable};
use crate::args::LogLevel;

/// Longest line, in characters, that also holds the named values.
const MAX_WIDTH: usize = 80;
/// Margin of a named value on a line of its own: below the level.
const MARGIN: usize = 22;

/// The line or lines, ended.
pub(super) fn render(record: &Record, now: Timestamp, colour: bool) -> String {
    let message = one_line(&record.message);
    let plain = format!("{} {:<5} {message}", local(now), level_name(record.level));
    let width = plain.chars().count();
    let head = if colour { painted(record.level, &message, now) } else { plain };
    let pairs: Vec<String> =
        record.pairs.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect();
    let together = pairs.join(" ");
    let mut out = head;
    if !pairs.is_empty() && width + 1 + together.chars().count() <= MAX_WIDTH {
        let _ = write!(out, " {together}");
    } else {
        for (at, pair) in pairs.iter().enumerate() {
            let branch = if at + 1 == pairs.len() { '└' } else { '├' };
            let _ = write!(out, "\n{:MARGIN$}{branch} {pair}", "");
        }
    }
    for line in record.details.iter().flat_map(|detail| detail.lines()) {
        let _ = write!(out, "\n{:MARGIN$}{}", "", printable(line));
    }
    out.push('\n');
    out
}

/// `YYYY-MM-DD HH:MM:SS` where this machine is; UTC when it does not say.
pub(crate) fn local(now: Timestamp) -> String {
    now.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn painted(level: LogLevel, message: &str, now: Timestamp) -> String {
    let paint = match level {
        LogLevel::Error => "\u{1b}[1;31m",
        LogLevel::Warn => "\u{1b}[1;33m",
        LogLevel::Info => "\u{1b}[1;36m",
        LogLevel::Debug | LogLevel::Trace => "\u{1b}[2m",
    };
    let name = level_name(level);
    format!("\u{1b}[90m{}\u{1b}[0m {paint}{name:<5}\u{1b}[0m {message}", local(now))
}

/// A value for people; a list is `[a b]`.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => one_line(text),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(record: &Record) -> Vec<String> {
        let out = render(record, Timestamp::UNIX_EPOCH, false);
        out.lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_fits_is_on_one_line() {
        let record = Record::new(LogLevel::Info, "Removing index").with("name", "demo");
        let out = lines(&record);
        assert_eq!(out.len(), 1, "{out:?}");
        assert!(out[0].ends_with(" INFO  Removing index name: demo"), "{out:?}");
        let time = out[0].get(..19).expect("a time");
        assert_eq!(time.as_bytes()[10], b' ', "{time}");
    }

    #[test]
    fn the_longest_line_is_inclusive() {
        let with = |length: usize| {
            let used = "1970-01-01 00:00:00 INFO  m n: ".len();
            lines(&Record::new(LogLevel::Info, "m").with("n", "x".repeat(length - used)))
        };
        assert_eq!(with(MAX_WIDTH).len(), 1);
        assert_eq!(with(MAX_WIDTH + 1).len(), 2);
    }

    #[test]
    fn what_does_not_fit_is_below() {
        let record = Record::new(LogLevel::Warn, "Artifact")
            .with("name", "x".repeat(60))
            .with("refs", vec!["a", "b"])
            .detail("hint: look");
        let out = lines(&record);
        let margin = " ".repeat(MARGIN);
        assert!(out[0].ends_with("WARN  Artifact"), "{out:?}");
        assert_eq!(out[1], format!("{margin}├ name: {}", "x".repeat(60)));
        assert_eq!(out[2], format!("{margin}└ refs: [a b]"));
        assert_eq!(out[3], format!("{margin}hint: look"));
    }
}

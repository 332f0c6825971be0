//! Moments of the calendar: five fields, or one of the short forms.
//!
//! Fields are minute, hour, day of month, month and day of week, with lists, ranges, steps and names.
//! Times are those of the host's time zone (`TZ`, else `/etc/localtime`), or of the zone that a
//! `CRON_TZ=Area/City` in front names. Where both days are given, either is enough, as everywhere.
//! A moment that a change of the clock skips comes at the end of the gap; one that comes twice
//! comes twice.

use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// Years that are searched for the next moment: 29 February may be eight years away.
const HORIZON_YEARS: i16 = 8;
/// Longest expression, in bytes.
const MAX_BYTES: usize = 256;
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A repeated moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day must satisfy only one of its two fields.
    either_day: bool,
    zone: TimeZone,
    text: String,
}

/// What an expression means: moments, or merely an interval (`@every 1h`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CronForm {
    /// Moments of the calendar.
    Calendar(Box<Cron>),
    /// An interval.
    Every(std::time::Duration),
}

impl FromStr for CronForm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() > MAX_BYTES {
            return Err(format!("expected at most {MAX_BYTES} characters"));
        }
        if let Some(interval) = text.strip_prefix("@every") {
            return interval_of(interval.trim()).map(Self::Every);
        }
        Cron::parse(text).map(|cron| Self::Calendar(Box::new(cron)))
    }
}

impl Cron {
    /// Reads five fields or a short form such as `@daily`, with or without a zone in front.
    fn parse(text: &str) -> Result<Self, String> {
        let (zone, fields) = zone_of(text)?;
        let fields = match fields {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other if other.starts_with('@') => {
                return Err("expected `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly` or \
                            `@every DURATION`"
                    .to_owned());
            }
            other => other,
        };
        let parts: Vec<&str> = fields.split_ascii_whitespace().collect();
        let &[minute, hour, day, month, weekday] = parts.as_slice() else {
            return Err(format!(
                "expected five fields (minute hour day month weekday), found {}",
                parts.len()
            ));
        };
        let any = |field: &str| field.starts_with(['*', '?']);
        let mut weekdays = field(weekday, "weekday", 0..=7, &DAYS, 0)?;
        // Sunday is 0 and 7.
        weekdays = (weekdays | (weekdays >> 7)) & 0x7f;
        let cron = Self {
            minutes: field(minute, "minute", 0..=59, &[], 0)?,
            hours: field(hour, "hour", 0..=23, &[], 0)?,
            days: field(day, "day", 1..=31, &[], 0)?,
            months: field(month, "month", 1..=12, &MONTHS, 1)?,
            weekdays,
            either_day: !any(day) && !any(weekday),
            zone,
            text: text.to_owned(),
        };
        // A day that no month has, such as 30 February, would never come.
        match cron.after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(cron),
            None => Err("expected a day that comes at all".to_owned()),
        }
    }

    /// The first moment after `now`.
    pub fn after(&self, now: Timestamp) -> Option<Timestamp> {
        let start = now.to_zoned(self.zone.clone()).datetime();
        let mut at = whole_minute(start)?;
        let last = start.date().year().saturating_add(HORIZON_YEARS);
        while at.date().year() <= last {
            at = match self.misfit(at) {
                Misfit::None => match self.moment(at, now) {
                    Some(moment) => return Some(moment),
                    None => at.checked_add(1.minute()).ok()?,
                },
                Misfit::Month => first_of_next_month(at)?,
                Misfit::Day => at.date().tomorrow().ok()?.to_datetime(Time::midnight()),
                Misfit::Hour => next_hour(at)?,
                Misfit::Minute => at.checked_add(1.minute()).ok()?,
            };
        }
        None
    }

    fn misfit(&self, at: DateTime) -> Misfit {
        let has = |set: u64, value: i8| set >> value & 1 == 1;
        if !has(self.months, at.month()) {
            Misfit::Month
        } else if !self.has_day(at.date()) {
            Misfit::Day
        } else if !has(self.hours, at.hour()) {
            Misfit::Hour
        } else if !has(self.minutes, at.minute()) {
            Misfit::Minute
        } else {
            Misfit::None
        }
    }

    fn has_day(&self, date: Date) -> bool {
        let day = self.days >> date.day() & 1 == 1;
        let weekday = self.weekdays >> date.weekday().to_sunday_zero_offset() & 1 == 1;
        if self.either_day { day || weekday } else { day && weekday }
    }

    /// The moment at which a clock on the wall shows this, after `now`.
    fn moment(&self, at: DateTime, now: Timestamp) -> Option<Timestamp> {
        let shown = self.zone.to_ambiguous_timestamp(at);
        let sooner = shown.compatible().ok().filter(|moment| *moment > now);
        sooner.or_else(|| shown.later().ok().filter(|moment| *moment > now))
    }
}

impl std::fmt::Display for Cron {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Which field of an expression a time does not fit, the largest first.
enum Misfit {
    None,
    Month,
    Day,
    Hour,
    Minute,
}

fn whole_minute(at: DateTime) -> Option<DateTime> {
    let minute = at.date().at(at.hour(), at.minute(), 0, 0);
    // In a repeated hour this very minute may come again.
    minute.checked_add(0.minutes()).ok()
}

fn next_hour(at: DateTime) -> Option<DateTime> {
    at.date().at(at.hour(), 0, 0, 0).checked_add(1.hour()).ok()
}

fn first_of_next_month(at: DateTime) -> Option<DateTime> {
    let next = at.date().first_of_month().checked_add(1.month()).ok()?;
    Some(next.to_datetime(Time::midnight()))
}

fn zone_of(text: &str) -> Result<(TimeZone, &str), String> {
    let Some(rest) = text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ=")) else {
        return Ok((TimeZone::system(), text));
    };
    let (name, fields) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let zone = TimeZone::get(name)
        .map_err(|_| format!("expected a time zone such as `Europe/Berlin`, found `{name}`"))?;
    Ok((zone, fields.trim()))
}

fn interval_of(text: &str) -> Result<std::time::Duration, String> {
    let expected = || "expected `@every` and a duration such as `90s` or `1h30m`".to_owned();
    let signed: SignedDuration = text.parse().map_err(|_| expected())?;
    let interval = std::time::Duration::try_from(signed).map_err(|_| expected())?;
    // The finest step of the calendar forms is a minute; a second is plenty here.
    if interval < std::time::Duration::from_secs(1) {
        return Err("expected `@every` and at least 1 s".to_owned());
    }
    Ok(interval)
}

/// One field as a set of bits.
fn field(
    text: &str,
    what: &str,
    range: std::ops::RangeInclusive<u32>,
    names: &[&str],
    first_name: u32,
) -> Result<u64, String> {
    let (low, high) = (*range.start(), *range.end());
    let wrong = || format!("expected {what} from {low} to {high}, found `{text}`");
    let value = |part: &str| -> Result<u32, String> {
        let lower = part.to_ascii_lowercase();
        let place = names.iter().position(|name| *name == lower);
        let value = match place {
            Some(index) => u32::try_from(index).ok().map(|index| index + first_name),
            None if part.bytes().all(|byte| byte.is_ascii_digit()) => part.parse().ok(),
            None => None,
        };
        value.filter(|value| range.contains(value)).ok_or_else(wrong)
    };
    let mut set = 0_u64;
    for part in text.split(',') {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => (span, step.parse::<u32>().ok().filter(|step| *step > 0)),
            None => (part, Some(1)),
        };
        let step = step.filter(|step| *step <= high).ok_or_else(wrong)?;
        let (from, to) = match span {
            "*" | "?" => (low, high),
            _ => match span.split_once('-') {
                Some((from, to)) => (value(from)?, value(to)?),
                // `5/15` is from 5 on.
                None if part.contains('/') => (value(span)?, high),
                None => (value(span)?, value(span)?),
            },
        };
        if from > to {
            return Err(wrong());
        }
        for bit in (from..=to).step_by(step as usize) {
            set |= 1 << bit;
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cron(text: &str) -> Cron {
        Cron::parse(&format!("CRON_TZ=UTC {text}")).unwrap_or_else(|said| panic!("{text}: {said}"))
    }

    fn next(text: &str, now: &str) -> String {
        let now: Timestamp = now.parse().expect("a time");
        cron(text).after(now).expect("a moment").to_string()
    }

    #[test]
    fn the_next_moment_is_strictly_later() {
        for (text, now, expected) in [
            ("* * * * *", "2026-11-24T03:00:00Z", "2026-11-24T03:01:00Z"),
            ("* * * * *", "2026-11-24T03:00:59.9Z", "2026-11-24T03:01:00Z"),
            ("0 6 * * *", "2026-11-24T06:00:00Z", "2026-11-25T06:00:00Z"),
            ("*/15 * * * *", "2026-11-24T03:44:59Z", "2026-11-24T03:45:00Z"),
            ("5/20 * * * *", "2026-11-24T03:26:00Z", "2026-11-24T03:45:00Z"),
            ("30 2,14 * * mon-fri", "2026-11-27T14:30:00Z", "2026-11-30T02:30:00Z"),
            ("0 0 1 jan ?", "2026-11-24T03:00:00Z", "2027-01-01T00:00:00Z"),
            ("0 0 29 2 *", "2026-11-24T03:00:00Z", "2028-02-29T00:00:00Z"),
            ("0 0 * * 7", "2026-11-24T03:00:00Z", "2026-11-29T00:00:00Z"),
            ("0 0 13 * 5", "2026-11-24T03:00:00Z", "2026-11-27T00:00:00Z"),
            ("@daily", "2026-11-24T03:00:00Z", "2026-11-25T00:00:00Z"),
            ("@weekly", "2026-11-24T03:00:00Z", "2026-11-29T00:00:00Z"),
            ("@hourly", "2026-11-24T03:00:00Z", "2026-11-24T04:00:00Z"),
            ("@monthly", "2026-12-24T03:00:00Z", "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(next(text, now), expected, "{text} after {now}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_words() {
        for (text, said) in [
            ("", "five fields"),
            ("* * * *", "found 4"),
            ("* * * * * *", "found 6"),
            ("60 * * * *", "minute from 0 to 59, found `60`"),
            ("* 24 * * *", "hour from 0 to 23"),
            ("* * 0 * *", "day from 1 to 31"),
            ("* * * 13 *", "month from 1 to 12"),
            ("* * * * 8", "weekday from 0 to 7"),
            ("*/0 * * * *", "minute"),
            ("9-5 * * * *", "minute"),
            ("-1 * * * *", "minute"),
            ("+1 * * * *", "minute"),
            ("0 0 30 2 *", "comes at all"),
            ("@often", "@hourly"),
            ("@every", "duration"),
            ("@every 10ms", "at least 1 s"),
            ("CRON_TZ=Nowhere/City * * * * *", "time zone"),
        ] {
            let error = text.parse::<CronForm>().expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
        assert!("x".repeat(MAX_BYTES + 1).parse::<CronForm>().is_err());
    }

    #[test]
    fn every_is_an_interval() {
        let form = "@every 1h30m".parse::<CronForm>();
        assert_eq!(form, Ok(CronForm::Every(std::time::Duration::from_mins(90))));
    }

    #[test]
    fn a_change_of_the_clock_neither_skips_nor_repeats_a_day() {
        let Ok(daily) = Cron::parse("CRON_TZ=Europe/Berlin 30 2 * * *") else {
            // No time zone data on this machine.
            return;
        };
        let at = |now: &str| daily.after(now.parse().expect("a time")).expect("one").to_string();
        // 02:30 does not exist on 29 March 2026: it is taken after the gap.
        assert_eq!(at("2026-03-28T12:00:00Z"), "2026-03-29T01:30:00Z");
        assert_eq!(at("2026-03-29T01:30:00Z"), "2026-03-30T00:30:00Z");
        // 02:30 comes twice on 25 October 2026.
        assert_eq!(at("2026-10-24T12:00:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(at("2026-10-25T01:30:00Z"), "2026-10-26T01:30:00Z");
        let hourly = Cron::parse("CRON_TZ=Europe/Berlin 0 * * * *").expect("hourly");
        let next = hourly.after("2026-10-25T00:00:00Z".parse().expect("a time"));
        assert_eq!(next.map(|at| at.to_string()).as_deref(), Some("2026-10-25T01:00:00Z"));
    }
}

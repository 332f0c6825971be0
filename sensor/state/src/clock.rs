//! Points in time as text: pure arithmetic on nanoseconds since the epoch and a table of offsets.
//!
//! The table is made once by whoever may read the time zone files, so that nothing on the event
//! path does.

const SECOND_NS: u64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// Offsets of local time from UTC, each with the second since the epoch from which it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalTime {
    /// `(from, offset in seconds east)`, ascending; before the first the first holds.
    transitions: Vec<(i64, i32)>,
}

impl LocalTime {
    /// Universal time.
    pub fn utc() -> Self {
        Self::default()
    }

    /// Offsets, sorted by the second from which they hold.
    pub fn new(mut transitions: Vec<(i64, i32)>) -> Self {
        transitions.sort_unstable();
        Self { transitions }
    }

    /// Seconds east of UTC at a point in time, seconds since the epoch.
    pub fn offset_at(&self, seconds: i64) -> i32 {
        let after = self.transitions.partition_point(|(from, _)| *from <= seconds);
        let held = self.transitions.get(after.saturating_sub(1));
        held.map_or(0, |(_, offset)| *offset)
    }

    /// Local date and time.
    pub fn civil(&self, time_ns: u64) -> Civil {
        Civil::at(seconds(time_ns) + i64::from(self.offset_at(seconds(time_ns))))
    }

    /// `HH:MM:SS.nnnnnnnnn` in local time.
    pub fn time_of_day(&self, time_ns: u64) -> String {
        let local = self.civil(time_ns);
        format!(
            "{:02}:{:02}:{:02}.{:09}",
            local.hour,
            local.minute,
            local.second,
            time_ns % SECOND_NS
        )
    }
}

/// `YYYY-MM-DDTHH:MM:SS.nnnnnnnnn` in UTC, followed by `zone`.
pub fn civil(time_ns: u64, zone: &str) -> String {
    let utc = Civil::at(seconds(time_ns));
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}{zone}",
        utc.year,
        utc.month,
        utc.day,
        utc.hour,
        utc.minute,
        utc.second,
        time_ns % SECOND_NS
    )
}

fn seconds(time_ns: u64) -> i64 {
    (time_ns / SECOND_NS) as i64
}

/// Date and time of day in the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year.
    pub year: i64,
    /// Month, from 1.
    pub month: i64,
    /// Day of the month, from 1.
    pub day: i64,
    /// Hour, from 0.
    pub hour: i64,
    /// Minute.
    pub minute: i64,
    /// Second.
    pub second: i64,
}

impl Civil {
    /// The proleptic Gregorian date of a number of seconds since the epoch.
    pub fn at(seconds: i64) -> Self {
        // Years are counted from March, so that the day that comes and goes is the last of a year.
        let (days, rest) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
        let from_era = days + 719_468;
        let (era, day_of_era) = (from_era.div_euclid(146_097), from_era.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points_in_time() {
        for (ns, expected) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_399_999_999_999, "2000-02-28T23:59:59.999999999Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (951_868_800_000_000_001, "2000-03-01T00:00:00.000000001Z"),
            (1_795_478_399_000_000_000, "2026-11-23T23:59:59.000000000Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z"),
        ] {
            assert_eq!(civil(ns, "Z"), expected);
        }
    }

    #[test]
    fn local_time_follows_the_table_of_offsets() {
        let second = 1_000_000_000;
        let zone = LocalTime::new(vec![(2000, 7200), (1000, 3600)]);
        assert_eq!(zone.time_of_day(999 * second), "01:16:39.000000000");
        assert_eq!(zone.time_of_day(1000 * second), "01:16:40.000000000");
        assert_eq!(zone.time_of_day(1999 * second + 5), "01:33:19.000000005");
        assert_eq!(zone.time_of_day(2000 * second), "02:33:20.000000000");
        assert_eq!(LocalTime::utc().time_of_day(0), "00:00:00.000000000");
        let west = LocalTime::new(vec![(0, -18_000)]);
        assert_eq!(west.time_of_day(0), "19:00:00.000000000");
    }
}

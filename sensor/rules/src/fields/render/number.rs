//! Numbers as text: plain, as flags, as times.

use std::fmt::Arguments;
use std::io::Write as _;

use eyas_abi::schema::{FlagTable, ParamType, PrintFormat};
use eyas_state::LocalTime;

const SECOND_NS: u64 = 1_000_000_000;

/// Writing to memory does not fail.
pub(super) fn append(out: &mut Vec<u8>, args: Arguments<'_>) {
    let _ = out.write_fmt(args);
}

/// The raw text of a number.
pub(super) fn write_raw(ty: ParamType, print: PrintFormat, number: Option<i64>, out: &mut Vec<u8>) {
    let Some(number) = number else { return };
    match (ty, print) {
        (ParamType::Uid | ParamType::Gid, _) if number == i64::from(u32::MAX) => {
            out.extend_from_slice(b"-1");
        }
        (ParamType::RelTime, _) if number == -1 => out.extend_from_slice(b"none"),
        (_, PrintFormat::Octal) if number == 0 => out.push(b'0'),
        (_, PrintFormat::Octal) => append(out, format_args!("0{number:o}")),
        (_, PrintFormat::Hexadecimal) => append(out, format_args!("{number:X}")),
        (ty, PrintFormat::Decimal) if ty.is_signed() => append(out, format_args!("{number}")),
        (_, PrintFormat::Decimal) => append(out, format_args!("{}", number as u64)),
    }
}

/// Decimal, whatever the print format.
pub(super) fn write_plain(number: Option<i64>, out: &mut Vec<u8>) {
    if let Some(number) = number {
        append(out, format_args!("{number}"));
    }
}

/// Names of flags or of a value, joined with `|`; false when there is none.
pub(super) fn write_names(
    ty: ParamType,
    table: &FlagTable,
    number: i64,
    out: &mut Vec<u8>,
) -> bool {
    let start = out.len();
    let mut name = |name: &str| {
        if out.len() > start {
            out.push(b'|');
        }
        out.extend_from_slice(name.as_bytes());
    };
    let whole = number as u32;
    match ty {
        ParamType::EnumFlags8 | ParamType::EnumFlags16 | ParamType::EnumFlags32 => {
            table.entries.iter().filter(|(value, _)| *value == whole).for_each(|(_, n)| name(n));
        }
        ParamType::Mode => each_flag(table, whole, |value| value == whole, &mut name),
        _ => each_flag(table, whole, |_| false, &mut name),
    }
    out.len() > start
}

/// Names the flags in the table's order, each bit once, until nothing is left or `last` says so.
fn each_flag(
    table: &FlagTable,
    whole: u32,
    last: impl Fn(u32) -> bool,
    name: &mut impl FnMut(&str),
) {
    let mut left = whole;
    for (value, flag) in table.entries {
        let present = if *value == 0 { whole == 0 } else { left & value == *value && left != 0 };
        if !present {
            continue;
        }
        name(flag);
        if *value == left || last(*value) {
            return;
        }
        left &= !value;
    }
}

/// Seconds with six significant digits and the suffix `s`; false for no time at all.
pub(super) fn write_seconds(number: i64, out: &mut Vec<u8>) -> bool {
    if number == -1 {
        return false;
    }
    append(out, format_args!("{}s", significant(number as u64)));
    true
}

/// Nanoseconds as seconds with six significant digits, without trailing zeros.
fn significant(nanoseconds: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "six digits are kept")]
    let seconds = nanoseconds as f64 / SECOND_NS as f64;
    if seconds == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{seconds:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or_default();
        return trimmed(&format!("{seconds:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
}

fn trimmed(number: &str) -> &str {
    if number.contains('.') {
        return number.trim_end_matches('0').trim_end_matches('.');
    }
    number
}

/// `YYYY-MM-DD HH:MM:SS.nnnnnnnnn` in local time.
pub(super) fn write_time(number: Option<i64>, zone: &LocalTime, out: &mut Vec<u8>) {
    let Some(time) = number.map(|number| number as u64) else { return };
    let date = zone.civil(time);
    append(
        out,
        format_args!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:09}",
            date.year,
            date.month,
            date.day,
            date.hour,
            date.minute,
            date.second,
            time % SECOND_NS
        ),
    );
}

#[cfg(test)]
mod tests {
    use eyas_abi::schema::flag_table;

    use super::*;

    fn names(ty: ParamType, table: &str, number: i64) -> Option<String> {
        let mut out = Vec::new();
        write_names(ty, flag_table(table).unwrap(), number, &mut out)
            .then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn flags_take_the_widest_name_first() {
        let file = |number| names(ParamType::Flags32, "file_flags", number);
        assert_eq!(file(3).as_deref(), Some("O_RDWR"));
        assert_eq!(file(1).as_deref(), Some("O_RDONLY"));
        assert_eq!(file(0x1001).as_deref(), Some("O_RDONLY|O_CLOEXEC"));
        assert_eq!(file(0x107).as_deref(), Some("O_TRUNC|O_CREAT|O_RDWR"));
        assert_eq!(file(0).as_deref(), Some("O_NONE"));
        assert_eq!(file(1 << 20), None, "no such flag");
    }

    #[test]
    fn values_may_have_several_names() {
        let family = |number| names(ParamType::EnumFlags32, "socket_families", number);
        assert_eq!(family(1).as_deref(), Some("AF_LOCAL|AF_UNIX"));
        assert_eq!(family(0).as_deref(), Some("AF_UNSPEC"));
        assert_eq!(family(999), None);
    }

    #[test]
    fn raw_numbers_by_format() {
        let raw = |ty, print, number| {
            let mut out = Vec::new();
            write_raw(ty, print, Some(number), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(raw(ParamType::Mode, PrintFormat::Octal, 0o755), "0755");
        assert_eq!(raw(ParamType::Mode, PrintFormat::Octal, 0), "0");
        assert_eq!(raw(ParamType::Uint32, PrintFormat::Hexadecimal, 255), "FF");
        assert_eq!(raw(ParamType::Uid, PrintFormat::Decimal, 0xffff_ffff), "-1");
        assert_eq!(raw(ParamType::Uint64, PrintFormat::Decimal, -1), "18446744073709551615");
        assert_eq!(raw(ParamType::RelTime, PrintFormat::Decimal, -1), "none");
    }

    #[test]
    fn seconds_have_six_digits() {
        for (nanoseconds, text) in [
            (0, "0"),
            (1_000_000_000, "1"),
            (1_500_000_000, "1.5"),
            (123_456_789_000, "123.457"),
            (1_000, "1e-06"),
            (500_000_000_000_000_000, "5e+08"),
        ] {
            assert_eq!(significant(nanoseconds), text);
        }
    }

    #[test]
    fn points_in_time_are_local() {
        let mut out = Vec::new();
        write_time(Some(1), &LocalTime::new(vec![(0, 3600)]), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "1970-01-01 01:00:00.000000001");
    }
}

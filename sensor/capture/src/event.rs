//! One event as it lies in the file, checked once and then read without fail.

use crate::layout::{self, Layout};

/// Bytes of the header without a parameter count.
const HEADER_V1: usize = 22;
/// Bytes of the header with one.
const HEADER_V2: usize = 26;
/// Events whose length says three bytes too much when they have no parameter count.
const THREE_TOO_LONG: [u16; 2] = [280, 286];

/// An event of a capture.
#[derive(Debug, Clone, Copy)]
pub struct RawEvent<'a> {
    /// Where its block begins, in the uncompressed stream.
    pub offset: u64,
    /// Processor it came from.
    pub cpu: u16,
    /// Only there to keep state; never shown.
    pub state_only: bool,
    /// Nanoseconds since the epoch.
    pub time: u64,
    /// Thread that caused it, in the initial pid namespace.
    pub tid: u64,
    /// Event code.
    pub code: u16,
    lengths: &'a [u8],
    wide: bool,
    values: &'a [u8],
}

/// What came of the bytes of an event.
#[derive(Debug)]
pub(crate) enum Decoded<'a> {
    /// An event.
    Event(RawEvent<'a>),
    /// One of a code newer than this reader.
    Newer,
    /// Damage, in words.
    Damaged(String),
}

impl<'a> RawEvent<'a> {
    /// How many parameters it carries.
    pub fn param_count(&self) -> usize {
        self.lengths.len() / self.width()
    }

    /// Its parameters in order.
    pub fn params(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.values;
        let width = self.width();
        self.lengths.chunks_exact(width).map(move |length| {
            let (value, tail) = rest.split_at_checked(number(length)).unwrap_or_default();
            rest = tail;
            value
        })
    }

    /// One parameter; empty when it is not known or not there.
    pub fn param(&self, index: usize) -> &'a [u8] {
        self.params().nth(index).unwrap_or_default()
    }

    fn width(&self) -> usize {
        if self.wide { 4 } else { 2 }
    }

    /// Checks the body of an event block from the processor number on.
    #[expect(clippy::inline_always, reason = "half a hundred bytes per event are not moved again")]
    #[inline(always)]
    pub(crate) fn decode(offset: u64, body: &'a [u8], flags: bool, counted: bool) -> Decoded<'a> {
        let header = if counted { HEADER_V2 } else { HEADER_V1 };
        let before = if flags { 6 } else { 2 };
        let Some((front, event)) = body.split_at_checked(before) else {
            return Decoded::Damaged(format!("a body of `{}` bytes holds no event", body.len()));
        };
        if event.len() < header {
            let found = event.len();
            return Decoded::Damaged(format!("`{found}` bytes where the header has `{header}`"));
        }
        let code = number(event.get(20..22).unwrap_or_default()) as u16;
        let Some(layout) = layout::of(code) else { return Decoded::Newer };
        let mut len = number(event.get(16..20).unwrap_or_default());
        if !counted && THREE_TOO_LONG.contains(&code) {
            len = len.saturating_sub(3);
        }
        if len < header || len > event.len() {
            return Decoded::Damaged(format!(
                "it claims `{len}` bytes, between `{header}` and `{}` expected",
                event.len()
            ));
        }
        let rest = event.get(header..len).unwrap_or_default();
        let width = if layout.is_large() { 4 } else { 2 };
        let count = if counted {
            number(event.get(22..26).unwrap_or_default())
        } else {
            match recount(rest, width, layout) {
                Some(count) => count,
                None => {
                    return Decoded::Damaged(format!(
                        "no count of parameters of `{}` fits its `{len}` bytes",
                        layout.name
                    ));
                }
            }
        };
        let table = count.checked_mul(width).and_then(|table| rest.split_at_checked(table));
        let Some((lengths, values)) = table else {
            return Decoded::Damaged(format!("`{count}` parameters do not fit into `{len}` bytes"));
        };
        let sum: u64 = lengths.chunks_exact(width).map(|length| number(length) as u64).sum();
        if sum > values.len() as u64 {
            return Decoded::Damaged(format!(
                "its parameters take `{sum}` bytes, `{}` are left",
                values.len()
            ));
        }
        Decoded::Event(Self {
            offset,
            cpu: number(front.get(..2).unwrap_or_default()) as u16,
            state_only: flags && front.get(2).is_some_and(|bits| bits & 1 != 0),
            time: long(event, 0),
            tid: long(event, 8),
            code,
            lengths,
            wide: width == 4,
            values,
        })
    }
}

/// How many parameters an event without a count has: the greatest number not above the table's whose
/// lengths add up to the event's.
fn recount(rest: &[u8], width: usize, layout: &Layout) -> Option<usize> {
    let most = layout.sizes.len().min(rest.len() / width);
    let length =
        |index: usize| number(rest.get(index * width..(index + 1) * width).unwrap_or_default());
    let mut sum: usize = (0..most).map(|index| width + length(index)).sum();
    for count in (0..=most).rev() {
        if sum == rest.len() {
            return Some(count);
        }
        sum -= count.checked_sub(1).map_or(0, |last| width + length(last));
    }
    None
}

/// A little-endian number of up to four bytes.
fn number(bytes: &[u8]) -> usize {
    match bytes {
        [a, b] => usize::from(u16::from_le_bytes([*a, *b])),
        [a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]) as usize,
        _ => 0,
    }
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(|bytes| bytes.first_chunk())
        .map_or(0, |eight| u64::from_le_bytes(*eight))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body of an event block.
    fn body(code: u16, params: &[&[u8]], counted: bool) -> Vec<u8> {
        let header = if counted { HEADER_V2 } else { HEADER_V1 };
        let wide = layout::of(code).is_some_and(Layout::is_large);
        let width = if wide { 4 } else { 2 };
        let len = header + params.iter().map(|param| width + param.len()).sum::<usize>();
        let mut out = vec![3, 0];
        out.extend(9_u64.to_le_bytes());
        out.extend(77_u64.to_le_bytes());
        out.extend((len as u32).to_le_bytes());
        out.extend(code.to_le_bytes());
        if counted {
            out.extend((params.len() as u32).to_le_bytes());
        }
        for param in params {
            out.extend_from_slice(&(param.len() as u32).to_le_bytes()[..width]);
        }
        out.extend(params.concat());
        out
    }

    fn read(body: &[u8], counted: bool) -> RawEvent<'_> {
        match RawEvent::decode(5, body, false, counted) {
            Decoded::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_headers_and_both_widths() {
        let big = vec![b'x'; 70_000];
        for counted in [true, false] {
            for (code, params) in [
                (5, vec![&[0; 8][..], &[3, 0, 0, 0, 0, 0, 0, 0]]),
                (4, vec![&[3, 0, 0, 0, 0, 0, 0, 0][..]]),
                (64, vec![]),
                (324, vec![&big[..]]),
            ] {
                let body = body(code, &params, counted);
                let event = read(&body, counted);
                assert_eq!((event.cpu, event.time, event.tid, event.code), (3, 9, 77, code));
                assert_eq!(event.params().collect::<Vec<_>>(), params, "{code} {counted}");
                assert_eq!(event.param_count(), params.len());
                assert_eq!(event.param(params.len()), b"");
            }
        }
    }

    #[test]
    fn padding_is_no_parameter_and_flags_are_read() {
        let mut plain = body(5, &[&[0; 8]], true);
        plain.extend([0; 3]);
        assert_eq!(read(&plain, true).param_count(), 1);
        let mut flagged = plain.clone();
        flagged.splice(2..2, [1, 0, 0, 0]);
        let Decoded::Event(event) = RawEvent::decode(0, &flagged, true, true) else {
            panic!("an event")
        };
        assert!(event.state_only);
    }

    #[test]
    fn every_cut_and_every_lie_is_damage() {
        let good = body(5, &[&[0; 8], &[1; 8]], true);
        for len in 0..good.len() {
            let cut = RawEvent::decode(0, &good[..len], false, true);
            assert!(matches!(cut, Decoded::Damaged(_)), "{len}");
        }
        for (at, value) in [(18, u32::MAX), (18, 3), (24, 60_000), (24, u32::MAX)] {
            let mut lie = good.clone();
            lie[at..at + 4].copy_from_slice(&value.to_le_bytes());
            assert!(matches!(RawEvent::decode(0, &lie, false, true), Decoded::Damaged(_)), "{at}");
        }
        let mut newer = good;
        newer[22..24].copy_from_slice(&65_534_u16.to_le_bytes());
        assert!(matches!(RawEvent::decode(0, &newer, false, true), Decoded::Newer));
        let mut odd = body(5, &[&[0; 8], &[1; 8]], false);
        odd[24] = 7;
        assert!(matches!(RawEvent::decode(0, &odd, false, false), Decoded::Damaged(_)));
    }
}

//! Values as text.

use std::io::Write as _;

use crate::fields::{Print, Value};

/// Longest text of a byte buffer, in characters.
pub const LONGEST_BUFFER: usize = 1023;

/// Appends a value.
pub(super) fn write(out: &mut Vec<u8>, value: &Value<'_>, print: Print, base64: bool) {
    match value {
        Value::Int(number) => write_integer(out, i128::from(*number), print),
        Value::Uint(number) => write_integer(out, i128::from(*number), print),
        Value::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Value::Double(number) => append(out, format_args!("{number:.1}")),
        Value::Text(text) => out.extend_from_slice(text),
        Value::Bytes(bytes) if base64 => write_base64(out, bytes),
        Value::Bytes(bytes) => {
            out.extend(bytes.iter().take(LONGEST_BUFFER).map(|byte| printable(*byte)));
        }
        Value::Ip(address) => append(out, format_args!("{address}")),
        Value::List(items) => {
            out.push(b'(');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                write(out, item, print, base64);
            }
            out.push(b')');
        }
    }
}

fn write_integer(out: &mut Vec<u8>, number: i128, print: Print) {
    match print {
        // Numbers of twice the width are written several times slower, and hardly any is that long.
        Print::Natural => match i64::try_from(number) {
            Ok(short) => append(out, format_args!("{short}")),
            Err(_) => append(out, format_args!("{number}")),
        },
        // Device numbers have 32 bits; a negative one prints as they are stored.
        Print::Hex if number < 0 => append(out, format_args!("{:X}", number as u32)),
        Print::Hex => append(out, format_args!("{number:X}")),
        Print::Padded9 => append(out, format_args!("{number:09}")),
    }
}

/// Writing to memory does not fail.
fn append(out: &mut Vec<u8>, args: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(args);
}

fn printable(byte: u8) -> u8 {
    if byte.is_ascii_graphic() || byte == b' ' { byte } else { b'.' }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let longest = LONGEST_BUFFER / 4 * 3;
    for group in bytes[..bytes.len().min(longest)].chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let sextet = (bits >> (18 - 6 * place) & 63) as usize;
            out.push(if place <= group.len() { ALPHABET[sextet] } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn text(value: &Value<'_>, print: Print, base64: bool) -> String {
        let mut out = Vec::new();
        write(&mut out, value, print, base64);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_by_their_print_format() {
        assert_eq!(text(&Value::Int(-5), Print::Natural, false), "-5");
        assert_eq!(text(&Value::Int(255), Print::Hex, false), "FF");
        assert_eq!(text(&Value::Uint(42), Print::Padded9, false), "000000042");
        assert_eq!(text(&Value::Double(1.25), Print::Natural, false), "1.2");
        assert_eq!(text(&Value::Bool(true), Print::Natural, false), "true");
    }

    #[test]
    fn buffers_are_printable_or_base64_and_end_somewhere() {
        let bytes = |bytes: &'static [u8]| Value::Bytes(Cow::Borrowed(bytes));
        assert_eq!(text(&bytes(b"a\0 \xffb\n"), Print::Natural, false), "a. .b.");
        for (raw, encoded) in [
            (&b"a"[..], "YQ=="),
            (b"ab", "YWI="),
            (b"abc", "YWJj"),
            (b"\xff\xff", "//8="),
            (b"", ""),
        ] {
            assert_eq!(text(&Value::Bytes(Cow::Borrowed(raw)), Print::Natural, true), encoded);
        }
        let long = Value::Bytes(Cow::Owned(vec![b'x'; LONGEST_BUFFER + 1]));
        assert_eq!(text(&long, Print::Natural, false).len(), LONGEST_BUFFER);
        assert!(text(&long, Print::Natural, true).len() <= LONGEST_BUFFER);
    }

    #[test]
    fn lists_and_addresses() {
        let list = Value::List(vec![Value::text("a"), Value::Int(1)]);
        assert_eq!(text(&list, Print::Natural, false), "(a,1)");
        assert_eq!(text(&Value::Ip("::1".parse().unwrap()), Print::Natural, false), "::1");
        assert_eq!(text(&Value::List(vec![]), Print::Natural, false), "()");
    }
}

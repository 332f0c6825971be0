//! Conversion of a written value to the type it is compared with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::ir::{Class, Constant};
use super::services;
use crate::syntax::ast::Operator;

/// Converts `value` for a comparison by `op` with a value of `class`. The error says in plain words
/// what was expected.
pub(super) fn convert(op: Operator, class: Class, value: &[u8]) -> Result<Constant, String> {
    if matches!(op, Operator::BContains | Operator::BStartsWith) {
        return hex(value).ok_or_else(|| "an even number of hex digits".to_owned());
    }
    let converted = match class {
        Class::Text => {
            if value.contains(&0) {
                return Err("text without a NUL byte".to_owned());
            }
            Some(Constant::Bytes(value.into()))
        }
        Class::Bytes => Some(Constant::Bytes(value.into())),
        Class::Signed(bits) => integer(value).and_then(|number| signed(number, bits)),
        Class::Unsigned(bits) => integer(value).and_then(|number| unsigned(number, bits)),
        Class::Time => integer(value).and_then(|number| unsigned(number, 64)),
        Class::Double => {
            integer(value).and_then(|number| number.try_into().ok()).map(Constant::Whole)
        }
        Class::Bool => truth(value),
        Class::Port => port(value),
        Class::Ip => address(value).map(Constant::Ip),
        Class::Net => network(value).map(Constant::Net),
        Class::Opaque => None,
    };
    converted.ok_or_else(|| class.words().to_owned())
}

/// A whole decimal number with optional sign; blanks before it are tolerated.
pub(super) fn integer(value: &[u8]) -> Option<i128> {
    std::str::from_utf8(value.trim_ascii_start()).ok()?.parse().ok()
}

/// Numbers of 8 and 16 bits are cut to their width, wider ones must fit.
fn signed(number: i128, bits: u8) -> Option<Constant> {
    Some(Constant::Integer(match bits {
        8 => i128::from(number as i8),
        16 => i128::from(number as i16),
        32 => i128::from(i32::try_from(number).ok()?),
        _ => i128::from(i64::try_from(number).ok()?),
    }))
}

/// As [`signed`], and a negative number wraps around.
fn unsigned(number: i128, bits: u8) -> Option<Constant> {
    let wrapped = match bits {
        8 => i128::from(number as u8),
        16 => i128::from(number as u16),
        _ => {
            let modulus = 1_i128 << bits;
            let wrapped = if number < 0 { number + modulus } else { number };
            if !(0..modulus).contains(&wrapped) {
                return None;
            }
            wrapped
        }
    };
    Some(Constant::Integer(wrapped))
}

fn truth(value: &[u8]) -> Option<Constant> {
    match value {
        b"true" => Some(Constant::Bool(true)),
        b"false" => Some(Constant::Bool(false)),
        _ => None,
    }
}

/// Digits, cut to 16 bits, or the name of a service; empty is port 0.
fn port(value: &[u8]) -> Option<Constant> {
    if value.is_empty() {
        return Some(Constant::Integer(0));
    }
    let text = std::str::from_utf8(value).ok()?;
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: u64 = text.parse().ok()?;
        return Some(Constant::Integer(i128::from(number as u16)));
    }
    services::port(text).map(|port| Constant::Integer(i128::from(port)))
}

fn address(value: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(value).ok()?;
    // An IPv4 address in an IPv6 one never stands in an event, where both are the same.
    if text.contains('.') {
        return text.parse::<Ipv4Addr>().ok().map(IpAddr::V4);
    }
    text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// Host bits are ignored. `::/0` is accepted as `0.0.0.0/0` is.
fn network(value: &[u8]) -> Option<IpNet> {
    let text = std::str::from_utf8(value).ok()?;
    let (host, mask) = text.split_once('/')?;
    if mask.is_empty() || !mask.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mask: u8 = mask.parse().ok()?;
    let net = match address(host.as_bytes())? {
        IpAddr::V4(host) => IpNet::V4(Ipv4Net::new(host, mask).ok()?),
        IpAddr::V6(host) => IpNet::V6(Ipv6Net::new(host, mask).ok()?),
    };
    Some(net.trunc())
}

fn hex(value: &[u8]) -> Option<Constant> {
    if value.is_empty() || !value.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let bytes: Option<Vec<u8>> =
        value.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
    bytes.map(|bytes| Constant::Bytes(bytes.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(class: Class, value: &str) -> Constant {
        convert(Operator::Eq, class, value.as_bytes()).unwrap()
    }

    fn refused(class: Class, value: &str) -> bool {
        convert(Operator::Eq, class, value.as_bytes()).is_err()
    }

    #[test]
    fn integers_are_whole_decimals() {
        assert_eq!(ok(Class::Signed(64), "-5"), Constant::Integer(-5));
        assert_eq!(ok(Class::Signed(64), "+5"), Constant::Integer(5));
        assert_eq!(ok(Class::Signed(64), "  7"), Constant::Integer(7));
        for bad in ["5 ", "0x10", "1.0", "1e+3", "", "five"] {
            assert!(refused(Class::Signed(64), bad), "{bad}");
            assert!(refused(Class::Unsigned(64), bad), "{bad}");
            assert!(refused(Class::Double, bad), "{bad}");
        }
    }

    #[test]
    fn widths_cut_wrap_or_refuse() {
        assert_eq!(ok(Class::Signed(16), "65537"), Constant::Integer(1));
        assert_eq!(ok(Class::Signed(16), "32768"), Constant::Integer(-32768));
        assert_eq!(ok(Class::Unsigned(32), "-1"), Constant::Integer(i128::from(u32::MAX)));
        assert_eq!(ok(Class::Unsigned(64), "-1"), Constant::Integer(i128::from(u64::MAX)));
        assert_eq!(
            ok(Class::Unsigned(64), "18446744073709551615"),
            Constant::Integer(i128::from(u64::MAX))
        );
        assert!(refused(Class::Unsigned(64), "18446744073709551616"));
        assert!(refused(Class::Signed(32), "2147483648"));
        assert_eq!(ok(Class::Signed(32), "2147483647"), Constant::Integer(2_147_483_647));
    }

    #[test]
    fn ports_are_numbers_or_services() {
        assert_eq!(ok(Class::Port, "ssh"), Constant::Integer(22));
        assert_eq!(ok(Class::Port, ""), Constant::Integer(0));
        assert_eq!(ok(Class::Port, "65536"), Constant::Integer(0));
        assert_eq!(ok(Class::Port, "65535"), Constant::Integer(65535));
        assert!(refused(Class::Port, "-1") && refused(Class::Port, "no-such-service"));
    }

    #[test]
    fn networks_need_a_mask_and_ignore_host_bits() {
        assert_eq!(ok(Class::Net, "10.1.2.3/8"), ok(Class::Net, "10.0.0.0/8"));
        for bad in ["10.0.0.1", "10.0.0.0/33", "10.0.0.0/", "::1/129", "10.0.0.0/+8", "x/8"] {
            assert!(refused(Class::Net, bad), "{bad}");
        }
        assert!(!refused(Class::Net, "10.0.0.0/0") && !refused(Class::Net, "::1/128"));
    }

    #[test]
    fn addresses_by_their_dots() {
        assert!(
            refused(Class::Ip, "1.2.3")
                && refused(Class::Ip, "1.2.3.4.5")
                && refused(Class::Ip, "::g")
                && refused(Class::Ip, "::ffff:1.2.3.4")
        );
        assert_eq!(ok(Class::Ip, "::1"), Constant::Ip(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        assert_eq!(ok(Class::Ip, "127.0.0.1"), Constant::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }

    #[test]
    fn byte_operators_take_hex() {
        let hex = |value: &str| convert(Operator::BContains, Class::Bytes, value.as_bytes());
        assert_eq!(hex("6aFF"), Ok(Constant::Bytes([0x6a, 0xff][..].into())));
        assert!(hex("6").is_err() && hex("6g").is_err() && hex("\0").is_err());
    }

    #[test]
    fn text_has_no_nul_but_bytes_may() {
        assert!(refused(Class::Text, "a\0b"));
        assert!(!refused(Class::Bytes, "a\0b"));
        assert!(
            refused(Class::Bool, "1")
                && refused(Class::Bool, "True")
                && !refused(Class::Bool, "true")
        );
    }
}

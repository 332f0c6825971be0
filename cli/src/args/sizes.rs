//! Sizes as they are typed: `65536`, `512K`, `50M`, `1GiB`.

/// Parses a number of bytes.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || "expected a size such as `512K`, `50M` or `1G`".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let shift = match unit.trim_end_matches("iB").trim_end_matches('B') {
        "" => 0,
        "K" | "k" => 10,
        "M" | "m" => 20,
        "G" | "g" => 30,
        _ => return Err(wrong()),
    };
    let bytes = number.checked_shl(shift).filter(|bytes| bytes >> shift == number);
    bytes.filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_people_write() {
        for (text, bytes) in [
            ("65536", 65_536),
            ("512K", 512 << 10),
            ("50M", 50 << 20),
            ("50MiB", 50 << 20),
            ("1GB", 1 << 30),
            ("7B", 7),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest_in_words() {
        for text in ["", "0", "M", "-1", "5X", "1.5M", "99999999999G"] {
            assert!(parse_size(text).expect_err(text).contains("`50M`"), "{text}");
        }
    }
}

//! Scalars as booleans and numbers, by YAML 1.1 and whatever their quotes.
use super::Node;

const TRUE: [&str; 4] = ["true", "yes", "on", "y"];
const FALSE: [&str; 4] = ["false", "no", "off", "n"];

impl Node {
    /// The boolean that a scalar stands for.
    pub fn boolean(&self) -> Option<bool> {
        let text = self.text()?;
        if !usual_capitals(text) {
            return None;
        }
        let lower = text.to_ascii_lowercase();
        if TRUE.contains(&lower.as_str()) {
            return Some(true);
        }
        FALSE.contains(&lower.as_str()).then_some(false)
    }

    /// The unsigned 32-bit number that a scalar stands for: decimal, or with `0x` or `0` in front
    /// hexadecimal or octal.
    pub fn unsigned(&self) -> Option<u32> {
        let text = self.text()?.trim_end_matches([' ', '\t', '\n', '\r']);
        let text = text.strip_prefix('+').unwrap_or(text);
        if text.starts_with(['+', '-']) {
            return None;
        }
        if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            return u32::from_str_radix(digits, 16).ok();
        }
        match text.strip_prefix('0') {
            Some(digits) if !digits.is_empty() => u32::from_str_radix(digits, 8).ok(),
            _ => text.parse().ok(),
        }
    }
}

/// `word`, `Word` or `WORD`.
fn usual_capitals(text: &str) -> bool {
    let mut rest = text.chars();
    let Some(first) = rest.next() else { return false };
    let rest = rest.as_str();
    let lower = |text: &str| text.chars().all(|c| c.is_ascii_lowercase());
    let upper = |text: &str| text.chars().all(|c| c.is_ascii_uppercase());
    first.is_ascii_alphabetic() && (lower(rest) || (first.is_ascii_uppercase() && upper(rest)))
}

/// Whether a plain scalar means nothing.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

#[cfg(test)]
mod tests {
    use super::super::{FileId, read};
    use super::*;

    fn value(text: &str) -> Node {
        read(FileId(0), text).unwrap().pop().unwrap()
    }

    #[test]
    fn booleans_have_three_usual_spellings() {
        for yes in ["true", "True", "TRUE", "yes", "on", "ON", "y", "Y", "'true'", "\"Yes\""] {
            assert_eq!(value(yes).boolean(), Some(true), "{yes}");
        }
        for no in ["false", "No", "OFF", "n"] {
            assert_eq!(value(no).boolean(), Some(false), "{no}");
        }
        for neither in ["tRUE", "1", "yess", "[]", "~", "''"] {
            assert_eq!(value(neither).boolean(), None, "{neither}");
        }
    }

    #[test]
    fn unsigned_numbers_end_at_32_bits() {
        assert_eq!(value("4294967295").unsigned(), Some(u32::MAX));
        assert_eq!(value("4294967296").unsigned(), None);
        assert_eq!(value("0x10").unsigned(), Some(16));
        assert_eq!(value("010").unsigned(), Some(8));
        assert_eq!(value("0").unsigned(), Some(0));
        for bad in ["-1", "1.5", "a", "''", "0.50"] {
            assert_eq!(value(bad).unsigned(), None, "{bad}");
        }
    }
}

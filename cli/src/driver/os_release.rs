//! The file `os-release`: one `KEY=value` per line, quoted as a shell would.

use std::collections::BTreeMap;

/// What a system says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OsRelease(BTreeMap<String, String>);

impl OsRelease {
    /// Reads the lines that are assignments; comments and anything else say nothing.
    pub(crate) fn parse(text: &str) -> Self {
        let assignment = |line: &str| {
            let (key, value) = line.trim().split_once('=')?;
            let named =
                !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            named.then(|| (key.to_owned(), unquote(value.trim())))
        };
        Self(text.lines().filter_map(assignment).collect())
    }

    /// The value of a key; empty counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// A value without its quotes and the backslashes that protect a character.
fn unquote(value: &str) -> String {
    let inner = match value.as_bytes() {
        [b'\'', middle @ .., b'\''] => return String::from_utf8_lossy(middle).into_owned(),
        [b'"', .., b'"'] if value.len() > 1 => &value[1..value.len() - 1],
        _ => value,
    };
    let mut plain = String::new();
    let mut characters = inner.chars();
    while let Some(next) = characters.next() {
        plain.extend(if next == '\\' { characters.next() } else { Some(next) });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lose_their_quotes() {
        let text = "# comment\nNAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID='12'\n\nEMPTY=\"\"\nODD=\"a\\\"b\"\nnonsense\n=x\nQUOTE=\"\n";
        let found = OsRelease::parse(text);
        for (key, value) in [
            ("NAME", Some("Debian GNU/Linux")),
            ("ID", Some("debian")),
            ("VERSION_ID", Some("12")),
            ("ODD", Some("a\"b")),
            ("QUOTE", Some("\"")),
            ("EMPTY", None),
            ("MISSING", None),
            ("", None),
        ] {
            assert_eq!(found.get(key), value, "{key}");
        }
    }

    #[test]
    fn a_later_line_wins() {
        assert_eq!(OsRelease::parse("ID=a\nID=b\n").get("ID"), Some("b"));
    }
}

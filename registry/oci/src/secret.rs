//! Values that must not show up in a log: passwords and tokens, and addresses that may carry them.
//!
//! Owns the two ways of printing such values. Who holds a secret, and for how long, is left to
//! `auth`.

use std::fmt;

use url::Url;
use zeroize::Zeroize as _;

/// What is printed in place of a secret.
const REDACTED: &str = "***";

/// A password or token. Neither `Debug` nor anything else here prints it, and its memory is wiped
/// when it is dropped.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the one place that has to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True for an empty secret, which a registry never accepts.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

/// An address as it may be printed: no user, no password, and no query, since storage back ends put
/// signatures there.
pub fn printable(url: &Url) -> String {
    let mut shown = url.clone();
    // Both fail only for addresses that cannot have a user at all.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    if shown.query().is_some() {
        shown.set_query(Some(REDACTED));
    }
    shown.to_string()
}

/// Text that came from the other side, made fit to print: one line, no control characters, cut at
/// `limit` characters.
pub(crate) fn tame(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut space = false;
    for c in text.chars() {
        if c.is_control() || c.is_whitespace() {
            space = !out.is_empty();
            continue;
        }
        if out.chars().count() >= limit {
            out.push('…');
            break;
        }
        if std::mem::take(&mut space) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "***");
        assert!(!format!("{:?}", Some(vec![secret.clone()])).contains("hunter2"));
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn an_address_prints_without_user_and_query() {
        let url = Url::parse("https://me:pw@r.example.org/v2/a?X-Amz-Signature=abc#x").unwrap();
        assert_eq!(printable(&url), "https://r.example.org/v2/a?***");
        let plain = Url::parse("http://r.example.org:5000/v2/a").unwrap();
        assert_eq!(printable(&plain), "http://r.example.org:5000/v2/a");
    }

    #[test]
    fn foreign_text_is_one_short_line() {
        assert_eq!(tame("a\r\n\tb \u{1b}[31mc", 100), "a b [31mc");
        assert_eq!(tame("abcdef", 3), "abc…");
        assert_eq!(tame("  ", 3), "");
    }
}

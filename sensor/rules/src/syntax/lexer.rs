//! Tokens: the longest match of one token kind at the cursor, or nothing.
//!
//! There is no token stream. What a word is depends on where it stands (a keyword is also a value
//! and a macro's name), so the grammar asks for the token it can use and the cursor moves only
//! when that token is there.

/// A cursor over the text of a condition.
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// Byte offset of the cursor.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Puts the cursor back to an offset that [`Self::at`] gave before.
    pub(super) fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    /// Text after the cursor.
    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Text from `start` to the cursor.
    pub(super) fn since(&self, start: usize) -> &'t str {
        &self.text[start..self.at]
    }

    pub(super) fn done(&self) -> bool {
        self.at == self.text.len()
    }

    /// Skips blanks between tokens; tells whether there was one.
    pub(super) fn blank(&mut self) -> bool {
        self.take_while(is_blank) > 0
    }

    /// Takes exactly these characters, whatever follows them.
    pub(super) fn exact(&mut self, token: &str) -> bool {
        let here = self.rest().starts_with(token);
        if here {
            self.at += token.len();
        }
        here
    }

    /// Takes a word and the blanks after it; nothing if no blank follows.
    pub(super) fn word_and_blank(&mut self, word: &str) -> bool {
        let start = self.at;
        if self.exact(word) && self.blank() {
            return true;
        }
        self.at = start;
        false
    }

    /// `[a-zA-Z][a-zA-Z0-9_]*`
    pub(super) fn identifier(&mut self) -> Option<&'t str> {
        let length = identifier_length(self.rest())?;
        Some(self.take(length))
    }

    /// An identifier followed by one or more `.identifier`.
    pub(super) fn field_name(&mut self) -> Option<&'t str> {
        let rest = self.rest();
        let mut length = identifier_length(rest)?;
        let first = length;
        while let Some(more) = rest[length..].strip_prefix('.').and_then(identifier_length) {
            length += 1 + more;
        }
        (length > first).then(|| self.take(length))
    }

    /// What may stand in brackets without quotes.
    pub(super) fn bare_argument(&mut self) -> Option<&'t str> {
        self.take_some(|c| !is_space(c) && !matches!(c, '[' | ']' | '"' | '\''))
    }

    /// A text without quotes.
    pub(super) fn bare_text(&mut self) -> Option<&'t str> {
        self.take_some(|c| !is_space(c) && !matches!(c, '(' | ')' | '"' | '\'' | '=' | ','))
    }

    /// A quoted text with its quotes. `Err` when it has no end; the cursor does not move then.
    pub(super) fn quoted(&mut self) -> Option<Result<&'t str, ()>> {
        let rest = self.rest();
        let quote = rest.bytes().next().filter(|b| matches!(b, b'"' | b'\''))?;
        let bytes = rest.as_bytes();
        // Only the one character before a quote decides whether the quote ends the text, so that
        // `'a\\'` goes on: rules files in the wild are written to this.
        let end = (1..bytes.len()).find(|&n| bytes[n] == quote && bytes[n - 1] != b'\\');
        Some(end.map(|end| self.take(end + 1)).ok_or(()))
    }

    /// A hexadecimal or decimal number.
    pub(super) fn number(&mut self) -> Option<&'t str> {
        let rest = self.rest().as_bytes();
        let length = hex_length(rest).or_else(|| decimal_length(rest))?;
        Some(self.take(length))
    }

    fn take(&mut self, length: usize) -> &'t str {
        let start = self.at;
        self.at += length;
        &self.text[start..self.at]
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> usize {
        let rest = self.rest();
        let length = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += length;
        length
    }

    fn take_some(&mut self, accept: impl Fn(char) -> bool) -> Option<&'t str> {
        let start = self.at;
        (self.take_while(accept) > 0).then(|| self.since(start))
    }
}

/// Separates tokens. Backspace counts, vertical tab and form feed do not.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x08' | '\r' | '\n')
}

/// Ends a bare token.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// Whether the whole text is one identifier.
pub fn is_identifier(text: &str) -> bool {
    identifier_length(text) == Some(text.len())
}

/// Whether the whole text is one bare text, as list names should be.
pub fn is_bare_text(text: &str) -> bool {
    let mut lexer = Lexer::new(text);
    lexer.bare_text().is_some() && lexer.done()
}

fn identifier_length(text: &str) -> Option<usize> {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        .then(|| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len()))
}

fn hex_length(text: &[u8]) -> Option<usize> {
    let digits = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X"))?;
    let length = digits.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    (length > 0).then_some(2 + length)
}

fn decimal_length(text: &[u8]) -> Option<usize> {
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let whole = digits(&text[sign..]);
    if whole == 0 {
        return None;
    }
    let mut length = sign + whole;
    if text.get(length) == Some(&b'.') {
        length += 1;
        length += digits(&text[length..]);
    }
    Some(length + exponent_length(&text[length..]))
}

/// An exponent needs its sign; without one it is no exponent.
fn exponent_length(text: &[u8]) -> usize {
    match text {
        [b'e' | b'E', b'+' | b'-', rest @ ..] if digits(rest) > 0 => 2 + digits(rest),
        _ => 0,
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|b| b.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<&str> {
        Lexer::new(text).number()
    }

    #[test]
    fn numbers_are_the_longest_match() {
        assert_eq!(number("0x1fg"), Some("0x1f"));
        assert_eq!(number("0xg"), Some("0"));
        assert_eq!(number("-0.12e+10 "), Some("-0.12e+10"));
        assert_eq!(number("1e10"), Some("1"));
        assert_eq!(number("1.x"), Some("1."));
        assert_eq!(number("+"), None);
        assert_eq!(number(".5"), None);
    }

    #[test]
    fn a_field_name_needs_a_dot_and_keeps_no_trailing_one() {
        assert_eq!(Lexer::new("proc.name. rest").field_name(), Some("proc.name"));
        assert_eq!(Lexer::new("proc.aname[2]").field_name(), Some("proc.aname"));
        assert_eq!(Lexer::new("proc").field_name(), None);
        assert_eq!(Lexer::new("proc.1").field_name(), None);
        assert_eq!(Lexer::new("_a.b").field_name(), None);
    }

    #[test]
    fn a_quote_after_a_backslash_does_not_end_the_text() {
        assert_eq!(Lexer::new(r"'a\'b' c").quoted(), Some(Ok(r"'a\'b'")));
        assert_eq!(Lexer::new(r"'a\\' b' c").quoted(), Some(Ok(r"'a\\' b'")));
        assert_eq!(Lexer::new(r"'a\\'").quoted(), Some(Err(())));
        assert_eq!(Lexer::new("''").quoted(), Some(Ok("''")));
        assert_eq!(Lexer::new("a").quoted(), None);
    }

    #[test]
    fn blanks_between_tokens_and_ends_of_bare_texts_differ() {
        let mut lexer = Lexer::new("\x08 \t\r\na");
        assert!(lexer.blank());
        assert_eq!(lexer.rest(), "a");
        assert_eq!(Lexer::new("a\x08b\x0bc").bare_text(), Some("a\x08b"));
        assert!(is_bare_text("shell-binaries") && !is_bare_text("a b") && !is_bare_text(""));
        assert!(is_identifier("a_1") && !is_identifier("a-1") && !is_identifier("1a"));
    }
}

//! From a byte of a decoded scalar back to the byte of the file.
use super::Style;

/// For a scalar written as `raw` (with its quotes, without its block header) and decoded to `text`: where in
/// `raw` the byte `offset` of `text` was written.
///
/// Folding only changes blanks, so characters that are no blanks stand in both texts in the same
/// order; escapes of double quotes are stepped over as a whole. A blank is placed right behind the
/// character before it.
pub fn trace(raw: &str, style: Style, text: &str, offset: usize) -> usize {
    let mut written = Written { raw, at: content_start(raw, style), style };
    for (at, c) in text.char_indices() {
        if at >= offset {
            written.skip_blanks(c);
            break;
        }
        written.pass(c);
    }
    written.at.min(raw.len())
}

/// Where the content begins: behind the quote.
fn content_start(raw: &str, style: Style) -> usize {
    match style {
        Style::Plain | Style::Block => 0,
        Style::Single | Style::Double => 1.min(raw.len()),
    }
}

struct Written<'t> {
    raw: &'t str,
    at: usize,
    style: Style,
}

impl Written<'_> {
    /// Steps over the writing of one decoded character.
    fn pass(&mut self, c: char) {
        if is_blank(c) && !self.rest().starts_with('\\') {
            if self.rest().starts_with(c) {
                self.at += c.len_utf8();
            }
            return;
        }
        self.skip_blanks(c);
        let Some(next) = self.rest().chars().next() else { return };
        self.at += match (self.style, next) {
            (Style::Double, '\\') => escape_length(self.rest()),
            (Style::Single, '\'') => 2,
            _ => next.len_utf8(),
        };
    }

    /// Steps over folded lines before a character that is no blank.
    fn skip_blanks(&mut self, c: char) {
        if is_blank(c) {
            return;
        }
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(is_blank).len();
        if self.style == Style::Double && self.rest().starts_with("\\\n") {
            self.at += 2;
            self.skip_blanks(c);
        }
    }

    fn rest(&self) -> &str {
        self.raw.get(self.at..).unwrap_or_default()
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// Length of the escape at the start of a double-quoted text.
fn escape_length(text: &str) -> usize {
    let Some(kind) = text.chars().nth(1) else { return text.len() };
    let digits = match kind {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => 0,
    };
    1 + kind.len_utf8() + digits
}

#[cfg(test)]
mod tests {
    use super::super::{FileId, Kind, read};
    use super::*;

    /// Every place of a word in the decoded text must be traced to the same word of the file.
    fn words_agree(yaml: &str) {
        let node = read(FileId(0), yaml).unwrap().pop().unwrap();
        let value = node.get("k").unwrap();
        let Kind::Scalar(scalar) = &value.kind else { panic!("no scalar in {yaml:?}") };
        let raw = &yaml[value.place.start.offset as usize..value.place.end.offset as usize];
        let mut from = 0;
        for word in scalar.text.split_whitespace() {
            let offset = from + scalar.text[from..].find(word).unwrap();
            from = offset + word.len();
            let place = trace(raw, scalar.style, &scalar.text, offset);
            let letters = |text: &str| text.chars().take_while(char::is_ascii_alphabetic).count();
            let length = letters(word);
            assert_eq!(raw.get(place..place + length), word.get(..length), "{yaml:?} {word:?}");
        }
    }

    #[test]
    fn every_style_is_traced() {
        words_agree("k: plain text of\n  two lines\n");
        words_agree("k: 'it''s quoted\n  and folded'\n");
        words_agree("k: \"a \\\"b\\\" c\\td \\u00e9 e \\\n   f\"\n");
        words_agree("k: >\n  folded\n  text\n\n  with a gap\n   and indent\n");
        words_agree("k: |-\n    literal\n    text # no comment\n");
        words_agree("k: >-\n  é über\n  all\n");
    }

    #[test]
    fn an_offset_behind_the_text_stays_inside() {
        assert_eq!(trace("abc", Style::Plain, "abc", 99), 3);
        assert_eq!(trace("", Style::Block, "abc", 1), 0);
    }
}

//! The text of a condition over lines. List names and macros in it are only names here, and what
//! does not parse is laid out, too: only blanks outside of quotes are changed.

/// Blanks outside of quotes as one; none at the ends.
pub(super) fn collapsed(text: &str) -> String {
    words(text).iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// A word and how many parentheses are open before it.
struct Word {
    text: String,
    depth: usize,
}

/// What blanks outside of quotes separate.
fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut current = String::new();
    let (mut depth, mut at_start) = (0_usize, 0);
    let mut quote: Option<char> = None;
    let mut before = ' ';
    for c in text.chars() {
        match quote {
            Some(open) if c == open && before != '\\' => quote = None,
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None if matches!(c, ' ' | '\t' | '\n' | '\r' | '\x08') => {
                if !current.is_empty() {
                    words.push(Word { text: std::mem::take(&mut current), depth: at_start });
                }
                at_start = depth;
                before = c;
                continue;
            }
            None if c == '(' => depth += 1,
            None if c == ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        current.push(c);
        before = c;
    }
    if !current.is_empty() {
        words.push(Word { text: current, depth: at_start });
    }
    words
}

/// Lines no longer than `width`, where words allow it: as one if it fits, else broken before each
/// outermost `and` and `or`, and inside of a part where it must be.
pub(super) fn laid_out(text: &str, width: usize) -> Vec<String> {
    let whole = collapsed(text);
    if whole.chars().count() <= width {
        return vec![whole];
    }
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in words(text) {
        let joint = word.depth == 0 && matches!(word.text.as_str(), "and" | "or");
        let full = line.chars().count() + 1 + word.text.chars().count() > width;
        if !line.is_empty() && (joint || full) {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word.text);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_in_quotes_stay() {
        assert_eq!(collapsed(" a\n  and 'b  c\\'  d'  e"), "a and 'b  c\\'  d' e");
        assert_eq!(collapsed(""), "");
    }

    #[test]
    fn outermost_joints_begin_lines() {
        let text = "aa.a = 1 and (bb.b = 2 or cc.c = 3) or d";
        assert_eq!(laid_out(text, 100), [text]);
        assert_eq!(laid_out(text, 30), ["aa.a = 1", "and (bb.b = 2 or cc.c = 3)", "or d"]);
        assert_eq!(laid_out(text, 20), ["aa.a = 1", "and (bb.b = 2 or", "cc.c = 3)", "or d"]);
    }
}

//! The line around a problem, with a mark under the column.

/// Most characters shown to each side of the problem.
const SIDE: usize = 80;

/// The line of `text` around a byte offset, cut to a width, and `^` under the column. Empty for an
/// empty text.
pub fn snippet(text: &str, offset: usize) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
    let before: Vec<char> = text[start..at].chars().collect();
    let after: Vec<char> = text[at..end].chars().collect();
    let (left, left_cut) = (before.len().saturating_sub(SIDE), before.len() > SIDE);
    let (right, right_cut) = (after.len().min(SIDE), after.len() > SIDE);
    let mut line = String::from(if left_cut { "..." } else { "" });
    line.extend(&before[left..]);
    let column = line.chars().count();
    line.extend(&after[..right]);
    line.push_str(if right_cut { "..." } else { "" });
    format!("{line}\n{}^", " ".repeat(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_with_a_mark() {
        assert_eq!(snippet("a\nproc.nam = x\nb", 7), "proc.nam = x\n     ^");
        assert_eq!(snippet("abc", 99), "abc\n   ^");
        assert_eq!(snippet("", 0), "");
        assert_eq!(snippet("é=x", 1), "é=x\n^");
    }

    #[test]
    fn long_lines_are_cut_at_both_sides() {
        let text = "x".repeat(300);
        let shown = snippet(&text, 150);
        assert_eq!(shown, format!("...{}...\n{}^", "x".repeat(160), " ".repeat(83)));
        assert!(snippet(&text[..160], 80).starts_with(&format!("{}\n", "x".repeat(160))));
    }
}

//! Rules files laid out anew: what `eyas rules fmt` writes.
//!
//! Owns where blanks and lines go. Comments, the order of items and keys, and every value stay. What
//! comes out is read again and compared with what went in before anybody gets it, so that a file is
//! either laid out with the same meaning or refused.
mod condition;
mod lines;

use crate::source::{FileId, Kind, Node, SourceError, SourceFile, Style, read};
use condition::{collapsed, laid_out};
use lines::spaced;

/// Longest line of a condition that is laid out, in characters.
pub const WIDTH: usize = 110;

/// Why a file cannot be laid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// It is not YAML.
    #[error("{0}")]
    Source(#[from] SourceError),
    /// The new layout would not read the same.
    #[error("the file is written in a way that cannot be laid out without a change of its meaning")]
    Meaning,
}

/// The file in its usual layout: no blanks at the ends of lines, one empty line between items, long
/// conditions folded with one part a line. Laying out what is laid out changes nothing.
pub fn lay_out(file: &SourceFile) -> Result<String, LayoutError> {
    let text = file.text.replace("\r\n", "\n");
    let before = read(FileId(0), &text)?;
    let text = with_conditions(&text, &before);
    let documents = read(FileId(0), &text).map_err(|_| LayoutError::Meaning)?;
    let text = spaced(&text, &documents);
    let after = read(FileId(0), &text).map_err(|_| LayoutError::Meaning)?;
    let same = before.len() == after.len() && before.iter().zip(&after).all(|(a, b)| same(a, b));
    if same { Ok(text) } else { Err(LayoutError::Meaning) }
}

/// Conditions over several lines, or on a line that is too long, laid out; all else untouched.
fn with_conditions(text: &str, documents: &[Node]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (key, value) in conditions(documents) {
        let column = key.place.start.column as usize;
        let from = key.place.end.offset as usize;
        // The parser ends a block where the next thing begins; comments between are no part of it.
        let to = from + scalar_length(&text[from..], value, column);
        let written = &text[from..to];
        let folded = value.text().unwrap_or_default();
        let one_line = !written.trim_end().contains('\n');
        let short = column + "condition: ".len() + folded.trim().chars().count() <= WIDTH;
        if from < copied || (one_line && short && !is_block(written)) {
            continue;
        }
        out.push_str(&text[copied..from]);
        let indent = " ".repeat(column + 2);
        out.push_str(": >\n");
        for line in laid_out(folded.trim(), WIDTH.saturating_sub(column + 2)) {
            out.push_str(&indent);
            out.push_str(&line);
            out.push('\n');
        }
        copied = to;
    }
    out.push_str(&text[copied..]);
    out
}

fn is_block(written: &str) -> bool {
    let value = written.trim_start_matches(':').trim_start();
    value.starts_with('>') || value.starts_with('|')
}

/// Keys and values of all conditions that can be folded, in the order of the file.
fn conditions(documents: &[Node]) -> Vec<(&Node, &Node)> {
    let items = documents.iter().filter_map(Node::items).flatten();
    let entries = items.filter_map(Node::entries).flatten();
    entries
        .filter(|(key, value)| {
            let foldable = match &value.kind {
                // Escapes and doubled quotes would have to be undone: such are left alone.
                Kind::Scalar(scalar) => matches!(scalar.style, Style::Plain | Style::Block),
                _ => false,
            };
            key.text() == Some("condition")
                && foldable
                && key.place.start.offset < value.place.start.offset
                && value.text().is_some_and(|text| !text.trim().is_empty() && text.is_ascii())
        })
        .map(|(key, value)| (key, value))
        .collect()
}

/// Bytes from the end of a key to the end of the last line of its value.
fn scalar_length(text: &str, value: &Node, column: usize) -> usize {
    let mut length = 0;
    let mut last = 0;
    for (n, line) in text.split_inclusive('\n').enumerate() {
        let content = line.trim();
        let deeper = line.len() - line.trim_start_matches(' ').len() > column;
        let comment = content.starts_with('#')
            && !matches!(&value.kind, Kind::Scalar(s) if s.style == Style::Block);
        if n > 0 && !content.is_empty() && (!deeper || comment) {
            break;
        }
        length += line.len();
        if n == 0 || !content.is_empty() {
            last = length;
        }
    }
    last
}

/// The same values; blanks in conditions count once where they stand outside of quotes.
fn same(before: &Node, after: &Node) -> bool {
    match (&before.kind, &after.kind) {
        (Kind::Mapping(before), Kind::Mapping(after)) => {
            before.len() == after.len()
                && before.iter().zip(after).all(|((key, a), (other, b))| {
                    same(key, other)
                        && match (key.text(), a.text(), b.text()) {
                            (Some("condition"), Some(a), Some(b)) => collapsed(a) == collapsed(b),
                            _ => same(a, b),
                        }
                })
        }
        (Kind::Sequence(before), Kind::Sequence(after)) => {
            before.len() == after.len() && before.iter().zip(after).all(|(a, b)| same(a, b))
        }
        (Kind::Scalar(before), Kind::Scalar(after)) => before.text == after.text,
        (before, after) => before == after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(text: &str) -> Result<String, LayoutError> {
        lay_out(&SourceFile { name: "r.yaml".to_owned(), text: text.to_owned() })
    }

    #[test]
    fn items_are_spaced_and_comments_stay() {
        let text = "# top\n- list: a   \n  items: [x]\r\n# about b\n- list: b\n  items: # here\n    - y\n\n\n\n- list: c\n  items: []";
        let wanted = "# top\n- list: a\n  items: [x]\n\n# about b\n- list: b\n  items: # here\n    - y\n\n- list: c\n  items: []\n";
        assert_eq!(laid(text).unwrap(), wanted);
        assert_eq!(laid(wanted).unwrap(), wanted);
    }

    #[test]
    fn long_conditions_are_folded_part_by_part() {
        let long = "evt.type = open and proc.name in (aaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbb) and \
                    (fd.name = \"a  and  b\" or fd.name = d) or proc.pid = 1";
        let text = format!(
            "- macro: m\n  condition: {long}\n  # why\n- macro: n\n  condition: |\n      a   and\n       b\n\n# end\n"
        );
        let found = laid(&text).unwrap();
        assert_eq!(
            found,
            "- macro: m\n  condition: >\n    evt.type = open\n    and proc.name in \
             (aaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbb)\n    and (fd.name = \"a  and  b\" or \
             fd.name = d)\n    or proc.pid = 1\n  # why\n\n- macro: n\n  condition: >\n    a and b\n\n# end\n"
        );
        assert_eq!(laid(&found).unwrap(), found);
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        for text in [
            "- macro: m\n  condition: \"a and\\n b\"\n",
            "- macro: m\n  condition: {a: b}\n",
            "- {macro: m, condition: a and b}\n",
            "- macro: m\n  condition: a and b # why\n",
        ] {
            assert_eq!(laid(text).unwrap(), text);
        }
        assert!(matches!(laid("- [").unwrap_err(), LayoutError::Source(_)));
    }
}

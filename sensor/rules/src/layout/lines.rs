//! Blanks at the ends of lines and empty lines between items.
use std::collections::BTreeSet;

use crate::source::Node;

/// The text with one empty line before each item of the outermost sequence but the first, none
/// twice, no blanks at the ends of lines and one line break at the end.
pub(super) fn spaced(text: &str, documents: &[Node]) -> String {
    let starts: BTreeSet<usize> = documents
        .iter()
        .filter_map(Node::items)
        .filter(|items| items.len() > 1)
        .flat_map(|items| items.iter().skip(1))
        .map(|item| item.place.start.line as usize)
        .collect();
    let source: Vec<&str> = text.lines().map(str::trim_end).collect();
    let first = documents.iter().filter_map(Node::items).flatten().next();
    let first = first.map_or(usize::MAX, |item| item.place.start.line as usize);
    // A comment right above an item belongs to it.
    let with_comments: BTreeSet<usize> = starts
        .iter()
        .filter(|line| source.get(**line).is_some_and(|text| text.starts_with('-')))
        .map(|line| {
            let above = |at: usize| source.get(at).is_some_and(|text| text.starts_with('#'));
            let mut line = *line;
            while line > first + 1 && above(line - 1) {
                line -= 1;
            }
            line
        })
        .collect();
    let mut out: Vec<&str> = Vec::new();
    for (number, line) in source.iter().enumerate() {
        let empty_before = out.last().is_none_or(|line| line.is_empty());
        if line.is_empty() && empty_before {
            continue;
        }
        if with_comments.contains(&number) && !empty_before {
            out.push("");
        }
        out.push(line);
    }
    while out.last().is_some_and(|line| line.is_empty()) {
        out.pop();
    }
    let mut text = out.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

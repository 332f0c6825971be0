//! Text that remembers where its parts were written.
//!
//! The text of a condition is glued from scalars of several files and from pieces that nobody
//! wrote. Each part keeps its scalar, so that a problem in the glued text is shown where a person
//! can change it.
use std::ops::Range;
use std::sync::Arc;

use crate::source::{Kind, Mark, Node, Place, SourceFile, Style, trace};

/// A glued text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    text: String,
    parts: Vec<Part>,
}

/// From `at` on, the text was written in this scalar.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    at: usize,
    scalar: Option<Written>,
}

/// A scalar, from one of its decoded bytes on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    place: Place,
    style: Style,
    decoded: Arc<str>,
    from: usize,
}

impl Text {
    /// The text of a scalar; empty for any other node.
    pub fn of(node: &Node) -> Self {
        let Kind::Scalar(scalar) = &node.kind else { return Self::default() };
        let decoded: Arc<str> = Arc::from(scalar.text.as_str());
        let written = Written { place: node.place, style: scalar.style, decoded, from: 0 };
        Self { text: scalar.text.clone(), parts: vec![Part { at: 0, scalar: Some(written) }] }
    }

    /// How many parts it is glued from.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Adds what nobody wrote.
    pub fn push_str(&mut self, text: &str) {
        if self.parts.last().is_none_or(|part| part.scalar.is_some()) {
            self.parts.push(Part { at: self.text.len(), scalar: None });
        }
        self.text.push_str(text);
    }

    /// Adds another text.
    pub fn push(&mut self, other: &Self) {
        let base = self.text.len();
        self.parts
            .extend(other.parts.iter().map(|part| Part { at: base + part.at, ..part.clone() }));
        self.text.push_str(&other.text);
    }

    /// Adds a range of another text.
    pub fn push_range(&mut self, other: &Self, range: Range<usize>) {
        let Some(piece) = other.text.get(range.clone()) else { return };
        let base = self.text.len();
        let first = other.parts.partition_point(|part| part.at <= range.start).saturating_sub(1);
        for part in other.parts[first..].iter().take_while(|part| part.at < range.end) {
            let skipped = range.start.saturating_sub(part.at);
            let scalar = part
                .scalar
                .as_ref()
                .map(|written| Written { from: written.from + skipped, ..written.clone() });
            self.parts.push(Part { at: base + part.at.saturating_sub(range.start), scalar });
        }
        self.text.push_str(piece);
    }

    /// The text without blanks around it.
    #[must_use]
    pub fn trimmed(&self) -> Self {
        let trimmed = self.text.trim();
        let start = self.text.len() - self.text.trim_start().len();
        let mut out = Self::default();
        out.push_range(self, start..start + trimmed.len());
        out
    }

    /// The place of a range in its file. A range over several scalars ends with its first one;
    /// what nobody wrote stands where the part after it stands, or else the part before.
    pub fn place(&self, range: Range<usize>, files: &[SourceFile]) -> Option<Place> {
        let last = self.parts.partition_point(|part| part.at <= range.start).saturating_sub(1);
        let written = |n: usize| self.parts.get(n)?.scalar.as_ref().map(|scalar| (n, scalar));
        let (n, scalar) = (last..self.parts.len())
            .find_map(written)
            .or_else(|| (0..last).rev().find_map(written))?;
        let begin = self.parts[n].at;
        let next = self.parts.get(n + 1).map_or(self.text.len(), |part| part.at);
        let start = range.start.clamp(begin, next);
        let end = range.end.clamp(start, next);
        let text = &files.get(scalar.place.file.0 as usize)?.text;
        Some(Place {
            file: scalar.place.file,
            start: scalar.mark(start - begin, text)?,
            end: scalar.mark(end - begin, text)?,
        })
    }
}

impl Written {
    /// The point of the file where byte `offset` after `from` was written.
    fn mark(&self, offset: usize, file: &str) -> Option<Mark> {
        let start = self.place.start.offset as usize;
        let raw = file.get(start..self.place.end.offset as usize)?;
        let traced = trace(raw, self.style, &self.decoded, self.from + offset);
        Some(advance(self.place.start, raw.get(..traced)?))
    }
}

/// The point behind a text that begins at `mark`.
fn advance(mark: Mark, passed: &str) -> Mark {
    let lines = passed.matches('\n').count() as u32;
    let tail = passed.rfind('\n').map_or(passed, |newline| &passed[newline + 1..]);
    let characters = tail.chars().count() as u32;
    Mark {
        line: mark.line + lines,
        column: if lines > 0 { characters } else { mark.column + characters },
        offset: mark.offset + passed.len() as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{FileId, read};

    fn file(text: &str) -> (Vec<SourceFile>, Node) {
        let files = vec![SourceFile { name: "f".to_owned(), text: text.to_owned() }];
        let node = read(FileId(0), text).unwrap().pop().unwrap();
        (files, node)
    }

    fn shown(text: &Text, word: &str, files: &[SourceFile]) -> String {
        let start = text.as_str().find(word).unwrap();
        let place = text.place(start..start + word.len(), files).unwrap();
        files[0].text[place.start.offset as usize..place.end.offset as usize].to_owned()
    }

    #[test]
    fn every_part_leads_to_its_scalar() {
        let (files, node) = file("a: >\n  x.y = one\n  and z.w = two\nb: 'or c = three'\n");
        let mut text = Text::default();
        text.push_str("(");
        text.push(&Text::of(node.get("a").unwrap()).trimmed());
        text.push_str(") ");
        text.push(&Text::of(node.get("b").unwrap()));
        assert_eq!(text.as_str(), "(x.y = one and z.w = two) or c = three");
        for word in ["x.y", "one", "two", "three"] {
            assert_eq!(shown(&text, word, &files), word);
        }
        let place = text.place(0..1, &files).unwrap();
        assert_eq!((place.start.line, place.start.column), (1, 2));
    }

    #[test]
    fn a_range_keeps_its_places() {
        let (files, node) = file("a: one two three\n");
        let whole = Text::of(node.get("a").unwrap());
        let mut text = Text::default();
        text.push_range(&whole, 4..7);
        text.push_str(" more");
        text.push_range(&whole, 7..13);
        assert_eq!(text.as_str(), "two more three");
        assert_eq!(shown(&text, "two", &files), "two");
        assert_eq!(shown(&text, "three", &files), "three");
    }

    #[test]
    fn a_text_that_nobody_wrote_has_no_place() {
        let mut text = Text::default();
        text.push_str("x");
        assert_eq!(text.place(0..1, &[]), None);
    }
}

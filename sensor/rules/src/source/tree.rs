//! From parser events to trees, within the limits.
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use super::scalar::is_null;
use super::{
    FILE_LIMIT, FileId, Kind, Mark, NESTING_LIMIT, NODE_LIMIT, NODE_TEXT, Node, Place, Scalar,
    SourceError, Style,
};

/// Reads the documents of a file; an empty document is a null node.
pub fn read(file: FileId, text: &str) -> Result<Vec<Node>, SourceError> {
    if text.len() > FILE_LIMIT {
        return Err(SourceError {
            message: format!("the file has {} bytes, the limit is {FILE_LIMIT}", text.len()),
            at: Mark::default(),
            hint: Some("split it into several files".to_owned()),
        });
    }
    let mut builder = Builder::new(file, text);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| builder.scan_error(&error))?;
        builder.event(event, span)?;
    }
    Ok(builder.documents)
}

/// Collections that are open, and what is known of finished ones.
struct Builder<'t> {
    file: FileId,
    lines: Lines<'t>,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
}

/// A sequence or mapping that has not ended.
struct Open {
    start: Mark,
    anchor: usize,
    nodes_before: usize,
    content: Content,
}

enum Content {
    Document(Option<Node>),
    Sequence(Vec<Node>),
    Mapping { entries: Vec<(Node, Node)>, key: Option<Node> },
}

/// A node that aliases may repeat.
struct Anchored {
    node: Node,
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn new(file: FileId, text: &'t str) -> Self {
        Self {
            file,
            lines: Lines::new(text),
            documents: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), SourceError> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd => Ok(()),
            Event::DocumentStart(_) => self.begin(Content::Document(None), 0, span),
            Event::SequenceStart(anchor, _) => {
                self.begin(Content::Sequence(Vec::new()), anchor, span)
            }
            Event::MappingStart(anchor, _) => {
                self.begin(Content::Mapping { entries: Vec::new(), key: None }, anchor, span)
            }
            Event::DocumentEnd | Event::SequenceEnd | Event::MappingEnd => {
                self.end(span);
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let place = self.place(span);
                let nodes = 1 + text.len() / NODE_TEXT;
                let node = Node { kind: scalar(text, style, tag.as_deref()), place };
                self.count(nodes, place.start)?;
                self.anchor(anchor, &node, nodes);
                self.push(node);
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, span),
        }
    }

    fn begin(&mut self, content: Content, anchor: usize, span: Span) -> Result<(), SourceError> {
        let start = self.lines.mark(&span.start);
        // The document itself is the outermost of the open collections.
        if self.open.len() > NESTING_LIMIT {
            return Err(SourceError {
                message: format!("nested deeper than {NESTING_LIMIT} levels"),
                at: start,
                hint: None,
            });
        }
        let nodes_before = self.nodes;
        self.count(1, start)?;
        self.open.push(Open { start, anchor, nodes_before, content });
        Ok(())
    }

    fn end(&mut self, span: Span) {
        let end = self.lines.mark(&span.end);
        let Some(open) = self.open.pop() else { return };
        // A comment before an empty value can make the parser end a mapping before it begins.
        let place = Place { file: self.file, start: open.start, end: end.max(open.start) };
        let kind = match open.content {
            Content::Document(root) => {
                self.documents.push(root.unwrap_or(Node { kind: Kind::Null, place }));
                self.anchors.clear();
                return;
            }
            Content::Sequence(items) => Kind::Sequence(items),
            Content::Mapping { entries, .. } => Kind::Mapping(entries),
        };
        let node = Node { kind, place };
        self.anchor(open.anchor, &node, self.nodes - open.nodes_before);
        self.push(node);
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), SourceError> {
        let at = self.lines.mark(&span.start);
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(SourceError {
                message: "the alias stands inside of what it repeats".to_owned(),
                at,
                hint: None,
            });
        };
        let nodes = anchored.nodes;
        self.nodes += nodes;
        self.count(0, at)?;
        if let Some(anchored) = self.anchors.get(&anchor) {
            let node = anchored.node.clone();
            self.push(node);
        }
        Ok(())
    }

    /// Keeps a copy of a node that has an anchor. Anchors are counted like uses.
    fn anchor(&mut self, anchor: usize, node: &Node, nodes: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes });
        }
    }

    fn push(&mut self, node: Node) {
        match self.open.last_mut().map(|open| &mut open.content) {
            Some(Content::Document(root)) => *root = Some(node),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { entries, key }) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => *key = Some(node),
            },
            None => {}
        }
    }

    fn count(&mut self, nodes: usize, at: Mark) -> Result<(), SourceError> {
        self.nodes += nodes;
        if self.nodes <= NODE_LIMIT {
            return Ok(());
        }
        Err(SourceError {
            message: format!("the file has more than {NODE_LIMIT} values, aliases included"),
            at,
            hint: Some("aliases count as often as they are used".to_owned()),
        })
    }

    fn place(&self, span: Span) -> Place {
        let start = self.lines.mark(&span.start);
        Place { file: self.file, start, end: self.lines.mark(&span.end).max(start) }
    }

    fn scan_error(&mut self, error: &saphyr_parser::ScanError) -> SourceError {
        SourceError {
            message: format!("not YAML: {}", error.info()),
            at: self.lines.mark(error.marker()),
            hint: None,
        }
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Kind {
    let style = match style {
        ScalarStyle::Plain if tag.is_none() && is_null(&text) => return Kind::Null,
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    };
    Kind::Scalar(Scalar { text: text.into_owned(), style })
}

/// Where lines begin, to turn the parser's character counts into bytes.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    /// The last point: line, characters and bytes. The next one is mostly a little behind it, and a
    /// line may be as long as the file.
    last: Cell<(usize, usize, usize)>,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(breaks).collect();
        Self { text, starts, last: Cell::new((0, 0, 0)) }
    }

    fn mark(&self, marker: &Marker) -> Mark {
        let line = marker.line().saturating_sub(1).min(self.starts.len() - 1);
        let (column, last) = (marker.col(), self.last.get());
        let (before, from) = match last {
            (known, column_before, offset) if known == line && column_before <= column => {
                (column_before, offset)
            }
            _ => (0, self.starts[line]),
        };
        let rest = &self.text[from..];
        let bytes = rest.char_indices().nth(column - before).map_or(rest.len(), |(at, _)| at);
        self.last.set((line, column, from + bytes));
        Mark { line: line as u32, column: column as u32, offset: (from + bytes) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> SourceError {
        read(FileId(0), text).unwrap_err()
    }

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn places_are_bytes_and_characters() {
        let text = "- é: ü\n- rule: >\n    a\n    b\n";
        let documents = read(FileId(3), text).unwrap();
        let items = documents[0].items().unwrap();
        let value = items[0].get("é").unwrap();
        assert_eq!(value.place.start, Mark { line: 0, column: 5, offset: 6 });
        let folded = items[1].get("rule").unwrap();
        assert_eq!(folded.text(), Some("a b\n"));
        assert_eq!((folded.place.file, folded.place.start.line), (FileId(3), 2));
        // A block begins with its content, not with its header.
        assert_eq!(&text[folded.place.start.offset as usize..][..1], "a");
    }

    #[test]
    fn documents_may_be_empty() {
        let documents = read(FileId(0), "---\n- a\n---\n---\n- b\n").unwrap();
        assert_eq!(documents.len(), 3);
        assert!(documents[1].is_null());
        assert!(read(FileId(0), "").unwrap().iter().all(Node::is_null));
        assert!(read(FileId(0), "# only a comment\n").unwrap().iter().all(Node::is_null));
    }

    #[test]
    fn null_is_plain_only() {
        let documents = read(FileId(0), "[~, null, '', \"null\", a: ]").unwrap();
        let items = documents[0].items().unwrap();
        assert_eq!(
            items.iter().map(Node::is_null).collect::<Vec<_>>(),
            [true, true, false, false, false]
        );
        assert!(items[4].get("a").unwrap().is_null());
    }

    #[test]
    fn nesting_has_an_edge() {
        assert!(read(FileId(0), &nested(NESTING_LIMIT)).is_ok());
        assert!(refused(&nested(NESTING_LIMIT + 1)).message.contains("nested deeper"));
        assert!(!refused(&"[".repeat(100_000)).message.is_empty());
    }

    #[test]
    fn aliases_repeat_and_are_counted() {
        let documents = read(FileId(0), "[&a [x, y], *a]").unwrap();
        let items = documents[0].items().unwrap();
        assert_eq!(items[0], items[1]);

        let mut bomb = String::from("- &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..10 {
            let before = format!("*a{}, ", n - 1).repeat(10);
            bomb = format!("{bomb}- &a{n} [{before}]\n");
        }
        assert!(refused(&bomb).message.contains("aliases included"));
        let long = format!("- &a {}\n{}", "x".repeat(NODE_TEXT * 10_000), "- *a\n".repeat(100));
        assert!(refused(&long).message.contains("aliases included"));
        assert!(refused("&a [*a]").message.contains("inside of what it repeats"));
        assert!(refused("[*b]").message.contains("not YAML"));
    }

    #[test]
    fn a_line_as_long_as_the_file_is_walked_once() {
        // Walking it anew for each value would take longer than anybody waits.
        let text = format!("[{}]", "é, ".repeat(150_000));
        let documents = read(FileId(0), &text).unwrap();
        let items = documents[0].items().unwrap();
        let last = items[149_999].place;
        assert_eq!((last.start.column, last.start.offset), (1 + 3 * 149_999, 1 + 4 * 149_999));
        assert_eq!(&text[last.start.offset as usize..last.end.offset as usize], "é");
    }

    #[test]
    fn the_file_has_a_largest_size() {
        let text = "#".repeat(FILE_LIMIT + 1);
        assert!(read(FileId(0), &text[1..]).is_ok());
        assert!(refused(&text).message.contains("the limit is"));
    }

    #[test]
    fn what_is_not_yaml_has_a_place() {
        let error = refused("- rule: a\n  desc: \"b\n");
        assert!(error.message.starts_with("not YAML"), "{error}");
        assert!(error.at.line >= 1, "{error:?}");
    }
}

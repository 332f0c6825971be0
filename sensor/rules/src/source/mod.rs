//! YAML with spans: every key and scalar knows its place in the file.
//!
//! Owns the way from text to [`Node`] trees, the limits on them (size, nesting, aliases), the
//! YAML 1.1 reading of scalars, and the way back from a byte of a decoded scalar to the byte of
//! the file it was written as. What the keys mean is `collect`'s business.
mod scalar;
mod trace;
mod tree;

use serde::Serialize;

pub use trace::trace;
pub use tree::read;

/// Largest rules file, in bytes.
pub const FILE_LIMIT: usize = 8 * 1024 * 1024;

/// Deepest nesting of sequences and mappings in a rules file.
pub const NESTING_LIMIT: usize = 64;

/// Most nodes of one rules file, those behind aliases counted at every use. A long text counts as
/// one node for every [`NODE_TEXT`] bytes.
pub const NODE_LIMIT: usize = 200_000;

/// Bytes of text that count like a node of their own.
pub const NODE_TEXT: usize = 64;

/// One rules file: where it is from, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Path or other name, only repeated in reports.
    pub name: String,
    /// Its whole text.
    pub text: String,
}

/// Which file of a load, in load order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct FileId(pub u32);

/// A point in a file. All counts begin at zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
pub struct Mark {
    /// Lines before.
    pub line: u32,
    /// Characters before, in the line.
    pub column: u32,
    /// Bytes before, in the file.
    pub offset: u32,
}

/// A range of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: Mark,
    /// One past the last byte.
    pub end: Mark,
}

/// A YAML node and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it is written; after an alias, where the anchor is.
    pub place: Place,
}

/// The kinds of YAML nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Absent, `~` or `null`.
    Null,
    /// A text; types are the reader's choice.
    Scalar(Scalar),
    /// `[…]` or dashes.
    Sequence(Vec<Node>),
    /// Keys and values, in order, duplicates kept.
    Mapping(Vec<(Node, Node)>),
}

/// A decoded scalar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// Escapes and line folding resolved.
    pub text: String,
    /// How it was written.
    pub style: Style,
}

/// The ways to write a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// `'…'`
    Single,
    /// `"…"`
    Double,
    /// `|` or `>`
    Block,
}

/// Why a text is not YAML that we read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What was found and expected.
    pub message: String,
    /// Where.
    pub at: Mark,
    /// What to do, where that is known.
    pub hint: Option<String>,
}

impl Node {
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The items of a sequence.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The keys and values of a mapping.
    pub fn entries(&self) -> Option<&[(Node, Node)]> {
        match &self.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a key of a mapping; the first one if the key is given twice.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// Absent, `~` or `null`.
    pub fn is_null(&self) -> bool {
        self.kind == Kind::Null
    }

    /// What kind of node it is, in plain words.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Scalar(_) => "a text",
            Kind::Sequence(_) => "a sequence",
            Kind::Mapping(_) => "a mapping",
        }
    }
}

//! The condition language as text and as a tree.
//!
//! Owns the grammar: tokens (`lexer`), the tree ([`ast`]), the way from text to tree
//! ([`parse`]) and back ([`canonical`]). Knows nothing of which fields exist, of types, of lists
//! or of what a macro name stands for: those are later phases.
pub mod ast;
mod canonical;
mod comparison;
mod lexer;
mod mistake;
mod operand;
mod parser;
mod pretty;
mod quoted;

pub use canonical::{canonical, canonical_operand, readable};
pub use lexer::{is_bare_text, is_identifier};
pub use parser::{parse, parse_operand, parse_operand_prefix};
pub use pretty::pretty;
pub use quoted::{BadEscape, unquote};

use std::fmt;

use ast::TextId;

/// Deepest nesting of a condition that is parsed alone, in grammar levels.
pub const FILTER_DEPTH: usize = 100;

/// Deepest nesting of a condition of a rules file, in grammar levels.
pub const RULE_DEPTH: usize = 1000;

/// Deepest nesting of transformer calls, in any condition.
pub const CALL_DEPTH: usize = 100;

/// Most comparisons and macro names of one condition as written.
pub const PARTS: usize = 50_000;

/// Most values of one list in a condition.
pub const LIST_LENGTH: usize = 100_000;

/// What a parse may cost, and which text it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Deepest nesting of grammar levels; one pair of parentheses takes five.
    pub depth: usize,
    /// The text that the spans of the tree will point into.
    pub text: TextId,
}

impl Limits {
    /// Limits of a condition that stands alone.
    pub fn filter() -> Self {
        Self { depth: FILTER_DEPTH, text: TextId::default() }
    }

    /// Limits of a condition inside a rules file; spans point into `text`.
    pub fn rule(text: TextId) -> Self {
        Self { depth: RULE_DEPTH, text }
    }
}

/// Why a condition is not of the language: what was found and expected, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Class of the mistake, stable between versions.
    pub code: SyntaxCode,
    /// Plain words, lower case, without a full stop.
    pub message: String,
    /// Byte offset into the parsed text.
    pub offset: usize,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SyntaxError {}

/// Classes of syntax mistakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SyntaxCode {
    /// The text is empty or only blanks.
    Empty,
    /// A token is there that cannot stand there, or is missing.
    Expected,
    /// The condition is complete, but text follows.
    Leftover,
    /// A keyword or word operator runs into the next word.
    MissingBlank,
    /// A quoted text has no end.
    Unterminated,
    /// An escape that does not exist.
    Escape,
    /// Nested too deeply.
    Depth,
    /// A list has too many values, or a condition too many comparisons.
    Length,
}

impl SyntaxCode {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Empty,
        Self::Expected,
        Self::Leftover,
        Self::MissingBlank,
        Self::Unterminated,
        Self::Escape,
        Self::Depth,
        Self::Length,
    ];

    /// The stable name of this class.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "syntax-empty",
            Self::Expected => "syntax-expected",
            Self::Leftover => "syntax-leftover",
            Self::MissingBlank => "syntax-missing-blank",
            Self::Unterminated => "syntax-unterminated",
            Self::Escape => "syntax-escape",
            Self::Depth => "syntax-depth",
            Self::Length => "syntax-length",
        }
    }
}

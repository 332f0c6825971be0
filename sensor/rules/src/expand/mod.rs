//! What a condition stands for: exceptions become text, list names become their items, the text is
//! parsed, macro names become the macros' trees.
//!
//! Every step is bounded, so that a few lines of a hostile file cannot become gigabytes.
mod exceptions;
mod lists;
mod macros;

pub use exceptions::{BadValue, with_exceptions};
pub use lists::Lists;
pub use macros::{MacroError, Macros};

/// Largest condition after lists are replaced, in bytes.
pub const TEXT_LIMIT: usize = 8 * 1024 * 1024;

/// Most list items that one list stands for after nested lists are replaced.
pub const ITEM_LIMIT: usize = 500_000;

/// Deepest nesting of lists in lists.
pub const LIST_DEPTH: usize = 100;

/// Most comparisons and groups of a condition after macros are replaced.
pub const TREE_LIMIT: usize = 100_000;

/// Deepest nesting of a condition after macros are replaced, in groups and negations.
pub const TREE_DEPTH: usize = 500;

/// An expansion exceeds a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// See [`TEXT_LIMIT`].
    #[error("the condition has more than {TEXT_LIMIT} bytes after lists are replaced")]
    Text,
    /// See [`ITEM_LIMIT`].
    #[error("list `{0}` has more than {ITEM_LIMIT} items or {LIST_DEPTH} levels of nested lists")]
    Items(String),
    /// See [`TREE_LIMIT`].
    #[error("the condition has more than {TREE_LIMIT} parts after macros are replaced")]
    Tree,
    /// See [`TREE_DEPTH`].
    #[error("the condition is nested deeper than {TREE_DEPTH} levels after macros are replaced")]
    Depth,
}

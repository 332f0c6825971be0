//! What a condition stands for: exceptions become text, list names become their items, the text is
//! parsed, macro names become the macros' trees.
//!
//! Every step is bounded, so that a few lines of a hostile file cannot become gigabytes.
mod exceptions;
mod lists;
mod macros;

use crate::syntax::LIST_LENGTH;

pub use exceptions::{BadValue, with_exceptions};
pub use lists::Lists;
pub use macros::{MacroError, Macros};

/// Largest condition after lists are replaced, in bytes.
pub const TEXT_LIMIT: usize = 4 * 1024 * 1024;

/// Most that all conditions and lists of a load may take after lists are replaced, in bytes, with
/// [`VALUE_COST`] for each value of a list.
pub const TOTAL_TEXT_LIMIT: usize = 32 * 1024 * 1024;

/// Bytes that a value of a list is counted as besides its text: about what it takes from the text to
/// the evaluator.
pub const VALUE_COST: usize = 128;

/// Most comparisons and groups that all conditions of a load may have after macros are replaced, and
/// texts and fields that its outputs may consist of.
pub const TOTAL_TREE_LIMIT: usize = 250_000;

/// Most list items that one list stands for after nested lists are replaced: as many as a list in a
/// condition may have.
pub const ITEM_LIMIT: usize = LIST_LENGTH;

/// Deepest nesting of lists in lists.
pub const LIST_DEPTH: usize = 100;

/// Most comparisons and groups of a condition after macros are replaced.
pub const TREE_LIMIT: usize = 50_000;

/// Deepest nesting of a condition after macros are replaced, in groups and negations.
pub const TREE_DEPTH: usize = 500;

/// An expansion exceeds a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// See [`TEXT_LIMIT`].
    #[error("the condition has more than {TEXT_LIMIT} bytes after lists are replaced")]
    Text,
    /// See [`TOTAL_TEXT_LIMIT`].
    #[error(
        "all conditions together have more than {TOTAL_TEXT_LIMIT} bytes after lists are replaced, \
         {VALUE_COST} more counted for each value"
    )]
    TotalText,
    /// See [`TOTAL_TREE_LIMIT`].
    #[error(
        "all conditions and outputs together have more than {TOTAL_TREE_LIMIT} parts after macros are \
         replaced"
    )]
    TotalTree,
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

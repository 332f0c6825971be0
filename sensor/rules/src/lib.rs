//! The rule language: reading files, collecting items, parsing conditions, checking, compiling,
//! evaluating, formatting.
//!
//! Pure: the text of rules files comes in, a rule set and reports come out. The way of a file
//! is one module per phase, each using only those before it:
//! `source` (YAML with spans) → `collect` (items over all files) → `expand` (lists, exceptions,
//! macros) → `syntax` (text to tree) → `fields`, `check`, `compile` (tree to program) → `index`
//! (event code to candidates) → `eval`, `format` (an event against the set, a match to text).
//! `report` is the way every phase says what is wrong; `ask` answers
//! questions about any of this, `trial` tries rules on cases, `layout` lays files out anew.
#![forbid(unsafe_code)]

pub mod ask;
pub mod check;
pub mod collect;
pub mod compile;
pub mod describe;
pub mod diff;
pub mod eval;
pub mod expand;
pub mod fields;
pub mod format;
pub mod index;
pub mod layout;
mod lint;
pub mod load;
pub mod report;
pub mod source;
pub mod syntax;
pub mod trial;

pub use eval::{Matching, RenderedAlert, RuleId, RuleSet, Scratch};
pub use load::{EngineOptions, LoadOutcome, errors, load};
pub use report::{FileResult, Report, Severity};
pub use source::SourceFile;

//! How problems are told: codes, places, snippets, as data and as text.
//!
//! Every phase tells its problems as [`Report`]s. A report has a stable code of our own, the load
//! code of the documented validation result, the way from the file to the innermost item, and the
//! place in the file. [`FileResult`] is the documented result of one file, with at most one error;
//! all other errors are only in the reports.
mod codes;
mod nearest;
mod render;
mod result;
mod snippet;

pub use codes::{Code, LoadCode};
pub use nearest::nearest;
pub use render::{render, render_all};
pub use result::{Context, FileResult, Problem, result_text, results_json};
pub use snippet::snippet;

use serde::Serialize;

use crate::source::{FileId, Mark, Place};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The load fails.
    Error,
    /// The load succeeds; part of the documented result.
    Warning,
    /// Advice of ours, not part of the documented result.
    Lint,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How bad.
    pub severity: Severity,
    /// What it is, by our own stable names.
    pub code: Code,
    /// What it is in the documented validation result; lints have none there.
    pub load_code: Option<LoadCode>,
    /// Plain words, lower case, without a full stop.
    pub message: String,
    /// What to do, where that is known.
    pub hint: Option<String>,
    /// Name of the file.
    pub file: String,
    /// From the whole file to the innermost item.
    pub locations: Vec<Location>,
    /// The line around the problem and a mark under its column.
    pub snippet: String,
    /// The deprecated field that is used.
    pub deprecated_field: Option<String>,
    /// Where in the file.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// Most problems of a file that reading tells, and most of a load that compiling and the lints do. The first error
/// is told whatever came before it.
pub const MOST: usize = 1000;

/// Most problems for which is looked for what was meant.
const HINTED: usize = 100;

/// Longest message, in characters; what is longer repeats the file.
const LONGEST_MESSAGE: usize = 600;

/// Longest name of an item in a location, in characters.
const LONGEST_NAME: usize = 200;

/// Whether there is room for another report among those told.
pub(crate) fn has_room(told: &[Report], severity: Severity) -> bool {
    told.len() < MOST
        || severity == Severity::Error && told.iter().all(|one| one.severity != Severity::Error)
}

/// Whether what was meant is still looked for.
pub(crate) fn is_hinted(told: &[Report]) -> bool {
    told.len() <= HINTED
}

/// A text at a length that can be read.
pub(crate) fn readable(text: String) -> String {
    shortened(text, LONGEST_MESSAGE)
}

/// A name at a length that can be read.
pub(crate) fn readable_name(name: &str) -> String {
    match name.len() {
        0..=LONGEST_NAME => name.to_owned(),
        _ => shortened(name.to_owned(), LONGEST_NAME),
    }
}

fn shortened(mut text: String, longest: usize) -> String {
    if let Some((at, _)) = text.char_indices().nth(longest) {
        text.truncate(at);
        text.push('…');
    }
    text
}

/// One step of the way to a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// Kind of item, in the words of the documented result.
    pub item_type: &'static str,
    /// Its name; empty where it has none.
    pub item_name: String,
    /// Where it begins.
    pub position: Position,
}

/// A point in a file or in a condition. All counts begin at zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The file, or the beginning of the condition in quotes.
    pub name: String,
    /// Lines before.
    pub line: u32,
    /// Characters before, in the line.
    pub column: u32,
    /// Bytes before.
    pub offset: u32,
}

impl Position {
    /// A point of a file.
    pub fn of(name: &str, mark: Mark) -> Self {
        let Mark { line, column, offset } = mark;
        Self { name: name.to_owned(), line, column, offset }
    }
}

impl Report {
    /// Line and column for people: both begin at one.
    pub fn line_and_column(&self) -> Option<(u32, u32)> {
        self.place.map(|place| (place.start.line + 1, place.start.column + 1))
    }

    /// The file, as a number of the load.
    pub fn file_id(&self) -> Option<FileId> {
        self.place.map(|place| place.file)
    }

    /// Kind and name of the rule, macro or list that the problem is in.
    pub fn item(&self) -> Option<(&'static str, &str)> {
        let mut items =
            self.locations.iter().filter(|l| matches!(l.item_type, "rule" | "macro" | "list"));
        items.next().map(|item| (item.item_type, item.item_name.as_str()))
    }
}

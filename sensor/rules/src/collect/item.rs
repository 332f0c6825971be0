//! The collected items: what all files together say, after merging.
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::Text;
use crate::source::Place;

/// The event source of a rule that names none.
pub const DEFAULT_SOURCE: &str = "syscall";

/// What lists, macros and rules have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Position of the first definition among all items of all files; decides the order of compilation and evaluation.
    pub index: u32,
    /// Position of the latest change; decides what the item can see.
    pub visibility: u32,
    /// The item as last defined in full.
    pub place: Place,
}

/// A list of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Name and order.
    pub header: Header,
    /// Values or names of other lists, as written.
    pub items: Vec<Text>,
}

/// A named condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Macro {
    /// Name and order.
    pub header: Header,
    /// As written, with what was appended.
    pub condition: Text,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are the keys of a rule item")]
pub struct Rule {
    /// Name and order.
    pub header: Header,
    /// As written, with what was appended, without exceptions.
    pub condition: Text,
    /// The format of its alerts.
    pub output: Text,
    /// What it is for.
    pub desc: String,
    /// How severe a match is.
    pub priority: Priority,
    /// The event source.
    pub source: String,
    /// The engine knows the source; a rule of another is kept but not compiled.
    pub known_source: bool,
    /// Whether it runs if nothing else is said.
    pub enabled: bool,
    /// Sorted.
    pub tags: BTreeSet<String>,
    /// In order of definition.
    pub exceptions: Vec<Exception>,
    /// A condition open to nearly all events is worth a warning.
    pub warn_evttypes: bool,
    /// An unknown field or event type drops the rule instead of failing the load.
    pub skip_if_unknown_filter: bool,
    /// A match starts a capture.
    pub capture: bool,
    /// How long, in milliseconds; 0 is the configured default.
    pub capture_duration: u32,
}

/// A way of not matching that later files can extend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Its name, unique in the rule.
    pub name: String,
    /// One field for values, or several for tuples of values.
    pub fields: OneOrMany,
    /// As many comparison operators.
    pub comps: OneOrMany,
    /// In order.
    pub values: Vec<ExceptionValue>,
    /// The exception as first defined.
    pub place: Place,
}

/// A text or a sequence of texts, which differ in meaning even for one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OneOrMany {
    /// One text.
    One(Text),
    /// A sequence.
    Many(Vec<Text>),
}

impl OneOrMany {
    /// All texts.
    pub fn texts(&self) -> &[Text] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// A value of an exception, as written; its shape is checked when the exception is expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExceptionValue {
    /// A text.
    Text(Text),
    /// A sequence.
    Sequence(Vec<ExceptionValue>, Place),
    /// Nothing, or a mapping: never right.
    Other(Place),
}

impl ExceptionValue {
    /// All texts in it.
    pub fn texts(&self) -> Vec<&Text> {
        match self {
            Self::Text(text) => vec![text],
            Self::Sequence(values, _) => values.iter().flat_map(Self::texts).collect(),
            Self::Other(_) => Vec::new(),
        }
    }
}

/// How severe a match is, most severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// 0
    Emergency,
    /// 1
    Alert,
    /// 2
    Critical,
    /// 3
    Error,
    /// 4
    Warning,
    /// 5
    Notice,
    /// 6
    Informational,
    /// 7
    Debug,
}

impl Priority {
    /// Most severe first.
    pub const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Informational,
        Self::Debug,
    ];

    /// The name in alerts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Emergency => "Emergency",
            Self::Alert => "Alert",
            Self::Critical => "Critical",
            Self::Error => "Error",
            Self::Warning => "Warning",
            Self::Notice => "Notice",
            Self::Informational => "Informational",
            Self::Debug => "Debug",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Priority {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The text is not the name of a priority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a priority")]
pub struct UnknownPriority(pub String);

impl FromStr for Priority {
    type Err = UnknownPriority;

    /// Ignores case; `info` is short for `informational`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let short = text.eq_ignore_ascii_case("info").then_some(Self::Informational);
        let full = Self::ALL.into_iter().find(|p| p.as_str().eq_ignore_ascii_case(text));
        short.or(full).ok_or_else(|| UnknownPriority(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_ignore_case_and_know_info() {
        assert_eq!("iNfO".parse(), Ok(Priority::Informational));
        assert_eq!("WARNING".parse(), Ok(Priority::Warning));
        assert!("warn".parse::<Priority>().is_err());
        assert!(Priority::Emergency < Priority::Debug);
    }
}

//! What differs between two sets of rules files, by rule and not by line.
//!
//! Owns the comparison of what the files say after merging: a rule that moved to another file, was
//! re-indented or lost a comment is the same rule. Whether either side compiles is not looked at;
//! what cannot be read is told as a problem beside the differences that can be.

mod compare;
mod text;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::collect::{Collection, DEFAULT_SOURCE};
use crate::fields::StaticFields;
use crate::report::Severity;
use crate::source::{FileId, SourceFile, read};

/// What differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RuleDiff {
    /// Rules by name.
    pub rules: ItemDiff,
    /// Macros by name.
    pub macros: ItemDiff,
    /// Lists by name.
    pub lists: ItemDiff,
    /// What is asked of the engine and of plugins.
    pub requirements: Vec<Change>,
    /// What could not be compared, and why.
    pub problems: Vec<Problem>,
}

/// What differs among items of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ItemDiff {
    /// Names that are new, sorted.
    pub added: Vec<String>,
    /// Names that are gone, sorted.
    pub removed: Vec<String>,
    /// Items of both that differ, sorted by name.
    pub changed: Vec<ChangedItem>,
}

/// An item that is in both and not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedItem {
    /// Its name.
    pub name: String,
    /// What differs; at least one.
    pub changes: Vec<Change>,
}

/// One key of an item that differs: a value that was replaced, or members of a set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The key, such as `condition`; `exceptions.NAME` for one exception.
    pub field: String,
    /// What it was, for a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What it is, for a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// Members that came, for a set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Members that went, for a set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
}

/// Which of the two sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The first.
    Old,
    /// The second.
    New,
}

/// Something that could not be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// In which set.
    pub side: Side,
    /// In which file.
    pub file: String,
    /// What is wrong there.
    pub message: String,
}

impl RuleDiff {
    /// Whether both sets say the same. Problems are no difference.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
            && [&self.rules, &self.macros, &self.lists].into_iter().all(ItemDiff::is_empty)
    }
}

impl ItemDiff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Compares two sets of rules files, each in load order.
pub fn diff(old: &[SourceFile], new: &[SourceFile]) -> RuleDiff {
    let mut problems = Vec::new();
    let old = collect(old, Side::Old, &mut problems);
    let new = collect(new, Side::New, &mut problems);
    RuleDiff {
        rules: items(&old.rules, &new.rules, |item| &item.header.name, compare::rules),
        macros: items(&old.macros, &new.macros, |item| &item.header.name, compare::macros),
        lists: items(&old.lists, &new.lists, |item| &item.header.name, compare::lists),
        requirements: compare::requirements(&old, &new),
        problems,
    }
}

fn collect(files: &[SourceFile], side: Side, problems: &mut Vec<Problem>) -> Collection {
    let mut collection = Collection::new(&[DEFAULT_SOURCE.to_owned()], StaticFields::default());
    for (n, file) in files.iter().enumerate() {
        let problem = |message| Problem { side, file: file.name.clone(), message };
        match read(FileId(n as u32), &file.text) {
            Ok(documents) => {
                let reports = collection.add(file, &documents);
                let errors = reports.into_iter().filter(|one| one.severity == Severity::Error);
                problems.extend(errors.map(|report| problem(report.message)));
            }
            Err(error) => problems.push(problem(error.message)),
        }
    }
    collection
}

fn items<T>(
    old: &[T],
    new: &[T],
    name: fn(&T) -> &String,
    compare: fn(&T, &T) -> Vec<Change>,
) -> ItemDiff {
    let by_name = |items: &'_ [T]| -> BTreeMap<String, usize> {
        items.iter().enumerate().map(|(place, item)| (name(item).clone(), place)).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let missing = |from: &BTreeMap<String, usize>, than: &BTreeMap<String, usize>| {
        from.keys().filter(|name| !than.contains_key(*name)).cloned().collect()
    };
    let mut both = Vec::new();
    for (name, &was) in &before {
        let Some(&is) = after.get(name) else { continue };
        let changes = compare(&old[was], &new[is]);
        if !changes.is_empty() {
            both.push(ChangedItem { name: name.clone(), changes });
        }
    }
    ItemDiff { added: missing(&after, &before), removed: missing(&before, &after), changed: both }
}

//! Rules that compiled after an earlier file and mean the same after this one.
//!
//! After each file everything is compiled, as a file cannot use what only a later one defines. What
//! no later file touches is compiled once.
use std::collections::HashMap;

use super::compile::CompiledRule;
use crate::check::Patterns;
use crate::collect::Rule;
use crate::report::Report;

/// What is known of earlier compilations of one load.
#[derive(Default)]
pub(super) struct Memo {
    rules: HashMap<usize, Kept>,
    /// Their regular expressions.
    pub(super) patterns: Patterns,
}

/// A rule that compiled, and all that its meaning depends on besides the settings.
pub(super) struct Kept {
    /// Position of the latest change to the rule itself.
    pub(super) visibility: u32,
    /// Its condition with lists and exceptions in it.
    pub(super) text: String,
    /// The macros in it, also indirectly, with their texts.
    pub(super) macros: Vec<(String, String)>,
    /// Nodes of its tree, which count towards the limit of all.
    pub(super) nodes: usize,
    /// What came of it.
    pub(super) compiled: CompiledRule,
    /// What was told.
    pub(super) reports: Vec<Report>,
}

impl Memo {
    /// The rule at a place, if nothing that it depends on has changed.
    pub(super) fn find(
        &self,
        place: usize,
        rule: &Rule,
        text: &str,
        macros: &HashMap<String, String>,
    ) -> Option<&Kept> {
        let kept = self.rules.get(&place)?;
        let same = kept.visibility == rule.header.visibility
            && kept.text == text
            && kept.macros.iter().all(|(name, text)| macros.get(name) == Some(text));
        same.then_some(kept)
    }

    pub(super) fn keep(&mut self, place: usize, kept: Kept) {
        self.rules.insert(place, kept);
    }
}

//! All rules as one immutable set: an event in, matching rules and their alerts out.

use std::collections::BTreeSet;
use std::sync::Arc;

use eyas_abi::schema;

use super::{RuleId, Scratch, Walk};
use crate::check::Ir;
use crate::compile::{Graph, NodeId};
use crate::fields::Facts;
use crate::format::{FieldJson, RuleOutput, Style};
use crate::index::{Candidates, IdSet};

/// What is said of a rule besides what it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Unique in its set.
    pub name: Arc<str>,
    /// What it is for.
    pub description: String,
    /// Name of the priority as alerts spell it.
    pub priority: &'static str,
    /// Event source.
    pub source: Arc<str>,
    /// Sorted.
    pub tags: Arc<[String]>,
    /// Whether it takes part in evaluation.
    pub enabled: bool,
    /// A match starts a capture.
    pub capture: bool,
    /// How long, in milliseconds; 0 is the configured default.
    pub capture_duration: u32,
}

/// Which matches of one event count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matching {
    /// The first rule, in order of definition.
    #[default]
    First,
    /// Every rule.
    All,
}

/// What holds for a whole set.
#[derive(Clone, Copy, Debug, Default)]
pub struct RuleSetOptions {
    /// Which matches count.
    pub matching: Matching,
    /// The time field of alerts is `evt.time.iso8601` instead of `evt.time`.
    pub iso_time: bool,
    /// How values are printed.
    pub style: Style,
}

/// A match, rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderedAlert {
    /// The rule's name.
    pub rule: Arc<str>,
    /// Name of the priority as alerts spell it.
    pub priority: &'static str,
    /// Event source.
    pub source: Arc<str>,
    /// The rule's tags, sorted.
    pub tags: Arc<[String]>,
    /// The output with its fields filled in; without time and priority.
    pub message: String,
    /// Fields of the output and their values, sorted by key.
    pub output_fields: Vec<(String, FieldJson)>,
}

/// Rules on their way to become a set, in order of evaluation.
#[derive(Debug, Default)]
pub struct RuleSetBuilder {
    options: RuleSetOptions,
    graph: Graph,
    rules: Vec<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    rule: Rule,
    root: NodeId,
    output: RuleOutput,
    codes: IdSet,
    calls: IdSet,
}

impl RuleSetBuilder {
    /// An empty set.
    pub fn new(options: RuleSetOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Adds a rule: its checked condition, its output, the event codes it is evaluated on and the
    /// ids of the system calls it needs.
    pub fn add(
        &mut self,
        rule: Rule,
        condition: &Ir,
        output: RuleOutput,
        codes: IdSet,
        calls: IdSet,
    ) {
        let root = self.graph.add(condition);
        self.rules.push(Compiled { rule, root, output, codes, calls });
    }

    /// The finished set. Rules that are not enabled are kept for listings only.
    pub fn build(mut self) -> RuleSet {
        self.graph.seal();
        let active: Vec<IdSet> = self
            .rules
            .iter()
            .map(|each| if each.rule.enabled { each.codes } else { IdSet::EMPTY })
            .collect();
        RuleSet {
            candidates: Candidates::new(&active),
            options: self.options,
            graph: self.graph,
            rules: self.rules,
        }
    }
}

/// Compiled rules. Immutable; shared between threads, each with its own [`Scratch`].
#[derive(Debug)]
pub struct RuleSet {
    options: RuleSetOptions,
    graph: Graph,
    rules: Vec<Compiled>,
    candidates: Candidates,
}

impl RuleSet {
    /// Every rule, in order of evaluation.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = (RuleId, &Rule)> {
        self.rules.iter().enumerate().map(|(place, each)| (RuleId(place as u32), &each.rule))
    }

    /// One rule; `None` for an id of another set.
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(id.0 as usize).map(|each| &each.rule)
    }

    /// The rules that match an event. Allocates only when more match than ever before.
    pub fn eval<'s>(&self, facts: &dyn Facts, scratch: &'s mut Scratch) -> &'s [RuleId] {
        self.eval_with(facts, scratch, |_| {})
    }

    /// The same, and tells of each rule when it has been looked at, for whoever measures. What several
    /// rules ask is answered where it is first asked.
    pub fn eval_with<'s>(
        &self,
        facts: &dyn Facts,
        scratch: &'s mut Scratch,
        mut looked_at: impl FnMut(RuleId),
    ) -> &'s [RuleId] {
        scratch.begin(&self.graph);
        let mut walk = Walk::new(&self.graph, facts, scratch);
        for place in self.candidates.of(facts.event_code()) {
            let Some(each) = self.rules.get(*place as usize) else { continue };
            let holds = walk.holds(each.root);
            looked_at(RuleId(*place));
            if holds {
                walk.matched(RuleId(*place));
                if self.options.matching == Matching::First {
                    break;
                }
            }
        }
        walk.end();
        &scratch.matches
    }

    /// The alert for a match; `None` for an id of another set.
    pub fn alert(&self, id: RuleId, facts: &dyn Facts) -> Option<RenderedAlert> {
        let each = self.rules.get(id.0 as usize)?;
        let clock = if self.options.iso_time { "evt.time.iso8601" } else { "evt.time" };
        Some(RenderedAlert {
            rule: Arc::clone(&each.rule.name),
            priority: each.rule.priority,
            source: Arc::clone(&each.rule.source),
            tags: Arc::clone(&each.rule.tags),
            message: each.output.message(facts, self.options.style),
            output_fields: each.output.fields(clock, facts, self.options.style),
        })
    }

    /// Codes of the events that can match an enabled rule.
    pub fn event_codes(&self) -> IdSet {
        self.event_codes_of(|_| true)
    }

    /// The same for some of the rules.
    pub fn event_codes_of(&self, wanted: impl Fn(&Rule) -> bool) -> IdSet {
        let wanted = self.enabled().filter(|each| wanted(&each.rule));
        wanted.fold(IdSet::EMPTY, |codes, each| codes.union(each.codes))
    }

    /// Ids, in the event schema, of the system calls that can lead to a match.
    pub fn system_calls(&self) -> IdSet {
        self.enabled().fold(IdSet::EMPTY, |calls, each| calls.union(each.calls))
    }

    /// Event names of the system calls that can lead to a match.
    pub fn syscalls_needed(&self) -> BTreeSet<&'static str> {
        let ids = self.system_calls();
        ids.iter().filter_map(|id| schema::syscall_by_id(id).map(|call| call.name)).collect()
    }

    /// Distinct comparisons in all conditions.
    pub fn comparison_count(&self) -> usize {
        self.graph.test_count()
    }

    fn enabled(&self) -> impl Iterator<Item = &Compiled> {
        self.rules.iter().filter(|each| each.rule.enabled)
    }
}

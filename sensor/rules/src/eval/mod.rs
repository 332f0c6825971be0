//! A program against one event, through the facts that the event offers.
//!
//! Owns the walk over the graph, what an unset value means, and the fields that compare in ways of
//! their own. It keeps nothing but [`Scratch`], which a caller reuses from event to event.

mod compare;
mod getopt;
mod rule_set;
mod scratch;
mod source;

pub use rule_set::{Matching, RenderedAlert, Rule, RuleSet, RuleSetBuilder, RuleSetOptions};
pub use scratch::Scratch;
use scratch::{Found, Kept};
pub(crate) use source::value_of;

/// Place of a rule in its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

use std::ops::ControlFlow;

use crate::check::{Compare, Constant, Ir, Left, Source};
use crate::compile::{
    Graph, Group, Matcher, Member, Node, NodeId, Searched, Subject, Test, bytes_of, counted,
};
use crate::fields::{Facts, FieldArg, FieldId, SocketEnds, Value};
use crate::syntax::ast::Operator;

/// One event's way through a graph.
pub(crate) struct Walk<'e> {
    graph: &'e Graph,
    facts: &'e dyn Facts,
    scratch: &'e mut Scratch,
    /// Values that others will look at, too, in the order in which they were asked for.
    values: Vec<Value<'e>>,
}

impl<'e> Walk<'e> {
    /// Begins with a scratch that was prepared for the event and the graph.
    pub(crate) fn new(graph: &'e Graph, facts: &'e dyn Facts, scratch: &'e mut Scratch) -> Self {
        let values = if graph.slot_count() > 0 { scratch.take_values() } else { Vec::new() };
        Self { graph, facts, scratch, values }
    }

    /// Gives the memory for values back, for the next event.
    pub(crate) fn end(self) {
        if self.values.capacity() > 0 {
            self.scratch.put_values(self.values);
        }
    }

    /// Whether a part holds.
    pub(crate) fn holds(&mut self, id: NodeId) -> bool {
        let shared = self.graph.is_shared(id);
        if shared && let Some(known) = self.scratch.get(id) {
            return known;
        }
        let answer = match self.graph.node(id) {
            Node::And(parts) => parts.iter().all(|part| self.holds(*part)),
            Node::Or(parts) => parts.iter().any(|part| self.holds(*part)),
            Node::Not(inner) => !self.holds(*inner),
            Node::Test(place) => self.test_holds(self.graph.test(*place)),
        };
        if shared {
            self.scratch.set(id, answer);
        }
        answer
    }

    /// Notes a match.
    pub(crate) fn matched(&mut self, id: RuleId) {
        self.scratch.matches.push(id);
    }

    /// Comparisons of one value with texts are answered together.
    fn test_holds(&mut self, test: &'e Test) -> bool {
        if let Some(member) = test.member {
            return self.member_holds(test, member);
        }
        if let Some(searched) = test.searched {
            return self.search_holds(searched);
        }
        match (&test.left, test.slot) {
            (Left::Value(source), Some(slot)) => {
                let place = self.kept(slot, source);
                let value = place.and_then(|place| self.values.get(place));
                value.is_some_and(|value| value_holds(test, value, self.facts))
            }
            _ => holds(test, self.facts),
        }
    }

    fn member_holds(&mut self, test: &'e Test, member: Member) -> bool {
        let group = self.graph.group(member);
        let found = self.scratch.found(member).unwrap_or_else(|| {
            let found = self.find(group);
            self.scratch.set_found(member, found);
            found
        });
        match found {
            Found::Unset => false,
            Found::Unnamed => member.negated,
            Found::Row(row) => group.names(row, member) != member.negated,
            Found::Several { start, end, total } => {
                let rows = self.scratch.rows.get(start as usize..end as usize).unwrap_or_default();
                let mut named = rows.iter().filter(|row| group.names(**row, member));
                // One that differs is enough, too.
                if member.negated { named.count() < total as usize } else { named.next().is_some() }
            }
            Found::Other => holds(test, self.facts),
        }
    }

    /// Looks the subject of a group up, once per event.
    fn find(&mut self, group: &'e Group) -> Found {
        match &group.subject {
            Subject::Value(source) => self.with_value(group.slot, source, |value| match value {
                None => Found::Unset,
                Some(Value::Text(bytes) | Value::Bytes(bytes)) => {
                    group.row(bytes).map_or(Found::Unnamed, Found::Row)
                }
                Some(_) => Found::Other,
            }),
            Subject::Ancestors(field, key) => {
                let start = self.scratch.rows.len() as u32;
                let mut total = 0;
                let rows = &mut self.scratch.rows;
                self.facts.ancestors(*field, key.as_arg(), &mut |value| {
                    if let Some(bytes) = value.as_bytes() {
                        total += 1;
                        rows.extend(group.row(bytes));
                    }
                    ControlFlow::Continue(())
                });
                Found::Several { start, end: self.scratch.rows.len() as u32, total }
            }
        }
    }

    /// Runs a search, once per event, and gives one of its answers.
    fn search_holds(&mut self, searched: Searched) -> bool {
        let search = self.graph.search(searched.search);
        if self.scratch.begin_search(searched.search, search.first_word, search.words) {
            let mut answers = std::mem::take(&mut self.scratch.answers_of_searches);
            let words = search.first_word as usize..(search.first_word + search.words) as usize;
            self.with_value(search.slot, &search.source, |value| {
                if let (Some(bytes), Some(words)) =
                    (value.and_then(Value::as_bytes), answers.get_mut(words))
                {
                    search.run(bytes, words);
                }
            });
            self.scratch.answers_of_searches = answers;
        }
        self.scratch.searched(search.first_word, searched.bit)
    }

    /// Shows a value, from where it is kept if others need it, too.
    fn with_value<T>(
        &mut self,
        slot: Option<u32>,
        source: &'e Source,
        show: impl FnOnce(Option<&Value<'e>>) -> T,
    ) -> T {
        match slot {
            Some(slot) => {
                let place = self.kept(slot, source);
                show(place.and_then(|place| self.values.get(place)))
            }
            None => show(value_of(source, self.facts).as_ref()),
        }
    }

    /// Where a value is kept; `None` if it is unset.
    fn kept(&mut self, slot: u32, source: &'e Source) -> Option<usize> {
        match self.scratch.kept(slot) {
            Kept::At(place) => Some(place),
            Kept::Unset => None,
            Kept::Unknown => {
                let place = value_of(source, self.facts).map(|value| {
                    self.values.push(value);
                    self.values.len() - 1
                });
                self.scratch.keep(slot, place);
                place
            }
        }
    }
}

/// Whether a condition holds, by its definition and nothing else: every comparison by itself, nothing
/// shared, kept or put in another order. What faster ways are held against.
pub fn by_definition(ir: &Ir, facts: &dyn Facts) -> bool {
    match ir {
        Ir::And(parts) => parts.iter().all(|part| by_definition(part, facts)),
        Ir::Or(parts) => parts.iter().any(|part| by_definition(part, facts)),
        Ir::Not(inner) => !by_definition(inner, facts),
        Ir::Test(test) => holds(&Test::alone(test), facts),
    }
}

fn holds(test: &Test, facts: &dyn Facts) -> bool {
    if let Some(codes) = &test.codes
        && let Some(answer) = codes.answer(facts.event_code())
    {
        return answer;
    }
    match &test.left {
        Left::Value(source) => {
            value_of(source, facts).is_some_and(|value| value_holds(test, &value, facts))
        }
        Left::Ancestors { field, key } => {
            let mut found = false;
            facts.ancestors(*field, key.as_arg(), &mut |value| {
                found = value_holds(test, &value, facts);
                if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            found
        }
        Left::EndAddresses => ends_hold(test, facts.socket_ends(), |end| Value::Ip(end.ip())),
        Left::EndPorts => {
            ends_hold(test, facts.socket_ends(), |end| Value::Uint(u64::from(end.port())))
        }
        Left::Name { name, address } => name_holds(test, *name, *address, facts),
        Left::Around(time) => around(test, *time, facts),
    }
}

/// The comparison for a value that is set.
fn value_holds(test: &Test, value: &Value<'_>, facts: &dyn Facts) -> bool {
    match (&test.compare, &test.matcher) {
        (Compare::Exists, _) => true,
        (Compare::Source(op, source), _) => {
            value_of(source, facts).is_some_and(|right| compare::holds(*op, value, &right))
        }
        (Compare::Set(op, _), Some(matcher)) => match value {
            Value::List(items) if *op == Operator::Intersects => {
                items.iter().any(|item| matcher.matches(item))
            }
            Value::List(_) if matches!(matcher, Matcher::Never) => false,
            Value::List(items) => items.iter().all(|item| matcher.matches(item)),
            single => matcher.matches(single),
        },
        (_, Some(matcher)) => matcher.matches(value),
        (_, None) => false,
    }
}

fn ends_hold(
    test: &Test,
    ends: SocketEnds,
    part: impl Fn(std::net::SocketAddr) -> Value<'static> + Copy,
) -> bool {
    let Some(matcher) = &test.matcher else { return ends != SocketEnds::Unknown };
    end_matches(matcher, ends, part)
}

/// Either end may match; when a difference is asked for, both have to differ.
fn end_matches(
    matcher: &Matcher,
    ends: SocketEnds,
    part: impl Fn(std::net::SocketAddr) -> Value<'static> + Copy,
) -> bool {
    let mut each = ends.iter().map(|end| matcher.matches(&part(end)));
    match matcher {
        _ if ends.iter().next().is_none() => false,
        Matcher::Count(modifier, several) => {
            counted(*modifier, several.iter().map(|one| end_matches(one, ends, part)))
        }
        difference if difference.is_difference() => each.all(|answer| answer),
        _ => each.any(|answer| answer),
    }
}

/// A cached name compares as text; else the address is looked for among those of the given names.
fn name_holds(test: &Test, name: FieldId, address: FieldId, facts: &dyn Facts) -> bool {
    if let Some(value) = facts.value(name, FieldArg::None) {
        return value_holds(test, &value, facts);
    }
    let (op, constants): (_, &[Constant]) = match &test.compare {
        Compare::One(op @ (Operator::Eq | Operator::Ne), constant) => {
            (*op, std::slice::from_ref(constant))
        }
        Compare::Set(op @ (Operator::In | Operator::Intersects), constants) => (*op, constants),
        _ => return false,
    };
    let Some(Value::Ip(address)) = facts.value(address, FieldArg::None) else { return false };
    let known = constants
        .iter()
        .filter_map(bytes_of)
        .any(|name| facts.addresses_of(name).contains(&address));
    known != (op == Operator::Ne)
}

/// Nanoseconds in a millisecond.
const MILLISECOND: u128 = 1_000_000;

fn around(test: &Test, time: u64, facts: &dyn Facts) -> bool {
    let Some(now) =
        facts.value(FieldId::EvtRawtime, FieldArg::None).and_then(|now| now.as_integer())
    else {
        return false;
    };
    let Compare::One(_, Constant::Integer(distance)) = &test.compare else { return false };
    now.abs_diff(i128::from(time)) <= distance.unsigned_abs().saturating_mul(MILLISECOND)
}

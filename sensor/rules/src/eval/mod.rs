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
use scratch::Found;
pub use scratch::Scratch;
pub(crate) use source::value_of;

/// Place of a rule in its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

use std::ops::ControlFlow;

use crate::check::{Compare, Constant, Left};
use crate::compile::{Graph, Group, Matcher, Node, NodeId, Subject, Test, bytes_of, counted};
use crate::fields::{Facts, FieldArg, FieldId, SocketEnds, Value};
use crate::syntax::ast::Operator;

/// Whether a part of a graph holds.
pub(crate) fn evaluate(
    graph: &Graph,
    id: NodeId,
    facts: &dyn Facts,
    scratch: &mut Scratch,
) -> bool {
    let shared = graph.is_shared(id);
    if shared && let Some(known) = scratch.get(id) {
        return known;
    }
    let answer = match graph.node(id) {
        Node::And(parts) => parts.iter().all(|part| evaluate(graph, *part, facts, scratch)),
        Node::Or(parts) => parts.iter().any(|part| evaluate(graph, *part, facts, scratch)),
        Node::Not(inner) => !evaluate(graph, *inner, facts, scratch),
        Node::Test(place) => test_holds(graph, graph.test(*place), facts, scratch),
    };
    if shared {
        scratch.set(id, answer);
    }
    answer
}

/// A comparison with fixed texts is answered together with the others of its value.
fn test_holds(graph: &Graph, test: &Test, facts: &dyn Facts, scratch: &mut Scratch) -> bool {
    let Some(member) = test.member else { return holds(test, facts) };
    let group = graph.group(member);
    let found = scratch.found(member).unwrap_or_else(|| {
        let found = find(group, facts, scratch);
        scratch.set_found(member, found);
        found
    });
    match found {
        Found::Unset => false,
        Found::Unnamed => member.negated,
        Found::Row(row) => group.names(row, member) != member.negated,
        Found::Several { start, end, total } => {
            let rows = scratch.rows.get(start as usize..end as usize).unwrap_or_default();
            let mut named = rows.iter().filter(|row| group.names(**row, member));
            // One that differs is enough, too.
            if member.negated { named.count() < total as usize } else { named.next().is_some() }
        }
        Found::Other => holds(test, facts),
    }
}

/// Looks the subject of a group up, once per event.
fn find(group: &Group, facts: &dyn Facts, scratch: &mut Scratch) -> Found {
    match &group.subject {
        Subject::Value(source) => match value_of(source, facts) {
            None => Found::Unset,
            Some(Value::Text(bytes) | Value::Bytes(bytes)) => {
                group.row(&bytes).map_or(Found::Unnamed, Found::Row)
            }
            Some(_) => Found::Other,
        },
        Subject::Ancestors(field, key) => {
            let start = scratch.rows.len() as u32;
            let mut total = 0;
            facts.ancestors(*field, key.as_arg(), &mut |value| {
                if let Some(bytes) = value.as_bytes() {
                    total += 1;
                    scratch.rows.extend(group.row(bytes));
                }
                ControlFlow::Continue(())
            });
            Found::Several { start, end: scratch.rows.len() as u32, total }
        }
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

//! Comparison of two values of the same event.

use std::cmp::Ordering;

use crate::compile::{Glob, contains, contains_ignoring_case, ends_with, ordered, starts_with};
use crate::fields::Value;
use crate::syntax::ast::Operator;

/// Whether `left op right` holds. Values of different types never compare.
pub(super) fn holds(op: Operator, left: &Value<'_>, right: &Value<'_>) -> bool {
    match (op, left, right) {
        (Operator::Intersects, Value::List(items), _) => {
            items.iter().any(|item| is_in(item, right))
        }
        (Operator::In, Value::List(items), _) => items.iter().all(|item| is_in(item, right)),
        (Operator::In | Operator::Intersects, _, _) => is_in(left, right),
        (Operator::Ne, Value::Ip(left), Value::Ip(right)) => left != right,
        _ => match order(left, right) {
            Some(order) if is_order(op) => ordered(op, order),
            _ => text_holds(op, left, right),
        },
    }
}

fn is_in(item: &Value<'_>, set: &Value<'_>) -> bool {
    match set {
        Value::List(members) => members.iter().any(|member| is_in(item, member)),
        single => order(item, single) == Some(Ordering::Equal),
    }
}

fn is_order(op: Operator) -> bool {
    matches!(op, Operator::Eq | Operator::Ne) || op.takes_number()
}

fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
        (Value::Ip(left), Value::Ip(right)) => Some(left.cmp(right)),
        _ => match (left.as_integer(), right.as_integer()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => Some(left.as_bytes()?.cmp(right.as_bytes()?)),
        },
    }
}

fn text_holds(op: Operator, left: &Value<'_>, right: &Value<'_>) -> bool {
    let (Some(left), Some(right)) = (left.as_bytes(), right.as_bytes()) else { return false };
    match op {
        Operator::Contains | Operator::BContains => contains(left, right),
        Operator::IContains => contains_ignoring_case(left, right),
        Operator::StartsWith | Operator::BStartsWith => starts_with(left, right),
        Operator::EndsWith => ends_with(left, right),
        Operator::Glob => Glob::new(right, false).matches(left),
        Operator::IGlob => Glob::new(right, true).matches(left),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[&'static str]) -> Value<'static> {
        Value::List(items.iter().map(|item| Value::text(*item)).collect())
    }

    #[test]
    fn single_values() {
        assert!(holds(Operator::Eq, &Value::Int(5), &Value::Uint(5)));
        assert!(holds(Operator::Lt, &Value::Int(-1), &Value::Uint(0)));
        assert!(holds(Operator::Ne, &Value::Bool(true), &Value::Bool(false)));
        assert!(holds(Operator::Le, &Value::text("a"), &Value::text("ab")));
        assert!(!holds(Operator::Ne, &Value::text("1"), &Value::Int(1)), "types differ");
    }

    #[test]
    fn text_operators_take_the_right_value_as_pattern() {
        let name = Value::text("/usr/bin/Ls");
        for (op, right) in [
            (Operator::Contains, "bin"),
            (Operator::IContains, "LS"),
            (Operator::StartsWith, "/usr"),
            (Operator::EndsWith, "Ls"),
            (Operator::Glob, "/usr/*"),
            (Operator::IGlob, "*LS"),
        ] {
            assert!(holds(op, &name, &Value::text(right)), "{op:?}");
            assert!(!holds(op, &name, &Value::text("zz")), "{op:?}");
        }
    }

    #[test]
    fn lists_as_sets() {
        assert!(holds(Operator::In, &list(&["a", "b"]), &list(&["b", "a", "c"])));
        assert!(!holds(Operator::In, &list(&["a", "z"]), &list(&["a"])));
        assert!(holds(Operator::Intersects, &list(&["a", "z"]), &list(&["z"])));
        assert!(!holds(Operator::Intersects, &list(&[]), &list(&["z"])));
        assert!(holds(Operator::In, &Value::text("a"), &Value::text("a")));
    }
}

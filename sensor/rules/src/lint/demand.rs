//! Values that a condition demands of single fields.
use std::collections::{BTreeMap, BTreeSet};

use crate::fields::{self, FieldType, Flags};
use crate::syntax::ast::{Check, Expr, FieldRef, Literal, Operand, Operator, Right};
use crate::syntax::canonical_operand;

/// The values a field may have, by the field's canonical text.
#[derive(Debug, Default)]
pub(super) struct Demands {
    allowed: BTreeMap<String, BTreeSet<Vec<u8>>>,
}

impl Demands {
    /// What must hold for a condition to hold. Only parts joined by `and` demand anything.
    pub(super) fn of(tree: &Expr) -> Self {
        let mut demands = Self::default();
        demands.add(tree);
        demands
    }

    /// A field that would need two values at once.
    pub(super) fn contradiction(&self) -> Option<&str> {
        let mut empty = self.allowed.iter().filter(|(_, values)| values.is_empty());
        empty.next().map(|(field, _)| field.as_str())
    }

    /// Whether both can hold for the same event.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        self.allowed.iter().any(|(field, values)| {
            other.allowed.get(field).is_some_and(|others| values.is_disjoint(others))
        })
    }

    fn add(&mut self, tree: &Expr) {
        match tree {
            Expr::And(parts) => parts.iter().for_each(|part| self.add(part)),
            Expr::Check(check) => self.add_check(check),
            Expr::Or(_) | Expr::Not(_) | Expr::Macro(_) => {}
        }
    }

    fn add_check(&mut self, check: &Check) {
        let (Operand::Field(field), None) = (&check.left, check.modifier) else { return };
        if !is_single_text(field) {
            return;
        }
        let values: BTreeSet<Vec<u8>> = match (check.op, &check.right) {
            (Operator::Eq, Right::Literal(value)) => std::iter::once(value.value.clone()).collect(),
            (Operator::In, Right::List(values)) => values.iter().map(value_of).collect(),
            _ => return,
        };
        let field = canonical_operand(&check.left);
        match self.allowed.get_mut(&field) {
            Some(known) => known.retain(|value| values.contains(value)),
            None => {
                self.allowed.insert(field, values);
            }
        }
    }
}

fn value_of(literal: &Literal) -> Vec<u8> {
    literal.value.clone()
}

/// Fields that have one text per event and compare it byte by byte: for all others two different
/// texts can be equal, or both be there.
fn is_single_text(field: &FieldRef) -> bool {
    let Some(known) = fields::find(&field.name).map(fields::FieldId::field) else { return false };
    let several = known.argument != fields::ArgumentRule::NONE && field.argument.is_none();
    known.ty == FieldType::Charbuf
        && !known.flags.has(Flags::LIST)
        && !known.flags.has(Flags::FILTER_ONLY)
        && !several
        && !known.name.ends_with("ip.name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::{Limits, parse};

    fn demands(text: &str) -> Demands {
        Demands::of(&parse(text, Limits::filter()).unwrap())
    }

    #[test]
    fn two_values_at_once_are_a_contradiction() {
        for (text, field) in [
            ("proc.name = a and proc.name = b", Some("proc.name")),
            ("proc.name in (a, b) and (user.name = x and proc.name = c)", Some("proc.name")),
            ("proc.name in ()", Some("proc.name")),
            ("proc.name in (a, b) and proc.name = b", None),
            ("proc.name = a or proc.name = b", None),
            ("proc.aname = a and proc.aname = b", None),
            ("proc.aname[1] = a and proc.aname[1] = b", Some("proc.aname[1]")),
            ("proc.pid = 1 and proc.pid = 01", None),
            ("fd.ip = 1.1.1.1 and fd.ip = 2.2.2.2", None),
            ("proc.name = a and not proc.name = a", None),
        ] {
            assert_eq!(demands(text).contradiction(), field, "{text}");
        }
    }

    #[test]
    fn demands_exclude_each_other() {
        assert!(demands("proc.name = a").excludes(&demands("proc.name in (b, c)")));
        assert!(!demands("proc.name = a").excludes(&demands("user.name = b")));
    }
}

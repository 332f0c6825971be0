//! Which operator fits which type.

use super::ir::{Class, Type};
use crate::syntax::ast::{Modifier, Operator};

/// Whether `op` with `modifier` can compare a value of type `ty`.
pub(super) fn applies(op: Operator, modifier: Option<Modifier>, ty: Type) -> bool {
    if op == Operator::Exists {
        return true;
    }
    if ty.list {
        let comparable = matches!(
            ty.class,
            Class::Text | Class::Unsigned(64) | Class::Time | Class::Bool | Class::Ip
        );
        return comparable
            && modifier.is_none()
            && matches!(op, Operator::In | Operator::Intersects);
    }
    match ty.class {
        Class::Text => !matches!(op, Operator::BContains | Operator::BStartsWith),
        Class::Bytes => on_bytes(op),
        Class::Signed(_) | Class::Unsigned(_) | Class::Time | Class::Double | Class::Port => {
            is_equality(op) || op.takes_number()
        }
        Class::Bool | Class::Ip | Class::Net => is_equality(op),
        Class::Opaque => false,
    }
}

fn on_bytes(op: Operator) -> bool {
    is_equality(op)
        || matches!(
            op,
            Operator::Contains
                | Operator::StartsWith
                | Operator::EndsWith
                | Operator::BContains
                | Operator::BStartsWith
        )
}

fn is_equality(op: Operator) -> bool {
    matches!(op, Operator::Eq | Operator::Ne | Operator::In | Operator::Intersects)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitting(ty: Type) -> Vec<&'static str> {
        Operator::ALL.iter().filter(|op| applies(**op, None, ty)).map(|op| op.as_str()).collect()
    }

    #[test]
    fn numbers_compare_and_order() {
        let expected = ["exists", "=", "!=", "<", "<=", ">", ">=", "in", "intersects"];
        for class in
            [Class::Signed(64), Class::Unsigned(8), Class::Time, Class::Double, Class::Port]
        {
            assert_eq!(fitting(Type::single(class)), expected);
        }
    }

    #[test]
    fn truths_and_addresses_only_compare() {
        for class in [Class::Bool, Class::Ip, Class::Net] {
            assert_eq!(fitting(Type::single(class)), ["exists", "=", "!=", "in", "intersects"]);
        }
    }

    #[test]
    fn text_takes_all_but_the_byte_operators() {
        let fitting = fitting(Type::single(Class::Text));
        assert_eq!(fitting.len(), Operator::ALL.len() - 2);
        assert!(!fitting.contains(&"bcontains") && !fitting.contains(&"bstartswith"));
    }

    #[test]
    fn lists_only_as_wholes() {
        assert_eq!(fitting(Type::list(Class::Text)), ["exists", "in", "intersects"]);
        assert_eq!(fitting(Type::list(Class::Signed(32))), ["exists"]);
        assert!(!applies(Operator::Eq, Some(Modifier::AnyOf), Type::list(Class::Text)));
    }

    #[test]
    fn a_structure_can_only_exist() {
        assert_eq!(fitting(Type::single(Class::Opaque)), ["exists"]);
    }
}

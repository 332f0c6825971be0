//! What a condition is made of.
use std::collections::BTreeSet;

use crate::syntax::ast::{
    Check, Expr, Literal, Modifier, Operand, Operator, Right, Transform, TransformArg,
};
use crate::syntax::canonical_operand;

/// Names that occur in a condition, sorted.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) macros: BTreeSet<String>,
    pub(super) operators: BTreeSet<String>,
    pub(super) fields: BTreeSet<String>,
    pub(super) values: BTreeSet<String>,
}

impl Parts {
    pub(super) fn of(tree: &Expr) -> Self {
        let mut parts = Self::default();
        parts.add(tree);
        parts
    }

    fn add(&mut self, tree: &Expr) {
        match tree {
            Expr::And(all) | Expr::Or(all) => all.iter().for_each(|part| self.add(part)),
            Expr::Not(inner) => self.add(inner),
            Expr::Macro(used) => {
                self.macros.insert(used.name.clone());
            }
            Expr::Check(check) => self.add_check(check),
        }
    }

    fn add_check(&mut self, check: &Check) {
        self.operators.insert(operator(check));
        self.add_operand(&check.left);
        match &check.right {
            Right::None => {}
            Right::Literal(value) => self.add_value(value),
            Right::List(values) => values.iter().for_each(|value| self.add_value(value)),
            Right::Operand(right) => self.add_operand(right),
        }
    }

    fn add_value(&mut self, value: &Literal) {
        self.values.insert(String::from_utf8_lossy(&value.value).into_owned());
    }

    fn add_operand(&mut self, operand: &Operand) {
        match operand {
            Operand::Field(_) => {
                self.fields.insert(canonical_operand(operand));
            }
            Operand::Transform(call) => self.add_args(&call.args),
        }
    }

    fn add_args(&mut self, args: &[TransformArg]) {
        for arg in args {
            match arg {
                TransformArg::Literal(_) => {}
                TransformArg::List(items, _) => self.add_args(items),
                TransformArg::Operand(operand) => self.add_operand(operand),
            }
        }
    }
}

fn operator(check: &Check) -> String {
    let text = if check.doubled { "==" } else { check.op.as_str() };
    match check.modifier {
        Some(modifier) => format!("{text} {}", modifier.as_str()),
        None => text.to_owned(),
    }
}

/// Every operator of the language, with each modifier where it can have one.
pub fn operators() -> Vec<String> {
    let mut all = Vec::new();
    for op in Operator::ALL {
        all.push(op.as_str().to_owned());
        if op.takes_text() {
            all.extend(Modifier::ALL.iter().map(|m| format!("{} {}", op.as_str(), m.as_str())));
        }
    }
    all
}

/// Every transformer, and what marks a field on a right side.
pub fn transformers() -> impl Iterator<Item = &'static str> {
    Transform::CALLS.into_iter().chain([Transform::Val]).map(Transform::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::{Limits, parse};

    #[test]
    fn parts_are_those_of_both_sides() {
        let text = "m and tolower(proc.aname[1]) != anyof (a, l) or not fd.name == val(proc.name)";
        let parts = Parts::of(&parse(text, Limits::filter()).unwrap());
        let all = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(" | ");
        assert_eq!(all(parts.macros), "m");
        assert_eq!(all(parts.operators), "!= anyof | ==");
        assert_eq!(all(parts.fields), "fd.name | proc.aname[1] | proc.name");
        assert_eq!(all(parts.values), "a | l");
    }

    #[test]
    fn every_operator_is_listed_once() {
        let all = operators();
        assert!(
            all.contains(&"startswith anyof".to_owned()) && !all.contains(&"in oneof".to_owned())
        );
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}

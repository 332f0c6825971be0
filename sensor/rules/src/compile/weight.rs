//! How much work a comparison is, roughly: what decides which parts of a group are tried first.

use super::graph::Test;
use crate::check::{Compare, Left, Source};
use crate::syntax::ast::Operator;

/// The weight of one comparison.
pub(super) fn weight(test: &Test) -> u32 {
    if test.codes.is_some() {
        return 0;
    }
    let left = match &test.left {
        Left::Value(source) => of_source(source),
        Left::EndAddresses | Left::EndPorts | Left::Name { .. } | Left::Around(_) => 4,
        Left::Ancestors { .. } => 16,
    };
    left + match &test.compare {
        Compare::Exists => 0,
        Compare::One(op, _) | Compare::Set(op, _) => of_operator(*op),
        Compare::Many(op, _, constants) => {
            of_operator(*op).saturating_mul(constants.len().clamp(1, 1000) as u32)
        }
        Compare::Source(op, source) => of_operator(*op) + of_source(source),
    }
}

fn of_source(source: &Source) -> u32 {
    match source {
        Source::Constant(_) => 0,
        Source::Field(..) => 1,
        Source::List(items) => items.iter().map(of_source).sum(),
        Source::Call(_, args, _) => 8 + args.iter().map(of_source).sum::<u32>(),
    }
}

fn of_operator(op: Operator) -> u32 {
    match op {
        Operator::Regex => 40,
        Operator::Glob | Operator::IGlob => 12,
        Operator::PMatch | Operator::IContains => 8,
        Operator::Contains | Operator::BContains => 6,
        Operator::StartsWith | Operator::BStartsWith | Operator::EndsWith => 2,
        _ => 1,
    }
}

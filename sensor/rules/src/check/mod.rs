//! Names and types: a tree of the grammar becomes a typed one, or an error says why not.
//!
//! Owns which operator fits which type, how a value converts, what a transformer takes. It needs a
//! tree without macros and text without list names; it leaves event types to `index` and anything
//! about speed to `compile`.

mod error;
mod ir;
mod literal;
mod operand;
mod operators;
mod pattern;
mod services;
mod warnings;

pub use error::{CheckError, CheckWarning};
pub use ir::{Class, Compare, Constant, Dynamic, Ir, Left, Selector, Source, Test, Type};
pub(crate) use operand::{Typed, operand};
use pattern::PATTERN_LENGTH;
pub use pattern::{Pattern, Patterns};

use std::sync::Arc;

use crate::fields::{FieldId, Flags, StaticFields};
use crate::index::schema;
use crate::syntax::ast::{Check, Expr, Literal, Operand, Operator, Right, Transform};
use crate::syntax::canonical_operand as written;

/// What names mean where a condition stands.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Event source of the rule.
    pub source: &'a str,
    /// The user's constants.
    pub statics: &'a StaticFields,
}

/// A condition with its names resolved.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The typed tree.
    pub ir: Ir,
    /// What looks wrong in it, in reading order.
    pub warnings: Vec<CheckWarning>,
}

/// Checks a condition whose macros are expanded. The first mistake ends it.
pub fn check(expr: &Expr, scope: Scope<'_>) -> Result<Checked, CheckError> {
    check_with(expr, scope, &Patterns::default())
}

/// The same, with the regular expressions of all conditions of a load.
pub(crate) fn check_with(
    expr: &Expr,
    scope: Scope<'_>,
    patterns: &Patterns,
) -> Result<Checked, CheckError> {
    let mut warnings = Vec::new();
    let ir = node(expr, (scope, patterns), &mut warnings)?;
    Ok(Checked { ir, warnings })
}

/// Most mistakes of one condition that are told.
pub const MISTAKES: usize = 20;

/// Every mistake of a condition that does not check, in reading order, each place once and at most
/// [`MISTAKES`].
pub(crate) fn mistakes(expr: &Expr, scope: Scope<'_>, patterns: &Patterns) -> Vec<CheckError> {
    let mut found = Vec::new();
    add_mistakes(expr, (scope, patterns), &mut found);
    found
}

/// Where a condition stands, and the regular expressions that are known.
type Place<'a> = (Scope<'a>, &'a Patterns);

fn add_mistakes(expr: &Expr, scope: Place<'_>, found: &mut Vec<CheckError>) {
    if found.len() >= MISTAKES {
        return;
    }
    match expr {
        Expr::And(parts) | Expr::Or(parts) => {
            for part in parts {
                add_mistakes(part, scope, found);
            }
        }
        Expr::Not(inner) => add_mistakes(inner, scope, found),
        Expr::Check(check) => {
            let known = |error: &CheckError| found.iter().any(|one| one.span() == error.span());
            if let Some(error) = test(check, scope).err().filter(|error| !known(error)) {
                found.push(error);
            }
        }
        Expr::Macro(_) => {}
    }
}

fn node(expr: &Expr, scope: Place<'_>, warnings: &mut Vec<CheckWarning>) -> Result<Ir, CheckError> {
    let mut all = |parts: &[Expr]| -> Result<Vec<Ir>, CheckError> {
        parts.iter().map(|part| node(part, scope, warnings)).collect()
    };
    Ok(match expr {
        Expr::And(parts) => Ir::And(all(parts)?),
        Expr::Or(parts) => Ir::Or(all(parts)?),
        Expr::Not(inner) => Ir::Not(Box::new(node(inner, scope, warnings)?)),
        Expr::Check(check) => {
            let test = test(check, scope)?;
            warnings::inspect(check, scope.0.source, warnings);
            Ir::Test(test)
        }
        Expr::Macro(reference) => {
            return Err(CheckError::Macro { name: reference.name.clone(), span: reference.span });
        }
    })
}

fn test(check: &Check, (scope, patterns): Place<'_>) -> Result<Test, CheckError> {
    let left = operand(&check.left, scope)?;
    if !fits(check, &left) {
        return Err(CheckError::Operator {
            operator: operator_words(check),
            left: written(&check.left),
            ty: left.ty.words(),
            span: check.op_span,
        });
    }
    let compare = match &check.right {
        Right::None => Compare::Exists,
        Right::Literal(literal) => {
            let constant = constant(check, &left, literal, patterns)?;
            match check.modifier {
                _ if check.op.takes_list() => Compare::Set(check.op, Arc::new([constant])),
                Some(modifier) => Compare::Many(check.op, modifier, Arc::new([constant])),
                None => Compare::One(check.op, constant),
            }
        }
        Right::List(literals) => {
            let constants: Result<_, _> =
                literals.iter().map(|literal| constant(check, &left, literal, patterns)).collect();
            match check.modifier {
                Some(modifier) => Compare::Many(check.op, modifier, constants?),
                None => Compare::Set(check.op, constants?),
            }
        }
        Right::Operand(right) => Compare::Source(check.op, right_side(check, &left, right, scope)?),
    };
    Ok(Test { left: operand::reach(&left), compare })
}

fn fits(check: &Check, left: &Typed) -> bool {
    if left.field() == Some(FieldId::EvtAround) {
        return check.op == Operator::Eq && check.modifier.is_none();
    }
    operators::applies(check.op, check.modifier, left.ty)
}

fn operator_words(check: &Check) -> String {
    match check.modifier {
        Some(modifier) => format!("{} {}", check.op.as_str(), modifier.as_str()),
        None => check.op.as_str().to_owned(),
    }
}

fn constant(
    check: &Check,
    left: &Typed,
    literal: &Literal,
    patterns: &Patterns,
) -> Result<Constant, CheckError> {
    let value = || String::from_utf8_lossy(&literal.value).into_owned();
    if left.field() == Some(FieldId::EvtType) && !is_event_type(&literal.value) {
        return Err(CheckError::EventType { name: value(), span: literal.span });
    }
    let is_pattern =
        matches!(check.op, Operator::Regex | Operator::Glob | Operator::IGlob | Operator::PMatch);
    if is_pattern && literal.value.len() > PATTERN_LENGTH {
        let found = literal.value.len();
        return Err(CheckError::PatternLength { found, span: literal.span });
    }
    let constant =
        literal::convert(check.op, left.ty.class, &literal.value).map_err(|expected| {
            CheckError::Value {
                value: value(),
                expected,
                left: written(&check.left),
                span: literal.span,
            }
        })?;
    if check.op == Operator::Regex {
        let pattern = patterns.get(&literal.value).map_err(|reason| CheckError::Regex {
            pattern: value(),
            reason,
            span: literal.span,
        })?;
        return Ok(Constant::Pattern(pattern));
    }
    Ok(match constant {
        Constant::Integer(converted) if left.field() == Some(FieldId::EvtRawarg) => {
            let written = literal::integer(&literal.value).unwrap_or(converted);
            Constant::Dynamic(Dynamic::new(written, converted))
        }
        constant => constant,
    })
}

fn is_event_type(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(schema::is_event_name)
}

/// A field or call on the right side: which are possible, and of which type.
fn right_side(
    check: &Check,
    left: &Typed,
    right: &Operand,
    scope: Scope<'_>,
) -> Result<Source, CheckError> {
    let refuse = |reason: String| CheckError::RightSide {
        left: written(&check.left),
        operator: check.op.as_str(),
        reason,
        span: right.span(),
    };
    if matches!(check.op, Operator::Regex | Operator::PMatch) {
        return Err(refuse("the operator takes written values only".to_owned()));
    }
    if left.ty.class == Class::Net || left.flags().has(Flags::NO_RHS) {
        return Err(refuse("the field takes written values only".to_owned()));
    }
    let typed = match right {
        Operand::Transform(call) if call.transform == Transform::Val => operand::val(call, scope)?,
        other => operand(other, scope)?,
    };
    if typed.flags().has(Flags::NO_RHS) {
        return Err(refuse(format!("`{}` cannot stand on the right side", written(right))));
    }
    if typed.ty != left.ty {
        return Err(refuse(format!(
            "`{}` is {}, the left side is {}",
            written(right),
            typed.ty.words(),
            left.ty.words()
        )));
    }
    Ok(typed.source)
}

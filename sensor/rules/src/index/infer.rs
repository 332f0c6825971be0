//! The event types a condition can match, and the system calls behind them.
//!
//! Works on the tree as written: the sets follow from names and values in the text alone.

use eyas_abi::schema as abi;

use super::{IdSet, schema};
use crate::check::CheckError;
use crate::syntax::ast::{
    Check, Expr, FieldRef, Literal, Operand, Operator, Right, TransformArg, TransformCall,
};

/// Code of meta events; every rule sees them.
pub const ASYNC_EVENT: u16 = 402;

/// Code of plugin events; all that rules of other sources see besides meta events.
pub const PLUGIN_EVENT: u16 = 322;

/// A rule for more event codes than this deserves a warning: it is tried on nearly every event.
pub const BROAD: usize = 100;

/// Event codes that the condition can match.
pub fn event_codes(expr: &Expr) -> Result<IdSet, CheckError> {
    Algebra { universe: schema::all_codes(), of_name: schema::codes }.set(expr, false)
}

/// Event codes on which a rule of `source` is evaluated.
pub fn rule_codes(expr: &Expr, source: &str) -> Result<IdSet, CheckError> {
    let mut codes =
        if source == "syscall" { event_codes(expr)? } else { [PLUGIN_EVENT].into_iter().collect() };
    codes.insert(ASYNC_EVENT);
    Ok(codes)
}

/// Ids, in the event schema, of the system calls that can lead to a match.
pub fn system_calls(expr: &Expr) -> Result<IdSet, CheckError> {
    Algebra { universe: schema::all_system_calls(), of_name: schema::system_calls }.set(expr, false)
}

/// Names of the events with these codes, sorted, each once.
pub fn event_names(codes: &IdSet) -> Vec<&'static str> {
    let mut names: Vec<_> =
        codes.iter().filter_map(|code| abi::by_code(code).map(|event| event.name)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// How names become sets; the rest is the same for codes and system calls.
struct Algebra {
    universe: IdSet,
    of_name: fn(&str) -> IdSet,
}

impl Algebra {
    /// The set of `expr`, or of its negation.
    fn set(&self, expr: &Expr, negated: bool) -> Result<IdSet, CheckError> {
        match expr {
            Expr::And(parts) => self.combine(parts, negated, !negated),
            Expr::Or(parts) => self.combine(parts, negated, negated),
            Expr::Not(inner) => self.set(inner, !negated),
            Expr::Check(check) => self.leaf(check, negated),
            Expr::Macro(reference) => {
                Err(CheckError::Macro { name: reference.name.clone(), span: reference.span })
            }
        }
    }

    fn combine(&self, parts: &[Expr], negated: bool, all: bool) -> Result<IdSet, CheckError> {
        let mut result = if all { self.universe } else { IdSet::EMPTY };
        for part in parts {
            let set = self.set(part, negated)?;
            result = if all { result.intersection(set) } else { result.union(set) };
        }
        Ok(result)
    }

    fn leaf(&self, check: &Check, negated: bool) -> Result<IdSet, CheckError> {
        match &check.left {
            Operand::Field(field) if is_type_field(field) => self.type_check(check, negated),
            Operand::Field(field) if is_number_field(field) => {
                Ok(self.known(number_truth(check), negated))
            }
            Operand::Transform(call) if mentions_type(call) => Err(CheckError::HiddenEventType {
                reason: "it is the argument of a transformer",
                span: check.span,
            }),
            _ => Ok(self.universe),
        }
    }

    /// The whole set or nothing, if the check's truth is known.
    fn known(&self, truth: Option<bool>, negated: bool) -> IdSet {
        match truth {
            Some(truth) if truth == negated => IdSet::EMPTY,
            _ => self.universe,
        }
    }

    fn type_check(&self, check: &Check, negated: bool) -> Result<IdSet, CheckError> {
        let literals: &[Literal] = match &check.right {
            Right::Operand(_) => {
                return Err(CheckError::HiddenEventType {
                    reason: "it is compared with a field or a transformer",
                    span: check.span,
                });
            }
            Right::None => return Ok(self.known(Some(true), negated)),
            Right::Literal(literal) => std::slice::from_ref(literal),
            Right::List(literals) => literals,
        };
        let names = literals.iter().filter_map(|literal| std::str::from_utf8(&literal.value).ok());
        let meant = names.map(self.of_name).fold(IdSet::EMPTY, IdSet::union);
        Ok(match check.op {
            _ if check.modifier.is_some() => self.universe,
            Operator::Eq | Operator::In if negated => self.universe.difference(meant),
            Operator::Eq | Operator::In => meant,
            Operator::Ne if negated => meant,
            Operator::Ne => self.universe.difference(meant),
            _ => self.universe,
        })
    }
}

fn is_type_field(field: &FieldRef) -> bool {
    field.argument.is_none() && matches!(field.name.as_str(), "evt.type" | "syscall.type")
}

fn is_number_field(field: &FieldRef) -> bool {
    field.argument.is_none() && field.name == "evt.num"
}

fn mentions_type(call: &TransformCall) -> bool {
    call.args.iter().any(arg_mentions_type)
}

fn arg_mentions_type(arg: &TransformArg) -> bool {
    match arg {
        TransformArg::Literal(_) => false,
        TransformArg::List(items, _) => items.iter().any(arg_mentions_type),
        TransformArg::Operand(Operand::Field(field)) => is_type_field(field),
        TransformArg::Operand(Operand::Transform(call)) => mentions_type(call),
    }
}

/// What a check of the event's number always gives, if that is known: numbers start at 1.
fn number_truth(check: &Check) -> Option<bool> {
    if check.modifier.is_some() {
        return None;
    }
    if let (Operator::In, Right::List(literals)) = (check.op, &check.right) {
        return literals.iter().all(|literal| number(literal) == Some(0)).then_some(false);
    }
    let Right::Literal(literal) = &check.right else { return None };
    match (check.op, number(literal)?) {
        (Operator::Eq | Operator::In | Operator::Lt | Operator::Le, 0) | (Operator::Lt, 1) => {
            Some(false)
        }
        (Operator::Ne | Operator::Gt | Operator::Ge, 0) | (Operator::Ge, 1) => Some(true),
        _ => None,
    }
}

/// An unsigned number; negative ones wrap to something large and are of no interest here.
fn number(literal: &Literal) -> Option<u64> {
    std::str::from_utf8(&literal.value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::{Limits, parse};

    fn names(condition: &str) -> Vec<&'static str> {
        let expr = parse(condition, Limits::filter()).unwrap();
        event_names(&event_codes(&expr).unwrap())
    }

    #[test]
    fn an_upper_bound_by_name() {
        assert_eq!(names("evt.type in (open, close) and proc.name = a"), ["close", "open"]);
        assert_eq!(names("evt.type in (open, close) and not evt.type = open"), ["close"]);
        assert!(names("evt.type = open or proc.name = a").len() > BROAD);
        assert!(names("evt.num = 0").is_empty());
    }

    #[test]
    fn rules_always_see_meta_events() {
        let expr = parse("evt.type = open", Limits::filter()).unwrap();
        let codes = rule_codes(&expr, "syscall").unwrap();
        assert_eq!(codes.iter().collect::<Vec<_>>(), [2, 3, ASYNC_EVENT]);
        let codes = rule_codes(&expr, "k8s_audit").unwrap();
        assert_eq!(codes.iter().collect::<Vec<_>>(), [PLUGIN_EVENT, ASYNC_EVENT]);
    }

    #[test]
    fn system_calls_behind_a_condition() {
        let expr = parse("evt.type in (setuid, add_key)", Limits::filter()).unwrap();
        let ids = system_calls(&expr).unwrap();
        let kernel: Vec<_> = ids
            .iter()
            .filter_map(|id| abi::syscall_by_id(id).map(|call| call.kernel_name))
            .collect();
        assert!(kernel.contains(&"add_key") && kernel.contains(&"setuid"));
        assert!(!kernel.contains(&"open"));
    }
}

//! A condition that stands alone, outside of any rule: what readers and recordings are told to show.

use super::{Program, compile};
use crate::check::Scope;
use crate::collect::DEFAULT_SOURCE;
use crate::fields::StaticFields;
use crate::syntax::ast::Expr;
use crate::syntax::{Limits, parse};

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// Plain words, lower case, without a full stop.
    pub message: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

/// The program of a condition on system calls, and its tree, which says what events it can match.
pub fn filter(text: &str) -> Result<(Program, Expr), FilterError> {
    let expr = parse(text, Limits::filter())
        .map_err(|error| FilterError { message: error.message, hint: error.hint })?;
    let statics = StaticFields::new();
    let scope = Scope { source: DEFAULT_SOURCE, statics: &statics };
    let (program, _) = compile(&expr, scope)
        .map_err(|error| FilterError { message: error.to_string(), hint: error.hint() })?;
    Ok((program, expr))
}

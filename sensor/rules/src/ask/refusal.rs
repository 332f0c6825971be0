//! Answers that say no.
use serde_json::{Value, json};

use super::NO_QUESTION;
use crate::check::CheckError;
use crate::fields::GivenError;
use crate::format::FormatError;
use crate::report::Code;
use crate::syntax::SyntaxError;

/// Why a question has no other answer.
pub(super) struct Refusal {
    code: &'static str,
    message: String,
    offset: usize,
    hint: Option<String>,
}

impl Refusal {
    /// It is no question.
    pub(super) fn question(message: String, offset: usize) -> Self {
        Self { code: NO_QUESTION, message, offset, hint: None }
    }

    pub(super) fn into_answer(self) -> Value {
        let Self { code, message, offset, hint } = self;
        let mut error = json!({ "code": code, "message": message, "offset": offset });
        if let Some(hint) = hint {
            error["hint"] = hint.into();
        }
        json!({ "ok": false, "error": error })
    }
}

impl From<SyntaxError> for Refusal {
    fn from(error: SyntaxError) -> Self {
        let SyntaxError { code, message, offset, hint } = error;
        Self { code: code.as_str(), message, offset, hint }
    }
}

impl From<CheckError> for Refusal {
    fn from(error: CheckError) -> Self {
        Self {
            code: error.code().as_str(),
            message: error.to_string(),
            offset: error.span().start as usize,
            hint: error.hint(),
        }
    }
}

impl From<FormatError> for Refusal {
    fn from(error: FormatError) -> Self {
        Self {
            code: Code::Output.as_str(),
            message: error.to_string(),
            offset: error.offset(),
            hint: error.hint().map(str::to_owned),
        }
    }
}

impl From<GivenError> for Refusal {
    fn from(error: GivenError) -> Self {
        Self { hint: error.hint(), ..Self::question(error.to_string(), 0) }
    }
}

//! What can be wrong with a condition that parses, and what only looks wrong.

use super::pattern::PATTERN_LENGTH;
use crate::fields::FieldError;
use crate::report::Code;
use crate::syntax::ast::Span;

/// Why a condition of the grammar is not one of the language.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The field does not exist, or not with this argument.
    #[error("{error}")]
    Field {
        /// What is wrong with it.
        error: FieldError,
        /// The field.
        span: Span,
    },
    /// No event and no system call of this name.
    #[error("unknown event type `{name}`")]
    EventType {
        /// As written.
        name: String,
        /// The value.
        span: Span,
    },
    /// The operator does not fit the type.
    #[error("operator `{operator}` does not apply to `{left}`, which is {ty}")]
    Operator {
        /// With its modifier, if any.
        operator: String,
        /// Left side as written.
        left: String,
        /// Its type in plain words.
        ty: String,
        /// The operator.
        span: Span,
    },
    /// The value does not convert to the field's type.
    #[error("`{value}` is not {expected}, the type of `{left}`")]
    Value {
        /// As written.
        value: String,
        /// In plain words.
        expected: String,
        /// Left side as written.
        left: String,
        /// The value.
        span: Span,
    },
    /// The regular expression does not compile.
    #[error("`{pattern}` is not a valid regular expression: {reason}")]
    Regex {
        /// As written.
        pattern: String,
        /// Why.
        reason: String,
        /// The value.
        span: Span,
    },
    /// The pattern is longer than any that is looked for.
    #[error("a pattern has at most {PATTERN_LENGTH} bytes, found {found}")]
    PatternLength {
        /// Its bytes.
        found: usize,
        /// The value.
        span: Span,
    },
    /// A right-hand field or transformer is not possible here.
    #[error("`{left}` cannot be compared with a field by `{operator}`: {reason}")]
    RightSide {
        /// Left side as written.
        left: String,
        /// The operator.
        operator: &'static str,
        /// Why.
        reason: String,
        /// The right side.
        span: Span,
    },
    /// Wrong use of a transformer.
    #[error("`{transform}`: {reason}")]
    Transform {
        /// Its name.
        transform: &'static str,
        /// What was found and expected.
        reason: String,
        /// The call or its argument.
        span: Span,
    },
    /// The event type is hidden from inference.
    #[error("the event type can only be compared with values: {reason}")]
    HiddenEventType {
        /// What was found.
        reason: &'static str,
        /// The comparison.
        span: Span,
    },
    /// A macro name where none is left to expand.
    #[error("undefined macro `{name}`")]
    Macro {
        /// The name.
        name: String,
        /// Its use.
        span: Span,
    },
}

impl CheckError {
    /// Where in the condition.
    pub fn span(&self) -> Span {
        match self {
            Self::Field { span, .. }
            | Self::EventType { span, .. }
            | Self::Operator { span, .. }
            | Self::Value { span, .. }
            | Self::Regex { span, .. }
            | Self::PatternLength { span, .. }
            | Self::RightSide { span, .. }
            | Self::Transform { span, .. }
            | Self::HiddenEventType { span, .. }
            | Self::Macro { span, .. } => *span,
        }
    }

    /// The stable code of this mistake.
    pub fn code(&self) -> Code {
        match self {
            Self::Field { .. } => Code::UnknownField,
            Self::EventType { .. } => Code::UnknownEventType,
            Self::Macro { .. } => Code::UnknownMacro,
            _ => Code::Condition,
        }
    }

    /// What to write instead, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Field { error, .. } => error.hint(),
            Self::Value { expected, .. } if expected == "an IP network" => {
                Some("write it with its mask, as in `10.0.0.0/8`".to_owned())
            }
            Self::HiddenEventType { .. } => {
                Some("write `evt.type = NAME` or `evt.type in (NAME, …)`".to_owned())
            }
            _ => None,
        }
    }

    /// Whether a rule with `skip-if-unknown-filter` is dropped rather than refused for this.
    pub fn is_unknown_filter(&self) -> bool {
        match self {
            Self::Field { error, .. } => error.is_unknown_field(),
            Self::EventType { .. } => true,
            _ => false,
        }
    }
}

/// A comparison that is valid but hardly what was meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckWarning {
    /// The pattern has no metacharacter.
    #[error("`{pattern}` has no metacharacter: a plain text operator does the same, faster")]
    PlainRegex {
        /// As written.
        pattern: String,
        /// The value.
        span: Span,
    },
    /// The value is spelled like a field.
    #[error("`{value}` is compared as text, although it is the name of a field")]
    FieldAsText {
        /// As written.
        value: String,
        /// The value.
        span: Span,
    },
    /// The value is spelled like a transformer.
    #[error("`{value}` is compared as text, although it looks like a transformer")]
    TransformAsText {
        /// As written.
        value: String,
        /// The value.
        span: Span,
    },
}

impl CheckWarning {
    /// Where in the condition.
    pub fn span(&self) -> Span {
        match self {
            Self::PlainRegex { span, .. }
            | Self::FieldAsText { span, .. }
            | Self::TransformAsText { span, .. } => *span,
        }
    }

    /// What to write instead.
    pub fn hint(&self) -> String {
        match self {
            Self::PlainRegex { .. } => "use `=`, `startswith`, `endswith` or `contains`".to_owned(),
            Self::FieldAsText { value, .. } => {
                format!("write `val({value})` to compare with the field")
            }
            Self::TransformAsText { .. } => "write it without quotes to call it".to_owned(),
        }
    }
}

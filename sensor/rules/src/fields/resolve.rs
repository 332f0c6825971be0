//! From a field as written to a row of the table and a parsed argument.

use std::collections::BTreeMap;

use super::{Argument, FIELDS, Field, FieldId, Forms, find};
use crate::index::schema;
use crate::report::nearest;

/// The user's constants, `static.NAME`.
pub type StaticFields = BTreeMap<String, String>;

/// A field of the table with its argument checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResolvedField {
    /// The row.
    pub id: FieldId,
    /// The argument, parsed.
    pub argument: Argument,
}

/// Why a written field is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// No row of this name for this event source.
    #[error("unknown field `{name}`")]
    Unknown {
        /// As written.
        name: String,
        /// The event source whose fields could stand here.
        event_source: String,
    },
    /// The field cannot stand without an argument.
    #[error("field `{name}` needs an argument")]
    ArgumentMissing {
        /// As written.
        name: String,
    },
    /// The field takes no argument, or not in this form.
    #[error("field `{name}` does not take the argument `{argument}`")]
    ArgumentRefused {
        /// Name as written.
        name: String,
        /// Argument as written.
        argument: String,
    },
    /// `evt.arg.NAME` where no event has such a parameter.
    #[error("unknown event argument `{name}`")]
    UnknownParameter {
        /// The parameter's name.
        name: String,
    },
}

impl FieldError {
    /// What to write instead, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            // Only looked for when asked: most unknown names are values that are no fields.
            Self::Unknown { name, event_source } => {
                let known = FIELDS.iter().filter(|field| field.source.covers(event_source));
                let meant = nearest(name, known.map(|field| field.name))?;
                Some(format!("did you mean `{meant}`?"))
            }
            Self::ArgumentMissing { name } => Some(format!("write `{name}[…]` or `{name}.…`")),
            Self::ArgumentRefused { .. } | Self::UnknownParameter { .. } => None,
        }
    }

    /// Whether a rule with `skip-if-unknown-filter` is dropped rather than refused for this.
    pub fn is_unknown_field(&self) -> bool {
        !matches!(self, Self::UnknownParameter { .. })
    }
}

/// Resolves `name`, written with `argument` in brackets, for rules of `source`.
pub fn resolve(
    name: &str,
    argument: Option<&[u8]>,
    source: &str,
) -> Result<ResolvedField, FieldError> {
    let (field, tail) = longest_known(name, source).ok_or_else(|| unknown(name, source))?;
    let argument = match (tail, argument) {
        ("", None) if field.argument.required => {
            return Err(FieldError::ArgumentMissing { name: name.to_owned() });
        }
        ("", None) => Argument::None,
        ("", Some(written)) => bracketed(field, written).ok_or_else(|| refused(name, written))?,
        (tail, None) => dotted(field, tail, name, source)?,
        (_, Some(written)) => return Err(refused(name, written)),
    };
    Ok(ResolvedField { id: field.id, argument })
}

/// Whether `text` is a field that conditions of `source` may use, dotted arguments included.
pub fn exists(text: &str, source: &str) -> bool {
    match text.split_once('[') {
        None => resolve(text, None, source).is_ok(),
        Some((name, rest)) => rest
            .strip_suffix(']')
            .is_some_and(|argument| resolve(name, Some(argument.as_bytes()), source).is_ok()),
    }
}

/// The field whose name is the longest prefix of `name` that ends at a dot, and what follows it.
fn longest_known<'a>(name: &'a str, source: &str) -> Option<(&'static Field, &'a str)> {
    let mut end = name.len();
    loop {
        if let Some(id) = find(&name[..end]) {
            let field = id.field();
            return field
                .source
                .covers(source)
                .then(|| (field, name[end..].trim_start_matches('.')));
        }
        end = name[..end].rfind('.')?;
    }
}

fn bracketed(field: &Field, written: &[u8]) -> Option<Argument> {
    let forms = field.argument.forms;
    if field.id == FieldId::EvtAround {
        // A time in nanoseconds: too large for an index.
        let number = std::str::from_utf8(written).ok()?.parse::<u64>();
        return number.is_ok().then(|| Argument::Key(written.into()));
    }
    if forms.has(Forms::INDEX)
        && let Some(index) = decimal(written)
    {
        return Some(Argument::Index(index));
    }
    forms.has(Forms::KEY).then(|| Argument::Key(written.into()))
}

/// `None` for anything but digits, and for more than fit.
fn decimal(written: &[u8]) -> Option<u32> {
    if written.is_empty() || !written.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(written).ok()?.parse().ok()
}

fn dotted(field: &Field, tail: &str, name: &str, source: &str) -> Result<Argument, FieldError> {
    let forms = field.argument.forms;
    let accepted =
        forms.has(Forms::TAIL) || (forms.has(Forms::PATH) && matches!(tail, "src" | "dst"));
    if !accepted {
        return Err(unknown(name, source));
    }
    if matches!(field.id, FieldId::EvtArg | FieldId::EvtRawarg)
        && schema::parameter_type(tail).is_none()
    {
        return Err(FieldError::UnknownParameter { name: tail.to_owned() });
    }
    if field.id == FieldId::EvtTypeIs && !schema::is_event_name(tail) {
        return Err(unknown(name, source));
    }
    Ok(Argument::Key(tail.as_bytes().into()))
}

fn refused(name: &str, argument: &[u8]) -> FieldError {
    FieldError::ArgumentRefused {
        name: name.to_owned(),
        argument: String::from_utf8_lossy(argument).into_owned(),
    }
}

fn unknown(name: &str, source: &str) -> FieldError {
    FieldError::Unknown { name: name.to_owned(), event_source: source.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(name: &str, argument: Option<&str>) -> ResolvedField {
        resolve(name, argument.map(str::as_bytes), "syscall").unwrap()
    }

    fn err(name: &str, argument: Option<&str>) -> FieldError {
        resolve(name, argument.map(str::as_bytes), "syscall").unwrap_err()
    }

    #[test]
    fn plain_names_and_brackets() {
        assert_eq!(ok("proc.name", None).argument, Argument::None);
        assert_eq!(ok("proc.aname", Some("2")).argument, Argument::Index(2));
        assert_eq!(ok("proc.env", Some("PATH")).argument, Argument::Key(b"PATH"[..].into()));
        assert_eq!(ok("proc.aenv", Some("3")).argument, Argument::Index(3));
        assert_eq!(ok("proc.aenv", Some("HOME")).argument, Argument::Key(b"HOME"[..].into()));
    }

    #[test]
    fn names_after_a_dot() {
        assert_eq!(ok("evt.arg.flags", None).argument, Argument::Key(b"flags"[..].into()));
        assert_eq!(ok("thread.cgroup.cpu", None).id, FieldId::ThreadCgroup);
        assert_eq!(ok("evt.abspath.src", None).argument, Argument::Key(b"src"[..].into()));
        assert_eq!(ok("container.label.io.x", None).argument, Argument::Key(b"io.x"[..].into()));
        assert_eq!(ok("evt.type.is.open", None).id, FieldId::EvtTypeIs);
    }

    #[test]
    fn refused_arguments() {
        assert!(matches!(err("proc.name", Some("1")), FieldError::ArgumentRefused { .. }));
        assert!(matches!(err("proc.aname", Some("")), FieldError::ArgumentRefused { .. }));
        assert!(matches!(err("proc.aname", Some("x")), FieldError::ArgumentRefused { .. }));
        assert!(matches!(err("evt.rawarg", Some("0")), FieldError::ArgumentRefused { .. }));
        assert!(matches!(err("evt.arg", None), FieldError::ArgumentMissing { .. }));
        assert!(matches!(err("evt.arg.flags", Some("1")), FieldError::ArgumentRefused { .. }));
        assert!(matches!(err("evt.arg.foo", None), FieldError::UnknownParameter { .. }));
        assert!(matches!(err("evt.abspath.other", None), FieldError::Unknown { .. }));
    }

    #[test]
    fn an_unknown_name_offers_the_nearest() {
        assert_eq!(err("proc.nme", None).hint().as_deref(), Some("did you mean `proc.name`?"));
        assert_eq!(err("nothing.like.it", None).hint(), None);
        assert!(matches!(err("ka.verb", None), FieldError::Unknown { .. }));
    }

    #[test]
    fn text_after_the_longest_known_name_makes_it_unknown() {
        assert!(matches!(err("evt.args.flags", None), FieldError::Unknown { .. }));
        assert!(matches!(err("proc.name.x", None), FieldError::Unknown { .. }));
    }
}

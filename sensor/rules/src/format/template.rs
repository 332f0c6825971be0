//! A text with references, compiled once and rendered for each match.

use super::json::{self, FieldJson};
use super::reference;
use super::text;
use crate::check::{Scope, Source, Typed, operand};
use crate::eval::value_of;
use crate::fields::{Facts, FieldId, Flags, Print, Value};
use crate::syntax::ast::{Operand, TransformArg};
use crate::syntax::canonical_operand;

/// Bytes that most lines are no longer than.
const USUAL_LENGTH: usize = 256;
/// What is printed for a value that is unset.
const UNSET: &str = "<NA>";

/// Widest column that a template may ask for; more is refused.
pub const WIDEST: usize = 65_535;

/// Longest text of a template, in bytes.
pub const LONGEST: usize = 65_536;

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Nothing to print.
    #[error("the output is empty")]
    Empty,
    /// No field or transformer call follows the percent sign.
    #[error("no field follows `%`: {reason}")]
    Reference {
        /// Why what follows is none.
        reason: String,
        /// Byte offset of the percent sign.
        offset: usize,
        /// The field does not exist, rather than being misspelled in form.
        unknown_field: bool,
    },
    /// Longer than any message can be meant.
    #[error("an output has at most {LONGEST} bytes, found {found}")]
    TooLong {
        /// Its bytes.
        found: usize,
    },
    /// The column is wider than can be meant.
    #[error("a column is at most {WIDEST} wide, found `{found}`")]
    Width {
        /// As written.
        found: String,
        /// Byte offset of the percent sign.
        offset: usize,
    },
}

impl FormatError {
    /// Byte offset into the text.
    pub fn offset(&self) -> usize {
        match self {
            Self::Empty | Self::TooLong { .. } => 0,
            Self::Reference { offset, .. } | Self::Width { offset, .. } => *offset,
        }
    }

    /// What to write instead.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Reference { unknown_field: false, .. } => {
                Some("`%` always begins a field, there is no way to print it: write `percent`")
            }
            _ => None,
        }
    }

    /// Whether a rule with `skip-if-unknown-filter` is dropped rather than refused for this.
    pub fn is_unknown_filter(&self) -> bool {
        matches!(self, Self::Reference { unknown_field: true, .. })
    }
}

/// How values are printed, beyond what their fields say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Byte buffers as base64 instead of their printable characters.
    pub base64_buffers: bool,
}

/// A compiled text.
#[derive(Clone, Debug)]
pub struct Template {
    pieces: Vec<Piece>,
    lenient: bool,
    fields: Vec<TemplateField>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(Box<str>),
    Value(Slot, Option<usize>),
}

/// A value source and its print format.
#[derive(Clone, Debug)]
struct Slot {
    source: Source,
    print: Print,
    /// Never set in outputs.
    hidden: bool,
    clock: bool,
}

/// A field or call that a template refers to.
#[derive(Clone, Debug)]
pub struct TemplateField {
    key: String,
    slot: Slot,
    /// A transformer call rather than a field.
    call: bool,
}

/// A template filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The text; where a value was unset and the template strict, what came before.
    pub text: Vec<u8>,
    /// Everything was set, or may print as unset.
    pub complete: bool,
}

impl Template {
    /// Compiles a text for events of the scope's source.
    pub fn compile(text: &str, scope: Scope<'_>) -> Result<Self, FormatError> {
        let (lenient, body) = match text.strip_prefix('*') {
            Some(body) => (true, body),
            None => (false, text),
        };
        if body.is_empty() {
            return Err(FormatError::Empty);
        }
        if text.len() > LONGEST {
            return Err(FormatError::TooLong { found: text.len() });
        }
        let mut template = Self { pieces: Vec::new(), lenient, fields: Vec::new() };
        let mut at = text.len() - body.len();
        while at < text.len() {
            let percent = text[at..].find('%').map_or(text.len(), |found| at + found);
            if percent > at {
                template.pieces.push(Piece::Text(text[at..percent].into()));
            }
            if percent == text.len() {
                break;
            }
            at = template.reference(text, percent, scope)?;
        }
        Ok(template)
    }

    /// Prints unset values as such instead of stopping there.
    #[must_use]
    pub fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Reads the reference whose percent sign is at `percent`; gives the offset behind it.
    fn reference(
        &mut self,
        text: &str,
        percent: usize,
        scope: Scope<'_>,
    ) -> Result<usize, FormatError> {
        let rest = &text[percent + 1..];
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let width = match &rest[..digits] {
            digits if digits.bytes().all(|digit| digit == b'0') => None,
            written => Some(width(written).ok_or_else(|| FormatError::Width {
                found: written.to_owned(),
                offset: percent,
            })?),
        };
        let found =
            reference::find(&rest[digits..], scope).map_err(|(reason, unknown_field)| {
                FormatError::Reference { reason, offset: percent, unknown_field }
            })?;
        let end = percent + 1 + digits + found.len;
        self.pieces.push(Piece::Value(Slot::new(&found.typed), width));
        self.note_operand(&found.operand, found.key, &found.typed, scope);
        Ok(end)
    }

    /// Remembers a field, or a call with all that is in it.
    fn note_operand(&mut self, written: &Operand, key: String, typed: &Typed, scope: Scope<'_>) {
        if let Operand::Transform(call) = written {
            for arg in &call.args {
                self.note_inner(arg, scope);
            }
        }
        self.note(key, typed, matches!(written, Operand::Transform(_)));
    }

    fn note_inner(&mut self, arg: &TransformArg, scope: Scope<'_>) {
        match arg {
            TransformArg::Literal(_) => {}
            TransformArg::List(items, _) => {
                for item in items {
                    self.note_inner(item, scope);
                }
            }
            TransformArg::Operand(inner) => {
                // The whole call has been checked, and so has every part of it.
                if let Ok(typed) = operand(inner, scope) {
                    self.note_operand(inner, canonical_operand(inner), &typed, scope);
                }
            }
        }
    }

    fn note(&mut self, key: String, typed: &Typed, call: bool) {
        if !self.fields.iter().any(|known| known.key == key) {
            self.fields.push(TemplateField { key, slot: Slot::new(typed), call });
        }
    }

    /// What the template refers to, each once: fields, also those inside calls, and the calls.
    pub fn fields(&self) -> &[TemplateField] {
        &self.fields
    }

    /// Texts and references that it is made of.
    pub fn parts(&self) -> usize {
        self.pieces.len()
    }

    /// Fills the template in for one event.
    pub fn render(&self, facts: &dyn Facts, style: Style) -> Rendered {
        let mut text = Vec::with_capacity(USUAL_LENGTH);
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => text.extend_from_slice(literal.as_bytes()),
                Piece::Value(slot, width) => {
                    let start = text.len();
                    match slot.value(facts) {
                        Some(value) => {
                            text::write(&mut text, &value, slot.print, style.base64_buffers);
                        }
                        None if self.lenient => text.extend_from_slice(UNSET.as_bytes()),
                        None => return Rendered { text, complete: false },
                    }
                    if let Some(width) = width {
                        text.resize(start + width, b' ');
                    }
                }
            }
        }
        Rendered { text, complete: true }
    }
}

fn width(digits: &str) -> Option<usize> {
    digits.parse().ok().filter(|width| *width <= WIDEST)
}

impl Slot {
    fn new(typed: &Typed) -> Self {
        let row = typed.field().map(FieldId::field);
        Self {
            source: typed.source.clone(),
            print: row.map_or(Print::Natural, |row| row.print),
            hidden: row.is_some_and(|row| row.flags.has(Flags::FILTER_ONLY)),
            clock: row.is_some_and(|row| json::is_clock(row.id)),
        }
    }

    fn value<'a>(&'a self, facts: &'a dyn Facts) -> Option<Value<'a>> {
        if self.hidden { None } else { value_of(&self.source, facts) }
    }
}

impl TemplateField {
    /// The field as written, or the call's canonical text.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A transformer call rather than a field.
    pub fn is_call(&self) -> bool {
        self.call
    }

    /// It has a value.
    pub fn is_set(&self, facts: &dyn Facts) -> bool {
        self.slot.value(facts).is_some()
    }

    /// Its value as JSON.
    pub fn json(&self, facts: &dyn Facts, style: Style) -> FieldJson {
        if self.slot.clock {
            match json::clock(facts) {
                FieldJson::Null => {}
                known => return known,
            }
        }
        self.slot.value(facts).map_or(FieldJson::Null, |value| {
            json::json(&value, self.slot.print, style.base64_buffers)
        })
    }

    /// Its value as text, `<NA>` when unset.
    pub fn text(&self, facts: &dyn Facts, style: Style) -> Vec<u8> {
        let mut out = Vec::new();
        match self.slot.value(facts) {
            Some(value) => text::write(&mut out, &value, self.slot.print, style.base64_buffers),
            None => out.extend_from_slice(UNSET.as_bytes()),
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fields::{GivenFacts, StaticFields};

    fn template(text: &str) -> Result<Template, FormatError> {
        let statics = StaticFields::new();
        Template::compile(text, Scope { source: "syscall", statics: &statics })
    }

    fn rendered(text: &str) -> (String, bool) {
        let given =
            json!({ "proc.name": "cat", "proc.pid": 7, "evt.arg.path": "/x", "fd.ip": "::1" });
        let map = given.as_object().unwrap();
        let facts = GivenFacts::new(map.iter().map(|(key, value)| (key.as_str(), value))).unwrap();
        let rendered = template(text).unwrap().render(&facts, Style::default());
        (String::from_utf8(rendered.text).unwrap(), rendered.complete)
    }

    #[test]
    fn the_longest_reference_that_means_something() {
        for (text, expected) in [
            ("é%proc.name.", "écat."),
            ("%proc.nameand%proc.pid", "catand7"),
            ("%proc.name[1]", "cat[1]"),
            ("%proc.name[", "cat["),
            ("%toupper(proc.name)[1]", "CAT[1]"),
            ("%evt.arg.pathology", "/xology"),
            ("%len(proc.name)%%proc.pid", ""),
        ] {
            if expected.is_empty() {
                assert!(template(text).is_err(), "{text}");
            } else {
                assert_eq!(rendered(text), (expected.to_owned(), true), "{text}");
            }
        }
    }

    #[test]
    fn widths_cut_and_pad() {
        assert_eq!(rendered("[%5proc.name]").0, "[cat  ]");
        assert_eq!(rendered("[%2proc.name]").0, "[ca]");
        assert_eq!(rendered("[%0proc.name]").0, "[cat]");
        assert_eq!(rendered(&format!("%{WIDEST}proc.pid")).0.len(), WIDEST);
        let wide = template(&format!("a %{}proc.pid", WIDEST + 1)).unwrap_err();
        assert!(matches!(wide, FormatError::Width { offset: 2, .. }));
    }

    #[test]
    fn unset_values_end_a_strict_text() {
        assert_eq!(rendered("a %fd.name b"), ("a ".to_owned(), false));
        assert_eq!(rendered("*a %fd.name b"), ("a <NA> b".to_owned(), true));
        assert_eq!(rendered("*%fd.ip"), ("<NA>".to_owned(), true), "for conditions only");
    }

    #[test]
    fn what_is_no_template() {
        assert_eq!(template("").unwrap_err(), FormatError::Empty);
        assert_eq!(template("*").unwrap_err(), FormatError::Empty);
        for (text, offset) in [("100% sure", 3), ("a %", 2), ("%5", 0), ("%no.field", 0), ("%é", 0)]
        {
            let error = template(text).unwrap_err();
            assert_eq!(error.offset(), offset, "{text}");
            assert_eq!(error.is_unknown_filter(), text == "%no.field", "{text}");
        }
    }
}

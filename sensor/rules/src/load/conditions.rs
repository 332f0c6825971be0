//! The texts of conditions by number: what the spans of trees point into.
use super::told::{Subject, Told};
use crate::collect::{Header, Text};
use crate::report::{Code, LoadCode, Report};
use crate::source::SourceFile;
use crate::syntax::ast::{Expr, Span, TextId};
use crate::syntax::{Limits, parse};

/// An expanded text and the item it belongs to.
struct Condition<'c> {
    kind: &'static str,
    header: &'c Header,
    text: Text,
}

/// All texts of a compilation.
pub(super) struct Conditions<'c> {
    files: &'c [SourceFile],
    all: Vec<Condition<'c>>,
}

impl<'c> Conditions<'c> {
    pub(super) fn new(files: &'c [SourceFile]) -> Self {
        Self { files, all: Vec::new() }
    }

    /// Keeps a text and parses it.
    pub(super) fn parse(
        &mut self,
        kind: &'static str,
        header: &'c Header,
        text: Text,
    ) -> Result<Expr, Box<Report>> {
        let id = TextId(self.all.len() as u32);
        let parsed = parse(text.as_str(), Limits::rule(id));
        self.all.push(Condition { kind, header, text });
        parsed.map_err(|error| {
            let (start, end) = (error.offset as u32, self.word_end(id, error.offset) as u32);
            let told = Told::error(Code::Syntax, LoadCode::ErrCompileCondition, error.message);
            Box::new(self.report(
                kind,
                header,
                told.hint(error.hint),
                Span { text: id, start, end },
            ))
        })
    }

    /// Whether a text is that of this item.
    pub(super) fn belongs(&self, text: TextId, kind: &str, name: &str) -> bool {
        let condition = self.all.get(text.0 as usize);
        condition.is_some_and(|c| c.kind == kind && c.header.name == name)
    }

    /// The end of the word that begins at an offset; at least one byte behind it.
    fn word_end(&self, text: TextId, offset: usize) -> usize {
        let text = self.all.get(text.0 as usize).map_or("", |condition| condition.text.as_str());
        let rest = text.get(offset..).unwrap_or_default();
        let length = rest.find(|c: char| c.is_whitespace() || "(),\"'[]".contains(c));
        offset + length.unwrap_or(rest.len()).max(1)
    }

    /// A report about an item, at a span that may be in the text of another.
    pub(super) fn report(
        &self,
        kind: &'static str,
        header: &Header,
        mut told: Told,
        span: Span,
    ) -> Report {
        let subject = Subject { files: self.files, kind, header };
        let Some(condition) = self.all.get(span.text.0 as usize) else {
            return subject.whole(told);
        };
        if condition.header.name != header.name || condition.kind != kind {
            told.message =
                format!("{}, in {} `{}`", told.message, condition.kind, condition.header.name);
        }
        let part = match kind {
            "macro" => ["macro condition", "condition expression"],
            _ => ["rule condition", "condition expression"],
        };
        subject.within(told, part, &condition.text, span.range())
    }
}

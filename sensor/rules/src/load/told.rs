//! Reports about conditions and outputs: from a place in a glued text to a place in a file.
use crate::collect::{Header, Text};
use crate::report::{
    Code, LoadCode, Location, Position, Report, Severity, readable, readable_name, snippet,
};
use crate::source::{Place, SourceFile};

/// Most characters of a condition that name it.
const NAME_LENGTH: usize = 20;

/// A problem in a text, before it has a place.
pub(crate) struct Told {
    pub(crate) severity: Severity,
    pub(crate) code: Code,
    pub(crate) load_code: Option<LoadCode>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Told {
    pub(crate) fn error(code: Code, load_code: LoadCode, message: impl Into<String>) -> Self {
        let (message, load_code) = (message.into(), Some(load_code));
        Self { severity: Severity::Error, code, load_code, message, hint: None }
    }

    pub(crate) fn warning(code: Code, load_code: LoadCode, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, load_code, message) }
    }

    pub(crate) fn lint(code: Code, message: impl Into<String>) -> Self {
        let (message, severity) = (message.into(), Severity::Lint);
        Self { severity, code, load_code: None, message, hint: None }
    }

    pub(crate) fn hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }
}

/// An item of the collection and which of its texts a problem is in.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'c> {
    pub(crate) files: &'c [SourceFile],
    /// `rule`, `macro` or `list`.
    pub(crate) kind: &'static str,
    pub(crate) header: &'c Header,
}

impl Subject<'_> {
    /// A report about the item as a whole.
    pub(crate) fn whole(self, told: Told) -> Report {
        self.at(told, self.header.place)
    }

    /// A report about a place of the item.
    pub(crate) fn at(self, told: Told, place: Place) -> Report {
        self.inside(told, place, &[])
    }

    /// A report about a place inside of the item, with the steps that lead there: kind, name, place.
    pub(crate) fn inside(
        self,
        told: Told,
        place: Place,
        steps: &[(&'static str, &str, Place)],
    ) -> Report {
        let file = self.file(place);
        let text = file.map_or("", |file| file.text.as_str());
        let snippet = snippet(text, place.start.offset as usize);
        let name = file.map_or("", |file| file.name.as_str());
        let step = |&(kind, item, place): &(&'static str, &str, Place)| {
            location(kind, item, Position::of(name, place.start))
        };
        self.report(told, place, steps.iter().map(step).collect(), snippet)
    }

    /// A report about a range of a condition or an output. `part` says which, `text` is the text
    /// as the item has it, `range` and `shown` are of the expanded text.
    pub(crate) fn within(
        self,
        told: Told,
        part: [&'static str; 2],
        shown: &Text,
        range: std::ops::Range<usize>,
    ) -> Report {
        let offset = range.start;
        let whole = shown.place(0..0, self.files).unwrap_or(self.header.place);
        let place = shown.place(range, self.files).unwrap_or(self.header.place);
        let before = shown.as_str().get(..offset).unwrap_or_default();
        let line = before.matches('\n').count() as u32;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u32;
        let name: String = shown.as_str().chars().take(NAME_LENGTH).collect();
        let file = self.file(whole).map_or("", |file| file.name.as_str());
        let inner = Position {
            name: format!("\"{name}...\""),
            line: whole.start.line + line,
            column: whole.start.column + column,
            offset: whole.start.offset + offset as u32,
        };
        let locations = vec![
            location(part[0], "", Position::of(file, whole.start)),
            location(part[1], "", inner),
        ];
        self.report(told, place, locations, snippet(shown.as_str(), offset))
    }

    fn report(self, told: Told, place: Place, inner: Vec<Location>, snippet: String) -> Report {
        let Told { severity, code, load_code, message, hint } = told;
        let home = self.file(self.header.place).map_or("", |file| file.name.as_str());
        let start = Position { name: home.to_owned(), line: 0, column: 0, offset: 0 };
        let item = Position::of(home, self.header.place.start);
        let mut locations = vec![
            location("rules content", "", start),
            location("rules content item", "", item.clone()),
            location(self.kind, &self.header.name, item),
        ];
        locations.extend(inner);
        Report {
            severity,
            code,
            load_code,
            message: readable(message),
            hint: hint.map(readable),
            file: self.file(place).map_or_else(String::new, |file| file.name.clone()),
            locations,
            snippet,
            deprecated_field: None,
            place: Some(place),
        }
    }

    fn file(&self, place: Place) -> Option<&SourceFile> {
        self.files.get(place.file.0 as usize)
    }
}

fn location(item_type: &'static str, name: &str, position: Position) -> Location {
    Location { item_type, item_name: readable_name(name), position }
}

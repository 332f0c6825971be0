//! Typed access to the keys of an item, with a report for each that is not as it must be.
use super::Text;
use crate::report::{
    Code, LoadCode, Location, Position, Report, Severity, has_room, is_hinted, nearest, readable,
    readable_name, snippet,
};
use crate::source::{Node, Place, SourceFile};

/// Kind of location: the value of a key.
const VALUE: &str = "value for";

/// An item could not be read; the report is already made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused;

/// Reports of one file, and the way from the file to where the reader is.
pub(super) struct Reader<'f> {
    file: &'f SourceFile,
    path: Vec<Location>,
    pub(super) reports: Vec<Report>,
    /// The report made last is among them.
    told: bool,
}

impl<'f> Reader<'f> {
    pub(super) fn new(file: &'f SourceFile) -> Self {
        Self { file, path: Vec::new(), reports: Vec::new(), told: false }
    }

    /// Runs with one more step on the way.
    pub(super) fn within<T>(
        &mut self,
        item_type: &'static str,
        name: &str,
        node: &Node,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.path.push(self.location(item_type, name, node.place));
        let result = read(self);
        self.path.pop();
        result
    }

    fn location(&self, item_type: &'static str, name: &str, place: Place) -> Location {
        let position = Position::of(&self.file.name, place.start);
        Location { item_type, item_name: readable_name(name), position }
    }

    pub(super) fn error(
        &mut self,
        code: Code,
        load_code: LoadCode,
        place: Place,
        message: String,
    ) -> Refused {
        self.report(Severity::Error, code, Some(load_code), place, message);
        Refused
    }

    pub(super) fn warning(
        &mut self,
        code: Code,
        load_code: LoadCode,
        place: Place,
        message: String,
    ) {
        self.report(Severity::Warning, code, Some(load_code), place, message);
    }

    /// Sets the hint of the report made last.
    pub(super) fn hint(&mut self, hint: Option<String>) {
        if let Some(last) = self.reports.last_mut().filter(|_| self.told) {
            last.hint = hint.map(readable);
        }
    }

    /// Whether a hint that takes a search is worth it for the report made last.
    pub(super) fn is_hinted(&self) -> bool {
        self.told && is_hinted(&self.reports)
    }

    pub(super) fn report(
        &mut self,
        severity: Severity,
        code: Code,
        load_code: Option<LoadCode>,
        place: Place,
        message: String,
    ) {
        self.told = has_room(&self.reports, severity);
        if !self.told {
            return;
        }
        self.reports.push(Report {
            severity,
            code,
            load_code,
            message: readable(message),
            hint: None,
            file: self.file.name.clone(),
            locations: self.path.clone(),
            snippet: snippet(&self.file.text, place.start.offset as usize),
            deprecated_field: None,
            place: Some(place),
        });
    }

    /// A wrong shape: found and expected are told.
    pub(super) fn wrong_type(&mut self, what: &str, expected: &str, node: &Node) -> Refused {
        let found = match node.text() {
            Some(text) => format!("`{text}`"),
            None => node.kind_name().to_owned(),
        };
        let message = format!("{what} must be {expected}, found {found}");
        self.error(Code::WrongType, LoadCode::ErrYamlValidate, node.place, message)
    }

    /// A text that must be there and not be empty.
    pub(super) fn required(&mut self, item: &Node, key: &str) -> Result<Text, Refused> {
        let Some(node) = item.get(key).filter(|node| !node.is_null()) else {
            let message = format!("key `{key}` is missing");
            return Err(self.error(
                Code::MissingKey,
                LoadCode::ErrYamlValidate,
                head(item),
                message,
            ));
        };
        self.within(VALUE, key, node, |reader| match node.text() {
            None => Err(reader.wrong_type(&format!("`{key}`"), "a text", node)),
            Some("") => {
                let message = format!("key `{key}` is empty");
                Err(reader.error(Code::MissingKey, LoadCode::ErrYamlValidate, node.place, message))
            }
            Some(_) => Ok(Text::of(node)),
        })
    }

    /// The value of a key is not what it must be.
    fn wrong_value(&mut self, key: &str, expected: &str, node: &Node) -> Refused {
        let what = format!("`{key}`");
        self.within(VALUE, key, node, |reader| reader.wrong_type(&what, expected, node))
    }

    /// A boolean that may be absent. A null or empty one is an error.
    pub(super) fn boolean(&mut self, item: &Node, key: &str) -> Result<Option<bool>, Refused> {
        let Some(node) = item.get(key) else { return Ok(None) };
        match node.boolean() {
            Some(value) => Ok(Some(value)),
            None => Err(self.wrong_value(key, "`true` or `false`", node)),
        }
    }

    /// An unsigned number that may be absent.
    pub(super) fn unsigned(&mut self, item: &Node, key: &str) -> Result<Option<u32>, Refused> {
        let Some(node) = item.get(key) else { return Ok(None) };
        match node.unsigned() {
            Some(value) => Ok(Some(value)),
            None => Err(self.wrong_value(key, "a number from 0 to 4294967295", node)),
        }
    }

    /// A sequence of texts that may be absent.
    pub(super) fn texts(&mut self, item: &Node, key: &str) -> Result<Option<Vec<Text>>, Refused> {
        let Some(node) = item.get(key) else { return Ok(None) };
        let Some(items) = node.items() else {
            return Err(self.wrong_value(key, "a sequence of texts", node));
        };
        let texts = self.within(VALUE, key, node, |reader| {
            let text = |value: &Node| match value.text() {
                Some(_) => Ok(Text::of(value)),
                None => Err(reader.within("list item", "", value, |reader| {
                    reader.wrong_type(&format!("each of `{key}`"), "a text", value)
                })),
            };
            items.iter().map(text).collect::<Result<_, _>>()
        });
        texts.map(Some)
    }

    /// Warns of keys of an item that mean nothing, and of keys given twice.
    pub(super) fn keys(&mut self, item: &Node, known: &[&str]) {
        self.known_keys(item, known, Severity::Warning, Some(LoadCode::UnknownKey));
    }

    /// The same for a mapping inside of an item, whose keys the documented result is silent about.
    pub(super) fn inner_keys(&mut self, mapping: &Node, known: &[&str]) {
        self.known_keys(mapping, known, Severity::Lint, None);
    }

    fn known_keys(
        &mut self,
        item: &Node,
        known: &[&str],
        severity: Severity,
        load_code: Option<LoadCode>,
    ) {
        let mut seen = Vec::new();
        for (key, _) in item.entries().unwrap_or_default() {
            let name = key.text().unwrap_or_default();
            if !known.contains(&name) {
                let message = format!("unknown key `{name}` is ignored");
                self.report(severity, Code::UnknownKey, load_code, key.place, message);
                let meant =
                    self.is_hinted().then(|| nearest(name, known.iter().copied())).flatten();
                self.hint(meant.map(|meant| format!("did you mean `{meant}`?")));
            } else if !seen.contains(&name) {
                seen.push(name);
            } else {
                let message = format!("key `{name}` is given twice, the first one counts");
                self.report(Severity::Lint, Code::DuplicateKey, None, key.place, message);
            }
        }
    }
}

/// The beginning of an item: where to point when something is missing from it.
pub(super) fn head(item: &Node) -> Place {
    match item.entries().and_then(<[_]>::first) {
        Some((key, value)) => Place { end: value.place.end, ..key.place },
        None => item.place,
    }
}

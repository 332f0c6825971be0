//! Case files as YAML.
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Case, CaseError};
use crate::report::nearest;
use crate::source::{FileId, Kind, Mark, Node, SourceFile, Style, read as read_yaml};

/// Keys of a case.
const KEYS: [&str; 7] = ["case", "event", "fields", "capture", "matches", "misses", "says"];

/// Field that `event` stands for.
const EVENT_TYPE: &str = "evt.type";

/// Reads the cases of a file: a sequence of `case: …` items and of `given: …` items, whose values
/// hold for all cases behind them.
pub fn read(file: &SourceFile) -> Result<Vec<Case>, CaseError> {
    let reader = Reader { file };
    let documents = read_yaml(FileId(0), &file.text)
        .map_err(|error| reader.error_at(error.at, error.message.clone()))?;
    let mut given = Map::new();
    let mut cases = Vec::new();
    for document in documents.iter().filter(|document| !document.is_null()) {
        let items = document.items().ok_or_else(|| reader.expected(document, "a sequence"))?;
        for item in items {
            let entries = item.entries().ok_or_else(|| reader.expected(item, "a mapping"))?;
            match item.get("given") {
                Some(values) if entries.len() == 1 => given.extend(reader.fields(values)?),
                Some(values) => {
                    return Err(reader.error(values, "`given` stands alone in its item".to_owned()));
                }
                None => cases.push(reader.case(item, entries, &given)?),
            }
        }
    }
    Ok(cases)
}

struct Reader<'f> {
    file: &'f SourceFile,
}

impl Reader<'_> {
    fn case(
        &self,
        item: &Node,
        entries: &[(Node, Node)],
        given: &Map<String, Value>,
    ) -> Result<Case, CaseError> {
        for (key, _) in entries {
            let name = key.text().unwrap_or_default();
            if !KEYS.contains(&name) {
                let meant = nearest(name, KEYS).map_or_else(
                    || format!("expected one of `{}`", KEYS.join("`, `")),
                    |meant| format!("did you mean `{meant}`?"),
                );
                return Err(self.error(key, format!("unknown key `{name}`: {meant}")));
            }
        }
        let name = item.get("case").and_then(Node::text).unwrap_or_default();
        if name.is_empty() {
            return Err(self.error(item, "a case needs a `case`, its name".to_owned()));
        }
        let capture = self.capture(item)?;
        let mut fields = given.clone();
        if let Some(event) = item.get("event") {
            let event = event.text().ok_or_else(|| self.expected(event, "an event type"))?;
            fields.insert(EVENT_TYPE.to_owned(), event.into());
        }
        if let Some(values) = item.get("fields") {
            fields.extend(self.fields(values)?);
        }
        let (matches, counts) = self.matches(item, capture.is_some())?;
        let misses = self.names(item, "misses")?;
        if matches.is_empty() && misses.is_empty() {
            let message = "a case expects something: `matches` or `misses`".to_owned();
            return Err(self.error(item, message));
        }
        let line = item.place.start.line + 1;
        let says = self.names(item, "says")?;
        let (name, file) = (name.to_owned(), self.file.name.clone());
        Ok(Case { name, file, line, fields, capture, matches, counts, misses, says })
    }

    /// The capture that takes the place of an event.
    fn capture(&self, item: &Node) -> Result<Option<String>, CaseError> {
        let Some(capture) = item.get("capture") else { return Ok(None) };
        if let Some(beside) = item.get("event").or_else(|| item.get("fields")) {
            let message = "a case has a `capture`, or an `event` and `fields`".to_owned();
            return Err(self.error(beside, message));
        }
        match capture.text().filter(|path| !path.is_empty()) {
            Some(path) => Ok(Some(path.to_owned())),
            None => Err(self.expected(capture, "the path of a capture")),
        }
    }

    /// Rules that must match: names, or for a capture names and how often.
    fn matches(
        &self,
        item: &Node,
        in_capture: bool,
    ) -> Result<(Vec<String>, BTreeMap<String, u64>), CaseError> {
        let counted = item.get("matches").filter(|_| in_capture).and_then(Node::entries);
        let Some(entries) = counted else {
            return Ok((self.names(item, "matches")?, BTreeMap::new()));
        };
        let (mut names, mut counts) = (Vec::new(), BTreeMap::new());
        for (rule, count) in entries {
            let rule = rule.text().ok_or_else(|| self.expected(rule, "a rule"))?;
            names.push(rule.to_owned());
            if count.is_null() {
                continue;
            }
            match json(count).as_u64() {
                Some(number) if number > 0 => drop(counts.insert(rule.to_owned(), number)),
                Some(_) => {
                    let message = format!("`{rule}: 0` is no match: name the rule under `misses`");
                    return Err(self.error(count, message));
                }
                None => return Err(self.expected(count, "how often the rule matches")),
            }
        }
        Ok((names, counts))
    }

    /// A text, or a sequence of texts.
    fn names(&self, item: &Node, key: &str) -> Result<Vec<String>, CaseError> {
        let Some(node) = item.get(key).filter(|node| !node.is_null()) else {
            return Ok(Vec::new());
        };
        let text = |node: &Node| {
            node.text().map(str::to_owned).ok_or_else(|| self.expected(node, "a text"))
        };
        match node.items() {
            Some(items) => items.iter().map(text).collect(),
            None => Ok(vec![text(node)?]),
        }
    }

    fn fields(&self, node: &Node) -> Result<Map<String, Value>, CaseError> {
        let entries = node.entries().ok_or_else(|| self.expected(node, "a mapping"))?;
        let entry = |(key, value): &(Node, Node)| {
            let key = key.text().ok_or_else(|| self.expected(key, "a field"))?;
            Ok((key.to_owned(), json(value)))
        };
        entries.iter().map(entry).collect()
    }

    fn expected(&self, node: &Node, what: &str) -> CaseError {
        self.error(node, format!("expected {what}, found {}", node.kind_name()))
    }

    fn error(&self, node: &Node, message: String) -> CaseError {
        self.error_at(node.place.start, message)
    }

    fn error_at(&self, at: Mark, message: String) -> CaseError {
        let (line, column) = (at.line + 1, at.column + 1);
        CaseError { file: self.file.name.clone(), line, column, message }
    }
}

/// A node as JSON. Only plain scalars can be anything but texts.
fn json(node: &Node) -> Value {
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Sequence(items) => items.iter().map(json).collect(),
        Kind::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| (key.text().unwrap_or_default().to_owned(), json(value)))
            .collect::<Map<_, _>>()
            .into(),
        Kind::Scalar(scalar) if scalar.style == Style::Plain => match scalar.text.as_str() {
            "true" => true.into(),
            "false" => false.into(),
            text => number(text).unwrap_or_else(|| text.into()),
        },
        Kind::Scalar(scalar) => scalar.text.as_str().into(),
    }
}

fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let whole =
        text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from));
    // An address has digits and dots, too.
    whole.ok().or_else(|| text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cases(text: &str) -> Result<Vec<Case>, CaseError> {
        read(&SourceFile { name: "a.cases".to_owned(), text: text.to_owned() })
    }

    #[test]
    fn values_given_hold_for_the_cases_behind() {
        let text = "- given: {proc.name: cat, proc.pid: 7}\n- case: one\n  event: open\n  fields:\n    \
                    proc.name: '8'\n    fd.sip: 10.0.0.1\n    evt.buffer: {hex: 00ff}\n    fd.types: [file]\n  \
                    matches: A\n- case: two\n  misses: [A, B]\n";
        let found = cases(text).unwrap();
        assert_eq!(
            Value::Object(found[0].fields.clone()),
            json!({"proc.name": "8", "proc.pid": 7, "evt.type": "open", "fd.sip": "10.0.0.1",
                   "evt.buffer": {"hex": "00ff"}, "fd.types": ["file"]})
        );
        assert_eq!((found[0].line, found[0].matches.as_slice()), (2, &["A".to_owned()][..]));
        assert_eq!((found[1].misses.len(), found[1].fields.len()), (2, 2));
    }

    #[test]
    fn a_capture_takes_the_place_of_an_event() {
        let text = "- case: one\n  capture: a/b.scap\n  matches: {A: 3, B: }\n  misses: C\n";
        let found = cases(text).unwrap();
        assert_eq!(found[0].capture.as_deref(), Some("a/b.scap"));
        assert_eq!(found[0].matches, ["A", "B"]);
        assert_eq!(found[0].counts, [("A".to_owned(), 3)].into());
        let listed = cases("- case: one\n  capture: b.scap\n  matches: [A, B]\n").unwrap();
        assert_eq!((listed[0].matches.len(), listed[0].counts.len()), (2, 0));
    }

    #[test]
    fn wrong_files_are_refused_at_their_place() {
        for (text, at, message) in [
            ("case: a\n", (1, 1), "expected a sequence, found a mapping"),
            ("- a\n", (1, 3), "expected a mapping, found a text"),
            ("- case: a\n", (1, 3), "a case expects something: `matches` or `misses`"),
            ("- case: a\n  match: b\n", (2, 3), "unknown key `match`: did you mean `matches`?"),
            ("- matches: b\n", (1, 3), "a case needs a `case`, its name"),
            ("- case: a\n  fields: x\n  matches: b\n", (2, 11), "expected a mapping, found a text"),
            ("- case: a\n  matches: {b: c}\n", (2, 12), "expected a text, found a mapping"),
            ("- given: {}\n  case: b\n", (1, 10), "`given` stands alone in its item"),
            (
                "- case: a\n  capture: x.scap\n  event: open\n  matches: b\n",
                (3, 10),
                "a case has a `capture`, or an `event` and `fields`",
            ),
            (
                "- case: a\n  capture: []\n  matches: b\n",
                (2, 12),
                "expected the path of a capture, found a sequence",
            ),
            (
                "- case: a\n  capture: x\n  matches: {b: 0}\n",
                (3, 16),
                "`b: 0` is no match: name the rule under `misses`",
            ),
            (
                "- case: a\n  capture: x\n  matches: {b: often}\n",
                (3, 16),
                "expected how often the rule matches, found a text",
            ),
        ] {
            let error = cases(text).unwrap_err();
            assert_eq!(
                ((error.line, error.column), error.message.as_str()),
                (at, message),
                "{text}"
            );
        }
        assert!(cases("- [").unwrap_err().message.starts_with("not YAML"));
    }
}

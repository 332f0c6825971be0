//! Where a key stands in the text of a configuration.

use eyas_rules::source::{FileId, Node, read};

/// One step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A key of a mapping.
    Key(String),
    /// An item of a list.
    Item(usize),
    /// Behind the last item of a list.
    Next,
}

/// The steps of a path such as `a.b[0].c`; `None` for what is none.
pub(super) fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (key, mut items) = part.split_at(part.find('[').unwrap_or(part.len()));
        if key.is_empty() {
            return None;
        }
        steps.push(Step::Key(key.to_owned()));
        while let Some((number, rest)) =
            items.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        {
            steps.push(if number.is_empty() {
                Step::Next
            } else {
                Step::Item(number.parse().ok()?)
            });
            items = rest;
        }
        if !items.is_empty() {
            return None;
        }
    }
    Some(steps)
}

/// `:line:column` of the key at a path, or of the nearest one above it.
pub(super) fn of(text: &str, path: &str) -> Option<String> {
    let documents = read(FileId::default(), text).ok()?;
    let mut at = documents.first()?;
    let mut place = None;
    for step in steps(path)? {
        let next = match &step {
            Step::Key(name) => entry(at, name),
            Step::Item(number) => {
                at.items().and_then(|items| items.get(*number)).map(|one| (one, one))
            }
            Step::Next => None,
        };
        let Some((key, value)) = next else { break };
        place = Some(key.place.start);
        at = value;
    }
    place.map(|mark| format!(":{}:{}", mark.line + 1, mark.column + 1))
}

fn entry<'n>(mapping: &'n Node, name: &str) -> Option<(&'n Node, &'n Node)> {
    let found = mapping.entries()?.iter().find(|(key, _)| key.text() == Some(name));
    found.map(|(key, value)| (key, value))
}

//! Comparing two items key by key.

use std::collections::BTreeSet;

use super::Change;
use crate::collect::{
    Collection, Exception, ExceptionValue, List, Macro, OneOrMany, PluginRequirement, Rule, Text,
};

pub(super) fn rules(old: &Rule, new: &Rule) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut value = |field: &str, old: String, new: String| {
        changes.extend((old != new).then(|| replaced(field, Some(old), Some(new))));
    };
    value("condition", spaced(&old.condition), spaced(&new.condition));
    value("output", spaced(&old.output), spaced(&new.output));
    value("desc", squeeze(&old.desc), squeeze(&new.desc));
    value("priority", old.priority.to_string(), new.priority.to_string());
    value("source", old.source.clone(), new.source.clone());
    value("enabled", old.enabled.to_string(), new.enabled.to_string());
    value("warn_evttypes", old.warn_evttypes.to_string(), new.warn_evttypes.to_string());
    let skips = |rule: &Rule| rule.skip_if_unknown_filter.to_string();
    value("skip-if-unknown-filter", skips(old), skips(new));
    value("capture", old.capture.to_string(), new.capture.to_string());
    value("capture_duration", old.capture_duration.to_string(), new.capture_duration.to_string());
    changes.extend(members("tags", &old.tags, &new.tags));
    changes.extend(exceptions(&old.exceptions, &new.exceptions));
    changes
}

pub(super) fn macros(old: &Macro, new: &Macro) -> Vec<Change> {
    let (old, new) = (spaced(&old.condition), spaced(&new.condition));
    (old != new).then(|| replaced("condition", Some(old), Some(new))).into_iter().collect()
}

pub(super) fn lists(old: &List, new: &List) -> Vec<Change> {
    let items = |list: &List| list.items.iter().map(|item| item.as_str().to_owned()).collect();
    members("items", &items(old), &items(new)).into_iter().collect()
}

pub(super) fn requirements(old: &Collection, new: &Collection) -> Vec<Change> {
    let engine = |side: &Collection| side.engine.as_ref().map(ToString::to_string);
    let (was, is) = (engine(old), engine(new));
    let mut changes = Vec::new();
    if was != is {
        changes.push(replaced("required_engine_version", was, is));
    }
    let plugins = |side: &Collection| side.plugins.iter().map(plugin).collect();
    changes.extend(members("required_plugin_versions", &plugins(old), &plugins(new)));
    changes
}

fn plugin(requirement: &PluginRequirement) -> String {
    let all = requirement.any_of.iter().map(|one| format!("{} {}", one.name, one.version));
    all.collect::<Vec<_>>().join(" or ")
}

fn exceptions(old: &[Exception], new: &[Exception]) -> Vec<Change> {
    let names = |all: &[Exception]| -> BTreeSet<String> {
        all.iter().map(|exception| exception.name.clone()).collect()
    };
    let mut changes: Vec<Change> =
        members("exceptions", &names(old), &names(new)).into_iter().collect();
    for was in old {
        let Some(is) = new.iter().find(|is| is.name == was.name) else { continue };
        let field = format!("exceptions.{}", was.name);
        let (before, after) = (shape(was), shape(is));
        if before != after {
            changes.push(replaced(&format!("{field}.fields"), Some(before), Some(after)));
        }
        let values = |one: &Exception| one.values.iter().map(shown).collect();
        changes.extend(members(&format!("{field}.values"), &values(was), &values(is)));
    }
    changes
}

/// Fields with their operators.
fn shape(exception: &Exception) -> String {
    let join =
        |side: &OneOrMany| side.texts().iter().map(Text::as_str).collect::<Vec<_>>().join(", ");
    format!("{} ({})", join(&exception.fields), join(&exception.comps))
}

fn shown(value: &ExceptionValue) -> String {
    match value {
        ExceptionValue::Text(text) => text.as_str().to_owned(),
        ExceptionValue::Sequence(values, _) => {
            format!("({})", values.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        ExceptionValue::Other(_) => "nothing".to_owned(),
    }
}

fn replaced(field: &str, old: Option<String>, new: Option<String>) -> Change {
    Change { field: field.to_owned(), old, new, ..Change::default() }
}

fn members(field: &str, old: &BTreeSet<String>, new: &BTreeSet<String>) -> Option<Change> {
    let added: Vec<String> = new.difference(old).cloned().collect();
    let removed: Vec<String> = old.difference(new).cloned().collect();
    let same = added.is_empty() && removed.is_empty();
    (!same).then(|| Change { field: field.to_owned(), added, removed, ..Change::default() })
}

fn spaced(text: &Text) -> String {
    squeeze(text.as_str())
}

/// The text with every run of blanks outside of quotes as one space: how a condition is broken into
/// lines is no difference.
fn squeeze(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quote, mut escaped) = (None, false);
    for letter in text.trim().chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if letter == '\\' => escaped = true,
            Some(open) if letter == open => quote = None,
            None if letter.is_whitespace() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
                continue;
            }
            // An apostrophe inside a word opens nothing.
            None if matches!(letter, '"' | '\'')
                && !out.chars().next_back().is_some_and(char::is_alphanumeric) =>
            {
                quote = Some(letter);
            }
            _ => {}
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::squeeze;

    #[test]
    fn blanks_count_only_inside_of_quotes() {
        assert_eq!(squeeze(" a  =\n  b\t"), "a = b");
        assert_eq!(squeeze("a = \"x  y\"   and b"), "a = \"x  y\" and b");
        assert_eq!(squeeze("a = 'x \\'  y'  z"), "a = 'x \\'  y' z");
        assert_eq!(squeeze("the host's  name"), "the host's name");
    }
}

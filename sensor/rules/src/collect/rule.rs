//! Rule items.
use std::collections::BTreeSet;

use super::exceptions::{self, GivenException, Mode};
use super::item::{DEFAULT_SOURCE, Header, Priority, Rule};
use super::overrides::{Change, Overridable, change};
use super::reader::{Reader, Refused};
use super::{Collection, Text};
use crate::check::Scope;
use crate::report::{Code, LoadCode, nearest};
use crate::source::Node;

const KEYS: [&str; 15] = [
    "rule",
    "condition",
    "output",
    "desc",
    "priority",
    "source",
    "enabled",
    "tags",
    "exceptions",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "capture",
    "capture_duration",
    "append",
    "override",
];

const OVERRIDES: [Overridable; 11] = [
    Overridable::both("condition"),
    Overridable::both("output"),
    Overridable::both("desc"),
    Overridable::both("tags"),
    Overridable::both("exceptions"),
    Overridable::replace("priority"),
    Overridable::replace("enabled"),
    Overridable::replace("warn_evttypes"),
    Overridable::replace("skip-if-unknown-filter"),
    Overridable::replace("capture"),
    Overridable::replace("capture_duration"),
];

/// Most rules of a load.
pub const RULE_LIMIT: usize = 10_000;

/// Keys without which an item defines no rule.
const DEFINING: [&str; 4] = ["condition", "output", "desc", "priority"];

/// The format of an alert, apart from other texts of an item.
pub(super) struct Output(pub(super) Text);

/// What a rule item gives, each key only if asked for and present.
#[derive(Default)]
pub(super) struct Given {
    pub(super) condition: Option<Text>,
    pub(super) output: Option<Output>,
    pub(super) desc: Option<String>,
    pub(super) priority: Option<Priority>,
    pub(super) enabled: Option<bool>,
    pub(super) tags: Option<BTreeSet<String>>,
    pub(super) exceptions: Option<Vec<GivenException>>,
    pub(super) warn_evttypes: Option<bool>,
    pub(super) skip_if_unknown_filter: Option<bool>,
    pub(super) capture: Option<bool>,
    pub(super) capture_duration: Option<u32>,
}

impl Given {
    /// Reads some keys, each of which must be present.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        item: &Node,
        keys: &[&str],
        mode: Mode,
    ) -> Result<Self, Refused> {
        let mut given = Self::default();
        for &key in keys {
            match key {
                "condition" => given.condition = Some(reader.required(item, key)?),
                "output" => given.output = Some(Output(reader.required(item, key)?)),
                "desc" => given.desc = Some(reader.required(item, key)?.as_str().to_owned()),
                "priority" => given.priority = Some(priority(reader, item)?),
                "exceptions" => given.exceptions = exceptions::read(reader, item, mode)?,
                other => given.read_optional(reader, item, other)?,
            }
        }
        Ok(given)
    }

    /// Reads a key that may be absent.
    fn read_optional(
        &mut self,
        reader: &mut Reader<'_>,
        item: &Node,
        key: &str,
    ) -> Result<(), Refused> {
        match key {
            "enabled" => self.enabled = reader.boolean(item, key)?,
            "tags" => self.tags = tags(reader, item)?,
            "warn_evttypes" => self.warn_evttypes = reader.boolean(item, key)?,
            "skip-if-unknown-filter" => self.skip_if_unknown_filter = reader.boolean(item, key)?,
            "capture" => self.capture = reader.boolean(item, key)?,
            "capture_duration" => self.capture_duration = reader.unsigned(item, key)?,
            _ => {}
        }
        Ok(())
    }
}

impl Collection {
    pub(super) fn rule_item(
        &mut self,
        reader: &mut Reader<'_>,
        item: &Node,
    ) -> Result<(), Refused> {
        let name = reader.required(item, "rule")?.as_str().to_owned();
        reader.within("rule", &name, item, |reader| {
            reader.keys(item, &KEYS);
            match change(reader, item, &OVERRIDES)? {
                Change::AppendFlag => self.append_flag(reader, item, &name),
                Change::Override { append, replace } => {
                    self.override_rule(reader, item, &name, (append, replace))
                }
                Change::Define if DEFINING.iter().all(|key| item.get(key).is_none()) => {
                    self.enable_rule(reader, item, &name)
                }
                Change::Define => self.define_rule(reader, item, name.clone()),
            }
        })
    }

    fn define_rule(
        &mut self,
        reader: &mut Reader<'_>,
        item: &Node,
        name: String,
    ) -> Result<(), Refused> {
        let mut given = Given::read(reader, item, &DEFINING, Mode::Define)?;
        for key in KEYS {
            if !DEFINING.contains(&key) {
                given.read_optional(reader, item, key)?;
            }
        }
        let source = self.source_of(reader, item, &name)?;
        let known_source = self.sources.contains(&source);
        let exceptions = exceptions::read(reader, item, Mode::Define)?.unwrap_or_default();
        let scope = Scope { source: &source, statics: &self.statics };
        let checked = known_source.then_some(scope);
        let exceptions = exceptions
            .into_iter()
            .map(|e| e.complete(reader, checked))
            .collect::<Result<_, _>>()?;
        let Given { condition: Some(condition), output: Some(Output(output)), .. } = given else {
            return Err(Refused);
        };
        let (Some(desc), Some(priority)) = (given.desc, given.priority) else {
            return Err(Refused);
        };
        if !known_source {
            self.warn_source(reader, item, &source);
        }
        self.check_count(reader, item, &name)?;
        let position = self.next_position();
        self.store_rule(Rule {
            header: Header::new(name, position, item),
            condition,
            output: output.trimmed(),
            desc,
            priority,
            source,
            known_source,
            enabled: given.enabled.unwrap_or(true),
            tags: given.tags.unwrap_or_default(),
            exceptions,
            warn_evttypes: given.warn_evttypes.unwrap_or(true),
            skip_if_unknown_filter: given.skip_if_unknown_filter.unwrap_or_default(),
            capture: given.capture.unwrap_or_default(),
            capture_duration: given.capture_duration.unwrap_or_default(),
        });
        Ok(())
    }

    /// A load may have only so many rules.
    fn check_count(&self, reader: &mut Reader<'_>, item: &Node, name: &str) -> Result<(), Refused> {
        if self.rules.len() < RULE_LIMIT || self.names.rules.contains_key(name) {
            return Ok(());
        }
        let message = format!("all files together have more than {RULE_LIMIT} rules");
        Err(reader.error(Code::TooLarge, LoadCode::ErrValidate, item.place, message))
    }

    /// A rule that exists is replaced as a whole but keeps its place in the order.
    fn store_rule(&mut self, mut rule: Rule) {
        if let Some(&known) = self.names.rules.get(&rule.header.name) {
            rule.header.index = self.rules[known].header.index;
            self.rules[known] = rule;
            return;
        }
        self.names.rules.insert(rule.header.name.clone(), self.rules.len());
        self.rules.push(rule);
    }

    /// The source of a full definition. One that names none counts as the default source, also
    /// when it redefines a rule of another.
    fn source_of(
        &self,
        reader: &mut Reader<'_>,
        item: &Node,
        name: &str,
    ) -> Result<String, Refused> {
        if item.get("source").is_some() {
            reader.required(item, "source")?;
        }
        self.check_source(reader, item, name)?;
        let source = item.get("source").and_then(Node::text).unwrap_or(DEFAULT_SOURCE);
        match self.rule(name) {
            Some(rule) if rule.source != source => {
                let message = format!(
                    "rule `{name}` has source `{}`, a definition without source means `{source}`",
                    rule.source
                );
                let refused =
                    reader.error(Code::SourceChange, LoadCode::ErrValidate, item.place, message);
                reader.hint(Some(format!("add `source: {}`", rule.source)));
                Err(refused)
            }
            _ => Ok(source.to_owned()),
        }
    }

    fn warn_source(&self, reader: &mut Reader<'_>, item: &Node, source: &str) {
        let place = item.get("source").map_or(item.place, |node| node.place);
        let message = format!("unknown source `{source}`, the rule is not loaded");
        reader.warning(Code::UnknownSource, LoadCode::UnknownSource, place, message);
        let meant = nearest(source, self.sources.iter().map(String::as_str));
        reader.hint(meant.map(|meant| format!("did you mean `{meant}`?")));
    }
}

fn priority(reader: &mut Reader<'_>, item: &Node) -> Result<Priority, Refused> {
    let text = reader.required(item, "priority")?;
    let Some(node) = item.get("priority") else { return Err(Refused) };
    text.as_str().parse().map_err(|error| {
        let message = format!("{error}");
        let refused = reader.within("rule priority", "", node, |reader| {
            reader.error(Code::Priority, LoadCode::ErrYamlValidate, node.place, message)
        });
        let names = Priority::ALL.map(Priority::as_str);
        let meant = nearest(text.as_str(), names);
        reader.hint(Some(match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("priorities are `{}`", names.join("`, `")),
        }));
        refused
    })
}

fn tags(reader: &mut Reader<'_>, item: &Node) -> Result<Option<BTreeSet<String>>, Refused> {
    let tags = reader.texts(item, "tags")?;
    Ok(tags.map(|tags| tags.iter().map(|tag| tag.as_str().to_owned()).collect()))
}

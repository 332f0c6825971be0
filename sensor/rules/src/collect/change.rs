//! Changes of rules that exist: append, replace, enable.
use super::exceptions::{GivenException, Mode};
use super::item::{Exception, OneOrMany, Rule};
use super::reader::{Reader, Refused, head};
use super::rule::{Given, Output};
use super::{Collection, exceptions};
use crate::check::Scope;
use crate::fields::StaticFields;
use crate::report::{Code, LoadCode, nearest};
use crate::source::Node;

impl Collection {
    /// The report of a change to something that does not exist.
    pub(super) fn not_defined(
        &self,
        reader: &mut Reader<'_>,
        item: &Node,
        kind: &str,
        name: &str,
    ) -> Refused {
        let message = format!("{kind} `{name}` is changed here, but no earlier item defines it");
        let refused = reader.error(Code::NotDefined, LoadCode::ErrValidate, head(item), message);
        if reader.is_hinted() {
            let meant = match kind {
                "list" => nearest(name, self.lists.iter().map(|list| list.header.name.as_str())),
                "macro" => nearest(name, self.macros.iter().map(|one| one.header.name.as_str())),
                _ => nearest(name, self.rules.iter().map(|rule| rule.header.name.as_str())),
            };
            let meant = meant.map(|meant| format!("did you mean `{meant}`?"));
            reader.hint(meant);
        }
        refused
    }

    /// `append: true`: only condition and exceptions, whatever else the item gives.
    pub(super) fn append_flag(
        &mut self,
        reader: &mut Reader<'_>,
        item: &Node,
        name: &str,
    ) -> Result<(), Refused> {
        let given = Given {
            condition: given_text(reader, item, "condition")?,
            exceptions: exceptions::read(reader, item, Mode::Append)?,
            ..Given::default()
        };
        self.check_source(reader, item, name)?;
        if given.condition.is_none() && given.exceptions.is_none() {
            let message = "`append: true` needs a condition or exceptions to append".to_owned();
            return Err(reader.error(Code::Append, LoadCode::ErrValidate, head(item), message));
        }
        self.append_rule(reader, item, name, given)
    }

    /// `override`: what is appended, then what is replaced.
    pub(super) fn override_rule(
        &mut self,
        reader: &mut Reader<'_>,
        item: &Node,
        name: &str,
        keys: (Vec<&'static str>, Vec<&'static str>),
    ) -> Result<(), Refused> {
        let (append, replace) = keys;
        let added = Given::read(reader, item, &append, Mode::Append)?;
        let replaced = Given::read(reader, item, &replace, Mode::Replace)?;
        self.check_source(reader, item, name)?;
        if !append.is_empty() {
            self.append_rule(reader, item, name, added)?;
        }
        if !replace.is_empty() {
            self.replace_rule(reader, item, name, replaced)?;
        }
        Ok(())
    }

    fn append_rule(
        &mut self,
        reader: &mut Reader<'_>,
        item: &Node,
        name: &str,
        given: Given,
    ) -> Result<(), Refused> {
        let Some(&known) = self.names.rules.get(name) else {
            return Err(self.not_defined(reader, item, "rule", name));
        };
        // Only exceptions can be refused, and then nothing else is changed either.
        if let Some(exceptions) = given.exceptions.filter(|exceptions| !exceptions.is_empty()) {
            self.append_exceptions(reader, item, known, exceptions)?;
        }
        let position = self.next_position();
        let rule = &mut self.rules[known];
        if let Some(condition) = &given.condition {
            rule.condition.append(condition);
        }
        if let Some(Output(output)) = &given.output {
            rule.output.append(output);
        }
        if let Some(desc) = &given.desc {
            rule.desc.extend([" ", desc.as_str()]);
        }
        rule.tags.extend(given.tags.into_iter().flatten());
        rule.header.visibility = position;
        Ok(())
    }

    /// All of them, or none if one is refused.
    fn append_exceptions(
        &mut self,
        reader: &mut Reader<'_>,
        item: &Node,
        known: usize,
        given: Vec<GivenException>,
    ) -> Result<(), Refused> {
        let Self { rules, statics, .. } = self;
        let rule = &mut rules[known];
        let before = rule.exceptions.len();
        let mut extended = Vec::new();
        let append = || {
            for exception in given {
                extended.extend(append_exception(reader, rule, exception, statics)?);
            }
            exceptions::check_count(reader, item, rule.exceptions.len())
        };
        let result = append();
        if result.is_err() {
            for (place, values) in extended.into_iter().rev() {
                rule.exceptions[place].values.truncate(values);
            }
            rule.exceptions.truncate(before);
        }
        result
    }

    fn replace_rule(
        &mut self,
        reader: &mut Reader<'_>,
        item: &Node,
        name: &str,
        given: Given,
    ) -> Result<(), Refused> {
        let Some(&known) = self.names.rules.get(name) else {
            return Err(self.not_defined(reader, item, "rule", name));
        };
        let mut rule = self.rules[known].clone();
        if let Some(given) = given.exceptions {
            let complete = given.into_iter().map(|e| e.complete(reader, None));
            rule.exceptions = complete.collect::<Result<_, _>>()?;
        }
        rule.condition = given.condition.unwrap_or(rule.condition);
        rule.output = given.output.map_or(rule.output, |Output(output)| output);
        rule.desc = given.desc.unwrap_or(rule.desc);
        rule.tags = given.tags.unwrap_or(rule.tags);
        rule.priority = given.priority.unwrap_or(rule.priority);
        rule.enabled = given.enabled.unwrap_or(rule.enabled);
        rule.warn_evttypes = given.warn_evttypes.unwrap_or(rule.warn_evttypes);
        rule.skip_if_unknown_filter =
            given.skip_if_unknown_filter.unwrap_or(rule.skip_if_unknown_filter);
        rule.capture = given.capture.unwrap_or(rule.capture);
        rule.capture_duration = given.capture_duration.unwrap_or(rule.capture_duration);
        rule.header.visibility = self.next_position();
        self.rules[known] = rule;
        Ok(())
    }

    /// An item with nothing but `enabled`: the oldest way to switch a rule.
    pub(super) fn enable_rule(
        &mut self,
        reader: &mut Reader<'_>,
        item: &Node,
        name: &str,
    ) -> Result<(), Refused> {
        let Some(enabled) = reader.boolean(item, "enabled")? else {
            return Err(reader.required(item, "enabled").err().unwrap_or(Refused));
        };
        reader.warning(
            Code::BareEnabled,
            LoadCode::DeprecatedItem,
            head(item),
            "an item with nothing but `enabled` is deprecated".to_owned(),
        );
        reader.hint(Some("add `override: {enabled: replace}`".to_owned()));
        let Some(&known) = self.names.rules.get(name) else {
            return Err(self.not_defined(reader, item, "rule", name));
        };
        let position = self.next_position();
        let rule = &mut self.rules[known];
        rule.enabled = enabled;
        rule.header.visibility = position;
        Ok(())
    }

    /// An item may repeat the source of the rule it changes, not change it.
    pub(super) fn check_source(
        &self,
        reader: &mut Reader<'_>,
        item: &Node,
        name: &str,
    ) -> Result<(), Refused> {
        let given = item.get("source").and_then(|node| Some((node, node.text()?)));
        let Some((node, source)) = given.filter(|(_, source)| !source.is_empty()) else {
            return Ok(());
        };
        match self.rule(name) {
            Some(rule) if rule.source != source => {
                let message = format!(
                    "rule `{name}` has source `{}`, which cannot become `{source}`",
                    rule.source
                );
                Err(reader.error(Code::SourceChange, LoadCode::ErrValidate, node.place, message))
            }
            _ => Ok(()),
        }
    }
}

fn given_text(
    reader: &mut Reader<'_>,
    item: &Node,
    key: &str,
) -> Result<Option<super::Text>, Refused> {
    item.get(key).map(|_| reader.required(item, key)).transpose()
}

/// Adds an exception, or values to one that exists; of that one it gives the place and how many values
/// it had.
fn append_exception(
    reader: &mut Reader<'_>,
    rule: &mut Rule,
    given: GivenException,
    statics: &StaticFields,
) -> Result<Option<(usize, usize)>, Refused> {
    let Some(place) = rule.exceptions.iter().position(|known| known.name == given.name) else {
        if given.fields.is_none() || given.values.is_empty() {
            let message = format!(
                "exception `{}` is new to the rule and needs `fields` and `values`",
                given.name
            );
            let refused =
                reader.error(Code::Exception, LoadCode::ErrValidate, given.place, message);
            let names = rule.exceptions.iter().map(|known| known.name.as_str());
            let meant = nearest(&given.name, names);
            reader.hint(meant.map(|meant| format!("did you mean `{meant}`?")));
            return Err(refused);
        }
        let scope = Scope { source: &rule.source, statics };
        let exception = given.complete(reader, rule.known_source.then_some(scope))?;
        rule.exceptions.push(exception);
        return Ok(None);
    };
    let values = rule.exceptions[place].values.len();
    extend_exception(reader, &mut rule.exceptions[place], given)?;
    Ok(Some((place, values)))
}

fn extend_exception(
    reader: &mut Reader<'_>,
    known: &mut Exception,
    given: GivenException,
) -> Result<(), Refused> {
    let second: Option<&OneOrMany> = given.fields.as_ref().or(given.comps.as_ref());
    if second.is_some() {
        let message = format!(
            "exception `{}` exists: its fields and comps cannot be given again",
            given.name
        );
        let refused = reader.error(Code::Exception, LoadCode::ErrValidate, given.place, message);
        reader.hint(Some("give `name` and `values` only".to_owned()));
        return Err(refused);
    }
    known.values.extend(given.values);
    Ok(())
}

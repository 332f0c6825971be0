//! Rules, macros and lists as JSON.
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::tree::Parts;
use crate::collect::{List, PluginRequirement, Rule, Text};
use crate::expand::Lists;
use crate::format::{ExtraField, RuleView};
use crate::index::{event_codes, event_names};
use crate::load::{CompiledMacro, CompiledRule, EngineOptions, LoadOutcome};
use crate::syntax::ast::Expr;
use crate::syntax::canonical;

/// Name of the meta event that every rule is evaluated for.
const ASYNC: &str = "asyncevent";

pub(super) fn rule(
    outcome: &LoadOutcome,
    options: &EngineOptions,
    compiled: &CompiledRule,
) -> Value {
    let rule = &outcome.collection.rules[compiled.rule];
    let direct = Parts::of(&compiled.written);
    let whole = Parts::of(&compiled.tree);
    let lists = Lists::new(&outcome.collection);
    let mut fields: Vec<&str> =
        compiled.output.template().fields().iter().map(crate::format::TemplateField::key).collect();
    fields.sort_unstable();
    fields.dedup();
    json!({
        "info": {
            "name": rule.header.name,
            "condition": rule.condition.as_str().trim(),
            "priority": rule.priority,
            "output": rule.output.as_str(),
            "description": rule.desc,
            "enabled": compiled.enabled,
            "source": rule.source,
            "capture": rule.capture,
            "capture_duration": rule.capture_duration,
            "tags": rule.tags,
        },
        "details": {
            "macros": direct.macros,
            "lists": names(lists.names_in(rule.condition.as_str())),
            "condition_operators": whole.operators,
            "condition_fields": whole.fields,
            "output_fields": fields,
            "extra_output_formatted_fields": extra(rule, options),
            "exception_fields": exceptions(rule, |e| e.fields.texts()),
            "exception_names": rule.exceptions.iter().map(|e| e.name.as_str()).collect::<BTreeSet<_>>(),
            "exception_operators": exceptions(rule, |e| e.comps.texts()),
            "events": events(&compiled.tree),
            "condition_compiled": compiled.condition(),
            "output_compiled": compiled.output.text(),
            "plugins": [],
        },
    })
}

fn exceptions(rule: &Rule, texts: fn(&crate::collect::Exception) -> &[Text]) -> BTreeSet<&str> {
    rule.exceptions.iter().flat_map(texts).map(Text::as_str).collect()
}

fn extra(rule: &Rule, options: &EngineOptions) -> Value {
    let tags: Vec<String> = rule.tags.iter().cloned().collect();
    let view = RuleView { name: &rule.header.name, source: &rule.source, tags: &tags };
    let mut all = Map::new();
    for entry in options.append_output.iter().filter(|entry| entry.applies(view)) {
        for field in &entry.extra_fields {
            if let ExtraField::Formatted(key, format) = field {
                all.insert(key.clone(), format.as_str().into());
            }
        }
    }
    Value::Object(all)
}

pub(super) fn macro_(outcome: &LoadOutcome, compiled: &CompiledMacro) -> Value {
    let item = &outcome.collection.macros[compiled.place];
    let tree = compiled.tree.as_ref().unwrap_or(&compiled.written);
    let direct = Parts::of(&compiled.written);
    let whole = Parts::of(tree);
    let lists = Lists::new(&outcome.collection);
    json!({
        "info": { "name": item.header.name, "condition": item.condition.as_str().trim() },
        "details": {
            "used": compiled.used,
            "macros": direct.macros,
            "lists": names(lists.names_in(item.condition.as_str())),
            "condition_operators": whole.operators,
            "condition_fields": whole.fields,
            "events": events(tree),
            "condition_compiled": canonical(tree),
            "plugins": [],
        },
    })
}

pub(super) fn lists(outcome: &LoadOutcome) -> Vec<Value> {
    let mut lists = Lists::new(&outcome.collection);
    let used = used_lists(outcome, &lists);
    outcome.collection.lists.iter().map(|list| list_item(list, &mut lists, &used)).collect()
}

fn list_item(list: &List, lists: &mut Lists<'_>, used: &BTreeSet<String>) -> Value {
    let name = &list.header.name;
    let nested = |item: &&Text| lists.names_in(item.as_str()) == [item.as_str()];
    let direct: BTreeSet<&str> = list.items.iter().filter(nested).map(Text::as_str).collect();
    let compiled = lists.items(name).unwrap_or_default();
    let items = compiled.as_str().split(", ").filter(|item| !item.is_empty());
    json!({
        "info": { "name": name, "items": list.items.iter().map(Text::as_str).collect::<Vec<_>>() },
        "details": {
            "used": used.contains(name),
            "lists": direct,
            "items_compiled": items.collect::<Vec<_>>(),
            "plugins": [],
        },
    })
}

/// Lists that a rule, a macro or another list refers to.
fn used_lists(outcome: &LoadOutcome, lists: &Lists<'_>) -> BTreeSet<String> {
    let collection = &outcome.collection;
    let rules = collection.rules.iter().map(|rule| &rule.condition);
    let macros = collection.macros.iter().map(|item| &item.condition);
    let items = collection.lists.iter().flat_map(|list| &list.items);
    let values = collection.rules.iter().flat_map(|rule| &rule.exceptions);
    let values = values.flat_map(|exception| {
        exception.values.iter().flat_map(crate::collect::ExceptionValue::texts)
    });
    let texts = rules.chain(macros).chain(items).chain(values);
    texts.flat_map(|text| lists.names_in(text.as_str())).map(str::to_owned).collect()
}

fn names(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names.dedup();
    names
}

fn events(tree: &Expr) -> Vec<&'static str> {
    let Ok(codes) = event_codes(tree) else { return Vec::new() };
    let mut names = event_names(&codes);
    if !names.contains(&ASYNC) {
        names.push(ASYNC);
        names.sort_unstable();
    }
    names
}

pub(super) fn requirement(requirement: &PluginRequirement) -> Value {
    let one = |wanted: &crate::collect::Requirement| json!({ "name": wanted.name, "version": wanted.version.to_string() });
    let mut all = requirement.any_of.iter().map(one);
    let mut first = all.next().unwrap_or_else(|| json!({}));
    first["alternatives"] = all.collect();
    first
}

//! What configuration appends to the outputs of rules, and a rule's output with all of it.

use std::collections::BTreeMap;

use super::json::{self, FieldJson};
use super::template::{FormatError, Style, Template};
use crate::check::Scope;
use crate::fields::{Facts, suggested};

/// Removed from outputs: its place is taken by the suggested fields.
pub const RETIRED: &str = "%container.info";

/// One entry of `append_output`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppendOutput {
    /// Only rules of this source.
    pub source: Option<String>,
    /// Only rules that have all these tags.
    pub tags: Vec<String>,
    /// Only the rule of this name.
    pub rule: Option<String>,
    /// Appended to the output after one space.
    pub extra_output: Option<String>,
    /// Added to `output_fields` only.
    pub extra_fields: Vec<ExtraField>,
    /// Append every field that the table suggests.
    pub suggested_output: bool,
}

/// One entry of `extra_fields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtraField {
    /// A field under its own name, with its own type.
    Raw(String),
    /// A key and the template of its text.
    Formatted(String, String),
}

/// What of a rule decides which entries apply to it.
#[derive(Clone, Copy, Debug)]
pub struct RuleView<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its event source.
    pub source: &'a str,
    /// Its tags.
    pub tags: &'a [String],
}

impl AppendOutput {
    /// The entry that applies when nothing is configured.
    pub fn suggested() -> Self {
        Self { suggested_output: true, ..Self::default() }
    }

    /// Whether the entry applies to a rule.
    pub fn applies(&self, rule: RuleView<'_>) -> bool {
        self.source.as_deref().is_none_or(|source| source == rule.source)
            && self.rule.as_deref().is_none_or(|name| name == rule.name)
            && self.tags.iter().all(|tag| rule.tags.contains(tag))
    }
}

/// A rule's output, ready to be rendered.
#[derive(Clone, Debug)]
pub struct RuleOutput {
    template: Template,
    extra: Vec<(String, Extra)>,
    text: String,
}

#[derive(Clone, Debug)]
enum Extra {
    Formatted(Template),
    Raw(Template),
}

impl RuleOutput {
    /// Compiles a rule's output with the entries that apply to it.
    ///
    /// Offsets in errors count in [`RuleOutput::complete_text`] of the same arguments.
    pub fn compile(
        rule: RuleView<'_>,
        output: &str,
        entries: &[AppendOutput],
        scope: Scope<'_>,
    ) -> Result<Self, FormatError> {
        let text = Self::complete_text(rule, output, entries, scope);
        let mut extra = Vec::new();
        for entry in entries.iter().filter(|entry| entry.applies(rule)) {
            for field in &entry.extra_fields {
                extra.push(match field {
                    ExtraField::Raw(name) => {
                        (name.clone(), Extra::Raw(Template::compile(&format!("%{name}"), scope)?))
                    }
                    ExtraField::Formatted(key, text) => {
                        (key.clone(), Extra::Formatted(Template::compile(text, scope)?.lenient()))
                    }
                });
            }
        }
        Ok(Self { template: Template::compile(&text, scope)?.lenient(), extra, text })
    }

    /// The output as written and all that is appended to it.
    pub fn complete_text(
        rule: RuleView<'_>,
        output: &str,
        entries: &[AppendOutput],
        scope: Scope<'_>,
    ) -> String {
        let mut text = output.replace(RETIRED, "");
        if text.len() < output.len() {
            text.truncate(text.trim_end().len());
        }
        for entry in entries.iter().filter(|entry| entry.applies(rule)) {
            if let Some(extra) = &entry.extra_output {
                text.push(' ');
                text.push_str(extra);
            }
            if entry.suggested_output {
                append_suggested(&mut text, scope);
            }
        }
        text
    }

    /// The compiled text, with everything appended.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The compiled text's references.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The message; bytes that are not UTF-8 become U+FFFD.
    pub fn message(&self, facts: &dyn Facts, style: Style) -> String {
        let text = self.template.render(facts, style).text;
        String::from_utf8(text)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// The fields of `output_fields`, sorted by key; `clock` is the key of the event's time.
    pub fn fields(&self, clock: &str, facts: &dyn Facts, style: Style) -> Vec<(String, FieldJson)> {
        let mut fields = BTreeMap::new();
        fields.insert(clock.to_owned(), json::clock(facts));
        for field in self.template.fields().iter().filter(|field| !field.is_call()) {
            fields.insert(field.key().to_owned(), field.json(facts, style));
        }
        for (key, extra) in &self.extra {
            let value = match extra {
                Extra::Formatted(template) => FieldJson::Text(template.render(facts, style).text),
                Extra::Raw(template) => template
                    .fields()
                    .last()
                    .map_or(FieldJson::Null, |field| field.json(facts, style)),
            };
            fields.insert(key.clone(), value);
        }
        fields.into_iter().collect()
    }
}

/// ` foo_bar=%foo.bar` for every suggested field of the source, then for every constant.
///
/// Fields of cluster metadata need a collector that this engine does not have; they can still be
/// named in an output.
fn append_suggested(text: &mut String, scope: Scope<'_>) {
    let built_in = suggested()
        .filter(|field| field.source.covers(scope.source) && !field.name.starts_with("k8smeta."))
        .map(|field| field.name.to_owned());
    let constants = scope.statics.keys().map(|name| format!("static.{name}"));
    for name in built_in.chain(constants) {
        text.extend([" ", &name.replace('.', "_"), "=%", &name]);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fields::{GivenFacts, StaticFields};

    const RULE: RuleView<'static> = RuleView { name: "r", source: "syscall", tags: &[] };

    fn facts() -> GivenFacts {
        let given = json!({
            "proc.name": "cat", "proc.pid": 7, "container.id": "host", "evt.rawtime": 5,
            "fd.dev": 255, "fd.sip": "10.0.0.1",
        });
        let map = given.as_object().unwrap();
        GivenFacts::new(map.iter().map(|(key, value)| (key.as_str(), value))).unwrap()
    }

    fn output(text: &str, entries: &[AppendOutput], statics: &StaticFields) -> RuleOutput {
        RuleOutput::compile(RULE, text, entries, Scope { source: "syscall", statics }).unwrap()
    }

    #[test]
    fn suggested_fields_and_constants_are_appended() {
        let statics = StaticFields::from([("site".to_owned(), "lab".to_owned())]);
        let output = output("a %container.info", &[AppendOutput::suggested()], &statics);
        assert_eq!(
            output.message(&facts(), Style::default()),
            "a container_id=host container_name=<NA> container_image_repository=<NA> \
             container_image_tag=<NA> k8s_pod_name=<NA> k8s_ns_name=<NA> static_site=lab"
        );
    }

    #[test]
    fn fields_are_typed_sorted_and_with_the_time() {
        let entry = AppendOutput {
            extra_output: Some("dev=%fd.dev".to_owned()),
            extra_fields: vec![
                ExtraField::Raw("proc.pid".to_owned()),
                ExtraField::Formatted("who".to_owned(), "%proc.name/%fd.name".to_owned()),
            ],
            ..AppendOutput::default()
        };
        let output = output("%toupper(proc.name) %fd.sip", &[entry], &StaticFields::new());
        assert_eq!(output.message(&facts(), Style::default()), "CAT 10.0.0.1 dev=FF");
        let fields = output.fields("evt.time", &facts(), Style::default());
        let text = |text: &str| FieldJson::Text(text.as_bytes().to_vec());
        assert_eq!(
            fields,
            [
                ("evt.time".to_owned(), FieldJson::Uint(5)),
                ("fd.dev".to_owned(), text("FF")),
                ("fd.sip".to_owned(), text("10.0.0.1")),
                ("proc.name".to_owned(), text("cat")),
                ("proc.pid".to_owned(), FieldJson::Int(7)),
                ("who".to_owned(), text("cat/<NA>")),
            ]
        );
    }

    #[test]
    fn entries_apply_where_all_conditions_hold() {
        let tags = ["a".to_owned(), "b".to_owned()];
        let rule = RuleView { name: "r", source: "syscall", tags: &tags };
        let entry = |source: Option<&str>, tags: &[&str], name: Option<&str>| AppendOutput {
            source: source.map(str::to_owned),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            rule: name.map(str::to_owned),
            ..AppendOutput::default()
        };
        assert!(entry(None, &[], None).applies(rule));
        assert!(entry(Some("syscall"), &["b", "a"], Some("r")).applies(rule));
        assert!(!entry(Some("k8s_audit"), &[], None).applies(rule));
        assert!(!entry(None, &["a", "c"], None).applies(rule));
        assert!(!entry(None, &[], Some("q")).applies(rule));
    }
}

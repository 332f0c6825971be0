//! `eyas rules explain` and `eyas rules list`: what rules come to, what the language offers.

use std::io::{self, Write};

use eyas_ops::Class;
use eyas_rules::describe::{
    Explanation, describe, explain, field_classes, field_names, listed_fields, nearest_rule,
    operators, transformers,
};
use eyas_rules::index::schema;
use eyas_rules::report::render_all;
use eyas_rules::{EngineOptions, LoadOutcome, Severity, SourceFile, load};
use serde::Serialize;
use serde_json::{Value, json};

use super::files::given_or_installed;
use crate::args::{ExplainArgs, Global, RulesListArgs};
use crate::exit::Failure;
use crate::printer::{Document, Printer, Table};
use crate::settings::Settings;

#[derive(Serialize)]
struct ExplainDocument {
    #[serde(flatten)]
    explanation: Explanation,
    /// The documented description of the rule.
    details: Value,
}

impl Document for ExplainDocument {
    const KIND: &'static str = "rules.explain";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let told = &self.explanation;
        writeln!(out, "{}", told.name)?;
        paragraph(out, &told.description)?;
        let state = if told.enabled { "enabled" } else { "not enabled" };
        writeln!(out, "\npriority:   {} ({state})", told.priority)?;
        writeln!(out, "source:     {}", told.source)?;
        named(out, "tags:       ", &told.tags)?;
        named(out, "macros:     ", &told.macros)?;
        named(out, "exceptions: ", &told.exceptions)?;
        let cost = told.cost;
        match &told.event_types {
            Some(names) => writeln!(out, "events:     {}", names.join(", "))?,
            None => writeln!(out, "events:     all")?,
        }
        writeln!(
            out,
            "cost:       {} comparisons, {} to {} units, on {} of {} event codes",
            cost.comparisons, cost.least, cost.most, cost.event_codes, cost.of_event_codes
        )?;
        writeln!(out, "\ncondition, all names replaced:")?;
        indented(out, &told.expanded)?;
        writeln!(out, "\noutput:")?;
        indented(out, &told.output)?;
        writeln!(out, "\nfields:")?;
        let mut table = Table::new(&["FIELD", "TYPE", "MEANING"]);
        for field in &told.fields {
            table.row([field.field.clone(), field.ty.to_owned(), field.description.to_owned()]);
        }
        table.write(out)
    }
}

fn paragraph(out: &mut dyn Write, text: &str) -> io::Result<()> {
    if text.is_empty() { Ok(()) } else { indented(out, text) }
}

fn indented(out: &mut dyn Write, text: &str) -> io::Result<()> {
    text.lines().try_for_each(|line| writeln!(out, "  {line}"))
}

fn named(out: &mut dyn Write, what: &str, names: &[String]) -> io::Result<()> {
    if names.is_empty() { Ok(()) } else { writeln!(out, "{what}{}", names.join(", ")) }
}

/// Explains one rule.
pub(super) fn explain_rule(
    args: &ExplainArgs,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let sources = given_or_installed(&args.files, global, settings)?;
    let options = EngineOptions::default();
    let outcome = loaded(&sources, &options)?;
    let details = eyas_rules::describe::describe_rule(&outcome, &options, &args.rule);
    let (Some(explanation), Some(mut details)) = (explain(&outcome, &args.rule), details) else {
        let message = format!("there is no rule `{}`", args.rule);
        let hint = nearest_rule(&outcome, &args.rule).map_or_else(
            || "`eyas rules list --rules` names them".to_owned(),
            |meant| format!("did you mean `{meant}`?"),
        );
        return Err(Failure { class: Class::NotFound, message, hint: Some(hint) }.into());
    };
    let details = details["rules"][0].take();
    Ok(printer.data(&ExplainDocument { explanation, details })?)
}

/// Loads rules, or says what is wrong with them.
pub(super) fn loaded(
    sources: &[SourceFile],
    options: &EngineOptions,
) -> anyhow::Result<LoadOutcome> {
    let outcome = load(sources, options);
    if outcome.rule_set.is_some() {
        return Ok(outcome);
    }
    let errors: Vec<_> =
        outcome.reports.into_iter().filter(|one| one.severity == Severity::Error).collect();
    let message = format!("the rules do not compile\n{}", render_all(&errors, sources, false));
    Err(Failure { class: Class::Failed, message, hint: None }.into())
}

/// What is listed: data for programs, rows for people.
#[derive(Serialize)]
struct ListDocument {
    #[serde(flatten)]
    data: Value,
    #[serde(skip)]
    header: &'static [&'static str],
    #[serde(skip)]
    rows: Vec<Vec<String>>,
}

impl Document for ListDocument {
    const KIND: &'static str = "rules.list";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.header.is_empty() {
            return self.rows.iter().flatten().try_for_each(|name| writeln!(out, "{name}"));
        }
        let mut table = Table::new(self.header);
        for row in &self.rows {
            table.row(row.iter().cloned());
        }
        table.write(out)
    }
}

/// Lists what the language offers, or the rules.
pub(super) fn list(
    args: &RulesListArgs,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let document = if args.fields {
        fields(args.names_only)
    } else if args.events {
        events()
    } else if args.operators {
        let words: Vec<String> = operators();
        let calls: Vec<&str> = transformers().collect();
        let rows = words.iter().cloned().chain(calls.iter().map(|name| format!("{name}()")));
        let rows = rows.map(|word| vec![word]).collect();
        ListDocument {
            data: json!({ "operators": words, "transformers": calls }),
            header: &[],
            rows,
        }
    } else {
        let sources = given_or_installed(&args.files, global, settings)?;
        rules(&sources)?
    };
    Ok(printer.data(&document)?)
}

fn fields(names_only: bool) -> ListDocument {
    if names_only {
        let rows = listed_fields().map(|field| vec![field.name.to_owned()]).collect();
        return ListDocument { data: field_names(), header: &[], rows };
    }
    let row = |field: &eyas_rules::fields::Field| {
        let list = if field.flags.has(eyas_rules::fields::Flags::LIST) { " list" } else { "" };
        vec![
            format!("{}{}", field.name, field.argument.shape()),
            format!("{}{list}", field.ty.name()),
            field.description.to_owned(),
        ]
    };
    let rows = listed_fields().map(row).collect();
    ListDocument { data: field_classes(), header: &["FIELD", "TYPE", "MEANING"], rows }
}

fn events() -> ListDocument {
    let listed = schema::event_list();
    let rows =
        listed.iter().map(|event| vec![event.name.to_owned(), event.params.join(" ")]).collect();
    ListDocument { data: json!({ "events": listed }), header: &["EVENT", "ARGUMENTS"], rows }
}

fn rules(sources: &[SourceFile]) -> anyhow::Result<ListDocument> {
    let options = EngineOptions::default();
    let outcome = loaded(sources, &options)?;
    let rows = outcome
        .rules
        .iter()
        .map(|compiled| {
            let rule = &outcome.collection.rules[compiled.rule];
            let tags: Vec<&str> = rule.tags.iter().map(String::as_str).collect();
            vec![
                rule.header.name.clone(),
                rule.priority.as_str().to_owned(),
                if compiled.enabled { "yes" } else { "no" }.to_owned(),
                rule.source.clone(),
                tags.join(" "),
            ]
        })
        .collect();
    let header = &["RULE", "PRIORITY", "ENABLED", "SOURCE", "TAGS"];
    Ok(ListDocument { data: describe(&outcome, &options), header, rows })
}

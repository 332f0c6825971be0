//! From files to a rule set: every phase in its order, over one collection.
//!
//! After each file all that is collected so far is compiled, as the documented behaviour asks: a
//! file cannot use what only a later one defines. What no later file touches is compiled once. The first file with an error ends the load; the
//! files behind it are still read for the problems that they have by themselves.
mod compile;
mod conditions;
mod memo;
mod options;
mod select;
pub(crate) mod told;

pub use compile::{CompiledMacro, CompiledRule};
pub use options::EngineOptions;
pub use select::{Selection, is_enabled, metric_name, wildcard_match};

use crate::collect::{Collection, schema_violations, unsatisfied};
use crate::eval::{RuleSet, RuleSetBuilder, RuleSetOptions};
use crate::lint::lint;
use crate::report::{
    Code, FileResult, LoadCode, Location, MOST, Position, Report, Severity, snippet,
};
use crate::source::{FileId, Mark, Place, SourceFile, read};

use compile::Compilation;

/// What came of a load.
#[derive(Debug, Default)]
pub struct LoadOutcome {
    /// The rules, ready to be evaluated; nothing if any file has an error.
    pub rule_set: Option<RuleSet>,
    /// The documented validation results, up to the first file with an error.
    pub results: Vec<FileResult>,
    /// Every problem once: errors first, in the order of the files.
    pub reports: Vec<Report>,
    /// Everything that was collected, for listings and descriptions.
    pub collection: Collection,
    /// The rules as compiled, in order of evaluation, also those that do not run.
    pub rules: Vec<CompiledRule>,
    /// The macros as compiled, in order of definition.
    pub macros: Vec<CompiledMacro>,
}

/// A file of a load that could not be had as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// It cannot be read, and why.
    Unreadable(String),
    /// It is no text, and why.
    NoText(String),
}

impl LoadOutcome {
    /// Ends the load at a file that is not there: what was loaded before it stays told, but no rules
    /// come of it.
    pub fn end_at(&mut self, name: &str, missing: Missing) {
        let (code, load_code, message) = match missing {
            Missing::Unreadable(why) => (Code::Unreadable, LoadCode::ErrFileRead, why),
            Missing::NoText(why) => (Code::NotYaml, LoadCode::ErrYamlParse, why),
        };
        let report = Report {
            severity: Severity::Error,
            code,
            load_code: Some(load_code),
            message,
            hint: None,
            file: name.to_owned(),
            locations: vec![Location {
                item_type: "rules content",
                item_name: String::new(),
                position: Position::of(name, Mark::default()),
            }],
            snippet: String::new(),
            deprecated_field: None,
            place: None,
        };
        if self.results.iter().all(|result| result.successful) {
            self.results.push(FileResult::new(name, None, std::slice::from_ref(&report)));
        }
        let errors = self.reports.iter().take_while(|one| one.severity == Severity::Error);
        self.reports.insert(errors.count(), report);
        self.rule_set = None;
    }
}

/// Loads rules files in order.
pub fn load(files: &[SourceFile], options: &EngineOptions) -> LoadOutcome {
    let (load, last) = Load::all(files, options);
    load.finish(last)
}

/// The errors of rules files that are loaded in order, and the documented results; no errors where
/// [`load`] would give a rule set, which is not built.
pub fn errors(files: &[SourceFile], options: &EngineOptions) -> (Vec<Report>, Vec<FileResult>) {
    let (load, _) = Load::all(files, options);
    let mut errors = once_each(load.kept);
    errors.retain(|report| report.severity == Severity::Error);
    (errors, load.results)
}

struct Load<'f> {
    files: &'f [SourceFile],
    options: &'f EngineOptions,
    collection: Collection,
    results: Vec<FileResult>,
    /// Reports of reading and collecting, and the errors of compiling.
    kept: Vec<Report>,
    failed: bool,
    memo: memo::Memo,
}

impl<'f> Load<'f> {
    /// Takes all files in. Gives the compilation of all, if nothing failed. Not to be copied into both of
    /// its callers: the compiler of rules is large.
    #[inline(never)]
    fn all(files: &'f [SourceFile], options: &'f EngineOptions) -> (Self, Option<Compilation>) {
        let mut load = Self {
            files,
            options,
            collection: Collection::new(&options.sources, options.static_fields.clone()),
            results: Vec::new(),
            kept: Vec::new(),
            failed: false,
            memo: memo::Memo::default(),
        };
        let mut last = None;
        for n in 0..files.len() {
            last = load.file(n).or(last);
        }
        (load, last)
    }

    /// Takes one more file in. Gives the compilation of all so far, if nothing failed before.
    fn file(&mut self, n: usize) -> Option<Compilation> {
        let file = &self.files[n];
        let (mut reports, schema) = match read(FileId(n as u32), &file.text) {
            Ok(documents) => {
                (self.collection.add(file, &documents), Some(schema_violations(&documents)))
            }
            Err(error) => (vec![self.not_yaml(n, &error)], None),
        };
        if self.failed {
            self.kept.append(&mut reports);
            return None;
        }
        self.kept.extend(reports.iter().cloned());
        let mut compilation =
            compile::compile(&self.collection, self.files, self.options, &mut self.memo);
        reports.extend(compilation.reports.iter().cloned());
        until_first_error(&mut reports);
        self.put_plugins_first(&mut reports);
        let result = FileResult::new(&file.name, schema, &reports);
        self.failed = !result.successful;
        self.results.push(result);
        if self.failed {
            self.kept.append(&mut compilation.reports);
            return None;
        }
        Some(compilation)
    }

    /// An unsatisfied requirement on a plugin counts before any other error.
    fn put_plugins_first(&mut self, reports: &mut Vec<Report>) {
        let Some(loaded) = &self.options.plugins else { return };
        for (requirement, why) in unsatisfied(&self.collection.plugins, loaded).into_iter().rev() {
            let report = self.requirement(requirement.place, why);
            self.kept.push(report.clone());
            reports.insert(0, report);
        }
    }

    fn requirement(&self, place: Place, message: String) -> Report {
        let file = &self.files[place.file.0 as usize];
        let at = |item_type| Location {
            item_type,
            item_name: String::new(),
            position: Position::of(&file.name, place.start),
        };
        Report {
            severity: Severity::Error,
            code: Code::PluginVersion,
            load_code: Some(LoadCode::ErrValidate),
            message,
            hint: None,
            file: file.name.clone(),
            locations: vec![at("rules content"), at("required plugin versions entry")],
            snippet: snippet(&file.text, place.start.offset as usize),
            deprecated_field: None,
            place: Some(place),
        }
    }

    fn not_yaml(&self, n: usize, error: &crate::source::SourceError) -> Report {
        let file = &self.files[n];
        let place = Place { file: FileId(n as u32), start: error.at, end: error.at };
        Report {
            severity: Severity::Error,
            code: Code::NotYaml,
            load_code: Some(LoadCode::ErrYamlParse),
            message: error.message.clone(),
            hint: error.hint.clone(),
            file: file.name.clone(),
            locations: vec![Location {
                item_type: "rules content",
                item_name: String::new(),
                position: Position::of(&file.name, error.at),
            }],
            snippet: snippet(&file.text, error.at.offset as usize),
            deprecated_field: None,
            place: Some(place),
        }
    }

    fn finish(self, last: Option<Compilation>) -> LoadOutcome {
        let mut reports = self.kept;
        let mut outcome = LoadOutcome { results: self.results, ..LoadOutcome::default() };
        if let Some(mut last) = last.filter(|_| !self.failed) {
            let room = MOST.saturating_sub(last.reports.len());
            reports.append(&mut last.reports);
            outcome.rule_set = Some(rule_set(&self.collection, &mut last, self.options));
            let matching = self.options.matching;
            reports.append(&mut lint(&self.collection, &last.rules, self.files, matching, room));
            outcome.rules = last.rules;
            outcome.macros = last.macros;
        }
        if self.files.is_empty() {
            outcome.rule_set = Some(RuleSetBuilder::new(set_options(self.options)).build());
        }
        outcome.reports = once_each(reports);
        outcome.collection = self.collection;
        outcome
    }
}

/// What the documented result knows: there, a load ends at the first error.
fn until_first_error(reports: &mut Vec<Report>) {
    if let Some(first) = reports.iter().position(|report| report.severity == Severity::Error) {
        reports.truncate(first + 1);
    }
}

/// Errors first, then by place; the same problem at the same place only once.
fn once_each(mut reports: Vec<Report>) -> Vec<Report> {
    reports.sort_by_key(|report| {
        let place = report.place.unwrap_or_default();
        (report.severity, place.file, place.start.offset)
    });
    let mut seen = std::collections::HashSet::new();
    reports.retain(|report| {
        let place = report.place.unwrap_or_default();
        seen.insert((report.code, place.file, place.start.offset, report.message.clone()))
    });
    reports
}

fn set_options(options: &EngineOptions) -> RuleSetOptions {
    RuleSetOptions { matching: options.matching, iso_time: options.iso_time, style: options.style }
}

fn rule_set(
    collection: &Collection,
    compilation: &mut Compilation,
    options: &EngineOptions,
) -> RuleSet {
    let mut builder = RuleSetBuilder::new(set_options(options));
    for compiled in &mut compilation.rules {
        let rule = &collection.rules[compiled.rule];
        let enabled =
            rule.priority <= options.min_priority && is_enabled(rule, &options.selections);
        compiled.enabled = enabled;
        let about = crate::eval::Rule {
            name: rule.header.name.as_str().into(),
            description: rule.desc.clone(),
            priority: rule.priority.as_str(),
            source: rule.source.as_str().into(),
            tags: rule.tags.iter().cloned().collect(),
            enabled,
            capture: rule.capture,
            capture_duration: rule.capture_duration,
        };
        let output = compiled.output.clone();
        builder.add(about, &compiled.ir, output, compiled.codes, compiled.calls);
    }
    builder.build()
}

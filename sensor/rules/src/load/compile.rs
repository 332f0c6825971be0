//! One compilation: everything that is collected, from texts to checked trees.
use std::collections::{HashMap, HashSet};

use super::conditions::Conditions;
use super::memo::{Kept, Memo};
use super::options::EngineOptions;
use super::told::{Subject, Told};
use crate::check::{CheckError, Ir, Scope, check_with, mistakes};
use crate::collect::{Collection, Macro, Rule, Text};
use crate::expand::{BadValue, Lists, MacroError, Macros, TooLarge, with_exceptions};
use crate::fields::{self, Flags};
use crate::format::{FormatError, RETIRED, RuleOutput, RuleView};
use crate::index::{BROAD, IdSet, event_codes, rule_codes, system_calls};
use crate::report::{Code, LoadCode, Report, Severity, has_room, is_hinted};
use crate::source::SourceFile;
use crate::syntax::ast::{Expr, Operand, Right, Span, TransformArg};
use crate::syntax::canonical;

/// A rule that compiles.
#[derive(Debug, Clone)]
pub struct CompiledRule {
    /// Place of the rule in the collection.
    pub rule: usize,
    /// The condition with lists, exceptions and macros in it.
    pub tree: Expr,
    /// The condition as written, macros still by name.
    pub written: Expr,
    /// The same with its types.
    pub ir: Ir,
    /// The output with all that settings add.
    pub output: RuleOutput,
    /// Event codes the rule is evaluated for.
    pub codes: IdSet,
    /// System calls that can lead to a match.
    pub calls: IdSet,
    /// Names of the macros in the condition, also indirectly.
    pub macros: Vec<String>,
    /// Whether it runs, after priorities and selections.
    pub enabled: bool,
}

impl CompiledRule {
    /// The compiled condition in canonical form.
    pub fn condition(&self) -> String {
        canonical(&self.tree)
    }
}

/// A macro that parses.
#[derive(Debug, Clone)]
pub struct CompiledMacro {
    /// Place of the macro in the collection.
    pub place: usize,
    /// The condition, lists replaced.
    pub written: Expr,
    /// The condition with macros replaced, too.
    pub tree: Option<Expr>,
    /// A rule that compiles uses it, or a macro that such a rule uses.
    pub used: bool,
}

/// What came of it.
pub(super) struct Compilation {
    pub(super) reports: Vec<Report>,
    pub(super) rules: Vec<CompiledRule>,
    pub(super) macros: Vec<CompiledMacro>,
}

/// Compiles a collection.
pub(super) fn compile(
    collection: &Collection,
    files: &[SourceFile],
    options: &EngineOptions,
    memo: &mut Memo,
) -> Compilation {
    let mut compiler = Compiler {
        collection,
        files,
        options,
        lists: Lists::new(collection),
        macros: Macros::default(),
        conditions: Conditions::new(files),
        used: HashSet::new(),
        macro_texts: HashMap::new(),
        memo,
        reports: Vec::new(),
        rules: Vec::new(),
    };
    compiler.parse_macros();
    for place in 0..collection.rules.len() {
        compiler.rule(place);
    }
    // What seems unused beside an error may be used by what the error hides.
    if compiler.reports.iter().all(|report| report.severity != Severity::Error) {
        compiler.unused();
    }
    let macros = compiler.compiled_macros();
    Compilation { reports: compiler.reports, rules: compiler.rules, macros }
}

struct Compiler<'c> {
    collection: &'c Collection,
    files: &'c [SourceFile],
    options: &'c EngineOptions,
    lists: Lists<'c>,
    macros: Macros,
    conditions: Conditions<'c>,
    /// Macros that some macro or compiled rule refers to.
    used: HashSet<String>,
    /// Texts of macros, lists replaced.
    macro_texts: HashMap<String, String>,
    memo: &'c mut Memo,
    reports: Vec<Report>,
    rules: Vec<CompiledRule>,
}

impl<'c> Compiler<'c> {
    fn tell(&mut self, report: Report) {
        if has_room(&self.reports, report.severity) {
            self.reports.push(report);
        }
    }

    fn parse_macros(&mut self) {
        let collection = self.collection;
        for item in &collection.macros {
            let tree = self.macro_tree(item).map_err(|report| self.tell(*report)).ok();
            let header = &item.header;
            if let Some(tree) = &tree {
                add_macro_names(tree, &mut self.used);
            }
            self.macros.add(&header.name, header.index, header.visibility, tree);
        }
        for item in &collection.macros {
            if let Err(error) = self.macros.check(&item.header.name) {
                self.macro_error("macro", &item.header, &error);
            }
        }
    }

    fn macro_tree(&mut self, item: &'c Macro) -> Result<Expr, Box<Report>> {
        let header = &item.header;
        let text = self.lists.replace(&item.condition).map_err(|error| {
            Box::new(Subject { files: self.files, kind: "macro", header }.whole(too_large(&error)))
        })?;
        self.macro_texts.insert(header.name.clone(), text.as_str().to_owned());
        self.conditions.parse("macro", header, text)
    }

    fn rule(&mut self, place: usize) {
        let collection = self.collection;
        let rule = &collection.rules[place];
        if !rule.known_source {
            return;
        }
        self.lists.begin_rule();
        let text = self.text(rule);
        if let Ok(text) = &text
            && self.known(place, rule, text.as_str())
        {
            return;
        }
        let (told, spent) = (self.reports.len(), self.macros.spent());
        let output = self.output(rule);
        if output.is_none() && self.was_skipped() {
            self.lists.take_back();
            return;
        }
        let kept_text =
            text.as_ref().map_or_else(|_| String::new(), |text| text.as_str().to_owned());
        let condition = self.condition(rule, text);
        let (Some(output), Some(condition)) = (output, condition) else { return };
        let Condition { written, tree, macros } = condition;
        self.used.extend(macros.iter().cloned());
        let Some((ir, codes, calls)) = self.checked(rule, &tree) else { return };
        self.deprecated(rule, &tree);
        let compiled = CompiledRule {
            rule: place,
            tree,
            written,
            ir,
            output,
            codes,
            calls,
            macros,
            enabled: false,
        };
        let text_of = |name: &String| Some((name.clone(), self.macro_texts.get(name)?.clone()));
        // Whoever loads a single file has no use for a copy.
        if self.files.len() > 1 {
            let kept = Kept {
                visibility: rule.header.visibility,
                text: kept_text,
                macros: compiled.macros.iter().filter_map(text_of).collect(),
                nodes: self.macros.spent() - spent,
                compiled: compiled.clone(),
                reports: self.reports[told..].to_vec(),
            };
            self.memo.keep(place, kept);
        }
        self.rules.push(compiled);
    }

    /// Takes over what an earlier compilation made of a rule that means the same.
    fn known(&mut self, place: usize, rule: &'c Rule, text: &str) -> bool {
        let Some(kept) = self.memo.find(place, rule, text, &self.macro_texts) else { return false };
        if !self.macros.charge(kept.nodes) {
            return false;
        }
        self.used.extend(kept.compiled.macros.iter().cloned());
        for report in &kept.reports {
            if has_room(&self.reports, report.severity) {
                self.reports.push(report.clone());
            }
        }
        self.rules.push(kept.compiled.clone());
        true
    }

    /// The condition of a rule with exceptions and lists in it.
    fn text(&mut self, rule: &'c Rule) -> Result<Text, Box<Report>> {
        let subject = self.subject(rule);
        let text = with_exceptions(rule).map_err(|error| Box::new(bad_value(subject, &error)))?;
        let replaced = self.lists.replace(&text);
        replaced.map_err(|error| Box::new(subject.whole(too_large(&error))))
    }

    /// The last report is that a rule asked to be dropped.
    fn was_skipped(&self) -> bool {
        self.reports.last().is_some_and(|report| report.code == Code::Skipped)
    }

    fn subject(&self, rule: &'c Rule) -> Subject<'c> {
        Subject { files: self.files, kind: "rule", header: &rule.header }
    }

    fn scope(&self, rule: &'c Rule) -> Scope<'c> {
        Scope { source: &rule.source, statics: &self.options.static_fields }
    }

    fn output(&mut self, rule: &'c Rule) -> Option<RuleOutput> {
        let tags: Vec<String> = rule.tags.iter().cloned().collect();
        let view = RuleView { name: &rule.header.name, source: &rule.source, tags: &tags };
        let entries = &self.options.append_output;
        let text = rule.output.as_str();
        let scope = self.scope(rule);
        let error = match RuleOutput::compile(view, text, entries, scope) {
            Ok(output) if self.macros.charge(output.template().parts()) => {
                return Some(output);
            }
            Ok(_) => {
                self.macro_error("rule", &rule.header, &MacroError::TooLarge(TooLarge::TotalTree));
                return None;
            }
            Err(error) => error,
        };
        let told = output_error(rule, &error);
        let start = error.offset().min(text.len());
        let end = text.len().min(start + 1);
        let part = ["rule output", "rule output expression"];
        self.tell(self.subject(rule).within(told, part, &rule.output, start..end));
        None
    }

    fn condition(&mut self, rule: &'c Rule, text: Result<Text, Box<Report>>) -> Option<Condition> {
        match text.and_then(|text| self.expand_condition(rule, text)) {
            Ok(condition) => condition,
            Err(report) => {
                self.tell(*report);
                None
            }
        }
    }

    fn expand_condition(
        &mut self,
        rule: &'c Rule,
        text: Text,
    ) -> Result<Option<Condition>, Box<Report>> {
        let written = self.conditions.parse("rule", &rule.header, text)?;
        let mut macros = Vec::new();
        match self.macros.expand(&written, &mut macros) {
            Ok(tree) => Ok(tree.map(|tree| Condition { written, tree, macros })),
            Err(error) => {
                self.macro_error("rule", &rule.header, &error);
                Ok(None)
            }
        }
    }

    fn checked(&mut self, rule: &'c Rule, tree: &Expr) -> Option<(Ir, IdSet, IdSet)> {
        let scope = self.scope(rule);
        let sets = |checked| Ok((checked, rule_codes(tree, &rule.source)?, system_calls(tree)?));
        let (checked, codes, calls) =
            match check_with(tree, scope, &self.memo.patterns).and_then(sets) {
                Ok(all) => all,
                Err(error) => {
                    self.mistakes(rule, tree, error);
                    return None;
                }
            };
        for warning in &checked.warnings {
            // To find the place of each in a long condition costs.
            if !has_room(&self.reports, Severity::Warning) {
                break;
            }
            let message = warning.to_string();
            let told = Told::warning(Code::Suspicious, LoadCode::CompileCondition, message)
                .hint(Some(warning.hint()));
            let report = self.conditions.report("rule", &rule.header, told, warning.span());
            self.tell(report);
        }
        let broad = rule.warn_evttypes && rule.source == "syscall";
        if broad && event_codes(tree).is_ok_and(|codes| codes.len() > BROAD) {
            let message = "the condition does not restrict the event types it is evaluated for";
            let told = Told::warning(Code::AnyEvent, LoadCode::NoEvttype, message).hint(Some(
                "add `evt.type in (…)` for the events it is about, or set `warn_evttypes: false`"
                    .to_owned(),
            ));
            let report = self.subject(rule).within(
                told,
                ["rule condition", "condition expression"],
                &rule.condition,
                0..rule.condition.as_str().len(),
            );
            self.tell(report);
        }
        Some((checked.ir, codes, calls))
    }

    /// Every mistake of a condition. The first one decides whether the rule is dropped for it.
    fn mistakes(&mut self, rule: &'c Rule, tree: &Expr, first: CheckError) {
        let drops = |error: &CheckError| rule.skip_if_unknown_filter && error.is_unknown_filter();
        let room = has_room(&self.reports, Severity::Error);
        let all_of = |tree| {
            if room { mistakes(tree, self.scope(rule), &self.memo.patterns) } else { Vec::new() }
        };
        let mut all = if drops(&first) { Vec::new() } else { all_of(tree) };
        all.retain(|error| !drops(error));
        if all.is_empty() {
            all.push(first);
        }
        for error in all {
            if !has_room(&self.reports, Severity::Error) {
                break;
            }
            let told = condition_error(rule, &error, is_hinted(&self.reports));
            let report = self.conditions.report("rule", &rule.header, told, error.span());
            self.tell(report);
        }
    }

    fn deprecated(&mut self, rule: &'c Rule, tree: &Expr) {
        let mut found = Vec::new();
        add_deprecated(tree, &mut found);
        for (name, span) in found {
            let told = deprecated(&name, "the condition");
            let mut report = self.conditions.report("rule", &rule.header, told, span);
            report.deprecated_field = Some(name);
            self.tell(report);
        }
        let output = &rule.output;
        let names = deprecated_fields().chain([RETIRED.trim_start_matches('%')]);
        for name in names.collect::<Vec<_>>() {
            if let Some(at) = output.as_str().find(name) {
                let part = ["rule output", "rule output expression"];
                let told = deprecated(name, "the output");
                let mut report = self.subject(rule).within(told, part, output, at..at + name.len());
                report.deprecated_field = Some(name.to_owned());
                self.tell(report);
            }
        }
    }

    fn macro_error(
        &mut self,
        kind: &'static str,
        header: &'c crate::collect::Header,
        error: &MacroError,
    ) {
        let Some(used) = error.used() else {
            // Everything that uses the first one is too large, too.
            if self.reports.iter().all(|report| report.code != Code::TooLarge) {
                let told = Told::error(Code::TooLarge, LoadCode::ErrValidate, error.to_string());
                self.tell(Subject { files: self.files, kind, header }.whole(told));
            }
            return;
        };
        // The one report about the refused definition, or about the macro whose text has the
        // mistake, is enough.
        let elsewhere = !self.conditions.belongs(used.span.text, kind, &header.name);
        if elsewhere || self.collection.refused.contains(&used.name) {
            return;
        }
        let (code, hint) = match error {
            MacroError::Loop(_) => (Code::MacroLoop, None),
            MacroError::Later { .. } => {
                (Code::UnknownMacro, Some("define it before the macro that uses it".to_owned()))
            }
            _ if !has_room(&self.reports, Severity::Error) => return,
            _ if !is_hinted(&self.reports) => (Code::UnknownMacro, None),
            _ => {
                let meant = crate::report::nearest(&used.name, self.macros.names());
                (Code::UnknownMacro, meant.map(|meant| format!("did you mean `{meant}`?")))
            }
        };
        let told = Told::error(code, LoadCode::ErrValidate, error.to_string()).hint(hint);
        let report = self.conditions.report(kind, header, told, used.span);
        self.tell(report);
    }

    fn unused(&mut self) {
        let collection = self.collection;
        for item in &collection.macros {
            if !self.used.contains(&item.header.name) {
                let message =
                    format!("macro `{}` is not used by any rule or macro", item.header.name);
                let told = Told::warning(Code::UnusedMacro, LoadCode::UnusedMacro, message);
                let header = &item.header;
                let report = Subject { files: self.files, kind: "macro", header }.whole(told);
                self.tell(report);
            }
        }
        let unused: Vec<_> = self.lists.unused().collect();
        for item in unused {
            let message =
                format!("list `{}` is not used by any list, rule or macro", item.header.name);
            let told = Told::warning(Code::UnusedList, LoadCode::UnusedList, message);
            let header = &item.header;
            let report = Subject { files: self.files, kind: "list", header }.whole(told);
            self.tell(report);
        }
    }

    fn compiled_macros(&mut self) -> Vec<CompiledMacro> {
        let names = self.rules.iter().flat_map(|rule| &rule.macros);
        let in_rules: HashSet<String> = names.cloned().collect();
        let mut compiled = Vec::new();
        for (place, item) in self.collection.macros.iter().enumerate() {
            let Some(written) = self.macros.tree(&item.header.name).cloned() else { continue };
            let tree = self.macros.expand(&written, &mut Vec::new()).ok().flatten();
            let used = in_rules.contains(&item.header.name);
            compiled.push(CompiledMacro { place, written, tree, used });
        }
        compiled
    }
}

/// The condition of a rule on its way through the steps.
struct Condition {
    written: Expr,
    tree: Expr,
    macros: Vec<String>,
}

fn too_large(error: &TooLarge) -> Told {
    Told::error(Code::TooLarge, LoadCode::ErrValidate, error.to_string())
}

fn bad_value(subject: Subject<'_>, error: &BadValue) -> Report {
    let told = Told::error(Code::Exception, LoadCode::ErrValidate, error.to_string());
    let place = error.value.as_ref().and_then(|value: &Text| value.place(0..1, subject.files));
    let place = place.unwrap_or(error.place);
    let steps = [
        ("exceptions", "", error.owner),
        ("exception", error.exception.as_str(), error.owner),
        ("exception value", "", place),
    ];
    subject.inside(told, place, &steps)
}

fn condition_error(rule: &Rule, error: &CheckError, hinted: bool) -> Told {
    let hint = hinted.then(|| error.hint()).flatten();
    if rule.skip_if_unknown_filter && error.is_unknown_filter() {
        return skipped(&error.to_string()).hint(hint);
    }
    Told::error(error.code(), LoadCode::ErrCompileCondition, error.to_string()).hint(hint)
}

fn output_error(rule: &Rule, error: &FormatError) -> Told {
    if rule.skip_if_unknown_filter && error.is_unknown_filter() {
        return skipped(&error.to_string());
    }
    let hint = error.hint().map(str::to_owned);
    Told::error(Code::Output, LoadCode::ErrCompileOutput, error.to_string()).hint(hint)
}

fn skipped(why: &str) -> Told {
    Told::warning(Code::Skipped, LoadCode::UnknownFilter, format!("the rule is not loaded: {why}"))
}

fn deprecated(name: &str, place: &str) -> Told {
    let message = format!("{place} uses the deprecated field `{name}`");
    Told::warning(Code::Deprecated, LoadCode::DeprecatedItem, message)
}

fn deprecated_fields() -> impl Iterator<Item = &'static str> {
    fields::FIELDS.iter().filter(|f| f.flags.has(Flags::DEPRECATED)).map(|field| field.name)
}

fn add_macro_names(tree: &Expr, out: &mut HashSet<String>) {
    match tree {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|p| add_macro_names(p, out)),
        Expr::Not(inner) => add_macro_names(inner, out),
        Expr::Check(_) => {}
        Expr::Macro(used) => {
            out.insert(used.name.clone());
        }
    }
}

/// Deprecated fields in a tree, each with its first place.
fn add_deprecated(tree: &Expr, out: &mut Vec<(String, Span)>) {
    match tree {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|p| add_deprecated(p, out)),
        Expr::Not(inner) => add_deprecated(inner, out),
        Expr::Check(check) => {
            deprecated_operand(&check.left, out);
            if let Right::Operand(right) = &check.right {
                deprecated_operand(right, out);
            }
        }
        Expr::Macro(_) => {}
    }
}

fn deprecated_operand(operand: &Operand, out: &mut Vec<(String, Span)>) {
    match operand {
        Operand::Field(field) => {
            let known = out.iter().any(|(name, _)| *name == field.name);
            if !known && deprecated_fields().any(|name| name == field.name) {
                out.push((field.name.clone(), field.span));
            }
        }
        Operand::Transform(call) => deprecated_args(&call.args, out),
    }
}

fn deprecated_args(args: &[TransformArg], out: &mut Vec<(String, Span)>) {
    for arg in args {
        match arg {
            TransformArg::Literal(_) => {}
            TransformArg::List(items, _) => deprecated_args(items, out),
            TransformArg::Operand(operand) => deprecated_operand(operand, out),
        }
    }
}

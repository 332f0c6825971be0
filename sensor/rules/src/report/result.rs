//! The documented validation result of a file, as data and as text.
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::json;

use super::{LoadCode, Location, Report, Severity};

/// The result of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileResult {
    /// The file.
    pub name: String,
    /// It has no error; warnings are allowed.
    pub successful: bool,
    /// Whether it follows the schema; absent if not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_valid: Option<bool>,
    /// Where it does not; absent if not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_warnings: Option<Vec<String>>,
    /// At most one: a load ends at the first.
    pub errors: Vec<Problem>,
    /// In order.
    pub warnings: Vec<Problem>,
}

/// An error or a warning of the documented result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Its code.
    pub code: LoadCode,
    /// What the code means.
    pub codedesc: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub context: Context,
    /// The deprecated field that is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated_field: Option<String>,
}

/// Where a problem is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Context {
    /// From the whole file to the innermost item.
    pub locations: Vec<Location>,
    /// The line and a mark under the column.
    pub snippet: String,
}

impl FileResult {
    /// The result of a file from its reports, in the order in which they were found. `schema` is
    /// the list of schema violations.
    pub fn new(name: &str, schema: Option<Vec<String>>, reports: &[Report]) -> Self {
        let of = |severity| reports.iter().filter(move |report| report.severity == severity);
        let errors: Vec<Problem> = of(Severity::Error).filter_map(problem).take(1).collect();
        Self {
            name: name.to_owned(),
            successful: errors.is_empty(),
            schema_valid: schema.as_ref().map(Vec::is_empty),
            schema_warnings: schema,
            errors,
            warnings: of(Severity::Warning).filter_map(problem).collect(),
        }
    }

    /// The schema status in one line.
    pub fn schema_status(&self) -> String {
        match self.schema_warnings.as_deref() {
            None => "none".to_owned(),
            Some([]) => "ok".to_owned(),
            Some([first, ..]) => first.clone(),
        }
    }
}

fn problem(report: &Report) -> Option<Problem> {
    let code = report.load_code?;
    let message = match &report.hint {
        Some(hint) => format!("{} ({hint})", report.message),
        None => report.message.clone(),
    };
    Some(Problem {
        code,
        codedesc: code.title(),
        message,
        context: Context { locations: report.locations.clone(), snippet: report.snippet.clone() },
        deprecated_field: report.deprecated_field.clone(),
    })
}

/// The results of a validation as the documented JSON object.
pub fn results_json(results: &[FileResult]) -> serde_json::Value {
    json!({ "falco_load_results": results })
}

/// The result of one file in the documented text form; one line when there is nothing to tell.
pub fn result_text(result: &FileResult) -> String {
    let mut out = format!("{}: ", result.name);
    out.push_str(match (result.successful, result.warnings.is_empty()) {
        (true, true) => "Ok",
        (true, false) => "Ok, with warnings",
        (false, _) => "Invalid",
    });
    out.push('\n');
    section(&mut out, result.errors.len(), "Error", &result.errors);
    section(&mut out, result.warnings.len(), "Warning", &result.warnings);
    out
}

fn section(out: &mut String, count: usize, name: &str, problems: &[Problem]) {
    if count == 0 {
        return;
    }
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{count} {name}{}:", if count == 1 { "" } else { "s" });
    for problem in problems {
        for location in &problem.context.locations {
            let Location { item_type, item_name, position } = location;
            let named =
                if item_name.is_empty() { String::new() } else { format!(" '{item_name}'") };
            let (line, column) = (position.line, position.column);
            let _ = writeln!(out, "In {item_type}{named}: ({}:{line}:{column})", position.name);
        }
        if !problem.context.snippet.is_empty() {
            let rule = "------";
            let _ = writeln!(out, "{rule}\n{}\n{rule}", problem.context.snippet);
        }
        let code = problem.code;
        let _ = writeln!(out, "{} ({}): {}", code.as_str(), problem.codedesc, problem.message);
    }
}

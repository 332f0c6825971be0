//! `eyas sensor validate`: whether the running sensor would take rules files.

use std::io::{self, Write};
use std::path::Path;

use eyas_control::{Candidate, RulesText, Validate, ValidateReport};
use eyas_ops::Class;
use serde::Serialize;

use super::asked;
use crate::args::SensorValidateArgs;
use crate::exit::Failure;
use crate::printer::{Document, Printer};

/// Sends the files' text; the sensor itself opens nothing.
pub(super) fn run(args: &SensorValidateArgs, path: &Path, printer: &Printer) -> anyhow::Result<()> {
    let mut texts = Vec::new();
    for file in &args.files {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::usage(format!("cannot read `{name}`: {error}")))?;
        texts.push(RulesText { name, text });
    }
    let candidate = Candidate::Files(texts);
    let report = asked(path, |client| client.validate(Validate { candidate }))?;
    let accepted = report.accepted;
    printer.data(&ValidateDocument(report))?;
    if accepted {
        return Ok(());
    }
    let message = "the sensor would refuse these rules".to_owned();
    Err(Failure { class: Class::Validation, message, hint: None }.into())
}

#[derive(Serialize)]
struct ValidateDocument(ValidateReport);

impl Document for ValidateDocument {
    const KIND: &'static str = "sensor.validate";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let ValidateReport { accepted, rules, reports } = &self.0;
        for report in reports {
            writeln!(out, "{}\n", report.text)?;
        }
        if *accepted {
            let (loaded, enabled) = (rules.loaded, rules.enabled);
            writeln!(out, "the sensor would take them: {loaded} rules, {enabled} enabled")?;
        }
        Ok(())
    }
}

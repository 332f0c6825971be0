//! `eyas probe …`.

use std::fs;
use std::io::{self, Write};

use eyas_artifact::Digest;
use eyas_ops::{Class, OpsError};
use eyas_probe::Program;
use serde::Serialize;

use crate::args::{Probe, ProbeCheckArgs};
use crate::exit::Failure;
use crate::judge::MAX_PROBE_BYTES;
use crate::printer::{Document, Printer};

/// Runs a `probe` command.
pub(super) fn run(command: &Probe, printer: &Printer) -> anyhow::Result<()> {
    match command {
        Probe::Check(args) => check(args, printer),
    }
}

/// What this machine supports. The document is printed whether a probe would run or not; the exit code tells.
fn check(args: &ProbeCheckArgs, printer: &Printer) -> anyhow::Result<()> {
    let object = match &args.object {
        Some(path) => {
            let unreadable = |source| OpsError::Input { path: path.clone(), source };
            let size = fs::metadata(path).map_err(unreadable)?.len();
            if size > MAX_PROBE_BYTES {
                let shown = path.display();
                return Err(Failure::usage(format!(
                    "`{shown}` has {size} bytes, more than {MAX_PROBE_BYTES}: this is no probe object"
                ))
                .into());
            }
            fs::read(path).map_err(unreadable)?
        }
        None => eyas_probe::embedded().to_vec(),
    };
    let source = args.object.as_ref().map_or("built in".to_owned(), |p| p.display().to_string());
    let found = eyas_probe::examine(&object);
    let (programs, refusal) = match found.verdict {
        Ok(programs) => (programs, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    printer.data(&CheckDocument {
        source,
        digest: Digest::sha256(&object).to_string(),
        runs: refusal.is_none(),
        reason: refusal.as_ref().map(ToString::to_string),
        findings: found.findings.iter().map(Line::of).collect(),
        programs: programs.iter().map(Verified::of).collect(),
    })?;
    match refusal {
        None => Ok(()),
        Some(error) => {
            let hint = error.hint().map(str::to_owned);
            let message = "no probe can run on this machine".to_owned();
            Err(Failure { class: Class::Failed, message, hint }.into())
        }
    }
}

/// What was found.
#[derive(Debug, Serialize)]
struct CheckDocument {
    source: String,
    digest: String,
    runs: bool,
    reason: Option<String>,
    findings: Vec<Line>,
    programs: Vec<Verified>,
}

#[derive(Debug, Serialize)]
struct Line {
    what: &'static str,
    state: &'static str,
    found: String,
}

impl Line {
    fn of(finding: &eyas_probe::Finding) -> Self {
        Self { what: finding.what, state: finding.state.word(), found: finding.found.clone() }
    }
}

/// A program and what the kernel's verifier spent on it.
#[derive(Debug, Serialize)]
struct Verified {
    name: String,
    verified_instructions: Option<u32>,
}

impl Verified {
    fn of(program: &Program) -> Self {
        Self { name: program.name.clone(), verified_instructions: program.verified_instructions }
    }
}

impl Document for CheckDocument {
    const KIND: &'static str = "probe.check";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let widest = self.findings.iter().map(|line| line.what.len()).max().unwrap_or(0);
        for Line { what, state, found } in &self.findings {
            let mut lines = found.lines();
            let first = lines.next().unwrap_or_default();
            writeln!(out, "{what:<widest$}  {state:<10}  {first}")?;
            for line in lines {
                writeln!(out, "{:<widest$}  {:<10}  {line}", "", "")?;
            }
        }
        writeln!(out)?;
        match &self.reason {
            None => writeln!(
                out,
                "the probe `{}` ({}) would run: BTF tracepoints, a ring buffer for each CPU",
                self.source, self.digest
            ),
            Some(reason) => writeln!(out, "the probe `{}` would not run: {reason}", self.source),
        }
    }
}

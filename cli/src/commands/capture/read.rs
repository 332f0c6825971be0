//! `eyas capture read`: one line per event, or how many there are of each type.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::ControlFlow;

use eyas_capture::{Ctx, Limits, Replay, Visitor};
use eyas_rules::Scratch;
use eyas_rules::check::Scope;
use eyas_rules::compile::{self, FilterError, Program};
use eyas_rules::fields::{Facts as _, FieldArg, FieldId, StaticFields};
use eyas_rules::format::{FieldJson, Style, Template};
use eyas_rules::index::{IdSet, event_codes, schema};
use serde::Serialize;

use super::{damaged, open};
use crate::args::CaptureReadArgs;
use crate::exit::Failure;
use crate::printer::{Document, Printer, Table};

/// What is printed of an event unless something else is asked for.
const FORMAT: &str =
    "*%evt.num %evt.time %evt.cpu %proc.name (%thread.tid) %evt.dir %evt.type %evt.args";
/// Bytes that are put together before they are written.
const CHUNK: usize = 64 * 1024;

/// Events by type.
#[derive(Serialize)]
struct CountDocument {
    events: u64,
    types: BTreeMap<String, u64>,
}

impl Document for CountDocument {
    const KIND: &'static str = "capture.count";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut rows: Vec<_> = self.types.iter().collect();
        rows.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let mut table = Table::new(&["events", "type"]);
        for (name, count) in rows {
            table.row([count.to_string(), name.clone()]);
        }
        table.write(out)?;
        writeln!(out, "{} events", self.events)
    }
}

/// What is done with the events that match.
enum Shown {
    Lines(Template),
    Json(Template),
    Counts(BTreeMap<String, u64>),
}

/// Looks at every event, prints those that match.
struct Printing<'p> {
    printer: &'p Printer,
    filter: Option<Program>,
    codes: IdSet,
    scratch: Scratch,
    shown: Shown,
    out: Vec<u8>,
    matched: u64,
    left: u64,
    failed: Option<io::Error>,
}

impl Printing<'_> {
    fn flush(&mut self) {
        if let Err(error) = self.printer.bytes(&self.out) {
            self.failed = Some(error);
        }
        self.out.clear();
    }

    fn show(&mut self, ctx: &Ctx<'_>) {
        match &mut self.shown {
            Shown::Counts(types) => {
                let name = type_name(ctx);
                match types.get_mut(&name) {
                    Some(count) => *count += 1,
                    None => drop(types.insert(name, 1)),
                }
            }
            Shown::Lines(template) => {
                let line = template.render(ctx, Style::default());
                if !line.complete {
                    return;
                }
                self.out.extend_from_slice(&line.text);
                self.out.push(b'\n');
            }
            Shown::Json(template) => {
                let fields: BTreeMap<&str, FieldJson> = template
                    .fields()
                    .iter()
                    .map(|field| (field.key(), field.json(ctx, Style::default())))
                    .collect();
                // Keys are texts and numbers finite or null: this does not fail.
                self.out.extend(serde_json::to_vec(&fields).unwrap_or_default());
                self.out.push(b'\n');
            }
        }
        self.matched += 1;
        self.left -= 1;
    }

    fn flow(&self) -> ControlFlow<()> {
        if self.left == 0 || self.failed.is_some() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

impl Visitor for Printing<'_> {
    fn wants(&self, code: u16) -> bool {
        self.left > 0 && self.codes.contains(code)
    }

    fn event(&mut self, ctx: &Ctx<'_>) {
        let Self { filter, scratch, .. } = self;
        if filter.as_ref().is_none_or(|filter| filter.matches(ctx, scratch)) {
            self.show(ctx);
        }
        if self.out.len() >= CHUNK {
            self.flush();
        }
    }
}

/// Prints or counts the events of a capture. What comes before damage is printed before it is told.
pub(super) fn read(args: &CaptureReadArgs, printer: &Printer) -> anyhow::Result<()> {
    let (filter, codes) = filter_of(&args.filter.join(" "))?;
    let shown = shown(args, printer)?;
    let mut printing = Printing {
        printer,
        filter,
        codes,
        scratch: Scratch::new(),
        shown,
        out: Vec::new(),
        matched: 0,
        left: args.limit.unwrap_or(u64::MAX),
        failed: None,
    };
    let told = |error| damaged(&args.file, &error);
    let mut replay = Replay::new(open(&args.file)?, Limits::default()).map_err(told)?;
    let ended = loop {
        match replay.step(&mut printing) {
            Ok(true) if printing.flow().is_continue() => {}
            Ok(_) => break Ok(()),
            Err(error) => break Err(told(error)),
        }
    };
    printing.flush();
    if let Some(error) = printing.failed {
        return Err(error.into());
    }
    if let Shown::Counts(types) = printing.shown {
        printer.data(&CountDocument { events: printing.matched, types })?;
    }
    ended
}

fn shown(args: &CaptureReadArgs, printer: &Printer) -> anyhow::Result<Shown> {
    if args.count {
        return Ok(Shown::Counts(BTreeMap::new()));
    }
    let format = args.format.as_deref().unwrap_or(FORMAT);
    let statics = StaticFields::new();
    let scope = Scope { source: "syscall", statics: &statics };
    let template = Template::compile(format, scope).map_err(|error| {
        let failure = Failure::usage(format!("`{format}` is no format: {error}"));
        match error.hint() {
            Some(hint) => failure.with_hint(hint),
            None => failure.with_hint("`eyas rules list --fields` lists the fields"),
        }
    })?;
    Ok(if args.json || printer.is_json() { Shown::Json(template) } else { Shown::Lines(template) })
}

/// A condition and the events that it can match; all of them without one.
fn filter_of(text: &str) -> anyhow::Result<(Option<Program>, IdSet)> {
    if text.trim().is_empty() {
        return Ok((None, schema::all_codes()));
    }
    let (program, expr) = compile::filter(text).map_err(|FilterError { message, hint }| {
        let failure = Failure::usage(format!("`{text}` is no condition: {message}"));
        match hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    })?;
    // Where the types do not follow from the condition, every event may match.
    let codes = event_codes(&expr).unwrap_or_else(|_| schema::all_codes());
    Ok((Some(program), codes))
}

fn type_name(ctx: &Ctx<'_>) -> String {
    let name = ctx.value(FieldId::EvtType, FieldArg::None);
    let bytes = name.as_ref().and_then(|name| name.as_bytes()).unwrap_or(b"<NA>");
    String::from_utf8_lossy(bytes).into_owned()
}

//! How fast a large capture is replayed: events per second on one core and the memory that takes, with
//! no rules, with one condition, with lines of few and of many events, and with all rules that are given.
//!
//! Captures and rules are not part of the repository: `EYAS_SHARED` names the folder that has them. The
//! large capture is made of a given one by repeating its events, later each time. With `SYSDIG` naming the
//! program of that name, the same files are read with the same conditions by it as well: with its switch `-d`,
//! which keeps state of all events and then looks at the condition as is done here, and without, when it forgets
//! what events that do not match would have told.

#![allow(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints a table and stops at what is wrong"
)]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use eyas_capture::{Ctx, Item, Limits, Reader, Replay, Visitor};
use eyas_rules::check::Scope;
use eyas_rules::compile::{Program, compile};
use eyas_rules::fields::StaticFields;
use eyas_rules::format::{Style, Template};
use eyas_rules::index::{IdSet, event_codes};
use eyas_rules::syntax::{self, parse};
use eyas_rules::{EngineOptions, RuleSet, Scratch, SourceFile, load};

/// Events of the large capture, about.
const EVENTS: u64 = 3_000_000;
/// Captures that are made large, the first for sysdig too.
const CAPTURES: [&str; 3] = ["sf-mpm-worker-full", "bencer-502error", "rec-fs"];
/// What is looked for when it is one condition, which few events fulfil.
const FEW: &str = "evt.type in (open, openat) and evt.is_open_read=true and \
                   fd.name startswith /etc and not proc.name in (httpd, curl)";
/// One that a third of them fulfils.
const MANY: &str = "evt.type in (read, write, open, close)";
/// What both print of an event unless told otherwise.
const FORMAT: &str =
    "*%evt.num %evt.time %evt.cpu %proc.name (%thread.tid) %evt.dir %evt.type %evt.args";

struct Nothing;

impl Visitor for Nothing {
    fn wants(&self, _: u16) -> bool {
        false
    }
    fn event(&mut self, _: &Ctx<'_>) {}
}

struct Condition {
    program: Program,
    codes: IdSet,
    scratch: Scratch,
    matches: u64,
}

impl Visitor for Condition {
    fn wants(&self, code: u16) -> bool {
        self.codes.contains(code)
    }
    fn event(&mut self, ctx: &Ctx<'_>) {
        self.matches += u64::from(self.program.matches(ctx, &mut self.scratch));
    }
}

/// Lines of the events that match, as they are printed.
struct Lines {
    condition: Condition,
    template: Template,
    out: BufWriter<File>,
}

impl Visitor for Lines {
    fn wants(&self, code: u16) -> bool {
        self.condition.wants(code)
    }
    fn event(&mut self, ctx: &Ctx<'_>) {
        let before = self.condition.matches;
        self.condition.event(ctx);
        if self.condition.matches > before {
            let mut line = self.template.render(ctx, Style::default()).text;
            line.push(b'\n');
            self.out.write_all(&line).unwrap();
        }
    }
}

struct Rules {
    set: RuleSet,
    codes: IdSet,
    scratch: Scratch,
    matches: u64,
}

impl Visitor for Rules {
    fn wants(&self, code: u16) -> bool {
        self.codes.contains(code)
    }
    fn event(&mut self, ctx: &Ctx<'_>) {
        self.matches += self.set.eval(ctx, &mut self.scratch).len() as u64;
    }
}

fn main() {
    let Some(shared) = std::env::var_os("EYAS_SHARED").map(PathBuf::from) else {
        println!("skipped: `EYAS_SHARED` names no folder with captures");
        return;
    };
    println!(
        "{:<26} {:<22} {:>10} {:>8} {:>12} {:>10}",
        "capture", "with", "events", "seconds", "events/s", "matches"
    );
    for (place, name) in CAPTURES.into_iter().enumerate() {
        let large = std::env::temp_dir().join(format!("eyas-bench-{name}.scap"));
        let events = enlarge(&shared.join(format!("captures/{name}.scap")), &large);
        row(name, "state alone", events, &large, &mut Nothing, |_| 0);
        row(name, "one condition", events, &large, &mut condition(FEW), |c| c.matches);
        row(name, "all rules", events, &large, &mut rules(&shared), |r| r.matches);
        if place == 0 {
            beside_sysdig(name, events, &large);
            let packed = pack(&large);
            beside_sysdig(&format!("{name}, gzip"), events, &packed);
            let _ = fs::remove_file(&packed);
        }
        let _ = fs::remove_file(&large);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: not known");
    println!("peak memory of all of this: {}", peak.trim_start_matches("VmHWM:").trim());
}

fn row<V: Visitor>(
    name: &str,
    with: &str,
    events: u64,
    large: &Path,
    visitor: &mut V,
    matches: impl Fn(&V) -> u64,
) {
    let start = processor_seconds();
    let mut replay = Replay::new(File::open(large).unwrap(), Limits::default()).unwrap();
    replay.run(visitor).unwrap();
    assert_eq!(replay.counts().events, events);
    print_row(name, with, events, processor_seconds() - start, matches(visitor));
}

/// Processor time of this process and of those it waited for: others may have much to do meanwhile.
fn processor_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let columns = text.rsplit(')').next().unwrap().split_whitespace();
    // Four numbers from the fourteenth column on, in ticks of a hundredth of a second.
    columns.skip(11).take(4).map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

fn print_row(name: &str, with: &str, events: u64, seconds: f64, matches: u64) {
    let rate = events as f64 / seconds;
    println!("{name:<26} {with:<22} {events:>10} {seconds:>8.2} {rate:>12.0} {matches:>10}");
}

/// Writes the tables of a capture once and its events again and again; gives how many there are.
fn enlarge(from: &Path, to: &Path) -> u64 {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut plain(from), &mut bytes).unwrap();
    let mut reader = Reader::new(std::io::Cursor::new(bytes.clone())).unwrap();
    let (mut first, mut last) = (None, 0);
    let mut times = Vec::new();
    loop {
        let offset = reader.offset() as usize;
        match reader.next_item().unwrap() {
            None => break,
            Some(Item::Event(event)) => {
                let first = *first.get_or_insert(offset);
                times.push((offset - first + time_at(&bytes[offset..]), event.time));
            }
            Some(_) => {}
        }
        last = reader.offset() as usize;
    }
    let first = first.unwrap();
    let mut repeated = bytes[first..last].to_vec();
    let known = times.iter().map(|(_, time)| *time).filter(|time| *time > 0);
    let span = known.clone().max().unwrap() - known.min().unwrap() + 10_000_000_000;
    let events = times.len() as u64;
    let rounds = EVENTS.div_ceil(events);
    let mut out = BufWriter::new(File::create(to).unwrap());
    out.write_all(&bytes[..first]).unwrap();
    for round in 0..rounds {
        for (at, time) in times.iter().filter(|(_, time)| *time > 0) {
            let later = time + round * span;
            repeated[*at..at + 8].copy_from_slice(&later.to_le_bytes());
        }
        out.write_all(&repeated).unwrap();
    }
    out.flush().unwrap();
    rounds * events
}

/// Where the time stands in a block of an event: behind frame, processor and, in some kinds, marks.
fn time_at(block: &[u8]) -> usize {
    let kind = u32::from_le_bytes(*block.first_chunk().unwrap());
    if matches!(kind, 0x208 | 0x217 | 0x222) { 14 } else { 10 }
}

fn plain(path: &Path) -> Box<dyn std::io::Read> {
    let bytes = fs::read(path).unwrap();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Box::new(flate2::read::MultiGzDecoder::new(std::io::Cursor::new(bytes)));
    }
    Box::new(std::io::Cursor::new(bytes))
}

fn condition(text: &str) -> Condition {
    let statics = StaticFields::new();
    let scope = Scope { source: "syscall", statics: &statics };
    let expr = parse(text, syntax::Limits::filter()).unwrap();
    let (program, _) = compile(&expr, scope).unwrap();
    Condition { program, codes: event_codes(&expr).unwrap(), scratch: Scratch::new(), matches: 0 }
}

fn rules(shared: &Path) -> Rules {
    let files: Vec<SourceFile> = ["falco_rules.yaml", "falco-incubating_rules.yaml"]
        .iter()
        .map(|name| {
            let path = shared.join("upstream-rules").join(name);
            SourceFile { name: (*name).to_owned(), text: fs::read_to_string(path).unwrap() }
        })
        .collect();
    let rules = load(&files, &EngineOptions::default()).rule_set.unwrap();
    let codes = rules.event_codes();
    Rules { set: rules, codes, scratch: Scratch::new(), matches: 0 }
}

/// Lines of few and of many events, here and by another program, if there is one.
fn beside_sysdig(name: &str, events: u64, large: &Path) {
    for (what, text) in [("few", FEW), ("many", MANY)] {
        let statics = StaticFields::new();
        let scope = Scope { source: "syscall", statics: &statics };
        let template = Template::compile(FORMAT, scope).unwrap();
        let out = BufWriter::new(File::create("/dev/null").unwrap());
        let mut lines = Lines { condition: condition(text), template, out };
        row(name, &format!("lines of {what}"), events, large, &mut lines, |l| l.condition.matches);
        sysdig(name, &format!("{what}, sysdig -d"), events, large, text, true);
        sysdig(name, &format!("{what}, sysdig"), events, large, text, false);
    }
}

fn pack(large: &Path) -> PathBuf {
    let path = large.with_extension("gz.scap");
    let file = File::create(&path).unwrap();
    let mut out = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    std::io::copy(&mut File::open(large).unwrap(), &mut out).unwrap();
    out.finish().unwrap();
    path
}

/// The same condition by another program. What it prints is thrown away, as ours is, and counted in a run that
/// is not timed.
fn sysdig(name: &str, what: &str, events: u64, large: &Path, condition: &str, state_first: bool) {
    let Some(program) = std::env::var_os("SYSDIG") else { return };
    let run = |out: Stdio| {
        let mut command = Command::new("timeout");
        command.arg("120").arg(&program).arg("-r").arg(large);
        command.args(state_first.then_some("-d")).arg(format!("{condition} and evt.dir=<"));
        command.stdout(out).stderr(Stdio::null()).spawn().unwrap()
    };
    let start = processor_seconds();
    let ended = run(Stdio::null()).wait().unwrap();
    let seconds = processor_seconds() - start;
    let mut counted = run(Stdio::piped());
    let lines = BufReader::new(counted.stdout.take().unwrap()).split(b'\n').count() as u64;
    counted.wait().unwrap();
    let what = if ended.success() { what } else { "sysdig broke off" };
    print_row(name, what, events, seconds, lines);
}

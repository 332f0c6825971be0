//! How fast a large capture is replayed: events per second on one core and the memory that takes, with
//! no rules, with one condition, and with all rules that are given.
//!
//! Captures and rules are not part of the repository: `EYAS_SHARED` names the folder that has them. The
//! large capture is made of a given one by repeating its events. With `SYSDIG` naming the program of that
//! name, the same file is read with the same condition by it as well.

#![allow(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints a table and stops at what is wrong"
)]

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use eyas_capture::{Ctx, Item, Limits, Reader, Replay, Visitor};
use eyas_rules::check::Scope;
use eyas_rules::compile::{Program, compile};
use eyas_rules::fields::StaticFields;
use eyas_rules::index::{IdSet, event_codes};
use eyas_rules::syntax::{self, parse};
use eyas_rules::{EngineOptions, RuleSet, Scratch, SourceFile, load};

/// Events of the large capture, about.
const EVENTS: u64 = 3_000_000;
/// Captures that are made large, the first for sysdig too.
const CAPTURES: [&str; 3] = ["sf-mpm-worker-full", "bencer-502error", "rec-fs"];
/// What is looked for when it is one condition.
const CONDITION: &str = "evt.type in (open, openat) and evt.is_open_read=true and \
                         fd.name startswith /etc and not proc.name in (httpd, curl)";

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
        "{:<20} {:<22} {:>10} {:>8} {:>12} {:>10}",
        "capture", "with", "events", "seconds", "events/s", "matches"
    );
    for (place, name) in CAPTURES.into_iter().enumerate() {
        let large = std::env::temp_dir().join(format!("eyas-bench-{name}.scap"));
        let events = enlarge(&shared.join(format!("captures/{name}.scap")), &large);
        row(name, "state alone", events, &large, &mut Nothing, |_| 0);
        row(name, "one condition", events, &large, &mut condition(), |c| c.matches);
        row(name, "all rules", events, &large, &mut rules(&shared), |r| r.matches);
        if place == 0 {
            sysdig(name, events, &large);
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
    println!("{name:<20} {with:<22} {events:>10} {seconds:>8.2} {rate:>12.0} {matches:>10}");
}

/// Writes the tables of a capture once and its events again and again; gives how many there are.
fn enlarge(from: &Path, to: &Path) -> u64 {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut plain(from), &mut bytes).unwrap();
    let mut reader = Reader::new(std::io::Cursor::new(bytes.clone())).unwrap();
    let (mut first, mut last, mut events) = (None, 0, 0);
    loop {
        let offset = reader.offset() as usize;
        match reader.next_item().unwrap() {
            None => break,
            Some(Item::Event(_)) => {
                first.get_or_insert(offset);
                events += 1;
            }
            Some(_) => {}
        }
        last = reader.offset() as usize;
    }
    let first = first.unwrap();
    let times = EVENTS.div_ceil(events);
    let mut out = BufWriter::new(File::create(to).unwrap());
    out.write_all(&bytes[..first]).unwrap();
    for _ in 0..times {
        out.write_all(&bytes[first..last]).unwrap();
    }
    out.flush().unwrap();
    times * events
}

fn plain(path: &Path) -> Box<dyn std::io::Read> {
    let bytes = fs::read(path).unwrap();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Box::new(flate2::read::MultiGzDecoder::new(std::io::Cursor::new(bytes)));
    }
    Box::new(std::io::Cursor::new(bytes))
}

fn condition() -> Condition {
    let statics = StaticFields::new();
    let scope = Scope { source: "syscall", statics: &statics };
    let expr = parse(CONDITION, syntax::Limits::filter()).unwrap();
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

/// The same condition by another program, if there is one.
fn sysdig(name: &str, events: u64, large: &Path) {
    let Some(program) = std::env::var_os("SYSDIG") else { return };
    let start = processor_seconds();
    let run = Command::new("timeout")
        .arg("120")
        .arg(program)
        .args(["-r"])
        .arg(large)
        .args(["-d", "-p", "%evt.num", &format!("{CONDITION} and evt.dir=<")])
        .stderr(Stdio::null())
        .output();
    let Ok(output) = run else { return };
    let matches = String::from_utf8_lossy(&output.stdout).lines().count() as u64;
    let what = if output.status.success() { "one condition, sysdig" } else { "sysdig broke off" };
    print_row(name, what, events, processor_seconds() - start, matches);
}

//! Values of fields on every event.

use std::collections::BTreeMap;

use eyas_rules::check::Scope;
use eyas_rules::fields::StaticFields;
use eyas_rules::format::{FieldJson, Style, Template};
use eyas_state::Ctx;
use serde_json::Value as Json;

use crate::inputs::Capture;

/// What both generations agree on, on every event of every capture.
const HARD: &[&str] = &[
    "evt.dir",
    "evt.is_open_write",
    "evt.rawtime",
    "evt.type",
    "proc.aname[2]",
    "proc.args",
    "proc.cmdline",
    "proc.exe",
    "proc.exeline",
    "proc.exepath",
    "proc.loginshellid",
    "proc.name",
    "proc.sid",
    "thread.tid",
];

/// Fields that differ from the newer generation, on at most so many of a thousand events, and why.
const LISTED: &[(&str, u64, &str)] = &[
    ("evt.abspath", 1, "the reference takes AT_FDCWD for an unknown descriptor"),
    ("evt.args", 1000, "the reference prints numbers differently in its JSON mode"),
    ("evt.buffer", 20, "the reference prints what was in its buffer before for empty data"),
    ("evt.buflen", 160, "the reference gives it for events that move no data"),
    ("evt.deltatime", 1000, "the reference counts from the last time the field was asked for"),
    ("evt.hostname", 1000, "the reference gives the name of the machine that replays"),
    ("evt.io_dir", 1, "`copy_file_range` reads and writes"),
    ("evt.res", 1, "the reference has no name for ENOSYS"),
    ("fd.connected", 1, "a datagram socket is connected by its first message or its second"),
    ("fd.ino", 1, "a pidfd keeps what it stands for"),
    ("fd.is_server", 2, "the reference reads the address of a socket that has none"),
    ("fd.lip", 1, "all of 127.0.0.0/8 is this machine's"),
    ("fd.lport", 1, "all of 127.0.0.0/8 is this machine's"),
    ("fd.name", 2, "a call that got no socket has none to name"),
    ("fd.name_changed", 130, "a name that is new is not a name that changed"),
    ("fd.nameraw", 120, "only paths are written by somebody"),
    ("fd.rip", 1, "all of 127.0.0.0/8 is this machine's"),
    ("fd.rport", 1, "all of 127.0.0.0/8 is this machine's"),
    ("fd.sip", 1, "any address of IPv6 is not that of IPv4"),
    ("fd.typechar", 3, "a file that could not be opened is one"),
    ("fs.path.name", 1, "the reference takes AT_FDCWD for an unknown descriptor"),
    ("fs.path.source", 1, "the reference takes AT_FDCWD for an unknown descriptor"),
    ("fs.path.target", 1, "the reference takes AT_FDCWD for an unknown descriptor"),
    (
        "group.gid",
        10,
        "the reference takes an id of all ones, which leaves the old one, for a new one",
    ),
    (
        "group.name",
        10,
        "the reference takes an id of all ones, which leaves the old one, for a new one",
    ),
    ("proc.fdopencount", 1000, "descriptors are not counted"),
    ("proc.nthreads", 5, "a thread that ends is counted until it has"),
    ("proc.pcmdline", 20, "an argument may be empty"),
    ("proc.ppid.duration", 400, "when a listed process was made is not known"),
    (
        "proc.sname",
        500,
        "session leaders are looked for among ancestors where ids are a container's",
    ),
    ("thread.ismain", 40, "nothing is known of the thread of a context switch"),
    ("user.homedir", 10, "ids that are not in the capture are not looked up elsewhere"),
    ("user.name", 10, "ids that are not in the capture are not looked up elsewhere"),
    ("user.shell", 10, "ids that are not in the capture are not looked up elsewhere"),
    (
        "user.uid",
        10,
        "the reference takes an id of all ones, which leaves the old one, for a new one",
    ),
];

/// How often a field was compared and differed, with the first place.
#[derive(Default)]
struct Tally {
    compared: u64,
    differed: u64,
    first: String,
}

type Fields = Vec<(String, Template)>;

fn fields(names: impl Iterator<Item = String>) -> Fields {
    let statics = StaticFields::new();
    let scope = Scope { source: "syscall", statics: &statics };
    names
        .filter_map(|name| {
            let template = Template::compile(&format!("*%{name}"), scope).ok()?;
            Some((name, template))
        })
        .collect()
}

fn compare(
    name: &str,
    fields: &Fields,
    ctx: &Ctx<'_>,
    line: &Json,
    into: &mut BTreeMap<String, Tally>,
) {
    for (field, template) in fields {
        let found = json(&template.fields()[0].json(ctx, Style::default()));
        let expected = &line[field.as_str()];
        let tally = into.entry(field.clone()).or_default();
        tally.compared += 1;
        if &found != expected {
            tally.differed += 1;
            if tally.differed == 1 {
                let at = format!("{name} #{} {}", ctx.number(), line["evt.type"]);
                tally.first = format!("{at}: found {found}, expected {expected}");
            }
        }
    }
}

fn json(value: &FieldJson) -> Json {
    serde_json::to_value(value).unwrap()
}

/// What differs more often than is listed.
fn unlisted(tallies: &BTreeMap<String, Tally>, listed: &[(&str, u64, &str)]) -> Vec<String> {
    tallies
        .iter()
        .filter_map(|(field, tally)| {
            let allowed = listed.iter().find(|(name, ..)| name == field).map_or(0, |(_, n, _)| *n);
            let too_many = tally.differed * 1000 > tally.compared * allowed;
            let Tally { compared, differed, first } = tally;
            too_many.then(|| format!("{field}: {differed} of {compared}, first {first}"))
        })
        .collect()
}

#[test]
fn fields_have_the_values_of_the_newer_generation() {
    assert!(HARD.iter().all(|hard| LISTED.iter().all(|(field, ..)| field != hard)));
    let mut tallies = BTreeMap::new();
    for capture in Capture::all() {
        let lines: BTreeMap<u64, Json> = capture
            .lines("libs-head.state.jsonl.gz")
            .unwrap()
            .map(|line| (line["evt.num"].as_u64().unwrap(), line))
            .collect();
        let Some(first) = lines.values().next() else { continue };
        let fields = fields(first.as_object().unwrap().keys().cloned());
        let mut compared = 0;
        capture.replay(|ctx| {
            let line = lines.get(&ctx.number()).expect("every event that is shown is expected");
            compare(&capture.name, &fields, ctx, line, &mut tallies);
            compared += 1;
        });
        assert_eq!(compared, lines.len(), "{}", capture.name);
    }
    let list = unlisted(&tallies, LISTED);
    assert!(list.is_empty(), "fields that differ:\n  {}", list.join("\n  "));
}

#[test]
fn what_both_generations_agree_on_holds_for_the_older_one_too() {
    let mut tallies = BTreeMap::new();
    let mut joined = 0;
    for capture in Capture::all() {
        let Some(lines) = capture.lines("sysdig029.state.jsonl.gz") else { continue };
        let key = |line: &Json| {
            let number = |name: &str| line[name].as_u64().unwrap_or(0);
            (number("evt.rawtime"), number("thread.tid"), line["evt.dir"] == "<")
        };
        let lines: BTreeMap<_, Json> = lines.map(|line| (key(&line), line)).collect();
        // Some calls had another name then.
        let same = HARD.iter().filter(|name| **name != "evt.type");
        let fields = fields(same.map(|name| (*name).to_owned()));
        capture.replay(|ctx| {
            let header = ctx.event().header();
            let key = (header.time, u64::from(header.tid), ctx.event().code() % 2 == 1);
            // News of containers has no thread in one generation and an odd one in the other.
            let Some(line) = lines.get(&key).filter(|line| line["evt.type"] != "container") else {
                return;
            };
            joined += 1;
            compare(&capture.name, &fields, ctx, line, &mut tallies);
        });
    }
    println!("{joined} events in both");
    let list = unlisted(&tallies, &[]);
    assert!(list.is_empty(), "fields that differ:\n  {}", list.join("\n  "));
}

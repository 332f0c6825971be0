//! What an event costs: compiling the rules, trying them on events that match nothing, one alert.
//!
//! Uses the rules of this repository, and besides, where `EYAS_SHARED` names a folder with
//! `upstream-rules/`, the larger files found there. Allocations are counted: trying rules on an event
//! that matches nothing makes none.

use std::path::{Path, PathBuf};

use divan::{AllocProfiler, Bencher, black_box};
use eyas_abi::schema;
use eyas_rules::eval::{RuleSet, Scratch};
use eyas_rules::fields::{Facts, FieldArg, FieldId, Value};
use eyas_rules::{EngineOptions, SourceFile, load};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// An event of an ordinary process: it has what most rules look at and does nothing remarkable.
struct Ordinary {
    code: u16,
    ty: &'static str,
    path: &'static str,
}

const EVENTS: [(&str, &str); 4] = [
    ("execve", "/usr/bin/sort"),
    ("openat", "/usr/lib/x86_64-linux-gnu/libc.so.6"),
    ("connect", "10.0.0.1:40000->10.0.0.2:443"),
    ("clone", ""),
];

impl Ordinary {
    fn new((ty, path): (&'static str, &'static str)) -> Self {
        let code = schema::by_name(ty).map(|event| event.code).max().unwrap_or_default();
        Self { code, ty, path }
    }
}

const ANCESTORS: [&str; 4] = ["bash", "sshd", "sshd", "systemd"];

impl Facts for Ordinary {
    fn event_code(&self) -> u16 {
        self.code
    }

    fn value<'a>(&'a self, field: FieldId, arg: FieldArg<'_>) -> Option<Value<'a>> {
        Some(match field {
            FieldId::EvtType | FieldId::SyscallType => Value::text(self.ty),
            FieldId::EvtArg => Value::text("O_RDONLY|O_CLOEXEC"),
            FieldId::EvtIsOpenRead | FieldId::FdConnected => Value::Bool(true),
            FieldId::EvtIsOpenWrite | FieldId::EvtFailed => Value::Bool(false),
            FieldId::EvtRawres | FieldId::FdNum => Value::Int(3),
            FieldId::EvtRawtime => Value::Uint(1_700_000_000_000_000_000),
            FieldId::FdName | FieldId::FsPathName => Value::text(self.path),
            FieldId::FdDirectory => Value::text("/usr/lib/x86_64-linux-gnu"),
            FieldId::FdFilename => Value::text("libc.so.6"),
            FieldId::FdTypechar => Value::text("f"),
            FieldId::FdSport => Value::Uint(443),
            FieldId::FdSip => Value::Ip([10, 0, 0, 2].into()),
            FieldId::FdL4proto => Value::text("tcp"),
            FieldId::ProcName | FieldId::ProcExe => Value::text("sort"),
            FieldId::ProcPname => Value::text(ANCESTORS[0]),
            FieldId::ProcAname => match arg {
                FieldArg::Index(level @ 1..) => Value::text(ANCESTORS.get(level as usize - 1)?),
                _ => return None,
            },
            FieldId::ProcCmdline | FieldId::ProcArgs => Value::text("sort -u -k 2 /tmp/list"),
            FieldId::ProcExepath => Value::text("/usr/bin/sort"),
            FieldId::ProcPid | FieldId::ProcVpid | FieldId::ThreadVtid => Value::Int(4711),
            FieldId::ProcTty | FieldId::UserUid => Value::Uint(1000),
            FieldId::UserName => Value::text("dev"),
            FieldId::UserLoginuid => Value::Int(1000),
            FieldId::ContainerId => Value::text("host"),
            FieldId::ContainerImageRepository => Value::text(""),
            _ => return None,
        })
    }
}

/// The rules files, by the name of their set.
fn files(set: &str) -> Vec<SourceFile> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths: Vec<PathBuf> = if set == "ours" {
        vec![here.join("../../rules/eyas-rules/eyas-rules.yaml")]
    } else {
        let shared = std::env::var_os("EYAS_SHARED").map(PathBuf::from).unwrap_or_default();
        let names = ["falco_rules.yaml", "falco-incubating_rules.yaml"];
        names.iter().map(|name| shared.join("upstream-rules").join(name)).collect()
    };
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).ok()?;
        Some(SourceFile { name: path.display().to_string(), text })
    };
    paths.iter().filter_map(read).collect()
}

fn rule_set(set: &str) -> Option<RuleSet> {
    let files = files(set);
    if files.is_empty() {
        return None;
    }
    load(&files, &EngineOptions::default()).rule_set
}

#[divan::bench(args = ["ours", "upstream"], sample_count = 20)]
fn compile(bencher: Bencher<'_, '_>, set: &str) {
    let files = files(set);
    bencher.bench(|| load(black_box(&files), &EngineOptions::default()).rule_set);
}

#[divan::bench(args = [0, 1, 2, 3])]
fn event_without_a_match_ours(bencher: Bencher<'_, '_>, event: usize) {
    try_rules(bencher, "ours", event);
}

#[divan::bench(args = [0, 1, 2, 3])]
fn event_without_a_match_upstream(bencher: Bencher<'_, '_>, event: usize) {
    try_rules(bencher, "upstream", event);
}

fn try_rules(bencher: Bencher<'_, '_>, set: &str, event: usize) {
    let Some(rules) = rule_set(set) else { return };
    let facts = Ordinary::new(EVENTS[event]);
    let mut scratch = Scratch::new();
    let matched = rules.eval(&facts, &mut scratch).first().copied();
    assert!(matched.is_none(), "{:?}", matched.and_then(|id| rules.rule(id)));
    bencher.bench_local(|| rules.eval(black_box(&facts), &mut scratch).len());
}

#[divan::bench]
fn one_alert(bencher: Bencher<'_, '_>) {
    let Some(rules) = rule_set("ours") else { return };
    let Some((id, _)) = rules.rules().next() else { return };
    let facts = Ordinary::new(EVENTS[1]);
    bencher.bench(|| rules.alert(id, black_box(&facts)));
}

//! Live events recorded and replayed: the same values, the same matches; and a capture that sysdig reads
//! alike, where `SYSDIG` names that program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::io::Cursor;
use std::process::Command;
use std::sync::Arc;

use eyas_abi::{Event, EventBuilder, Header};
use eyas_capture::{Opening, Recorder, Replay, Visitor};
use eyas_rules::check::Scope;
use eyas_rules::compile::{Program, compile};
use eyas_rules::eval::Scratch;
use eyas_rules::fields::StaticFields;
use eyas_rules::format::{Style, Template};
use eyas_rules::syntax::{self, parse};
use eyas_state::{Ctx, Host, Limits, Tables};

const SECOND: u64 = 1_000_000_000;
const BOOT: u64 = 1_700_000_000 * SECOND;

fn record(code: u16, pid: u32, at: u64) -> EventBuilder {
    EventBuilder::new(code).header(Header {
        time: at * SECOND,
        start: u64::from(pid) * SECOND,
        tgid: pid,
        tid: pid,
        euid: 1000,
        egid: 100,
        ..Header::default()
    })
}

fn exec(pid: u32, parent: u32, comm: &str, args: &[u8], at: u64) -> Vec<u8> {
    let id = |pid: u32| i64::from(pid);
    record(293, pid, at)
        .int(0)
        .text(comm.as_bytes())
        .bytes(args)
        .int(id(pid))
        .int(id(pid))
        .int(id(parent))
        .text(b"/home/u")
        .int(1024)
        .skip_to("comm")
        .text(comm.as_bytes())
        .bytes(b"cpu=/a\0")
        .bytes(b"HOME=/home/u\0")
        .int(0)
        .int(id(pid))
        .int(1000)
        .int(3)
        .skip_to("exe_ino")
        .int(77)
        .skip_to("uid")
        .int(1000)
        .text(format!("/usr/bin/{comm}").as_bytes())
        .int(id(pid))
        .int(100)
        .text(format!("/usr/bin/{comm}").as_bytes())
        .skip_to("eyas_sid")
        .int(3)
        .skip_to("eyas_vpid")
        .int(id(pid))
        .skip_to("eyas_parent_start")
        .int(i64::from(parent) * SECOND as i64)
        .build()
}

/// Both ends of a connection to a web server.
fn tuple() -> Vec<u8> {
    let mut tuple = vec![2, 10, 0, 0, 1];
    tuple.extend(40_000_u16.to_ne_bytes());
    tuple.extend([10, 0, 0, 2]);
    tuple.extend(443_u16.to_ne_bytes());
    tuple
}

/// What happens: before the recording, and while it runs.
fn live() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let before = vec![exec(3, 1, "sshd", b"-D\0", 1), exec(5, 3, "bash", b"", 2)];
    let during = vec![
        exec(10, 5, "cat", b"-n\0/etc/x\0", 10),
        record(307, 10, 11)
            .int(3)
            .int(-100)
            .text(b"notes")
            .int(3)
            .int(0o640)
            .skip_to("eyas_fd_type")
            .int(i64::from(b'f'))
            .text(b"/home/u/notes")
            .skip_to("eyas_dir")
            .text(b"/home/u")
            .build(),
        record(7, 10, 12)
            .int(4)
            .bytes(b"text")
            .int(7)
            .int(100)
            .skip_to("eyas_fd_type")
            .int(i64::from(b'f'))
            .text(b"/etc/shadow")
            .build(),
        record(9, 10, 13)
            .int(3)
            .bytes(b"GET")
            .int(8)
            .int(3)
            .skip_to("eyas_fd_type")
            .int(i64::from(b'4'))
            .unknown()
            .bytes(&tuple())
            .int(6)
            .skip_to("eyas_sock_state")
            .int(1)
            .build(),
        record(307, 10, 14).int(-2).int(-100).text(b"/none").int(1).int(0).build(),
        record(301, 10, 15).int(0).text(b"gone").skip_to("eyas_dir").text(b"/tmp").build(),
        record(5, 10, 16)
            .int(0)
            .int(3)
            .skip_to("eyas_fd_type")
            .int(i64::from(b'f'))
            .text(b"/home/u/notes")
            .build(),
        record(186, 10, 17).int(0).int(0).int(0).int(0).int(5).build(),
    ];
    (before, during)
}

const FIELDS: &str = "*%evt.type %evt.dir %evt.rawtime %evt.rawres %proc.name %proc.cmdline %proc.exepath \
                      %proc.pname %proc.aname[2] %proc.pid %proc.sid %user.uid %user.name %group.gid %fd.num \
                      %fd.name %fd.type %fd.l4proto %fd.sport %fd.cip %evt.arg.data %fs.path.name \
                      %evt.is_open_read %evt.buflen";

const CONDITIONS: [&str; 6] = [
    "evt.type = openat and evt.is_open_read = true and fd.name = /home/u/notes",
    "fd.name = /etc/shadow and proc.pname = bash and user.name = u",
    "fd.sport = 443 and fd.net = 10.0.0.0/8",
    "evt.type = unlink and fs.path.name startswith /tmp",
    "evt.type = execve and proc.aname = sshd and proc.exepath = /usr/bin/cat",
    "evt.failed = true",
];

struct Looking {
    template: Template,
    programs: Vec<Program>,
    scratch: Scratch,
    lines: Vec<String>,
    matches: Vec<(usize, u64)>,
}

impl Looking {
    fn new() -> Self {
        let statics = StaticFields::new();
        let scope = Scope { source: "syscall", statics: &statics };
        let program = |text: &&str| {
            let expr = parse(text, syntax::Limits::filter()).unwrap();
            compile(&expr, scope).unwrap().0
        };
        Self {
            template: Template::compile(FIELDS, scope).unwrap(),
            programs: CONDITIONS.iter().map(program).collect(),
            scratch: Scratch::new(),
            lines: Vec::new(),
            matches: Vec::new(),
        }
    }
}

impl Visitor for Looking {
    fn wants(&self, _: u16) -> bool {
        true
    }

    fn event(&mut self, ctx: &Ctx<'_>) {
        let text = self.template.render(ctx, Style::default()).text;
        self.lines.push(String::from_utf8_lossy(&text).into_owned());
        for (place, program) in self.programs.iter().enumerate() {
            if program.matches(ctx, &mut self.scratch) {
                self.matches.push((place, ctx.epoch_ns()));
            }
        }
    }
}

/// Judges live and records at once; gives what was seen and the capture.
fn recorded(limit: u64) -> (Looking, Vec<u8>) {
    let host = Host {
        name: b"node1"[..].into(),
        boot_epoch_ns: BOOT,
        users: Host::read_users(b"u:x:1000:100::/home/u:/bin/sh\n"),
        groups: Host::read_groups(b"users:x:100:\n"),
        addresses: vec!["10.0.0.1".parse().unwrap()],
        ..Host::default()
    };
    let (before, during) = live();
    let mut tables = Tables::new(Limits::default(), Arc::new(host));
    for record in &before {
        let _ = tables.apply(&Event::decode(record).unwrap());
    }
    let mut recorder = Recorder::new(Vec::new(), Opening::new(&tables), limit).unwrap();
    let mut seen = Looking::new();
    for record in &during {
        let event = Event::decode(record).unwrap();
        recorder.event(&event).unwrap();
        seen.event(&tables.apply(&event));
    }
    (seen, recorder.finish().unwrap())
}

#[test]
fn what_was_seen_live_is_seen_again() {
    let (live, capture) = recorded(u64::MAX);
    assert_eq!(live.matches.len(), CONDITIONS.len(), "{:?}", live.lines);
    let mut again = Looking::new();
    let mut replay = Replay::new(Cursor::new(capture), Limits::default()).unwrap();
    replay.run(&mut again).unwrap();
    for (live, again) in live.lines.iter().zip(&again.lines) {
        assert_eq!(live, again);
    }
    assert_eq!(live.lines.len(), again.lines.len());
    assert_eq!(live.matches, again.matches);
}

#[test]
fn a_capture_that_is_full_ends_between_two_events() {
    let (_, whole) = recorded(u64::MAX);
    for limit in [1, whole.len() as u64 / 2, whole.len() as u64] {
        let (_, capture) = recorded(limit);
        assert!(capture.len() <= whole.len());
        let mut replay = Replay::new(Cursor::new(capture), Limits::default()).unwrap();
        replay.run(&mut Looking::new()).unwrap();
    }
}

#[test]
fn sysdig_reads_it_alike() {
    let Some(program) = std::env::var_os("SYSDIG") else {
        eprintln!("skipped: `SYSDIG` names no program");
        return;
    };
    let (_, capture) = recorded(u64::MAX);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &capture).unwrap();
    let format = "*%evt.type %evt.rawtime %proc.name %proc.cmdline %proc.exepath %proc.pname %user.uid \
                  %fd.name %fd.type %fd.l4proto";
    let output = Command::new("timeout")
        .arg("20")
        .arg(program)
        .args(["-r".as_ref(), file.path().as_os_str()])
        .args(["-p", format, "evt.dir=< or evt.type=procexit"])
        .output()
        .unwrap();
    let theirs: Vec<String> =
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    let statics = StaticFields::new();
    let scope = Scope { source: "syscall", statics: &statics };
    let mut looking = Looking::new();
    looking.template = Template::compile(format, scope).unwrap();
    let mut replay = Replay::new(Cursor::new(capture), Limits::default()).unwrap();
    replay.run(&mut looking).unwrap();
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(theirs, looking.lines, "{problem}");
}

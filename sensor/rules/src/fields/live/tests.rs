//! Values of whole events, class by class.

use std::sync::Arc;

use eyas_abi::{Event, EventBuilder, Header};
use eyas_state::{Host, Limits, Tables};
use proptest::prelude::*;

use super::*;
use crate::check::Scope;
use crate::compile::compile;
use crate::eval::Scratch;
use crate::fields::{FIELDS, StaticFields, resolve};
use crate::syntax;

const SECOND: u64 = 1_000_000_000;
const BOOT: u64 = 1_700_000_000 * SECOND;

/// A record of process `pid`, started at second `pid`, at second 100.
fn record(code: u16, pid: u32) -> EventBuilder {
    EventBuilder::new(code).header(Header {
        time: 100 * SECOND,
        start: u64::from(pid) * SECOND,
        tgid: pid,
        tid: pid,
        euid: 1000,
        ..Header::default()
    })
}

fn exec(pid: u32, parent: u32, comm: &str, args: &[u8]) -> Vec<u8> {
    record(293, pid)
        .int(0)
        .text(comm.as_bytes())
        .bytes(args)
        .int(i64::from(pid))
        .int(i64::from(pid))
        .int(i64::from(parent))
        .text(b"/home/u")
        .skip_to("comm")
        .text(comm.as_bytes())
        .bytes(b"cpu=/a\0")
        .bytes(b"HOME=/home/u\0LANG=C\0")
        .skip_to("exe_ino")
        .int(77)
        .skip_to("uid")
        .int(1000)
        .text(format!("/usr/bin/{comm}").as_bytes())
        .skip_to("eyas_vpid")
        .int(i64::from(pid))
        .skip_to("eyas_parent_start")
        .int(i64::from(parent) * SECOND as i64)
        .build()
}

/// `cat` (10), child of `bash` (5), child of `sshd` (3), looks at one more event of its own.
fn look<T>(record: &[u8], look: impl FnOnce(&Ctx<'_>) -> T) -> T {
    let host = Host {
        name: b"node1"[..].into(),
        boot_epoch_ns: BOOT,
        users: Host::read_users(b"u:x:1000:1000::/home/u:/bin/sh\n"),
        addresses: vec!["10.0.0.1".parse().unwrap()],
        ..Host::default()
    };
    let mut tables = Tables::new(Limits::default(), Arc::new(host));
    for past in
        [exec(3, 1, "sshd", b"-D\0"), exec(5, 3, "bash", b""), exec(10, 5, "cat", b"-n\0/etc/x\0")]
    {
        let event = Event::decode(&past).unwrap();
        let _ = tables.apply(&event);
    }
    let event = Event::decode(record).unwrap();
    look(&tables.apply(&event))
}

fn openat(result: i64, name: &[u8], flags: i64) -> Vec<u8> {
    let kernel = [b"/", name].concat();
    let call = record(307, 10).int(result).int(-100).text(name).int(flags).int(0o640);
    if result < 0 {
        return call.build();
    }
    call.skip_to("eyas_fd_type").int(i64::from(b'f')).text(&kernel).build()
}

fn connect() -> Vec<u8> {
    let mut tuple = vec![2, 10, 0, 0, 1];
    tuple.extend(4000_u16.to_ne_bytes());
    tuple.extend([10, 0, 0, 2]);
    tuple.extend(443_u16.to_ne_bytes());
    record(23, 10).int(0).bytes(&tuple).int(3).skip_to("eyas_fd_tuple").bytes(&tuple).int(6).build()
}

/// A field of an event as text, by its name as rules write it.
fn field(record: &[u8], written: &str) -> Option<String> {
    let (name, argument) = match written.split_once('[') {
        Some((name, rest)) => (name, Some(rest.trim_end_matches(']').as_bytes())),
        None => (written, None),
    };
    let resolved = resolve(name, argument, "syscall").unwrap();
    look(record, |ctx| {
        Some(match ctx.value(resolved.id, resolved.argument.as_arg())? {
            Value::Text(text) | Value::Bytes(text) => String::from_utf8_lossy(&text).into_owned(),
            Value::Int(number) => number.to_string(),
            Value::Uint(number) => number.to_string(),
            other => format!("{other:?}"),
        })
    })
}

fn matches(record: &[u8], condition: &str) -> bool {
    let expr = syntax::parse(condition, syntax::Limits::filter()).unwrap();
    let statics = StaticFields::new();
    let (program, _) = compile(&expr, Scope { source: "syscall", statics: &statics }).unwrap();
    look(record, |ctx| program.matches(ctx, &mut Scratch::new()))
}

#[test]
fn parameters_as_text_and_as_values() {
    let open = openat(3, b"notes", 3);
    for (name, text) in [
        ("evt.arg.name", "/home/u/notes"),
        ("evt.arg.flags", "O_RDWR"),
        ("evt.arg.mode", "0640"),
        ("evt.arg.dirfd", "AT_FDCWD"),
        ("evt.arg[4]", "0640"),
        ("evt.rawarg.name", "notes"),
        ("evt.rawarg.flags", "3"),
        ("evt.rawarg.fd", "3"),
    ] {
        assert_eq!(field(&open, name).as_deref(), Some(text), "{name}");
    }
    assert_eq!(field(&open, "evt.arg.path"), None, "another event's parameter");
    assert_eq!(field(&open, "evt.arg[200]"), None);
    let failed = openat(-2, b"/x", 0);
    assert_eq!(field(&failed, "evt.arg.fd").as_deref(), Some("ENOENT"));
    assert_eq!(field(&failed, "evt.arg.flags").as_deref(), Some("O_NONE"));
    assert_eq!(field(&failed, "evt.res").as_deref(), Some("ENOENT"));
}

#[test]
fn parameters_that_are_not_known() {
    let empty = record(307, 10).int(3).int(-100).unknown().int(0).int(0).build();
    assert_eq!(field(&empty, "evt.arg.name").as_deref(), Some("<NA>"));
    assert_eq!(field(&empty, "evt.rawarg.name").as_deref(), Some("<NA>"));
    let read = record(7, 10).int(0).unknown().int(3).int(5).build();
    assert_eq!(field(&read, "evt.arg.data").as_deref(), Some("NULL"));
    assert_eq!(field(&read, "evt.rawarg.data"), None);
    assert!(matches(&read, "evt.arg.data exists and not evt.rawarg.data exists"));
}

#[test]
fn all_parameters_in_one_text() {
    let line = field(&openat(3, b"a", 1), "evt.args").unwrap();
    assert!(line.contains(" name=a(/home/u/a) flags=1(O_RDONLY) mode=0640"), "{line}");
    assert!(!line.contains("eyas_"), "{line}");
}

#[test]
fn the_process_and_its_ancestors() {
    let open = openat(3, b"/x", 1);
    for (name, text) in [
        ("proc.name", "cat"),
        ("proc.cmdline", "cat -n /etc/x"),
        ("proc.args", "-n /etc/x"),
        ("proc.args[1]", "/etc/x"),
        ("proc.args[9]", ""),
        ("proc.exepath", "/usr/bin/cat"),
        ("proc.pname", "bash"),
        ("proc.aname[0]", "cat"),
        ("proc.aname[2]", "sshd"),
        ("proc.aname", "bash sshd"),
        ("proc.apid", "10"),
        ("proc.env[LANG]", "C"),
        ("proc.env[NONE]", ""),
        ("proc.cwd", "/home/u/"),
        ("user.name", "u"),
        ("evt.hostname", "node1"),
    ] {
        assert_eq!(field(&open, name).as_deref(), Some(text), "{name}");
    }
    assert_eq!(field(&open, "proc.aname[9]"), None);
}

#[test]
fn an_ancestor_that_matches_is_enough() {
    let open = openat(3, b"/x", 1);
    assert!(matches(&open, "proc.aname = sshd") && matches(&open, "proc.aname in (sshd, x)"));
    assert!(matches(&open, "proc.aname != sshd"), "another one differs");
    assert!(!matches(&open, "proc.aname = cat"), "the process itself is no ancestor");
    assert!(matches(&open, "proc.apid = 3") && matches(&open, "proc.acmdline endswith -D"));
    assert!(matches(&open, "proc.aenv[LANG] = C") && !matches(&open, "proc.aenv[NONE] exists"));
}

#[test]
fn both_ends_of_a_socket() {
    let connect = connect();
    for (name, text) in [
        ("fd.name", "10.0.0.1:4000->10.0.0.2:443"),
        ("fd.sport", "443"),
        ("fd.lport", "4000"),
        ("fd.rport", "443"),
        ("fd.l4proto", "tcp"),
        ("evt.arg.tuple", "10.0.0.1:4000->10.0.0.2:443"),
    ] {
        assert_eq!(field(&connect, name).as_deref(), Some(text), "{name}");
    }
    assert!(matches(&connect, "fd.ip = 10.0.0.1 and fd.ip = 10.0.0.2 and fd.net = 10.0.0.0/30"));
    assert!(!matches(&connect, "fd.ip != 10.0.0.1") && matches(&connect, "fd.ip != 10.0.0.9"));
    assert!(matches(&connect, "fd.port in (https)") && matches(&connect, "fd.rip = 10.0.0.2"));
    assert!(!matches(&openat(3, b"/x", 1), "fd.ip != 10.0.0.1"), "no socket at all");
}

#[test]
fn a_rule_as_users_write_it() {
    let condition = "evt.type in (open, openat) and evt.is_open_read = true and fd.num >= 0 \
                     and fd.name startswith /home/ and not proc.aname in (cron) and user.name != root";
    assert!(matches(&openat(3, b"notes", 1), condition));
    assert!(!matches(&openat(-13, b"notes", 1), condition));
    assert!(!matches(&openat(3, b"/etc/notes", 1), condition));
}

proptest! {
    #[test]
    fn no_record_makes_a_field_panic(
        code in 0_u16..460,
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..40),
    ) {
        let record = values.iter().fold(record(code, 10), |record, value| record.bytes(value)).build();
        if Event::decode(&record).is_ok() {
            look(&record, |ctx| {
                for row in &FIELDS {
                    for arg in [FieldArg::None, FieldArg::Index(1), FieldArg::Key(b"name")] {
                        let _ = ctx.value(row.id, arg);
                    }
                }
                let _ = ctx.socket_ends();
            });
        }
    }
}

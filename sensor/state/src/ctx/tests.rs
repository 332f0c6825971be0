//! Names and paths as rules see them.

use std::sync::Arc;

use eyas_abi::{EventBuilder, Header};

use super::*;
use crate::tables::Limits;

fn tables() -> Tables {
    let mut tables =
        Tables::new(Limits::default(), Arc::new(Host { boot_epoch_ns: 1000, ..Host::default() }));
    let record = header(EventBuilder::new(430))
        .skip_to("comm")
        .text(b"sh")
        .skip_to("cwd")
        .text(b"/home/u")
        .build();
    let event = Event::decode(&record).unwrap();
    let _ = tables.apply(&event);
    tables
}

fn header(builder: EventBuilder) -> EventBuilder {
    builder.header(Header { tgid: 10, tid: 10, time: 500, start: 5, ..Header::default() })
}

fn look<T>(record: &[u8], look: impl FnOnce(&Ctx<'_>) -> T) -> T {
    let mut tables = tables();
    let event = Event::decode(record).unwrap();
    look(&tables.apply(&event))
}

fn fd_name(record: &[u8]) -> String {
    look(record, |ctx| String::from_utf8_lossy(ctx.fd_name().unwrap()).into_owned())
}

fn openat(result: i64, dirfd: i64, name: &[u8], directory: Option<&[u8]>) -> Vec<u8> {
    let builder = header(EventBuilder::new(307)).int(result).int(dirfd).text(name);
    let builder = builder.skip_to("eyas_path").text(b"/resolved");
    match directory {
        Some(directory) => builder.skip_to("eyas_dir").text(directory),
        None => builder,
    }
    .build()
}

#[test]
fn an_opened_file_is_named_as_the_program_named_it() {
    assert_eq!(fd_name(&openat(3, -100, b"/etc//passwd", None)), "/etc/passwd");
    assert_eq!(fd_name(&openat(3, -100, b"notes", None)), "/home/u/notes");
    assert_eq!(fd_name(&openat(3, -100, b"notes", Some(b"/srv"))), "/srv/notes");
    assert_eq!(fd_name(&openat(3, 7, b"../x", Some(b"/srv/a"))), "/srv/x");
    assert_eq!(fd_name(&openat(3, 7, b"x", None)), "<UNKNOWN>/x");
    assert_eq!(fd_name(&openat(-2, -100, b"missing", None)), "/home/u/missing");
    assert_eq!(fd_name(&openat(3, -100, b"", None)), "/resolved");
}

#[test]
fn other_descriptors_are_named_by_the_kernel() {
    let read = header(EventBuilder::new(7)).int(1).skip_to("fd").int(3).skip_to("eyas_fd_type");
    let file = read.clone().bytes(b"f").text(b"/var/log/x").build();
    assert_eq!(fd_name(&file), "/var/log/x");
    let unknown = read.build();
    assert_eq!(fd_name(&unknown), "");
    let unlink = header(EventBuilder::new(301)).int(0).text(b"/x").build();
    look(&unlink, |ctx| assert!(ctx.fd_name().is_none()));
}

#[test]
fn each_of_two_paths_starts_from_its_own_directory() {
    let record = header(EventBuilder::new(319))
        .int(0)
        .int(4)
        .text(b"a")
        .int(5)
        .text(b"b")
        .skip_to("eyas_dir")
        .text(b"/one")
        .text(b"/two")
        .build();
    look(&record, |ctx| {
        assert_eq!(ctx.absolute_param(2).unwrap().as_ref(), b"/one/a");
        assert_eq!(ctx.absolute_param(4).unwrap().as_ref(), b"/two/b");
        assert_eq!(ctx.absolute_param(9), None);
    });
}

#[test]
fn times_numbers_and_what_is_judged() {
    let record = openat(3, -100, b"/x", None);
    look(&record, |ctx| {
        assert_eq!(ctx.number(), 1);
        assert_eq!(ctx.epoch_ns(), 1500);
        assert_eq!((ctx.since_first_ns(), ctx.since_previous_ns()), (0, 0));
        assert!(ctx.is_judged());
        assert_eq!(ctx.ancestor(0).unwrap().pid, 10);
        assert!(ctx.ancestor(1).is_none());
    });
    let enter = header(EventBuilder::new(306)).int(-100).text(b"/x").build();
    look(&enter, |ctx| assert!(!ctx.is_judged()));
}

/// A birth of `pid` from `parent`, in the initial namespace.
fn birth(pid: u32, parent: u32, comm: &[u8]) -> Vec<u8> {
    let start = u64::from(pid);
    let (id, parent) = (i64::from(pid), i64::from(parent));
    EventBuilder::new(223)
        .header(Header { tgid: pid, tid: pid, time: 500, start, ..Header::default() })
        .int(0)
        .skip_to("tid")
        .int(id)
        .int(id)
        .int(parent)
        .skip_to("comm")
        .text(comm)
        .build()
}

#[test]
fn what_waits_is_judged_by_those_who_were_there() {
    let mut tables = tables();
    for (pid, parent, comm) in [(20, 10, &b"nginx"[..]), (30, 20, b"sh")] {
        drop(tables.apply(&Event::decode(&birth(pid, parent, comm)).unwrap()));
    }
    let at = Header { tgid: 30, tid: 30, time: 600, start: 30, ..Header::default() };
    let record = EventBuilder::new(307).header(at).int(3).build();
    let event = Event::decode(&record).unwrap();
    let (moment, number) = {
        let ctx = tables.apply(&event);
        (ctx.moment().unwrap(), ctx.number())
    };
    // The parent ends, and its id is another program's.
    let at = Header { tgid: 20, tid: 20, time: 700, start: 20, ..Header::default() };
    let exit = EventBuilder::new(186).header(at).build();
    drop(tables.apply(&Event::decode(&exit).unwrap()));
    drop(tables.apply(&Event::decode(&birth(20, 10, b"cat")).unwrap()));

    let later = tables.again(&event, &moment);
    let names: Vec<&[u8]> = later.ancestors().map(|p| p.image.comm.as_bytes()).collect();
    assert_eq!(names, [&b"nginx"[..], b"sh"]);
    assert_eq!(later.process_by_id(20).unwrap().image.comm.as_bytes(), b"nginx");
    assert_eq!(tables.get(20).unwrap().image.comm.as_bytes(), b"cat");
    assert_eq!(later.number(), number);
    assert_eq!(later.since_previous_ns(), 100);
}

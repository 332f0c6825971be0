//! Each event's effect, forks in both orders, snapshots in the middle of a stream.

use eyas_abi::{EventBuilder, Header};
use proptest::prelude::*;

use super::*;
use crate::host::Host;
use crate::tables::Limits;

const SECOND: u64 = 1_000_000_000;
const BOOT: u64 = 1_700_000_000 * SECOND;

fn tables() -> Tables {
    let host = Host { boot_epoch_ns: BOOT, ..Host::default() };
    Tables::new(Limits::default(), Arc::new(host))
}

/// A record of process `pid`, started at second `pid`, at second `at`.
fn record(code: u16, pid: u32, at: u64) -> EventBuilder {
    EventBuilder::new(code).header(Header {
        time: at * SECOND,
        start: u64::from(pid) * SECOND,
        tgid: pid,
        tid: pid,
        ..Header::default()
    })
}

fn feed(tables: &mut Tables, record: &[u8]) {
    let event = Event::decode(record).unwrap();
    let _ = tables.apply(&event);
}

struct Exec {
    comm: &'static str,
    path: &'static str,
    args: &'static [u8],
    parent: u32,
    ctime: u64,
    vpid: u32,
    pidns_start: u64,
}

impl Default for Exec {
    fn default() -> Self {
        Self {
            comm: "ls",
            path: "/bin/ls",
            args: b"-l\0",
            parent: 1,
            ctime: 0,
            vpid: 0,
            pidns_start: 0,
        }
    }
}

fn exec(pid: u32, at: u64, with: &Exec) -> Vec<u8> {
    let vpid = if with.vpid == 0 { pid } else { with.vpid };
    record(code::EXECVE, pid, at)
        .int(0)
        .text(with.comm.as_bytes())
        .bytes(with.args)
        .int(i64::from(pid))
        .int(i64::from(pid))
        .int(i64::from(with.parent))
        .text(b"/tmp")
        .skip_to("comm")
        .text(with.comm.as_bytes())
        .bytes(b"cpu=/a\0")
        .bytes(b"HOME=/root\0")
        .skip_to("flags")
        .int(2)
        .skip_to("cap_permitted")
        .int(0xff)
        .skip_to("exe_ino")
        .int(77)
        .int(with.ctime as i64)
        .int(with.ctime as i64)
        .int(0)
        .text(with.path.as_bytes())
        .skip_to("eyas_vpid")
        .int(i64::from(vpid))
        .int(with.pidns_start as i64)
        .skip_to("eyas_parent_start")
        .int(i64::from(with.parent) * SECOND as i64)
        .build()
}

fn birth(child: u32, parent: u32, at: u64) -> Vec<u8> {
    record(code::CLONE, child, at)
        .int(0)
        .skip_to("tid")
        .int(i64::from(child))
        .int(i64::from(child))
        .int(i64::from(parent))
        .skip_to("comm")
        .text(b"sh")
        .skip_to("vpid")
        .int(i64::from(child))
        .skip_to("eyas_parent_start")
        .int(i64::from(parent) * SECOND as i64)
        .int(i64::from(child) * SECOND as i64)
        .build()
}

fn announcement(parent: u32, child: u32, at: u64) -> Vec<u8> {
    record(code::FORK, parent, at).int(i64::from(child)).build()
}

/// An event that changes nothing.
fn unlink(pid: u32, at: u64) -> Vec<u8> {
    record(301, pid, at).int(0).text(b"/x").build()
}

fn exit(pid: u32, at: u64, reaper: u32) -> Vec<u8> {
    record(code::PROCEXIT, pid, at).skip_to("reaper_tid").int(i64::from(reaper)).int(1).build()
}

#[test]
fn an_exec_tells_everything_about_its_process() {
    let mut tables = tables();
    let ctime = BOOT + 3 * SECOND;
    feed(&mut tables, &exec(10, 20, &Exec { ctime, ..Exec::default() }));
    let found = tables.get(10).unwrap();
    assert_eq!(found.image.command_line(), b"ls -l");
    assert_eq!(&*found.image.exe_path, b"/bin/ls");
    assert_eq!(found.image.variable(b"HOME"), Some(&b"/root"[..]));
    assert_eq!(&*found.cwd, b"/tmp");
    assert_eq!(found.parent, Some(Parent { pid: 1, start_ns: SECOND }));
    assert!(found.image.exe_flags.has(ExeFlags::UPPER_LAYER));
    assert!(!found.image.exe_flags.has(ExeFlags::WRITABLE));
    assert_eq!((found.image.exe_inode, found.image.exe_ctime_ns), (77, ctime));
    assert_eq!(found.cap_permitted, 0xff);
    assert_eq!(found.times.ctime_to_process_ns, 7 * SECOND);
    // The initial namespace began at boot.
    assert_eq!(found.pidns_start_epoch_ns, BOOT);
    assert_eq!(found.times.namespace_to_ctime_ns, 3 * SECOND);
    assert!(!found.placeholder);
}

#[test]
fn a_failed_exec_changes_nothing() {
    let mut tables = tables();
    feed(&mut tables, &exec(10, 20, &Exec::default()));
    let failed = record(code::EXECVE, 10, 21).int(-2).text(b"other").build();
    feed(&mut tables, &failed);
    assert_eq!(tables.get(10).unwrap().image.command_line(), b"ls -l");
}

#[test]
fn durations_of_the_program_file() {
    // Changed between fork and exec: the difference wraps around, as rules know it.
    let mut tables = tables();
    feed(&mut tables, &exec(10, 20, &Exec { ctime: BOOT + 15 * SECOND, ..Exec::default() }));
    let wrapped = 0_u64.wrapping_sub(5 * SECOND);
    assert_eq!(tables.get(10).unwrap().times.ctime_to_process_ns, wrapped);
    // In a container that began at second 5.
    let inside = |ctime| Exec { ctime, vpid: 1, pidns_start: 5 * SECOND, ..Exec::default() };
    feed(&mut tables, &exec(11, 20, &inside(BOOT + 9 * SECOND)));
    let found = tables.get(11).unwrap();
    assert_eq!(found.pidns_start_epoch_ns, BOOT + 5 * SECOND);
    assert_eq!(found.times.namespace_to_ctime_ns, 4 * SECOND);
    // An older file keeps what an earlier exec found.
    feed(&mut tables, &exec(11, 21, &inside(BOOT - SECOND)));
    assert_eq!(tables.get(11).unwrap().times.namespace_to_ctime_ns, 4 * SECOND);
    // A file of unknown age tells nothing.
    feed(&mut tables, &exec(12, 20, &inside(0)));
    assert_eq!(tables.get(12).unwrap().times, Times::default());
}

#[test]
fn a_child_has_its_parents_program_and_not_the_age_in_the_namespace() {
    let mut tables = tables();
    feed(&mut tables, &exec(10, 20, &Exec { comm: "sh", ctime: BOOT + SECOND, ..Exec::default() }));
    feed(&mut tables, &birth(11, 10, 21));
    let (parent, child) = (tables.get(10).unwrap(), tables.get(11).unwrap());
    assert!(Arc::ptr_eq(&parent.image, &child.image));
    assert_eq!(child.start_ns, 11 * SECOND);
    assert_eq!(child.parent, Some(Parent { pid: 10, start_ns: 10 * SECOND }));
    assert_eq!(child.times.ctime_to_process_ns, parent.times.ctime_to_process_ns);
    assert_ne!(parent.times.namespace_to_ctime_ns, 0);
    assert_eq!(child.times.namespace_to_ctime_ns, 0);
    assert!(!child.placeholder);
}

#[test]
fn a_fork_may_be_told_by_either_side_first() {
    let shell = exec(10, 20, &Exec { comm: "sh", ..Exec::default() });
    let orders = [
        [birth(11, 10, 21), announcement(10, 11, 22)],
        [announcement(10, 11, 22), birth(11, 10, 21)],
    ];
    let [first, second] = orders.map(|order| {
        let mut tables = tables();
        feed(&mut tables, &shell);
        for record in &order {
            feed(&mut tables, record);
        }
        let mut found = tables.get(11).unwrap().clone();
        found.updated_ns = 0;
        format!("{found:?}")
    });
    assert_eq!(first, second);
}

#[test]
fn a_childs_exec_before_its_birth_is_told_is_not_undone() {
    let mut tables = tables();
    feed(&mut tables, &exec(10, 20, &Exec { comm: "sh", ..Exec::default() }));
    feed(&mut tables, &exec(11, 22, &Exec { parent: 10, ..Exec::default() }));
    feed(&mut tables, &birth(11, 10, 21));
    feed(&mut tables, &announcement(10, 11, 23));
    assert_eq!(tables.get(11).unwrap().image.command_line(), b"ls -l");
}

#[test]
fn a_thread_is_no_process() {
    let mut tables = tables();
    feed(&mut tables, &exec(10, 20, &Exec::default()));
    let thread = record(code::CLONE, 10, 21)
        .int(0)
        .skip_to("tid")
        .int(15)
        .int(10)
        .skip_to("flags")
        .int(CLONE_THREAD)
        .skip_to("eyas_start")
        .int(21 * SECOND as i64)
        .build();
    feed(&mut tables, &thread);
    assert_eq!(tables.get(10).unwrap().threads, 1);
    assert_eq!(tables.get(10).unwrap().image.command_line(), b"ls -l", "it is known as before");
    assert!(tables.get(15).is_none());
    let gone = EventBuilder::new(code::PROCEXIT)
        .header(Header {
            tgid: 10,
            tid: 15,
            time: 22 * SECOND,
            start: 10 * SECOND,
            ..Header::default()
        })
        .skip_to("eyas_group_dead")
        .int(0)
        .build();
    feed(&mut tables, &gone);
    feed(&mut tables, &unlink(10, 23));
    assert_eq!(tables.get(10).unwrap().threads, 0);
}

#[test]
fn an_exit_is_judged_before_the_process_is_forgotten() {
    let mut tables = tables();
    feed(&mut tables, &exec(1, 2, &Exec { comm: "init", ..Exec::default() }));
    feed(&mut tables, &exec(10, 20, &Exec { comm: "sh", parent: 1, ..Exec::default() }));
    feed(&mut tables, &birth(11, 10, 21));
    let record = exit(10, 22, 1);
    let event = Event::decode(&record).unwrap();
    let ctx = tables.apply(&event);
    assert_eq!(ctx.process().unwrap().image.comm.as_bytes(), b"sh");
    assert_eq!(ctx.number(), 4);
    feed(&mut tables, &unlink(11, 23));
    assert!(tables.get(10).is_none());
    let orphan = tables.get(11).unwrap();
    assert_eq!(tables.ancestors(orphan).next().unwrap().image.comm.as_bytes(), b"init");
}

#[test]
fn directory_session_group_capabilities_and_name_are_followed() {
    let mut tables = tables();
    feed(&mut tables, &exec(10, 20, &Exec::default()));
    feed(&mut tables, &record(code::CHDIR, 10, 21).int(0).text(b"../var").build());
    assert_eq!(&*tables.get(10).unwrap().cwd, b"/var");
    feed(&mut tables, &record(code::CHDIR, 10, 22).int(-2).text(b"/nowhere").build());
    assert_eq!(&*tables.get(10).unwrap().cwd, b"/var");
    let fchdir =
        record(code::FCHDIR, 10, 23).int(0).int(4).skip_to("eyas_path").text(b"/srv").build();
    feed(&mut tables, &fchdir);
    assert_eq!(&*tables.get(10).unwrap().cwd, b"/srv");
    feed(&mut tables, &record(code::SETSID, 10, 24).int(10).build());
    let found = tables.get(10).unwrap();
    assert_eq!((found.sid, found.vpgid, found.pgid), (10, 10, 10));
    feed(&mut tables, &record(code::SETPGID, 10, 25).int(0).int(0).int(7).build());
    assert_eq!(tables.get(10).unwrap().vpgid, 7);
    feed(&mut tables, &record(code::CAPSET, 10, 26).int(0).int(1).int(2).int(3).build());
    let found = tables.get(10).unwrap();
    assert_eq!((found.cap_inheritable, found.cap_permitted, found.cap_effective), (1, 2, 3));
    let named = record(code::PRCTL, 10, 27).int(0).int(PR_SET_NAME).text(b"worker").build();
    feed(&mut tables, &named);
    assert_eq!(tables.get(10).unwrap().image.command_line(), b"worker -l");
}

#[test]
fn the_kernels_word_counts_where_the_program_names_something_else() {
    let mut tables = tables();
    feed(&mut tables, &exec(9, 10, &Exec::default()));
    // the name was rewritten while the call was under way
    let moved = record(code::CHDIR, 9, 11).int(0).text(b"/innocent");
    feed(&mut tables, &moved.skip_to("eyas_cwd").text(b"/real").build());
    assert_eq!(&*tables.get(9).unwrap().cwd, b"/real");
    let dropped = record(code::SETUID, 9, 12).int(0).int(1000).int(0).int(0x3).int(0x1).build();
    feed(&mut tables, &dropped);
    let process = tables.get(9).unwrap();
    assert_eq!((process.cap_permitted, process.cap_effective), (0x3, 0x1));
    let refused = record(code::SETUID, 9, 13).int(-1).int(0).int(0).int(0).int(0).build();
    feed(&mut tables, &refused);
    assert_eq!(tables.get(9).unwrap().cap_permitted, 0x3, "nothing changed");
}

#[test]
fn a_tree_ten_thousand_deep_is_known_and_its_line_of_ancestors_ends() {
    const DEPTH: u32 = 10_000;
    let mut tables = tables();
    feed(&mut tables, &exec(1, 1, &Exec { comm: "init", ..Exec::default() }));
    for pid in 2..=DEPTH {
        feed(&mut tables, &birth(pid, pid - 1, 20_000 + u64::from(pid)));
    }
    assert_eq!(tables.counts().processes, u64::from(DEPTH));
    assert_eq!(tables.counts().evicted, 0);
    let line: Vec<u32> = tables.ancestors(tables.get(DEPTH).unwrap()).map(|p| p.pid).collect();
    assert_eq!(line[..3], [DEPTH - 1, DEPTH - 2, DEPTH - 3]);
    assert_eq!(line.len(), 1024);
    assert_eq!(tables.ancestors(tables.get(900).unwrap()).last().unwrap().pid, 1);
}

fn snapshot(pid: u32, at: u64, comm: &str) -> Vec<u8> {
    record(code::TASK, pid, at)
        .int(1)
        .int(3)
        .int(4)
        .int(5)
        .text(comm.as_bytes())
        .bytes(b"/bin/daemon\0--flag\0")
        .text(b"/bin/daemon")
        .skip_to("cwd")
        .text(b"/")
        .skip_to("vtgid")
        .int(i64::from(pid))
        .build()
}

#[test]
fn a_process_found_at_start_is_known_and_has_no_durations() {
    let mut tables = tables();
    feed(&mut tables, &snapshot(10, 20, "daemon"));
    let found = tables.get(10).unwrap();
    assert_eq!(found.image.command_line(), b"daemon --flag");
    assert_eq!(&*found.image.exe, b"/bin/daemon");
    assert_eq!((found.parent.unwrap().pid, found.pgid, found.vpgid, found.sid), (1, 3, 4, 5));
    assert_eq!(found.times, Times::default());
    assert_eq!(tables.events, 0);
}

#[test]
fn a_snapshot_fills_placeholders_and_never_undoes_newer_knowledge() {
    let mut tables = tables();
    feed(&mut tables, &unlink(10, 19));
    assert_eq!(tables.take_wanted(), [10]);
    feed(&mut tables, &snapshot(10, 18, "daemon"));
    assert_eq!(tables.get(10).unwrap().image.comm.as_bytes(), b"daemon");
    feed(&mut tables, &exec(10, 20, &Exec::default()));
    feed(&mut tables, &snapshot(10, 19, "daemon"));
    assert_eq!(tables.get(10).unwrap().image.comm.as_bytes(), b"ls");
    // An event that was buffered while the snapshot was taken.
    feed(&mut tables, &snapshot(11, 20, "new"));
    feed(&mut tables, &exec(11, 19, &Exec::default()));
    assert_eq!(tables.get(11).unwrap().image.comm.as_bytes(), b"new");
    assert_eq!(tables.counts().stale, 2);
}

fn any_record() -> impl Strategy<Value = Vec<u8>> {
    let pid = 1_u32..8;
    let at = 1_u64..40;
    prop_oneof![
        (pid.clone(), pid.clone(), at.clone()).prop_map(|(pid, parent, at)| exec(
            pid,
            at,
            &Exec { parent, ..Exec::default() }
        )),
        (pid.clone(), pid.clone(), at.clone()).prop_map(|(c, p, at)| birth(c, p, at)),
        (pid.clone(), pid.clone(), at.clone()).prop_map(|(p, c, at)| announcement(p, c, at)),
        (pid.clone(), pid.clone(), at.clone()).prop_map(|(p, r, at)| exit(p, at, r)),
        (pid.clone(), at.clone()).prop_map(|(pid, at)| snapshot(pid, at, "s")),
        (
            0_u16..460,
            pid,
            at,
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..12)
        )
            .prop_filter("known code", |(code, ..)| schema::by_code(*code).is_some())
            .prop_map(|(code, pid, at, params)| {
                params.iter().fold(record(code, pid, at), |b, p| b.bytes(p)).build()
            }),
    ]
}

proptest! {
    #[test]
    fn no_stream_of_records_breaks_anything(records in prop::collection::vec(any_record(), 0..60)) {
        let mut tables = tables();
        for record in &records {
            let event = Event::decode(record).unwrap();
            let ctx = tables.apply(&event);
            let _ = (ctx.fd_name().map(<[u8]>::len), ctx.ancestor(1).map(|p| p.pid));
            for index in 0..event.param_count() {
                let _ = ctx.absolute_param(index);
            }
        }
        prop_assert!(tables.counts().processes <= 16);
    }
}

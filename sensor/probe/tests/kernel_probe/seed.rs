//! What was there before the probe, compared with /proc.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use eyas_abi::RecordFlags;
use eyas_probe::{Options, seed::seed};

use crate::live::{Record, start};

#[test]
fn the_kernels_walk_agrees_with_proc() {
    let Some(mut live) = start(&[], &Options::default()) else { return };
    let mut child = Command::new("cat")
        .args(["-", "eyas seeded"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    // exec may still be under way
    live.wait_for("exec", |r| r.name == "execve" && r.header.tgid == pid);
    let method = live.probe.seed_method();
    assert!(method.starts_with("task iterator"), "{method}");
    let mut kernel = BTreeMap::new();
    let seeded = live
        .probe
        .seed(&mut |bytes| {
            let record = Record::new(bytes);
            kernel.insert(record.header.tid, record);
        })
        .unwrap();
    assert_eq!(seeded.missed, 0);
    assert_eq!(seeded.tasks, kernel.len() as u64);
    let mut proc = BTreeMap::new();
    seed(&mut |bytes| {
        let record = Record::new(bytes);
        proc.insert(record.header.tid, record);
    })
    .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();

    for tid in [pid, std::process::id()] {
        let (exact, coarse) = (&kernel[&tid], &proc[&tid]);
        assert!(exact.header.flags.has(RecordFlags::SNAPSHOT));
        for name in [
            "ppid",
            "pgid",
            "vpgid",
            "sid",
            "fdlimit",
            "euid",
            "egid",
            "cap_permitted",
            "cap_effective",
            "cap_inheritable",
            "exe_ino_num",
            "exe_ino_ctime",
            "exe_ino_mtime",
            "vtgid",
            "vpid",
            "tty",
            "loginuid",
            "eyas_vtid",
            "eyas_vsid",
            "eyas_pidns",
            "eyas_mntns",
            "eyas_userns",
            "eyas_ruid",
            "eyas_rgid",
            "eyas_exe_dev",
            "eyas_exe_nlink",
        ] {
            assert_eq!(exact.int(name), coarse.int(name), "{tid} {name}");
        }
        for name in ["comm", "exepath", "cwd", "root"] {
            assert_eq!(exact.text(name), coarse.text(name), "{tid} {name}");
        }
        assert_eq!(exact.list("cgroups"), coarse.list("cgroups"));
        assert_eq!(exact.list("argv"), coarse.list("argv"));
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        assert_eq!(exact.header.start / tick, coarse.header.start / tick, "start");
        assert_eq!(exact.header.tgid, coarse.header.tgid);
    }
    assert_eq!(kernel[&pid].list("argv"), ["cat", "-", "eyas seeded"]);
    // the walk and the events name the same process by the same start
    let end = live.wait_for("exit", |r| r.name == "procexit" && r.header.tgid == pid);
    assert_eq!(end.header.start, kernel[&pid].header.start);
}

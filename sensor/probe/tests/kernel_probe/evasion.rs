//! What programs do so as not to be seen, or to be seen as something else.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use eyas_abi::RecordFlags;
use eyas_probe::{Counter, Options};
use rustix::net::{RecvFlags, SendFlags};

use crate::exec::{copy_of_true, true_path};
use crate::live::{Live, Record, own_calls, start};

const EMPTY_PATH: i32 = 0x1000;

fn real(directory: &tempfile::TempDir) -> PathBuf {
    fs::canonicalize(directory.path()).unwrap()
}

/// Opens by the bare call, so that nothing but the kernel reads the path.
fn open_at(path: *const libc::c_char) -> i64 {
    // SAFETY: the kernel reads a NUL-terminated string or fails.
    unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, libc::O_RDONLY) }
}

#[test]
fn a_path_that_another_thread_rewrites_does_not_change_what_the_kernel_says() {
    const OPENS: usize = 2000;
    let Some(mut live) = start(&["openat"], &own_calls()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (real(&directory).join("one"), real(&directory).join("two"));
    fs::write(&one, "x").unwrap();
    fs::write(&two, "x").unwrap();
    let inodes = [&one, &two].map(|path| fs::metadata(path).unwrap().ino() as i64);
    let text = CString::new(one.to_str().unwrap()).unwrap().into_bytes_with_nul();
    let at = text.len() - 4;
    let text = Box::leak(text.into_boxed_slice());
    let start = text.as_mut_ptr();
    let stop = AtomicBool::new(false);
    // the two names differ in their last three bytes
    let place = (start as usize + at) as *mut u8;
    let place = std::sync::atomic::AtomicPtr::new(place);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for name in [b"two", b"one"] {
                    // SAFETY: three bytes inside of the leaked text. That the kernel reads them meanwhile is
                    // what this test is about; no Rust code does.
                    unsafe {
                        std::ptr::copy_nonoverlapping(
                            name.as_ptr(),
                            place.load(Ordering::Relaxed),
                            3,
                        );
                    }
                }
            }
        });
        for _ in 0..OPENS {
            let fd = open_at(start.cast());
            if fd >= 0 {
                // SAFETY: a new descriptor of our own.
                unsafe { libc::close(fd as i32) };
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    live.read_all();
    let prefix = real(&directory);
    let (me, prefix) = (std::process::id(), prefix.to_str().unwrap());
    let mine: Vec<&Record> = live
        .seen
        .iter()
        .filter(|r| r.name == "openat" && r.header.tgid == me)
        // not those that made the files
        .filter(|r| r.int("flags").is_some_and(|flags| flags & 3 == 1))
        .filter(|r| r.text("name").is_some_and(|name| name.starts_with(prefix)))
        .collect();
    assert_eq!(mine.len(), OPENS);
    for event in mine.iter().filter(|r| r.int("fd") >= Some(0)) {
        let path = event.text("eyas_path").unwrap();
        let which = usize::from(path != one.to_str().unwrap());
        assert_eq!(event.int("ino"), Some(inodes[which]), "{path}");
    }
    let differ = |r: &&&Record| r.int("fd") >= Some(0) && r.text("name") != r.text("eyas_path");
    println!("{} of {OPENS} names were changed in time", mine.iter().filter(differ).count());
}

#[test]
fn a_path_on_a_page_that_nobody_has_touched_is_read() {
    let Some(mut live) = start(&["openat"], &own_calls()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let name = real(&directory).join("untouched");
    fs::write(&name, "x").unwrap();
    let mut page = name.as_os_str().as_bytes().to_vec();
    page.push(0);
    let file = real(&directory).join("page");
    fs::write(&file, &page).unwrap();
    let file = File::open(&file).unwrap();
    // SAFETY: a private mapping of a file that nobody changes; only the kernel reads it.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            page.len(),
            libc::PROT_READ,
            libc::MAP_PRIVATE,
            file.as_raw_fd(),
            0,
        )
    };
    assert_ne!(start, libc::MAP_FAILED);
    let fd = open_at(start.cast());
    assert!(fd >= 0);
    let event = live.wait_for("open", |r| r.name == "openat" && r.int("fd") == Some(fd));
    assert_eq!(event.text("name").as_deref(), name.to_str());
    assert!(!event.header.flags.has(RecordFlags::READ_FAILED));
    // SAFETY: a new descriptor of our own.
    unsafe { libc::close(fd as i32) };
}

#[test]
fn memory_that_is_not_there_is_marked_and_counted() {
    let Some(mut live) = start(&["openat"], &own_calls()) else { return };
    let before = live.counters().get(Counter::FailedUserReads);
    assert_eq!(open_at(8 as *const libc::c_char), -1);
    let me = std::process::id();
    let event = live.wait_for("open", |r| {
        r.name == "openat" && r.header.tgid == me && r.int("fd") == Some(-14)
    });
    assert!(event.raw("name").is_empty() && event.header.flags.has(RecordFlags::READ_FAILED));
    assert!(live.counters().get(Counter::FailedUserReads) > before);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_number_with_the_x32_bit_is_reported_and_marked() {
    let Some(mut live) = start(&["openat"], &own_calls()) else { return };
    let path = CString::new("/nonexistent/x32").unwrap();
    // SAFETY: a path that outlives the call; a kernel without x32 refuses it.
    let result = unsafe {
        libc::syscall(libc::SYS_openat | 0x4000_0000, libc::AT_FDCWD, path.as_ptr(), libc::O_RDONLY)
    };
    assert_eq!(result, -1);
    let event = live.wait_for("x32", |r| {
        r.name == "openat" && r.text("name").as_deref() == Some("/nonexistent/x32")
    });
    assert!(event.header.flags.has(RecordFlags::X32));
    assert_eq!(i64::from(event.header.syscall), libc::SYS_openat);
}

/// Runs a program by its descriptor with an empty path, as `fexecve` does.
fn exec_by_descriptor(file: &File, argument: &str) -> u32 {
    let words = [CString::new("by-descriptor").unwrap(), CString::new(argument).unwrap()];
    let list = [words[0].as_ptr() as usize, words[1].as_ptr() as usize, 0];
    let (fd, empty) = (file.as_raw_fd(), c"");
    let mut command = Command::new(true_path());
    // SAFETY: between fork and exec only a system call is made, on memory that was there before.
    unsafe {
        command.pre_exec(move || {
            let no_variables = [0_usize];
            libc::syscall(
                libc::SYS_execveat,
                fd,
                empty.as_ptr(),
                list.as_ptr(),
                no_variables.as_ptr(),
                EMPTY_PATH,
            );
            Err(std::io::Error::last_os_error())
        });
    }
    let mut child = command.spawn().unwrap();
    drop(words);
    child.wait().unwrap();
    child.id()
}

#[test]
fn an_exec_by_descriptor_has_the_path_of_its_file() {
    let Some(mut live) = start(&[], &Options::default()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = copy_of_true(directory.path(), "by-descriptor");
    let file = File::open(&path).unwrap();
    let pid = exec_by_descriptor(&file, "plain");
    // x86 makes each call that succeeds look like execve before anybody can ask
    let event = live.wait_for("exec", |r| {
        r.name.starts_with("execve") && r.header.tgid == pid && r.int("res") == Some(0)
    });
    assert_eq!(event.int("res"), Some(0));
    assert_eq!(event.list("args"), ["plain"]);
    assert_eq!(
        event.text("trusted_exepath").as_deref(),
        fs::canonicalize(&path).unwrap().to_str(),
        "whatever the call named"
    );
    assert_eq!(event.int("exe_ino"), Some(fs::metadata(&path).unwrap().ino() as i64));
}

#[test]
fn two_million_bytes_of_arguments() {
    let Some(mut live) = start(&[], &Options::default()) else { return };
    // a single one may have 128 KiB, all together a quarter of the stack
    let long = "z".repeat(100_000);
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -s unlimited && exec \"$@\"", "sh"])
        .arg(true_path())
        .args(std::iter::repeat_n(&long, 20))
        .arg("the-end")
        .spawn()
        .unwrap();
    let pid = child.id();
    assert!(child.wait().unwrap().success());
    let event = live.wait_for("exec", |r| {
        r.name == "execve" && r.header.tgid == pid && r.text("comm").as_deref() == Some("true")
    });
    assert!(event.int("eyas_args_len") > Some(2_000_000), "the true size is known");
    assert_eq!(event.raw("args").len(), eyas_probe::ARGS_DEFAULT as usize);
    assert!(event.header.flags.has(RecordFlags::TRUNCATED));
    assert!(live.counters().get(Counter::CutArguments) > 0);
    assert_eq!(event.text("trusted_exepath").as_deref(), true_path().to_str());
}

#[test]
fn arguments_of_any_bytes_come_through() {
    let Some(mut live) = start(&[], &Options::default()) else { return };
    let odd = std::ffi::OsStr::from_bytes(b"a\nb\"c'\\\xff\xfe\x01");
    let mut child = Command::new(true_path()).arg(odd).arg("").arg("after").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let event = live.wait_for("exec", |r| {
        r.name == "execve" && r.header.tgid == pid && r.int("res") == Some(0)
    });
    let mut wanted = odd.as_bytes().to_vec();
    wanted.extend(b"\0\0after\0");
    assert_eq!(event.raw("args"), wanted);
}

#[test]
fn a_descriptor_that_was_handed_over_is_what_it_is() {
    let Some(mut live) = start(&["fchmod"], &own_calls()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = real(&directory).join("handed-over");
    let file = File::create(&path).unwrap();
    let (here, there) = UnixStream::pair().unwrap();
    let mut room = [MaybeUninit::uninit(); 64];
    let mut control = rustix::net::SendAncillaryBuffer::new(&mut room);
    let handed = [file.as_fd()];
    assert!(control.push(rustix::net::SendAncillaryMessage::ScmRights(&handed)));
    let data = [IoSlice::new(b"x")];
    rustix::net::sendmsg(&here, &data, &mut control, SendFlags::empty()).unwrap();
    drop(file);
    fs::rename(&path, real(&directory).join("renamed")).unwrap();
    let mut room = [MaybeUninit::uninit(); 64];
    let mut control = rustix::net::RecvAncillaryBuffer::new(&mut room);
    let mut byte = [0];
    let mut data = [IoSliceMut::new(&mut byte)];
    rustix::net::recvmsg(&there, &mut data, &mut control, RecvFlags::empty()).unwrap();
    let taken: Vec<OwnedFd> = control
        .drain()
        .filter_map(|message| match message {
            rustix::net::RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    rustix::fs::fchmod(&taken[0], rustix::fs::Mode::from_raw_mode(0o640)).unwrap();
    let fd = i64::from(taken[0].as_raw_fd());
    let event = live.wait_for("fchmod", |r| r.name == "fchmod" && r.int("fd") == Some(fd));
    assert_eq!(event.text("eyas_path").as_deref(), real(&directory).join("renamed").to_str());
}

/// Runs a script in mount and pid namespaces of its own.
fn apart(script: &str, directory: &Path) -> Option<()> {
    let done = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--propagation", "private", "sh", "-ec", script])
        .current_dir(directory)
        .output()
        .unwrap();
    if done.status.success() {
        return Some(());
    }
    eprintln!("SKIPPED: no namespaces here: {}", String::from_utf8_lossy(&done.stderr));
    None
}

fn opened(live: &mut Live, name: &str) -> Record {
    live.wait_for(name, |r| {
        r.name == "openat" && r.text("name").as_deref() == Some(name) && r.int("fd") >= Some(0)
    })
}

#[test]
fn other_namespaces_and_roots_do_not_hide_a_file() {
    let Some(mut live) = start(&["openat"], &Options::default()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let top = real(&directory);
    let script = "
        mount -t tmpfs none . && cd \"$PWD\"
        mkdir data root && echo x > data/secret
        mkdir bound && mount --bind data bound && cat bound/secret
        mount --rbind / root && cat ./data/../bound/secret
        chroot root sh -c \"cd $PWD/data && cat secret /proc/self/../self/./status\" > chrooted
        mkdir root/mnt/old 2> made || mount -t tmpfs none root/mnt && mkdir -p root/mnt/old
        cd root && pivot_root . mnt/old && cat /etc/hostname /mnt/old/etc/hostname";
    if apart(script, &top).is_none() {
        return;
    }
    let bound = opened(&mut live, "bound/secret");
    assert_eq!(bound.text("eyas_path").as_deref(), top.join("bound/secret").to_str());
    assert_ne!(bound.header.start, 0);
    let twisted = opened(&mut live, "./data/../bound/secret");
    assert_eq!(twisted.text("eyas_path").as_deref(), top.join("bound/secret").to_str());
    // In a changed root the name starts elsewhere; the kernel's path starts from the namespace's own root.
    let inside = opened(&mut live, "secret");
    let outside = format!("{}/root{}/data", top.display(), top.display());
    assert_eq!(inside.text("eyas_dir"), Some(outside.clone()));
    assert_eq!(inside.text("eyas_path"), Some(format!("{outside}/secret")));
    let pivoted = opened(&mut live, "/etc/hostname");
    assert_eq!(pivoted.text("eyas_path").as_deref(), Some("/etc/hostname"));
    let old = opened(&mut live, "/mnt/old/etc/hostname");
    assert_eq!(old.text("eyas_path").as_deref(), Some("/mnt/old/etc/hostname"));
}

#[test]
fn a_thousand_short_lives_are_reported_each_with_its_arguments() {
    const LIVES: usize = 1000;
    let Some(mut live) = start(&[], &Options::default()) else { return };
    let script = format!(
        "i=0; while [ $i -lt {LIVES} ]; do {} short-life $i; i=$((i + 1)); done",
        true_path().display()
    );
    let mut child = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        live.read();
    }
    live.read_all();
    let mut found: Vec<usize> = live
        .seen
        .iter()
        .filter(|r| r.name == "execve" && r.int("res") == Some(0))
        .filter_map(|r| match r.list("args").as_slice() {
            [word, number] if word == "short-life" => number.parse().ok(),
            _ => None,
        })
        .collect();
    found.sort_unstable();
    assert_eq!(found, (0..LIVES).collect::<Vec<_>>());
    assert_eq!(live.counters().dropped(), 0);
}

#[test]
fn a_fork_bomb_within_limits_is_counted_to_the_last_process() {
    let Some(mut live) = start(&[], &Options::default()) else { return };
    // each doubles itself until the depth is reached: 2^8 - 1 processes
    let bomb = "bomb() { [ $1 = 0 ] || { bomb $(($1 - 1)) & bomb $(($1 - 1)) & wait; }; }; bomb 7";
    let mut child = Command::new("sh").args(["-c", bomb]).spawn().unwrap();
    let first = child.id();
    assert!(child.wait().unwrap().success());
    live.wait_for("the first to end", |r| r.name == "procexit" && r.header.tgid == first);
    live.read_all();
    let mut family = std::collections::BTreeSet::from([first]);
    let births = live.seen.iter().filter(|r| r.name == "clone" && r.int("res") == Some(0));
    for birth in births {
        if birth.int("ptid").is_some_and(|parent| family.contains(&(parent as u32))) {
            family.insert(birth.header.tgid);
        }
    }
    assert_eq!(family.len(), 255);
    let ended = live
        .seen
        .iter()
        .filter(|r| r.name == "procexit" && family.contains(&r.header.tgid))
        .count();
    assert_eq!(ended, 254, "and the first one was taken out above");
    assert_eq!(live.counters().dropped(), 0);
}

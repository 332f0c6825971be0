//! Opening files: the path as given, the kernel's own path, flags, layers.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use eyas_probe::Options;
use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::exec::copy_of_true;
use crate::live::{Live, Record, own_calls, start};

fn opened(live: &mut Live, event: &'static str, name: &str) -> Record {
    live.wait_for(name, |r| r.name == event && r.text("name").as_deref() == Some(name))
}

#[test]
fn openat_gives_the_path_as_passed_and_the_kernels() {
    let Some(mut live) = start(&["openat"], &own_calls()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let real = fs::canonicalize(directory.path()).unwrap();
    fs::write(real.join("file"), "x").unwrap();
    symlink(real.join("file"), real.join("link")).unwrap();
    let dir = fs::File::open(&real).unwrap();

    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&dir, "link", flags, Mode::empty()).unwrap();
    let event = opened(&mut live, "openat", "link");
    let stat = rustix::fs::fstat(&fd).unwrap();
    assert_eq!(event.int("fd"), Some(i64::from(std::os::fd::AsRawFd::as_raw_fd(&fd))));
    assert_eq!(event.int("dirfd"), Some(i64::from(std::os::fd::AsRawFd::as_raw_fd(&dir))));
    assert_eq!(event.text("eyas_dir").as_deref(), real.to_str(), "where the path starts from");
    assert_eq!(event.text("eyas_path").as_deref(), real.join("file").to_str(), "where it ends");
    assert_eq!(event.raw("eyas_fd_type"), b"f");
    assert_eq!(event.int("flags").unwrap() & !0x1_8800, 0x1001, "O_RDONLY and O_CLOEXEC");
    assert_eq!(event.int("mode"), Some(0));
    assert_eq!(event.int("ino"), Some(stat.st_ino as i64));
    let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    assert_eq!(
        event.int("dev"),
        Some(i64::from((minor & 0xff) | major << 8 | (minor & !0xff) << 12))
    );

    let twisted = format!("{}/../{}/./link", real.display(), real.file_name().unwrap().display());
    rustix::fs::openat(rustix::fs::CWD, &*twisted, flags, Mode::empty()).unwrap();
    let event = opened(&mut live, "openat", &twisted);
    assert!(event.raw("eyas_dir").is_empty(), "an absolute path starts nowhere else");
    assert_eq!(event.text("eyas_path").as_deref(), real.join("file").to_str());
}

#[test]
fn a_relative_path_starts_from_the_working_directory() {
    let Some(mut live) = start(&["openat"], &Options::default()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let real = fs::canonicalize(directory.path()).unwrap();
    fs::write(real.join("eyas-relative"), "x").unwrap();
    let done = Command::new("cat").arg("eyas-relative").current_dir(&real).output().unwrap();
    assert!(done.status.success());
    let event = opened(&mut live, "openat", "eyas-relative");
    assert_eq!(event.int("dirfd"), Some(-100), "AT_FDCWD");
    assert_eq!(event.text("eyas_dir").as_deref(), real.to_str());
    assert_eq!(event.text("eyas_path").as_deref(), real.join("eyas-relative").to_str());
}

#[test]
fn flags_and_modes_of_each_kind_of_open() {
    let Some(mut live) = start(&["openat", "openat2", "open", "creat"], &own_calls()) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made");
    let name = path.to_str().unwrap();

    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::APPEND;
    rustix::fs::openat(rustix::fs::CWD, name, flags, Mode::from_raw_mode(0o640)).unwrap();
    let event = opened(&mut live, "openat", name);
    assert_eq!(event.int("flags").unwrap() & 0x7fff & !0x800, 0x4000 | 0x20 | 0x8 | 0x4 | 0x3);
    assert_eq!(event.int("mode"), Some(0o640));

    assert!(rustix::fs::openat(rustix::fs::CWD, name, flags, Mode::from_raw_mode(0o640)).is_err());
    let event = opened(&mut live, "openat", name);
    assert_eq!(event.int("fd"), Some(-17), "EEXIST");
    assert_eq!(event.int("flags").unwrap() & 0x4000, 0, "nothing was created");
    assert!(event.raw("eyas_path").is_empty() && event.raw("ino").is_empty());

    let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NONBLOCK;
    rustix::fs::openat2(rustix::fs::CWD, name, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
        .unwrap();
    let event = opened(&mut live, "openat2", name);
    assert_eq!(event.int("flags").unwrap() & 0x7fff & !0x800, 0x100 | 0x40 | 0x2);
    assert_eq!(event.int("resolve"), Some(4), "RESOLVE_NO_MAGICLINKS");

    #[cfg(target_arch = "x86_64")]
    {
        let text = CString::new(name).unwrap();
        // SAFETY: both calls read a NUL-terminated string that outlives them.
        let (first, second) = unsafe {
            (
                libc::syscall(libc::SYS_open, text.as_ptr(), libc::O_RDONLY),
                libc::syscall(libc::SYS_creat, text.as_ptr(), 0o600),
            )
        };
        assert!(first >= 0 && second >= 0);
        assert_eq!(opened(&mut live, "open", name).int("fd"), Some(first));
        let event = opened(&mut live, "creat", name);
        assert_eq!((event.int("fd"), event.int("mode")), (Some(second), Some(0o600)));
        assert_eq!(event.text("eyas_path").as_deref(), fs::canonicalize(name).unwrap().to_str());
        for fd in [first, second] {
            // SAFETY: the descriptors were made above and belong to nobody else.
            unsafe { libc::close(fd as i32) };
        }
    }
}

#[test]
fn a_missing_file_is_reported_with_the_error() {
    let Some(mut live) = start(&["openat"], &own_calls()) else { return };
    let name = "/nonexistent/eyas-open";
    assert!(fs::File::open(name).is_err());
    let event = opened(&mut live, "openat", name);
    assert_eq!(event.int("fd"), Some(-2));
    assert!(event.raw("eyas_fd_type").is_empty());
}

#[test]
fn names_with_any_byte_come_through() {
    let Some(mut live) = start(&["openat"], &own_calls()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"a\n\"b\xff\xfe c");
    let path = fs::canonicalize(directory.path()).unwrap().join(name);
    fs::write(&path, "x").unwrap();
    let mut wanted = path.as_os_str().as_bytes().to_vec();
    wanted.push(0);
    let event = live.wait_for("odd name", |r| r.name == "openat" && r.raw("name") == wanted);
    assert_eq!(event.raw("eyas_path"), wanted);
}

#[test]
fn deep_directories_are_whole_and_deeper_ones_marked() {
    let Some(mut live) = start(&["openat"], &own_calls()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut path = fs::canonicalize(directory.path()).unwrap();
    for depth in 0..200 {
        path.push(format!("d{depth}"));
    }
    fs::create_dir_all(&path).unwrap();
    let file = path.join("deep");
    fs::write(&file, "x").unwrap();
    let event = opened(&mut live, "openat", file.to_str().unwrap());
    assert_eq!(event.text("eyas_path").as_deref(), file.to_str());

    for depth in 0..80 {
        path.push(format!("e{depth}"));
    }
    fs::create_dir_all(&path).unwrap();
    let file = path.join("deeper");
    let before = live.counters().get(eyas_probe::Counter::CutPaths);
    fs::write(&file, "x").unwrap();
    let event = opened(&mut live, "openat", file.to_str().unwrap());
    let seen = event.text("eyas_path").unwrap();
    assert!(file.to_str().unwrap().ends_with(&seen), "the end of the path is there");
    assert!(event.header.flags.has(eyas_abi::RecordFlags::TRUNCATED));
    assert!(live.counters().get(eyas_probe::Counter::CutPaths) > before);
}

/// Runs a shell script in mount and user namespaces of its own; nothing is left behind.
fn in_private_mounts(script: &str, directory: &Path) -> std::process::Output {
    Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-ec", script])
        .current_dir(directory)
        .output()
        .unwrap()
}

#[test]
fn an_overlay_tells_its_upper_layer_from_its_lower() {
    let Some(mut live) = start(&["openat"], &Options::default()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    // an overlay on an overlay may be refused as upper layer: put all of it on a tmpfs of its own
    let script = "
        mount -t tmpfs none . && cd . && cd \"$PWD\"
        mkdir lower upper work merged
        cp -L /bin/true lower/eyas-low && cp -L /bin/true lower/eyas-copied
        chmod 755 lower/*
        mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged
        cp -L /bin/true merged/eyas-up
        touch merged/eyas-copied
        ./merged/eyas-low; ./merged/eyas-up; ./merged/eyas-copied; ./lower/eyas-low
        cat merged/eyas-low merged/eyas-up > /dev/null";
    let done = in_private_mounts(script, path);
    if !done.status.success() {
        eprintln!("SKIPPED: no overlay here: {}", String::from_utf8_lossy(&done.stderr));
        return;
    }
    let mut flags = |name: &str| {
        let record = live.wait_for(name, |r| {
            r.name == "execve"
                && r.int("res") == Some(0)
                && r.text("filename").as_deref() == Some(name)
        });
        record.int("flags").unwrap() & 0xa
    };
    assert_eq!(flags("./merged/eyas-low"), 8, "EXE_LOWER_LAYER");
    assert_eq!(flags("./merged/eyas-up"), 2, "EXE_UPPER_LAYER");
    assert_eq!(flags("./merged/eyas-copied"), 2, "copied up by a change");
    assert_eq!(flags("./lower/eyas-low"), 0, "not on the overlay");
    let low = opened(&mut live, "openat", "merged/eyas-low");
    assert_eq!(low.int("flags").unwrap() & 0x1_8000, 0x1_0000, "FD_LOWER_LAYER");
    let up = live.wait_for("merged/eyas-up", |r| {
        r.name == "openat"
            && r.text("name").as_deref() == Some("merged/eyas-up")
            && r.int("fd") >= Some(0)
    });
    assert_eq!(up.int("flags").unwrap() & 0x1_8000, 0x8000, "FD_UPPER_LAYER");
}

#[test]
fn a_program_that_was_changed_has_the_new_time_stamps() {
    let Some(mut live) = start(&[], &Options::default()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = copy_of_true(directory.path(), "stamped");
    let file = fs::File::open(&path).unwrap();
    let old = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    file.set_modified(old).unwrap();
    drop(file);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    Command::new(&path).status().unwrap();
    let meta = fs::metadata(&path).unwrap();
    let exec = live
        .wait_for("exec", |r| r.name == "execve" && r.text("filename").as_deref() == path.to_str());
    assert_eq!(exec.int("exe_ino_mtime"), Some(1_000_000_000_123_456_789));
    assert_eq!(exec.int("exe_ino_ctime"), Some(meta.ctime() * 1_000_000_000 + meta.ctime_nsec()));
}

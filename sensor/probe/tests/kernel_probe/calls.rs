//! Table-driven events: each call is performed, and its event compared with what was done.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};

use eyas_abi::schema::{Abi, syscalls_by_name};
use eyas_abi::value::{SockAddr, SockTuple};

use crate::live::{Live, Record, own_calls, start};

fn find(live: &mut Live, name: &'static str, wanted: impl Fn(&Record) -> bool) -> Record {
    let me = std::process::id();
    live.wait_for(name, |r| r.name == name && r.header.tgid == me && wanted(r))
}

fn text_is<'t>(param: &'t str, value: &'t str) -> impl Fn(&Record) -> bool + 't {
    move |record| record.text(param).as_deref() == Some(value)
}

#[test]
fn names_of_files_are_reported_wherever_they_are_changed() {
    let names = [
        "mkdir",
        "mkdirat",
        "rmdir",
        "unlink",
        "unlinkat",
        "rename",
        "renameat",
        "renameat2",
        "symlink",
        "symlinkat",
        "link",
        "linkat",
        "chmod",
        "fchmod",
        "fchmodat",
        "chdir",
    ];
    let Some(mut live) = start(&names, &own_calls()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(directory.path()).unwrap();
    let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
    let dir = fs::File::open(&root).unwrap();
    let fd = i64::from(dir.as_raw_fd());

    fs::create_dir(path("made")).unwrap();
    let event = find(&mut live, "mkdir", text_is("path", &path("made")));
    assert_eq!((event.int("res"), event.int("mode")), (Some(0), Some(0o777)));

    rustix::fs::mkdirat(&dir, "at", 0o700.into()).unwrap();
    let event = find(&mut live, "mkdirat", text_is("path", "at"));
    assert_eq!(event.int("dirfd"), Some(fd));
    assert_eq!(event.text("eyas_dir").as_deref(), root.to_str());
    assert_eq!(
        event.text("eyas_path").as_deref(),
        root.to_str(),
        "the descriptor is the directory"
    );
    assert_eq!(event.raw("eyas_fd_type"), b"d");

    fs::write(path("one"), "x").unwrap();
    fs::rename(path("one"), path("two")).unwrap();
    let event = find(&mut live, "rename", text_is("oldpath", &path("one")));
    assert_eq!(event.text("newpath"), Some(path("two")));

    rustix::fs::renameat(&dir, "two", &dir, "three").unwrap();
    let event = live.wait_for("renameat", |r| {
        r.name.starts_with("renameat") && r.text("oldpath").as_deref() == Some("two")
    });
    assert_eq!(event.text("newpath").as_deref(), Some("three"));
    assert_eq!(event.text("eyas_dir").as_deref(), root.to_str());
    assert_eq!(event.text("eyas_dir2").as_deref(), root.to_str());

    symlink("target text", path("soft")).unwrap();
    let event = find(&mut live, "symlink", text_is("linkpath", &path("soft")));
    assert_eq!(event.text("target").as_deref(), Some("target text"));

    fs::hard_link(path("three"), path("hard")).unwrap();
    let event = live.wait_for("link", |r| {
        r.name.starts_with("link") && r.text("newpath").as_deref() == Some(&path("hard"))
    });
    assert_eq!(event.text("oldpath"), Some(path("three")));

    fs::set_permissions(path("three"), fs::Permissions::from_mode(0o4755)).unwrap();
    let event = live.wait_for("chmod", |r| {
        matches!(r.name, "chmod" | "fchmodat")
            && r.text("filename").as_deref() == Some(&path("three"))
    });
    assert_eq!(event.int("mode"), Some(0o4755));

    fs::remove_file(path("hard")).unwrap();
    find(&mut live, "unlink", text_is("path", &path("hard")));
    rustix::fs::unlinkat(&dir, "at", rustix::fs::AtFlags::REMOVEDIR).unwrap();
    let event = find(&mut live, "unlinkat", text_is("name", "at"));
    assert_eq!(event.int("flags"), Some(0x200), "AT_REMOVEDIR");
    assert!(fs::remove_file(path("hard")).is_err());
    let gone = path("hard");
    let event = find(&mut live, "unlink", |r| {
        r.text("path").as_deref() == Some(&gone) && r.int("res") != Some(0)
    });
    assert_eq!(event.int("res"), Some(-2), "ENOENT");
}

#[test]
fn sockets_from_birth_to_data() {
    let names =
        ["socket", "bind", "listen", "sendto", "recvfrom", "sendmsg", "recvmsg", "shutdown"];
    let Some(mut live) = start(&names, &own_calls()) else { return };
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = receiver.local_addr().unwrap();
    let fd = i64::from(receiver.as_raw_fd());
    let event = find(&mut live, "socket", |r| r.int("fd") == Some(fd));
    assert_eq!((event.int("domain"), event.int("type")), (Some(2), Some(2)), "AF_INET, SOCK_DGRAM");
    assert_eq!(event.int("flags"), Some(0x1000), "SOCK_CLOEXEC as O_CLOEXEC");
    let event = find(&mut live, "bind", |r| r.int("fd") == Some(fd));
    let ip = to.ip();
    assert_eq!(SockAddr::read(&event.raw("addr")), Some(SockAddr::Inet(ip, 0)));

    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let from = sender.local_addr().unwrap();
    sender.send_to(b"hello from eyas", to).unwrap();
    let fd = i64::from(sender.as_raw_fd());
    let event = find(&mut live, "sendto", |r| r.int("fd") == Some(fd));
    assert_eq!(event.raw("data"), b"hello from eyas");
    assert_eq!((event.int("res"), event.int("size")), (Some(15), Some(15)));
    let pair = SockTuple::Inet { source: (ip, from.port()), destination: (ip, to.port()) };
    let raw = event.raw("tuple");
    let Some(SockTuple::Inet { source, destination }) = SockTuple::read(&raw) else { panic!() };
    assert_eq!((source.1, destination), (from.port(), (ip, to.port())), "{pair:?}");

    let mut buffer = [0; 100];
    receiver.recv_from(&mut buffer).unwrap();
    let event = find(&mut live, "recvfrom", |r| r.int("res") == Some(15));
    assert_eq!(event.raw("data"), b"hello from eyas");
    assert_eq!(event.int("size"), Some(100));

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let fd = i64::from(listener.as_raw_fd());
    let event = find(&mut live, "listen", |r| r.int("fd") == Some(fd));
    assert_eq!(event.int("res"), Some(0));
    assert_eq!(event.int("eyas_sock_state"), Some(10), "TCP_LISTEN");
}

#[test]
fn data_is_kept_up_to_the_setting() {
    let Some(mut live) = start(&["write", "writev", "read"], &own_calls()) else { return };
    let (reader, writer) = std::io::pipe().unwrap();
    let bytes = vec![b'z'; 500];
    rustix::io::write(&writer, &bytes).unwrap();
    let fd = i64::from(writer.as_raw_fd());
    let event = find(&mut live, "write", |r| r.int("fd") == Some(fd));
    assert_eq!(event.raw("data"), vec![b'z'; eyas_probe::DATA_DEFAULT as usize]);
    assert_eq!((event.int("res"), event.int("size")), (Some(500), Some(500)));
    assert_eq!(event.raw("eyas_fd_type"), b"p");
    let mut buffer = [0; 600];
    rustix::io::read(&reader, &mut buffer[..]).unwrap();
    let fd = i64::from(reader.as_raw_fd());
    let event = find(&mut live, "read", |r| r.int("fd") == Some(fd));
    assert_eq!((event.int("res"), event.int("size")), (Some(500), Some(600)));
    let parts = [std::io::IoSlice::new(b"first"), std::io::IoSlice::new(b"second")];
    rustix::io::writev(&writer, &parts).unwrap();
    let event = find(&mut live, "writev", |_| true);
    assert_eq!((event.raw("data"), event.int("size")), (b"first".to_vec(), Some(11)));
}

#[test]
fn descriptors_ids_and_the_rest() {
    let names = [
        "dup",
        "dup3",
        "fcntl",
        "memfd_create",
        "mmap",
        "unshare",
        "prctl",
        "kill",
        "setpgid",
        "ptrace",
        "setuid",
        "pipe2",
        "close",
        "setns",
        "nanosleep",
    ];
    let Some(mut live) = start(&names, &own_calls()) else { return };
    let null = fs::File::open("/dev/null").unwrap();
    let fd = null.as_raw_fd();
    let copy = rustix::io::dup(&null).unwrap();
    let event = find(&mut live, "dup", |r| r.int("oldfd") == Some(i64::from(fd)));
    assert_eq!(event.int("res"), Some(i64::from(copy.as_raw_fd())));
    assert_eq!(event.text("eyas_path").as_deref(), Some("/dev/null"));

    let clone = null.try_clone().unwrap();
    let event = find(&mut live, "fcntl", |r| r.int("res") == Some(i64::from(clone.as_raw_fd())));
    assert_eq!(event.int("cmd"), Some(0x1a), "F_DUPFD_CLOEXEC");

    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let memfd = rustix::fs::memfd_create("eyas-calls", flags).unwrap();
    let event = find(&mut live, "memfd_create", text_is("name", "eyas-calls"));
    assert_eq!(event.int("fd"), Some(i64::from(memfd.as_raw_fd())));
    assert_eq!((event.int("flags"), event.raw("eyas_fd_type")), (Some(1), b"m".to_vec()));

    // SAFETY: plain calls with numbers; those with pointers point to values that outlive them.
    unsafe {
        libc::unshare(libc::CLONE_FILES);
        let name = CString::new("eyas-name").unwrap();
        std::thread::spawn(move || libc::prctl(libc::PR_SET_NAME, name.as_ptr())).join().unwrap();
        libc::kill(0x3fff_fffe, libc::SIGUSR1);
        libc::ptrace(libc::PTRACE_ATTACH, 0x3fff_fffe, 0x1234, 0);
        libc::setuid(libc::geteuid());
    }
    let event = find(&mut live, "unshare", |_| true);
    assert_eq!((event.int("res"), event.int("flags")), (Some(0), Some(1)), "CLONE_FILES");
    let event = find(&mut live, "prctl", text_is("arg2_str", "eyas-name"));
    assert_eq!(event.int("option"), Some(15), "PR_SET_NAME");
    let event = find(&mut live, "kill", |r| r.int("sig") == Some(10));
    assert_eq!((event.int("res"), event.int("pid")), (Some(-3), Some(0x3fff_fffe)));
    let event = find(&mut live, "ptrace", |r| r.int("pid") == Some(0x3fff_fffe));
    assert_eq!(event.int("request"), Some(0xb), "PTRACE_ATTACH");
    assert_eq!(event.raw("addr")[0], 0);
    assert_eq!(event.raw("addr")[1..3], [0x34, 0x12]);
    let event = find(&mut live, "setuid", |_| true);
    assert_eq!(event.int("uid"), Some(i64::from(rustix::process::geteuid().as_raw())));

    let (reader, writer) = std::io::pipe().unwrap();
    let first = i64::from(reader.as_raw_fd());
    let event = find(&mut live, "pipe2", |r| r.int("fd1") == Some(first));
    assert_eq!(event.int("fd2"), Some(i64::from(writer.as_raw_fd())));
    assert_eq!(event.int("flags"), Some(0x1000));
}

#[test]
fn nameless_files_carry_the_word_for_what_they_are() {
    let names = ["eventfd2", "timerfd_create", "epoll_create1", "pidfd_open", "inotify_init1"];
    let Some(mut live) = start(&names, &own_calls()) else { return };
    // SAFETY: each makes a new descriptor of our own and takes numbers only.
    let made: Vec<OwnedFd> = unsafe {
        [
            libc::eventfd(0, libc::EFD_CLOEXEC),
            libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC),
            libc::epoll_create1(libc::EPOLL_CLOEXEC),
            libc::inotify_init1(libc::IN_CLOEXEC),
            libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) as i32,
        ]
        .map(|fd| OwnedFd::from_raw_fd(fd))
        .into()
    };
    for (fd, (event, word)) in made.iter().zip([
        ("eventfd2", Some("[eventfd]")),
        ("timerfd_create", Some("[timerfd]")),
        ("epoll_create1", Some("[eventpoll]")),
        ("inotify_init1", Some("inotify")),
        // a file system of its own since 6.9
        ("pidfd_open", None),
    ]) {
        let fd = i64::from(fd.as_raw_fd());
        let record = find(&mut live, event, |r| r.event().int(0) == Some(fd));
        assert_eq!(record.raw("eyas_fd_type"), b"a", "{event}");
        if word.is_some() {
            assert_eq!(record.text("eyas_path").as_deref(), word);
        }
    }
}

#[test]
fn signals_and_switches_come_while_somebody_asks() {
    let Some(mut live) = start(&["signaldeliver"], &eyas_probe::Options::default()) else { return };
    // a signal that ends a process is turned into a kill on its way
    let mut child = std::process::Command::new("sh")
        .args(["-c", "trap 'exit 3' USR1; echo ready; while :; do sleep 0.05; done"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
    // SAFETY: a signal to a child of our own.
    unsafe { libc::kill(pid as i32, libc::SIGUSR1) };
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let event = live.wait_for("signal", |r| {
        r.name == "signaldeliver" && r.header.tgid == pid && r.int("sig") == Some(10)
    });
    assert_eq!(event.int("spid"), Some(i64::from(std::process::id())));
    assert_eq!(event.int("dpid"), Some(i64::from(pid)));

    live.probe.set_enabled(["switch"]).unwrap();
    let mut child = std::process::Command::new("sleep").arg("0.01").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let event = live.wait_for("switch", |r| r.name == "switch" && r.header.tgid == pid);
    assert!(event.int("next").is_some() && event.int("pgft_min") > Some(0));

    live.probe.set_enabled([]).unwrap();
    live.read_all();
    live.seen.clear();
    let mut child = std::process::Command::new("sleep").arg("0.01").spawn().unwrap();
    child.wait().unwrap();
    live.read_all();
    assert!(live.seen.iter().all(|r| r.name != "switch"), "nobody asks any more");
}

#[test]
fn a_call_without_an_event_of_its_own_comes_by_name() {
    let Some(mut live) = start(&["getpriority"], &own_calls()) else { return };
    // SAFETY: a plain call with numbers.
    unsafe { libc::getpriority(libc::PRIO_PROCESS as _, 4321) };
    let me = std::process::id();
    let event = live.wait_for("getpriority", |r| {
        r.name == "syscall" && r.header.tgid == me && r.int("eyas_arg1") == Some(4321)
    });
    let call = syscalls_by_name("getpriority").next().unwrap();
    assert_eq!(event.int("ID"), Some(i64::from(call.id)));
    assert_eq!(event.int("nativeID"), call.number(Abi::native()).map(i64::from));
    assert_eq!(event.int("eyas_res"), Some(-3), "ESRCH");
    assert_eq!(Some(event.header.syscall), call.number(Abi::native()));
}

#[test]
fn no_event_lacks_a_handler_or_a_descriptor() {
    let everything: Vec<&str> = eyas_abi::schema::SYSCALLS
        .iter()
        .map(|call| call.kernel_name)
        // what the host does all the time would only fill the rings
        .filter(|name| {
            !matches!(*name, "futex" | "read" | "write" | "epoll_wait" | "clock_gettime")
        })
        .collect();
    let Some(mut live) = start(&everything, &own_calls()) else { return };
    std::process::Command::new("sh")
        .args(["-c", "ls -la /proc/self/fd > /dev/null"])
        .status()
        .unwrap();
    // SAFETY: a new descriptor of our own.
    let owned = unsafe { OwnedFd::from_raw_fd(libc::eventfd(0, libc::EFD_CLOEXEC)) };
    drop(owned);
    live.read_all();
    let counters = live.counters();
    assert_eq!(counters.get(eyas_probe::Counter::FailedTailCalls), 0);
    assert_eq!(counters.get(eyas_probe::Counter::FailedDescriptors), 0);
    assert_eq!(counters.get(eyas_probe::Counter::DroppedBusy), 0);
    assert!(live.seen.len() > 50);
}

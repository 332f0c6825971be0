//! Messages with an address of their own, several in one call, and what calls put into memory.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use eyas_abi::value::SockTuple;
use eyas_probe::Options;

use crate::live::{Live, Record, own_calls, start};

fn mine(live: &mut Live, name: &'static str, wanted: impl Fn(&Record) -> bool) -> Record {
    let me = std::process::id();
    live.wait_for(name, |r| r.name == name && r.header.tgid == me && wanted(r))
}

fn ends(record: &Record) -> (SocketAddr, SocketAddr) {
    let raw = record.raw("tuple");
    let Some(SockTuple::Inet { source, destination }) = SockTuple::read(&raw) else {
        panic!("{raw:?}")
    };
    (source.into(), destination.into())
}

#[test]
fn an_unconnected_socket_says_whom_each_message_is_for_and_from() {
    let names = ["sendto", "sendmsg", "recvfrom", "recvmsg"];
    let Some(mut live) = start(&names, &own_calls()) else { return };
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (to, from) = (receiver.local_addr().unwrap(), sender.local_addr().unwrap());
    let fd = i64::from(sender.as_raw_fd());

    sender.send_to(b"one", to).unwrap();
    let event = mine(&mut live, "sendto", |r| r.int("fd") == Some(fd));
    assert_eq!((ends(&event).1, event.raw("data")), (to, b"one".to_vec()));

    let mut control = rustix::net::SendAncillaryBuffer::default();
    let flags = rustix::net::SendFlags::empty();
    let data = [IoSlice::new(b"second")];
    rustix::net::sendmsg_addr(&sender, &to, &data, &mut control, flags).unwrap();
    let event = mine(&mut live, "sendmsg", |r| r.int("fd") == Some(fd));
    assert_eq!((ends(&event).1, event.int("size")), (to, Some(6)));

    let fd = i64::from(receiver.as_raw_fd());
    let mut room = [0; 16];
    assert_eq!(receiver.recv_from(&mut room).unwrap(), (3, from));
    let event = mine(&mut live, "recvfrom", |r| r.int("fd") == Some(fd));
    assert_eq!(ends(&event).0, from, "who sent it comes first");

    let mut control = rustix::net::RecvAncillaryBuffer::default();
    let mut data = [IoSliceMut::new(&mut room)];
    let flags = rustix::net::RecvFlags::empty();
    rustix::net::recvmsg(&receiver, &mut data, &mut control, flags).unwrap();
    let event = mine(&mut live, "recvmsg", |r| r.int("fd") == Some(fd));
    assert_eq!((ends(&event).0, event.raw("data")), (from, b"second".to_vec()));
}

#[test]
fn each_message_of_one_call_has_an_event() {
    let Some(mut live) = start(&["sendmmsg"], &own_calls()) else { return };
    let receivers =
        [UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap()];
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addresses = receivers.each_ref().map(|receiver| receiver.local_addr().unwrap());
    let mut names = addresses.map(|address| libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    });
    let texts = [b"first".as_slice(), b"the second".as_slice()];
    let mut parts = texts
        .map(|text| libc::iovec { iov_base: text.as_ptr().cast_mut().cast(), iov_len: text.len() });
    // SAFETY: zero is a value of each field of the structure.
    let mut messages: [libc::mmsghdr; 2] = unsafe { std::mem::zeroed() };
    for ((message, name), part) in messages.iter_mut().zip(&mut names).zip(&mut parts) {
        message.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
        message.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
        message.msg_hdr.msg_iov = part;
        message.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: everything that the messages point to outlives the call.
    let sent = unsafe { libc::sendmmsg(sender.as_raw_fd(), messages.as_mut_ptr(), 2, 0) };
    assert_eq!(sent, 2);
    for (address, text) in addresses.iter().zip(texts) {
        let event = mine(&mut live, "sendmmsg", |r| r.raw("data") == text);
        assert_eq!(ends(&event).1, *address);
        assert_eq!((event.int("res"), event.int("size")), (Some(2), Some(text.len() as i64)));
        assert_eq!(event.raw("eyas_fd_type"), b"4");
    }
}

#[test]
fn pairs_polls_and_options() {
    let names = ["socketpair", "pipe2", "poll", "ppoll", "setsockopt", "getsockopt", "eventfd2"];
    let Some(mut live) = start(&names, &own_calls()) else { return };
    let (one, _two) = std::os::unix::net::UnixStream::pair().unwrap();
    let fd = i64::from(one.as_raw_fd());
    let event = mine(&mut live, "socketpair", |r| r.int("fd1") == Some(fd));
    let (source, peer) = (event.int("source").unwrap(), event.int("peer").unwrap());
    assert!(source != 0 && peer != 0 && source != peer);
    assert_eq!(event.raw("eyas_fd_type"), b"u");

    let (reader, _writer) = std::io::pipe().unwrap();
    let fd = i64::from(reader.as_raw_fd());
    let event = mine(&mut live, "pipe2", |r| r.int("fd1") == Some(fd));
    let inode = rustix::fs::fstat(&reader).unwrap().st_ino;
    assert_eq!(event.int("ino"), Some(inode as i64));
    assert_eq!(event.raw("eyas_fd_type"), b"p");

    // SAFETY: a new descriptor of our own.
    let ready = unsafe { OwnedFd::from_raw_fd(libc::eventfd(1, libc::EFD_CLOEXEC)) };
    let fd = i64::from(ready.as_raw_fd());
    let event = mine(&mut live, "eventfd2", |r| r.event().int(0) == Some(fd));
    assert_eq!((event.int("initval"), event.int("flags")), (Some(1), Some(0x1000)));
    let mut asked = libc::pollfd { fd: ready.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure that outlives the call.
    assert_eq!(unsafe { libc::poll(&raw mut asked, 1, 0) }, 1);
    let me = std::process::id();
    let mut wanted = 1_u16.to_ne_bytes().to_vec();
    wanted.extend(fd.to_ne_bytes());
    wanted.extend(1_u16.to_ne_bytes()); // POLLIN
    live.wait_for("poll", |r| {
        matches!(r.name, "poll" | "ppoll") && r.header.tgid == me && r.raw("fds") == wanted
    });

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let fd = i64::from(socket.as_raw_fd());
    socket.set_read_timeout(Some(std::time::Duration::from_millis(1500))).unwrap();
    let event = mine(&mut live, "setsockopt", |r| r.int("fd") == Some(fd));
    assert_eq!((event.int("level"), event.int("optname")), (Some(1), Some(20)), "SO_RCVTIMEO");
    let mut time = vec![4];
    time.extend(1_500_000_000_u64.to_ne_bytes());
    assert_eq!(event.raw("val"), time);
    socket.take_error().unwrap();
    let event = mine(&mut live, "getsockopt", |r| r.int("fd") == Some(fd));
    assert_eq!(event.int("optname"), Some(4), "SO_ERROR");
    assert_eq!(event.raw("val")[0], 1, "an error number");
}

#[test]
fn what_a_process_changes_without_an_exec() {
    let Some(mut live) = start(&["chdir", "fchdir", "setresuid"], &Options::default()) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let real = std::fs::canonicalize(directory.path()).unwrap();
    std::fs::create_dir(real.join("below")).unwrap();
    std::os::unix::fs::symlink("below", real.join("link")).unwrap();
    let done = std::process::Command::new("sh")
        .args(["-c", "cd -P link && true"])
        .current_dir(&real)
        .status()
        .unwrap();
    assert!(done.success());
    let below = real.join("below");
    let event = live.wait_for("chdir", |r| {
        r.name == "chdir" && r.text("eyas_cwd").as_deref() == below.to_str()
    });
    assert_eq!(event.int("res"), Some(0));

    let changed = std::process::Command::new("setpriv")
        .args(["--reuid", "65534", "--clear-groups", "true"])
        .output();
    let Ok(changed) = changed else { return eprintln!("SKIPPED: no `setpriv` here") };
    if !changed.status.success() {
        return eprintln!("SKIPPED: the user cannot be changed here");
    }
    let event = live.wait_for("setresuid", |r| r.name == "setresuid" && r.int("res") == Some(0));
    assert_eq!(event.int("eyas_cap_effective"), Some(0), "nothing is left of root's");
}

//! Connections, compared with what the sockets say of themselves.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};

use eyas_abi::value::{SockAddr, SockTuple};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::live::{Live, Record, own_calls, start};

/// The connect that asked for `address` last.
fn connect_to(live: &mut Live, address: SocketAddr) -> Record {
    live.wait_for(&address.to_string(), |r| {
        r.name == "connect"
            && SockAddr::read(&r.raw("addr")) == Some(SockAddr::Inet(address.ip(), address.port()))
    })
}

pub(crate) fn check_pair(local: SocketAddr, peer: SocketAddr, tuple: &[u8]) {
    assert_eq!(
        SockTuple::read(tuple),
        Some(SockTuple::Inet {
            source: (local.ip(), local.port()),
            destination: (peer.ip(), peer.port())
        })
    );
}

#[test]
fn tcp_connects_and_accepts_carry_both_ends() {
    let Some(mut live) = start(&["connect", "accept", "accept4"], &own_calls()) else { return };
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(address) else {
            eprintln!("SKIPPED: no address {address} here");
            continue;
        };
        let peer = listener.local_addr().unwrap();
        let stream = TcpStream::connect(peer).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let local = stream.local_addr().unwrap();

        let event = connect_to(&mut live, peer);
        assert_eq!(event.int("res"), Some(0));
        assert_eq!(event.int("fd"), Some(i64::from(stream.as_raw_fd())));
        check_pair(local, peer, &event.raw("tuple"));
        check_pair(local, peer, &event.raw("eyas_fd_tuple"));
        assert_eq!(event.raw("eyas_fd_type"), if peer.is_ipv4() { b"4" } else { b"6" });
        assert_eq!(event.int("eyas_fd_proto"), Some(6), "TCP");

        let event = live.wait_for("accept", |r| {
            r.name.starts_with("accept") && r.int("fd") == Some(i64::from(accepted.as_raw_fd()))
        });
        check_pair(local, peer, &event.raw("tuple"));
        check_pair(peer, local, &event.raw("eyas_fd_tuple"));
        assert!(event.int("queuemax") > Some(0));
    }
}

#[test]
fn a_refused_connect_still_says_where_to() {
    let Some(mut live) = start(&["connect"], &own_calls()) else { return };
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    assert!(TcpStream::connect(address).is_err());
    let event = connect_to(&mut live, address);
    assert_eq!(event.int("res"), Some(-111), "ECONNREFUSED");
    assert!(event.raw("tuple").is_empty(), "no connection, no tuple");
    let raw = event.raw("eyas_fd_tuple");
    let Some(SockTuple::Inet { destination, .. }) = SockTuple::read(&raw) else {
        panic!("{raw:?}")
    };
    assert_eq!(destination, (address.ip(), address.port()));
}

#[test]
fn a_connect_that_does_not_wait_is_in_progress() {
    let Some(mut live) = start(&["connect"], &own_calls()) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    let result = rustix::net::connect(&socket, &address);
    let event = connect_to(&mut live, address);
    match result {
        Ok(()) => assert_eq!(event.int("res"), Some(0)),
        Err(error) => assert_eq!(event.int("res"), Some(-i64::from(error.raw_os_error()))),
    }
    let raw = event.raw("tuple");
    let Some(SockTuple::Inet { source, destination }) = SockTuple::read(&raw) else {
        panic!("{raw:?}")
    };
    assert_eq!(destination, (address.ip(), address.port()));
    assert_ne!(source.1, 0, "the kernel has chosen a port");
}

#[test]
fn udp_and_unix_sockets() {
    let Some(mut live) = start(&["connect"], &own_calls()) else { return };
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let peer = receiver.local_addr().unwrap();
    sender.connect(peer).unwrap();
    let event = connect_to(&mut live, peer);
    check_pair(sender.local_addr().unwrap(), peer, &event.raw("tuple"));
    assert_eq!(event.int("eyas_fd_proto"), Some(17), "UDP");

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    let _stream = UnixStream::connect(&path).unwrap();
    let path = path.to_str().unwrap().as_bytes();
    let event = live.wait_for("unix connect", |r| {
        r.name == "connect" && SockAddr::read(&r.raw("addr")) == Some(SockAddr::Unix(path))
    });
    let raw = event.raw("tuple");
    let Some(SockTuple::Unix { source, destination, path: found }) = SockTuple::read(&raw) else {
        panic!("{raw:?}")
    };
    assert_eq!(found, path);
    assert!(source != 0 && destination != 0 && source != destination);
    assert_eq!(event.raw("eyas_fd_type"), b"u");
}

#[test]
fn a_connect_on_what_is_no_socket_is_told_as_such() {
    let Some(mut live) = start(&["connect"], &own_calls()) else { return };
    let file = std::fs::File::open("/dev/null").unwrap();
    let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
    assert!(rustix::net::connect(&file, &address).is_err());
    let event = connect_to(&mut live, address);
    assert_eq!(event.int("res"), Some(-88), "ENOTSOCK");
    assert_eq!(event.text("eyas_path").as_deref(), Some("/dev/null"));
    assert!(event.raw("tuple").is_empty());
}

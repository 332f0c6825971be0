//! Descriptors as events describe them.

use eyas_abi::EventBuilder;
use eyas_abi::value::{AF_INET, AF_INET6, AF_UNIX};

use super::*;
use crate::slots::Slots;

fn v4(source: ([u8; 4], u16), destination: ([u8; 4], u16)) -> Vec<u8> {
    let mut bytes = vec![AF_INET];
    for (ip, port) in [source, destination] {
        bytes.extend(ip);
        bytes.extend(port.to_ne_bytes());
    }
    bytes
}

fn with_fd<T>(record: &[u8], look: impl FnOnce(Option<Fd<'_>>) -> T) -> T {
    let event = Event::decode(record).unwrap();
    let slots = Slots::new();
    look(Fd::of(&event, slots.fd(event.code())))
}

fn name(record: &[u8]) -> String {
    with_fd(record, |fd| {
        String::from_utf8_lossy(&fd.unwrap().other_name().unwrap_or_default()).into_owned()
    })
}

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 2], 443);

#[test]
fn a_connect_has_its_client_first() {
    let record = EventBuilder::new(23)
        .int(0)
        .bytes(&v4(CLIENT, SERVER))
        .int(5)
        .skip_to("eyas_fd_type")
        .bytes(b"4")
        .skip_to("eyas_fd_proto")
        .int(6)
        .skip_to("eyas_sock_state")
        .int(1)
        .build();
    assert_eq!(name(&record), "10.0.0.1:40000->10.0.0.2:443");
    with_fd(&record, |fd| {
        let fd = fd.unwrap();
        assert_eq!((fd.number, fd.kind), (Some(5), Some(FdKind::Ipv4)));
        assert_eq!((fd.protocol, fd.connected()), (Some(6), Some(true)));
        assert_eq!(fd.ends().unwrap().1, ([10, 0, 0, 2].into(), 443));
    });
}

#[test]
fn a_socket_seen_from_the_server_is_turned_around() {
    let write = |tuple: &[u8]| {
        EventBuilder::new(9)
            .int(1)
            .skip_to("fd")
            .int(5)
            .skip_to("eyas_fd_type")
            .bytes(b"4")
            .skip_to("eyas_fd_tuple")
            .bytes(tuple)
            .build()
    };
    assert_eq!(name(&write(&v4(SERVER, CLIENT))), "10.0.0.1:40000->10.0.0.2:443");
    assert_eq!(name(&write(&v4(CLIENT, SERVER))), "10.0.0.1:40000->10.0.0.2:443");
}

#[test]
fn a_listening_socket_has_one_end() {
    let listen = |tuple: &[u8]| {
        EventBuilder::new(25)
            .int(0)
            .int(5)
            .skip_to("eyas_fd_type")
            .bytes(b"4")
            .skip_to("eyas_fd_tuple")
            .bytes(tuple)
            .skip_to("eyas_sock_state")
            .int(10)
            .build()
    };
    let nobody = ([0; 4], 0);
    for record in [listen(&v4(([0; 4], 80), nobody)), listen(&v4(nobody, ([0; 4], 80)))] {
        assert_eq!(name(&record), "0.0.0.0:80");
        with_fd(&record, |fd| assert!(fd.unwrap().ends().is_none()));
    }
}

#[test]
fn mapped_addresses_unix_sockets_and_protocols_without_ports() {
    let mut mapped = vec![AF_INET6];
    for (ip, port) in [CLIENT, SERVER] {
        mapped.extend(std::net::Ipv4Addr::from(ip).to_ipv6_mapped().octets());
        mapped.extend(port.to_ne_bytes());
    }
    let tuple = SockTuple::read(&mapped).unwrap();
    assert_eq!(tuple_text(&tuple, Some(6)), b"10.0.0.1:40000->10.0.0.2:443");
    assert_eq!(tuple_text(&tuple, Some(1)), b"10.0.0.1->10.0.0.2");
    let mut unix = vec![AF_UNIX];
    unix.extend(0xabc_u64.to_ne_bytes());
    unix.extend(0xdef_u64.to_ne_bytes());
    unix.extend(b"/run/x\0");
    assert_eq!(tuple_text(&SockTuple::read(&unix).unwrap(), None), b"abc->def /run/x");
    assert_eq!(address_text(&SockAddr::Unix(b"/run/y")), b"/run/y");
    assert_eq!(address_text(&SockAddr::Other(16)), b"family 16");
}

#[test]
fn events_without_a_descriptor_have_none_and_unknown_ones_have_no_kind() {
    with_fd(&EventBuilder::new(301).int(0).text(b"/x").build(), |fd| assert!(fd.is_none()));
    let failed = EventBuilder::new(307).int(-2).int(-100).text(b"x").build();
    with_fd(&failed, |fd| {
        let fd = fd.unwrap();
        assert_eq!((fd.number, fd.kind), (Some(-2), None));
    });
}

#[test]
fn what_has_no_name_is_called_as_in_proc() {
    let write = |letter: &[u8], word: &str| {
        let event = EventBuilder::new(9).int(1).skip_to("fd").int(5).skip_to("eyas_fd_type");
        event.bytes(letter).text(word.as_bytes()).skip_to("eyas_fd_ino").int(77).build()
    };
    for (letter, word, kind, expected) in [
        (b"a", "[eventpoll]", FdKind::Eventpoll, "anon_inode:[eventpoll]"),
        (b"a", "[eventfd]", FdKind::Event, "anon_inode:[eventfd]"),
        (b"a", "inotify", FdKind::Inotify, "anon_inode:inotify"),
        (b"a", "bpf-map", FdKind::Bpf, "anon_inode:bpf-map"),
        (b"a", "[io_uring]", FdKind::IoUring, "anon_inode:[io_uring]"),
        (b"a", "[fanotify]", FdKind::Other, "anon_inode:[fanotify]"),
        (b"a", "", FdKind::Pidfd, ""),
        (b"p", "", FdKind::Pipe, "pipe:[77]"),
        (b"p", "/run/fifo", FdKind::Pipe, "/run/fifo"),
        (b"m", "memfd:x", FdKind::Memfd, "memfd:x"),
    ] {
        let record = write(letter, word);
        assert_eq!(name(&record), expected);
        with_fd(&record, |fd| assert_eq!(fd.unwrap().kind, Some(kind), "{word}"));
    }
}

#[test]
fn letters_and_words() {
    for (kind, wire, word) in FdKind::ALL {
        assert_eq!(FdKind::from_wire(wire), Some(kind));
        assert_eq!(kind.word(), word);
    }
    assert_eq!(FdKind::from_wire(0), None);
    assert_eq!(FdKind::Userfaultfd.letter(), b'u');
}

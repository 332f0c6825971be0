//! What the workload does with sockets: both ends of connections over loopback, datagrams, Unix sockets.

use std::ptr::{null, null_mut};

use crate::calls::{call, close};

/// Ports of both ends; the network is the workload's own, so they are free.
const SERVER: u16 = 4100;
const CLIENT: u16 = 4101;
const CALLER: u16 = 4102;
const NOBODY: u16 = 4103;

pub(crate) fn perform() {
    let v4 = |port| address_v4([127, 0, 0, 1], port);
    stream(libc::AF_INET, &v4(SERVER), &v4(CLIENT), &v4(CALLER));
    stream(libc::AF_INET6, &address_v6(SERVER), &address_v6(CLIENT), &address_v6(CALLER));
    stream(
        libc::AF_UNIX,
        &address_unix(b"/mnt/socket"),
        &address_unix(b"\0client"),
        &address_unix(b"/mnt/caller"),
    );
    datagrams();
    messages();
    refused();
    pairs();
}

/// A sockaddr as bytes, as large as callers declare it.
fn address_v4(ip: [u8; 4], port: u16) -> Vec<u8> {
    let mut bytes = (libc::AF_INET as u16).to_ne_bytes().to_vec();
    bytes.extend(port.to_be_bytes());
    bytes.extend(ip);
    bytes.extend([0; 8]);
    bytes
}

/// The loopback address.
fn address_v6(port: u16) -> Vec<u8> {
    let mut bytes = (libc::AF_INET6 as u16).to_ne_bytes().to_vec();
    bytes.extend(port.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(std::net::Ipv6Addr::LOCALHOST.octets());
    bytes.extend([0; 4]);
    bytes
}

fn address_unix(path: &[u8]) -> Vec<u8> {
    let mut bytes = (libc::AF_UNIX as u16).to_ne_bytes().to_vec();
    bytes.extend(path);
    if path.first() != Some(&0) {
        bytes.push(0);
    }
    bytes
}

fn socket(family: i32, kind: i32) -> i64 {
    call!(SYS_socket, family, kind | libc::SOCK_CLOEXEC, 0)
}

fn bind(fd: i64, address: &[u8]) {
    let on = 1_i32;
    call!(SYS_setsockopt, fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, &raw const on, 4);
    call!(SYS_bind, fd, address.as_ptr(), address.len());
}

fn connect(fd: i64, address: &[u8]) {
    call!(SYS_connect, fd, address.as_ptr(), address.len());
}

fn stream(family: i32, server: &[u8], client: &[u8], second: &[u8]) {
    let listener = socket(family, libc::SOCK_STREAM);
    bind(listener, server);
    call!(SYS_listen, listener, 5);
    let caller = socket(family, libc::SOCK_STREAM);
    bind(caller, client);
    connect(caller, server);
    let accepted =
        call!(SYS_accept4, listener, null_mut::<u8>(), null_mut::<u32>(), libc::SOCK_CLOEXEC);
    let mut buffer = [0_u8; 64];
    call!(SYS_sendto, caller, b"to the server".as_ptr(), 13, 0, null::<u8>(), 0);
    call!(
        SYS_recvfrom,
        accepted,
        buffer.as_mut_ptr(),
        buffer.len(),
        0,
        null_mut::<u8>(),
        null_mut::<u32>()
    );
    call!(SYS_write, accepted, b"to the client".as_ptr(), 13);
    call!(SYS_read, caller, buffer.as_mut_ptr(), buffer.len());
    let (mut value, mut len) = (0_i32, 4_u32);
    call!(SYS_getsockopt, caller, libc::SOL_SOCKET, libc::SO_TYPE, &raw mut value, &raw mut len);
    call!(SYS_shutdown, caller, libc::SHUT_WR);
    close(caller);
    let other = socket(family, libc::SOCK_STREAM);
    bind(other, second);
    connect(other, server);
    close(call!(SYS_accept, listener, null_mut::<u8>(), null_mut::<u32>()));
    close(other);
    close(accepted);
    close(listener);
}

fn datagrams() {
    let (server, client) = (address_v4([127, 0, 0, 1], SERVER), address_v4([127, 0, 0, 1], CLIENT));
    let receiver = socket(libc::AF_INET, libc::SOCK_DGRAM);
    bind(receiver, &server);
    let sender = socket(libc::AF_INET, libc::SOCK_DGRAM);
    bind(sender, &client);
    call!(SYS_sendto, sender, b"datagram".as_ptr(), 8, 0, server.as_ptr(), server.len());
    let (mut buffer, mut from, mut len) = ([0_u8; 64], [0_u8; 128], 128_u32);
    call!(SYS_recvfrom, receiver, buffer.as_mut_ptr(), 64, 0, from.as_mut_ptr(), &raw mut len);
    connect(sender, &server);
    close(sender);
    close(receiver);
}

/// `msghdr` with one buffer.
struct Message {
    header: libc::msghdr,
    _vector: Box<libc::iovec>,
}

impl Message {
    fn new(buffer: *mut u8, len: usize, address: &mut [u8]) -> Self {
        let mut vector = Box::new(libc::iovec { iov_base: buffer.cast(), iov_len: len });
        // SAFETY: all zeros is an empty message.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut *vector;
        header.msg_iovlen = 1;
        if !address.is_empty() {
            header.msg_name = address.as_mut_ptr().cast();
            header.msg_namelen = address.len() as u32;
        }
        Self { header, _vector: vector }
    }
}

fn messages() {
    let mut server = address_v4([127, 0, 0, 1], SERVER);
    let receiver = socket(libc::AF_INET, libc::SOCK_DGRAM);
    bind(receiver, &server);
    let sender = socket(libc::AF_INET, libc::SOCK_DGRAM);
    bind(sender, &address_v4([127, 0, 0, 1], CLIENT));
    let (mut text, mut buffer) = (*b"a message", [0_u8; 64]);
    let out = Message::new(text.as_mut_ptr(), text.len(), &mut server);
    call!(SYS_sendmsg, sender, &raw const out.header, 0);
    let mut inward = Message::new(buffer.as_mut_ptr(), buffer.len(), &mut []);
    call!(SYS_recvmsg, receiver, &raw mut inward.header, 0);
    let mut many = [libc::mmsghdr { msg_hdr: out.header, msg_len: 0 }; 2];
    call!(SYS_sendmmsg, sender, many.as_mut_ptr(), 2, 0);
    let mut one = [libc::mmsghdr { msg_hdr: inward.header, msg_len: 0 }; 2];
    call!(
        SYS_recvmmsg,
        receiver,
        one.as_mut_ptr(),
        2,
        libc::MSG_DONTWAIT,
        null::<libc::timespec>()
    );
    close(sender);
    close(receiver);
}

fn refused() {
    for address in [
        address_v4([127, 0, 0, 1], NOBODY),
        address_v6(NOBODY),
        address_unix(b"/mnt/nobody"),
        address_v4([192, 0, 2, 1], NOBODY),
    ] {
        let family = i32::from(u16::from_ne_bytes([address[0], address[1]]));
        let fd = socket(family, libc::SOCK_STREAM | libc::SOCK_NONBLOCK);
        connect(fd, &address);
        close(fd);
    }
}

fn pairs() {
    let mut pair = [0_i32; 2];
    call!(SYS_socketpair, libc::AF_UNIX, libc::SOCK_STREAM, 0, pair.as_mut_ptr());
    call!(SYS_write, pair[0], b"pair".as_ptr(), 4);
    close(i64::from(pair[0]));
    close(i64::from(pair[1]));
    close(socket(libc::AF_NETLINK, libc::SOCK_RAW));
}

//! `fd.*`: the descriptor an event works on.

use std::borrow::Cow;
use std::net::IpAddr;

use eyas_abi::schema::EventFlags;
use eyas_abi::value::SockAddr;
use eyas_state::{Ctx, Fd, FdKind, Role};

use super::super::{FieldId, Value};
use super::flag;

/// Marks among the flags of an open file.
const UPPER_LAYER: u32 = 0x8000;
const LOWER_LAYER: u32 = 0x1_0000;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// The value of one of these fields.
pub(super) fn value<'a>(ctx: &'a Ctx<'_>, field: FieldId) -> Option<Value<'a>> {
    let fd = ctx.fd()?;
    match field {
        FieldId::FdNum => Some(Value::Int(number(ctx, fd))),
        FieldId::FdName => ctx.fd_name().map(Value::text),
        FieldId::FdNameraw => raw_name(ctx, fd),
        FieldId::FdTypechar => Some(Value::owned_text([type_letter(ctx, fd)])),
        FieldId::FdDirectory => {
            file_name(ctx, fd).map(|name| Value::text(directory(name, fd.kind)))
        }
        FieldId::FdUid => {
            let tid = ctx.event().header().tid;
            Some(Value::owned_text(format!("{tid}{}", number(ctx, fd))))
        }
        FieldId::FdKernelDiffers => differs(ctx, fd).and_then(flag),
        FieldId::FdContainername => ctx.fd_name().map(in_container),
        FieldId::FdContainerdirectory => {
            file_name(ctx, fd).map(|name| in_container(directory(name, fd.kind)))
        }
        // All others are unset for a descriptor that the kernel does not know.
        _ => known(ctx, fd, fd.kind?, field),
    }
}

fn known<'a>(ctx: &'a Ctx<'_>, fd: &Fd<'a>, kind: FdKind, field: FieldId) -> Option<Value<'a>> {
    match field {
        FieldId::FdType => Some(Value::text(kind.word())),
        FieldId::FdFilename if kind == FdKind::Directory => None,
        FieldId::FdFilename => file_name(ctx, fd).map(|name| Value::text(last_part(name))),
        FieldId::FdL4proto => Some(Value::text(transport(kind, fd.protocol))),
        FieldId::FdSockfamily => match kind {
            FdKind::Ipv4 | FdKind::Ipv6 => Some(Value::text("ip")),
            FdKind::Unix => Some(Value::text("unix")),
            _ => None,
        },
        FieldId::FdKernelPath => kernel_path(fd).map(Value::text),
        FieldId::FdKernelPeer => fd.kernel_peer().map(Value::owned_text),
        FieldId::FdConnected => fd.connected().and_then(flag),
        FieldId::FdNameChanged => flag(renamed(ctx, fd)),
        FieldId::FdDev => fd.device.map(|device| Value::Int(i64::from(device as i32))),
        FieldId::FdDevMajor => fd.device.map(|device| Value::Int(major(device))),
        FieldId::FdDevMinor => fd.device.map(|device| Value::Int(minor(device))),
        FieldId::FdIno => fd.inode.map(|inode| Value::Int(inode as i64)),
        FieldId::FdIsUpperLayer => flag(fd.flags & UPPER_LAYER != 0),
        FieldId::FdIsLowerLayer => flag(fd.flags & LOWER_LAYER != 0),
        FieldId::FdIsServer => flag(kind.is_ip() && is_server(ctx, fd)),
        _ => socket(ctx, fd, field),
    }
}

/// Fields of one end of an internet socket.
fn socket<'a>(ctx: &Ctx<'_>, fd: &Fd<'_>, field: FieldId) -> Option<Value<'a>> {
    if let Some((ip, port)) = fd.listening_end() {
        return match field {
            FieldId::FdSport | FieldId::FdSproto => Some(port_value(port, field)),
            FieldId::FdSip | FieldId::FdSnet if fd.role == Role::Server => Some(Value::Ip(ip)),
            _ => None,
        };
    }
    if fd.role == Role::Unknown {
        return None;
    }
    let (client, server) = fd.ends()?;
    let (local, remote) =
        if ctx.host().is_local(client.0) { (client, server) } else { (server, client) };
    let ip = |ip: IpAddr| Some(Value::Ip(ip));
    match field {
        FieldId::FdCip | FieldId::FdCnet => ip(client.0),
        FieldId::FdSip | FieldId::FdSnet => ip(server.0),
        FieldId::FdLip | FieldId::FdLnet => ip(local.0),
        FieldId::FdRip | FieldId::FdRnet => ip(remote.0),
        FieldId::FdCport | FieldId::FdCproto => Some(port_value(client.1, field)),
        FieldId::FdSport | FieldId::FdSproto => Some(port_value(server.1, field)),
        FieldId::FdLport | FieldId::FdLproto => Some(port_value(local.1, field)),
        FieldId::FdRport | FieldId::FdRproto => Some(port_value(remote.1, field)),
        _ => None,
    }
}

fn port_value<'a>(port: u16, field: FieldId) -> Value<'a> {
    match field {
        FieldId::FdCproto | FieldId::FdSproto | FieldId::FdLproto | FieldId::FdRproto => {
            Value::owned_text(port.to_string())
        }
        _ => Value::Uint(u64::from(port)),
    }
}

fn number(ctx: &Ctx<'_>, fd: &Fd<'_>) -> i64 {
    let failed = fd.kind.is_none() && ctx.event().ty().flags.has(EventFlags::CREATES_FD);
    fd.number.filter(|_| !failed).unwrap_or(-1)
}

/// The path, for descriptors that are files and for files that could not be opened.
fn file_name<'a>(ctx: &'a Ctx<'_>, fd: &Fd<'_>) -> Option<&'a [u8]> {
    let is_file = fd.kind.is_none_or(FdKind::is_file);
    is_file.then(|| ctx.fd_name()).flatten()
}

/// The path of a file as the kernel has it.
fn kernel_path<'a>(fd: &Fd<'a>) -> Option<&'a [u8]> {
    fd.kind.filter(|kind| kind.is_file() || *kind == FdKind::Memfd).and(fd.path)
}

/// Whether what the program passed is something else than what the kernel took.
fn differs(ctx: &Ctx<'_>, fd: &Fd<'_>) -> Option<bool> {
    if ctx.opened_path().is_some() {
        return Some(ctx.fd_name()? != kernel_path(fd)?);
    }
    let asked = Ctx::address_text(fd.address.as_ref()?);
    Some(asked != fd.kernel_peer()?)
}

fn directory(name: &[u8], kind: Option<FdKind>) -> &[u8] {
    if kind == Some(FdKind::Directory) {
        return name;
    }
    match name.iter().rposition(|byte| *byte == b'/') {
        Some(0) | None => b"/",
        Some(end) => name.get(..end).unwrap_or_default(),
    }
}

fn last_part(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => name.get(slash + 1..).unwrap_or_default(),
        None => b"/",
    }
}

fn raw_name<'a>(ctx: &'a Ctx<'_>, fd: &Fd<'a>) -> Option<Value<'a>> {
    let Some((index, _)) = ctx.opened_path() else {
        return fd.kind.filter(|kind| kind.is_file()).and_then(|_| fd.path.map(Value::text));
    };
    let path = ctx.event().text(index)?;
    if !path.windows(2).any(|pair| pair == b"//") {
        return Some(Value::text(path));
    }
    let mut text = path.to_vec();
    text.dedup_by(|next, previous| *next == b'/' && *previous == b'/');
    Some(Value::owned_text(text))
}

fn type_letter(ctx: &Ctx<'_>, fd: &Fd<'_>) -> u8 {
    if let Some(kind) = fd.kind {
        return kind.letter();
    }
    match fd.address {
        _ if ctx.opened_path().is_some() => b'f',
        Some(SockAddr::Inet(IpAddr::V4(_), _)) => b'4',
        Some(SockAddr::Inet(IpAddr::V6(_), _)) => b'6',
        Some(SockAddr::Unix(_)) => b'u',
        _ => b'o',
    }
}

fn transport(kind: FdKind, protocol: Option<u8>) -> &'static str {
    match protocol {
        _ if !kind.is_ip() => "<NA>",
        Some(TCP) => "tcp",
        Some(UDP) => "udp",
        Some(1 | 58) => "icmp",
        Some(255) => "raw",
        _ => "<NA>",
    }
}

/// An unconnected datagram socket is named after whom it talks to at the moment.
fn renamed(ctx: &Ctx<'_>, fd: &Fd<'_>) -> bool {
    let transfers = matches!(
        ctx.event().ty().name,
        "sendto" | "sendmsg" | "sendmmsg" | "recvfrom" | "recvmsg" | "recvmmsg"
    );
    transfers
        && fd.protocol == Some(UDP)
        && fd.connected() != Some(true)
        && !ctx.event().param_named("tuple").is_empty()
}

fn is_server(ctx: &Ctx<'_>, fd: &Fd<'_>) -> bool {
    if let Some(server) = fd.server {
        return server;
    }
    fd.listening() || fd.ends().is_some_and(|(_, server)| ctx.host().is_local(server.0))
}

fn in_container<'a>(name: &[u8]) -> Value<'a> {
    Value::Text(Cow::Owned([b"host:", name].concat()))
}

/// Major part of a device number as user space encodes it.
fn major(device: u32) -> i64 {
    i64::from((device >> 8) & 0xfff)
}

fn minor(device: u32) -> i64 {
    i64::from((device & 0xff) | ((device >> 12) & 0xf_ff00))
}

//! Parameters of an event: `evt.arg`, `evt.rawarg`, `evt.args`.

use std::borrow::Cow;
use std::fmt::Write as _;

use eyas_abi::schema::{FlagTable, Param, ParamType, PrintFormat};
use eyas_abi::value::{self, SockAddr, SockTuple};
use eyas_state::{Ctx, Fd};

use super::super::{FieldArg, Value};
use super::names;

/// Text of a parameter that is not known.
const NOT_AVAILABLE: &[u8] = b"<NA>";
/// The same for parameters that are bytes.
const NULL: &[u8] = b"NULL";
/// Text of an id that is all ones.
const NO_ID: &[u8] = b"<NONE>";
/// Descriptor that stands for the working directory.
const AT_FDCWD: i64 = -100;

/// The parameter that `evt.arg.NAME` or `evt.arg[N]` names in this event.
fn find(ctx: &Ctx<'_>, arg: FieldArg<'_>) -> Option<(usize, &'static Param)> {
    let ty = ctx.event().ty();
    match arg {
        FieldArg::Key(name) => ty.param(std::str::from_utf8(name).ok()?),
        FieldArg::Index(index) => {
            let param = ty.params.get(index as usize).filter(|param| !param.extra)?;
            Some((index as usize, param))
        }
        FieldArg::None => None,
    }
}

/// `evt.arg`: the resolved form if there is one, else the raw form.
pub(super) fn text<'a>(ctx: &'a Ctx<'_>, arg: FieldArg<'_>) -> Option<Value<'a>> {
    let (index, param) = find(ctx, arg)?;
    let text = resolved(ctx, index, param).unwrap_or_else(|| raw_text(ctx, index, param));
    Some(Value::Text(text))
}

/// `evt.rawarg`: the parameter in its own type.
pub(super) fn raw<'a>(ctx: &'a Ctx<'_>, arg: FieldArg<'_>) -> Option<Value<'a>> {
    let (index, param) = find(ctx, arg)?;
    let bytes = ctx.event().param(index);
    let (ty, _, bytes) = variant(param, bytes);
    if bytes.is_empty() {
        return ty.is_text().then_some(Value::Text(Cow::Borrowed(NOT_AVAILABLE)));
    }
    Some(match ty {
        ParamType::Charbuf | ParamType::FsPath | ParamType::FsRelPath => {
            Value::Text(Cow::Borrowed(value::text(bytes)?))
        }
        ParamType::Bytebuf | ParamType::FdList => Value::Bytes(Cow::Borrowed(bytes)),
        ParamType::SockAddr | ParamType::SockTuple | ParamType::CharbufArray => {
            Value::Text(raw_text(ctx, index, param))
        }
        ParamType::Bool => Value::Bool(value::int(bytes, false)? != 0),
        ParamType::Ipv4Addr => Value::Ip(<[u8; 4]>::try_from(bytes).ok()?.into()),
        ParamType::Ipv6Addr => Value::Ip(<[u8; 16]>::try_from(bytes).ok()?.into()),
        ty if ty.is_signed() => Value::Int(value::int(bytes, true)?),
        _ => Value::Uint(value::int(bytes, false)? as u64),
    })
}

/// `evt.args`: every parameter as `name=raw` or `name=raw(resolved)`.
pub(super) fn all<'a>(ctx: &Ctx<'_>) -> Value<'a> {
    let ty = ctx.event().ty();
    let mut line = Vec::new();
    if !ty.is_generic() {
        for (index, param) in ty.params.iter().enumerate().filter(|(_, param)| !param.extra) {
            if !line.is_empty() {
                line.push(b' ');
            }
            line.extend_from_slice(param.name.as_bytes());
            line.push(b'=');
            line.extend_from_slice(&raw_text(ctx, index, param));
            if let Some(resolved) = resolved(ctx, index, param) {
                line.push(b'(');
                line.extend_from_slice(&resolved);
                line.push(b')');
            }
        }
    }
    Value::Text(Cow::Owned(line))
}

/// Type, print format and bytes behind a `dyn` parameter's selector; the parameter's own otherwise.
fn variant<'e>(param: &'static Param, bytes: &'e [u8]) -> (ParamType, PrintFormat, &'e [u8]) {
    if param.ty == ParamType::Dyn
        && let Some((selector, rest)) = bytes.split_first()
        && let Some(variant) = param.variants.get(usize::from(*selector))
    {
        return (variant.ty, variant.print, rest);
    }
    (param.ty, param.print, bytes)
}

fn raw_text<'a>(ctx: &'a Ctx<'_>, index: usize, param: &'static Param) -> Cow<'a, [u8]> {
    let bytes = ctx.event().param(index);
    if bytes.is_empty() {
        let null = matches!(
            param.ty,
            ParamType::Bytebuf | ParamType::SockTuple | ParamType::FdList | ParamType::Dyn
        );
        return Cow::Borrowed(if null { NULL } else { NOT_AVAILABLE });
    }
    let (ty, print, bytes) = variant(param, bytes);
    let owned = |text: String| Cow::Owned(text.into_bytes());
    match ty {
        ParamType::Charbuf | ParamType::FsPath | ParamType::FsRelPath => {
            Cow::Borrowed(value::text(bytes).unwrap_or(NOT_AVAILABLE))
        }
        ParamType::Bytebuf | ParamType::Dyn => printable(bytes),
        ParamType::CharbufArray => {
            let items: Vec<&[u8]> = value::list(bytes).collect();
            Cow::Owned(items.join(&b'.'))
        }
        ParamType::SockAddr => SockAddr::read(bytes)
            .map_or(Cow::Borrowed(NOT_AVAILABLE), |address| {
                Cow::Owned(Ctx::address_text(&address))
            }),
        ParamType::SockTuple => SockTuple::read(bytes)
            .map_or(Cow::Borrowed(NULL), |tuple| Cow::Owned(ctx.tuple_text(&tuple))),
        ParamType::FdList => owned(fd_list(bytes)),
        ParamType::Ipv4Addr => <[u8; 4]>::try_from(bytes)
            .map_or(Cow::Borrowed(NOT_AVAILABLE), |ip| {
                owned(std::net::Ipv4Addr::from(ip).to_string())
            }),
        ParamType::Ipv6Addr => <[u8; 16]>::try_from(bytes)
            .map_or(Cow::Borrowed(NOT_AVAILABLE), |ip| {
                owned(std::net::Ipv6Addr::from(ip).to_string())
            }),
        ParamType::RelTime if bytes.iter().all(|byte| *byte == 0xff) => Cow::Borrowed(b"none"),
        ParamType::AbsTime => owned(date(ctx, value::int(bytes, false).unwrap_or(0) as u64)),
        ParamType::Uid | ParamType::Gid if bytes.iter().all(|byte| *byte == 0xff) => {
            Cow::Borrowed(b"-1")
        }
        _ => value::int(bytes, ty.is_signed()).map_or(Cow::Borrowed(NOT_AVAILABLE), |number| {
            owned(digits(number, print, bytes.len()))
        }),
    }
}

/// The form that people read: names of flags, errors, users, descriptors; absolute paths.
fn resolved<'a>(ctx: &'a Ctx<'_>, index: usize, param: &'static Param) -> Option<Cow<'a, [u8]>> {
    let bytes = ctx.event().param(index);
    let (ty, _, bytes) = variant(param, bytes);
    let number = || value::int(bytes, ty.is_signed());
    let name = |name: &'static str| Cow::Borrowed(name.as_bytes());
    let text = match ty {
        ParamType::FsPath | ParamType::FsRelPath => {
            let path = value::text(bytes).filter(|path| !path.starts_with(b"/"))?;
            if path.is_empty() { None } else { ctx.absolute_param(index) }
        }
        ParamType::Errno => names::error(number()?).map(name),
        ParamType::Fd | ParamType::Fd32 => descriptor(ctx, index, number()?),
        ParamType::Pid | ParamType::Pid32 => {
            let process = u32::try_from(number()?).ok().and_then(|pid| ctx.process_by_id(pid))?;
            Some(Cow::Borrowed(process.image.comm.as_bytes()))
        }
        ParamType::SigType => names::signal(number()?).map(name),
        ParamType::SyscallId => {
            let call = eyas_abi::schema::syscall_by_id(number()? as u16)?;
            Some(name(call.name))
        }
        ParamType::RelTime => seconds(number()? as u64),
        ParamType::Uid => {
            Some(identity(number()? as u32, |id| ctx.user(id).map(|user| &*user.name)))
        }
        ParamType::Gid => {
            Some(identity(number()? as u32, |id| ctx.group(id).map(|group| &*group.name)))
        }
        ParamType::Flags8 | ParamType::Flags16 | ParamType::Flags32 => {
            Some(flags(param.table?, number()? as u32, false))
        }
        ParamType::Mode => Some(flags(param.table?, number()? as u32, true)),
        ParamType::EnumFlags8 | ParamType::EnumFlags16 | ParamType::EnumFlags32 => {
            Some(enumerated(param.table?, number()? as u32))
        }
        _ => None,
    };
    text.filter(|text| !text.is_empty())
}

fn identity<'a>(id: u32, find: impl Fn(u32) -> Option<&'a [u8]>) -> Cow<'a, [u8]> {
    if id == u32::MAX {
        return Cow::Borrowed(NO_ID);
    }
    Cow::Borrowed(find(id).unwrap_or(NOT_AVAILABLE))
}

/// `<T>name` for the event's own descriptor; the kernel says nothing about others, replay does.
fn descriptor<'a>(ctx: &'a Ctx<'_>, index: usize, number: i64) -> Option<Cow<'a, [u8]>> {
    if number == AT_FDCWD {
        return Some(Cow::Borrowed(b"AT_FDCWD"));
    }
    if number < 0 {
        return names::error(number).map(|name| Cow::Borrowed(name.as_bytes()));
    }
    if let Some(known) = ctx.descriptors() {
        let (fd, name) = known.descriptor(number)?;
        return Some(Cow::Owned(described(&fd, &name)?));
    }
    let fd = ctx.fd()?;
    let ty = ctx.event().ty();
    let created = index == 0 && ty.fd_param.is_none();
    if !created && ty.fd_param.map(usize::from) != Some(index) {
        return None;
    }
    described(fd, ctx.fd_name().unwrap_or_default()).map(Cow::Owned)
}

/// `<T>name`, the letter followed by one for the transport of internet sockets.
fn described(fd: &Fd<'_>, name: &[u8]) -> Option<Vec<u8>> {
    let kind = fd.kind?;
    let mut text = vec![b'<', kind.letter()];
    let transport = match fd.protocol {
        Some(6) if kind.is_ip() => Some(b't'),
        Some(17) if kind.is_ip() => Some(b'u'),
        Some(1 | 58) if kind.is_ip() => Some(b'i'),
        Some(255) if kind.is_ip() => Some(b'r'),
        _ => None,
    };
    text.extend(transport);
    text.push(b'>');
    text.extend_from_slice(name);
    Some(text)
}

/// Names of the bits in `number`: the table in its order, each name taking its bits away.
fn flags<'a>(table: &'static FlagTable, number: u32, is_mode: bool) -> Cow<'a, [u8]> {
    let mut left = number;
    let mut found: Vec<&str> = Vec::new();
    for (bits, name) in table.entries {
        let matches = if *bits == 0 { number == 0 } else { left & bits == *bits };
        if matches {
            found.push(name);
            left &= !bits;
            if *bits == number || (!is_mode && left == 0) {
                break;
            }
        }
    }
    let text = if found.is_empty() { number.to_string() } else { found.join("|") };
    Cow::Owned(text.into_bytes())
}

fn enumerated<'a>(table: &'static FlagTable, number: u32) -> Cow<'a, [u8]> {
    let names = table.entries.iter().filter(|(entry, _)| *entry == number).map(|(_, name)| *name);
    let text = names.collect::<Vec<_>>().join("|");
    Cow::Owned(text.into_bytes())
}

fn digits(number: i64, print: PrintFormat, width: usize) -> String {
    // Hex and octal show the bits as they lie in the parameter, not a sign-extended number.
    let bits = if width >= 8 { number as u64 } else { number as u64 & ((1 << (width * 8)) - 1) };
    match print {
        PrintFormat::Decimal => number.to_string(),
        PrintFormat::Hexadecimal => format!("{bits:X}"),
        PrintFormat::Octal if bits == 0 => "0".to_owned(),
        PrintFormat::Octal => format!("0{bits:o}"),
    }
}

/// Bytes as text: what is not printable ASCII becomes a dot.
pub(super) fn printable(bytes: &[u8]) -> Cow<'_, [u8]> {
    let is_printable = |byte: &u8| (b' '..=b'~').contains(byte);
    if bytes.iter().all(is_printable) {
        return Cow::Borrowed(bytes);
    }
    Cow::Owned(bytes.iter().map(|byte| if is_printable(byte) { *byte } else { b'.' }).collect())
}

/// `fd:flags` items. The wire form is a count, then a descriptor and its flags for each.
fn fd_list(bytes: &[u8]) -> String {
    let mut text = String::new();
    let items = bytes.get(2..).unwrap_or_default();
    for item in items.as_chunks::<10>().0 {
        let (fd, flags) = item.split_at(8);
        let number = |bytes| value::int(bytes, true).unwrap_or(-1);
        let gap = if text.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{gap}{}:{:X}", number(fd), number(flags) as u16);
    }
    text
}

fn seconds<'a>(nanoseconds: u64) -> Option<Cow<'a, [u8]>> {
    if nanoseconds == u64::MAX {
        return None;
    }
    let (whole, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    Some(Cow::Owned(format!("{whole}.{rest:09}s").into_bytes()))
}

fn date(ctx: &Ctx<'_>, time_ns: u64) -> String {
    let local = ctx.host().local.civil(time_ns);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:09}",
        local.year,
        local.month,
        local.day,
        local.hour,
        local.minute,
        local.second,
        time_ns % 1_000_000_000
    )
}

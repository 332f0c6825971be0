//! Event parameters as rules see them: `evt.arg`, `evt.rawarg`, `evt.args`.
//!
//! Owns the two texts that every parameter has: the raw one, which follows from its bytes, and the
//! resolved one, which may need names that only the sensor's tables know. Those come in through
//! [`Names`]. What a parameter's bytes mean is the schema's business.

mod address;
mod number;
pub mod words;

use std::borrow::Cow;

use eyas_abi::Event;
use eyas_abi::schema::{self, Param, ParamType, Variant};
use eyas_abi::value::{int, list, text};
use eyas_state::{LocalTime, absolute};

use super::{FieldArg, Value};

/// Where the names behind numbers come from.
pub trait Names {
    /// Appends `<T>name` of a descriptor, `T` being its type character and a letter for the protocol
    /// of IP sockets. False when the descriptor is not known.
    fn descriptor(&self, fd: i64, out: &mut Vec<u8>) -> bool;
    /// Type character of a descriptor.
    fn descriptor_type(&self, fd: i64) -> Option<u8>;
    /// Path of a directory's descriptor.
    fn directory(&self, fd: i64) -> Option<&[u8]>;
    /// Working directory of the event's process.
    fn working_directory(&self) -> Option<&[u8]>;
    /// Command name of a thread.
    fn command(&self, thread: i64) -> Option<&[u8]>;
    /// User name.
    fn user(&self, id: u32) -> Option<&[u8]>;
    /// Group name.
    fn group(&self, id: u32) -> Option<&[u8]>;
    /// For points in time.
    fn local_time(&self) -> &LocalTime;
}

/// Descriptor number that stands for the working directory.
const WORKING_DIRECTORY: i64 = -100;

/// `evt.arg`: one parameter as text, resolved if possible. `None` when the event has no such one.
pub fn argument<'a>(
    event: &Event<'a>,
    which: FieldArg<'_>,
    names: &dyn Names,
) -> Option<Value<'a>> {
    let (index, param) = find(event, which)?;
    let bytes = event.param(index);
    if bytes.is_empty() {
        return Some(Value::text(absent(param.ty)));
    }
    if param.ty == ParamType::Charbuf {
        return text(bytes).map(Value::text);
    }
    if let Some(path) = whole_path(event, param, bytes, names) {
        return Some(Value::Text(path));
    }
    let kind = Kind::of(param);
    let mut out = Vec::new();
    if !resolved(&kind, bytes, names, &mut out) {
        out.clear();
        match kind.table {
            // Flags without a known name are told in decimal, whatever they print as.
            Some(_) => number::write_plain(int(bytes, kind.ty.is_signed()), &mut out),
            None => raw(&kind, bytes, names, &mut out),
        }
    }
    Some(Value::owned_text(out))
}

/// `evt.rawarg`: one parameter in its own type. `None` when the event has no such one, or it is empty
/// and no text.
pub fn raw_argument<'a>(event: &Event<'a>, which: FieldArg<'_>) -> Option<Value<'a>> {
    let (index, param) = find(event, which)?;
    let bytes = event.param(index);
    if bytes.is_empty() {
        return param.ty.is_text().then(|| Value::text(absent(param.ty)));
    }
    let kind = Kind::of(param);
    let (kind, bytes) = kind.unwrapped(bytes)?;
    match kind.ty {
        ParamType::Charbuf | ParamType::FsPath | ParamType::FsRelPath => {
            text(bytes).map(Value::text)
        }
        ParamType::Bool => int(bytes, false).map(|number| Value::Bool(number != 0)),
        ParamType::Ipv4Addr | ParamType::Ipv6Addr => address::ip(bytes).map(Value::Ip),
        ty if ty.fixed_len().is_some() => {
            let number = int(bytes, ty.is_signed())?;
            Some(if ty.is_signed() { Value::Int(number) } else { Value::Uint(number as u64) })
        }
        _ => Some(Value::Bytes(Cow::Borrowed(bytes))),
    }
}

/// `evt.args`: every parameter as `name=raw` or `name=raw(resolved)`; empty for the generic event.
pub fn arguments(event: &Event<'_>, names: &dyn Names) -> Vec<u8> {
    let mut out = Vec::new();
    if event.ty().is_generic() {
        return out;
    }
    for (index, param) in event.ty().params.iter().enumerate().filter(|(_, param)| !param.extra) {
        if index >= event.param_count() {
            break;
        }
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(param.name.as_bytes());
        out.push(b'=');
        write_both(event, index, param, names, &mut out);
    }
    out
}

fn write_both(
    event: &Event<'_>,
    index: usize,
    param: &Param,
    names: &dyn Names,
    out: &mut Vec<u8>,
) {
    let bytes = event.param(index);
    if bytes.is_empty() {
        out.extend_from_slice(absent(param.ty).as_bytes());
        return;
    }
    let kind = Kind::of(param);
    raw(&kind, bytes, names, out);
    let mark = out.len();
    out.push(b'(');
    let known = match whole_path(event, param, bytes, names) {
        Some(whole) => {
            let written = text(bytes).unwrap_or_default();
            out.extend_from_slice(&whole);
            *whole != *written
        }
        None => resolved(&kind, bytes, names, out),
    };
    if known {
        out.push(b')');
    } else {
        out.truncate(mark);
    }
}

/// What stands for a parameter that is not available.
fn absent(ty: ParamType) -> &'static str {
    match ty {
        ParamType::Bytebuf | ParamType::SockTuple | ParamType::FdList | ParamType::Dyn => "NULL",
        _ => "<NA>",
    }
}

fn find(event: &Event<'_>, which: FieldArg<'_>) -> Option<(usize, &'static Param)> {
    let (index, param) = match which {
        FieldArg::Index(index) => {
            let index = index as usize;
            (index, event.ty().params.get(index)?)
        }
        FieldArg::Key(name) => {
            let params = event.ty().params.iter().enumerate();
            params.into_iter().find(|(_, param)| param.name.as_bytes() == name)?
        }
        FieldArg::None => return None,
    };
    (index < event.param_count()).then_some((index, param))
}

/// A path parameter made absolute; `None` for other types.
fn whole_path<'a>(
    event: &Event<'a>,
    param: &Param,
    bytes: &'a [u8],
    names: &dyn Names,
) -> Option<Cow<'a, [u8]>> {
    if !matches!(param.ty, ParamType::FsPath | ParamType::FsRelPath) {
        return None;
    }
    let written = text(bytes)?;
    if written.is_empty() || written.first() == Some(&b'/') {
        return Some(Cow::Borrowed(written));
    }
    let directory = match param.relative_to.and_then(|index| event.int(usize::from(index))) {
        None | Some(WORKING_DIRECTORY) => names.working_directory(),
        Some(fd) => names.directory(fd),
    };
    Some(absolute(directory, written))
}

/// How a parameter's bytes are to be read and printed.
struct Kind {
    ty: ParamType,
    print: schema::PrintFormat,
    table: Option<&'static schema::FlagTable>,
    variants: &'static [Variant],
}

impl Kind {
    fn of(param: &Param) -> Self {
        Self { ty: param.ty, print: param.print, table: param.table, variants: param.variants }
    }

    /// The real type of a dynamic value, and its bytes.
    fn unwrapped<'a>(&self, bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        if self.ty != ParamType::Dyn {
            let same =
                Self { ty: self.ty, print: self.print, table: self.table, variants: self.variants };
            return Some((same, bytes));
        }
        let (selector, bytes) = bytes.split_first()?;
        let variant = self.variants.get(usize::from(*selector))?;
        Some((Self { ty: variant.ty, print: variant.print, table: None, variants: &[] }, bytes))
    }
}

/// Appends the raw text.
fn raw(kind: &Kind, bytes: &[u8], names: &dyn Names, out: &mut Vec<u8>) {
    let Some((kind, bytes)) = kind.unwrapped(bytes) else {
        out.extend_from_slice(absent(ParamType::Dyn).as_bytes());
        return;
    };
    match kind.ty {
        ParamType::Charbuf | ParamType::FsPath | ParamType::FsRelPath => {
            out.extend_from_slice(text(bytes).unwrap_or_default());
        }
        ParamType::CharbufArray => {
            let items: Vec<&[u8]> = list(bytes).collect();
            out.extend_from_slice(&items.join(&b'.'));
        }
        ParamType::Bytebuf => out.extend(bytes.iter().map(|byte| printable(*byte))),
        ParamType::SockAddr => address::write_one(bytes, out),
        ParamType::SockTuple => address::write_both(bytes, out),
        ParamType::Ipv4Addr | ParamType::Ipv6Addr => address::write_ip(bytes, out),
        ParamType::FdList => write_descriptors(bytes, names, out),
        ParamType::Bool => {
            let truth = bytes.iter().any(|byte| *byte != 0);
            out.extend_from_slice(if truth { b"true" } else { b"false" });
        }
        ParamType::AbsTime => number::write_time(int(bytes, false), names.local_time(), out),
        ty => number::write_raw(ty, kind.print, int(bytes, ty.is_signed()), out),
    }
}

/// Appends the resolved text; false when there is none, whatever was appended.
fn resolved(kind: &Kind, bytes: &[u8], names: &dyn Names, out: &mut Vec<u8>) -> bool {
    let Some((kind, bytes)) = kind.unwrapped(bytes) else { return false };
    let Some(number) = int(bytes, kind.ty.is_signed()) else { return false };
    if kind.ty.fixed_len().is_none() {
        return false;
    }
    if let Some(table) = kind.table {
        return number::write_names(kind.ty, table, number, out);
    }
    let mut append = |name: Option<&[u8]>| {
        out.extend_from_slice(name.unwrap_or_default());
        name.is_some_and(|name| !name.is_empty())
    };
    match kind.ty {
        ParamType::Errno => append(words::error(number).map(str::as_bytes)),
        ParamType::SigType => append(words::signal(number).map(str::as_bytes)),
        ParamType::Pid | ParamType::Pid32 => append(names.command(number)),
        ParamType::SyscallId => {
            let call = u16::try_from(number).ok().and_then(schema::syscall_by_id);
            append(call.map(|call| call.name.as_bytes()))
        }
        ParamType::Uid => append(Some(owner(number, |id| names.user(id)))),
        ParamType::Gid => append(Some(owner(number, |id| names.group(id)))),
        ParamType::Fd | ParamType::Fd32 if number == WORKING_DIRECTORY => append(Some(b"AT_FDCWD")),
        ParamType::Fd | ParamType::Fd32 if number < 0 => {
            append(words::error(number).map(str::as_bytes))
        }
        ParamType::Fd | ParamType::Fd32 => names.descriptor(number, out),
        ParamType::RelTime => number::write_seconds(number, out),
        _ => false,
    }
}

fn owner<'a>(number: i64, name: impl Fn(u32) -> Option<&'a [u8]>) -> &'a [u8] {
    match number as u32 {
        u32::MAX => b"<NONE>",
        id => name(id).unwrap_or(b"<NA>"),
    }
}

fn printable(byte: u8) -> u8 {
    if byte.is_ascii_graphic() || byte == b' ' { byte } else { b'.' }
}

/// A count, then for each descriptor its number (8 bytes) and the polled events (2 bytes).
fn write_descriptors(bytes: &[u8], names: &dyn Names, out: &mut Vec<u8>) {
    let entries = bytes.get(2..).unwrap_or_default().chunks_exact(10);
    for (n, entry) in entries.enumerate() {
        let (fd, events) = entry.split_at(8);
        let (Some(fd), Some(events)) = (int(fd, true), int(events, false)) else { return };
        let ty = char::from(names.descriptor_type(fd).unwrap_or(b'o'));
        let space = if n > 0 { " " } else { "" };
        number::append(out, format_args!("{space}{fd}:{ty}{events:x}"));
    }
}

#[cfg(test)]
mod tests;

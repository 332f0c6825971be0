//! `evt.*` and `syscall.type`.

use std::borrow::Cow;

use eyas_abi::RecordFlags;
use eyas_abi::schema::{self, Category, EventFlags, Source};
use eyas_state::{Ctx, FdKind, civil};

use super::super::{FieldArg, FieldId, Value};
use super::{argument, flag, names};

const SECOND_NS: u64 = 1_000_000_000;
/// Code of an event whose name is in it.
const ASYNC: u16 = 402;

/// Flags of an opened file, in the encoding of the event format.
mod open {
    pub(super) const READ: i64 = 0x1;
    pub(super) const WRITE: i64 = 0x2;
    pub(super) const CREATE: i64 = 0x4;
    pub(super) const TMPFILE: i64 = 0x2000;
    pub(super) const CREATED: i64 = 0x4000;
    /// Any of the x bits of a mode.
    pub(super) const EXECUTE: i64 = 0o111;
}

/// The value of one of these fields.
pub(super) fn value<'a>(ctx: &'a Ctx<'_>, field: FieldId, arg: FieldArg<'_>) -> Option<Value<'a>> {
    let event = ctx.event();
    let ty = event.ty();
    let result = event.result();
    let has = |flags| ty.flags.has(flags);
    match field {
        FieldId::EvtNum => Some(Value::Uint(ctx.number())),
        FieldId::EvtTime
        | FieldId::EvtTimeS
        | FieldId::EvtTimeIso8601
        | FieldId::EvtDatetime
        | FieldId::EvtDatetimeS => time(ctx, field),
        FieldId::EvtRawtime
        | FieldId::EvtRawtimeS
        | FieldId::EvtRawtimeNs
        | FieldId::EvtReltime
        | FieldId::EvtReltimeS
        | FieldId::EvtReltimeNs
        | FieldId::EvtDeltatime
        | FieldId::EvtDeltatimeS
        | FieldId::EvtDeltatimeNs => Some(Value::Uint(interval(ctx, field))),
        FieldId::EvtLatency
        | FieldId::EvtLatencyS
        | FieldId::EvtLatencyNs
        | FieldId::EvtLatencyQuantized
        | FieldId::EvtWaitLatency => Some(Value::Uint(0)),
        FieldId::EvtLatencyHuman => Some(Value::text("0ns")),
        FieldId::EvtSource => Some(Value::text("syscall")),
        FieldId::EvtIsAsync => flag(ty.source == Source::Meta),
        FieldId::EvtAsynctype => (ty.source == Source::Meta).then(|| name(ctx)).flatten(),
        FieldId::EvtHostname => Some(Value::text(&*ctx.host().name)),
        FieldId::EvtDir => Some(Value::text(if ty.code % 2 == 1 { "<" } else { ">" })),
        FieldId::EvtType => name(ctx),
        FieldId::EvtTypeIs => Some(Value::Uint(u64::from(type_is(ctx, arg)))),
        FieldId::SyscallType => (ty.source == Source::Syscall).then(|| name(ctx)).flatten(),
        FieldId::EvtCategory => Some(Value::text(category(ctx))),
        FieldId::EvtCpu => Some(Value::Int(i64::from(event.header().cpu))),
        FieldId::EvtArgs | FieldId::EvtInfo => Some(argument::all(ctx)),
        FieldId::EvtArg => argument::text(ctx, arg),
        FieldId::EvtRawarg => argument::raw(ctx, arg),
        FieldId::EvtBuffer => data(ctx).map(|bytes| Value::Bytes(Cow::Borrowed(bytes))),
        FieldId::EvtBuflen => transferred(ctx).map(Value::Uint),
        FieldId::EvtRes => result.map(result_name),
        FieldId::EvtRawres => result.map(Value::Int),
        FieldId::EvtFailed => result.and_then(|result| flag(result < 0)),
        FieldId::EvtIsIo => flag(has(EventFlags::READS) || has(EventFlags::WRITES)),
        FieldId::EvtIsIoRead => flag(has(EventFlags::READS)),
        FieldId::EvtIsIoWrite => flag(has(EventFlags::WRITES)),
        FieldId::EvtIoDir if has(EventFlags::READS) => Some(Value::text("read")),
        FieldId::EvtIoDir if has(EventFlags::WRITES) => Some(Value::text("write")),
        FieldId::EvtIsWait => flag(has(EventFlags::WAITS)),
        FieldId::EvtIsSyslog => flag(
            has(EventFlags::WRITES)
                && ctx.fd_name().is_some_and(|name| name.ends_with(b"/dev/log")),
        ),
        FieldId::EvtCount => Some(Value::Uint(1)),
        FieldId::EvtCountExit => Some(Value::Uint(u64::from(ty.code % 2 == 1))),
        FieldId::EvtCountError
        | FieldId::EvtCountErrorFile
        | FieldId::EvtCountErrorNet
        | FieldId::EvtCountErrorMemory
        | FieldId::EvtCountErrorOther => errors(ctx, field),
        FieldId::EvtAbspath => absolute(ctx, arg),
        FieldId::EvtIsOpenRead => flag(opened_with(ctx, open::READ)),
        FieldId::EvtIsOpenWrite => flag(opened_with(ctx, open::WRITE)),
        FieldId::EvtIsOpenExec => flag(opens_executable(ctx)),
        FieldId::EvtVia => (ty.source == Source::Syscall).then(|| Value::text(via(ctx))),
        FieldId::EvtIsTruncated => flag(event.header().flags.has(RecordFlags::TRUNCATED)),
        FieldId::EvtIsUnreadable => flag(event.header().flags.has(RecordFlags::READ_FAILED)),
        FieldId::EvtIsOpenCreate => flag(
            opened_with(ctx, open::CREATED)
                || (opened_with(ctx, open::TMPFILE) && result.is_some_and(|fd| fd >= 0)),
        ),
        _ => None,
    }
}

fn via(ctx: &Ctx<'_>) -> &'static str {
    let marks = ctx.event().header().flags;
    let doors = [
        (RecordFlags::IO_URING, "io_uring"),
        (RecordFlags::COMPAT, "compat"),
        (RecordFlags::X32, "x32"),
    ];
    doors.into_iter().find(|(mark, _)| marks.has(*mark)).map_or("syscall", |(_, word)| word)
}

/// `evt.type`. The generic event and asynchronous events carry their name.
fn name<'a>(ctx: &'a Ctx<'_>) -> Option<Value<'a>> {
    let event = ctx.event();
    let ty = event.ty();
    if ty.is_generic() {
        let call = schema::syscall_by_id(event.int(0)? as u16)?;
        return Some(Value::text(call.name));
    }
    if ty.code == ASYNC {
        return event.text(1).map(Value::text);
    }
    Some(Value::text(ty.name))
}

fn type_is(ctx: &Ctx<'_>, arg: FieldArg<'_>) -> bool {
    let code = ctx.event().code();
    match arg {
        FieldArg::Index(index) => u32::from(code) == index,
        FieldArg::Key(name) => std::str::from_utf8(name).is_ok_and(|name| {
            schema::by_name(name).any(|ty| ty.code == code)
                || name.parse().is_ok_and(|number: u16| number == code)
        }),
        FieldArg::None => false,
    }
}

/// `evt.category`: input and output are told apart by what they work on.
fn category(ctx: &Ctx<'_>) -> &'static str {
    let category = ctx.event().ty().category;
    if !category.is_io() {
        return category.as_str();
    }
    match ctx.fd().and_then(|fd| fd.kind) {
        Some(FdKind::File | FdKind::Directory) => "file",
        Some(FdKind::Ipv4 | FdKind::Ipv6) => "net",
        Some(
            FdKind::Unix
            | FdKind::Pipe
            | FdKind::Event
            | FdKind::Signalfd
            | FdKind::Inotify
            | FdKind::Userfaultfd,
        ) => "ipc",
        Some(_) | None => "unknown",
    }
}

fn time<'a>(ctx: &Ctx<'_>, field: FieldId) -> Option<Value<'a>> {
    let ns = ctx.epoch_ns();
    let local = &ctx.host().local;
    let of_day = local.time_of_day(ns);
    let date = || {
        let at = local.civil(ns);
        format!("{:04}-{:02}-{:02}", at.year, at.month, at.day)
    };
    let whole = of_day.get(..8).unwrap_or_default();
    Some(Value::owned_text(match field {
        FieldId::EvtTime => of_day,
        FieldId::EvtTimeS => whole.to_owned(),
        FieldId::EvtTimeIso8601 => civil(ns, "+0000"),
        FieldId::EvtDatetime => format!("{} {of_day}", date()),
        FieldId::EvtDatetimeS => format!("{} {whole}", date()),
        _ => return None,
    }))
}

fn interval(ctx: &Ctx<'_>, field: FieldId) -> u64 {
    match field {
        FieldId::EvtRawtimeS => ctx.epoch_ns() / SECOND_NS,
        FieldId::EvtRawtimeNs => ctx.epoch_ns() % SECOND_NS,
        FieldId::EvtReltime => ctx.since_first_ns(),
        FieldId::EvtReltimeS => ctx.since_first_ns() / SECOND_NS,
        FieldId::EvtReltimeNs => ctx.since_first_ns() % SECOND_NS,
        FieldId::EvtDeltatime => ctx.since_previous_ns(),
        FieldId::EvtDeltatimeS => ctx.since_previous_ns() / SECOND_NS,
        FieldId::EvtDeltatimeNs => ctx.since_previous_ns() % SECOND_NS,
        _ => ctx.epoch_ns(),
    }
}

fn result_name<'a>(result: i64) -> Value<'a> {
    if result >= 0 {
        return Value::text("SUCCESS");
    }
    names::error(result).map_or_else(|| Value::owned_text(result.to_string()), Value::text)
}

fn data<'a>(ctx: &Ctx<'a>) -> Option<&'a [u8]> {
    let (index, _) = ctx.event().ty().param("data")?;
    Some(ctx.event().param(index)).filter(|bytes| !bytes.is_empty())
}

fn transferred(ctx: &Ctx<'_>) -> Option<u64> {
    let is_io = ctx.event().ty().flags.has(EventFlags::READS.with(EventFlags::WRITES));
    let known = ctx.fd().is_some_and(|fd| fd.kind.is_some());
    (is_io && known).then(|| ctx.event().result()).flatten()?.try_into().ok()
}

fn errors<'a>(ctx: &Ctx<'_>, field: FieldId) -> Option<Value<'a>> {
    let result = ctx.event().result()?;
    let ty = ctx.event().ty();
    let kind = ctx.fd().and_then(|fd| fd.kind);
    let file = kind.is_some_and(FdKind::is_file) || ctx.opened_path().is_some();
    let net = matches!(ty.name, "accept" | "accept4" | "connect")
        || matches!(kind, Some(FdKind::Ipv4 | FdKind::Ipv6 | FdKind::Unix));
    let memory = ty.category == Category::Memory;
    let counts = match field {
        FieldId::EvtCountErrorFile => file,
        FieldId::EvtCountErrorNet => net,
        FieldId::EvtCountErrorMemory => memory,
        FieldId::EvtCountErrorOther => !file && !net && !memory,
        _ => true,
    };
    Some(Value::Uint(u64::from(result < 0 && counts)))
}

/// `evt.abspath` of the calls that take a directory descriptor.
fn absolute<'a>(ctx: &'a Ctx<'_>, arg: FieldArg<'_>) -> Option<Value<'a>> {
    let ty = ctx.event().ty();
    let params = match ty.name {
        "openat" | "openat2" | "unlinkat" => ["name", ""],
        "open_by_handle_at" | "mkdirat" => ["path", ""],
        "fchmodat" => ["filename", ""],
        "fchownat" => ["pathname", ""],
        "renameat" | "renameat2" | "linkat" => ["oldpath", "newpath"],
        "symlinkat" => ["linkpath", "target"],
        _ => return None,
    };
    let [first, second] = params;
    let name = match arg {
        FieldArg::None => first,
        FieldArg::Key(b"src") if !second.is_empty() => first,
        FieldArg::Key(b"dst") if !second.is_empty() => second,
        _ => return None,
    };
    let (index, _) = ty.param(name)?;
    ctx.absolute_param(index).map(Value::Text)
}

fn param(ctx: &Ctx<'_>, name: &str) -> Option<i64> {
    let (index, _) = ctx.event().ty().param(name)?;
    ctx.event().int(index)
}

/// Whether the event opens a file with all of these flags.
fn opened_with(ctx: &Ctx<'_>, flags: i64) -> bool {
    let family =
        matches!(ctx.event().ty().name, "open" | "openat" | "openat2" | "open_by_handle_at");
    family && param(ctx, "flags").is_some_and(|found| found & flags == flags)
}

fn opens_executable(ctx: &Ctx<'_>) -> bool {
    let makes = match ctx.event().ty().name {
        "creat" => true,
        "open" | "openat" | "openat2" => {
            opened_with(ctx, open::CREATE) || opened_with(ctx, open::TMPFILE)
        }
        _ => false,
    };
    makes && param(ctx, "mode").is_some_and(|mode| mode & open::EXECUTE != 0)
}

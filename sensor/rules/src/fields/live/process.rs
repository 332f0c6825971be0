//! `proc.*` and `thread.*`: the process, its ancestors and its group and session.

use std::borrow::Cow;
use std::ops::ControlFlow;

use eyas_abi::value;
use eyas_state::{Ctx, ExeFlags, Image, Process};

use super::super::{FieldArg, FieldId, Value};
use super::{flag, names, nonzero};

/// Ancestors that are searched for a variable.
const MAX_ENVIRONMENT_LEVELS: usize = 20;

/// The value of one of these fields.
pub(super) fn value<'a>(ctx: &'a Ctx<'_>, field: FieldId, arg: FieldArg<'_>) -> Option<Value<'a>> {
    let header = ctx.event().header();
    match field {
        FieldId::ThreadTid => return Some(Value::Int(i64::from(header.tid))),
        FieldId::ThreadIsmain => return flag(header.tid == header.tgid),
        FieldId::ThreadExectime | FieldId::ThreadTotexectime => return Some(Value::Uint(0)),
        FieldId::ProcPid => return Some(id(ctx.process()?.pid)),
        _ => {}
    }
    let process = ctx.process()?;
    if let Some(read) = by_level(field) {
        return ancestor(ctx, read, arg);
    }
    let parent = || ctx.ancestor(1);
    match field {
        FieldId::ProcPexe => Some(Value::text(&*parent()?.image.exe)),
        FieldId::ProcPexepath => Some(Value::text(&*parent()?.image.exe_path)),
        FieldId::ProcPname => Some(Value::text(parent()?.image.comm.as_bytes())),
        FieldId::ProcPcmdline => Some(Value::text(parent()?.image.command_line())),
        FieldId::ProcPvpid => Some(Value::Int(i64::from(parent()?.vpid))),
        FieldId::ProcPpid => ppid(ctx, process),
        FieldId::ProcPpidDuration => age(ctx, parent()?),
        FieldId::ProcPpidTs => Some(Value::Uint(parent().map_or(0, |p| started(ctx, p)))),
        FieldId::ProcDuration => age(ctx, process),
        FieldId::ProcPidTs => nonzero(started(ctx, process)),
        FieldId::ProcLoginshellid => login_shell(ctx, process),
        FieldId::ProcSname | FieldId::ProcSidExe | FieldId::ProcSidExepath => {
            Some(leader_text(session_leader(ctx, process), field))
        }
        FieldId::ProcVpgidName | FieldId::ProcVpgidExe | FieldId::ProcVpgidExepath => {
            Some(leader_text(leader(ctx, process, process.vpgid, |p| p.vpgid), field))
        }
        FieldId::ProcPgidName | FieldId::ProcPgidExe | FieldId::ProcPgidExepath => {
            Some(leader_text(leader(ctx, process, process.pgid, |p| p.pgid), field))
        }
        FieldId::ThreadVtid => {
            let main = header.tid == header.tgid;
            let known = ctx.vtid().or_else(|| main.then(|| i64::from(process.vpid)));
            known.filter(|vtid| *vtid >= 0).map(Value::Int)
        }
        FieldId::ThreadVmsize | FieldId::ThreadVmrss if header.tid != header.tgid => {
            Some(Value::Uint(0))
        }
        _ => of_image(&process.image, field, arg).or_else(|| of_process(process, field, arg)),
    }
}

/// What an exec brought.
fn of_image<'a>(image: &'a Image, field: FieldId, arg: FieldArg<'_>) -> Option<Value<'a>> {
    let marked = |flags| flag(image.exe_flags.has(flags));
    match field {
        FieldId::ProcExe => Some(Value::text(&*image.exe)),
        FieldId::ProcExepath => Some(Value::text(&*image.exe_path)),
        FieldId::ProcName => Some(Value::text(image.comm.as_bytes())),
        FieldId::ProcCmdline => Some(Value::text(image.command_line())),
        FieldId::ProcArgs => Some(Value::text(match arg {
            FieldArg::Index(index) => image.argument(index as usize).unwrap_or_default(),
            _ => image.arguments(),
        })),
        FieldId::ProcCmdnargs => Some(Value::Uint(image.argument_count() as u64)),
        FieldId::ProcCmdlenargs => {
            let gaps = image.argument_count().saturating_sub(1);
            Some(Value::Uint(image.arguments().len().saturating_sub(gaps) as u64))
        }
        FieldId::ProcExeline => Some(exe_line(image)),
        FieldId::ProcEnv => Some(environment(image, arg)),
        FieldId::ProcIsExeWritable => marked(ExeFlags::WRITABLE),
        FieldId::ProcIsExeUpperLayer => marked(ExeFlags::UPPER_LAYER),
        FieldId::ProcIsExeLowerLayer => marked(ExeFlags::LOWER_LAYER),
        FieldId::ProcIsExeFromMemfd => marked(ExeFlags::MEMFD),
        FieldId::ProcExeIno => nonzero(image.exe_inode).map(|_| Value::Int(image.exe_inode as i64)),
        FieldId::ProcExeInoCtime => nonzero(image.exe_ctime_ns),
        FieldId::ProcExeInoMtime => nonzero(image.exe_mtime_ns),
        _ => None,
    }
}

/// An id; all ones when it is not known.
fn id<'a>(id: u32) -> Value<'a> {
    Value::Int(if id == u32::MAX { -1 } else { i64::from(id) })
}

/// What else is known of a process.
fn of_process<'a>(process: &'a Process, field: FieldId, arg: FieldArg<'_>) -> Option<Value<'a>> {
    let int = |number: u32| Some(id(number));
    let [size, resident, swapped] = process.memory;
    match field {
        FieldId::ProcCwd => Some(directory(&process.cwd)),
        FieldId::ProcTty => Some(Value::Uint(u64::from(process.tty))),
        FieldId::ProcVpid => (process.vpid != u32::MAX).then(|| id(process.vpid)),
        FieldId::ProcSid => int(process.sid),
        FieldId::ProcVpgid => int(process.vpgid),
        FieldId::ProcPgid => int(process.pgid),
        FieldId::ProcIsSidLeader => flag(process.sid == process.vpid),
        FieldId::ProcIsVpgidLeader => flag(process.vpgid == process.vpid),
        FieldId::ProcIsPgidLeader => flag(process.pgid == process.pid),
        FieldId::ProcExeInoCtimeDurationProcStart => nonzero(process.times.ctime_to_process_ns),
        FieldId::ProcExeInoCtimeDurationPidnsStart => nonzero(process.times.namespace_to_ctime_ns),
        FieldId::ProcPidnsInitStartTs => nonzero(process.pidns_start_epoch_ns),
        FieldId::ThreadCapPermitted => Some(capabilities(process.cap_permitted)),
        FieldId::ThreadCapInheritable => Some(capabilities(process.cap_inheritable)),
        FieldId::ThreadCapEffective => Some(capabilities(process.cap_effective)),
        FieldId::ProcFdlimit => Some(Value::Int(process.fd_limit)),
        FieldId::ProcVmsize | FieldId::ThreadVmsize => Some(Value::Uint(u64::from(size))),
        FieldId::ProcVmrss | FieldId::ThreadVmrss => Some(Value::Uint(u64::from(resident))),
        FieldId::ProcVmswap => Some(Value::Uint(u64::from(swapped))),
        FieldId::ThreadPfmajor => Some(Value::Uint(process.faults[0])),
        FieldId::ThreadPfminor => Some(Value::Uint(process.faults[1])),
        FieldId::ThreadCgroups => cgroups(process),
        FieldId::ThreadCgroup => cgroup(process, arg),
        FieldId::ProcNthreads => Some(Value::Uint(u64::from(process.threads) + 1)),
        FieldId::ProcNchilds => Some(Value::Uint(u64::from(process.threads))),
        _ => None,
    }
}

/// How a field that takes a level is read from the process at that level.
type Read = for<'p> fn(&'p Process) -> Value<'p>;

fn by_level(field: FieldId) -> Option<Read> {
    Some(match field {
        FieldId::ProcAname => |process| Value::text(process.image.comm.as_bytes()),
        FieldId::ProcAexe => |process| Value::text(&*process.image.exe),
        FieldId::ProcAexepath => |process| Value::text(&*process.image.exe_path),
        FieldId::ProcAcmdline => |process| Value::text(process.image.command_line()),
        FieldId::ProcAargs => |process| Value::text(process.image.arguments()),
        FieldId::ProcApid => |process| Value::Int(i64::from(process.pid)),
        FieldId::ProcAenv => |process| environment(&process.image, FieldArg::None),
        _ => return None,
    })
}

fn ancestor<'a>(ctx: &'a Ctx<'_>, read: Read, arg: FieldArg<'_>) -> Option<Value<'a>> {
    match arg {
        FieldArg::Index(level) => ctx.ancestor(level).map(read),
        FieldArg::Key(name) => inherited_variable(ctx, name),
        FieldArg::None => match read(ctx.process()?) {
            // Without a level this one is the process itself.
            pid @ Value::Int(_) => Some(pid),
            _ => joined(ctx, read),
        },
    }
}

/// One walk upwards, however many levels there are.
pub(super) fn visit_ancestors(
    ctx: &Ctx<'_>,
    field: FieldId,
    key: FieldArg<'_>,
    visit: &mut dyn FnMut(Value<'_>) -> ControlFlow<()>,
) {
    if let FieldArg::Key(name) = key {
        if let Some(value) = inherited_variable(ctx, name) {
            let _ = visit(value);
        }
        return;
    }
    let Some(read) = by_level(field) else { return };
    for ancestor in ctx.ancestors() {
        if visit(read(ancestor)).is_break() {
            return;
        }
    }
}

/// The values of all ancestors, separated by blanks.
fn joined<'a>(ctx: &Ctx<'_>, read: impl Fn(&Process) -> Value<'_>) -> Option<Value<'a>> {
    let mut text = Vec::new();
    for (position, process) in ctx.ancestors().enumerate() {
        if position > 0 {
            text.push(b' ');
        }
        text.extend_from_slice(read(process).as_bytes().unwrap_or_default());
    }
    (!text.is_empty()).then(|| Value::owned_text(text))
}

fn inherited_variable<'a>(ctx: &'a Ctx<'_>, name: &[u8]) -> Option<Value<'a>> {
    let mut ancestors = ctx.ancestors().take(MAX_ENVIRONMENT_LEVELS);
    ancestors.find_map(|process| process.image.variable(name)).map(Value::text)
}

fn environment<'a>(image: &'a Image, arg: FieldArg<'_>) -> Value<'a> {
    if let FieldArg::Key(name) = arg {
        return Value::text(image.variable(name).unwrap_or_default());
    }
    let items: Vec<&[u8]> = value::list(&image.environment).collect();
    Value::owned_text(items.join(&b' '))
}

fn exe_line<'a>(image: &Image) -> Value<'a> {
    let mut line = image.exe.to_vec();
    line.push(b' ');
    line.extend_from_slice(image.arguments());
    Value::owned_text(line)
}

fn directory(cwd: &[u8]) -> Value<'_> {
    match cwd.last() {
        Some(b'/') | None => Value::text(cwd),
        Some(_) => Value::Text(Cow::Owned([cwd, b"/"].concat())),
    }
}

fn capabilities<'a>(set: u64) -> Value<'a> {
    Value::owned_text(names::capabilities(set))
}

fn cgroups(process: &Process) -> Option<Value<'_>> {
    let items: Vec<&[u8]> = value::list(&process.cgroups).collect();
    (!items.is_empty()).then(|| Value::owned_text(items.join(&b' ')))
}

fn cgroup<'a>(process: &'a Process, arg: FieldArg<'_>) -> Option<Value<'a>> {
    let FieldArg::Key(name) = arg else { return None };
    value::list(&process.cgroups)
        .find_map(|item| item.strip_prefix(name)?.strip_prefix(b"="))
        .map(Value::text)
}

fn ppid<'a>(ctx: &Ctx<'_>, process: &Process) -> Option<Value<'a>> {
    let found = ctx.ancestor(1).map(|parent| parent.pid);
    let pid = found.or_else(|| process.parent.map(|parent| parent.pid))?;
    Some(Value::Int(i64::from(pid)))
}

/// Nanoseconds since the epoch, 0 when not known.
fn started(ctx: &Ctx<'_>, process: &Process) -> u64 {
    match process.start_ns {
        0 => 0,
        start => ctx.host().epoch_ns(start),
    }
}

fn age<'a>(ctx: &Ctx<'_>, process: &Process) -> Option<Value<'a>> {
    let start = Some(process.start_ns).filter(|start| *start != 0)?;
    Some(Value::Uint(ctx.event().header().time.saturating_sub(start)))
}

/// The oldest of the process and its ancestors whose name ends like a shell's.
fn login_shell<'a>(ctx: &Ctx<'a>, process: &'a Process) -> Option<Value<'a>> {
    let line = std::iter::once(process).chain(ctx.ancestors());
    let shell = line.filter(|process| process.image.comm.as_bytes().ends_with(b"sh")).last()?;
    Some(Value::Int(i64::from(shell.pid)))
}

fn session_leader<'a>(ctx: &Ctx<'a>, process: &'a Process) -> Option<&'a Process> {
    leader(ctx, process, process.sid, |process| process.sid)
}

/// The leader by its id where ids are the host's; elsewhere the oldest ancestor with the same id.
fn leader<'a>(
    ctx: &Ctx<'a>,
    process: &'a Process,
    id: u32,
    of: impl Fn(&Process) -> u32,
) -> Option<&'a Process> {
    if process.is_host_numbered() {
        return ctx.process_by_id(id).filter(|leader| !leader.placeholder);
    }
    let line = std::iter::once(process).chain(ctx.ancestors());
    line.filter(|process| of(process) == id).last()
}

fn leader_text(leader: Option<&Process>, field: FieldId) -> Value<'_> {
    let Some(image) = leader.map(|leader| &leader.image) else { return Value::text("") };
    match field {
        FieldId::ProcSname | FieldId::ProcVpgidName | FieldId::ProcPgidName => {
            Value::text(image.comm.as_bytes())
        }
        FieldId::ProcSidExe | FieldId::ProcVpgidExe | FieldId::ProcPgidExe => {
            Value::text(&*image.exe)
        }
        _ => Value::text(&*image.exe_path),
    }
}

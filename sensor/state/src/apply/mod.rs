//! What each event changes in the table.
//!
//! Fork events come from both sides in either order; both lead to the same table. Knowledge that is
//! newer than an event wins over it, so that a snapshot taken in the middle of a stream is safe.

use std::borrow::Cow;
use std::sync::Arc;

use eyas_abi::{Event, schema, value};

use crate::ctx::Ctx;
use crate::path::absolute;
use crate::process::{ExeFlags, Image, Parent, Process, Times};
use crate::slots::{ExecSlots, code};
use crate::tables::Tables;

/// `prctl` option that gives a thread its name.
const PR_SET_NAME: i64 = 15;
/// Flag of a new thread, in the encoding of the event format.
const CLONE_THREAD: i64 = 0x2000;

impl Tables {
    /// Takes an event in and gives it back with all that is known around it.
    ///
    /// Makes no system call. A process that exits is forgotten with the next event, so that rules
    /// can still judge its exit.
    pub fn apply<'a>(&'a mut self, event: &'a Event<'a>) -> Ctx<'a> {
        if let Some(gone) = self.leaving.take() {
            self.leave(gone);
        }
        self.tick(event);
        if event.code() == code::TASK {
            self.snapshot(event);
        } else if matches!(event.code(), code::CLONE | code::FORK | code::VFORK | code::CLONE3) {
            self.birth(event);
        } else {
            self.touch(event.header().tgid, event.header().start);
            self.change(event);
        }
        Ctx::new(self, event)
    }

    fn tick(&mut self, event: &Event<'_>) {
        let time = event.header().time;
        if event.ty().source != schema::Source::Iterator && !event.ty().is_enter() {
            self.events += 1;
            if self.first_ns == 0 {
                self.first_ns = time;
                self.current_ns = time;
            }
            self.previous_ns = self.current_ns;
            self.current_ns = time;
        }
    }

    fn change(&mut self, event: &Event<'_>) {
        let succeeded = event.result().is_some_and(|result| result >= 0);
        match event.code() {
            code::EXECVE if succeeded => self.exec(event, self.slots.execve),
            code::EXECVEAT if succeeded => self.exec(event, self.slots.execveat),
            code::PROCEXIT => self.exit(event),
            code::CHDIR | code::FCHDIR if succeeded => self.move_to(event),
            code::SETSID if succeeded => self.lead_session(event),
            code::SETPGID if succeeded => self.join_group(event),
            code::CAPSET if succeeded => self.set_capabilities(event, ""),
            code::SETUID | code::SETREUID | code::SETRESUID if succeeded => {
                self.set_capabilities(event, "eyas_");
            }
            code::PRCTL if succeeded => self.rename(event),
            _ => {}
        }
    }

    fn exec(&mut self, event: &Event<'_>, at: ExecSlots) {
        let header = *event.header();
        let host = Arc::clone(&self.host);
        let Some(old) = self.get(header.tgid) else { return };
        if header.time < old.updated_ns {
            self.count_stale();
            return;
        }
        let read = Reader(event);
        let mut image = Image::new(
            read.text(at.comm).unwrap_or_default(),
            read.text(at.exe).unwrap_or_default(),
            event.param(usize::from(at.args)),
        );
        image.exe_path = read.text(at.exe_path).unwrap_or_default().into();
        image.environment = event.param(usize::from(at.env)).into();
        image.exe_inode = read.number(at.exe_ino);
        image.exe_ctime_ns = read.number(at.exe_ctime);
        image.exe_mtime_ns = read.number(at.exe_mtime);
        image.exe_flags = ExeFlags(read.number(at.flags) as u32);
        let vpid = read.int(at.vpid).map_or(old.vpid, |id| id as u32);
        let namespace_start =
            namespace_start(host.boot_epoch_ns, old.pid == vpid, read.int(at.pidns_start))
                .unwrap_or(old.pidns_start_epoch_ns);
        let start_ns = if header.start == 0 { old.start_ns } else { header.start };
        let born = (start_ns != 0).then(|| host.epoch_ns(start_ns));
        let process = Process {
            start_ns,
            parent: read.parent(at.parent, at.parent_start).or(old.parent),
            vpid,
            sid: read.int(at.sid).map_or(old.sid, |id| id as u32),
            pgid: read.int(at.pgid).map_or(old.pgid, |id| id as u32),
            vpgid: read.int(at.vpgid).map_or(old.vpgid, |id| id as u32),
            loginuid: read.int(at.loginuid).map_or(old.loginuid, |id| id as u32),
            tty: read.int(at.tty).map_or(old.tty, |id| id as u32),
            cap_permitted: read.number(at.cap_permitted),
            cap_inheritable: read.number(at.cap_inheritable),
            cap_effective: read.number(at.cap_effective),
            cwd: read.shared(at.cwd, &old.cwd),
            cgroups: read.shared_bytes(at.cgroups, &old.cgroups),
            // Told from the control groups when it is put into the table.
            claim: None,
            pidns_start_epoch_ns: namespace_start,
            fd_limit: read.int(at.fd_limit).unwrap_or(old.fd_limit),
            memory: [at.vm_size, at.vm_rss, at.vm_swap].map(|slot| read.number(slot) as u32),
            faults: [at.fault_major, at.fault_minor].map(|slot| read.number(slot)),
            times: exec_times(&image, born, namespace_start, old.times),
            image: Arc::new(image),
            // All other threads end with an exec.
            threads: 0,
            updated_ns: header.time,
            placeholder: false,
            pid: old.pid,
        };
        self.insert(process);
    }

    /// A fork, seen from the child (result 0) or from the parent (result: the child's id).
    fn birth(&mut self, event: &Event<'_>) {
        let at = self.slots.clone;
        let read = Reader(event);
        let header = event.header();
        match event.result() {
            Some(0) => {
                let pid = read.int(at.pid).map_or(header.tgid, |id| id as u32);
                let is_thread = read.int(at.tid).is_some_and(|tid| tid as u32 != pid)
                    || read.int(at.flags).is_some_and(|flags| flags & CLONE_THREAD != 0);
                let start = read.int(at.start).map_or(header.start, |ns| ns as u64);
                if is_thread {
                    // The birth's own start is the thread's; the process is older.
                    self.touch(pid, if header.tgid == pid { header.start } else { 0 });
                    if let Some(process) = self.get_mut(pid) {
                        process.threads = process.threads.saturating_add(1);
                    }
                } else {
                    self.child(event, pid, start);
                }
            }
            Some(child @ 1..) => {
                self.touch(header.tgid, header.start);
                self.announced_child(event, child as u32);
            }
            _ => self.touch(header.tgid, header.start),
        }
    }

    fn child(&mut self, event: &Event<'_>, pid: u32, start_ns: u64) {
        let at = self.slots.clone;
        let read = Reader(event);
        let parent = read.parent(at.parent, at.parent_start);
        let known = self.get(pid).filter(|p| crate::tables::same_start(p.start_ns, start_ns));
        if known.is_some_and(|p| !p.placeholder && p.start_ns != 0 && p.parent == parent) {
            self.touch(pid, start_ns);
            return;
        }
        let model = parent.and_then(|parent| self.get(parent.pid)).filter(|p| !p.placeholder);
        let mut process = match model {
            Some(model) => inherit(model, pid),
            None => Process::placeholder(pid, start_ns),
        };
        let comm = read.text(at.comm).unwrap_or_default();
        if process.placeholder || process.image.comm.as_bytes() != comm {
            let image = Image::new(
                comm,
                read.text(at.exe).unwrap_or_default(),
                event.param(usize::from(at.args)),
            );
            if process.placeholder {
                process.image = Arc::new(image);
            } else if !comm.is_empty() {
                process.image = Arc::new(process.image.renamed(comm));
            }
        }
        process.placeholder = false;
        process.start_ns = start_ns;
        process.parent = parent.or(process.parent);
        process.vpid = read.int(at.vpid).map_or(pid, |id| id as u32);
        process.sid = read.int(at.sid).map_or(process.sid, |id| id as u32);
        process.pgid = read.int(at.pgid).map_or(process.pgid, |id| id as u32);
        process.vpgid = read.int(at.vpgid).map_or(process.vpgid, |id| id as u32);
        process.cwd = read.shared(at.cwd, &process.cwd);
        process.cgroups = read.shared_bytes(at.cgroups, &process.cgroups);
        process.fd_limit = read.int(at.fd_limit).unwrap_or(process.fd_limit);
        let boot = self.host.boot_epoch_ns;
        if let Some(start) =
            namespace_start(boot, process.is_host_numbered(), read.int(at.pidns_start))
        {
            process.pidns_start_epoch_ns = start;
        }
        process.updated_ns = event.header().time;
        self.insert(process);
    }

    /// The parent's side of a fork, when the child's side has not come yet: the child's id is the
    /// one in the parent's pid namespace, so it only tells something in the initial one.
    fn announced_child(&mut self, event: &Event<'_>, pid: u32) {
        if self.get(pid).is_some() {
            return;
        }
        let header = event.header();
        let Some(parent) = self.get(header.tgid) else { return };
        let is_thread =
            Reader(event).int(self.slots.clone.flags).is_some_and(|f| f & CLONE_THREAD != 0);
        if parent.placeholder || !parent.is_host_numbered() || is_thread {
            return;
        }
        let mut process = inherit(parent, pid);
        process.parent = Some(Parent { pid: parent.pid, start_ns: parent.start_ns });
        process.updated_ns = header.time;
        self.insert(process);
    }

    fn exit(&mut self, event: &Event<'_>) {
        let header = event.header();
        let all_gone = match event.param_named("eyas_group_dead") {
            [] => header.tid == header.tgid,
            bytes => value::int(bytes, false).is_some_and(|dead| dead != 0),
        };
        if all_gone {
            self.leaving = Some(header.tgid);
            let reaper = value::int(event.param_named("reaper_tid"), true).filter(|id| *id > 0);
            self.reaper = reaper.map(|id| id as u32);
        } else if let Some(process) = self.get_mut(header.tgid) {
            process.threads = process.threads.saturating_sub(1);
        }
    }

    fn leave(&mut self, pid: u32) {
        let reaper = self.reaper.take().map(|reaper| Parent {
            pid: reaper,
            start_ns: self.get(reaper).map_or(0, |process| process.start_ns),
        });
        self.remove(pid, reaper);
    }

    fn move_to(&mut self, event: &Event<'_>) {
        let Some(process) = self.get_mut(event.header().tgid) else { return };
        if let Some(path) = value::text(event.param_named("eyas_cwd")) {
            process.cwd = Arc::from(path);
            return;
        }
        let written = event.param_named("path");
        let path = match value::text(written) {
            Some(path) => absolute(Some(&process.cwd), path),
            None => match value::text(event.param_named("eyas_path")) {
                Some(path) => Cow::Borrowed(path),
                None => return,
            },
        };
        process.cwd = Arc::from(path.as_ref());
    }

    fn lead_session(&mut self, event: &Event<'_>) {
        let Some(sid) = event.result() else { return };
        if let Some(process) = self.get_mut(event.header().tgid) {
            process.sid = sid as u32;
            process.vpgid = sid as u32;
            process.pgid = process.pid;
            process.tty = 0;
        }
    }

    fn join_group(&mut self, event: &Event<'_>) {
        let caller = event.header().tgid;
        let number = |name| value::int(event.param_named(name), true).unwrap_or(0);
        let (target, group) = (number("pid"), number("pgid"));
        let Some(process) = self.get_mut(caller) else { return };
        // Ids are those of the caller's namespace; another process is only found in the initial one.
        let own = target == 0 || target as u32 == process.vpid;
        let translates = process.is_host_numbered();
        let pid = if own { caller } else { target as u32 };
        if (own || translates)
            && let Some(process) = self.get_mut(pid)
        {
            process.vpgid = if group == 0 { process.vpid } else { group as u32 };
            if group == 0 || process.vpgid == process.vpid {
                process.pgid = process.pid;
            } else if translates {
                process.pgid = group as u32;
            }
        }
    }

    /// The sets that a call left behind. A change of user takes sets away without a word, so the probe says which
    /// are left, in parameters of its own.
    fn set_capabilities(&mut self, event: &Event<'_>, prefix: &str) {
        let number = |name: &str| {
            let name = format!("{prefix}{name}");
            value::int(event.param_named(&name), false).map(|n| n as u64)
        };
        if let Some(process) = self.get_mut(event.header().tgid) {
            process.cap_inheritable = number("cap_inheritable").unwrap_or(process.cap_inheritable);
            process.cap_permitted = number("cap_permitted").unwrap_or(process.cap_permitted);
            process.cap_effective = number("cap_effective").unwrap_or(process.cap_effective);
        }
    }

    /// A new name of the main thread; other threads' names are not kept.
    fn rename(&mut self, event: &Event<'_>) {
        let header = event.header();
        let option = value::int(event.param_named("option"), false);
        if option != Some(PR_SET_NAME) || header.tid != header.tgid {
            return;
        }
        let Some(name) = value::text(event.param_named("arg2_str")) else { return };
        if let Some(process) = self.get(header.tgid) {
            let mut process = process.clone();
            process.image = Arc::new(process.image.renamed(name));
            self.insert(process);
        }
    }

    /// A process as the walk at start, or a later look-up, found it.
    fn snapshot(&mut self, event: &Event<'_>) {
        let at = self.slots.task;
        let read = Reader(event);
        let header = event.header();
        if header.tid != header.tgid {
            if let Some(process) = self.get_mut(header.tgid) {
                process.threads = process.threads.saturating_add(1);
            }
            return;
        }
        if let Some(known) = self.get(header.tgid)
            && !known.placeholder
            && known.updated_ns >= header.time
            && crate::tables::same_start(known.start_ns, header.start)
        {
            self.count_stale();
            return;
        }
        let (exe, arguments) = split_first(event.param(usize::from(at.argv)));
        let mut image = Image::new(read.text(at.comm).unwrap_or_default(), exe, arguments);
        image.exe_path = read.text(at.exe_path).unwrap_or_default().into();
        image.environment = event.param(usize::from(at.env)).into();
        image.exe_inode = read.number(at.exe_ino);
        image.exe_ctime_ns = read.number(at.exe_ctime);
        image.exe_mtime_ns = read.number(at.exe_mtime);
        image.exe_flags = ExeFlags(read.number(at.flags) as u32);
        let empty: Arc<[u8]> = Arc::from([]);
        let mut process = Process::placeholder(header.tgid, header.start);
        process.parent = read.parent(at.parent, at.parent_start);
        process.vpid = read.int(at.vpid).map_or(header.tgid, |id| id as u32);
        process.sid = read.int(at.vsid).or(read.int(at.sid)).map_or(0, |id| id as u32);
        process.pgid = read.number(at.pgid) as u32;
        process.vpgid = read.number(at.vpgid) as u32;
        process.loginuid = read.int(at.loginuid).map_or(u32::MAX, |id| id as u32);
        process.tty = read.number(at.tty) as u32;
        process.cap_permitted = read.number(at.cap_permitted);
        process.cap_inheritable = read.number(at.cap_inheritable);
        process.cap_effective = read.number(at.cap_effective);
        process.cwd = read.shared(at.cwd, &empty);
        process.cgroups = read.shared_bytes(at.cgroups, &empty);
        let boot = self.host.boot_epoch_ns;
        process.pidns_start_epoch_ns =
            namespace_start(boot, process.is_host_numbered(), read.int(at.pidns_start))
                .unwrap_or(0);
        process.fd_limit = read.int(at.fd_limit).unwrap_or(-1);
        process.memory = [at.vm_size, at.vm_rss, at.vm_swap].map(|slot| read.number(slot) as u32);
        process.faults = [at.fault_major, at.fault_minor].map(|slot| read.number(slot));
        process.image = Arc::new(image);
        process.updated_ns = header.time;
        process.placeholder = false;
        self.insert(process);
    }
}

/// Typed access to parameters by place.
struct Reader<'e, 'a>(&'e Event<'a>);

impl<'a> Reader<'_, 'a> {
    fn int(&self, slot: u8) -> Option<i64> {
        self.0.int(usize::from(slot))
    }

    /// 0 when not known.
    fn number(&self, slot: u8) -> u64 {
        self.int(slot).map_or(0, |number| number as u64)
    }

    fn text(&self, slot: u8) -> Option<&'a [u8]> {
        self.0.text(usize::from(slot))
    }

    /// A text, kept as it was when it is the same or not known.
    fn shared(&self, slot: u8, old: &Arc<[u8]>) -> Arc<[u8]> {
        share(self.text(slot), old)
    }

    fn shared_bytes(&self, slot: u8, old: &Arc<[u8]>) -> Arc<[u8]> {
        share(Some(self.0.param(usize::from(slot))).filter(|bytes| !bytes.is_empty()), old)
    }

    fn parent(&self, pid: u8, start: u8) -> Option<Parent> {
        let pid = self.int(pid).filter(|pid| *pid > 0)? as u32;
        Some(Parent { pid, start_ns: self.number(start) })
    }
}

fn share(new: Option<&[u8]>, old: &Arc<[u8]>) -> Arc<[u8]> {
    match new {
        Some(new) if new != &**old => Arc::from(new),
        _ => Arc::clone(old),
    }
}

/// What a child has from the process that forked it.
fn inherit(model: &Process, pid: u32) -> Process {
    Process {
        pid,
        start_ns: 0,
        vpid: pid,
        threads: 0,
        times: Times { namespace_to_ctime_ns: 0, ..model.times },
        ..model.clone()
    }
}

/// When the pid namespace began: at boot for the initial one, else as the kernel says.
fn namespace_start(boot_epoch_ns: u64, initial: bool, kernel: Option<i64>) -> Option<u64> {
    if initial {
        return Some(boot_epoch_ns);
    }
    let start = kernel.filter(|start| *start > 0)? as u64;
    Some(boot_epoch_ns.wrapping_add(start))
}

fn exec_times(image: &Image, born: Option<u64>, namespace_start: u64, old: Times) -> Times {
    let ctime = image.exe_ctime_ns;
    let ctime_to_process_ns = match born {
        Some(born) if ctime != 0 => born.wrapping_sub(ctime),
        _ => 0,
    };
    let namespace_to_ctime_ns = if namespace_start != 0 && ctime > namespace_start {
        ctime - namespace_start
    } else {
        old.namespace_to_ctime_ns
    };
    Times { ctime_to_process_ns, namespace_to_ctime_ns }
}

/// The first text of a list and the rest.
fn split_first(list: &[u8]) -> (&[u8], &[u8]) {
    match list.iter().position(|byte| *byte == 0) {
        Some(end) => (list.get(..end).unwrap_or_default(), list.get(end + 1..).unwrap_or_default()),
        None => (list, &[]),
    }
}

#[cfg(test)]
mod tests;

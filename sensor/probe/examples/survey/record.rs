//! Events as lines of text that are the same wherever the same thing was done.
//!
//! Processes get names by descent (`0`, `0.1`, `0.1.1`, …). What no two machines share is shown as `*`: numbers of
//! inodes, devices and namespaces, times, addresses, sizes of memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use eyas_abi::schema::{Param, ParamType, PrintFormat};
use eyas_abi::value::{SockAddr, SockTuple};
use eyas_abi::{Event, RecordFlags};

/// Names whose opening starts and ends the recording.
pub(crate) const BEGIN: &str = "/survey-begins";
pub(crate) const END: &str = "/survey-ends";

/// Parameters that differ between machines, by name.
const VARYING: &[&str] = &[
    "dev",
    "ino",
    "source",
    "peer",
    "cgroups",
    "exe_ino",
    "exe_ino_ctime",
    "exe_ino_mtime",
    "eyas_fd_dev",
    "eyas_fd_ino",
    "eyas_exe_dev",
    "eyas_pidns",
    "eyas_mntns",
    "eyas_userns",
    "eyas_parent_start",
    "eyas_start",
    "eyas_pidns_start",
    "pidns_init_start_ts",
    "pgft_maj",
    "pgft_min",
    "vm_size",
    "vm_rss",
    "vm_swap",
    "tty",
    "loginuid",
    "features",
    "semid",
    "reaper_tid",
    "arg2_int",
];
/// Registers of a call without an event of its own, of which nobody says whether the call takes them.
const LEFTOVERS: &[&str] = &["eyas_arg1", "eyas_arg2", "eyas_arg3", "eyas_arg4", "eyas_arg5"];
/// Hexadecimal numbers of eight bytes above this are addresses.
const LAST_NUMBER: i64 = 0xffff;
const CODE_CLONE: u16 = 223;
/// Events of a program that is not the workload itself: what else it does depends on its libraries.
const LIFE: &[&str] = &["execve", "execveat", "clone", "clone3", "fork", "vfork", "procexit"];

/// The events of one process and its descendants.
pub(crate) struct Recording {
    names: BTreeMap<u32, String>,
    children: BTreeMap<u32, u32>,
    /// Tasks that have become another program.
    others: BTreeSet<u32>,
    active: bool,
    lines: Vec<(String, String)>,
}

impl Recording {
    pub(crate) fn of(pid: u32) -> Self {
        Self {
            names: BTreeMap::from([(pid, "0".to_owned())]),
            children: BTreeMap::new(),
            others: BTreeSet::new(),
            active: false,
            lines: Vec::new(),
        }
    }

    pub(crate) fn take(&mut self, record: &[u8]) {
        let Ok(event) = Event::decode(record) else {
            self.lines.push((String::new(), format!("undecodable: {record:02x?}")));
            return;
        };
        self.adopt(&event);
        let Some(name) = self.names.get(&event.header().tid).cloned() else { return };
        let opened = event.param_named("name");
        if opened.starts_with(BEGIN.as_bytes()) || opened.starts_with(END.as_bytes()) {
            self.active = opened.starts_with(BEGIN.as_bytes());
            return;
        }
        let tid = event.header().tid;
        let reported = LIFE.contains(&event.ty().name);
        if self.active && (reported || !self.others.contains(&tid)) {
            if event.ty().name.starts_with("execve") && event.int(0) == Some(0) {
                self.others.insert(tid);
            }
            let line = self.line(&event);
            self.lines.push((name, line));
        }
    }

    /// Gives a new task its name.
    fn adopt(&mut self, event: &Event<'_>) {
        let tid = event.header().tid;
        if event.code() != CODE_CLONE || event.int(0) != Some(0) || self.names.contains_key(&tid) {
            return;
        }
        let number =
            |name| event.ty().param(name).and_then(|(at, _)| event.int(at)).unwrap_or(0) as u32;
        let parent = if event.header().tgid == tid { number("ptid") } else { number("pid") };
        if let Some(name) = self.names.get(&parent) {
            let child = self.children.entry(parent).or_default();
            *child += 1;
            let name = format!("{name}.{child}");
            self.names.insert(tid, name);
        }
    }

    /// Every line, by process and then in the order of time.
    pub(crate) fn lines(mut self) -> Vec<String> {
        self.lines.sort_by(|a, b| a.0.cmp(&b.0));
        self.lines.into_iter().map(|(name, line)| format!("event {name} {line}")).collect()
    }

    fn line(&self, event: &Event<'_>) -> String {
        let header = event.header();
        let mut line = event.ty().name.to_owned();
        let marks = header.flags.0 & !RecordFlags::SNAPSHOT.0;
        if marks != 0 {
            let _ = write!(line, " marks={marks:#x}");
        }
        if (header.euid, header.egid) != (0, 0) {
            let _ = write!(line, " as={}:{}", header.euid, header.egid);
        }
        for (index, (param, value)) in event.ty().params.iter().zip(event.params()).enumerate() {
            if !value.is_empty() && !LEFTOVERS.contains(&param.name) {
                let _ = write!(line, " {}={}", param.name, self.value(event, index, param, value));
            }
        }
        line
    }

    fn value(&self, event: &Event<'_>, index: usize, param: &Param, value: &[u8]) -> String {
        if VARYING.contains(&param.name) {
            return if value.iter().all(|byte| *byte == 0) { "0" } else { "*" }.to_owned();
        }
        match param.ty {
            _ if event.ty().is_generic() => self.number(event.int(index).unwrap_or(0), param),
            ParamType::Pid | ParamType::Pid32 => self.pid(event.int(index).unwrap_or(0)),
            ParamType::SockTuple => tuple(value),
            ParamType::SockAddr => match SockAddr::read(value) {
                Some(SockAddr::Unix(path)) => format!("unix:{}", path.escape_ascii()),
                Some(SockAddr::Inet(ip, port)) => format!("{ip}:{port}"),
                Some(SockAddr::Other(family)) => format!("family {family}"),
                None => format!("malformed {value:02x?}"),
            },
            ParamType::Dyn => dynamic(value),
            ty if ty.fixed_len().is_some() => match event.int(index) {
                Some(set) if param.name.starts_with("cap_") => format!("{set:x}"),
                Some(number) if param.print == PrintFormat::Hexadecimal && number > LAST_NUMBER => {
                    "*".to_owned()
                }
                Some(number) => number.to_string(),
                None => format!("{value:02x?}"),
            },
            _ => format!("\"{}\"", value.escape_ascii()),
        }
    }

    /// A register of a call: a number, a process or an address.
    fn number(&self, number: i64, param: &Param) -> String {
        match u32::try_from(number).ok().and_then(|pid| self.names.get(&pid)) {
            Some(name) if param.name.starts_with("eyas_") => format!("<{name}>"),
            _ if number > LAST_NUMBER => "*".to_owned(),
            _ => number.to_string(),
        }
    }

    fn pid(&self, number: i64) -> String {
        match u32::try_from(number).ok().and_then(|pid| self.names.get(&pid)) {
            Some(name) => format!("<{name}>"),
            None if number <= 1 => number.to_string(),
            None => "<?>".to_owned(),
        }
    }
}

/// Unix sockets are named by kernel addresses, of which only tells whether they are there.
fn tuple(value: &[u8]) -> String {
    match SockTuple::read(value) {
        Some(SockTuple::Unix { source, destination, path }) => {
            let known = |address: u64| if address == 0 { '0' } else { '*' };
            format!("unix:{}->{}:{}", known(source), known(destination), path.escape_ascii())
        }
        Some(SockTuple::Inet { source, destination }) => {
            format!("{}:{}->{}:{}", source.0, source.1, destination.0, destination.1)
        }
        Some(SockTuple::Other(family)) => format!("family {family}"),
        None => format!("malformed {value:02x?}"),
    }
}

fn dynamic(value: &[u8]) -> String {
    let Some((variant, rest)) = value.split_first() else { return String::new() };
    match eyas_abi::value::int(rest, false) {
        Some(number) if (0..=LAST_NUMBER).contains(&number) => format!("{variant}:{number}"),
        Some(_) => format!("{variant}:*"),
        None => format!("{variant}:\"{}\"", rest.escape_ascii()),
    }
}

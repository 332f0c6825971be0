//! The walk over /proc, for kernels whose task iterator is missing.
//!
//! Slower than the iterator and less exact: start times come in clock ticks, overlay layers are unknown. A
//! process may end between two of its files; what is missing then stays unknown.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use eyas_abi::{EventBuilder, Header, NO_SYSCALL, RecordFlags};
use rustix::time::{ClockId, clock_gettime};

use super::Seeded;
use crate::error::ProbeError;

/// Code of the `task` event.
const TASK: u16 = 430;
/// Most bytes of arguments kept for a process.
pub(super) const ARGS_BYTES: usize = 4096;
const NS_PER_SEC: u64 = 1_000_000_000;

/// Walks `root`, which is /proc or looks like it.
pub(super) fn walk(root: &Path, deliver: &mut dyn FnMut(&[u8])) -> Result<Seeded, ProbeError> {
    let host = |source| ProbeError::Host { path: root.display().to_string(), source };
    let mut seeded = Seeded::default();
    for entry in fs::read_dir(root).map_err(host)? {
        let Ok(entry) = entry else { continue };
        if entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()).is_none() {
            continue;
        }
        let Some(process) = Process::read(&entry.path()) else {
            seeded.missed += 1;
            continue;
        };
        let threads = fs::read_dir(entry.path().join("task")).into_iter().flatten().flatten();
        for thread in threads {
            if let Some(record) = process.thread(&thread.path()) {
                deliver(&record);
                seeded.tasks += 1;
            }
        }
    }
    Ok(seeded)
}

/// What all threads of a process share.
struct Process {
    status: Status,
    stat: Stat,
    arguments: Vec<u8>,
    exe: Option<Vec<u8>>,
    exe_file: Option<fs::Metadata>,
    cwd: Option<Vec<u8>>,
    root: Option<Vec<u8>>,
    cgroups: Vec<u8>,
    loginuid: Option<i64>,
    limit: Option<i64>,
    namespaces: [Option<i64>; 3],
}

impl Process {
    fn read(path: &Path) -> Option<Self> {
        let text = |name: &str| fs::read(path.join(name)).unwrap_or_default();
        let link = |name: &str| {
            fs::read_link(path.join(name))
                .ok()
                .map(|path| path.into_os_string().as_bytes().to_vec())
        };
        let mut arguments = text("cmdline");
        arguments.truncate(ARGS_BYTES);
        Some(Self {
            status: Status::parse(&fs::read_to_string(path.join("status")).ok()?),
            stat: Stat::parse(&fs::read(path.join("stat")).ok()?)?,
            arguments,
            exe: link("exe").map(as_the_probe_says),
            exe_file: fs::metadata(path.join("exe")).ok(),
            cwd: link("cwd"),
            root: link("root"),
            cgroups: cgroups(&String::from_utf8_lossy(&text("cgroup"))),
            loginuid: number(&String::from_utf8_lossy(&text("loginuid"))),
            limit: descriptor_limit(&String::from_utf8_lossy(&text("limits"))),
            namespaces: ["pid", "mnt", "user"].map(|name| namespace(&path.join("ns").join(name))),
        })
    }

    fn thread(&self, path: &Path) -> Option<Vec<u8>> {
        let stat = Stat::parse(&fs::read(path.join("stat")).ok()?)?;
        let status = Status::parse(&fs::read_to_string(path.join("status")).ok()?);
        Some(self.record(&stat, &status))
    }

    fn record(&self, thread: &Stat, status: &Status) -> Vec<u8> {
        let time = clock_gettime(ClockId::Boottime);
        let header = Header {
            time: time.tv_sec as u64 * NS_PER_SEC + time.tv_nsec as u64,
            start: self.stat.start,
            tgid: self.stat.pid,
            tid: thread.pid,
            euid: status.uids[1] as u32,
            egid: status.gids[1] as u32,
            syscall: NO_SYSCALL,
            flags: RecordFlags::SNAPSHOT,
            ..Header::default()
        };
        let exe = self.exe_file.as_ref();
        let stamp = |sec: i64, nsec: i64| sec * NS_PER_SEC as i64 + nsec;
        let last = |ids: &[i64]| ids.last().copied();
        EventBuilder::new(TASK)
            .header(header)
            .int(self.stat.parent)
            .int(self.stat.group)
            .some(last(&status.nspgid))
            .int(self.stat.session)
            .text(&thread.name)
            .bytes(&self.arguments)
            .some_text(self.exe.as_deref())
            .unknown()
            .unknown()
            .some_text(self.cwd.as_deref())
            .some(self.limit)
            .int(status.uids[1])
            .int(status.gids[1])
            .int(status.permitted as i64)
            .int(status.effective as i64)
            .int(status.inheritable as i64)
            .some(exe.map(|file| file.ino() as i64))
            .some(exe.map(|file| stamp(file.ctime(), file.ctime_nsec())))
            .some(exe.map(|file| stamp(file.mtime(), file.mtime_nsec())))
            .some(status.vm_size)
            .some(status.vm_rss)
            .some(status.vm_swap)
            .int(thread.faults_major)
            .int(thread.faults_minor)
            .some(last(&self.status.nstgid))
            .some(last(&status.nstgid))
            .unknown()
            .bytes(&self.cgroups)
            .some_text(self.root.as_deref())
            .unknown()
            .int(self.stat.terminal)
            .some(self.loginuid)
            .some(last(&status.nspid))
            .some(last(&status.nssid))
            .some(self.namespaces[0])
            .some(self.namespaces[1])
            .some(self.namespaces[2])
            .int(status.uids[0])
            .int(status.gids[0])
            .unknown()
            .some(exe.map(|file| device(file.dev())))
            .some(exe.map(|file| file.nlink() as i64))
            .int(self.arguments.len() as i64)
            .build()
    }
}

/// Values that may not be known.
trait Optional: Sized {
    fn some(self, value: Option<i64>) -> Self;
    fn some_text(self, value: Option<&[u8]>) -> Self;
}

impl Optional for EventBuilder {
    fn some(self, value: Option<i64>) -> Self {
        match value {
            Some(value) => self.int(value),
            None => self.unknown(),
        }
    }

    fn some_text(self, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.text(value),
            None => self.unknown(),
        }
    }
}

/// The fields of `stat` that are used.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stat {
    pid: u32,
    name: Vec<u8>,
    parent: i64,
    group: i64,
    session: i64,
    terminal: i64,
    faults_minor: i64,
    faults_major: i64,
    start: u64,
}

impl Stat {
    /// The name stands in parentheses and may contain anything, parentheses and spaces included.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let open = bytes.iter().position(|byte| *byte == b'(')?;
        let close = bytes.iter().rposition(|byte| *byte == b')')?;
        let pid = std::str::from_utf8(bytes.get(..open)?).ok()?.trim().parse().ok()?;
        let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |index: usize| fields.get(index)?.parse::<i64>().ok();
        Some(Self {
            pid,
            name: bytes.get(open + 1..close)?.to_vec(),
            parent: field(1)?,
            group: field(2)?,
            session: field(3)?,
            terminal: field(4)?,
            faults_minor: field(7)?,
            faults_major: field(9)?,
            start: ticks_to_ns(field(19)? as u64),
        })
    }
}

fn ticks_to_ns(ticks: u64) -> u64 {
    ticks.saturating_mul(NS_PER_SEC / rustix::param::clock_ticks_per_second().max(1))
}

/// The fields of `status` that are used.
#[derive(Debug, Default, PartialEq, Eq)]
struct Status {
    uids: [i64; 4],
    gids: [i64; 4],
    nstgid: Vec<i64>,
    nspid: Vec<i64>,
    nspgid: Vec<i64>,
    nssid: Vec<i64>,
    inheritable: u64,
    permitted: u64,
    effective: u64,
    vm_size: Option<i64>,
    vm_rss: Option<i64>,
    vm_swap: Option<i64>,
}

impl Status {
    fn parse(text: &str) -> Self {
        let mut status = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let numbers = || value.split_ascii_whitespace().filter_map(number);
            let mask = || u64::from_str_radix(value.trim(), 16).unwrap_or_default();
            match key {
                "Uid" => status.uids = array(numbers()),
                "Gid" => status.gids = array(numbers()),
                "NStgid" => status.nstgid = numbers().collect(),
                "NSpid" => status.nspid = numbers().collect(),
                "NSpgid" => status.nspgid = numbers().collect(),
                "NSsid" => status.nssid = numbers().collect(),
                "CapInh" => status.inheritable = mask(),
                "CapPrm" => status.permitted = mask(),
                "CapEff" => status.effective = mask(),
                "VmSize" => status.vm_size = numbers().next(),
                "VmRSS" => status.vm_rss = numbers().next(),
                "VmSwap" => status.vm_swap = numbers().next(),
                _ => {}
            }
        }
        status
    }
}

fn array(numbers: impl Iterator<Item = i64>) -> [i64; 4] {
    let mut out = [0; 4];
    out.iter_mut().zip(numbers).for_each(|(out, number)| *out = number);
    out
}

fn number(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

/// `=PATH` for the default hierarchy, `memory=PATH` where that controller has one of its own.
fn cgroups(text: &str) -> Vec<u8> {
    let lines = || {
        text.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            Some((parts.next()?, parts.next()?))
        })
    };
    let memory = lines().find(|(names, _)| names.split(',').any(|name| name == "memory"));
    let unified = lines().find(|(names, _)| names.is_empty());
    let value = match (memory, unified) {
        (Some((_, path)), _) => format!("memory={path}"),
        (None, Some((_, path))) => format!("={path}"),
        (None, None) => return Vec::new(),
    };
    let mut bytes = value.into_bytes();
    bytes.push(0);
    bytes
}

fn descriptor_limit(text: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    number(line.split_ascii_whitespace().next()?)
}

/// `pid:[4026531836]` gives the number.
fn namespace(path: &Path) -> Option<i64> {
    let link = fs::read_link(path).ok()?;
    let text = link.to_str()?;
    number(text.split_once('[')?.1.strip_suffix(']')?)
}

/// Device number in the encoding of the events.
fn device(dev: u64) -> i64 {
    let (major, minor) = (rustix::fs::major(dev), rustix::fs::minor(dev));
    i64::from((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
}

/// A program in memory only has no place in a tree, and so never loses one: `memfd:x`.
fn as_the_probe_says(path: Vec<u8>) -> Vec<u8> {
    match path.strip_prefix(b"/memfd:") {
        Some(name) => [b"memfd:", name.strip_suffix(b" (deleted)").unwrap_or(name)].concat(),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use eyas_abi::Event;

    use super::*;

    #[test]
    fn programs_in_memory_are_called_as_by_the_probe() {
        let said = |path: &str| String::from_utf8(as_the_probe_says(path.into())).unwrap();
        assert_eq!(said("/memfd:x (deleted)"), "memfd:x");
        assert_eq!(said("/bin/x (deleted)"), "/bin/x (deleted)");
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_confuse_stat() {
        let text = b"42 (a) R (b\n) S 1 42 41 34816 42 4194560 10 0 3 0 0 0 0 0 20 0 1 0 12345 0 0";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(stat.name, b"a) R (b\n");
        assert_eq!((stat.pid, stat.parent, stat.group, stat.session), (42, 1, 42, 41));
        assert_eq!((stat.terminal, stat.faults_minor, stat.faults_major), (34816, 10, 3));
        assert_eq!(stat.start, ticks_to_ns(12345));
        assert_eq!(Stat::parse(b"42 (a S 1"), None);
        assert_eq!(Stat::parse(b""), None);
    }

    #[test]
    fn status_gives_ids_capabilities_and_memory() {
        let status = Status::parse(
            "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nNSpid:\t900\t7\nNSpgid:\t900\t7\n\
             CapEff:\t00000000000000ff\nVmSize:\t  100 kB\nVmRSS:\t 50 kB\n",
        );
        assert_eq!(status.uids, [1, 2, 3, 4]);
        assert_eq!(status.gids[1], 6);
        assert_eq!(status.nspid, [900, 7]);
        assert_eq!(status.effective, 0xff);
        assert_eq!((status.vm_size, status.vm_rss, status.vm_swap), (Some(100), Some(50), None));
    }

    #[test]
    fn the_memory_hierarchy_goes_before_the_unified_one() {
        assert_eq!(cgroups("0::/user.slice\n"), b"=/user.slice\0");
        assert_eq!(cgroups("4:memory:/docker/x\n0::/a\n"), b"memory=/docker/x\0");
        assert_eq!(cgroups("1:name=systemd:/a:b\n"), b"");
        assert_eq!(cgroups("0::/a:b\n"), b"=/a:b\0", "a path may hold colons");
    }

    #[test]
    fn limits_and_devices() {
        assert_eq!(
            descriptor_limit("Max open files            1024    4096   files\n"),
            Some(1024)
        );
        assert_eq!(descriptor_limit("Max open files   unlimited unlimited files"), None);
        assert_eq!(device(rustix::fs::makedev(8, 1)), 0x801);
        assert_eq!(device(rustix::fs::makedev(259, 300)), 0x0011_032c);
    }

    #[test]
    fn this_process_is_found_with_its_facts() {
        let mut found = None;
        let me = std::process::id();
        let seeded = walk(Path::new("/proc"), &mut |record| {
            let event = Event::decode(record).unwrap();
            if event.header().tgid == me && event.header().tid == me {
                found = Some(record.to_vec());
            }
        })
        .unwrap();
        assert!(seeded.tasks > 0);
        let record = found.expect("this process is there");
        let event = Event::decode(&record).unwrap();
        assert_eq!(event.ty().name, "task");
        assert!(event.header().flags.has(RecordFlags::SNAPSHOT));
        assert_eq!(event.param_count(), event.ty().params.len());
        let arguments = eyas_abi::value::list(event.param_named("argv")).count();
        assert_eq!(arguments, std::env::args_os().count());
        let exe = std::env::current_exe().unwrap();
        let path = event.ty().param("exepath").unwrap().0;
        assert_eq!(event.text(path), Some(exe.as_os_str().as_bytes()));
        let inode = event.ty().param("exe_ino_num").unwrap().0;
        assert_eq!(event.int(inode), Some(fs::metadata(exe).unwrap().ino() as i64));
    }

    #[test]
    fn a_missing_proc_is_an_error_with_its_path() {
        let error = walk(Path::new("/nonexistent"), &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("/nonexistent"), "{error}");
    }
}

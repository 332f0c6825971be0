//! From bytes to running programs.
//!
//! [`Probe::load`] checks the layout, makes the maps, fills the tables and has every program verified;
//! nothing runs before [`Probe::attach`]. Dropping the probe detaches and frees everything.

use std::error::Error;
use std::time::Duration;
use std::{fmt, fs};

use aya::maps::{Array, ArrayOfMaps, MapData, PerCpuArray, ProgramArray};
use aya::programs::{BtfTracePoint, Iter};
use aya::{Btf, Ebpf, EbpfLoader};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF;
use eyas_abi::schema;

use crate::counters::{COUNTERS_LEN, Counters};
use crate::descriptors::{self, BIT_TABLE_LEN, DESCRIPTOR_LEN, Extraction};
use crate::error::ProbeError;
use crate::hooks::{Feature, Hooks, Verified, needed};
use crate::plain::with_plain_loads;
use crate::rings::Rings;
use crate::seed::{Seeded, Snapshot};
use crate::settings::{self, SETTINGS_LEN, Settings};
use crate::verify::{Programs, Task, side_by_side};
use crate::{capability, object};

/// Size of a CPU's ring for events unless the options say otherwise, bytes.
pub const RING_EVENTS_DEFAULT: u32 = 4 << 20;
/// Size of a CPU's ring for exec, fork and exit unless the options say otherwise, bytes.
pub const RING_LIFECYCLE_DEFAULT: u32 = 1 << 20;
/// Rings of one CPU.
const RING_CLASSES: u32 = 2;
/// Lines of the verifier's log kept in an error.
const LOG_LINES: usize = 12;
/// Where the kernel lists the CPUs that may ever exist.
const POSSIBLE_CPUS: &str = "/sys/devices/system/cpu/possible";

/// Programs that are reached from `sys_exit` by their place in the table of handlers.
const HANDLERS: &[&str] = &[
    "on_exec",
    "on_clone",
    "on_open",
    "on_openat",
    "on_openat2",
    "on_creat",
    "on_open_by_handle_at",
    "on_connect",
    "on_accept",
    "on_accept4",
    "on_messages",
    "on_generic",
];

/// Name of a program that walks over tasks, and whether its records carry arguments.
pub(crate) type Walk = (&'static str, bool);

/// The walks, best first.
const SNAPSHOTS: &[Walk] = &[("snapshot_with_arguments", true), ("snapshot_plain", false)];

/// How the probe is to work.
#[derive(Debug, Clone)]
pub struct Options {
    /// Size of each CPU's ring for events, bytes; a power of two and at least one page.
    pub ring_events: u32,
    /// Size of each CPU's ring for exec, fork and exit, bytes; likewise.
    pub ring_lifecycle: u32,
    /// Bytes of arguments kept, at most [`crate::ARGS_MAX`].
    pub args_bytes: u32,
    /// Bytes of environment kept; 0 leaves it out.
    pub env_bytes: u32,
    /// Bytes of input and output kept, at most [`crate::DATA_MAX`].
    pub data_bytes: u32,
    /// Process whose system calls are not reported; usually this one, which would report its own reporting.
    pub ignored: Option<u32>,
    /// Whether reads of kernel memory may be plain loads where the kernel has them; they say the same as the helper.
    pub plain_loads: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ring_events: RING_EVENTS_DEFAULT,
            ring_lifecycle: RING_LIFECYCLE_DEFAULT,
            args_bytes: settings::ARGS_DEFAULT,
            env_bytes: 0,
            data_bytes: settings::DATA_DEFAULT,
            ignored: Some(std::process::id()),
            plain_loads: true,
        }
    }
}

/// A program as the kernel took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Name in the object.
    pub name: String,
    /// Instructions that the verifier walked; `None` before 5.16.
    pub verified_instructions: Option<u32>,
    /// Time spent in it, and in handlers that it jumped to, while somebody had the kernel count that
    /// (`kernel.bpf_stats_enabled`).
    pub run_time: Duration,
    /// How often it ran meanwhile.
    pub runs: u64,
}

/// A loaded probe.
#[derive(Debug)]
pub struct Probe {
    bpf: Ebpf,
    rings: Vec<(u32, u32, MapData)>,
    settings: Settings,
    hooks: Hooks,
    /// The walk over tasks that the kernel took, and whether it carries arguments.
    snapshot: Option<Walk>,
    reads: Reads,
}

/// How the programs read kernel memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// By plain loads.
    Loads,
    /// By a call of the helper for each field, and why.
    Calls(String),
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loads => f.write_str("by plain loads"),
            Self::Calls(why) => write!(f, "by a call of the helper for each field: {why}"),
        }
    }
}

impl Probe {
    /// Loads an object: the embedded one, or one that was verified and installed.
    pub fn load(bytes: &[u8], options: &Options) -> Result<Self, ProbeError> {
        capability()?;
        object::check(bytes)?;
        raise_memory_limit();
        let btf = Btf::from_sys_fs().map_err(|error| ProbeError::Object(chain(&error)))?;
        let cpus = possible_cpus()?;
        let Opened { mut bpf, hooks, snapshot, reads } = open(bytes, &btf, cpus, options)?;
        let rings = make_rings(&mut bpf, cpus, options)?;
        fill_descriptors(&mut bpf)?;
        fill_handlers(&mut bpf)?;
        let settings = Settings::new(options.ignored.unwrap_or(0));
        let mut probe = Self { bpf, rings, settings, hooks, snapshot, reads };
        probe.settings.snapshot_slot = cpus;
        probe.settings.args_bytes = options.args_bytes;
        probe.settings.env_bytes = options.env_bytes;
        probe.settings.data_bytes = options.data_bytes;
        probe.write_settings()?;
        Ok(probe)
    }

    /// Has the kernel verify every program of an object, and attaches nothing.
    pub fn try_load(bytes: &[u8]) -> Result<Vec<Program>, ProbeError> {
        let page = rustix::param::page_size() as u32;
        let options = Options { ring_events: page, ring_lifecycle: page, ..Options::default() };
        Ok(Self::load(bytes, &options)?.programs())
    }

    /// Lets the programs run. Events flow from here on.
    pub fn attach(&mut self) -> Result<(), ProbeError> {
        self.hooks.attach(&mut self.bpf)
    }

    /// Reports exactly these events and system calls from now on, beside exec, fork and exit, which are always
    /// reported. Takes effect call by call, without a gap for what was enabled before and still is.
    pub fn set_enabled<'n>(
        &mut self,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Result<(), ProbeError> {
        let names: Vec<&str> = names.into_iter().collect();
        self.settings.enable(names.iter().copied())?;
        self.settings.generation += 1;
        self.write_settings()?;
        self.hooks.want(&mut self.bpf, &names)
    }

    /// Makes events with exactly these codes wake the reader at once from now on; the others, but for exec, wait
    /// until it looks by itself.
    pub fn set_urgent(&mut self, codes: impl IntoIterator<Item = u16>) -> Result<(), ProbeError> {
        self.settings.hurry(codes);
        self.write_settings()
    }

    /// Bytes of environment kept from now on; 0 leaves it out.
    pub fn set_env_bytes(&mut self, bytes: u32) -> Result<(), ProbeError> {
        self.settings.env_bytes = bytes;
        self.write_settings()
    }

    /// The number that records made under the present settings carry.
    pub fn generation(&self) -> u32 {
        self.settings.generation
    }

    /// The reading side of the rings. There may be one reader at a time.
    pub fn rings(&self) -> Result<Rings, ProbeError> {
        Rings::open(self.rings.iter().map(|(cpu, bytes, map)| (*cpu, *bytes, map.fd())))
    }

    /// Delivers a `task` record for each thread that is there already. Call it after [`Probe::attach`] and before
    /// reading the rings, so that nothing falls between.
    pub fn seed(&mut self, deliver: &mut dyn FnMut(&[u8])) -> Result<Seeded, ProbeError> {
        self.snapshot()?.deliver(deliver)
    }

    /// The walk over what is there already, to be delivered by whoever reads the rings.
    pub fn snapshot(&mut self) -> Result<Snapshot, ProbeError> {
        let Some((name, arguments)) = self.snapshot else { return Ok(Snapshot::of_proc()) };
        let failed = |reason: String| ProbeError::Attach { program: name.to_owned(), reason };
        let program: &mut Iter = self
            .bpf
            .program_mut(name)
            .and_then(|program| program.try_into().ok())
            .ok_or_else(|| ProbeError::NoProgram(name.to_owned()))?;
        let link = program.attach().map_err(|error| failed(chain(&error)))?;
        let link = program.take_link(link).map_err(|error| failed(chain(&error)))?;
        let file = link.into_file().map_err(|error| failed(chain(&error)))?;
        Ok(Snapshot::of_kernel(file, arguments))
    }

    /// How [`Probe::seed`] learns of what is there already, for status.
    pub fn seed_method(&self) -> &'static str {
        match self.snapshot {
            Some((_, true)) => "task iterator",
            Some((_, false)) => "task iterator, arguments from /proc",
            None => "/proc",
        }
    }

    /// How the programs read kernel memory, for status.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// What was lost so far.
    pub fn counters(&self) -> Result<Counters, ProbeError> {
        let map = self.bpf.map("counters").ok_or_else(|| no_map("counters"))?;
        let map: PerCpuArray<&MapData, [u8; COUNTERS_LEN]> =
            PerCpuArray::try_from(map).map_err(|error| map_error("counters", &error))?;
        let values = map.get(&0, 0).map_err(|error| map_error("counters", &error))?;
        let mut counters = Counters::default();
        values.iter().for_each(|value| counters.add(value));
        Ok(counters)
    }

    /// What the kernel took of what the probe can do without.
    pub fn features(&self) -> Vec<Feature> {
        self.hooks.features()
    }

    /// Every program that the kernel took, with what its verification cost.
    pub fn programs(&self) -> Vec<Program> {
        let mut programs: Vec<Program> = self
            .bpf
            .programs()
            .filter_map(|(name, program)| {
                let info = program.info().ok()?;
                Some(Program {
                    name: name.to_owned(),
                    verified_instructions: info.verified_instruction_count(),
                    run_time: info.run_time(),
                    runs: info.run_count(),
                })
            })
            .collect();
        programs.sort_by(|a, b| a.name.cmp(&b.name));
        programs
    }

    fn write_settings(&mut self) -> Result<(), ProbeError> {
        const NAME: &str = ".data.settings";
        let map = self.bpf.map_mut(NAME).ok_or_else(|| no_map(NAME))?;
        let mut map: Array<&mut MapData, [u8; SETTINGS_LEN]> =
            Array::try_from(map).map_err(|error| map_error(NAME, &error))?;
        map.set(0, self.settings.to_bytes(), 0).map_err(|error| map_error(NAME, &error))
    }
}

pub(crate) fn program<'p>(
    bpf: &'p mut Ebpf,
    name: &str,
) -> Result<&'p mut BtfTracePoint, ProbeError> {
    let missing = || ProbeError::NoProgram(name.to_owned());
    bpf.program_mut(name).ok_or_else(missing)?.try_into().map_err(|_| missing())
}

/// An object that the kernel has taken.
struct Opened {
    bpf: Ebpf,
    hooks: Hooks,
    snapshot: Option<Walk>,
    reads: Reads,
}

/// Makes the maps and has the kernel verify the programs: with plain loads, or else as they were compiled.
fn open(bytes: &[u8], btf: &Btf, cpus: u32, options: &Options) -> Result<Opened, ProbeError> {
    let attempt = |bytes: &[u8], reads| -> Result<Opened, ProbeError> {
        let mut bpf = EbpfLoader::new()
            .btf(Some(btf))
            .map_max_entries("scratches", cpus + 1)
            .map_max_entries("rings", cpus * RING_CLASSES)
            .load(bytes)
            .map_err(|error| ProbeError::Object(chain(&error)))?;
        let (hooks, snapshot) = verify(&mut bpf, btf)?;
        Ok(Opened { bpf, hooks, snapshot, reads })
    };
    let why = if options.plain_loads {
        match with_plain_loads(bytes, btf).map(|bytes| attempt(&bytes, Reads::Loads)) {
            Ok(Ok(opened)) => return Ok(opened),
            // As on a kernel that has them and interprets programs. What is wrong elsewhere comes up again.
            Ok(Err(refused)) => refused.to_string().lines().next().unwrap_or_default().to_owned(),
            Err(why) => why.to_owned(),
        }
    } else {
        "as asked for".to_owned()
    };
    attempt(bytes, Reads::Calls(why))
}

/// Has the kernel verify everything.
fn verify(bpf: &mut Ebpf, btf: &Btf) -> Result<(Hooks, Option<Walk>), ProbeError> {
    let mut programs = Programs::of(bpf);
    let mut tasks = Hooks::tasks(&mut programs, btf)?;
    for name in HANDLERS {
        tasks.push(needed(&mut programs, name, "sys_exit", btf)?);
    }
    tasks.push(snapshot_task(&mut programs, btf));
    let (mut extra, mut snapshot) = (Vec::new(), None);
    for verified in side_by_side(tasks) {
        match verified {
            Verified::Needed(taken) => taken?,
            Verified::Extra(taken) => extra.push(taken),
            Verified::Snapshot(taken) => snapshot = taken,
        }
    }
    Ok((Hooks::new(extra), snapshot))
}

/// The first walk over tasks that the kernel takes. None is no error: /proc is there.
fn snapshot_task<'t>(programs: &mut Programs<'t>, btf: &'t Btf) -> Task<'t, Verified> {
    let walks = SNAPSHOTS.iter().filter_map(|walk| Some((*walk, programs.take(walk.0).ok()?)));
    let walks: Vec<(Walk, &mut Iter)> = walks.collect();
    Box::new(move || {
        let taken = walks.into_iter().find_map(|(walk, program)| {
            program.load("task", btf).ok()?;
            Some(walk)
        });
        Verified::Snapshot(taken)
    })
}

pub(crate) fn refused(name: &str, error: &aya::programs::ProgramError) -> ProbeError {
    let (reason, log) = match error {
        aya::programs::ProgramError::LoadError { io_error, verifier_log } => {
            (io_error.to_string(), verifier_log.to_string())
        }
        other => (chain(other), String::new()),
    };
    let lines: Vec<&str> = log.lines().filter(|line| !line.is_empty()).collect();
    let log = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
    ProbeError::Refused { program: name.to_owned(), reason, log }
}

fn make_rings(
    bpf: &mut Ebpf,
    cpus: u32,
    options: &Options,
) -> Result<Vec<(u32, u32, MapData)>, ProbeError> {
    let map = bpf.map_mut("rings").ok_or_else(|| no_map("rings"))?;
    let mut table: ArrayOfMaps<&mut MapData, MapData> =
        ArrayOfMaps::try_from(map).map_err(|error| map_error("rings", &error))?;
    let mut rings = Vec::new();
    for cpu in 0..cpus {
        for (class, bytes) in [options.ring_events, options.ring_lifecycle].into_iter().enumerate()
        {
            let failed = |error: &dyn Error| ProbeError::Ring { cpu, bytes, reason: chain(error) };
            let ring = aya_obj::Map::new_from_params(BPF_MAP_TYPE_RINGBUF as u32, 0, 0, bytes, 0);
            let ring = MapData::create(ring, "eyas_ring", None).map_err(|error| failed(&error))?;
            table
                .set(cpu * RING_CLASSES + class as u32, &ring, 0)
                .map_err(|error| failed(&error))?;
            rings.push((cpu, bytes, ring));
        }
    }
    Ok(rings)
}

/// Puts each system call's handler into its places. The array belongs to the object's maps and stays there: the
/// kernel empties it when its last owner goes.
fn fill_handlers(bpf: &mut Ebpf) -> Result<(), ProbeError> {
    let mut places = Vec::new();
    for name in HANDLERS {
        let fd = program(bpf, name)?
            .fd()
            .map_err(|error| ProbeError::Object(chain(&error)))?
            .try_clone()
            .map_err(|error| ProbeError::Object(error.to_string()))?;
        places.push((*name, fd));
    }
    let map = bpf.map_mut("handlers").ok_or_else(|| no_map("handlers"))?;
    let mut table: ProgramArray<&mut MapData> =
        ProgramArray::try_from(map).map_err(|error| map_error("handlers", &error))?;
    for call in &schema::SYSCALLS {
        let handler = handler_of(call.event).unwrap_or("on_generic");
        let Some((_, fd)) = places.iter().find(|(name, _)| *name == handler) else { continue };
        for slot in settings::slots(call) {
            table.set(slot as u32, fd, 0).map_err(|error| map_error("handlers", &error))?;
        }
    }
    Ok(())
}

/// Tells the kernel side which event each number makes, and how.
fn fill_descriptors(bpf: &mut Ebpf) -> Result<(), ProbeError> {
    let extraction = Extraction::read().map_err(ProbeError::Object)?;
    let map = bpf.map_mut("bit_tables").ok_or_else(|| no_map("bit_tables"))?;
    let mut table: Array<&mut MapData, [u8; BIT_TABLE_LEN]> =
        Array::try_from(map).map_err(|error| map_error("bit_tables", &error))?;
    for (key, (_, bytes)) in descriptors::tables().iter().enumerate() {
        table.set(key as u32, bytes, 0).map_err(|error| map_error("bit_tables", &error))?;
    }
    let map = bpf.map_mut("descriptors").ok_or_else(|| no_map("descriptors"))?;
    let mut table: Array<&mut MapData, [u8; DESCRIPTOR_LEN]> =
        Array::try_from(map).map_err(|error| map_error("descriptors", &error))?;
    for call in &schema::SYSCALLS {
        let bytes = extraction.descriptor(call);
        for slot in settings::slots(call) {
            table.set(slot as u32, bytes, 0).map_err(|error| map_error("descriptors", &error))?;
        }
    }
    Ok(())
}

/// Which handler of its own serves an event; the others are made from the tables.
pub(crate) fn handler_of(event: u16) -> Option<&'static str> {
    Some(match event {
        3 => "on_open",
        23 => "on_connect",
        51 | 55 => "on_messages",
        59 => "on_creat",
        223 | 225 | 227 | 335 => "on_clone",
        247 => "on_accept",
        293 | 331 => "on_exec",
        307 => "on_openat",
        327 => "on_openat2",
        337 => "on_open_by_handle_at",
        389 => "on_accept4",
        _ => return None,
    })
}

/// Before 5.11 maps count against this limit. Failing is no error: newer kernels do not ask.
fn raise_memory_limit() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
}

/// How many CPUs may ever exist; their numbers are all below this.
pub(crate) fn possible_cpus() -> Result<u32, ProbeError> {
    let host = |source| ProbeError::Host { path: POSSIBLE_CPUS.to_owned(), source };
    let text = fs::read_to_string(POSSIBLE_CPUS).map_err(host)?;
    highest(&text)
        .map(|cpu| cpu + 1)
        .ok_or_else(|| host(std::io::Error::other(format!("`{}` is no list of CPUs", text.trim()))))
}

fn highest(list: &str) -> Option<u32> {
    list.trim()
        .split([',', '-'])
        .map(str::parse)
        .collect::<Result<Vec<u32>, _>>()
        .ok()?
        .into_iter()
        .max()
}

fn no_map(name: &str) -> ProbeError {
    ProbeError::Map { map: name.to_owned(), reason: "not in the object".to_owned() }
}

fn map_error(name: &str, error: &dyn Error) -> ProbeError {
    ProbeError::Map { map: name.to_owned(), reason: chain(error) }
}

/// An error with all its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_cpus_may_have_holes() {
        assert_eq!(highest("0-3\n"), Some(3));
        assert_eq!(highest("0"), Some(0));
        assert_eq!(highest("0-2,5,8-11\n"), Some(11));
        assert_eq!(highest(""), None);
        assert_eq!(highest("all"), None);
    }

    #[test]
    fn every_handler_serves_an_event_of_the_schema() {
        for name in HANDLERS.iter().filter(|name| **name != "on_generic") {
            assert!(
                schema::all().iter().any(|event| handler_of(event.code) == Some(name)),
                "{name}"
            );
        }
    }
}

//! The table of processes: look-up, insertion, ancestors, and what happens when it is full.
//!
//! Full means: by number or by bytes. Then the process that was not heard of for longest goes, is
//! counted, and is asked for again when it is next heard of.

mod replayed;

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::container::{Claim, Containers, Witness};
use crate::host::Host;
use crate::process::{Parent, Process};
use crate::slots::Slots;

/// Most processes that are known at once.
pub const DEFAULT_MAX_PROCESSES: usize = 131_072;
/// Most bytes of command lines and environments that are kept.
pub const DEFAULT_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Departed parents whose children are still looked for.
const MAX_DEPARTED: usize = 8192;
/// Processes waiting to be looked up elsewhere.
const MAX_WANTED: usize = 1024;
/// Longest line of ancestors that is followed: more than a program can hide behind without standing out, few enough
/// that nobody can keep the sensor busy with looking them up.
const MAX_ANCESTORS: usize = 1024;
/// Longest chain of departed parents that is followed.
const MAX_ADOPTIONS: usize = 16;
/// Control groups whose claims are remembered.
const MAX_CLAIMS: usize = 8192;
/// Start times from different sources differ by no more than this (clock ticks are 10 ms).
const START_TOLERANCE_NS: u64 = 20_000_000;

/// Bounds of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most processes.
    pub processes: usize,
    /// Most bytes of command lines and environments.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { processes: DEFAULT_MAX_PROCESSES, bytes: DEFAULT_MAX_BYTES }
    }
}

/// What the table holds and what it had to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Processes known now.
    pub processes: u64,
    /// Bytes of their command lines and environments.
    pub bytes: u64,
    /// Forgotten because the table was full.
    pub evicted: u64,
    /// Heard of without their start having been seen.
    pub unknown: u64,
    /// Events that came after newer knowledge.
    pub stale: u64,
}

/// Process ids are handed out by the kernel, so a hash need not resist anybody.
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    fn write_u64(&mut self, id: u64) {
        self.write_u32((id ^ (id >> 32)) as u32);
    }
}

type Ids<T> = HashMap<u32, T, BuildHasherDefault<IdHasher>>;

#[derive(Debug)]
struct Entry {
    /// Shared with the moments that are kept; changed in place when there are none.
    process: Arc<Process>,
    /// Heard of since the clock hand last came by.
    touched: bool,
    /// How many known processes name this one as their parent.
    children: u32,
}

/// All that is known about processes.
#[derive(Debug)]
pub struct Tables {
    limits: Limits,
    pub(crate) host: Arc<Host>,
    pub(crate) containers: Arc<Containers>,
    /// Claims by the control groups that make them, so that processes share them.
    claims: HashMap<Arc<[u8]>, Option<Arc<Claim>>>,
    pub(crate) slots: Slots,
    processes: Ids<Entry>,
    /// The order in which processes are considered for eviction.
    clock: VecDeque<(u32, u64)>,
    /// Parents that are gone while children live, and who took those over.
    departed: HashMap<(u32, u64), Parent>,
    departed_order: VecDeque<(u32, u64)>,
    wanted: Vec<u32>,
    wanted_once: HashSet<u32, BuildHasherDefault<IdHasher>>,
    bytes: usize,
    counts: Counts,
    /// The process whose exit is being judged; it goes with the next event.
    pub(crate) leaving: Option<u32>,
    /// Who takes its children over.
    pub(crate) reaper: Option<u32>,
    /// Events seen.
    pub(crate) events: u64,
    /// Boot clock time of the first event and of the one before the current one.
    pub(crate) first_ns: u64,
    pub(crate) previous_ns: u64,
    pub(crate) current_ns: u64,
}

impl Tables {
    /// An empty table.
    pub fn new(limits: Limits, host: Arc<Host>) -> Self {
        Self {
            limits,
            host,
            containers: Arc::default(),
            claims: HashMap::new(),
            slots: Slots::new(),
            processes: Ids::default(),
            clock: VecDeque::new(),
            departed: HashMap::new(),
            departed_order: VecDeque::new(),
            wanted: Vec::new(),
            wanted_once: HashSet::default(),
            bytes: 0,
            counts: Counts::default(),
            leaving: None,
            reaper: None,
            events: 0,
            first_ns: 0,
            previous_ns: 0,
            current_ns: 0,
        }
    }

    /// Replaces what is known of the host.
    pub fn set_host(&mut self, host: Arc<Host>) {
        self.host = host;
    }

    /// What is known of the host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Replaces what is known of containers.
    pub fn set_containers(&mut self, containers: Arc<Containers>) {
        self.containers = containers;
    }

    /// What is known of containers.
    pub fn containers(&self) -> &Arc<Containers> {
        &self.containers
    }

    /// Every claim that is made, with a process that makes it.
    pub fn claims(&self) -> Vec<(Arc<Claim>, Witness)> {
        let mut found: HashMap<&Arc<Claim>, Witness> = HashMap::new();
        for entry in self.processes.values() {
            if let Some(claim) = &entry.process.claim {
                found.entry(claim).or_insert(entry.process.witness());
            }
        }
        found.into_iter().map(|(claim, witness)| (Arc::clone(claim), witness)).collect()
    }

    /// What these control groups claim.
    pub(crate) fn claim(&mut self, cgroups: &Arc<[u8]>) -> Option<Arc<Claim>> {
        if let Some(known) = self.claims.get(cgroups) {
            return known.clone();
        }
        if self.claims.len() >= MAX_CLAIMS {
            self.claims.clear();
        }
        let claim = Claim::of(cgroups).map(Arc::new);
        self.claims.insert(Arc::clone(cgroups), claim.clone());
        claim
    }

    /// What the table holds and what it had to do.
    pub fn counts(&self) -> Counts {
        Counts { processes: self.processes.len() as u64, bytes: self.bytes as u64, ..self.counts }
    }

    /// The process with this id.
    pub fn get(&self, pid: u32) -> Option<&Process> {
        self.shared(pid).map(|process| &**process)
    }

    pub(crate) fn shared(&self, pid: u32) -> Option<&Arc<Process>> {
        self.processes.get(&pid).map(|entry| &entry.process)
    }

    /// Takes the ids of processes that were heard of without anything else being known of them, for
    /// somebody who may look them up to feed back as `task` events.
    pub fn take_wanted(&mut self) -> Vec<u32> {
        self.wanted_once.clear();
        std::mem::take(&mut self.wanted)
    }

    /// The parent of `process`, or whoever took it over when the parent left.
    fn parent(&self, process: &Process) -> Option<&Arc<Process>> {
        let mut parent = process.parent?;
        for _ in 0..MAX_ADOPTIONS {
            if let Some(found) = self.shared(parent.pid)
                && same_start(found.start_ns, parent.start_ns)
                && found.pid != process.pid
            {
                return Some(found);
            }
            parent = *self.departed.get(&(parent.pid, parent.start_ns))?;
        }
        None
    }

    /// The ancestors of `process` from its parent upwards, itself excluded.
    pub fn ancestors<'a>(&'a self, process: &'a Process) -> impl Iterator<Item = &'a Process> {
        self.line(process).map(|found| &**found)
    }

    pub(crate) fn line<'a>(
        &'a self,
        process: &'a Process,
    ) -> impl Iterator<Item = &'a Arc<Process>> {
        let origin = process.pid;
        std::iter::successors(self.parent(process), |found| self.parent(found))
            .take_while(move |found| found.pid != origin)
            .take(MAX_ANCESTORS)
    }

    pub(crate) fn get_mut(&mut self, pid: u32) -> Option<&mut Process> {
        self.processes.get_mut(&pid).map(|entry| Arc::make_mut(&mut entry.process))
    }

    pub(crate) fn count_stale(&mut self) {
        self.counts.stale += 1;
    }

    /// Marks a process as heard of. One that is not known, or whose id now belongs to another
    /// process, gets a placeholder and is asked for.
    pub(crate) fn touch(&mut self, pid: u32, start_ns: u64) {
        if pid == 0 {
            return;
        }
        if let Some(entry) = self.processes.get_mut(&pid)
            && same_start(entry.process.start_ns, start_ns)
        {
            entry.touched = true;
            // The event's own start time is exact, a looked-up one may be rounded.
            if start_ns != 0 && entry.process.placeholder {
                Arc::make_mut(&mut entry.process).start_ns = start_ns;
            }
            return;
        }
        self.counts.unknown += 1;
        self.want(pid);
        self.insert(Process::placeholder(pid, start_ns));
    }

    /// Puts a process in, replacing what was known under its id, and makes room if need be.
    pub(crate) fn insert(&mut self, mut process: Process) {
        process.claim = self.claim(&process.cgroups);
        let (pid, key) = (process.pid, (process.pid, process.start_ns));
        let children = match self.processes.get(&pid) {
            Some(old) if same_start(old.process.start_ns, process.start_ns) => old.children,
            Some(_) => {
                self.remove(pid, None);
                0
            }
            None => 0,
        };
        self.bytes += process.image.heap_bytes();
        let parent = process.parent;
        let entry = Entry { process: Arc::new(process), touched: true, children };
        match self.processes.insert(pid, entry) {
            Some(old) => self.release(&old.process),
            None => self.clock.push_back(key),
        }
        self.adopt(parent, 1);
        self.make_room(pid);
        self.tidy_clock();
    }

    /// Takes a process out. If children of it live, `reaper` is remembered as their parent.
    pub(crate) fn remove(&mut self, pid: u32, reaper: Option<Parent>) {
        let Some(entry) = self.processes.remove(&pid) else { return };
        self.release(&entry.process);
        if let (Some(reaper), 1..) = (reaper, entry.children) {
            self.remember(&entry.process, reaper);
        }
    }

    fn remember(&mut self, gone: &Process, reaper: Parent) {
        let key = (gone.pid, gone.start_ns);
        if self.departed.insert(key, reaper).is_none() {
            self.departed_order.push_back(key);
        }
        if self.departed_order.len() > MAX_DEPARTED
            && let Some(oldest) = self.departed_order.pop_front()
        {
            self.departed.remove(&oldest);
        }
    }

    /// Lets go of what a process held.
    fn release(&mut self, process: &Process) {
        self.bytes = self.bytes.saturating_sub(process.image.heap_bytes());
        self.adopt(process.parent, -1);
    }

    fn adopt(&mut self, parent: Option<Parent>, by: i32) {
        if let Some(parent) = parent
            && let Some(entry) = self.processes.get_mut(&parent.pid)
            && same_start(entry.process.start_ns, parent.start_ns)
        {
            entry.children = entry.children.saturating_add_signed(by);
        }
    }

    /// Evicts by second chance until both limits hold; `keep` stays whatever happens.
    fn make_room(&mut self, keep: u32) {
        let full = |tables: &Self| {
            tables.processes.len() > tables.limits.processes || tables.bytes > tables.limits.bytes
        };
        while full(self) && self.processes.len() > 1 {
            let Some((pid, start_ns)) = self.clock.pop_front() else { return };
            match self.processes.get_mut(&pid) {
                Some(entry) if !same_start(entry.process.start_ns, start_ns) => {}
                None => {}
                Some(entry) if entry.touched || pid == keep => {
                    entry.touched = false;
                    self.clock.push_back((pid, start_ns));
                }
                Some(_) => {
                    self.remove(pid, None);
                    self.counts.evicted += 1;
                }
            }
        }
    }

    /// Forgets clock entries of processes that are gone, once they are the greater part.
    fn tidy_clock(&mut self) {
        if self.clock.len() > 2 * self.processes.len().max(512) {
            let Self { clock, processes, .. } = self;
            clock.retain(|(pid, start_ns)| {
                processes.get(pid).is_some_and(|e| same_start(e.process.start_ns, *start_ns))
            });
        }
    }

    fn want(&mut self, pid: u32) {
        if self.wanted.len() < MAX_WANTED && self.wanted_once.insert(pid) {
            self.wanted.push(pid);
        }
    }
}

/// Whether two start times may be those of one process. One that is not known fits any.
pub(crate) fn same_start(a: u64, b: u64) -> bool {
    a == 0 || b == 0 || a.abs_diff(b) < START_TOLERANCE_NS
}

#[cfg(test)]
mod tests;

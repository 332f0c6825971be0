//! Recording: live events written as a capture that this crate and others read.
//!
//! Others of the year 2022 and before know calls by two halves, one with what went in and one with what
//! came out. So an event is written as both: the first half as it was written then, the second whole, in
//! its current layout, from which they take what they know and this crate takes everything.
//!
//! A live event says itself what its descriptor is and where a relative path starts, a recorded one cannot.
//! Where that does not follow from what was recorded before, events that only keep state are written in
//! front: an opening, a connection, a change of directory. Readers take them in and do not show them.

mod block;
mod facts;

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use eyas_abi::schema::{self, EventFlags, Source};
use eyas_abi::{Event, value};
use eyas_state::{Host, Process, Tables};

use crate::error::CaptureError;
use crate::layout::{self, Action, From};
use crate::syscalls;
use block::Block;

/// Descriptors whose facts are remembered, so that they are not told again.
const MAX_TOLD: usize = 65_536;
/// The last number of a system call that readers of 2022 have; they do not survive greater ones.
const LAST_OLD_CALL: u16 = 320;
/// First halves of calls that open files.
const OPENINGS: [u16; 4] = [2, 58, 306, 326];
/// Codes of the events that begin, change and end processes: exec, fork, exit.
const LIFE: [u16; 7] = [186, 223, 225, 227, 293, 331, 335];
/// Longest text of a process in the list of processes, bytes.
const MAX_TEXT: usize = 1024;
/// Longest list of texts in it, bytes.
const MAX_LIST: usize = 4096;

/// What stands in front of the events: the machine, its users, its processes. Put together where they are
/// known, written where there is time for it.
#[derive(Debug)]
pub struct Opening {
    bytes: Vec<u8>,
    host: Arc<Host>,
    places: HashMap<u32, Box<[u8]>>,
}

impl Opening {
    /// What is known of the machine and its processes now.
    pub fn new(tables: &Tables) -> Self {
        let host = Arc::new(tables.host().clone());
        let mut opening = Self { bytes: Vec::new(), host, places: HashMap::new() };
        opening.put(tables);
        opening
    }

    /// How long it is, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Section, machine, interfaces, users, processes.
    fn put(&mut self, tables: &Tables) {
        let mut block = Block::default();
        block.begin(0x0a0d_0d0a);
        block.u32(0x1a2b_3c4d);
        block.u16(1);
        block.u16(2);
        block.u64(u64::MAX);
        self.bytes.extend_from_slice(block.end());
        block.machine(&self.host.name, self.host.boot_epoch_ns);
        self.bytes.extend_from_slice(block.end());
        block.interfaces(&self.host.addresses);
        self.bytes.extend_from_slice(block.end());
        block.identities(&self.host);
        self.bytes.extend_from_slice(block.end());
        block.begin(0x215);
        for process in tables.all() {
            thread(&mut block, process);
            self.places.insert(process.pid, (*process.cwd).into());
        }
        self.bytes.extend_from_slice(block.end());
    }
}

/// Writes a capture.
#[derive(Debug)]
pub struct Recorder<W> {
    out: W,
    block: Block,
    host: Arc<Host>,
    /// What was told of descriptors, by process and number.
    told: HashMap<(u32, i64), u64>,
    /// Where each process was told to be.
    places: HashMap<u32, Box<[u8]>>,
    written: u64,
    limit: u64,
    events: u64,
}

impl<W: Write> Recorder<W> {
    /// Begins a capture with what is known of the machine and its processes. It ends before it is longer
    /// than `limit` bytes.
    pub fn new(mut out: W, opening: Opening, limit: u64) -> Result<Self, CaptureError> {
        let Opening { bytes, host, places } = opening;
        out.write_all(&bytes).map_err(CaptureError::Write)?;
        Ok(Self {
            out,
            block: Block::default(),
            host,
            told: HashMap::new(),
            places,
            written: bytes.len() as u64,
            limit,
            events: 0,
        })
    }

    /// What is written to.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// How many events were written, without those that only keep state.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How long the capture is by now, bytes.
    pub fn bytes(&self) -> u64 {
        self.written
    }

    /// Whether there is room for more.
    pub fn is_full(&self) -> bool {
        self.written >= self.limit
    }

    /// Ends the capture.
    pub fn finish(mut self) -> Result<W, CaptureError> {
        self.out.flush().map_err(CaptureError::Write)?;
        Ok(self.out)
    }

    /// Writes an event, unless the capture is full; tells whether it was written. Events that a walk over
    /// what exists gave are left out: they are in the list of processes.
    pub fn event(&mut self, event: &Event<'_>) -> Result<bool, CaptureError> {
        if self.is_full() || event.ty().source == Source::Iterator {
            return Ok(false);
        }
        self.tell_place(event)?;
        self.tell_descriptor(event)?;
        self.both_halves(event, false)?;
        self.forget_closed(event);
        self.events += 1;
        Ok(true)
    }

    /// Writes an event that is not to be seen and that others are not understood without: the life of a
    /// process. Events of other kinds are left out.
    pub fn keep_state(&mut self, event: &Event<'_>) -> Result<(), CaptureError> {
        if self.is_full() || !is_life(event.code()) {
            return Ok(());
        }
        self.tell_place(event)?;
        self.both_halves(event, true)
    }

    fn both_halves(&mut self, event: &Event<'_>, state_only: bool) -> Result<(), CaptureError> {
        let params = own_params(event);
        let params: Vec<&[u8]> = params.iter().map(Vec::as_slice).collect();
        if event.code() % 2 == 1
            && let Some((code, half)) = first_half(event.code(), &params)
        {
            self.put(event, code, &half, state_only)?;
        }
        self.put(event, event.code(), &params, state_only)
    }

    /// Writes one event block.
    fn put(
        &mut self,
        of: &Event<'_>,
        code: u16,
        params: &[&[u8]],
        state_only: bool,
    ) -> Result<(), CaptureError> {
        let header = of.header();
        let time = self.host.epoch_ns(header.time);
        let wide = layout::of(code).is_some_and(layout::Layout::is_large);
        self.block.begin(match (wide, state_only) {
            (true, false) => 0x221,
            (true, true) => 0x222,
            (false, false) => 0x216,
            (false, true) => 0x217,
        });
        self.block.u16(header.cpu);
        if state_only {
            self.block.u32(1);
        }
        let width = if wide { 4 } else { 2 };
        let len = 26 + params.iter().map(|param| width + param.len()).sum::<usize>();
        self.block.u64(time);
        self.block.u64(u64::from(header.tid));
        self.block.u32(len as u32);
        self.block.u16(code);
        self.block.u32(params.len() as u32);
        for param in params {
            if wide {
                self.block.u32(param.len() as u32);
            } else {
                self.block.u16(param.len() as u16);
            }
        }
        for param in params {
            self.block.bytes(param);
        }
        self.write()
    }

    fn write(&mut self) -> Result<(), CaptureError> {
        let block = self.block.end();
        self.written += block.len() as u64;
        self.out.write_all(block).map_err(CaptureError::Write)
    }
}

/// Whether events of this code begin, change or end processes.
pub fn is_life(code: u16) -> bool {
    LIFE.contains(&code)
}

/// One entry of the process list.
fn thread(block: &mut Block, process: &Process) {
    let image = &process.image;
    let parent = process.parent.map_or(0, |parent| i64::from(parent.pid));
    let id = |id: u32| if id == u32::MAX { -1 } else { i64::from(id) };
    let entry = block.begin_entry();
    for number in [id(process.pid), id(process.pid), parent, id(process.sid), id(process.vpgid)] {
        block.i64(number);
    }
    block.text(image.comm.as_bytes(), MAX_TEXT);
    block.text(&image.exe, MAX_TEXT);
    block.text(&image.exe_path, MAX_TEXT);
    let mut arguments = Vec::new();
    for index in 0..image.argument_count() {
        arguments.extend_from_slice(image.argument(index).unwrap_or_default());
        arguments.push(0);
    }
    block.text(&arguments, MAX_LIST);
    block.text(&process.cwd, MAX_TEXT);
    block.i64(process.fd_limit);
    block.u32(0);
    // Users come with each event; a process that does nothing has none.
    block.u32(u32::MAX);
    block.u32(u32::MAX);
    process.memory.iter().for_each(|kb| block.u32(*kb));
    process.faults.iter().for_each(|count| block.u64(*count));
    block.text(&image.environment, MAX_LIST);
    block.i64(id(process.vpid));
    block.i64(id(process.vpid));
    block.text(&process.cgroups, MAX_LIST);
    block.text(b"/", MAX_TEXT);
    block.u64(process.pidns_start_epoch_ns);
    block.u32(process.tty);
    block.u32(process.loginuid);
    let marked = |mark| u8::from(image.exe_flags.has(mark));
    block.u8(marked(eyas_state::ExeFlags::WRITABLE));
    for set in [process.cap_inheritable, process.cap_permitted, process.cap_effective] {
        block.u64(set);
    }
    block.u8(marked(eyas_state::ExeFlags::UPPER_LAYER));
    block.u64(image.exe_inode);
    block.u64(image.exe_ctime_ns);
    block.u64(image.exe_mtime_ns);
    block.u8(marked(eyas_state::ExeFlags::MEMFD));
    block.u8(marked(eyas_state::ExeFlags::LOWER_LAYER));
    block.i64(id(process.pgid));
    block.end_entry(entry);
}

/// The parameters of the format, without those that are ours alone.
fn own_params(event: &Event<'_>) -> Vec<Vec<u8>> {
    let ty = event.ty();
    let own = ty.params.iter().filter(|param| !param.extra).count();
    let mut params: Vec<Vec<u8>> = event.params().take(own).map(<[u8]>::to_vec).collect();
    params.resize(own, Vec::new());
    if event.code() == schema::GENERIC_EXIT
        && let (Some(id), Some(first)) = (event.int(0), params.first_mut())
    {
        let number = syscalls::format_number(id as u16).filter(|number| *number <= LAST_OLD_CALL);
        *first = number.unwrap_or(0).to_le_bytes().to_vec();
        let native = event.header().syscall;
        if native != eyas_abi::NO_SYSCALL
            && let Some(second) = params.get_mut(1)
        {
            *second = native.to_le_bytes().to_vec();
        }
    }
    params
}

/// The half of a call with what went in, as it was written before both halves were one.
fn first_half<'p>(code: u16, params: &[&'p [u8]]) -> Option<(u16, Vec<&'p [u8]>)> {
    let enter = code.checked_sub(1)?;
    if OPENINGS.contains(&enter) {
        // Both halves have the same; the first one is there so that nothing of an earlier call is left.
        return Some((enter, Vec::new()));
    }
    let sizes = layout::of(enter)?.sizes;
    let mut half: Vec<&[u8]> = vec![&[]; sizes.len()];
    let mut known = false;
    // Each rule says which of the parameters behind those of an older layout come from the first half.
    for count in 0..params.len() {
        let Some(Action::Append(list)) = layout::action(code, count) else { continue };
        for (offset, from) in list.iter().enumerate() {
            let (From::Enter(place) | From::EnterOrEmpty(place)) = from else { continue };
            if let (Some(slot), Some(value)) =
                (half.get_mut(usize::from(*place)), params.get(count + offset))
            {
                *slot = value;
                known |= !value.is_empty();
            }
        }
    }
    // Readers of old take a number that is missing for one that is there.
    for (slot, size) in half.iter_mut().zip(sizes).filter(|(slot, _)| slot.is_empty()) {
        *slot = size.zero();
    }
    known.then_some((enter, half))
}

impl<W: Write> Recorder<W> {
    /// Forgets what was told of a descriptor that is closed, or that a call gives anew.
    fn forget_closed(&mut self, event: &Event<'_>) {
        let flags = event.ty().flags;
        let fd = if flags.has(EventFlags::CREATES_FD) {
            event.result()
        } else if flags.has(EventFlags::DESTROYS_FD) {
            event.ty().fd_param.and_then(|index| value::int(event.param(usize::from(index)), true))
        } else {
            None
        };
        if let Some(fd) = fd {
            self.told.remove(&(event.header().tgid, fd));
        }
    }
}

//! A capture run again: blocks to events, events to the current layout, state rebuilt, and each event
//! handed on with everything known around it, as a live one would be.

use std::io::Read;

use eyas_abi::{Event, HEADER_LEN, Header, NO_SYSCALL, RECORD_MAX, RecordFlags};
use eyas_state::{Ctx, Limits, Tables};

use crate::convert::{Converted, Converter, Outcome};
use crate::error::CaptureError;
use crate::event::RawEvent;
use crate::layout;
use crate::reader::{Item, Reader};
use crate::state::{Losses, Now, OfThread, Seen, State, code};
use crate::syscalls;

/// Who looks at the events of a capture.
pub trait Visitor {
    /// Whether events of this code are to be looked at. Those that are not only feed the state.
    fn wants(&self, code: u16) -> bool;

    /// Looks at an event.
    fn event(&mut self, ctx: &Ctx<'_>);
}

/// How many events there were, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events in the file.
    pub events: u64,
    /// Looked at or offered to be.
    pub shown: u64,
    /// Halves of calls that became part of another event, and events of retired kinds.
    pub folded: u64,
    /// Events without a way to their current layout.
    pub unconvertible: u64,
    /// Blocks and events of kinds that are not known.
    pub unknown: u64,
    /// Sections.
    pub sections: u64,
}

/// A capture under way.
#[derive(Debug)]
pub struct Replay {
    reader: Reader,
    stage: Stage,
}

/// All but the reader, from which events are borrowed.
#[derive(Debug)]
struct Stage {
    converter: Converter,
    state: State,
    record: Vec<u8>,
    counts: Counts,
    number: u64,
    first_ns: u64,
    previous_ns: u64,
    /// Events of this section have begun.
    begun: bool,
    /// Nothing but news of the machine has come yet.
    leading: bool,
}

impl Replay {
    /// Starts on a stream, plain or compressed with gzip.
    pub fn new(source: impl Read + Send + 'static, limits: Limits) -> Result<Self, CaptureError> {
        Ok(Self {
            reader: Reader::new(source)?,
            stage: Stage {
                converter: Converter::default(),
                state: State::new(limits),
                record: Vec::new(),
                counts: Counts::default(),
                number: 0,
                first_ns: 0,
                previous_ns: 0,
                begun: false,
                leading: true,
            },
        })
    }

    /// Takes the next block in and shows its event to `visitor`; `false` at the end.
    pub fn step(&mut self, visitor: &mut dyn Visitor) -> Result<bool, CaptureError> {
        let Some(item) = self.reader.next_item()? else {
            self.stage.begin();
            return Ok(false);
        };
        match &item {
            // Nearly all of them; it is not moved once more.
            Item::Event(event) => self.stage.event(event, visitor),
            _ => self.stage.take(item)?,
        }
        Ok(true)
    }

    /// Runs to the end.
    pub fn run(&mut self, visitor: &mut dyn Visitor) -> Result<(), CaptureError> {
        while self.step(visitor)? {}
        Ok(())
    }

    /// How many events there were so far.
    pub fn counts(&self) -> Counts {
        self.stage.counts
    }

    /// What was not known or had no room.
    pub fn losses(&self) -> Losses {
        self.stage.state.losses
    }

    /// Number of the last event.
    pub fn last_number(&self) -> u64 {
        self.stage.number
    }

    /// Processes as they are known now, under thread ids.
    pub fn tables(&self) -> &Tables {
        &self.stage.state.tables
    }
}

impl Stage {
    /// Takes in what is no event.
    fn take(&mut self, item: Item<'_>) -> Result<(), CaptureError> {
        match item {
            Item::Section { .. } => self.section(),
            Item::Machine(machine) => self.state.machine(&machine),
            Item::Interfaces(entries) => {
                for entry in entries {
                    self.state.interface(&entry?);
                }
            }
            Item::Identities(entries) => {
                for entry in entries {
                    self.state.identity(&entry?);
                }
            }
            Item::Threads(entries) => {
                for entry in entries {
                    self.state.listed(&entry?);
                }
            }
            Item::Descriptors(list) => {
                for entry in list.entries {
                    self.state.listed_descriptor(list.tid, &entry?);
                }
            }
            Item::Event(_) => {}
            Item::Unknown { .. } => self.counts.unknown += 1,
        }
        Ok(())
    }

    fn section(&mut self) {
        if self.counts.sections > 0 {
            self.state.clear();
            self.converter.clear();
        }
        self.counts.sections += 1;
        self.begun = false;
        self.leading = true;
    }

    /// The tables are complete.
    fn begin(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            self.state.all_listed();
        }
    }

    fn event(&mut self, raw: &RawEvent<'_>, visitor: &mut dyn Visitor) {
        self.begin();
        self.counts.events += 1;
        let Self { converter, state, record, counts, .. } = self;
        let mut event = Converted::EMPTY;
        match converter.convert(raw, &mut event) {
            Outcome::Event => {}
            Outcome::Dropped => {
                counts.folded += 1;
                return;
            }
            Outcome::Unconvertible => {
                counts.unconvertible += 1;
                return;
            }
        }
        self.number += 1;
        let Some(now) = Now::new(raw.tid, raw.time, &event) else {
            state.half(raw.tid, &event);
            return;
        };
        if self.first_ns == 0 && raw.time != 0 {
            self.first_ns = raw.time;
            self.previous_ns = raw.time;
        }
        let internal = layout::of(event.code).is_none_or(layout::Layout::is_internal);
        let seen = if internal { Seen::default() } else { state.apply(&now) };
        self.leading = self.leading && is_news(event.code);
        if internal || self.leading || now.ty.is_enter() || raw.state_only {
            return;
        }
        counts.shown += 1;
        if visitor.wants(event.code) {
            state.tables.at_event(self.number, raw.time, self.first_ns, self.previous_ns);
            show(state, record, raw, &event, &now, &seen, visitor);
        }
        self.previous_ns = raw.time;
    }
}

/// News of the machine rather than of what happens on it.
fn is_news(event: u16) -> bool {
    matches!(
        event,
        code::CONTAINER
            | code::USER_ADDED
            | code::USER_DELETED
            | code::GROUP_ADDED
            | code::GROUP_DELETED
            | code::ASYNC
    )
}

/// Hands an event on with what is known around it.
fn show(
    state: &mut State,
    record: &mut Vec<u8>,
    raw: &RawEvent<'_>,
    event: &Converted<'_>,
    now: &Now<'_>,
    seen: &Seen,
    visitor: &mut dyn Visitor,
) {
    state.refresh();
    if let Some(tid) = seen.thread {
        state.share(tid);
    }
    write_record(state, record, raw, event);
    let Ok(decoded) = Event::decode(record) else { return };
    let claim = seen
        .thread
        .and_then(|tid| state.tables.get(tid as u32))
        .and_then(|process| process.claim.clone());
    if let Some(claim) = claim {
        state.settle_claims(&claim);
    }
    let descriptors = OfThread { state, tid: raw.tid };
    let given = state.given(now, seen, &descriptors);
    let ctx = state.tables.around(&decoded, seen.thread.map(|tid| tid as u32), given);
    visitor.event(&ctx);
}

/// The event as a record, such as the kernel side writes.
fn write_record(state: &State, record: &mut Vec<u8>, raw: &RawEvent<'_>, event: &Converted<'_>) {
    let params = event.params.as_slice();
    let (user, group) = state.ids(raw.tid);
    let mut header = Header {
        time: raw.time,
        start: 0,
        tgid: state.pid(raw.tid),
        tid: raw.tid as u32,
        euid: user,
        egid: group,
        code: event.code,
        cpu: raw.cpu,
        syscall: NO_SYSCALL,
        params: params.len() as u8,
        ..Header::default()
    };
    record.clear();
    record.resize(HEADER_LEN + 2 * params.len(), 0);
    for (index, param) in params.iter().enumerate() {
        let own = (event.code == eyas_abi::schema::GENERIC_EXIT && index == 0)
            .then(|| syscalls::own_id(param, event.params.get(1)).map(u16::to_ne_bytes))
            .flatten();
        let param = own.as_ref().map_or(*param, |id| id.as_slice());
        let room = RECORD_MAX.saturating_sub(record.len());
        let value = param.get(..room).unwrap_or(param);
        if value.len() < param.len() {
            header.flags.0 |= RecordFlags::TRUNCATED.0;
        }
        let at = HEADER_LEN + 2 * index;
        if let Some(slot) = record.get_mut(at..at + 2) {
            slot.copy_from_slice(&(value.len() as u16).to_ne_bytes());
        }
        record.extend_from_slice(value);
    }
    record.resize(record.len().next_multiple_of(8), 0);
    header.len = record.len() as u16;
    if let Some(front) = record.get_mut(..HEADER_LEN) {
        front.copy_from_slice(&header.write());
    }
}

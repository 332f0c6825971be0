//! From whatever layout an event has in the file to the current one.
//!
//! Older recorders wrote two events for a call, one with what went in and one with what came out. The
//! first is kept here until the second comes, whose parameters are completed from it. After this the
//! rest of the crate knows current layouts only.

use serde_json::json;

use crate::event::RawEvent;
use crate::ids::ByThread;
use crate::layout::{self, Action, From, Size};

/// Parameters that are kept of one event. The schema's longest event has fewer.
pub(crate) const MAX_PARAMS: usize = 32;
/// Longest chain of conversions.
const MAX_STEPS: usize = 50;
/// Most bytes of enter events that wait for their exits.
const MAX_KEPT_BYTES: usize = 8 * 1024 * 1024;
/// Most threads whose enter events wait.
const MAX_KEPT: usize = 65_536;
/// The container event that had no JSON yet.
const PLAIN_CONTAINER: u16 = 228;

/// Parameters of a current event, borrowed from wherever they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Params<'a> {
    list: [&'a [u8]; MAX_PARAMS],
    len: usize,
}

impl Converted<'_> {
    /// Nothing yet.
    pub(crate) const EMPTY: Self = Self { code: 0, params: Params::EMPTY };
}

impl<'a> Params<'a> {
    const EMPTY: Self = Self { list: [&[]; MAX_PARAMS], len: 0 };

    fn push(&mut self, value: &'a [u8]) {
        if let Some(slot) = self.list.get_mut(self.len) {
            *slot = value;
            self.len += 1;
        }
    }

    /// One parameter; empty when it is not known.
    pub(crate) fn get(&self, index: usize) -> &'a [u8] {
        self.as_slice().get(index).copied().unwrap_or_default()
    }

    pub(crate) fn as_slice(&self) -> &[&'a [u8]] {
        self.list.get(..self.len).unwrap_or_default()
    }
}

/// An event in its current layout.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Converted<'a> {
    pub(crate) code: u16,
    pub(crate) params: Params<'a>,
}

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It goes on.
    Event,
    /// It was kept for another one or says nothing.
    Dropped,
    /// There is no way to the current layout.
    Unconvertible,
}

/// What conversions need besides the event.
#[derive(Debug, Default)]
pub(crate) struct Converter {
    waiting: Waiting,
    /// JSON made of the event at hand.
    json: Vec<u8>,
}

/// Enter events that wait, by thread.
#[derive(Debug, Default)]
struct Waiting {
    kept: ByThread<Kept>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    code: u16,
    /// Was not used by an exit event yet.
    fresh: bool,
    ends: Vec<u32>,
    values: Vec<u8>,
}

impl Kept {
    fn param(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.ends.get(before).map_or(0, |end| *end as usize));
        self.values.get(start..end)
    }

    fn fill(&mut self, code: u16, params: &[&[u8]]) {
        self.code = code;
        self.fresh = true;
        self.ends.clear();
        self.values.clear();
        for param in params {
            self.values.extend_from_slice(param);
            self.ends.push(self.values.len() as u32);
        }
    }
}

impl Converter {
    /// Forgets what waits: a new section has other threads.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Puts the current form of an event into `at`.
    pub(crate) fn convert<'a>(
        &'a mut self,
        event: &RawEvent<'a>,
        at: &mut Converted<'a>,
    ) -> Outcome {
        let Some(of) = layout::of(event.code) else { return Outcome::Dropped };
        if of.is_unused() {
            return Outcome::Dropped;
        }
        at.code = event.code;
        at.params.len = 0;
        for param in event.params() {
            at.params.push(param);
        }
        if event.code == PLAIN_CONTAINER {
            self.json = container_json(&at.params);
        }
        let Self { waiting, json } = self;
        if event.code.is_multiple_of(2) {
            waiting.enter(event.tid, at, json)
        } else {
            waiting.exit(event.tid, at, json)
        }
    }
}

impl Waiting {
    fn clear(&mut self) {
        self.kept.clear();
        self.bytes = 0;
    }

    /// An enter event or one that stands alone.
    fn enter<'a>(&mut self, tid: u64, at: &mut Converted<'a>, json: &'a [u8]) -> Outcome {
        for _ in 0..MAX_STEPS {
            match next(at) {
                Next::Done(outcome) => return outcome,
                Next::Rule(Action::Pass) => return Outcome::Event,
                Next::Rule(Action::Store) => {
                    self.keep(tid, at);
                    return Outcome::Dropped;
                }
                Next::Rule(Action::StoreAndPass) => {
                    self.keep(tid, at);
                    return Outcome::Event;
                }
                Next::Rule(Action::Append(list)) => append(at, list, None, json),
                Next::Rule(Action::Become(code, list)) => become_(at, code, list, None, json),
            }
        }
        Outcome::Unconvertible
    }

    fn exit<'a>(&'a mut self, tid: u64, at: &mut Converted<'a>, json: &'a [u8]) -> Outcome {
        // Most events are current and complete and need nothing.
        let mut rule = match next(at) {
            Next::Done(outcome) => return outcome,
            Next::Rule(rule) => rule,
        };
        let mut kept = None;
        if let Some(waiting) = self.kept.get_mut(&tid)
            && std::mem::take(&mut waiting.fresh)
        {
            kept = Some(&*waiting);
        }
        for _ in 0..MAX_STEPS {
            let own = kept.filter(|kept| kept.code + 1 == at.code);
            match rule {
                Action::Append(list) => append(at, list, own, json),
                Action::Become(code, list) => become_(at, code, list, own, json),
                // Exit events are not kept; the table has no such rule.
                Action::Store | Action::StoreAndPass | Action::Pass => return Outcome::Event,
            }
            rule = match next(at) {
                Next::Done(outcome) => return outcome,
                Next::Rule(rule) => rule,
            };
        }
        Outcome::Unconvertible
    }

    fn keep(&mut self, tid: u64, event: &Converted<'_>) {
        let size: usize = event.params.as_slice().iter().map(|param| param.len()).sum();
        if self.bytes + size > MAX_KEPT_BYTES || self.kept.len() >= MAX_KEPT {
            // Nobody has so many calls under way at once.
            self.clear();
        }
        let kept = self.kept.entry(tid).or_default();
        self.bytes += size;
        self.bytes -= kept.values.len();
        kept.fill(event.code, event.params.as_slice());
    }
}

enum Next {
    /// Nothing more to do.
    Done(Outcome),
    Rule(Action),
}

/// What to do with an event as it is now.
fn next(at: &mut Converted<'_>) -> Next {
    let Some(of) = layout::of(at.code) else { return Next::Done(Outcome::Dropped) };
    let is_enter = at.code.is_multiple_of(2);
    // A newer writer's additions are not known here.
    at.params.len = at.params.len.min(of.sizes.len());
    if !of.is_managed() {
        let gone = is_enter && of.is_retired();
        return Next::Done(if gone { Outcome::Dropped } else { Outcome::Event });
    }
    if !is_enter && !of.is_retired() && at.params.len == of.sizes.len() {
        return Next::Done(Outcome::Event);
    }
    match layout::action(at.code, at.params.len) {
        Some(action) => Next::Rule(action),
        // Without a rule an event of a current code has a tail that is not known.
        None if !of.is_retired() => Next::Done(Outcome::Event),
        None if is_enter => Next::Done(Outcome::Dropped),
        None => Next::Done(Outcome::Unconvertible),
    }
}

fn append<'a>(at: &mut Converted<'a>, list: &[From], kept: Option<&'a Kept>, json: &'a [u8]) {
    let old = at.params;
    for from in list {
        let value = value_of(*from, at.code, at.params.len, &old, kept, json);
        at.params.push(value);
    }
}

fn become_<'a>(
    at: &mut Converted<'a>,
    code: u16,
    list: &[From],
    kept: Option<&'a Kept>,
    json: &'a [u8],
) {
    let old = at.params;
    at.code = code;
    at.params.len = 0;
    for from in list {
        let value = value_of(*from, code, at.params.len, &old, kept, json);
        at.params.push(value);
    }
}

/// The value of parameter `index` of an event of this code.
fn value_of<'a>(
    from: From,
    code: u16,
    index: usize,
    old: &Params<'a>,
    kept: Option<&'a Kept>,
    json: &'a [u8],
) -> &'a [u8] {
    let size = layout::of(code).and_then(|of| of.sizes.get(index)).copied().unwrap_or(Size::Varies);
    let enter = |place: u8| kept.and_then(|kept| kept.param(usize::from(place)));
    let value = match from {
        From::Old(place) => old.get(usize::from(place)),
        From::Enter(place) => enter(place).unwrap_or(size.zero()),
        From::EnterOrEmpty(place) => enter(place).unwrap_or_default(),
        From::Zero => size.zero(),
        From::Empty => &[],
        From::Json => json,
    };
    // A number of a wider type is cut to what the new type holds.
    match size {
        Size::Fixed(bytes) => value.get(..usize::from(bytes)).unwrap_or(value),
        Size::Id => value.get(..4).unwrap_or(value),
        Size::Varies => value,
    }
}

/// The document that newer container events carry.
fn container_json(params: &Params<'_>) -> Vec<u8> {
    let text = |index: usize| {
        let bytes = eyas_abi::value::text(params.get(index)).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    let kind = eyas_abi::value::int(params.get(1), false).unwrap_or(0);
    let container = json!({ "id": text(0), "type": kind, "name": text(2), "image": text(3) });
    let mut document = json!({ "container": container }).to_string().into_bytes();
    document.push(0);
    document
}

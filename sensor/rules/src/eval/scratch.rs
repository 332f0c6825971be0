//! Memory that evaluation reuses from event to event.

use super::RuleId;
use crate::compile::{Graph, Member, NodeId};
use crate::fields::Value;

/// Answers of shared parts for the current event, and the rules that matched.
///
/// Any rule set can use any scratch; nothing of an event is left for the next.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Per part: the number of the event that its answer is for, then the answer in the lowest bit.
    answers: Vec<u32>,
    /// Per group of comparisons: likewise the event, and what its value is.
    groups: Vec<(u32, Found)>,
    /// Rows of groups with several texts.
    pub(super) rows: Vec<u32>,
    /// Per kept value: the event, and where it is; `None` for one that is unset.
    slots: Vec<(u32, Option<u32>)>,
    /// Memory for kept values; empty between events.
    values: Vec<Value<'static>>,
    /// Per search: the event that its answers are for.
    searches: Vec<u32>,
    /// Answers of all searches, as bits.
    pub(super) answers_of_searches: Vec<u64>,
    event: u32,
    pub(super) matches: Vec<RuleId>,
}

/// What is known of a value that is kept for the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Nobody has asked for it.
    Unknown,
    /// It is unset.
    Unset,
    /// It is at this place among the values of the event.
    At(usize),
}

/// What the value of a group is, as far as its comparisons go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Found {
    /// Unset: no comparison holds.
    #[default]
    Unset,
    /// A text that no comparison names.
    Unnamed,
    /// The text of this row.
    Row(u32),
    /// Several texts: what comparisons name them, and how many there are, named or not.
    Several {
        /// Place of the first row in the scratch.
        start: u32,
        /// One past the last.
        end: u32,
        /// All texts.
        total: u32,
    },
    /// No single text: each comparison has to look for itself.
    Other,
}

/// Event numbers take the bits above the answer.
const LAST_EVENT: u32 = u32::MAX >> 1;

impl Scratch {
    /// Memory that grows to what the first event needs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts the next event, for this graph.
    pub(crate) fn begin(&mut self, graph: &Graph) {
        let (searches, words) = graph.search_counts();
        self.start(graph.len(), graph.group_count());
        grow(&mut self.slots, graph.slot_count());
        grow(&mut self.searches, searches);
        grow(&mut self.answers_of_searches, words);
    }

    fn start(&mut self, parts: usize, groups: usize) {
        if self.event == LAST_EVENT {
            self.answers.fill(0);
            self.groups.fill((0, Found::Unset));
            self.slots.fill((0, None));
            self.searches.fill(0);
            self.event = 0;
        }
        self.event += 1;
        grow(&mut self.answers, parts);
        grow(&mut self.groups, groups);
        self.rows.clear();
        self.matches.clear();
    }

    /// What is known of a group's value.
    pub(super) fn found(&self, member: Member) -> Option<Found> {
        let (event, found) = self.groups[member.group as usize];
        (event == self.event).then_some(found)
    }

    pub(super) fn set_found(&mut self, member: Member, found: Found) {
        self.groups[member.group as usize] = (self.event, found);
    }

    /// What is known of a kept value.
    pub(super) fn kept(&self, slot: u32) -> Kept {
        match self.slots[slot as usize] {
            (event, _) if event != self.event => Kept::Unknown,
            (_, None) => Kept::Unset,
            (_, Some(place)) => Kept::At(place as usize),
        }
    }

    pub(super) fn keep(&mut self, slot: u32, place: Option<usize>) {
        self.slots[slot as usize] = (self.event, place.map(|place| place as u32));
    }

    /// Memory for the values of an event.
    pub(super) fn take_values<'e>(&mut self) -> Vec<Value<'e>> {
        std::mem::take(&mut self.values)
    }

    /// Takes the memory back. Collecting nothing in place keeps the capacity.
    pub(super) fn put_values(&mut self, mut values: Vec<Value<'_>>) {
        values.clear();
        self.values = values.into_iter().map(Value::into_owned).collect();
    }

    /// Whether a search is still to be run for this event; its words are cleared then.
    pub(super) fn begin_search(&mut self, search: u32, first_word: u32, words: u32) -> bool {
        let last = &mut self.searches[search as usize];
        if *last == self.event {
            return false;
        }
        *last = self.event;
        let words = first_word as usize..(first_word + words) as usize;
        self.answers_of_searches[words].fill(0);
        true
    }

    /// One answer of a search that was run.
    pub(super) fn searched(&self, first_word: u32, bit: u32) -> bool {
        let word = self.answers_of_searches[(first_word + bit / 64) as usize];
        word >> (bit % 64) & 1 == 1
    }

    pub(super) fn get(&self, id: NodeId) -> Option<bool> {
        let answer = self.answers[id.0 as usize];
        (answer >> 1 == self.event).then_some(answer & 1 == 1)
    }

    pub(super) fn set(&mut self, id: NodeId, answer: bool) {
        self.answers[id.0 as usize] = self.event << 1 | u32::from(answer);
    }
}

/// Makes room for as many.
fn grow<T: Clone + Default>(all: &mut Vec<T>, count: usize) {
    if all.len() < count {
        all.resize(count, T::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_last_for_one_event() {
        let mut scratch = Scratch::new();
        scratch.start(2, 0);
        scratch.set(NodeId(1), true);
        assert_eq!((scratch.get(NodeId(0)), scratch.get(NodeId(1))), (None, Some(true)));
        scratch.start(2, 0);
        assert_eq!(scratch.get(NodeId(1)), None);
        scratch.set(NodeId(1), false);
        assert_eq!(scratch.get(NodeId(1)), Some(false));
    }

    #[test]
    fn event_numbers_start_over_without_stale_answers() {
        let mut scratch = Scratch::new();
        scratch.start(1, 0);
        scratch.set(NodeId(0), true);
        scratch.event = LAST_EVENT;
        scratch.start(1, 0);
        assert_eq!(scratch.event, 1);
        assert_eq!(scratch.get(NodeId(0)), None);
    }
}

//! Memory that evaluation reuses from event to event.

use super::RuleId;
use crate::compile::{Graph, Member, NodeId};

/// Answers of shared parts for the current event, and the rules that matched.
///
/// Any rule set can use any scratch; nothing of an event is left for the next.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Per part: the number of the event that its answer is for, then the answer in the lowest bit.
    answers: Vec<u32>,
    /// Per group of comparisons: likewise the event, and what its value is.
    values: Vec<(u32, Found)>,
    /// Rows of groups with several texts.
    pub(super) rows: Vec<u32>,
    event: u32,
    pub(super) matches: Vec<RuleId>,
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
        self.start(graph.len(), graph.group_count());
    }

    fn start(&mut self, parts: usize, groups: usize) {
        if self.event == LAST_EVENT {
            self.answers.fill(0);
            self.values.fill((0, Found::Unset));
            self.event = 0;
        }
        self.event += 1;
        if self.answers.len() < parts {
            self.answers.resize(parts, 0);
        }
        if self.values.len() < groups {
            self.values.resize(groups, (0, Found::Unset));
        }
        self.rows.clear();
        self.matches.clear();
    }

    /// What is known of a group's value.
    pub(super) fn found(&self, member: Member) -> Option<Found> {
        let (event, found) = self.values[member.group as usize];
        (event == self.event).then_some(found)
    }

    pub(super) fn set_found(&mut self, member: Member, found: Found) {
        self.values[member.group as usize] = (self.event, found);
    }

    pub(super) fn get(&self, id: NodeId) -> Option<bool> {
        let answer = self.answers[id.0 as usize];
        (answer >> 1 == self.event).then_some(answer & 1 == 1)
    }

    pub(super) fn set(&mut self, id: NodeId, answer: bool) {
        self.answers[id.0 as usize] = self.event << 1 | u32::from(answer);
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

//! Memory that evaluation reuses from event to event.

use super::RuleId;
use crate::compile::NodeId;

/// Answers of shared parts for the current event, and the rules that matched.
///
/// Any rule set can use any scratch; nothing of an event is left for the next.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Per part: the number of the event that its answer is for, then the answer in the lowest bit.
    answers: Vec<u32>,
    event: u32,
    pub(super) matches: Vec<RuleId>,
}

/// Event numbers take the bits above the answer.
const LAST_EVENT: u32 = u32::MAX >> 1;

impl Scratch {
    /// Memory that grows to what the first event needs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts the next event, for a graph of `parts` parts.
    pub(crate) fn begin(&mut self, parts: usize) {
        if self.event == LAST_EVENT {
            self.answers.fill(0);
            self.event = 0;
        }
        self.event += 1;
        if self.answers.len() < parts {
            self.answers.resize(parts, 0);
        }
        self.matches.clear();
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
        scratch.begin(2);
        scratch.set(NodeId(1), true);
        assert_eq!((scratch.get(NodeId(0)), scratch.get(NodeId(1))), (None, Some(true)));
        scratch.begin(2);
        assert_eq!(scratch.get(NodeId(1)), None);
        scratch.set(NodeId(1), false);
        assert_eq!(scratch.get(NodeId(1)), Some(false));
    }

    #[test]
    fn event_numbers_start_over_without_stale_answers() {
        let mut scratch = Scratch::new();
        scratch.begin(1);
        scratch.set(NodeId(0), true);
        scratch.event = LAST_EVENT;
        scratch.begin(1);
        assert_eq!(scratch.event, 1);
        assert_eq!(scratch.get(NodeId(0)), None);
    }
}

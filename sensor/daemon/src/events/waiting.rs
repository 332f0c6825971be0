//! Events of containers that nobody knows yet: each waits until the runtime has been asked, but not
//! for long, and never in front of others.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eyas_state::Moment;
use eyas_state::container::{Claim, Containers, Witness};

/// How long an event waits.
const LIMIT: Duration = Duration::from_millis(500);
/// Most events that wait.
const MAX_EVENTS: usize = 4096;
/// Most bytes of events that wait.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// An event with what was around it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) record: Box<[u8]>,
    pub(super) moment: Moment,
    claim: Arc<Claim>,
    until: Instant,
}

impl Held {
    fn bytes(&self) -> usize {
        self.record.len() + self.moment.heap_bytes()
    }
}

/// Those that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    held: VecDeque<Held>,
    bytes: usize,
    /// What was asked and not answered yet, and about which process last.
    asked: HashMap<Arc<Claim>, Witness>,
}

impl Waiting {
    /// Asks who knows the container of a process, with `ask`; `false` when nobody could be asked. A claim
    /// is asked about again when another process makes it: the first ones of a container are a
    /// runtime's, and gone before anybody could look at them.
    pub(super) fn ask(
        &mut self,
        claim: &Arc<Claim>,
        witness: Witness,
        ask: impl FnOnce() -> bool,
    ) -> bool {
        let before = self.asked.get(claim).copied();
        if before == Some(witness) {
            return true;
        }
        let asked = ask();
        if asked {
            self.asked.insert(Arc::clone(claim), witness);
        }
        asked || before.is_some()
    }

    /// Keeps an event; `false` when there is no room, and it has to be judged as it is.
    pub(super) fn keep(&mut self, record: &[u8], moment: Moment, claim: Arc<Claim>) -> bool {
        let until = Instant::now() + LIMIT;
        let held = Held { record: record.into(), moment, claim, until };
        if self.held.len() >= MAX_EVENTS || self.bytes + held.bytes() > MAX_BYTES {
            return false;
        }
        self.bytes += held.bytes();
        self.held.push_back(held);
        true
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes out what has waited long enough or has its answer, in order; the second is how many of
    /// them have none.
    pub(super) fn take(&mut self, known: &Containers) -> (Vec<Held>, u64) {
        if self.held.is_empty() {
            self.asked.clear();
            return (Vec::new(), 0);
        }
        let now = Instant::now();
        let mut in_vain = 0;
        let (ready, rest): (Vec<Held>, VecDeque<Held>) = std::mem::take(&mut self.held)
            .into_iter()
            .fold((Vec::new(), VecDeque::new()), |(mut ready, mut rest), held| {
                let answered = known.known.contains_key(&*held.claim);
                if answered || now >= held.until {
                    in_vain += u64::from(!answered);
                    ready.push(held);
                } else {
                    rest.push_back(held);
                }
                (ready, rest)
            });
        self.held = rest;
        self.asked.retain(|claim, _| !known.known.contains_key(&**claim));
        self.bytes -= ready.iter().map(Held::bytes).sum::<usize>();
        (ready, in_vain)
    }

    /// All that is left, for the end.
    pub(super) fn drain(&mut self) -> Vec<Held> {
        self.bytes = 0;
        std::mem::take(&mut self.held).into()
    }
}

#[cfg(test)]
mod tests {
    use eyas_abi::{Event, EventBuilder, Header};
    use eyas_state::container::Verdict;
    use eyas_state::{Host, Limits, Tables};

    use super::*;

    /// What is around an event of a process in a control group, and its claim.
    fn process(group: &str) -> (Moment, Arc<Claim>) {
        let header = Header { time: 1, start: 1, tgid: 10, tid: 10, ..Header::default() };
        let record = EventBuilder::new(430)
            .header(header)
            .skip_to("cgroups")
            .bytes(format!("={group}\0").as_bytes())
            .build();
        let mut tables = Tables::new(Limits::default(), Arc::new(Host::default()));
        let event = Event::decode(&record).unwrap();
        let moment = tables.apply(&event).moment().unwrap();
        let claim = moment.process().claim.clone().unwrap();
        (moment, claim)
    }

    #[test]
    fn an_answer_lets_those_go_who_waited_for_it_in_their_order() {
        let ((a, claim_a), (b, claim_b)) = (process("/a"), process("/b"));
        let mut waiting = Waiting::default();
        assert!(waiting.keep(b"1", a.clone(), Arc::clone(&claim_a)));
        assert!(waiting.keep(b"2", b.clone(), Arc::clone(&claim_b)));
        assert!(waiting.keep(b"3", a.clone(), Arc::clone(&claim_a)));
        let mut known = Containers::default();
        let (ready, in_vain) = waiting.take(&known);
        assert_eq!((ready.len(), in_vain), (0, 0));
        known.known.insert((*claim_a).clone(), Verdict::Host);
        let (ready, in_vain) = waiting.take(&known);
        let records: Vec<&[u8]> = ready.iter().map(|held| &*held.record).collect();
        assert_eq!((records, in_vain), (vec![&b"1"[..], &b"3"[..]], 0));
        assert_eq!(waiting.bytes, 1);
        assert_eq!(waiting.drain().len(), 1);
    }

    #[test]
    fn a_claim_is_asked_about_once_for_each_process_that_makes_it() {
        let (_, claim) = process("/a");
        let mut waiting = Waiting::default();
        let mut asked = Vec::new();
        let mut ask = |pid, room| {
            waiting.ask(&claim, Witness { pid, mount_namespace: 0 }, || {
                asked.push(pid);
                room
            })
        };
        assert!(!ask(1, false), "nobody could be asked");
        assert!(ask(1, true));
        assert!(ask(1, true));
        assert!(ask(2, false), "the first question still stands");
        assert!(ask(3, true));
        assert_eq!(asked, [1, 1, 2, 3]);
    }

    #[test]
    fn nobody_waits_for_ever_and_it_is_counted() {
        let (process, claim) = process("/a");
        let mut waiting = Waiting::default();
        assert!(waiting.keep(b"1", process.clone(), Arc::clone(&claim)));
        waiting.held[0].until = Instant::now();
        let (ready, in_vain) = waiting.take(&Containers::default());
        assert_eq!((ready.len(), in_vain), (1, 1));
    }

    #[test]
    fn the_room_is_bounded_by_number_and_by_bytes() {
        let (process, claim) = process("/a");
        let mut waiting = Waiting::default();
        for _ in 0..MAX_EVENTS {
            assert!(waiting.keep(b"", process.clone(), Arc::clone(&claim)));
        }
        assert!(!waiting.keep(b"", process.clone(), Arc::clone(&claim)));
        let mut waiting = Waiting::default();
        assert!(waiting.keep(&vec![0; MAX_BYTES], process.clone(), Arc::clone(&claim)));
        assert!(!waiting.keep(b"1", process.clone(), Arc::clone(&claim)));
    }
}

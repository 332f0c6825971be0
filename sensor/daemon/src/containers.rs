//! The thread that asks runtimes about containers, so that the event thread does not.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use eyas_metadata::{Places, is_runtime, look_up, may_come};
use eyas_state::container::{Claim, Container, Containers, Verdict, Witness};

use crate::error::DaemonError;

/// Questions that may wait.
const MAX_QUESTIONS: usize = 1024;
/// Verdicts that are remembered.
const MAX_KNOWN: usize = 8192;
/// Processes of one claim that are remembered.
const MAX_WITNESSES: usize = 8;
/// How long a runtime that should know is asked again before it is believed that it does not.
const PATIENCE: Duration = Duration::from_millis(300);
/// How much longer while a runtime is still making the container, on a busy host.
const LONGER: Duration = Duration::from_secs(3);
/// Between two times of asking.
const AGAIN: Duration = Duration::from_millis(5);
/// How long a verdict is believed that may be mended, at first and at most: somebody may be about to make a
/// container of that name, and a runtime that knows more of one may come. Each time it is found again it is
/// believed twice as long.
const HOLDS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_mins(1));

/// A claim, and a process that makes it.
pub(crate) type Question = (Arc<Claim>, Witness);

/// What is known, and the way to ask for more.
#[derive(Debug)]
pub(crate) struct Book {
    /// What is known. Replaced as a whole, so that the event thread reads it without waiting.
    pub(crate) known: Arc<ArcSwap<Containers>>,
    ask: SyncSender<Question>,
    /// Until the thread is started.
    questions: Mutex<Option<Receiver<Question>>>,
}

impl Book {
    /// Nothing is known, and questions wait for [`Self::start`].
    pub(crate) fn new() -> Self {
        let (ask, questions) = sync_channel(MAX_QUESTIONS);
        Self { known: Arc::default(), ask, questions: Mutex::new(Some(questions)) }
    }

    /// Starts the thread; once.
    pub(crate) fn start(&self, places: Places) -> Result<(), DaemonError> {
        let questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(questions) = questions else { return Ok(()) };
        let known = Arc::clone(&self.known);
        let work = move || {
            let (pending, doubts) = (BTreeMap::new(), HashMap::new());
            Clerk { places, known, pending, doubts }.work(&questions);
        };
        thread::Builder::new().name("containers".into()).spawn(work).map(drop).map_err(|source| {
            DaemonError::System { doing: "start asking about containers", source }
        })
    }

    /// How many containers are known.
    pub(crate) fn count(&self) -> usize {
        let is_container = |verdict: &&Verdict| matches!(verdict, Verdict::Container(_));
        self.known.load().known.values().filter(is_container).count()
    }

    /// Asks, unless too much is asked already. Never waits.
    pub(crate) fn ask(&self, question: Question) -> bool {
        self.ask.try_send(question).is_ok()
    }
}

/// Whether there is nothing that a moment's wait could still bring.
fn is_whole(container: &Container) -> bool {
    !container.name.is_empty() && container.accounts.is_some()
}

/// Whether all is known that only a runtime can say: it is a container with a name, and with labels where it is a
/// pod's, which always has some.
fn is_settled(verdict: &Verdict) -> bool {
    let Verdict::Container(container) = verdict else { return false };
    let labels = container.pod.as_ref().is_none_or(|pod| !pod.labels.is_empty());
    !container.name.is_empty() && labels
}

/// Works through questions.
struct Clerk {
    places: Places,
    known: Arc<ArcSwap<Containers>>,
    /// Claims of which more may become known in a moment.
    pending: BTreeMap<Arc<Claim>, Pending>,
    /// Claims whose verdicts may be mended.
    doubts: HashMap<Claim, Doubt>,
}

/// A claim that is looked up again until all is known or patience ends.
#[derive(Debug)]
struct Pending {
    /// Processes that make it, the newest last: many are gone before anybody looks.
    witnesses: Vec<Witness>,
    end: Instant,
    /// The most that was found so far, for a container may be gone before patience ends.
    best: Option<Arc<Container>>,
}

impl Pending {
    /// The verdict once nothing more is to be expected.
    fn verdict(&self) -> Verdict {
        self.best.clone().map_or(Verdict::Host, Verdict::Container)
    }

    /// Whether it is worth looking again: for longer while a runtime is still at work, which nobody but its
    /// own events waits for.
    fn has_patience(&self, places: &Places, now: Instant) -> bool {
        let at_work = || self.witnesses.iter().any(|process| is_runtime(places, process.pid));
        now < self.end || now < self.end + LONGER && at_work()
    }

    /// Looks once more; whether that is enough.
    fn look(&mut self, places: &Places, claim: &Claim) -> bool {
        let Verdict::Container(found) = look_up(places, claim, &self.witnesses) else {
            return false;
        };
        let more =
            |best: &Arc<Container>| is_whole(&found) || !is_whole(best) && best.name.is_empty();
        if self.best.as_ref().is_none_or(more) {
            self.best = Some(Arc::clone(&found));
        }
        is_whole(&found)
    }
}

/// Until when a verdict is believed, and how long it was believed.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    until: Instant,
    held: Duration,
    /// It says that there is a container.
    container: bool,
}

impl Doubt {
    /// Found for the first time, or once more.
    fn found(before: Option<Self>, verdict: &Verdict, now: Instant) -> Self {
        let container = matches!(verdict, Verdict::Container(_));
        let held = before
            .filter(|before| before.container == container)
            .map_or(HOLDS.0, |before| (before.held * 2).min(HOLDS.1));
        Self { until: now + held, held, container }
    }
}

impl Clerk {
    fn work(mut self, questions: &Receiver<Question>) {
        loop {
            let limit = if self.pending.is_empty() { HOLDS.0 } else { AGAIN };
            match questions.recv_timeout(limit) {
                Ok(first) => {
                    let mut verdicts = Vec::new();
                    for (claim, witness) in std::iter::once(first).chain(questions.try_iter()) {
                        self.answer(claim, witness, &mut verdicts);
                    }
                    self.publish(verdicts);
                }
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return,
            }
            self.ask_again();
            self.forget_doubtful();
        }
    }

    fn answer(
        &mut self,
        claim: Arc<Claim>,
        witness: Witness,
        verdicts: &mut Vec<(Claim, Verdict)>,
    ) {
        if self.known.load().known.contains_key(&*claim) {
            return;
        }
        if let Some(pending) = self.pending.get_mut(&claim) {
            if pending.witnesses.len() >= MAX_WITNESSES {
                // The first is the likeliest to stay, for it may be the container's own first process.
                pending.witnesses.remove(1);
            }
            pending.witnesses.push(witness);
            return;
        }
        let now = Instant::now();
        let mut pending = Pending { witnesses: vec![witness], end: now + PATIENCE, best: None };
        let enough = pending.look(&self.places, &claim);
        // A runtime may be about to write down what it starts, and a first process to enter its root; but for what
        // was waited for in vain before, nobody waits again.
        let more = match pending.best {
            Some(_) => !self.doubts.get(&*claim).is_some_and(|doubt| doubt.container),
            None => may_come(&self.places, &claim, witness.pid),
        };
        if enough || !more {
            verdicts.push(((*claim).clone(), pending.verdict()));
        } else {
            self.pending.insert(claim, pending);
        }
    }

    fn ask_again(&mut self) {
        let mut verdicts = Vec::new();
        let now = Instant::now();
        let places = &self.places;
        self.pending.retain(|claim, pending| {
            if !pending.look(places, claim) && pending.has_patience(places, now) {
                return true;
            }
            verdicts.push(((**claim).clone(), pending.verdict()));
            false
        });
        self.publish(verdicts);
    }

    fn publish(&mut self, verdicts: Vec<(Claim, Verdict)>) {
        if verdicts.is_empty() {
            return;
        }
        let mut all = Containers::clone(&self.known.load());
        if all.known.len() + verdicts.len() > MAX_KNOWN {
            // What is still there is asked for again when it next does something.
            all.known.clear();
            self.doubts.clear();
        }
        for (claim, verdict) in verdicts {
            if is_settled(&verdict) {
                self.doubts.remove(&claim);
            } else {
                let before = self.doubts.get(&claim).copied();
                self.doubts.insert(claim.clone(), Doubt::found(before, &verdict, Instant::now()));
            }
            all.known.insert(claim, verdict);
        }
        self.known.store(Arc::new(all));
    }

    /// Verdicts that may be mended are not for ever.
    fn forget_doubtful(&mut self) {
        let now = Instant::now();
        let known = self.known.load();
        // What was forgotten already is remembered here for how long it was believed.
        let old: Vec<Claim> = self
            .doubts
            .iter()
            .filter(|(claim, doubt)| now >= doubt.until && known.known.contains_key(*claim))
            .map(|(claim, _)| claim.clone())
            .collect();
        if old.is_empty() {
            return;
        }
        let mut all = Containers::clone(&self.known.load());
        for claim in old {
            all.known.remove(&claim);
        }
        self.known.store(Arc::new(all));
    }
}

#[cfg(test)]
mod tests {
    use eyas_state::container::Pod;

    use super::*;

    #[test]
    fn what_is_found_again_and_again_is_believed_longer_and_not_for_ever() {
        let now = Instant::now();
        let mut host = Doubt::found(None, &Verdict::Host, now);
        assert_eq!(host.until - now, HOLDS.0);
        for _ in 0..20 {
            let next = Doubt::found(Some(host), &Verdict::Host, now);
            assert!(next.held >= host.held);
            host = next;
        }
        assert_eq!(host.held, HOLDS.1);
        let container = Verdict::Container(Arc::default());
        assert_eq!(Doubt::found(Some(host), &container, now).held, HOLDS.0, "something else");
    }

    #[test]
    fn a_container_without_a_name_and_a_pod_without_labels_may_become_more() {
        let container = |name: &str, pod: Option<Pod>| {
            let name = name.to_owned();
            Verdict::Container(Arc::new(Container { name, pod, ..Container::default() }))
        };
        let labels = [("app".to_owned(), "web".to_owned())].into();
        let labelled = Pod { labels, ..Pod::default() };
        assert!(is_settled(&container("web", None)));
        assert!(is_settled(&container("web", Some(labelled))));
        assert!(!is_settled(&container("web", Some(Pod::default()))));
        assert!(!is_settled(&container("", None)));
        assert!(!is_settled(&Verdict::Host));
    }
}

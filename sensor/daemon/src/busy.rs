//! Who makes most events. Counted only while somebody asks, for it costs a look-up for each event.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use eyas_control::{ProcessInfo, Processes};
use eyas_state::Tables;
use eyas_state::container::Place;

/// How long is counted before it is shown.
const SPAN: Duration = Duration::from_secs(1);
/// Without being asked for so long, counting ends.
const INTEREST: Duration = Duration::from_secs(10);
/// Processes that are shown.
const MOST_SHOWN: usize = 32;
/// Processes that are counted; events of more are left out of this span.
const MOST_COUNTED: usize = 65_536;
/// Characters of a command line that are shown.
const COMMAND_CHARS: usize = 200;

/// What was counted, for those who ask.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    asked: Mutex<Option<Instant>>,
    wanted: AtomicBool,
    shown: Mutex<Processes>,
}

/// The event thread's part.
#[derive(Debug)]
pub(crate) struct Count {
    since: Instant,
    on: bool,
    events: HashMap<u32, u64>,
}

impl Busy {
    /// What was counted last. Asking keeps the counting up.
    pub(crate) fn ask(&self) -> Processes {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.wanted.store(true, Ordering::Relaxed);
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Count {
    /// Counts nothing yet.
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), on: false, events: HashMap::new() }
    }

    /// One more event of this process.
    pub(crate) fn event(&mut self, pid: u32) {
        if self.on && (self.events.len() < MOST_COUNTED || self.events.contains_key(&pid)) {
            *self.events.entry(pid).or_default() += 1;
        }
    }

    /// Shows what was counted once the span is over, and begins and ends as somebody is interested.
    pub(crate) fn show(&mut self, busy: &Busy, tables: &Tables) {
        let wanted = busy.wanted.load(Ordering::Relaxed);
        if self.on != wanted {
            (self.on, self.since) = (wanted, Instant::now());
            self.events = HashMap::new();
            return;
        }
        if !self.on || self.since.elapsed() < SPAN {
            return;
        }
        let seconds = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        let mut counted: Vec<(u32, u64)> = self.events.drain().collect();
        counted.sort_unstable_by_key(|(pid, events)| (std::cmp::Reverse(*events), *pid));
        counted.truncate(MOST_SHOWN);
        let processes = counted.iter().map(|(pid, events)| info(tables, *pid, *events)).collect();
        // Whoever reads just now gets this the next time.
        let interest = busy.asked.try_lock().ok().and_then(|asked| *asked);
        if let Ok(mut shown) = busy.shown.try_lock() {
            *shown = Processes { seconds, processes };
            if interest.is_some_and(|asked| asked.elapsed() > INTEREST) {
                *shown = Processes::default();
                busy.wanted.store(false, Ordering::Relaxed);
            }
        }
    }
}

fn info(tables: &Tables, pid: u32, events: u64) -> ProcessInfo {
    let Some(process) = tables.get(pid) else {
        let unknown = String::new();
        return ProcessInfo {
            pid,
            name: unknown.clone(),
            command: unknown.clone(),
            container: unknown,
            events,
        };
    };
    let container = match tables.containers().place(process.claim.as_deref()) {
        Place::Container(container) => container.id().to_owned(),
        Place::Host => "host".to_owned(),
        Place::Unknown(_) => String::new(),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ProcessInfo {
        pid,
        name: text(process.image.comm.as_bytes()),
        command: text(process.image.command_line()).chars().take(COMMAND_CHARS).collect(),
        container,
        events,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use eyas_state::{Host, Limits};

    use super::*;

    #[test]
    fn counting_begins_when_somebody_asks_and_the_busiest_come_first() {
        let (busy, mut count) = (Busy::default(), Count::new());
        let tables = Tables::new(Limits::default(), Arc::new(Host::default()));
        count.event(1);
        count.show(&busy, &tables);
        assert!(count.events.is_empty(), "nobody has asked");
        assert_eq!(busy.ask(), Processes::default());
        count.show(&busy, &tables);
        for pid in [7, 8, 8, 9] {
            count.event(pid);
        }
        count.since = Instant::now().checked_sub(SPAN).unwrap();
        count.show(&busy, &tables);
        let shown = busy.ask();
        assert!(shown.seconds >= 1.0);
        let order: Vec<_> = shown.processes.iter().map(|one| (one.pid, one.events)).collect();
        assert_eq!(order, [(8, 2), (7, 1), (9, 1)]);
    }

    #[test]
    fn counting_ends_when_nobody_asks_any_more() {
        let (busy, mut count) = (Busy::default(), Count::new());
        let tables = Tables::new(Limits::default(), Arc::new(Host::default()));
        busy.ask();
        count.show(&busy, &tables);
        count.event(7);
        *busy.asked.lock().unwrap() = Instant::now().checked_sub(2 * INTEREST);
        count.since = Instant::now().checked_sub(SPAN).unwrap();
        count.show(&busy, &tables);
        count.show(&busy, &tables);
        assert!(!count.on && count.events.is_empty());
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let mut count = Count::new();
        count.on = true;
        for pid in 0..2 * MOST_COUNTED as u32 {
            count.event(pid);
        }
        count.event(0);
        assert_eq!((count.events.len(), count.events[&0]), (MOST_COUNTED, 2));
    }
}

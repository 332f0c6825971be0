//! Whoever watches alerts as they come, over the control socket.
//!
//! The event thread looks at one pointer and never waits; a watcher that reads too slowly misses
//! alerts, and is told how many.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use eyas_control::{Code, Feed, Item, Next, Refusal, Subscribe};
use eyas_rules::RenderedAlert;
use eyas_rules::collect::Priority;
use eyas_rules::load::wildcard_match;

/// Watchers at once: fewer than the clients that are served, so that those who only watch keep nobody from
/// asking or changing something.
const MAX_WATCHERS: usize = 12;
/// Alerts that may wait for one watcher.
const MAX_WAITING: usize = 1024;

/// All watchers.
#[derive(Debug, Default)]
pub(crate) struct Taps {
    list: ArcSwap<Vec<Arc<Tap>>>,
    changing: Mutex<()>,
}

/// One watcher's end on the side of the event thread.
#[derive(Debug)]
struct Tap {
    wanted: Wanted,
    sender: SyncSender<Arc<str>>,
    missed: Arc<AtomicU64>,
}

/// Which alerts a watcher wants.
#[derive(Debug)]
struct Wanted {
    rules: Vec<String>,
    priority: Option<Priority>,
}

/// A watcher.
#[derive(Debug)]
pub(crate) struct Watcher {
    taps: Arc<Taps>,
    tap: Arc<Tap>,
    alerts: Receiver<Arc<str>>,
    missed: Arc<AtomicU64>,
}

impl Taps {
    /// Hands an alert to those who want it; `line` makes its JSON, once and only if somebody does.
    pub(crate) fn offer(&self, alert: &RenderedAlert, line: impl FnOnce() -> String) {
        let list = self.list.load();
        if list.is_empty() {
            return;
        }
        let wanting: Vec<&Arc<Tap>> = list.iter().filter(|tap| tap.wanted.admits(alert)).collect();
        if wanting.is_empty() {
            return;
        }
        let line: Arc<str> = line().into();
        for tap in wanting {
            if tap.sender.try_send(Arc::clone(&line)).is_err() {
                tap.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.list.load().len()
    }

    /// One more watcher; why not, if it wants what cannot be meant or there are enough.
    pub(crate) fn add(self: &Arc<Self>, asked: Subscribe) -> Result<Watcher, Refusal> {
        let priority = match asked.priority {
            None => None,
            Some(name) => Some(name.parse().map_err(|_| {
                let known = Priority::ALL.map(|p| p.as_str().to_lowercase()).join("`, `");
                let message = format!("priority `{name}` is not known, expected one of `{known}`");
                Refusal::new(Code::BadRequest, message)
            })?),
        };
        let (sender, alerts) = sync_channel(MAX_WAITING);
        let missed = Arc::new(AtomicU64::new(0));
        let wanted = Wanted { rules: asked.rules, priority };
        let tap = Arc::new(Tap { wanted, sender, missed: Arc::clone(&missed) });
        let mut found = 0;
        self.change(|list| {
            found = list.len();
            if found < MAX_WATCHERS {
                list.push(Arc::clone(&tap));
            }
        });
        if found >= MAX_WATCHERS {
            let message =
                format!("`{found}` clients watch alerts, expected at most `{MAX_WATCHERS}`");
            return Err(Refusal::new(Code::Busy, message));
        }
        Ok(Watcher { taps: Arc::clone(self), tap, alerts, missed })
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Tap>>)) {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list = Vec::clone(&self.list.load());
        change(&mut list);
        self.list.store(Arc::new(list));
    }
}

impl Wanted {
    fn admits(&self, alert: &RenderedAlert) -> bool {
        let severe = self.priority.is_none_or(|least| {
            alert.priority.parse::<Priority>().is_ok_and(|found| found <= least)
        });
        let named = |pattern: &String| wildcard_match(pattern, &alert.rule);
        severe && (self.rules.is_empty() || self.rules.iter().any(named))
    }
}

impl Feed for Watcher {
    fn next(&mut self, limit: Duration) -> Next {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if missed > 0 {
            return Next::Item(Item::Missed(missed));
        }
        match self.alerts.recv_timeout(limit) {
            Ok(line) => match serde_json::from_str(&line) {
                Ok(alert) => Next::Item(Item::Alert(alert)),
                Err(_) => Next::Nothing,
            },
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::Ended,
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.taps.change(|list| list.retain(|tap| !Arc::ptr_eq(tap, &self.tap)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(rule: &str, priority: &'static str) -> RenderedAlert {
        RenderedAlert {
            rule: Arc::from(rule),
            priority,
            source: Arc::from("syscall"),
            tags: Arc::from([]),
            message: String::new(),
            output_fields: Vec::new(),
        }
    }

    fn offer(taps: &Taps, rule: &str, priority: &'static str) {
        taps.offer(&alert(rule, priority), || format!("{{\"rule\":\"{rule}\"}}"));
    }

    fn next(watcher: &mut Watcher) -> Option<String> {
        match watcher.next(Duration::ZERO) {
            Next::Item(Item::Alert(alert)) => alert["rule"].as_str().map(str::to_owned),
            Next::Item(Item::Missed(count)) => Some(format!("missed {count}")),
            _ => None,
        }
    }

    #[test]
    fn each_watcher_gets_what_it_wants_and_those_who_left_cost_nothing() {
        let taps = Arc::new(Taps::default());
        let mut all = taps.add(Subscribe::default()).unwrap();
        let asked = Subscribe { rules: vec!["shell *".into()], priority: Some("warning".into()) };
        let mut some = taps.add(asked).unwrap();
        offer(&taps, "shell started", "Notice");
        offer(&taps, "shell ended", "Critical");
        offer(&taps, "file opened", "Critical");
        assert_eq!(next(&mut all).as_deref(), Some("shell started"));
        assert_eq!(next(&mut some).as_deref(), Some("shell ended"));
        assert_eq!(next(&mut some), None);
        drop((all, some));
        assert_eq!(taps.count(), 0);
        taps.offer(&alert("x", "Notice"), || panic!("nobody watches"));
    }

    #[test]
    fn a_watcher_that_is_behind_is_told_what_it_missed() {
        let taps = Arc::new(Taps::default());
        let mut watcher = taps.add(Subscribe::default()).unwrap();
        for _ in 0..MAX_WAITING + 7 {
            offer(&taps, "x", "Notice");
        }
        assert_eq!(next(&mut watcher).as_deref(), Some("missed 7"));
        assert_eq!(std::iter::from_fn(|| next(&mut watcher)).count(), MAX_WAITING);
    }

    #[test]
    fn a_priority_that_is_none_is_refused() {
        let asked = Subscribe { priority: Some("loud".into()), ..Subscribe::default() };
        let Refusal { code, message } = Arc::new(Taps::default()).add(asked).unwrap_err();
        assert_eq!(code, Code::BadRequest);
        assert!(message.contains("`loud`") && message.contains("`critical`"), "{message}");
    }

    #[test]
    fn there_are_no_more_watchers_than_leave_room_for_others() {
        let taps = Arc::new(Taps::default());
        let mut all: Vec<Watcher> =
            (0..MAX_WATCHERS).map(|_| taps.add(Subscribe::default()).unwrap()).collect();
        assert_eq!(taps.add(Subscribe::default()).unwrap_err().code, Code::Busy);
        assert_eq!(taps.count(), MAX_WATCHERS);
        all.pop();
        assert!(taps.add(Subscribe::default()).is_ok());
    }
}

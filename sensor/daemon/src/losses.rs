//! Events that the kernel could not hand over: when something is done about it, and what is said.

#![expect(clippy::cast_precision_loss, reason = "shares and rates are rounded anyway")]

use std::sync::Arc;
use std::time::Instant;

use eyas_output::Internal;
use eyas_probe::{Counter, Counters};
use eyas_rules::format::FieldJson;

use crate::config::EventDrops;
use crate::host;

/// The name under which receivers know such alerts.
const RULE: &str = "Falco internal: syscall event drop";

/// Looks at the counters from second to second.
#[derive(Debug)]
pub(crate) struct Losses {
    settings: EventDrops,
    before: (u64, Counters),
    tokens: f64,
    at: Instant,
    /// Seconds with losses that were not told because of the rate.
    untold: u64,
}

/// What was lost since the last look.
#[derive(Debug)]
pub(crate) struct Loss {
    read: u64,
    total: u64,
    counters: Vec<(&'static str, u64)>,
    untold: u64,
}

impl Losses {
    pub(crate) fn new(settings: EventDrops, now: Instant) -> Self {
        let tokens = settings.max_burst;
        Self { settings, before: (0, Counters::default()), tokens, at: now, untold: 0 }
    }

    /// From now on these settings count.
    pub(crate) fn set(&mut self, settings: EventDrops) {
        self.settings = settings;
    }

    /// What there is to do something about, `read` being the events handed over so far.
    pub(crate) fn look(&mut self, read: u64, counters: Counters, now: Instant) -> Option<Loss> {
        let (read_before, before) = std::mem::replace(&mut self.before, (read, counters));
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.tokens = (self.tokens + passed * self.settings.rate).min(self.settings.max_burst);
        let since = |kind: Counter| counters.get(kind).saturating_sub(before.get(kind));
        let kinds = Counter::ALL.into_iter().filter(|kind| kind.is_drop());
        let counters: Vec<_> = kinds.map(|kind| (kind.name(), since(kind))).collect();
        let total: u64 = counters.iter().map(|(_, count)| count).sum();
        let read = read.saturating_sub(read_before);
        if total == 0 || (total as f64) < self.settings.threshold * (read + total) as f64 {
            return None;
        }
        if self.tokens < 1.0 {
            self.untold += 1;
            return None;
        }
        self.tokens -= 1.0;
        Some(Loss { read, total, counters, untold: std::mem::take(&mut self.untold) })
    }
}

impl Loss {
    /// One line for the log.
    pub(crate) fn line(&self) -> String {
        let share = 100.0 * self.total as f64 / (self.read + self.total) as f64;
        let untold = match self.untold {
            0 => String::new(),
            count => format!("; {count} seconds with losses before it were not told one by one"),
        };
        format!(
            "{} events were lost in the kernel, {share:.1}% of the last second's{untold}",
            self.total
        )
    }

    /// The same as an alert.
    pub(crate) fn alert(&self) -> Internal {
        let text = |number: u64| FieldJson::Text(number.to_string().into_bytes());
        let mut fields = vec![
            ("ebpf_enabled".to_owned(), text(1)),
            ("n_drops".to_owned(), text(self.total)),
            ("n_evts".to_owned(), text(self.read)),
        ];
        fields
            .extend(self.counters.iter().map(|(name, count)| (format!("n_{name}"), text(*count))));
        Internal {
            time_ns: host::now_ns(),
            rule: Arc::from(RULE),
            priority: "Debug",
            message: format!("{RULE}. {} system calls dropped in last second.", self.total),
            fields,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn losses(threshold: f64) -> (Losses, Instant) {
        let now = Instant::now();
        let settings = EventDrops { threshold, rate: 0.5, max_burst: 1.0, ..EventDrops::default() };
        (Losses::new(settings, now), now)
    }

    fn dropped(count: u64) -> Counters {
        Counters::of([(Counter::DroppedEvents, count)])
    }

    #[test]
    fn nothing_lost_is_nothing_told() {
        let (mut losses, now) = losses(0.0);
        assert!(losses.look(1000, Counters::default(), now).is_none());
    }

    #[test]
    fn losses_are_told_with_their_share_and_no_faster_than_asked() {
        let (mut losses, now) = losses(0.0);
        let first = losses.look(900, dropped(100), now).unwrap();
        assert_eq!(first.line(), "100 events were lost in the kernel, 10.0% of the last second's");
        let later = |seconds| now + Duration::from_secs(seconds);
        assert!(losses.look(1800, dropped(200), later(1)).is_none());
        let second = losses.look(1800, dropped(201), later(2)).unwrap();
        assert_eq!((second.total, second.untold), (1, 1));
        assert!(second.line().ends_with("not told one by one"), "{}", second.line());
        // The same counters are no new loss.
        assert!(losses.look(1800, dropped(201), later(9)).is_none());
    }

    #[test]
    fn a_share_below_the_threshold_is_let_pass() {
        let (mut losses, now) = losses(0.1);
        assert!(losses.look(901, dropped(99), now).is_none());
        assert!(losses.look(901 + 900, dropped(99 + 100), now).is_some());
    }

    #[test]
    fn the_alert_is_the_one_receivers_know() {
        let (mut losses, now) = losses(0.0);
        let alert = losses.look(900, dropped(100), now).unwrap().alert();
        assert_eq!(&*alert.rule, RULE);
        assert_eq!(alert.priority, "Debug");
        assert!(alert.message.ends_with("100 system calls dropped in last second."));
        let field =
            |name: &str| alert.fields.iter().find(|field| field.0 == name).unwrap().1.clone();
        assert_eq!(field("n_drops"), FieldJson::Text(b"100".to_vec()));
        assert_eq!(field("n_dropped_events"), FieldJson::Text(b"100".to_vec()));
    }
}

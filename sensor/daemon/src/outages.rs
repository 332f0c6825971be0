//! Outputs that lose alerts: when it is said, and what. Their totals are `eyas-output`'s.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use eyas_output::SinkCounts;

/// How often it is said again while it goes on.
const AGAIN: Duration = Duration::from_mins(1);

/// Looks at the outputs from second to second.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    by_output: HashMap<String, Known>,
}

/// What was known of one output when it was last looked at.
#[derive(Debug, Default)]
struct Known {
    written: u64,
    lost: u64,
    /// Since it loses alerts: how many were lost before, and when it was last said.
    outage: Option<(u64, Instant)>,
}

/// Something to say about an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// It loses alerts.
    Loses(String),
    /// It takes them again.
    Again(String),
}

impl Outages {
    /// What there is to say now.
    pub(crate) fn look(&mut self, counts: &[SinkCounts], now: Instant) -> Vec<Word> {
        self.by_output.retain(|name, _| counts.iter().any(|one| one.name == *name));
        counts.iter().filter_map(|one| self.look_at(one, now)).collect()
    }

    fn look_at(&mut self, counts: &SinkCounts, now: Instant) -> Option<Word> {
        let known = self.by_output.entry(counts.name.clone()).or_default();
        let lost = counts.dropped + counts.failed;
        let (loses, writes) = (lost > known.lost, counts.written > known.written);
        let before = known.outage.map_or(known.lost, |(before, _)| before);
        // Another output of the same name counts from nothing.
        let count = lost.saturating_sub(before);
        (known.lost, known.written) = (lost, counts.written);
        if loses && known.outage.is_none_or(|(_, said)| now.duration_since(said) >= AGAIN) {
            known.outage = Some((before, now));
            let why = counts.last_error.as_deref().unwrap_or("its queue is full");
            return Some(Word::Loses(format!(
                "the output `{}` has lost {count} alerts: {why}",
                counts.name
            )));
        }
        if writes && !loses && known.outage.take().is_some() {
            return Some(Word::Again(format!(
                "the output `{}` takes alerts again, {count} were lost",
                counts.name
            )));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(written: u64, failed: u64) -> [SinkCounts; 1] {
        let last_error = (failed > 0).then(|| "gone".to_owned());
        [SinkCounts { name: "x".into(), written, failed, last_error, ..SinkCounts::default() }]
    }

    #[test]
    fn an_outage_is_told_when_it_begins_while_it_lasts_and_when_it_ends() {
        let mut outages = Outages::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(outages.look(&counts(5, 0), at(0)), []);
        let said = outages.look(&counts(5, 2), at(1));
        assert_eq!(said, [Word::Loses("the output `x` has lost 2 alerts: gone".into())]);
        assert_eq!(outages.look(&counts(5, 9), at(2)), []);
        let said = outages.look(&counts(5, 10), at(62));
        assert_eq!(said, [Word::Loses("the output `x` has lost 10 alerts: gone".into())]);
        assert_eq!(outages.look(&counts(5, 10), at(63)), [], "nothing to write");
        let said = outages.look(&counts(6, 10), at(64));
        assert_eq!(said, [Word::Again("the output `x` takes alerts again, 10 were lost".into())]);
        assert_eq!(outages.look(&counts(7, 10), at(65)), []);
        let said = outages.look(&counts(7, 11), at(66));
        assert_eq!(said, [Word::Loses("the output `x` has lost 1 alerts: gone".into())]);
        // Taken out, and put in anew.
        assert_eq!(outages.look(&[], at(67)), []);
        assert_eq!(outages.look(&counts(1, 0), at(68)), []);
    }
}

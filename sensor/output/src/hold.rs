//! What is held back: a rate limit for each rule, and alerts that say the same again.
//!
//! Decided where alerts are made, before anything is queued; the event path does a look-up and
//! never waits. Nothing is held back silently: [`Hold::report`] says how many, by rule and reason.

#![expect(clippy::cast_precision_loss, reason = "shares and rates are rounded anyway")]

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use eyas_rules::eval::RenderedAlert;
use eyas_rules::format::FieldJson;

use crate::alert::Internal;

/// Rules and texts that are remembered; with more, the oldest are forgotten.
const MOST_REMEMBERED: usize = 16 * 1024;
/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// When alerts are held back.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HoldLimits {
    /// Alerts of one rule in a second, on average; 0 for no limit.
    pub rate: f64,
    /// Alerts of one rule at once before the rate counts.
    pub burst: u32,
    /// Seconds in which an alert with the same rule and message is not repeated; 0 for none.
    pub same_for_s: u64,
}

/// Remembers what was let through.
#[derive(Debug)]
pub struct Hold {
    limits: HoldLimits,
    rules: HashMap<Arc<str>, Allowance>,
    seen: HashMap<u64, u64>,
}

/// What one rule may still send, and what it could not.
#[derive(Debug)]
struct Allowance {
    tokens: f64,
    at_ns: u64,
    over_rate: u64,
    repeated: u64,
}

impl Hold {
    /// Nothing was sent yet.
    pub fn new(limits: HoldLimits) -> Self {
        Self { limits, rules: HashMap::new(), seen: HashMap::new() }
    }

    /// From now on these limits count; what was let through before is remembered.
    pub fn set_limits(&mut self, limits: HoldLimits) {
        self.limits = limits;
    }

    /// Whether an alert may go out. `now_ns` is any clock that goes forward, in nanoseconds.
    pub fn admits(&mut self, now_ns: u64, alert: &RenderedAlert) -> bool {
        let HoldLimits { rate, burst, same_for_s } = self.limits;
        if rate <= 0.0 && same_for_s == 0 {
            return true;
        }
        let repeated = same_for_s > 0 && self.repeats(now_ns, alert);
        let allowance = self.allowance(now_ns, &alert.rule);
        if repeated {
            allowance.repeated += 1;
            return false;
        }
        if rate <= 0.0 {
            return true;
        }
        let passed = now_ns.saturating_sub(allowance.at_ns) as f64 / SECOND as f64;
        allowance.tokens = (allowance.tokens + passed * rate).min(f64::from(burst.max(1)));
        allowance.at_ns = now_ns;
        if allowance.tokens < 1.0 {
            allowance.over_rate += 1;
            return false;
        }
        allowance.tokens -= 1.0;
        true
    }

    fn allowance(&mut self, now_ns: u64, rule: &Arc<str>) -> &mut Allowance {
        let tokens = f64::from(self.limits.burst.max(1));
        self.rules.entry(Arc::clone(rule)).or_insert(Allowance {
            tokens,
            at_ns: now_ns,
            over_rate: 0,
            repeated: 0,
        })
    }

    /// Whether the same was said a short time ago. If not, it is remembered as said now.
    fn repeats(&mut self, now_ns: u64, alert: &RenderedAlert) -> bool {
        let span = self.limits.same_for_s.saturating_mul(SECOND);
        let mut hasher = DefaultHasher::new();
        (&alert.rule, &alert.message).hash(&mut hasher);
        let key = hasher.finish();
        if let Some(said) = self.seen.get(&key)
            && now_ns.saturating_sub(*said) < span
        {
            return true;
        }
        if self.seen.len() >= MOST_REMEMBERED {
            self.seen.retain(|_, said| now_ns.saturating_sub(*said) < span);
        }
        if self.seen.len() >= MOST_REMEMBERED {
            // All are recent. Saying something twice is the lesser harm.
            self.seen.clear();
        }
        self.seen.insert(key, now_ns);
        false
    }

    /// What was held back since the last report, one alert for each rule concerned.
    pub fn report(&mut self, time_ns: u64) -> Vec<Internal> {
        let mut reports = Vec::new();
        let mut rules: Vec<_> = self.rules.iter_mut().collect();
        rules.sort_by(|one, other| one.0.cmp(other.0));
        for (rule, allowance) in rules {
            let over_rate = std::mem::take(&mut allowance.over_rate);
            let repeated = std::mem::take(&mut allowance.repeated);
            if over_rate + repeated == 0 {
                continue;
            }
            reports.push(Internal {
                time_ns,
                rule: Arc::from("eyas internal: alerts held back"),
                priority: "Notice",
                message: format!(
                    "{} alerts of the rule {rule} were held back",
                    over_rate + repeated
                ),
                fields: vec![
                    ("eyas.rule".into(), FieldJson::Text(rule.as_bytes().to_vec())),
                    ("eyas.over_rate".into(), FieldJson::Uint(over_rate)),
                    ("eyas.repeated".into(), FieldJson::Uint(repeated)),
                ],
            });
        }
        reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(rule: &str, message: &str) -> RenderedAlert {
        RenderedAlert {
            rule: Arc::from(rule),
            priority: "Warning",
            source: Arc::from("syscall"),
            tags: Arc::from([]),
            message: message.into(),
            output_fields: Vec::new(),
        }
    }

    fn let_through(hold: &mut Hold, now_ns: u64, alerts: &[RenderedAlert]) -> usize {
        alerts.iter().filter(|alert| hold.admits(now_ns, alert)).count()
    }

    #[test]
    fn without_limits_everything_passes_and_nothing_is_remembered() {
        let mut hold = Hold::new(HoldLimits::default());
        assert_eq!(let_through(&mut hold, 0, &vec![alert("r", "m"); 10_000]), 10_000);
        assert_eq!(hold.report(0), []);
        assert!(hold.rules.is_empty() && hold.seen.is_empty());
    }

    #[test]
    fn each_rule_has_its_burst_and_its_rate() {
        let mut hold = Hold::new(HoldLimits { rate: 2.0, burst: 5, same_for_s: 0 });
        let many = vec![alert("a", "m"); 20];
        assert_eq!(let_through(&mut hold, 0, &many), 5);
        assert_eq!(let_through(&mut hold, 0, &vec![alert("b", "m"); 3]), 3);
        assert_eq!(let_through(&mut hold, SECOND / 2 - 1, &many), 0);
        assert_eq!(let_through(&mut hold, SECOND / 2, &many), 1);
        assert_eq!(let_through(&mut hold, 100 * SECOND, &many), 5);
        let report = hold.report(7);
        assert_eq!(report.len(), 1);
        assert_eq!(report[0].message, "69 alerts of the rule a were held back");
        assert_eq!(report[0].fields[1], ("eyas.over_rate".into(), FieldJson::Uint(69)));
        assert_eq!(hold.report(8), []);
    }

    #[test]
    fn the_same_is_said_again_only_after_the_time_is_over() {
        let mut hold = Hold::new(HoldLimits { rate: 0.0, burst: 0, same_for_s: 10 });
        let said = [alert("a", "x"), alert("a", "x"), alert("a", "y"), alert("b", "x")];
        assert_eq!(let_through(&mut hold, 0, &said), 3);
        assert_eq!(let_through(&mut hold, 10 * SECOND - 1, &said), 0);
        assert_eq!(let_through(&mut hold, 10 * SECOND, &said), 3);
        let report = hold.report(0);
        assert_eq!(report[0].fields[2], ("eyas.repeated".into(), FieldJson::Uint(5)));
        assert_eq!(report[1].fields[2], ("eyas.repeated".into(), FieldJson::Uint(1)));
    }

    #[test]
    fn memory_is_bounded_whatever_is_said() {
        let mut hold = Hold::new(HoldLimits { rate: 0.0, burst: 0, same_for_s: 10 });
        for n in 0..3 * MOST_REMEMBERED {
            assert!(hold.admits(0, &alert("a", &n.to_string())));
        }
        assert!(hold.seen.len() <= MOST_REMEMBERED);
    }
}

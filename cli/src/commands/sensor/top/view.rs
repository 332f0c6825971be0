//! What `top` shows: rates between two looks, and the busiest of each kind. Pure.

#![expect(clippy::cast_precision_loss, reason = "rates are rounded anyway")]

use std::collections::{BTreeMap, VecDeque};

use eyas_control::{Figures, ProcessInfo};
use serde::Serialize;

use super::super::tail::harmless;
use super::Look;

/// Rows of each table.
const MOST_ROWS: usize = 10;
/// Bytes in a mebibyte.
const MIB: f64 = 1024.0 * 1024.0;

/// Rates and sizes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct View {
    version: String,
    generation: Option<u64>,
    rules_enabled: u64,
    /// Between the two looks.
    seconds: f64,
    events_per_second: f64,
    lost_per_second: f64,
    lost: u64,
    matches_per_second: f64,
    alerts_dropped: u64,
    alerts_failed: u64,
    queued_bytes: u64,
    cpu_percent: f64,
    memory_bytes: u64,
    processes_known: u64,
    containers: u64,
    events: Vec<OfEvent>,
    rules: Vec<OfRule>,
    processes: Vec<OfProcess>,
    alerts: Vec<String>,
}

/// Events of one type.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct OfEvent {
    name: String,
    per_second: f64,
}

/// One rule that did something.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct OfRule {
    name: String,
    matches: u64,
    matches_per_second: f64,
    /// Share of a processor, estimated.
    cost_percent: f64,
}

/// One process that did something.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct OfProcess {
    pid: u32,
    events_per_second: f64,
    container: String,
    command: String,
}

impl View {
    /// What happened between two looks.
    pub(super) fn between(before: &Look, now: &Look, alerts: &VecDeque<String>) -> Self {
        let seconds = now.at.duration_since(before.at).as_secs_f64().max(0.001);
        let whole = |name: &str| now.figures.sum(name) as u64;
        let rate =
            |name: &str| (now.figures.sum(name) - before.figures.sum(name)).max(0.0) / seconds;
        Self {
            version: now.status.version.clone(),
            generation: now.status.generation,
            rules_enabled: now.status.rules.enabled,
            seconds,
            events_per_second: rate("eyas_sensor_events_total"),
            lost_per_second: rate("eyas_sensor_events_lost_total"),
            lost: whole("eyas_sensor_events_lost_total"),
            matches_per_second: rate("eyas_sensor_rule_matches_total"),
            alerts_dropped: whole("eyas_sensor_alerts_dropped_total"),
            alerts_failed: whole("eyas_sensor_alerts_failed_total"),
            queued_bytes: whole("eyas_sensor_output_queue_bytes"),
            cpu_percent: 100.0 * rate("eyas_sensor_cpu_seconds_total"),
            memory_bytes: whole("eyas_sensor_resident_memory_bytes"),
            processes_known: whole("eyas_sensor_processes"),
            containers: whole("eyas_sensor_containers"),
            events: events(&before.figures, &now.figures, seconds),
            rules: rules(before, now, seconds),
            processes: processes(now),
            alerts: alerts.iter().cloned().collect(),
        }
    }

    /// As many lines as fit, none wider than the terminal.
    pub(super) fn draw(&self, (lines, columns): (usize, usize)) -> Vec<String> {
        let mut all = self.lines(columns);
        all.truncate(lines);
        all
    }

    /// Everything, the last alerts last.
    pub(super) fn lines(&self, columns: usize) -> Vec<String> {
        let generation =
            self.generation.map_or("no generation".into(), |n| format!("generation {n}"));
        let mut lines = vec![
            format!("eyasd {}, {generation}, {} rules enabled", self.version, self.rules_enabled),
            format!(
                "events {:.0}/s  lost {:.0}/s ({} in all)  matches {:.1}/s",
                self.events_per_second, self.lost_per_second, self.lost, self.matches_per_second
            ),
            format!(
                "cpu {:.1}%  memory {:.1} MiB  processes {}  containers {}",
                self.cpu_percent,
                self.memory_bytes as f64 / MIB,
                self.processes_known,
                self.containers
            ),
            format!(
                "alerts waiting {} bytes, dropped {}, failed {}",
                self.queued_bytes, self.alerts_dropped, self.alerts_failed
            ),
        ];
        let section = |title: &str| [String::new(), title.to_owned()];
        lines.extend(section("  EVENTS/S  TYPE"));
        lines.extend(self.events.iter().map(|of| format!("{:>10.0}  {}", of.per_second, of.name)));
        lines.extend(section(" MATCHES/S     TOTAL   CPU%  RULE"));
        lines.extend(self.rules.iter().map(|of| {
            let OfRule { name, matches, matches_per_second, cost_percent } = of;
            format!("{matches_per_second:>10.1}{matches:>10}{cost_percent:>7.2}  {name}")
        }));
        lines.extend(section("  EVENTS/S       PID  CONTAINER     COMMAND"));
        lines.extend(self.processes.iter().map(|of| {
            let OfProcess { pid, events_per_second, container, command } = of;
            format!("{events_per_second:>10.0}{pid:>10}  {container:<12}  {command}")
        }));
        if !self.alerts.is_empty() {
            lines.extend(section("LAST ALERTS"));
            lines.extend(self.alerts.iter().cloned());
        }
        lines.iter().map(|line| harmless(line).chars().take(columns).collect()).collect()
    }
}

/// The busiest event types.
fn events(before: &Figures, now: &Figures, seconds: f64) -> Vec<OfEvent> {
    let counts = |figures: &Figures| {
        let mut counts: BTreeMap<String, f64> = BTreeMap::new();
        let family = figures.family("eyas_sensor_events_by_type_total");
        for sample in family.into_iter().flat_map(|family| &family.samples) {
            let name = sample.labels.iter().find(|(key, _)| key == "type");
            let name = name.map(|(_, name)| name.clone()).unwrap_or_default();
            *counts.entry(name).or_default() += sample.value.as_f64();
        }
        counts
    };
    let earlier = counts(before);
    let rate = |(name, count): (String, f64)| {
        let new = count - earlier.get(&name).copied().unwrap_or_default();
        OfEvent { name, per_second: new.max(0.0) / seconds }
    };
    let mut found: Vec<OfEvent> = counts(now).into_iter().map(rate).collect();
    found.retain(|of| of.per_second > 0.0);
    found.sort_by(|a, b| b.per_second.total_cmp(&a.per_second));
    found.truncate(MOST_ROWS);
    found
}

/// The rules that matched most, then those that cost most.
fn rules(before: &Look, now: &Look, seconds: f64) -> Vec<OfRule> {
    let earlier: BTreeMap<&str, (u64, f64)> = before
        .rules
        .rules
        .iter()
        .map(|rule| (rule.name.as_str(), (rule.matches, rule.cost_seconds)))
        .collect();
    let of = |rule: &eyas_control::RuleInfo| {
        let (matches, cost) = earlier.get(rule.name.as_str()).copied().unwrap_or_default();
        OfRule {
            name: rule.name.clone(),
            matches: rule.matches,
            matches_per_second: rule.matches.saturating_sub(matches) as f64 / seconds,
            cost_percent: 100.0 * (rule.cost_seconds - cost).max(0.0) / seconds,
        }
    };
    let mut found: Vec<OfRule> = now.rules.rules.iter().map(of).collect();
    found.retain(|of| of.matches > 0 || of.cost_percent > 0.0);
    found.sort_by(|a, b| {
        let by_cost = b.cost_percent.total_cmp(&a.cost_percent);
        b.matches_per_second.total_cmp(&a.matches_per_second).then(by_cost)
    });
    found.truncate(MOST_ROWS);
    found
}

/// The busiest processes.
fn processes(now: &Look) -> Vec<OfProcess> {
    let seconds = now.processes.seconds.max(0.001);
    let of = |one: &ProcessInfo| {
        let command = if one.command.is_empty() { &one.name } else { &one.command };
        OfProcess {
            pid: one.pid,
            events_per_second: one.events as f64 / seconds,
            container: one.container.clone(),
            command: command.clone(),
        }
    };
    now.processes.processes.iter().take(MOST_ROWS).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        View {
            version: "0.1.0".into(),
            generation: Some(3),
            rules_enabled: 80,
            seconds: 2.0,
            events_per_second: 12_345.4,
            lost_per_second: 0.0,
            lost: 0,
            matches_per_second: 1.25,
            alerts_dropped: 0,
            alerts_failed: 2,
            queued_bytes: 17,
            cpu_percent: 0.44,
            memory_bytes: 29_465_313,
            processes_known: 512,
            containers: 3,
            events: vec![OfEvent { name: "openat".into(), per_second: 12_000.0 }],
            rules: vec![OfRule {
                name: "Read sensitive file".into(),
                matches: 7,
                matches_per_second: 1.25,
                cost_percent: 0.5,
            }],
            processes: vec![OfProcess {
                pid: 4711,
                events_per_second: 900.0,
                container: "host".into(),
                command: "evil \u{1b}[2J".into(),
            }],
            alerts: vec!["10:00:00: Notice x [r]".into()],
        }
    }

    #[test]
    fn a_view_is_drawn_in_sections() {
        let expected = "\
eyasd 0.1.0, generation 3, 80 rules enabled
events 12345/s  lost 0/s (0 in all)  matches 1.2/s
cpu 0.4%  memory 28.1 MiB  processes 512  containers 3
alerts waiting 17 bytes, dropped 0, failed 2

  EVENTS/S  TYPE
     12000  openat

 MATCHES/S     TOTAL   CPU%  RULE
       1.2         7   0.50  Read sensitive file

  EVENTS/S       PID  CONTAINER     COMMAND
       900      4711  host          evil \\u{1b}[2J

LAST ALERTS
10:00:00: Notice x [r]";
        assert_eq!(view().lines(usize::MAX).join("\n"), expected);
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        for size in [(1, 1), (3, 7), (24, 80), (1000, 1000)] {
            let lines = view().draw(size);
            assert!(lines.len() <= size.0);
            assert!(lines.iter().all(|line| line.chars().count() <= size.1), "{size:?}");
        }
    }
}

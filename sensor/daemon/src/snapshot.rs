//! Figures from time to time, as an alert about the sensor itself and as lines of a file, for those who
//! collect no metrics.
//!
//! Keys are those that readers of Falco's snapshots know, and all documented figures beside them.

#![expect(clippy::cast_precision_loss, reason = "rates are rounded anyway")]

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eyas_control::{Family, Figures, Value};
use eyas_output::Internal;
use eyas_rules::format::FieldJson;
use eyas_rules::load::metric_name;

use crate::config::Metrics;
use crate::engine::Engine;
use crate::{figures, host, log};

/// The name under which receivers know such alerts.
const RULE: &str = "Falco internal: metrics snapshot";

/// Takes snapshots when it is time to.
#[derive(Debug)]
pub(crate) struct Snapshots {
    started: Instant,
    last: Instant,
    events_before: u64,
    count: u64,
    /// Whether the last line could not be written, which is said once.
    failing: bool,
}

impl Snapshots {
    pub(crate) fn new(now: Instant) -> Self {
        Self { started: now, last: now, events_before: 0, count: 0, failing: false }
    }

    /// Takes one if the settings want it now.
    pub(crate) fn look(&mut self, engine: &Engine, now: Instant) {
        let settings = engine.settings();
        let wanted = &settings.config.metrics;
        let every = wanted.every().unwrap_or(Duration::MAX);
        let passed = now.duration_since(self.last);
        if !wanted.enabled || passed < every {
            return;
        }
        self.last = now;
        self.count += 1;
        let figures = figures::of(engine);
        let snapshot = self.take(&figures, wanted, passed, now);
        if wanted.output_rule {
            engine.tell(&snapshot);
        }
        if let Some(path) =
            wanted.output_file.as_deref().filter(|path| !path.as_os_str().is_empty())
        {
            let written = append(path, &self.line(&snapshot));
            if let Err(error) = &written
                && !self.failing
            {
                log::warn(&format!("cannot write figures to `{}`: {error}", path.display()));
            }
            self.failing = written.is_err();
        }
    }

    fn take(
        &mut self,
        figures: &Figures,
        wanted: &Metrics,
        passed: Duration,
        now: Instant,
    ) -> Internal {
        let whole = |name| figures.sum(name) as u64;
        let number = |value: u64| FieldJson::Uint(value);
        let events = whole("eyas_sensor_events_total");
        let new = events.saturating_sub(self.events_before);
        let rate = new as f64 / passed.as_secs_f64().max(f64::EPSILON);
        let mut fields = vec![
            ("evt.source".to_owned(), text("syscall")),
            ("falco.duration_sec".to_owned(), number(now.duration_since(self.started).as_secs())),
            ("falco.evts_rate_sec".to_owned(), number(rate as u64)),
            ("falco.num_evts".to_owned(), number(events)),
            ("falco.num_evts_prev".to_owned(), number(self.events_before)),
            (
                "falco.start_ts".to_owned(),
                number(whole("eyas_sensor_start_time_seconds") * 1_000_000_000),
            ),
            ("falco.version".to_owned(), text(env!("CARGO_PKG_VERSION"))),
            (
                "falco.outputs_queue_num_drops".to_owned(),
                number(whole("eyas_sensor_alerts_dropped_total")),
            ),
        ];
        self.events_before = events;
        if wanted.kernel_event_counters_enabled {
            fields.push(("scap.n_evts".into(), number(events)));
            fields.push(("scap.n_drops".into(), number(whole("eyas_sensor_events_lost_total"))));
        }
        if wanted.resource_utilization_enabled {
            let resident = whole("eyas_sensor_resident_memory_bytes");
            fields.push(("falco.memory_rss_mb".into(), number(resident / (1024 * 1024))));
        }
        if wanted.rules_counters_enabled
            && let Some(matches) = figures.family("eyas_sensor_rule_matches_total")
        {
            for sample in &matches.samples {
                let rule = sample.labels.first().map_or("", |(_, rule)| rule.as_str());
                let count = sample.value.as_f64() as u64;
                fields.push((format!("falco.rules.{}", metric_name(rule)), number(count)));
            }
        }
        let ours = figures.families.iter().filter(|family| is_wanted(wanted, &family.name));
        fields.extend(ours.flat_map(own_fields));
        Internal {
            time_ns: host::now_ns(),
            rule: Arc::from(RULE),
            priority: "Informational",
            message: "Falco metrics snapshot".into(),
            fields,
        }
    }

    /// One line of the file.
    fn line(&self, snapshot: &Internal) -> String {
        let fields: serde_json::Map<String, serde_json::Value> = snapshot
            .fields
            .iter()
            .map(|(name, value)| (name.clone(), serde_json::to_value(value).unwrap_or_default()))
            .collect();
        let line = serde_json::json!({
            "sample": self.count,
            "time_ns": snapshot.time_ns,
            "output_fields": fields,
        });
        line.to_string()
    }
}

/// Which of our own figures a snapshot has, by the same switches.
fn is_wanted(wanted: &Metrics, name: &str) -> bool {
    match name {
        "eyas_sensor_rule_matches_total" | "eyas_sensor_rule_cost_seconds_total" => false,
        "eyas_sensor_resident_memory_bytes" | "eyas_sensor_cpu_seconds_total" => {
            wanted.resource_utilization_enabled
        }
        "eyas_sensor_processes"
        | "eyas_sensor_containers"
        | "eyas_sensor_process_table_bytes"
        | "eyas_sensor_processes_evicted_total" => wanted.state_counters_enabled,
        _ if name.starts_with("eyas_sensor_events_") => wanted.kernel_event_counters_enabled,
        _ => true,
    }
}

/// A family as fields: its name, and the values of its labels behind it.
fn own_fields(family: &Family) -> impl Iterator<Item = (String, FieldJson)> + '_ {
    let informs = family.name == "eyas_sensor_info";
    family.samples.iter().filter(move |_| !informs).map(|sample| {
        let mut name = family.name.clone();
        for (_, label) in &sample.labels {
            name.push('.');
            name.push_str(label);
        }
        let value = match sample.value {
            Value::Whole(value) => FieldJson::Uint(value),
            Value::Real(value) => text(&format!("{value:.3}")),
        };
        (name, value)
    })
}

fn text(value: &str) -> FieldJson {
    FieldJson::Text(value.as_bytes().to_vec())
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())
}

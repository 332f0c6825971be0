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
use std::thread;
use std::time::{Duration, Instant};

use eyas_control::{Family, Figures, Value};
use eyas_output::Internal;
use eyas_rules::format::FieldJson;
use eyas_rules::load::metric_name;
use eyas_state::Host;
use rustix::fs::OFlags;

use crate::config::Metrics;
use crate::engine::Engine;
use crate::{figures, host, log, usage};

/// The name under which receivers know such alerts.
const RULE: &str = "Falco internal: metrics snapshot";

/// Takes snapshots when it is time to.
#[derive(Debug)]
pub(crate) struct Snapshots {
    started: Instant,
    last: Instant,
    before: Before,
    count: u64,
    /// Whether the last line could not be written, which is said once.
    failing: bool,
}

/// Totals of the last snapshot.
#[derive(Debug, Default)]
struct Before {
    events: u64,
    lost: u64,
    cpu_seconds: f64,
}

/// What a snapshot is made of.
struct Moment<'a> {
    figures: &'a Figures,
    wanted: &'a Metrics,
    host: &'a Host,
    /// Since the last one, and since the start, seconds.
    passed: f64,
    running: u64,
}

impl Snapshots {
    pub(crate) fn new(now: Instant) -> Self {
        Self { started: now, last: now, before: Before::default(), count: 0, failing: false }
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
        let snapshot = self.take(&Moment {
            figures: &figures,
            wanted,
            host: &engine.host.load(),
            passed: passed.as_secs_f64().max(f64::EPSILON),
            running: now.duration_since(self.started).as_secs(),
        });
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

    fn take(&mut self, moment: &Moment<'_>) -> Internal {
        let Moment { figures, wanted, .. } = *moment;
        let now = Before {
            events: moment.whole("eyas_sensor_events_total"),
            lost: moment.whole("eyas_sensor_events_lost_total"),
            cpu_seconds: figures.sum("eyas_sensor_cpu_seconds_total"),
        };
        let before = std::mem::replace(&mut self.before, now);
        let now = &self.before;
        let mut fields = moment.identity();
        fields.extend(named("falco", moment.agent(&before, now)));
        if wanted.kernel_event_counters_enabled {
            fields.extend(named("scap", moment.kernel(&before, now)));
        }
        if wanted.state_counters_enabled {
            let states = [
                ("n_threads", "eyas_sensor_processes"),
                ("n_containers", "eyas_sensor_containers"),
            ];
            let states = states.map(|(name, of)| (name, FieldJson::Uint(moment.whole(of))));
            fields.extend(named("falco", states));
        }
        if wanted.resource_utilization_enabled {
            let share = 100.0 * (now.cpu_seconds - before.cpu_seconds) / moment.passed;
            fields.push(("falco.cpu_usage_perc".into(), tenths(share)));
            fields.extend(moment.memory());
        }
        if wanted.rules_counters_enabled {
            fields.extend(moment.rules());
        }
        let ours = figures.families.iter().filter(|family| is_wanted(wanted, &family.name));
        fields.extend(ours.flat_map(own_fields));
        let time_ns = host::now_ns();
        fields.push(("evt.time".into(), FieldJson::Uint(time_ns)));
        Internal {
            time_ns,
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

/// A field by its name.
type Field = (String, FieldJson);

impl Moment<'_> {
    fn whole(&self, name: &str) -> u64 {
        self.figures.sum(name) as u64
    }

    /// Who says it.
    fn identity(&self) -> Vec<Field> {
        let name = FieldJson::Text(self.host.name.to_vec());
        vec![("evt.hostname".into(), name), ("evt.source".into(), text("syscall"))]
    }

    fn agent(&self, before: &Before, now: &Before) -> [(&'static str, FieldJson); 10] {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let started = self.whole("eyas_sensor_start_time_seconds") * 1_000_000_000;
        let processors = thread::available_parallelism().map_or(0, |count| count.get() as u64);
        let rate = now.events.saturating_sub(before.events) as f64 / self.passed;
        [
            ("version", text(env!("CARGO_PKG_VERSION"))),
            ("kernel_release", text(&release)),
            ("host_boot_ts", FieldJson::Uint(self.host.boot_epoch_ns)),
            ("host_num_cpus", FieldJson::Uint(processors)),
            ("start_ts", FieldJson::Uint(started)),
            ("duration_sec", FieldJson::Uint(self.running)),
            ("num_evts", FieldJson::Uint(now.events)),
            ("num_evts_prev", FieldJson::Uint(before.events)),
            ("evts_rate_sec", tenths(rate)),
            (
                "outputs_queue_num_drops",
                FieldJson::Uint(self.whole("eyas_sensor_alerts_dropped_total")),
            ),
        ]
    }

    fn kernel(&self, before: &Before, now: &Before) -> [(&'static str, FieldJson); 7] {
        let (events, lost) =
            (now.events.saturating_sub(before.events), now.lost.saturating_sub(before.lost));
        let all = (events + lost) as f64;
        let share = if lost == 0 { 0.0 } else { 100.0 * lost as f64 / all };
        [
            ("n_evts", FieldJson::Uint(now.events)),
            ("n_evts_prev", FieldJson::Uint(before.events)),
            ("n_drops", FieldJson::Uint(now.lost)),
            ("n_drops_prev", FieldJson::Uint(before.lost)),
            ("n_drops_perc", tenths(share)),
            ("evts_rate_sec", tenths(events as f64 / self.passed)),
            ("evts_drop_rate_sec", tenths(lost as f64 / self.passed)),
        ]
    }

    fn memory(&self) -> [Field; 2] {
        let usage = usage::now();
        let (unit, name) =
            if self.wanted.convert_memory_to_mb { (1024.0 * 1024.0, "mb") } else { (1024.0, "kb") };
        [("rss", usage.resident_bytes), ("vsz", usage.virtual_bytes)].map(|(kind, bytes)| {
            (format!("falco.memory_{kind}_{name}"), tenths(bytes as f64 / unit))
        })
    }

    /// Matches of each rule that has any, and of all.
    fn rules(&self) -> Vec<Field> {
        let matches = self.figures.family("eyas_sensor_rule_matches_total");
        let samples = matches.map_or(&[][..], |matches| &matches.samples);
        let mut fields: Vec<Field> = samples
            .iter()
            .map(|sample| {
                let rule = sample.labels.first().map_or("", |(_, rule)| rule.as_str());
                let count = sample.value.as_f64() as u64;
                (format!("falco.rules.{}", metric_name(rule)), FieldJson::Uint(count))
            })
            .collect();
        let all = FieldJson::Uint(self.whole("eyas_sensor_rule_matches_total"));
        fields.push(("falco.rules.matches_total".into(), all));
        fields
    }
}

fn named<const N: usize>(
    family: &'static str,
    fields: [(&'static str, FieldJson); N],
) -> impl Iterator<Item = Field> {
    fields.into_iter().map(move |(name, value)| (format!("{family}.{name}"), value))
}

/// A number with one decimal, which is all that it is good for.
fn tenths(number: f64) -> FieldJson {
    FieldJson::Double((number * 10.0).round() / 10.0)
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
    // A pipe that nobody reads, or too slowly, is an error: housekeeping waits for nobody.
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    file.write_all(format!("{line}\n").as_bytes())
}

//! All figures of the daemon, for the HTTP endpoint, the control socket and periodic snapshots. Names
//! are documented in `docs/sensor.md` and are only ever added to.

#![expect(clippy::cast_precision_loss, reason = "seconds need no 64 bits")]

use std::sync::atomic::{AtomicU64, Ordering};

use eyas_abi::schema;
use eyas_control::{Family, FigureKind, Figures, ProbeSource};
use eyas_output::SinkCounts;

use crate::engine::Engine;
use crate::usage;

/// Name, kind and help of a family of figures about outputs, and how to read one.
type OfOutput = (&'static str, FigureKind, &'static str, fn(&SinkCounts) -> u64);

const COUNTER: FigureKind = FigureKind::Counter;
const GAUGE: FigureKind = FigureKind::Gauge;

/// All figures as they are now.
pub(crate) fn of(engine: &Engine) -> Figures {
    let mut families = identity(engine);
    families.extend(events(engine));
    families.extend(tables(engine));
    families.extend(rules(engine));
    families.extend(outputs(engine));
    families.extend(recordings(engine));
    families.extend(resources(engine));
    Figures { families }
}

fn identity(engine: &Engine) -> Vec<Family> {
    let status = engine.status();
    let probe = match &status.probe.source {
        ProbeSource::Embedded => "embedded",
        ProbeSource::Artifact { .. } => "artifact",
        _ => "none",
    };
    let digest = status.lock_digest.map(|digest| digest.to_string()).unwrap_or_default();
    let engine_version = eyas_rules::collect::ENGINE_VERSION.to_string();
    let labels = [
        ("version", status.version.as_str()),
        ("engine_version", &engine_version),
        ("probe", probe),
        ("lock_digest", &digest),
    ];
    vec![
        Family::new("eyas_sensor_info", GAUGE, "What runs; the value is always 1.")
            .with(&labels, 1_u64),
        Family::new(
            "eyas_sensor_generation",
            GAUGE,
            "Generation of the store in force, 0 for plain files.",
        )
        .with(&[], status.generation.unwrap_or(0)),
        Family::new(
            "eyas_sensor_start_time_seconds",
            GAUGE,
            "When the sensor started, seconds since the epoch.",
        )
        .with(&[], engine.started().as_second() as u64),
    ]
}

fn events(engine: &Engine) -> Vec<Family> {
    let stats = &engine.stats;
    let mut by_type = Family::new(
        "eyas_sensor_events_by_type_total",
        COUNTER,
        "Event records read, by event type.",
    );
    for (code, count) in stats.by_type.iter() {
        let name = schema::by_code(code).map_or("unknown", |event| event.name);
        by_type.push(&[("type", name), ("code", &code.to_string())], count);
    }
    let mut lost = Family::new(
        "eyas_sensor_events_lost_total",
        COUNTER,
        "Event records that the kernel could not hand over, by reason.",
    );
    let mut incomplete = Family::new(
        "eyas_sensor_events_incomplete_total",
        COUNTER,
        "Values in events that were cut or could not be read, by reason.",
    );
    let mut filtered = Family::new(
        "eyas_sensor_events_filtered_total",
        COUNTER,
        "System calls and the like that the kernel side turned away, by reason.",
    );
    for (kind, count) in engine.probe_counters().iter() {
        let family = match kind {
            kind if kind.is_drop() => &mut lost,
            kind if kind.is_filter() => &mut filtered,
            _ => &mut incomplete,
        };
        family.push(&[("reason", kind.name())], count);
    }
    vec![
        Family::new("eyas_sensor_events_total", COUNTER, "Event records read from the kernel.")
            .with(&[], stats.events.get()),
        by_type,
        lost,
        incomplete,
        filtered,
        Family::new(
            "eyas_sensor_events_malformed_total",
            COUNTER,
            "Event records that did not decode.",
        )
        .with(&[], stats.malformed.get()),
        Family::new(
            "eyas_sensor_events_without_container_total",
            COUNTER,
            "Events judged without knowing their container, although it was asked for.",
        )
        .with(&[], stats.unasked.get()),
    ]
}

fn tables(engine: &Engine) -> Vec<Family> {
    let stats = &engine.stats;
    vec![
        Family::new("eyas_sensor_containers", GAUGE, "Containers that are known.")
            .with(&[], engine.containers.count()),
        Family::new("eyas_sensor_processes", GAUGE, "Processes in the table.")
            .with(&[], stats.processes.get()),
        Family::new(
            "eyas_sensor_process_table_bytes",
            GAUGE,
            "Command lines and environments in the table of processes.",
        )
        .with(&[], stats.table_bytes.get()),
        Family::new(
            "eyas_sensor_processes_evicted_total",
            COUNTER,
            "Processes forgotten because the table was full.",
        )
        .with(&[], stats.evicted.get()),
    ]
}

fn rules(engine: &Engine) -> Vec<Family> {
    let stats = &engine.stats;
    let counts = engine.active.load().counts;
    let mut matches =
        Family::new("eyas_sensor_rule_matches_total", COUNTER, "Matches of rules, by rule.");
    let mut cost = Family::new(
        "eyas_sensor_rule_cost_seconds_total",
        COUNTER,
        "Estimated time spent on the conditions of rules, by rule.",
    );
    for (rule, of_rule) in stats.by_rule() {
        if of_rule.matches > 0 {
            matches.push(&[("rule", &rule)], of_rule.matches);
        }
        if of_rule.cost_ns > 0 {
            cost.push(&[("rule", &rule)], of_rule.cost_ns as f64 / 1e9);
        }
    }
    vec![
        Family::new("eyas_sensor_rules_loaded", GAUGE, "Rules in the files in force.")
            .with(&[], counts.loaded),
        Family::new("eyas_sensor_rules_enabled", GAUGE, "Rules that are evaluated.")
            .with(&[], counts.enabled),
        Family::new("eyas_sensor_reloads_total", COUNTER, "Reloads, by what came of them.")
            .with(&[("result", "accepted")], stats.reloads.get())
            .with(&[("result", "refused")], stats.refused.get()),
        matches,
        cost,
        Family::new(
            "eyas_sensor_alerts_held_back_total",
            COUNTER,
            "Alerts held back by the rate limit or as repetitions.",
        )
        .with(&[], stats.held.get()),
        Family::new(
            "eyas_sensor_watchers",
            GAUGE,
            "Clients that watch alerts over the control socket.",
        )
        .with(&[], engine.taps.count()),
    ]
}

fn outputs(engine: &Engine) -> Vec<Family> {
    let sinks = engine.sinks.counts();
    let kinds: [OfOutput; 4] = [
        ("eyas_sensor_alerts_written_total", COUNTER, "Alerts an output has taken.", |sink| {
            sink.written
        }),
        (
            "eyas_sensor_alerts_dropped_total",
            COUNTER,
            "Alerts lost because an output's queue was full.",
            |sink| sink.dropped,
        ),
        (
            "eyas_sensor_alerts_failed_total",
            COUNTER,
            "Alerts an output could not deliver.",
            |sink| sink.failed,
        ),
        (
            "eyas_sensor_output_queue_bytes",
            GAUGE,
            "Bytes of alerts that wait for an output.",
            |sink| sink.waiting_bytes,
        ),
    ];
    let family = |(name, kind, help, value): OfOutput| {
        let empty = Family::new(name, kind, help);
        sinks.iter().fold(empty, |family, sink| family.with(&[("output", &sink.name)], value(sink)))
    };
    kinds.map(family).into()
}

fn recordings(engine: &Engine) -> Vec<Family> {
    let totals = &engine.recordings.totals;
    let of = |total: &AtomicU64| total.load(Ordering::Relaxed);
    vec![
        Family::new(
            "eyas_sensor_recordings_total",
            COUNTER,
            "Recordings, by whether their file could be written.",
        )
        .with(&[("result", "begun")], of(&totals.files))
        .with(&[("result", "failed")], of(&totals.failed)),
        Family::new("eyas_sensor_recorded_events_total", COUNTER, "Events written to recordings.")
            .with(&[], of(&totals.events)),
        Family::new("eyas_sensor_recorded_bytes_total", COUNTER, "Bytes written to recordings.")
            .with(&[], of(&totals.bytes)),
        Family::new(
            "eyas_sensor_recorded_events_lost_total",
            COUNTER,
            "Events that recordings lack because the disk was too slow or full.",
        )
        .with(&[], of(&totals.lost)),
        Family::new(
            "eyas_sensor_recording_queue_bytes",
            GAUGE,
            "Bytes of events that wait to be written to recordings.",
        )
        .with(&[], engine.recordings.waiting_bytes()),
    ]
}

fn resources(engine: &Engine) -> Vec<Family> {
    let usage = usage::now();
    vec![
        Family::new("eyas_sensor_resident_memory_bytes", GAUGE, "Resident memory of the sensor.")
            .with(&[], usage.resident_bytes),
        Family::new(
            "eyas_sensor_cpu_seconds_total",
            COUNTER,
            "Processor time the sensor has used.",
        )
        .with(&[], usage.cpu_seconds),
        Family::new("eyas_sensor_event_rounds_total", COUNTER, "Rounds of the event thread.")
            .with(&[], engine.stats.polls.get()),
    ]
}

#[cfg(test)]
mod tests {
    /// This file and the page that documents it name the same figures.
    #[test]
    fn every_figure_is_documented_and_every_documented_one_is_there() {
        let names = |text: &str| -> std::collections::BTreeSet<String> {
            let word = |c: char| !(c.is_ascii_lowercase() || c == '_');
            let words = text.split(word).filter(|word| word.starts_with("eyas_sensor_"));
            words.map(str::to_owned).collect()
        };
        let mut ours = names(include_str!("figures.rs"));
        ours.remove("eyas_sensor_");
        assert_eq!(ours, names(include_str!("../../../docs/sensor.md")));
    }
}

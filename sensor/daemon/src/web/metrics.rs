//! Figures in Prometheus' text format (exposition format 0.0.4). Names are documented in
//! `docs/sensor.md` and are only ever added to.

use std::fmt::Write as _;

use eyas_abi::schema;

use eyas_output::SinkCounts;

use crate::engine::Engine;
use crate::usage;

/// Name, kind and help of a family of figures about outputs, and how to read one.
type Family = (&'static str, &'static str, &'static str, fn(&SinkCounts) -> u64);

/// A text that grows by families.
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (position, (key, text)) in labels.iter().enumerate() {
            let open = if position == 0 { '{' } else { ',' };
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{open}{key}=\"{text}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

/// All figures as they are now.
pub(super) fn text(engine: &Engine) -> String {
    let mut text = Text(String::new());
    identity(&mut text, engine);
    events(&mut text, engine);
    rules(&mut text, engine);
    outputs(&mut text, engine);
    resources(&mut text, engine);
    text.0
}

fn identity(text: &mut Text, engine: &Engine) {
    let status = engine.status();
    let probe = match &status.probe.source {
        eyas_control::ProbeSource::Embedded => "embedded",
        eyas_control::ProbeSource::Artifact { .. } => "artifact",
        _ => "none",
    };
    let digest = status.lock_digest.map(|digest| digest.to_string()).unwrap_or_default();
    text.family("eyas_sensor_info", "gauge", "What runs; the value is always 1.");
    text.sample(
        "eyas_sensor_info",
        &[
            ("version", &status.version),
            ("engine_version", &eyas_rules::collect::ENGINE_VERSION.to_string()),
            ("probe", probe),
            ("lock_digest", &digest),
        ],
        1,
    );
    let generation = status.generation.unwrap_or(0);
    text.one(
        "eyas_sensor_generation",
        "gauge",
        "Generation of the store in force, 0 for plain files.",
        generation,
    );
    text.one(
        "eyas_sensor_start_time_seconds",
        "gauge",
        "When the sensor started, seconds since the epoch.",
        engine.started().as_second(),
    );
}

fn events(text: &mut Text, engine: &Engine) {
    let stats = &engine.stats;
    let lost = engine.lost();
    text.one(
        "eyas_sensor_events_total",
        "counter",
        "Event records read from the kernel.",
        stats.events.get(),
    );
    text.family(
        "eyas_sensor_events_by_type_total",
        "counter",
        "Event records read, by event type.",
    );
    for (code, count) in stats.by_type.iter() {
        let name = schema::by_code(code).map_or("unknown", |event| event.name);
        let code = code.to_string();
        text.sample("eyas_sensor_events_by_type_total", &[("type", name), ("code", &code)], count);
    }
    text.family(
        "eyas_sensor_events_lost_total",
        "counter",
        "Event records that the kernel could not hand over, by reason.",
    );
    for (kind, count) in lost.iter().filter(|(kind, _)| kind.is_drop()) {
        text.sample("eyas_sensor_events_lost_total", &[("reason", kind.name())], count);
    }
    text.family(
        "eyas_sensor_events_incomplete_total",
        "counter",
        "Values in events that were cut or could not be read, by reason.",
    );
    for (kind, count) in lost.iter().filter(|(kind, _)| !kind.is_drop()) {
        text.sample("eyas_sensor_events_incomplete_total", &[("reason", kind.name())], count);
    }
    text.one(
        "eyas_sensor_events_malformed_total",
        "counter",
        "Event records that did not decode.",
        stats.malformed.get(),
    );
    text.one(
        "eyas_sensor_events_without_container_total",
        "counter",
        "Events judged without knowing their container, although it was asked for.",
        stats.unasked.get(),
    );
    text.one(
        "eyas_sensor_containers",
        "gauge",
        "Containers that are known.",
        engine.containers.count(),
    );
    text.one("eyas_sensor_processes", "gauge", "Processes in the table.", stats.processes.get());
    text.one(
        "eyas_sensor_processes_evicted_total",
        "counter",
        "Processes forgotten because the table was full.",
        stats.evicted.get(),
    );
}

fn rules(text: &mut Text, engine: &Engine) {
    let stats = &engine.stats;
    let counts = engine.status().rules;
    text.one("eyas_sensor_rules_loaded", "gauge", "Rules in the files in force.", counts.loaded);
    text.one("eyas_sensor_rules_enabled", "gauge", "Rules that are evaluated.", counts.enabled);
    text.family("eyas_sensor_reloads_total", "counter", "Reloads, by what came of them.");
    text.sample("eyas_sensor_reloads_total", &[("result", "accepted")], stats.reloads.get());
    text.sample("eyas_sensor_reloads_total", &[("result", "refused")], stats.refused.get());
    text.family("eyas_sensor_rule_matches_total", "counter", "Matches of rules, by rule.");
    for (rule, count) in stats.matches_by_rule() {
        text.sample("eyas_sensor_rule_matches_total", &[("rule", &rule)], count);
    }
    text.one(
        "eyas_sensor_alerts_held_back_total",
        "counter",
        "Alerts held back by the rate limit or as repetitions.",
        stats.held.get(),
    );
}

fn outputs(text: &mut Text, engine: &Engine) {
    let sinks = engine.sinks.counts();
    let families: [Family; 4] = [
        ("eyas_sensor_alerts_written_total", "counter", "Alerts an output has taken.", |sink| {
            sink.written
        }),
        (
            "eyas_sensor_alerts_dropped_total",
            "counter",
            "Alerts lost because an output's queue was full.",
            |sink| sink.dropped,
        ),
        (
            "eyas_sensor_alerts_failed_total",
            "counter",
            "Alerts an output could not deliver.",
            |sink| sink.failed,
        ),
        (
            "eyas_sensor_output_queue_bytes",
            "gauge",
            "Bytes of alerts that wait for an output.",
            |sink| sink.waiting_bytes,
        ),
    ];
    for (name, kind, help, value) in families {
        text.family(name, kind, help);
        for sink in &sinks {
            text.sample(name, &[("output", &sink.name)], value(sink));
        }
    }
}

fn resources(text: &mut Text, engine: &Engine) {
    let usage = usage::now();
    text.one(
        "eyas_sensor_resident_memory_bytes",
        "gauge",
        "Resident memory of the sensor.",
        usage.resident_bytes,
    );
    text.one(
        "eyas_sensor_cpu_seconds_total",
        "counter",
        "Processor time the sensor has used.",
        usage.cpu_seconds,
    );
    text.one(
        "eyas_sensor_event_rounds_total",
        "counter",
        "Rounds of the event thread.",
        engine.stats.polls.get(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This file and the page that documents it name the same figures.
    #[test]
    fn every_figure_is_documented_and_every_documented_one_is_there() {
        let names = |text: &str| -> std::collections::BTreeSet<String> {
            let word = |c: char| !(c.is_ascii_lowercase() || c == '_');
            let words = text.split(word).filter(|word| word.starts_with("eyas_sensor_"));
            words.map(str::to_owned).collect()
        };
        let ours = include_str!("metrics.rs");
        let page = include_str!("../../../../docs/sensor.md");
        let mut ours = names(ours);
        ours.remove("eyas_sensor_");
        assert_eq!(ours, names(page));
    }

    #[test]
    fn labels_are_escaped_as_the_format_asks() {
        let mut text = Text(String::new());
        text.family("x_total", "counter", "X.");
        text.sample("x_total", &[("a", "say \"hi\"\\\n"), ("b", "é")], 3);
        text.sample("x_total", &[], 1.5);
        let expected = "# HELP x_total X.\n# TYPE x_total counter\n\
                        x_total{a=\"say \\\"hi\\\"\\\\\\n\",b=\"é\"} 3\nx_total 1.5\n";
        assert_eq!(text.0, expected);
    }
}

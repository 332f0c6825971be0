//! Metrics in the Prometheus text format, version 0.0.4. The names are documented in
//! `docs/follow.md` and are kept.

use std::fmt::Write as _;

use eyas_ops::ConfirmedState;
use jiff::Timestamp;

use super::http::Page;
use super::pulse::{BUCKETS, ReferenceReport, Report};

/// States of the sensor, as a label.
const SENSOR_STATES: [(ConfirmedState, &str); 7] = [
    (ConfirmedState::Confirmed, "confirmed"),
    (ConfirmedState::Other, "other"),
    (ConfirmedState::Refused, "refused"),
    (ConfirmedState::Absent, "absent"),
    (ConfirmedState::NotAsked, "not-asked"),
    (ConfirmedState::Nothing, "nothing"),
    (ConfirmedState::Unreachable, "unreachable"),
];

/// The page of metrics.
pub(super) fn page(report: &Report, started: Timestamp) -> Page {
    Page {
        status: "200 OK",
        media: "text/plain; version=0.0.4; charset=utf-8",
        body: render(report, started),
    }
}

fn render(report: &Report, started: Timestamp) -> String {
    let mut out = Text::default();
    let version = env!("CARGO_PKG_VERSION");
    out.family("eyas_build_info", "gauge", "The release that runs; the value is always 1.");
    out.sample("eyas_build_info", &[("version", version)], 1);
    out.family("eyas_follow_start_time_seconds", "gauge", "When the service started.");
    out.sample("eyas_follow_start_time_seconds", &[], seconds(started));
    per_reference(&mut out, &report.references);
    out.family("eyas_follow_check_duration_seconds", "histogram", "How long checks took.");
    histogram(&mut out, report);
    out.family("eyas_follow_fetched_bytes_total", "counter", "Bytes of layers that were fetched.");
    out.sample("eyas_follow_fetched_bytes_total", &[], report.bytes);
    let help = "Installed files that were found changed or deleted and were put right.";
    out.family("eyas_follow_repaired_files_total", "counter", help);
    out.sample("eyas_follow_repaired_files_total", &[], report.files_repaired);
    let help = "How often the configuration was read again.";
    out.family("eyas_follow_configuration_reloads_total", "counter", help);
    for (result, count) in [("ok", report.reloads), ("failed", report.reloads_failed)] {
        out.sample("eyas_follow_configuration_reloads_total", &[("result", result)], count);
    }
    let help = "Number of the active generation; 0 when nothing is installed.";
    out.family("eyas_generation", "gauge", help);
    out.sample("eyas_generation", &[], report.generation.unwrap_or(0));
    out.family("eyas_sensor_state", "gauge", "1 for how the sensor stands to what is active.");
    for (state, name) in SENSOR_STATES {
        let is = report.sensor.as_ref().is_some_and(|sensor| sensor.state == state);
        out.sample("eyas_sensor_state", &[("state", name)], u8::from(is));
    }
    out.0
}

/// A number of one reference.
type Count = fn(&ReferenceReport) -> u64;
/// A time of one reference, if there was one.
type Time = fn(&ReferenceReport) -> Option<Timestamp>;

fn per_reference(out: &mut Text, references: &[ReferenceReport]) {
    let counts: [(&str, &str, Count); 3] = [
        ("eyas_follow_checks_total", "Checks that have ended.", |one| one.checks),
        ("eyas_follow_updates_total", "Updates that were installed.", |one| one.updates),
        ("eyas_follow_refused_total", "Checks that found what was refused before.", |one| {
            one.refused
        }),
    ];
    for (name, help, count) in counts {
        out.family(name, "counter", help);
        for one in references {
            out.sample(name, &[("reference", &one.name)], count(one));
        }
    }
    let name = "eyas_follow_failures_total";
    out.family(name, "counter", "Checks that failed, by class of failure.");
    for one in references {
        for (class, count) in &one.failures {
            out.sample(name, &[("reference", &one.name), ("class", class)], count);
        }
    }
    let times: [(&str, &str, Time); 3] = [
        ("eyas_follow_last_check_timestamp_seconds", "When the last check ended.", |one| {
            one.last_check
        }),
        (
            "eyas_follow_last_success_timestamp_seconds",
            "When a check last found all as it should be.",
            |one| one.last_success,
        ),
        ("eyas_follow_next_check_timestamp_seconds", "When the next check is due.", |one| one.next),
    ];
    for (name, help, time) in times {
        out.family(name, "gauge", help);
        for one in references {
            // Zero would be an alarm about 1970; what has not happened is left out.
            if let Some(time) = time(one) {
                out.sample(name, &[("reference", &one.name)], seconds(time));
            }
        }
    }
}

fn histogram(out: &mut Text, report: &Report) {
    let name = "eyas_follow_check_duration_seconds";
    let bucket = format!("{name}_bucket");
    let mut below = 0;
    for (bound, count) in BUCKETS.iter().zip(report.durations.counts) {
        below += count;
        out.sample(&bucket, &[("le", &bound.to_string())], below);
    }
    out.sample(&bucket, &[("le", "+Inf")], report.durations.all);
    out.sample(&format!("{name}_sum"), &[], report.durations.sum);
    out.sample(&format!("{name}_count"), &[], report.durations.all);
}

fn seconds(at: Timestamp) -> String {
    format!("{}.{:03}", at.as_second(), at.subsec_millisecond().max(0))
}

/// Text of metrics under construction.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            let open = if place == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"{}\"", escaped(text));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_metric_is_there_and_every_one_is_documented() {
        let documented = include_str!("../../../docs/follow.md");
        let mut report = Report::default();
        report.follow(&["a:1".parse().expect("a name")], None);
        let text = render(&report, Timestamp::UNIX_EPOCH);
        let families: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert!(families.len() > 10);
        for family in &families {
            assert!(documented.contains(&format!("| `{family}` |")), "{family} is not documented");
        }
        for line in documented.lines().filter_map(|line| line.strip_prefix("| `eyas_")) {
            let name = format!("eyas_{}", line.split('`').next().unwrap_or_default());
            assert!(families.contains(&name.as_str()), "{name} is not rendered");
        }
    }

    #[test]
    fn labels_cannot_break_a_line() {
        let mut out = Text::default();
        out.sample("x", &[("a", "one\"two\\three\nfour"), ("b", "c")], 1);
        assert_eq!(out.0, "x{a=\"one\\\"two\\\\three\\nfour\",b=\"c\"} 1\n");
    }

    #[test]
    fn buckets_add_up() {
        let mut report = Report::default();
        report.durations.counts[0] = 2;
        report.durations.counts[2] = 1;
        report.durations.all = 4;
        let text = render(&report, Timestamp::UNIX_EPOCH);
        assert!(text.contains("_bucket{le=\"0.01\"} 2\n"), "{text}");
        assert!(text.contains("_bucket{le=\"30\"} 3\n"), "{text}");
        assert!(text.contains("_bucket{le=\"+Inf\"} 4\n"), "{text}");
    }
}

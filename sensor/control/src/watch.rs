//! Documents about what goes on in a running daemon: figures, rules, processes, alerts as they come.
//!
//! As everywhere on the wire, names may be added to and are never renamed; what a client does not
//! know it passes over.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a figure is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FigureKind {
    /// Counts up from the start of the daemon.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A kind of a newer daemon.
    #[serde(other)]
    Untyped,
}

impl fmt::Display for FigureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Untyped => "untyped",
        })
    }
}

/// A value: whole where it can be, so that large counts stay exact.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A count or a size.
    Whole(u64),
    /// Seconds and the like.
    Real(f64),
}

impl Value {
    /// The value, rounded where a whole number is too large for it.
    #[expect(clippy::cast_precision_loss, reason = "it says so")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Real(value) => value,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => value.fmt(f),
            Self::Real(value) => value.fmt(f),
        }
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Whole(value as u64)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

/// One value of a [`Family`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Names and values of labels, in the order in which they are shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: Value,
}

/// Values of one name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Family {
    /// Name, as documented.
    pub name: String,
    /// How the values are to be read.
    pub kind: FigureKind,
    /// One sentence.
    pub help: String,
    /// The values.
    pub samples: Vec<Sample>,
}

impl Family {
    /// A family without values yet.
    pub fn new(name: &str, kind: FigureKind, help: &str) -> Self {
        Self { name: name.into(), kind, help: help.into(), samples: Vec::new() }
    }

    /// The same with one more value.
    #[must_use]
    pub fn with(mut self, labels: &[(&str, &str)], value: impl Into<Value>) -> Self {
        self.push(labels, value);
        self
    }

    /// Adds a value.
    pub fn push(&mut self, labels: &[(&str, &str)], value: impl Into<Value>) {
        let labels = labels.iter().map(|(key, text)| ((*key).into(), (*text).into())).collect();
        self.samples.push(Sample { labels, value: value.into() });
    }
}

/// All figures of a daemon.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// By name.
    pub families: Vec<Family>,
}

impl Figures {
    /// The family of that name.
    pub fn family(&self, name: &str) -> Option<&Family> {
        self.families.iter().find(|family| family.name == name)
    }

    /// Sum of a family's values; 0 for one that is not there.
    pub fn sum(&self, name: &str) -> f64 {
        let samples = self.family(name).map_or(&[][..], |family| &family.samples);
        samples.iter().map(|sample| sample.value.as_f64()).sum()
    }
}

impl fmt::Display for Figures {
    /// Prometheus' text format (exposition format 0.0.4). Families without values are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Family { name, kind, help, samples } in &self.families {
            if samples.is_empty() {
                continue;
            }
            writeln!(f, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
            for Sample { labels, value } in samples {
                f.write_str(name)?;
                for (position, (key, text)) in labels.iter().enumerate() {
                    let open = if position == 0 { '{' } else { ',' };
                    write!(f, "{open}{key}=\"{}\"", escaped(text))?;
                }
                writeln!(f, "{} {value}", if labels.is_empty() { "" } else { "}" })?;
            }
        }
        Ok(())
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// One rule of the set in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleInfo {
    /// Name.
    pub name: String,
    /// Priority as alerts spell it.
    pub priority: String,
    /// Event source.
    pub source: String,
    /// Tags, sorted.
    pub tags: Vec<String>,
    /// Whether it is evaluated.
    pub enabled: bool,
    /// Matches since the daemon started.
    pub matches: u64,
    /// Estimated time spent on its condition since the daemon started, seconds.
    pub cost_seconds: f64,
    /// What it is for.
    pub description: String,
}

/// The rules in force, in order of evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// The generation they came from.
    pub generation: Option<u64>,
    /// The rules.
    pub rules: Vec<RuleInfo>,
    /// What was switched over the control socket, in order, and holds until it is taken back or the
    /// daemon ends.
    pub switched: Vec<Switch>,
}

/// Switches some rules on or off. With both a pattern and a tag, both apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// On, or off.
    pub enable: bool,
    /// Rules whose whole name matches; `*` stands for any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Rules that have this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// Asks for rules to be switched, after what files and configuration say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Select {
    /// First take back what was switched before.
    #[serde(default)]
    pub reset: bool,
    /// What to switch, the last that concerns a rule wins.
    #[serde(default)]
    pub switches: Vec<Switch>,
}

/// One process and how much it did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Process id on the host.
    pub pid: u32,
    /// Name, if the process is known.
    pub name: String,
    /// Command line, cut.
    pub command: String,
    /// Id of its container; `host` for none.
    pub container: String,
    /// Events of it that reached the daemon within [`Processes::seconds`].
    pub events: u64,
}

/// Who makes most events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Processes {
    /// How long was counted, seconds; 0 when counting has just begun because somebody asked.
    pub seconds: f64,
    /// The busiest first.
    pub processes: Vec<ProcessInfo>,
}

/// Asks for a change of what the daemon says about itself, or what it is with `level` absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetLogLevel {
    /// `error`, `warning`, `info` or `debug`.
    #[serde(default)]
    pub level: Option<String>,
}

/// What the daemon says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLevel {
    /// The level in force.
    pub level: String,
}

/// Asks for alerts as they come, until either side closes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribe {
    /// Only of rules whose whole name matches one of these; `*` stands for any text. Empty: all.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Only as severe as this or more.
    #[serde(default)]
    pub priority: Option<String>,
}

/// What comes after the answer to a [`Subscribe`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Item {
    /// One alert: the object that outputs write in JSON.
    Alert(serde_json::Value),
    /// Alerts that found no room since the last item, because the client reads too slowly.
    Missed(u64),
    /// Nothing happened for a while, and the daemon is still there.
    Alive {},
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_laid_out_as_prometheus_reads_them() {
        let family = Family::new("x_total", FigureKind::Counter, "X.")
            .with(&[("a", "say \"hi\"\\\n"), ("b", "é")], 3_u64)
            .with(&[], 1.5);
        let none = Family::new("none_total", FigureKind::Counter, "None.");
        let figures = Figures { families: vec![family, none] };
        let expected = "# HELP x_total X.\n# TYPE x_total counter\n\
                        x_total{a=\"say \\\"hi\\\"\\\\\\n\",b=\"é\"} 3\nx_total 1.5\n";
        assert_eq!(figures.to_string(), expected);
        assert!((figures.sum("x_total") - 4.5).abs() < f64::EPSILON);
        assert!(figures.sum("y_total").abs() < f64::EPSILON);
        let sent = serde_json::to_string(&figures).unwrap();
        assert_eq!(serde_json::from_str::<Figures>(&sent).unwrap(), figures);
    }

    #[test]
    fn a_kind_of_a_newer_daemon_is_taken() {
        let found: FigureKind = serde_json::from_str("\"histogram\"").unwrap();
        assert_eq!(found, FigureKind::Untyped);
    }
}

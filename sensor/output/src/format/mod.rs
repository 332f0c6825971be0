//! An alert as one line: text as the inside of a JSON string, or a JSON object with sorted keys.
//!
//! The layout is the one that receivers of Falco's alerts parse; every key and every switch is part
//! of that contract.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use eyas_rules::eval::RenderedAlert;
use eyas_rules::fields::live::{LocalTime, civil};
use eyas_rules::format::FieldJson;
use serde::Serialize;

use crate::alert::Internal;

/// How alerts are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own, as users know it")]
pub struct Format {
    /// JSON instead of text.
    pub json: bool,
    /// JSON: the whole text line as `output`.
    pub include_output: bool,
    /// JSON: the message alone as `message`.
    pub include_message: bool,
    /// JSON: the fields as `output_fields`.
    pub include_fields: bool,
    /// JSON: the rule's tags as `tags`.
    pub include_tags: bool,
    /// The line begins with UTC date and time instead of the local time of day.
    pub time_iso_8601: bool,
    /// Name of this host.
    pub hostname: Arc<str>,
    /// Local time.
    pub local: LocalTime,
}

impl Default for Format {
    fn default() -> Self {
        Self {
            json: false,
            include_output: true,
            include_message: false,
            include_fields: true,
            include_tags: true,
            time_iso_8601: false,
            hostname: Arc::from(""),
            local: LocalTime::utc(),
        }
    }
}

/// One alert in JSON. Keys are in the order in which they must appear.
#[derive(Serialize)]
struct Line<'a> {
    hostname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_fields: Option<BTreeMap<&'a str, &'a FieldJson>>,
    priority: &'a str,
    rule: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<&'a str>>,
    time: String,
}

impl Format {
    /// The same as JSON with all that may be left out, for those who watch.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self {
            json: true,
            include_output: true,
            include_fields: true,
            include_tags: true,
            ..self.clone()
        }
    }

    /// The line of `alert`, without a line feed at its end and with none inside. `time_ns` is the
    /// event's time, nanoseconds since the epoch.
    pub fn line(&self, time_ns: u64, alert: &RenderedAlert) -> String {
        let prefix = self.prefix(time_ns);
        let output = format!("{prefix}: {} {}", alert.priority, alert.message);
        if !self.json {
            return escape(&output);
        }
        let time = FieldJson::Uint(time_ns);
        let fields = self.include_fields.then(|| {
            let named = alert.output_fields.iter().map(|(name, value)| (name.as_str(), value));
            named.chain([(self.time_field(), &time)]).collect()
        });
        let tags = self.include_tags.then(|| {
            let mut tags: Vec<&str> = alert.tags.iter().map(String::as_str).collect();
            tags.sort_unstable();
            tags
        });
        encode(&Line {
            hostname: &self.hostname,
            message: self.include_message.then_some(&alert.message),
            output: self.include_output.then_some(&output),
            output_fields: fields,
            priority: alert.priority,
            rule: &alert.rule,
            source: &alert.source,
            tags,
            time: civil(time_ns, "Z"),
        })
    }

    /// The line of something the sensor says about itself.
    pub fn internal_line(&self, internal: &Internal) -> String {
        let fields: BTreeMap<&str, &FieldJson> =
            internal.fields.iter().map(|(name, value)| (name.as_str(), value)).collect();
        if !self.json {
            let mut line = format!(
                "{}: {} {} (",
                self.prefix(internal.time_ns),
                internal.priority,
                // It may name a rule, whose name may be anything.
                escape(&internal.message)
            );
            for (position, (name, value)) in fields.iter().enumerate() {
                let gap = if position == 0 { "" } else { " " };
                let value = encode(value);
                // Writing to a String cannot fail.
                let _ = write!(line, "{gap}{name}={value}");
            }
            line.push(')');
            return line;
        }
        encode(&Line {
            hostname: &self.hostname,
            message: None,
            output: Some(&internal.message),
            output_fields: Some(fields),
            priority: internal.priority,
            rule: &internal.rule,
            source: "internal",
            tags: None,
            time: civil(internal.time_ns, "Z"),
        })
    }

    fn prefix(&self, time_ns: u64) -> String {
        if self.time_iso_8601 { civil(time_ns, "+0000") } else { self.local.time_of_day(time_ns) }
    }

    fn time_field(&self) -> &'static str {
        if self.time_iso_8601 { "evt.time.iso8601" } else { "evt.time" }
    }
}

/// `text` as it stands between the quotes of a JSON string.
fn escape(text: &str) -> String {
    let quoted = encode(&text);
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// JSON without blanks. Everything given to it is text, numbers and lists, which always encode.
fn encode(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;

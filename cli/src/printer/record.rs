//! One message: a level, a sentence and named values.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::pairs;
use crate::args::{LogFormat, LogLevel};
use crate::personality::Words;

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Short, for a person.
    Plain,
    /// The same in colour.
    Colour,
    /// With time and level.
    Text,
    /// With local time, level and named values, as `falcoctl` writes them.
    Pairs {
        /// In colour.
        colour: bool,
    },
    /// One JSON object, with the time as it is customary.
    Json(Words),
}

impl Style {
    /// The style for what was asked, and where the messages go.
    pub(crate) fn choose(words: Words, asked: Option<LogFormat>, colour: bool) -> Self {
        let short = !matches!(asked, Some(LogFormat::Text));
        match (words, asked) {
            (words, Some(LogFormat::Json)) => Self::Json(words),
            (Words::Falcoctl, _) => Self::Pairs { colour: colour && short },
            (Words::Ours, Some(LogFormat::Text)) => Self::Text,
            (Words::Ours, None | Some(LogFormat::Color)) if colour => Self::Colour,
            (Words::Ours, None | Some(LogFormat::Color)) => Self::Plain,
        }
    }
}

/// A message.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) level: LogLevel,
    pub(super) message: String,
    pub(super) pairs: Vec<(&'static str, Value)>,
    pub(super) details: Vec<String>,
}

impl Record {
    /// A message without values.
    pub(crate) fn new(level: LogLevel, message: impl Into<String>) -> Self {
        Self { level, message: message.into(), pairs: Vec::new(), details: Vec::new() }
    }

    /// Adds a named value, unless it is nothing. The forms for people leave it out, as their sentence
    /// says it already.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.pairs.push((name, value));
        }
        self
    }

    /// Adds a line below the message, such as a hint or a report with its source line.
    pub(crate) fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// The line or lines, ended.
    pub(crate) fn render(&self, style: Style, now: Timestamp) -> String {
        match style {
            Style::Plain => self.for_people(false),
            Style::Colour => self.for_people(true),
            Style::Text => self.with_time(now),
            Style::Pairs { colour } => pairs::render(self, now, colour),
            Style::Json(words) => self.json(now, words),
        }
    }

    fn for_people(&self, colour: bool) -> String {
        let (word, paint) = match self.level {
            LogLevel::Error => ("error: ", "\u{1b}[1;31m"),
            LogLevel::Warn => ("warning: ", "\u{1b}[1;33m"),
            LogLevel::Info => ("", ""),
            LogLevel::Debug | LogLevel::Trace => ("debug: ", "\u{1b}[2m"),
        };
        let mut out = String::new();
        if colour && !word.is_empty() {
            let _ = write!(out, "{paint}{word}\u{1b}[0m");
        } else {
            out.push_str(word);
        }
        out.push_str(&printable(&self.message));
        for detail in &self.details {
            for line in detail.lines() {
                let _ = write!(out, "\n  {}", printable(line));
            }
        }
        out.push('\n');
        out
    }

    fn with_time(&self, now: Timestamp) -> String {
        let mut out = format!("{now:.3} {:<5} {}", level_name(self.level), one_line(&self.message));
        for (name, value) in &self.pairs {
            let _ = match value {
                Value::String(text) if !text.contains([' ', '"', '\n']) => {
                    write!(out, " {name}={text}")
                }
                other => write!(out, " {name}={other}"),
            };
        }
        for detail in self.details.iter().flat_map(|detail| detail.lines()) {
            let _ = write!(out, "\n    {}", printable(detail));
        }
        out.push('\n');
        out
    }

    fn json(&self, now: Timestamp, words: Words) -> String {
        let mut object = Map::new();
        object.insert("level".to_owned(), level_name(self.level).into());
        object.insert("msg".to_owned(), self.message.clone().into());
        let at = match words {
            Words::Ours => format!("{now:.3}"),
            Words::Falcoctl => pairs::local(now),
        };
        object.insert("timestamp".to_owned(), at.into());
        for (name, value) in &self.pairs {
            object.insert((*name).to_owned(), value.clone());
        }
        if !self.details.is_empty() {
            object.insert("details".to_owned(), self.details.clone().into());
        }
        format!("{}\n", Value::Object(object))
    }
}

pub(super) const fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "ERROR",
        LogLevel::Warn => "WARN",
        LogLevel::Info => "INFO",
        LogLevel::Debug => "DEBUG",
        LogLevel::Trace => "TRACE",
    }
}

/// The text on one line, without control characters.
pub(super) fn one_line(text: &str) -> String {
    printable(text).replace('\n', " ")
}

/// The text without control characters: what a registry says must not drive a terminal.
pub(super) fn printable(text: &str) -> String {
    let harmless = |c: char| c == '\n' || c == '\t' || !c.is_control();
    text.chars().map(|c| if harmless(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Record, Timestamp) {
        let record = Record::new(LogLevel::Warn, "tag `1` moved")
            .with("name", "demo")
            .with("bytes", 12)
            .detail("hint: look");
        (record, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn plain_is_a_sentence_with_its_details_below() {
        let (record, now) = sample();
        assert_eq!(record.render(Style::Plain, now), "warning: tag `1` moved\n  hint: look\n");
    }

    #[test]
    fn text_has_time_level_and_values() {
        let (record, now) = sample();
        let expected =
            "1970-01-01T00:00:00.000Z WARN  tag `1` moved name=demo bytes=12\n    hint: look\n";
        assert_eq!(record.render(Style::Text, now), expected);
    }

    #[test]
    fn json_is_one_line() {
        let (record, now) = sample();
        let line = record.render(Style::Json(Words::Ours), now);
        assert_eq!(line.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(value["level"], "WARN");
        assert_eq!(value["name"], "demo");
        assert_eq!(value["bytes"], 12);
        assert_eq!(value["timestamp"], "1970-01-01T00:00:00.000Z");
        assert_eq!(value["details"][0], "hint: look");
    }

    #[test]
    fn colour_is_for_a_terminal_without_no_color() {
        let ours = |asked, colour| Style::choose(Words::Ours, asked, colour);
        assert_eq!(ours(None, true), Style::Colour);
        assert_eq!(ours(None, false), Style::Plain);
        assert_eq!(ours(Some(LogFormat::Color), false), Style::Plain);
        assert_eq!(ours(Some(LogFormat::Json), true), Style::Json(Words::Ours));
        let theirs = |asked, colour| Style::choose(Words::Falcoctl, asked, colour);
        assert_eq!(theirs(None, true), Style::Pairs { colour: true });
        assert_eq!(theirs(Some(LogFormat::Text), true), Style::Pairs { colour: false });
        assert_eq!(theirs(Some(LogFormat::Json), false), Style::Json(Words::Falcoctl));
        let (record, now) = sample();
        assert!(record.render(Style::Colour, now).contains('\u{1b}'));
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        let record = Record::new(LogLevel::Error, "bad \u{1b}[2J name").detail("a\u{7}b");
        for style in [Style::Plain, Style::Text, Style::Pairs { colour: false }] {
            let line = record.render(style, Timestamp::UNIX_EPOCH);
            assert!(!line.contains('\u{1b}') && !line.contains('\u{7}'), "{line:?}");
        }
    }
}

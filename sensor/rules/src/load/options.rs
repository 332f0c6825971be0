//! What a load depends on besides the files.
use crate::collect::{DEFAULT_SOURCE, Plugin, Priority};
use crate::eval::Matching;
use crate::fields::StaticFields;
use crate::format::{AppendOutput, Style};

use super::select::Selection;

/// Settings of the engine that loads.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Event sources the engine knows; rules of others are not loaded.
    pub sources: Vec<String>,
    /// Loaded plugins; nothing if requirements on plugins are not to be checked.
    pub plugins: Option<Vec<Plugin>>,
    /// Rules less severe than this are checked, but never run.
    pub min_priority: Priority,
    /// Which rules run, applied in order to what the files say.
    pub selections: Vec<Selection>,
    /// Whether an event gives one alert or one per matching rule.
    pub matching: Matching,
    /// What is added to outputs, in order.
    pub append_output: Vec<AppendOutput>,
    /// Constants, as fields `static.NAME`.
    pub static_fields: StaticFields,
    /// The time field of alerts is `evt.time.iso8601` instead of `evt.time`.
    pub iso_time: bool,
    /// How values are printed.
    pub style: Style,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            sources: vec![DEFAULT_SOURCE.to_owned()],
            plugins: None,
            min_priority: Priority::Debug,
            selections: Vec::new(),
            matching: Matching::First,
            append_output: vec![AppendOutput::suggested()],
            static_fields: StaticFields::default(),
            iso_time: false,
            style: Style::default(),
        }
    }
}

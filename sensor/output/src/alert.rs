//! What the sensor says about itself. What it says about events is `eyas-rules`' [`RenderedAlert`].
//!
//! [`RenderedAlert`]: eyas_rules::eval::RenderedAlert

use std::sync::Arc;

use eyas_rules::format::FieldJson;

/// Something the sensor says about itself, such as that it lost events.
#[derive(Debug, Clone, PartialEq)]
pub struct Internal {
    /// Nanoseconds since the epoch.
    pub time_ns: u64,
    /// `Falco internal: syscall event drop` and its kin: receivers know them by these names.
    pub rule: Arc<str>,
    /// Name of the priority as alerts spell it.
    pub priority: &'static str,
    /// One sentence.
    pub message: String,
    /// Details.
    pub fields: Vec<(String, FieldJson)>,
}

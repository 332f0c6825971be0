//! One alert on its way out: its line, and what a sink may need to know beside it.

use std::sync::Arc;

use eyas_rules::eval::RenderedAlert;

/// Names of priorities as alerts spell them, by the severity that syslog gives them (RFC 5424
/// section 6.2.1).
const SEVERITIES: [&str; 8] =
    ["Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug"];

/// A formatted alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    line: Box<str>,
    severity: u8,
    rule: Arc<str>,
}

impl Message {
    /// An alert's line with its priority's name and its rule's.
    pub fn new(line: impl Into<Box<str>>, priority: &str, rule: Arc<str>) -> Self {
        let severity = SEVERITIES.iter().position(|name| *name == priority);
        // A name that is not known is no less than worth a notice.
        let severity = severity.and_then(|at| u8::try_from(at).ok()).unwrap_or(5);
        Self { line: line.into(), severity, rule }
    }

    /// The line of a rule's match.
    pub fn of(line: String, alert: &RenderedAlert) -> Self {
        Self::new(line, alert.priority, Arc::clone(&alert.rule))
    }

    /// The line, without a line feed.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Severity in syslog's numbers: 0 is the worst, 7 the least.
    pub fn severity(&self) -> u8 {
        self.severity
    }

    /// Name of the rule.
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_syslogs_severities() {
        let severity = |name: &str| Message::new("x", name, Arc::from("r")).severity();
        assert_eq!(severity("Emergency"), 0);
        assert_eq!(severity("Informational"), 6);
        assert_eq!(severity("Debug"), 7);
        assert_eq!(severity("Odd"), 5);
    }
}

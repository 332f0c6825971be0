//! What the daemon says about itself, on standard error. Standard output belongs to alerts.
//!
//! The level is one number for the whole process, so that it can be changed while it runs.

use std::fmt;
use std::io::Write;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// What stops the daemon or refuses a request.
    Error,
    /// Also what should not be.
    Warning,
    /// Also what is worth knowing.
    Info,
    /// Also what helps to find out why.
    Debug,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

impl Level {
    const ALL: [Self; 4] = [Self::Error, Self::Warning, Self::Info, Self::Debug];

    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = String;

    /// Our four names, and the finer ones that a Falco configuration has.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "emergency" | "alert" | "critical" | "error" => Ok(Self::Error),
            "warning" => Ok(Self::Warning),
            "notice" | "info" | "informational" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            _ => {
                let known = Self::ALL.map(Self::name).join("`, `");
                Err(format!("log level `{text}` is not known, expected one of `{known}`"))
            }
        }
    }
}

/// How much is said now.
pub(crate) fn level() -> Level {
    let number = LEVEL.load(Ordering::Relaxed);
    Level::ALL.into_iter().find(|level| *level as u8 == number).unwrap_or(Level::Info)
}

/// Says more or less from now on.
pub(crate) fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Something that helps to find out why.
pub(crate) fn debug(message: &str) {
    line(Level::Debug, "debug: ", message);
}

/// Something worth knowing.
pub(crate) fn info(message: &str) {
    line(Level::Info, "", message);
}

/// Something that should not be, and that does not stop the daemon.
pub(crate) fn warn(message: &str) {
    line(Level::Warning, "warning: ", message);
}

/// Something that stops the daemon or refuses a request.
pub(crate) fn error(message: &str) {
    line(Level::Error, "error: ", message);
}

/// What to do about the line before.
pub(crate) fn hint(message: &str) {
    line(Level::Error, "hint: ", message);
}

fn line(at: Level, kind: &str, message: &str) {
    if at <= level() {
        // Nobody is left to tell if standard error is closed.
        let _ = writeln!(std::io::stderr().lock(), "eyasd: {kind}{message}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_levels_are_read_and_others_refused() {
        for (text, level) in [
            ("error", Level::Error),
            ("Emergency", Level::Error),
            ("warning", Level::Warning),
            ("notice", Level::Info),
            ("info", Level::Info),
            ("debug", Level::Debug),
        ] {
            assert_eq!(text.parse(), Ok(level), "{text}");
        }
        let refused = "loud".parse::<Level>().unwrap_err();
        assert!(refused.contains("`loud`") && refused.contains("`debug`"), "{refused}");
    }
}

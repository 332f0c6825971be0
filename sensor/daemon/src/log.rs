//! What the daemon says about itself, on standard error. Standard output belongs to alerts.

use std::io::Write;

/// Something worth knowing.
pub(crate) fn info(message: &str) {
    line("", message);
}

/// Something that should not be, and that does not stop the daemon.
pub(crate) fn warn(message: &str) {
    line("warning: ", message);
}

/// Something that stops the daemon or refuses a request.
pub(crate) fn error(message: &str) {
    line("error: ", message);
}

/// What to do about the line before.
pub(crate) fn hint(message: &str) {
    line("hint: ", message);
}

fn line(kind: &str, message: &str) {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(std::io::stderr().lock(), "eyasd: {kind}{message}");
}

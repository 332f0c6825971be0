//! `eyas sensor tail`: alerts as they come.

use std::io::{self, Write};
use std::path::Path;

use eyas_control::{Client, Item, Subscribe};
use eyas_ops::Class;
use serde_json::Value;

use super::failure;
use crate::args::SensorTailArgs;
use crate::exit::Failure;
use crate::printer::Printer;

/// Shows alerts until the reader leaves, the count is reached, or the sensor ends.
pub(super) fn run(args: &SensorTailArgs, path: &Path, printer: &Printer) -> anyhow::Result<()> {
    let subscribe = Subscribe { rules: args.rule.clone(), priority: args.priority.clone() };
    let mut alerts = Client::connect(path)
        .and_then(|client| client.subscribe(subscribe))
        .map_err(|error| failure(&error, path))?;
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        match alerts.next_item().map_err(|error| failure(&error, path))? {
            Some(Item::Alert(alert)) => {
                if !show(&alert, printer.is_json(), &mut io::stdout().lock())? {
                    return Ok(());
                }
                left -= 1;
            }
            Some(Item::Missed(count)) => {
                printer.warn(format!("`{count}` alerts were not shown: they came too fast"));
            }
            Some(_) => {}
            None => {
                let message = format!("the sensor on `{}` has ended", path.display());
                return Err(Failure { class: Class::Sensor, message, hint: None }.into());
            }
        }
    }
    Ok(())
}

/// Writes one alert: its line for people, the whole object for programs. `false` when the reader left.
fn show(alert: &Value, json: bool, out: &mut dyn Write) -> io::Result<bool> {
    let line = if json { alert.to_string() } else { text(alert) };
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// One line that cannot do anything to a terminal, whatever a process was called.
pub(super) fn text(alert: &Value) -> String {
    let said = alert["output"].as_str().unwrap_or_default();
    let rule = alert["rule"].as_str().unwrap_or_default();
    harmless(&format!("{said} [{rule}]"))
}

/// Control characters as they are written in source text.
pub(super) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_alert_is_one_line_and_does_nothing_to_the_terminal() {
        let alert = json!({"rule": "r", "output": "10:00: Notice \u{1b}[2J\nx"});
        let mut shown = Vec::new();
        assert!(show(&alert, false, &mut shown).expect("shown"));
        assert_eq!(String::from_utf8_lossy(&shown), "10:00: Notice \\u{1b}[2J\\nx [r]\n");
        let mut shown = Vec::new();
        assert!(show(&alert, true, &mut shown).expect("shown"));
        assert_eq!(serde_json::from_slice::<Value>(&shown).expect("JSON"), alert);
    }

    #[test]
    fn a_reader_that_leaves_is_the_end_and_no_error() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert!(!show(&json!({}), true, &mut Gone).expect("no error"));
    }
}

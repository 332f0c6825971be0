//! `eyas sensor top`: what goes on, live on a terminal, once elsewhere.
//!
//! Asks the sensor for figures twice and shows what happened between; what is shown and how is
//! [`view`]'s, the terminal's state is [`screen`]'s.

mod screen;
mod view;

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use eyas_control::{Client, Figures, Item, Processes, Rules, Status, Subscribe};

use self::screen::{Key, Screen};
use self::view::View;
use super::asked;
use super::tail::text;
use crate::args::SensorTopArgs;
use crate::exit::Failure;
use crate::printer::{Document, Printer};

/// Last alerts that are kept.
const MOST_ALERTS: usize = 64;

/// One look at the sensor.
struct Look {
    at: Instant,
    status: Status,
    figures: Figures,
    rules: Rules,
    processes: Processes,
}

impl Look {
    fn take(path: &Path) -> Result<Self, Failure> {
        asked(path, |client| {
            Ok(Self {
                at: Instant::now(),
                status: client.status()?,
                figures: client.metrics()?,
                rules: client.rules()?,
                processes: client.processes()?,
            })
        })
    }
}

/// Shows until told to stop, or once.
pub(super) fn run(args: &SensorTopArgs, path: &Path, printer: &Printer) -> anyhow::Result<()> {
    let every = Duration::from_secs(args.interval);
    let screen = if args.once || printer.is_json() { None } else { Screen::open()? };
    let before = Look::take(path)?;
    let Some(mut screen) = screen else {
        thread::sleep(every);
        let view = View::between(&before, &Look::take(path)?, &VecDeque::new());
        return Ok(printer.data(&view)?);
    };
    let alerts = watch(path.to_path_buf());
    live(&mut screen, path, every, before, &alerts)
}

fn live(
    screen: &mut Screen,
    path: &Path,
    every: Duration,
    mut before: Look,
    alerts: &Receiver<String>,
) -> anyhow::Result<()> {
    let mut last = VecDeque::new();
    let mut now = Look::take(path)?;
    loop {
        for alert in alerts.try_iter() {
            last.push_front(alert);
            last.truncate(MOST_ALERTS);
        }
        let size = screen.size();
        screen.show(&View::between(&before, &now, &last).draw(size))?;
        match screen.wait(every)? {
            Key::Quit => return Ok(()),
            // Another size, most likely, or a key that means nothing.
            Key::Other => {}
            Key::Nothing => before = std::mem::replace(&mut now, Look::take(path)?),
        }
    }
}

/// Alerts as they come, on a thread of its own; it ends with the sensor or with us.
fn watch(path: PathBuf) -> Receiver<String> {
    let (sender, alerts) = sync_channel(MOST_ALERTS);
    thread::spawn(move || {
        let found = Client::connect(path).and_then(|client| client.subscribe(Subscribe::default()));
        // Without alerts the rest is still worth seeing.
        let Ok(mut found) = found else { return };
        while let Ok(Some(item)) = found.next_item() {
            if let Item::Alert(alert) = item
                // A flood is shown as far as anybody could read it.
                && let Err(std::sync::mpsc::TrySendError::Disconnected(_)) =
                    sender.try_send(text(&alert))
            {
                return;
            }
        }
    });
    alerts
}

impl Document for View {
    const KIND: &'static str = "sensor.top";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        for line in self.lines(usize::MAX) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

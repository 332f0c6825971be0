//! Whether the sensor is alive, and whether it does what it is for.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Answer;
use crate::engine::Engine;

/// How long the event thread and the kernel may take to show that they are there.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked.
const STEP: Duration = Duration::from_millis(10);

/// Alive: the event thread turns, and where a probe runs, events arrive. On a quiet host a process is
/// started to see whether its start is reported.
pub(super) fn alive(engine: &Engine) -> Answer {
    let stats = &engine.stats;
    if engine.has_probe() {
        let signs = Signs {
            rounds: &|| stats.polls.get(),
            events: &|| stats.events.get(),
            seen: engine.seen_at_last_check(),
            canary: &canary,
        };
        if let Err(why) = signs.check(PATIENCE) {
            return unwell(&why);
        }
    }
    engine.checked(stats.events.get());
    Answer::json("200 OK", &serde_json::json!({ "status": "ok" }))
}

/// What a sensor that reads the kernel is judged by.
struct Signs<'a> {
    /// Rounds of the event thread.
    rounds: &'a dyn Fn() -> u64,
    /// Events read.
    events: &'a dyn Fn() -> u64,
    /// Events that had been read when this was last asked.
    seen: u64,
    /// Does something that the kernel must report.
    canary: &'a dyn Fn() -> std::io::Result<()>,
}

impl Signs<'_> {
    /// Why it is not alive, if it is not.
    fn check(&self, patience: Duration) -> Result<(), String> {
        let rounds = (self.rounds)();
        if !grows(patience, || (self.rounds)() > rounds) {
            return Err("the event thread does not turn".into());
        }
        let before = (self.events)();
        if before != self.seen {
            return Ok(());
        }
        (self.canary)()
            .map_err(|error| format!("a process to be seen cannot be started: {error}"))?;
        if grows(patience, || (self.events)() > before) {
            return Ok(());
        }
        Err("a process was started and the kernel reported no event".into())
    }
}

/// Ready: there are rules in force.
pub(super) fn ready(engine: &Engine) -> Answer {
    let status = engine.status();
    if status.rules.enabled == 0 {
        return unwell("no rule is enabled");
    }
    Answer::json(
        "200 OK",
        &serde_json::json!({
            "status": "ok",
            "generation": status.generation,
            "rules": status.rules.enabled,
            "probe": engine.has_probe(),
        }),
    )
}

fn unwell(why: &str) -> Answer {
    Answer::json(
        "503 Service Unavailable",
        &serde_json::json!({ "status": "unwell", "reason": why }),
    )
}

/// Starts a process that does nothing.
fn canary() -> std::io::Result<()> {
    Command::new("/proc/self/exe")
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map(drop)
}

fn grows(limit: Duration, found: impl Fn() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !found() {
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(STEP);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const SHORT: Duration = Duration::from_millis(30);

    /// A sensor whose thread turns or not, that reads events or not.
    #[expect(clippy::fn_params_excessive_bools, reason = "each is one thing that may fail")]
    fn check(turns: bool, busy: bool, reports: bool, starts: bool) -> Result<(), String> {
        let (rounds, events) = (Cell::new(5), Cell::new(if busy { 8 } else { 7 }));
        let canary = || {
            if reports {
                events.set(events.get() + 1);
            }
            if starts { Ok(()) } else { Err(std::io::ErrorKind::OutOfMemory.into()) }
        };
        let turn = || {
            rounds.set(rounds.get() + u64::from(turns));
            rounds.get()
        };
        Signs { rounds: &turn, events: &|| events.get(), seen: 7, canary: &canary }.check(SHORT)
    }

    #[test]
    fn a_sensor_is_alive_while_events_arrive_or_can_be_made_to() {
        assert_eq!(check(true, true, false, false), Ok(()), "no canary is needed");
        assert_eq!(check(true, false, true, true), Ok(()));
    }

    #[test]
    fn a_sensor_that_sees_nothing_is_not_alive() {
        assert!(check(true, false, false, true).unwrap_err().contains("reported no event"));
        assert!(check(false, true, true, true).unwrap_err().contains("does not turn"));
        assert!(check(true, false, false, false).unwrap_err().contains("cannot be started"));
    }
}

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
    let polls = stats.polls.get();
    if engine.has_probe() && !grows(PATIENCE, || stats.polls.get() > polls) {
        return unwell("the event thread does not turn");
    }
    if engine.has_probe() && stats.events.get() == engine.seen_at_last_check() {
        let before = stats.events.get();
        if let Err(error) = canary() {
            return unwell(&format!("a process to be seen cannot be started: {error}"));
        }
        if !grows(PATIENCE, || stats.events.get() > before) {
            return unwell("a process was started and the kernel reported no event");
        }
    }
    engine.checked(stats.events.get());
    Answer::json("200 OK", &serde_json::json!({ "status": "ok" }))
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

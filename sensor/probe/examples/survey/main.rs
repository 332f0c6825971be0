//! What one kernel makes of the probe: which programs its verifier takes and at what cost, and how a fixed
//! workload is reported.
//!
//!     survey programs        one line for each program: name, instructions that the verifier walked; and for each
//!                            that this kernel has nothing for, or refused, why
//!     survey events          performs the workload and prints each of its events as one line
//!
//! The lines carry nothing that differs between two runs on one kernel, so that two kernels can be compared by
//! comparing text. `scripts/kernels` does that. Needs root.

mod calls;
mod files;
mod processes;
mod record;
mod sockets;
mod stage;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use eyas_abi::schema;
use eyas_probe::{Counter, Missing, Options, Probe, embedded};

use record::Recording;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Longest time that the workload may take; emulated machines are slow.
const PATIENCE: Duration = Duration::from_mins(2);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let result = match arguments.next().as_deref() {
        Some("programs") => programs(),
        Some("events") => events(),
        // what `events` starts, in two steps
        Some("stage") => stage::enter(),
        Some("perform") => {
            perform();
            Ok(())
        }
        other => {
            Err(format!("`{}`: expected programs or events", other.unwrap_or_default()).into())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn programs() -> Result<()> {
    let begin = Instant::now();
    let probe = Probe::load(embedded(), &Options::default())?;
    let took = begin.elapsed();
    for program in probe.programs() {
        let cost = program.verified_instructions.map_or("-".to_owned(), |count| count.to_string());
        say(&format!("program {} {cost}", program.name));
    }
    for feature in probe.features() {
        let (how, why) = match feature.missing {
            Some(Missing::Absent(why)) => ("absent", why),
            Some(Missing::Refused(why)) => ("refused", why),
            None => continue,
        };
        say(&format!("{how} {} {}", feature.program, why.replace('\n', " | ")));
    }
    say(&format!("loaded {} ms", took.as_millis()));
    Ok(())
}

fn events() -> Result<()> {
    let options = Options { ring_events: 4 << 20, ..Options::default() };
    let mut probe = Probe::load(embedded(), &options)?;
    let mut rings = probe.rings()?;
    probe.set_enabled(schema::SYSCALLS.iter().map(|call| call.kernel_name))?;
    probe.set_env_bytes(4096)?;
    probe.attach()?;
    let mut child = stage::command("stage")?.spawn()?;
    let mut recording = Recording::of(child.id());
    let end = Instant::now() + PATIENCE;
    let status = loop {
        rings.poll(Duration::from_millis(10), &mut |bytes| recording.take(bytes))?;
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > end {
            child.kill()?;
            return Err(format!("the workload did not end within {PATIENCE:?}").into());
        }
    };
    rings.flush(&mut |bytes| recording.take(bytes));
    for line in recording.lines() {
        say(&line);
    }
    let counters = probe.counters()?;
    for counter in Counter::ALL {
        if counters.get(counter) > 0 {
            say(&format!("counter {} {}", counter.name(), counters.get(counter)));
        }
    }
    if status.success() { Ok(()) } else { Err(format!("the workload ended with {status}").into()) }
}

/// The workload itself, on a stage that is the same everywhere.
fn perform() {
    calls::mark(record::BEGIN);
    files::perform();
    sockets::perform();
    processes::perform();
    calls::mark(record::END);
}

#[expect(clippy::print_stdout, reason = "the lines are the output")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "the program's own error channel")]
fn complain(message: &str) {
    eprintln!("survey: {message}");
}

//! The event thread: reads records, keeps the table of processes, judges, hands alerts out.
//!
//! After start it takes no lock and waits for nothing but the next records. The active set is
//! looked at again before each event, so that a swap falls between two of them.

mod capture;
mod recording;
mod replay;
mod waiting;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::Cache;
use eyas_abi::Event;
use eyas_output::{Format, Hold, Message};
use eyas_probe::{POLL_DEFAULT, ProbeError, Rings, Snapshot};
use eyas_rules::Scratch;
use eyas_state::container::Place;
use eyas_state::{Ctx, Tables};

use crate::engine::{Active, Engine};
use crate::error::DaemonError;
use crate::{host, log};

pub(crate) use capture::Capture;
pub(crate) use replay::Records;

use waiting::Waiting;

/// Stack of the event thread. Conditions are judged by recursion, one level for each parenthesis.
const STACK_BYTES: usize = 4 * 1024 * 1024;
/// How often it is told what was held back.
const HELD_REPORT: Duration = Duration::from_secs(10);

/// Where records come from.
pub(crate) enum Source {
    /// The kernel, and what was there before.
    Rings(Rings, Snapshot),
    /// A file or a pipe.
    Records(Records),
    /// A capture; the thread ends with it.
    Capture(Box<Capture>),
    /// Nowhere.
    Nothing,
}

/// Starts the thread. It reports once on `ready`, when it has taken in what there was at start.
pub(crate) fn start(
    engine: Arc<Engine>,
    source: Source,
    format: Format,
    stop: Arc<AtomicBool>,
    ready: Sender<()>,
) -> Result<JoinHandle<Result<(), DaemonError>>, DaemonError> {
    thread::Builder::new()
        .name("events".into())
        .stack_size(STACK_BYTES)
        .spawn(move || Judge::new(&engine, format).run(source, &stop, &ready))
        .map_err(|source| DaemonError::System { doing: "start the event thread", source })
}

/// All that the event thread works with.
struct Judge<'e> {
    engine: &'e Engine,
    active: Cache<&'e arc_swap::ArcSwap<Active>, Arc<Active>>,
    tables: Tables,
    scratch: Scratch,
    waiting: Waiting,
    told: Told,
    recording: recording::Recording,
    records: u64,
    malformed: u64,
}

/// What is said, and how often.
struct Told {
    format: Format,
    hold: Hold,
    /// Clock of what is held back; event times of several CPUs are not in order.
    started: Instant,
    last_report: Instant,
    matches: u64,
    /// Matches of each rule since they were shown.
    by_rule: HashMap<Arc<str>, u64>,
}

impl<'e> Judge<'e> {
    fn new(engine: &'e Engine, format: Format) -> Self {
        Self {
            engine,
            active: Cache::new(&engine.active),
            tables: Tables::new(engine.config().table_limits(), engine.host.load_full()),
            scratch: Scratch::new(),
            waiting: Waiting::default(),
            told: Told {
                format,
                hold: Hold::new(engine.config().hold_limits()),
                started: Instant::now(),
                last_report: Instant::now(),
                matches: 0,
                by_rule: HashMap::new(),
            },
            recording: recording::Recording::new(engine.config().capture.clone()),
            records: 0,
            malformed: 0,
        }
    }

    fn run(
        mut self,
        source: Source,
        stop: &AtomicBool,
        ready: &Sender<()>,
    ) -> Result<(), DaemonError> {
        match source {
            Source::Rings(rings, snapshot) => self.read_kernel(rings, snapshot, stop, ready)?,
            Source::Records(mut records) => {
                // Whoever waits for us may be gone already; then we are told to stop.
                let _ = ready.send(());
                while let Some(record) = records.next(stop)? {
                    self.take(record);
                    self.judge_waiting();
                    self.publish();
                }
                while !stop.load(Ordering::Relaxed) {
                    thread::park_timeout(POLL_DEFAULT);
                    self.judge_waiting();
                    self.publish();
                }
            }
            Source::Capture(capture) => {
                let _ = ready.send(());
                self.read_capture(*capture, stop)?;
            }
            Source::Nothing => {
                let _ = ready.send(());
                wait_for(stop);
            }
        }
        let rest = self.waiting.drain();
        self.judge_held(&rest);
        self.publish();
        self.tell_held();
        self.recording.end();
        Ok(())
    }

    /// Takes in what there was before the probe, then what happens, until told to stop; then what
    /// had happened by then.
    fn read_kernel(
        &mut self,
        mut rings: Rings,
        snapshot: Snapshot,
        stop: &AtomicBool,
        ready: &Sender<()>,
    ) -> Result<(), ProbeError> {
        let seeded = snapshot.deliver(&mut |record| self.seed(record))?;
        log::info(&format!(
            "{} tasks known, {} went away while looking",
            seeded.tasks, seeded.missed
        ));
        // So that their first events need not wait. What is not asked now is asked then.
        for question in self.tables.claims() {
            let _ = self.engine.containers.ask(question);
        }
        let _ = ready.send(());
        while !stop.load(Ordering::Relaxed) {
            rings.poll(POLL_DEFAULT, &mut |record| self.take(record))?;
            self.refresh_host();
            self.judge_waiting();
            self.publish();
        }
        rings.flush(&mut |record| self.take(record));
        Ok(())
    }

    fn seed(&mut self, record: &[u8]) {
        match Event::decode(record) {
            Ok(event) => drop(self.tables.apply(&event)),
            Err(_) => self.malformed += 1,
        }
    }

    /// One record from bytes to alerts.
    fn take(&mut self, record: &[u8]) {
        self.records += 1;
        let Ok(event) = Event::decode(record) else {
            self.malformed += 1;
            return;
        };
        self.engine.stats.by_type.count(event.code());
        let ctx = self.tables.apply(&event);
        if !ctx.is_judged() {
            return;
        }
        if let (Place::Unknown(_), Some(process)) = (ctx.place(), ctx.process())
            && let Some(claim) = &process.claim
        {
            let asked = self.waiting.asked.contains(claim)
                || self.engine.containers.ask((Arc::clone(claim), process.pid));
            if asked && self.waiting.keep(record, process, claim) {
                self.waiting.asked.insert(Arc::clone(claim));
                return;
            }
            self.engine.stats.unasked.add(1);
        }
        let asked = judge(
            self.engine,
            &mut self.active,
            &mut self.scratch,
            &mut self.told,
            &ctx,
            &self.recording,
        );
        self.recording.take(record, &event, &self.tables, asked);
    }

    /// Judges what waited for a container to be known.
    fn judge_waiting(&mut self) {
        let known = self.engine.containers.known.load();
        if !Arc::ptr_eq(self.tables.containers(), &known) {
            self.tables.set_containers(Arc::clone(&known));
        }
        let (ready, in_vain) = self.waiting.take(&known);
        self.engine.stats.unasked.add(in_vain);
        self.judge_held(&ready);
    }

    fn judge_held(&mut self, held: &[waiting::Held]) {
        for held in held {
            if let Ok(event) = Event::decode(&held.record) {
                let ctx = self.tables.again(&event, &held.process);
                let asked = judge(
                    self.engine,
                    &mut self.active,
                    &mut self.scratch,
                    &mut self.told,
                    &ctx,
                    &self.recording,
                );
                self.recording.take(&held.record, &event, &self.tables, asked);
            }
        }
    }

    fn refresh_host(&mut self) {
        let host = self.engine.host.load();
        if !std::ptr::eq(self.tables.host(), &raw const **host) {
            self.told.format.local = host.local.clone();
            self.tables.set_host(Arc::clone(&host));
        }
    }

    /// Shows the totals to others.
    fn publish(&mut self) {
        let stats = &self.engine.stats;
        let counts = self.tables.counts();
        stats.events.set(self.records);
        stats.malformed.set(self.malformed);
        stats.matches.set(self.told.matches);
        stats.processes.set(counts.processes);
        stats.evicted.set(counts.evicted);
        stats.polls.add(1);
        stats.add_matches(&mut self.told.by_rule);
        if self.told.last_report.elapsed() >= HELD_REPORT {
            self.told.last_report = Instant::now();
            self.tell_held();
        }
    }

    /// Says how many alerts were held back, which is never done in silence.
    fn tell_held(&mut self) {
        let now = host::now_ns();
        for internal in self.told.hold.report(now) {
            let line = self.told.format.internal_line(&internal);
            let message = Message::new(line, internal.priority, Arc::clone(&internal.rule));
            self.engine.sinks.send(message);
        }
    }
}

/// Judges one event by the set in force, and says what matched. Gives for how many milliseconds what
/// follows is to be recorded, if a rule that matched asks for it.
fn judge(
    engine: &Engine,
    active: &mut Cache<&arc_swap::ArcSwap<Active>, Arc<Active>>,
    scratch: &mut Scratch,
    told: &mut Told,
    ctx: &Ctx<'_>,
    recording: &recording::Recording,
) -> Option<u64> {
    let mut asked = None;
    let rules = &active.load().rules;
    for id in rules.eval(ctx, scratch) {
        told.matches += 1;
        if let Some(rule) = rules.rule(*id) {
            asked = asked.max(recording.duration_of(rule.capture, rule.capture_duration));
        }
        let Some(alert) = rules.alert(*id, ctx) else { continue };
        match told.by_rule.get_mut(&alert.rule) {
            Some(count) => *count += 1,
            None => drop(told.by_rule.insert(Arc::clone(&alert.rule), 1)),
        }
        // 64 bits of nanoseconds are five centuries.
        let now = told.started.elapsed().as_nanos() as u64;
        if told.hold.admits(now, &alert) {
            let line = told.format.line(ctx.epoch_ns(), &alert);
            engine.sinks.send(Message::of(line, &alert));
        } else {
            engine.stats.held.add(1);
        }
    }
    asked
}

fn wait_for(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        thread::park_timeout(POLL_DEFAULT);
    }
}

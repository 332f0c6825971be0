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
use eyas_probe::{POLL_DEFAULT, POLL_QUIET, ProbeError, Rings, Snapshot};
use eyas_rules::{RuleId, RuleSet, Scratch};
use eyas_state::container::Place;
use eyas_state::{Ctx, Tables};

use crate::busy::Count;
use crate::engine::{Active, Engine, Settings};
use crate::error::DaemonError;
use crate::stats::OfRule;
use crate::{host, log};

pub(crate) use capture::Capture;
use replay::Next;
pub(crate) use replay::Records;

use waiting::Waiting;

/// Stack of the event thread. Conditions are judged by recursion, one level for each parenthesis.
const STACK_BYTES: usize = 4 * 1024 * 1024;
/// One event in so many is measured, so that the cost of rules is known and costs nothing.
const MEASURED: u64 = 1024;
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
    stop: Arc<AtomicBool>,
    ready: Sender<()>,
) -> Result<JoinHandle<Result<(), DaemonError>>, DaemonError> {
    thread::Builder::new()
        .name("events".into())
        .stack_size(STACK_BYTES)
        .spawn(move || Judge::new(&engine).run(source, &stop, &ready))
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
    busy: Count,
    recording: recording::Recording,
    records: u64,
    malformed: u64,
}

/// What is said, and how often.
struct Told {
    /// What the layout and the limits below were made from.
    settings: Arc<Settings>,
    format: Format,
    hold: Hold,
    /// Clock of what is held back; event times of several CPUs are not in order.
    started: Instant,
    last_report: Instant,
    judged: u64,
    matches: u64,
    /// What was counted of each rule since it was shown.
    by_rule: HashMap<Arc<str>, OfRule>,
}

impl<'e> Judge<'e> {
    fn new(engine: &'e Engine) -> Self {
        let settings = engine.settings();
        let config = &settings.config;
        Self {
            engine,
            active: Cache::new(&engine.active),
            tables: Tables::new(config.table_limits(), engine.host.load_full()),
            scratch: Scratch::new(),
            waiting: Waiting::default(),
            busy: Count::new(),
            told: Told {
                format: config.format(&engine.host.load()),
                hold: Hold::new(config.hold_limits()),
                settings: Arc::clone(&settings),
                started: Instant::now(),
                last_report: Instant::now(),
                judged: 0,
                matches: 0,
                by_rule: HashMap::new(),
            },
            recording: recording::Recording::new(Arc::clone(&engine.recordings)),
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
                loop {
                    match records.next(stop)? {
                        Next::Record(record) => self.take(record),
                        Next::Nothing => {}
                        Next::End => break,
                    }
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
            // What waits is asked for until it is known; else there is nothing to do until something comes.
            let limit = if self.waiting.is_empty() { POLL_QUIET } else { POLL_DEFAULT };
            rings.poll(limit, &mut |record| self.take(record))?;
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
        self.busy.event(event.header().tgid);
        let ctx = self.tables.apply(&event);
        if !ctx.is_judged() {
            return;
        }
        self.recording.see(record, &ctx);
        // What no rule is about is worth no question either.
        let active = self.active.load();
        let is_recorded_only = self.engine.was_widened() && !active.asks_for(&event);
        if is_recorded_only || !active.codes.contains(event.code()) {
            self.recording.take(record, &event, &self.tables, None);
            return;
        }
        if let (Place::Unknown(_), Some(process)) = (ctx.place(), ctx.process())
            && let Some(claim) = &process.claim
        {
            let book = &self.engine.containers;
            let witness = process.witness();
            let asked = self.waiting.ask(claim, witness, || book.ask((Arc::clone(claim), witness)));
            if asked
                && let Some(moment) = ctx.moment()
                && self.waiting.keep(record, moment, Arc::clone(claim))
            {
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
                let ctx = self.tables.again(&event, &held.moment);
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
        stats.table_bytes.set(counts.bytes);
        stats.evicted.set(counts.evicted);
        stats.polls.add(1);
        stats.add_by_rule(&mut self.told.by_rule);
        self.busy.show(&self.engine.busy, &self.tables);
        self.recording.go_on(&self.tables);
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
    let active = active.load();
    told.follow(&active.settings, engine);
    let rules = &active.rules;
    told.judged += 1;
    let matched = if told.judged.is_multiple_of(MEASURED) {
        let mut since = Instant::now();
        rules.eval_with(ctx, scratch, |id| {
            let now = Instant::now();
            told.measured(rules, id, now.duration_since(since));
            since = now;
        })
    } else {
        rules.eval(ctx, scratch)
    };
    for id in matched {
        told.matches += 1;
        if let Some(rule) = rules.rule(*id) {
            asked = asked.max(recording.duration_of(rule.capture, rule.capture_duration));
        }
        let Some(alert) = rules.alert(*id, ctx) else { continue };
        told.of_rule(&alert.rule).matches += 1;
        // 64 bits of nanoseconds are five centuries.
        let now = told.started.elapsed().as_nanos() as u64;
        if told.hold.admits(now, &alert) {
            let line = told.format.line(ctx.epoch_ns(), &alert);
            engine.sinks.send(Message::of(line, &alert));
            engine.taps.offer(&alert, || told.format.whole().line(ctx.epoch_ns(), &alert));
        } else {
            engine.stats.held.add(1);
        }
    }
    asked
}

impl Told {
    /// Layout and limits are those that the set in force came with, so that no alert is of a mix.
    fn follow(&mut self, settings: &Arc<Settings>, engine: &Engine) {
        if !Arc::ptr_eq(&self.settings, settings) {
            self.settings = Arc::clone(settings);
            self.format = settings.config.format(&engine.host.load());
            self.hold.set_limits(settings.config.hold_limits());
        }
    }

    fn of_rule(&mut self, rule: &Arc<str>) -> &mut OfRule {
        self.by_rule.entry(Arc::clone(rule)).or_default()
    }

    /// Takes the time that was spent on a rule for that of all events that are not measured.
    fn measured(&mut self, rules: &RuleSet, id: RuleId, spent: Duration) {
        if let Some(rule) = rules.rule(id) {
            self.of_rule(&rule.name).cost_ns += spent.as_nanos() as u64 * MEASURED;
        }
    }
}

fn wait_for(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        thread::park_timeout(POLL_DEFAULT);
    }
}

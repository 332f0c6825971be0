//! The event thread: reads records, keeps the table of processes, judges, hands alerts out.
//!
//! After start it takes no lock and waits for nothing but the next records. The active set is
//! looked at again before each event, so that a swap falls between two of them.

mod replay;

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
use eyas_state::Tables;

use crate::engine::{Active, Engine};
use crate::error::DaemonError;
use crate::{host, log};

pub(crate) use replay::Records;

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
    format: Format,
    hold: Hold,
    /// Clock of what is held back; event times of several CPUs are not in order.
    started: Instant,
    held_told: Instant,
    records: u64,
    malformed: u64,
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
            format,
            hold: Hold::new(engine.config().hold_limits()),
            started: Instant::now(),
            held_told: Instant::now(),
            records: 0,
            malformed: 0,
            matches: 0,
            by_rule: HashMap::new(),
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
                    self.publish();
                }
                wait_for(stop);
            }
            Source::Nothing => {
                let _ = ready.send(());
                wait_for(stop);
            }
        }
        self.publish();
        self.tell_held();
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
        let _ = ready.send(());
        while !stop.load(Ordering::Relaxed) {
            rings.poll(POLL_DEFAULT, &mut |record| self.take(record))?;
            self.refresh_host();
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
        let rules = &self.active.load().rules;
        for id in rules.eval(&ctx, &mut self.scratch) {
            self.matches += 1;
            let Some(alert) = rules.alert(*id, &ctx) else { continue };
            match self.by_rule.get_mut(&alert.rule) {
                Some(count) => *count += 1,
                None => drop(self.by_rule.insert(Arc::clone(&alert.rule), 1)),
            }
            // 64 bits of nanoseconds are five centuries.
            let now = self.started.elapsed().as_nanos() as u64;
            if self.hold.admits(now, &alert) {
                let line = self.format.line(ctx.epoch_ns(), &alert);
                self.engine.sinks.send(Message::of(line, &alert));
            } else {
                self.engine.stats.held.add(1);
            }
        }
    }

    fn refresh_host(&mut self) {
        let host = self.engine.host.load();
        if !std::ptr::eq(self.tables.host(), &raw const **host) {
            self.format.local = host.local.clone();
            self.tables.set_host(Arc::clone(&host));
        }
    }

    /// Shows the totals to others.
    fn publish(&mut self) {
        let stats = &self.engine.stats;
        let counts = self.tables.counts();
        stats.events.set(self.records);
        stats.malformed.set(self.malformed);
        stats.matches.set(self.matches);
        stats.processes.set(counts.processes);
        stats.evicted.set(counts.evicted);
        stats.polls.add(1);
        stats.add_matches(&mut self.by_rule);
        if self.held_told.elapsed() >= HELD_REPORT {
            self.held_told = Instant::now();
            self.tell_held();
        }
    }

    /// Says how many alerts were held back, which is never done in silence.
    fn tell_held(&mut self) {
        let now = host::now_ns();
        for internal in self.hold.report(now) {
            let line = self.format.internal_line(&internal);
            let message = Message::new(line, internal.priority, Arc::clone(&internal.rule));
            self.engine.sinks.send(message);
        }
    }
}

fn wait_for(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        thread::park_timeout(POLL_DEFAULT);
    }
}

//! The loop that checks: who is due, what was found, when it is due again.
//!
//! References are independent: each has a timer and a task of its own, and an update is on a thread of
//! its own. A registry that stalls, a lock that is held and a sensor that takes long hold up nobody
//! but those who want something from them; the store's lock puts changes one after the other. Looking
//! after installed files and the sensor is apart from all that, too. The supervisor runs on another
//! thread, so that nothing here can keep it from answering or from stopping.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eyas_artifact::Request;
use eyas_ops::{
    CheckResult, Checks, ClockWatch, Confirmed, ConfirmedState, Ended, Followed, Now, Round,
    Startup, Timer,
};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

use super::check::{Done, Doors, Halt, Halted, check};
use super::chores::{Chores, Did, Looked};
use super::parts::{Parts, RECORD_PATIENCE};
use super::pulse::{Pulse, Timing};
use super::tell;
use crate::commands::diff::changed_rules;
use crate::exit;

/// Longest time between two turns of the loop while nothing happens.
const LONGEST_TURN: Duration = Duration::from_secs(10);

/// What the supervisor may want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Read everything again and check at once.
    Reload,
    /// End.
    Stop,
}

/// What the worker says to the supervisor.
#[derive(Debug)]
pub(super) enum News {
    /// A line for the service manager.
    Status(String),
    /// What was ordered to be read again was read.
    Reloaded,
    /// It has ended.
    Ended(anyhow::Result<()>),
}

/// Everything that changes while the service runs.
pub(super) struct Worker {
    parts: Arc<Parts>,
    pulse: Arc<Pulse>,
    news: mpsc::UnboundedSender<News>,
    slots: Vec<Slot>,
    tasks: JoinSet<Option<Returned>>,
    doors: Doors,
    /// Ends the tasks that were begun for the list as it is now.
    halt: Halt,
    /// Counts lists: what comes from a task of an earlier one has no place in this one.
    list: u64,
    chores: Chores,
    record: Checks,
    clock: ClockWatch,
    longest_turn: Duration,
    trouble: tell::Once,
    first_failure: Option<anyhow::Error>,
    status: String,
}

/// What a task comes back with.
struct Returned {
    list: u64,
    place: usize,
    done: Done,
}

/// One reference between its checks.
struct Slot {
    name: Request,
    /// Absent while a check is under way.
    followed: Option<Followed>,
    timer: Timer,
    turn: Option<Duration>,
    checked: bool,
}

impl Worker {
    pub(super) fn new(
        parts: Parts,
        news: mpsc::UnboundedSender<News>,
        longest_turn: Option<Duration>,
    ) -> Self {
        let pulse = Arc::clone(&parts.typed.pulse);
        let mut worker = Self {
            parts: Arc::new(parts),
            pulse,
            news,
            slots: Vec::new(),
            tasks: JoinSet::new(),
            doors: Doors::default(),
            halt: watch::Sender::new(false),
            list: 0,
            chores: Chores::default(),
            record: Checks::default(),
            clock: ClockWatch::new(Now::read()),
            longest_turn: longest_turn.unwrap_or(LONGEST_TURN).min(LONGEST_TURN),
            trouble: tell::Once::default(),
            first_failure: None,
            status: String::new(),
        };
        worker.fill(Now::read());
        worker
    }

    /// Runs until it is told to stop, or until everything was checked once if that is wanted.
    pub(super) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let local = LocalSet::new();
        let outcome = local
            .run_until(async {
                let outcome = self.rounds(&mut orders).await;
                // What waits for the network can be given up at any point: nothing is half done until
                // the store is changed, and that comes to its end.
                self.halt.send_replace(true);
                while self.tasks.join_next().await.is_some() {}
                outcome
            })
            .await;
        drop(local);
        let news = self.news.clone();
        drop(self);
        let _ = news.send(News::Ended(outcome));
    }

    async fn rounds(&mut self, orders: &mut mpsc::UnboundedReceiver<Order>) -> anyhow::Result<()> {
        if !self.is_dry() {
            self.clean();
        }
        loop {
            self.pulse.beat();
            let now = Now::read();
            if let Some(before) = self.clock.was_set(now) {
                for slot in &mut self.slots {
                    slot.timer.clock_was_set(&self.parts.schedule, before, now);
                }
            }
            if self.slots.iter().any(|slot| slot.is_due(now.steady)) {
                self.prepare(now);
                self.start(now);
            }
            let all = self.slots.iter().all(|slot| slot.checked);
            if self.is_once() && all && !self.chores.is_under_way() {
                return self.first_failure.take().map_or(Ok(()), Err);
            }
            let pause = self.pause(now.steady);
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Reload) => self.reload(),
                    Some(Order::Stop) | None => return Ok(()),
                },
                Some(ended) = self.tasks.join_next() => self.finish(ended)?,
                did = self.chores.next() => self.did(did)?,
                () = sleep(pause) => {}
            }
        }
    }

    fn is_dry(&self) -> bool {
        self.parts.typed.args.dry_run
    }

    fn is_once(&self) -> bool {
        self.parts.typed.args.once || self.is_dry()
    }

    /// Scratch of processes that were killed goes before anything else happens.
    fn clean(&mut self) {
        let store = &self.parts.store;
        if !store.directory().exists() {
            return;
        }
        match store.lock() {
            Ok(_) | Err(eyas_store::StoreError::Locked { .. }) => {}
            Err(error) => {
                let said = format!("what killed processes left cannot be cleaned up: {error}");
                self.trouble.tell(&self.parts.typed.printer, "clean", &said);
            }
        }
        if let Ok(Some(record)) = eyas_ops::last_checks(&self.parts.store) {
            self.record = record;
        }
    }

    /// What happens once before checks that are due: configuration, installed files, the sensor.
    fn prepare(&mut self, now: Now) {
        if self.parts.is_outdated() {
            self.read_again(now);
        }
        if self.is_dry() {
            return;
        }
        self.chores.begin(&self.parts, true);
    }

    /// Somebody looked after installed files and the sensor.
    fn did(&mut self, did: Did) -> anyhow::Result<()> {
        let Looked { repaired, stands } = did?;
        let printer = &self.parts.typed.printer;
        match repaired {
            Some(Ok(count)) => {
                self.trouble.over(printer, "repair", "installed files are as they should be");
                self.pulse.report().files_repaired += count;
            }
            Some(Err(error)) => {
                let said = format!("installed files cannot be put right: {error}");
                self.trouble.tell(printer, "repair", &said);
            }
            None => {}
        }
        self.took(stands);
        self.keep();
        self.say_status();
        Ok(())
    }

    fn took(&mut self, stands: Confirmed) {
        let printer = &self.parts.typed.printer;
        match (stands.state, &stands.reason) {
            (ConfirmedState::Refused | ConfirmedState::Unreachable, Some(reason)) => {
                self.trouble.tell(printer, "sensor", reason);
            }
            (ConfirmedState::Other, _) => {
                let said = "the sensor runs something else than what is active";
                self.trouble.tell(printer, "sensor", said);
            }
            (ConfirmedState::Confirmed, _) => {
                self.trouble.over(printer, "sensor", "the sensor runs what is active");
            }
            _ => {}
        }
        let mut report = self.pulse.report();
        report.generation = stands.generation;
        report.sensor = Some(stands.clone());
        self.record.sensor = Some(stands);
    }

    fn start(&mut self, now: Now) {
        for (place, slot) in self.slots.iter_mut().enumerate() {
            if !slot.is_due(now.steady) {
                continue;
            }
            let Some(followed) = slot.followed.take() else { continue };
            let (parts, turn, list) = (Arc::clone(&self.parts), slot.turn, self.list);
            let (doors, halted) = (self.doors.clone(), Halted::by(&self.halt));
            self.tasks.spawn_local(async move {
                let done = Box::pin(check(parts, followed, turn, doors, halted)).await?;
                Some(Returned { list, place, done })
            });
        }
    }

    fn finish(
        &mut self,
        ended: Result<Option<Returned>, tokio::task::JoinError>,
    ) -> anyhow::Result<()> {
        let Returned { list, place, done } = match ended {
            Ok(Some(returned)) => returned,
            Ok(None) => return Ok(()),
            // A defect of ours: the service manager starts us again, which is better than going on
            // with one reference less.
            Err(error) => return Err(anyhow::Error::new(error).context("a check ended abnormally")),
        };
        let Done { followed, checked, took, turn } = done;
        let now = Now::read();
        let ours = |slot: &&mut Slot| list == self.list && slot.name == checked.name;
        let Some(slot) = self.slots.get_mut(place).filter(ours) else {
            // The list was changed meanwhile; what was installed is told all the same.
            tell::checked(&self.parts, &checked, &self.record);
            return Ok(());
        };
        let schedule = &self.parts.schedule;
        let result = match &checked.result {
            CheckResult::Failed { failure, .. } => Ended::Badly(failure.retry_after),
            _ => Ended::Well,
        };
        slot.timer.ended(schedule, result, now);
        (slot.followed, slot.turn, slot.checked) = (Some(followed), Some(turn), true);
        let next = slot.timer.due_on_wall(now);
        let failures = slot.timer.failures();
        let interval = schedule.interval(now);
        tell::checked(&self.parts, &checked, &self.record);
        if let CheckResult::Installed(outcome) = &checked.result
            && let Some(rules) = changed_rules(&self.parts.store, outcome)
        {
            self.parts.typed.printer.aside(rules);
        }
        if self.is_once() && self.first_failure.is_none() {
            self.first_failure = tell::as_error(&checked);
        }
        let installed = matches!(checked.result, CheckResult::Installed(_));
        let next = (!self.is_once()).then_some(next);
        self.record.note(&checked, Round { now: now.wall, next, failures });
        let timing = Timing { took, interval, next: next.unwrap_or(now.wall) };
        self.pulse.report().note(&checked, timing, now.wall);
        if installed && !self.is_dry() {
            // It was confirmed as part of the update; this is for the record.
            self.chores.begin(&self.parts, false);
        }
        self.keep();
        self.say_status();
        Ok(())
    }

    /// Keeps the record for `status`; while somebody else changes the store the next one is kept.
    fn keep(&mut self) {
        if self.is_dry() {
            return;
        }
        let printer = &self.parts.typed.printer;
        match self.record.keep(&self.parts.store, RECORD_PATIENCE) {
            Ok(()) | Err(eyas_ops::OpsError::Store(eyas_store::StoreError::Locked { .. })) => {}
            Err(error) => {
                let said = format!("the record of checks cannot be kept: {error}");
                self.trouble.tell(printer, "record", &said);
            }
        }
    }

    fn say_status(&mut self) {
        let status = tell::status(&self.record);
        if status != self.status {
            self.status.clone_from(&status);
            let _ = self.news.send(News::Status(status));
        }
    }

    fn reload(&mut self) {
        let now = Now::read();
        self.read_again(now);
        for slot in &mut self.slots {
            slot.timer.hurry(now);
        }
        let _ = self.news.send(News::Reloaded);
    }

    /// Builds everything again; what is wrong is told, and what was good stays.
    fn read_again(&mut self, now: Now) {
        let printer = self.parts.typed.printer.clone();
        match self.parts.again() {
            Ok(parts) => {
                self.parts = Arc::new(parts);
                self.pulse.report().reloads += 1;
                self.trouble.over(&printer, "configuration", "the configuration is right again");
                printer.info("the configuration was read again");
                self.fill(now);
            }
            Err(error) => {
                self.pulse.report().reloads_failed += 1;
                let said = format!(
                    "the configuration is wrong, and the one before stays in force: {}",
                    exit::message_of(&error)
                );
                self.trouble.tell(&printer, "configuration", &said);
                self.parts.overlook();
            }
        }
    }

    /// One slot per reference; those that were there stay as they are.
    fn fill(&mut self, now: Now) {
        let mut before = std::mem::take(&mut self.slots);
        let parts = Arc::clone(&self.parts);
        let names = &parts.names;
        // Places are how tasks find back: those under way end, and begin again for the new list.
        self.halt = watch::Sender::new(false);
        self.list += 1;
        for name in names {
            let known = before.iter().position(|slot| slot.name == *name);
            let slot = match known {
                Some(place) => before.swap_remove(place).or_anew(),
                None => Slot::new(name.clone(), &parts, now),
            };
            self.slots.push(slot);
        }
        self.record.only(names);
        let patient = parts.schedule.startup != Startup::Immediate;
        let first = self.slots.iter().map(|slot| slot.timer.due()).max();
        let grace = first.filter(|_| patient).and_then(|due| due.checked_add(LONGEST_TURN * 3));
        self.pulse.report().follow(names, grace);
    }

    fn pause(&self, now: Instant) -> Duration {
        let waiting = self.slots.iter().filter(|slot| slot.followed.is_some());
        let next = waiting.map(|slot| slot.timer.due().saturating_duration_since(now)).min();
        next.unwrap_or(self.longest_turn).min(self.longest_turn)
    }
}

impl Slot {
    fn new(name: Request, parts: &Parts, now: Now) -> Self {
        let mut schedule = parts.schedule.clone();
        if parts.typed.args.once || parts.typed.args.dry_run {
            schedule.startup = Startup::Immediate;
        }
        let timer = Timer::new(&schedule, tell::seed().as_bytes(), now);
        let followed = Some(Followed::new(name.clone()));
        Self { name, followed, timer, turn: None, checked: false }
    }

    /// The same after its check was given up.
    fn or_anew(mut self) -> Self {
        let name = self.name.clone();
        self.followed.get_or_insert_with(|| Followed::new(name));
        self
    }

    fn is_due(&self, now: Instant) -> bool {
        self.followed.is_some() && self.timer.due() <= now
    }
}

//! What is in force, and the only way to change it.
//!
//! The event thread sees the active set through one pointer that is replaced between two events.
//! Everything else, compiling above all, happens on the thread of whoever asked. One change at a
//! time; a change that is refused at any step leaves the old set as it was.

mod change;
mod compile;
mod control;
mod initial;
mod probe;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use eyas_control::{Counters, LastReload, OutputState, ProbeState, Report, Status, Switch};
use eyas_output::{Internal, Message, SinkCounts, Sinks};
use eyas_probe::{Probe, ProbeError, Rings, Snapshot};
use eyas_rules::EngineOptions;
use eyas_state::Host;
use jiff::Timestamp;

use crate::args::Args;
use crate::busy::Busy;
use crate::config::{Config, Ignored};
use crate::containers::Book;
use crate::error::DaemonError;
use crate::log;
use crate::recordings::Recordings;
use crate::stats::Stats;
use crate::taps::Taps;

pub(crate) use compile::{Active, Compiled, Origin};
pub(crate) use control::Requests;
pub(crate) use initial::{Initial, initial};

/// What rules are compiled and alerts are written with: one value that changes as a whole, together
/// with the rules.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The configuration.
    pub(crate) config: Config,
    /// The rule engine's part of it, and what was switched since.
    pub(crate) options: EngineOptions,
    /// Keys that are known and have no meaning here.
    pub(crate) ignored: Vec<Ignored>,
    /// Rules that were switched over the control socket, in order.
    pub(crate) switched: Vec<Switch>,
}

impl Settings {
    /// Rules are selected as the configuration says, and then as was asked for.
    fn apply_switches(&mut self) {
        let configured = self.config.selections();
        self.options.selections =
            configured.into_iter().chain(self.switched.iter().map(change::selection)).collect();
    }
}

/// The parts that outlive a reload.
#[derive(Debug)]
pub(crate) struct Engine {
    /// What the daemon was started with, to read the configuration again.
    args: Args,
    /// The set in force. Read by the event thread without waiting.
    pub(crate) active: ArcSwap<Active>,
    /// Facts of the host, replaced from time to time.
    pub(crate) host: ArcSwap<Host>,
    pub(crate) stats: Stats,
    /// What is known of containers.
    pub(crate) containers: Book,
    pub(crate) sinks: Sinks,
    /// Whoever watches alerts as they come.
    pub(crate) taps: Arc<Taps>,
    /// Who makes most events.
    pub(crate) busy: Busy,
    /// Captures under way.
    pub(crate) recordings: Arc<Recordings>,
    probe: Mutex<Option<Probe>>,
    /// Event types that the kernel is asked for because of a recording alone.
    widened: Mutex<BTreeSet<&'static str>>,
    /// Whether there have been such types in this run.
    was_widened: AtomicBool,
    probe_state: Mutex<ProbeState>,
    last_reload: Mutex<Option<LastReload>>,
    /// Held while a change is made.
    changing: Mutex<()>,
    started: Timestamp,
    /// The settings at start, under which privileges were given up.
    at_start: Arc<Settings>,
    /// Events read when health was last asked for.
    seen: AtomicU64,
}

/// All diagnostics as one text.
pub(crate) fn texts(reports: &[Report]) -> String {
    reports.iter().map(|report| report.text.as_str()).collect::<Vec<_>>().join("\n\n")
}

impl Engine {
    /// Opens the probe for what is to run, without attaching it. Where no probe may run that is an
    /// error unless the configuration wants none.
    pub(crate) fn new(
        args: Args,
        initial: Initial,
        sinks: Sinks,
        host: Host,
    ) -> Result<Self, DaemonError> {
        let Initial { active, installed, fallback, .. } = initial;
        let config = &active.settings.config;
        let (probe, state) = if args.replay.is_some() {
            // Whoever reads a file needs no rights for more than that.
            (None, probe::none("a capture is judged"))
        } else if config.probe.kind == "none" {
            (None, probe::none("the configuration says so"))
        } else {
            let artifact = installed.as_ref().and_then(|installed| installed.probe.as_ref());
            let chosen = probe::choose(&config.probe, artifact)?;
            if let Some(reason) = &chosen.state.reason {
                log::warn(&format!("the embedded probe runs instead of {reason}"));
            }
            (Some(chosen.probe), chosen.state)
        };
        let at_start = Arc::clone(&active.settings);
        let recordings = Recordings::new(config.capture.clone());
        let started = Timestamp::now();
        let last_reload = fallback.map(|message| LastReload {
            at: started.to_string(),
            accepted: false,
            generation: active.generation,
            message,
        });
        Ok(Self {
            args,
            active: ArcSwap::from_pointee(active),
            host: ArcSwap::from_pointee(host),
            stats: Stats::default(),
            containers: Book::new(),
            sinks,
            taps: Arc::default(),
            busy: Busy::default(),
            recordings: Arc::new(recordings),
            probe: Mutex::new(probe),
            widened: Mutex::default(),
            was_widened: AtomicBool::new(false),
            probe_state: Mutex::new(state),
            last_reload: Mutex::new(last_reload),
            changing: Mutex::new(()),
            started,
            at_start,
            seen: AtomicU64::new(0),
        })
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.active.load().settings)
    }

    /// Files and folders whose content counts.
    pub(crate) fn watched(&self) -> Vec<PathBuf> {
        self.settings().config.watched(&self.args)
    }

    /// Enables what the active set needs, attaches the probe and opens its rings, with the walk over
    /// what was there before; `None` without a probe.
    pub(crate) fn attach(&self) -> Result<Option<(Rings, Snapshot)>, ProbeError> {
        let mut probe = lock(&self.probe);
        let Some(probe) = probe.as_mut() else { return Ok(None) };
        let active = self.active.load();
        probe.set_env_bytes(environment_bytes(&active))?;
        probe.set_enabled(active.events.iter().copied())?;
        probe.set_urgent(active.urgent.iter())?;
        probe.attach()?;
        let rings = probe.rings()?;
        Ok(Some((rings, probe.snapshot()?)))
    }

    /// Detaches the probe. What it had written can still be read.
    pub(crate) fn detach(&self) {
        drop(lock(&self.probe).take());
    }

    /// Everything there is to say.
    pub(crate) fn status(&self) -> Status {
        let active = self.active.load();
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            started: self.started.to_string(),
            generation: active.generation,
            lock_digest: active.lock_digest,
            rules: active.counts,
            probe: lock(&self.probe_state).clone(),
            events_enabled: active.events.iter().map(|name| (*name).to_owned()).collect(),
            counters: self.counters(),
            outputs: self.sinks.counts().into_iter().map(output_state).collect(),
            last_reload: lock(&self.last_reload).clone(),
            recording: self.recording().recording,
        }
    }

    /// When the daemon started.
    pub(crate) fn started(&self) -> Timestamp {
        self.started
    }

    /// Events that had been read when health was last asked for.
    pub(crate) fn seen_at_last_check(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Remembers how many events had been read when health was asked for.
    pub(crate) fn checked(&self, events: u64) {
        self.seen.store(events, Ordering::Relaxed);
    }

    /// What the kernel side could not hand over, had to cut or turned away.
    pub(crate) fn probe_counters(&self) -> eyas_probe::Counters {
        let probe = lock(&self.probe);
        probe.as_ref().and_then(|probe| probe.counters().ok()).unwrap_or_default()
    }

    /// Sends an alert about the sensor itself.
    pub(crate) fn tell(&self, internal: &Internal) {
        let line = self.settings().config.format(&self.host.load()).internal_line(internal);
        self.sinks.send(Message::new(line, internal.priority, Arc::clone(&internal.rule)));
    }

    fn counters(&self) -> Counters {
        let sinks = self.sinks.total();
        let kernel = self.probe_counters();
        Counters {
            events: self.stats.events.get(),
            events_dropped: kernel.dropped(),
            events_filtered: kernel.filtered(),
            events_malformed: self.stats.malformed.get(),
            matches: self.stats.matches.get(),
            alerts_written: sinks.written,
            alerts_dropped: sinks.dropped + sinks.failed,
            processes: self.stats.processes.get(),
            processes_evicted: self.stats.evicted.get(),
            reloads: self.stats.reloads.get(),
            reloads_refused: self.stats.refused.get(),
            events_recorded: self.recordings.totals.events.load(Ordering::Relaxed),
            events_unrecorded: self.recordings.totals.lost.load(Ordering::Relaxed),
        }
    }

    /// Whether events are read at all.
    pub(crate) fn reads_events(&self) -> bool {
        self.has_probe() || self.args.replay_records.is_some()
    }

    /// Whether there may be events that no rule asks for.
    pub(crate) fn was_widened(&self) -> bool {
        self.was_widened.load(Ordering::Relaxed)
    }

    /// Whether events are read from the kernel.
    pub(crate) fn has_probe(&self) -> bool {
        lock(&self.probe).is_some()
    }
}

fn output_state(counts: SinkCounts) -> OutputState {
    let SinkCounts { name, written, dropped, failed, last_error, .. } = counts;
    OutputState { name, written, dropped, failed, last_error }
}

fn environment_bytes(active: &Active) -> u32 {
    if active.wants_environment { active.settings.config.probe.env_bytes } else { 0 }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

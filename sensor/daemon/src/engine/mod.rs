//! What is in force, and the only way to change it.
//!
//! The event thread sees the active set through one pointer that is replaced between two events.
//! Everything else, compiling above all, happens on the thread of whoever asked. One change at a
//! time; a change that is refused at any step leaves the old set as it was.

mod compile;
mod control;
mod probe;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use eyas_artifact::Digest;
use eyas_control::{
    Code, Counters, LastReload, ProbeSource, ProbeState, Refusal, Reload, ReloadReport, Report,
    Status,
};
use eyas_output::{Internal, Message, Sinks};
use eyas_probe::{Probe, ProbeError, Rings, Snapshot};
use eyas_rules::{EngineOptions, SourceFile};
use eyas_state::Host;
use jiff::Timestamp;

use crate::config::Config;
use crate::containers::Book;
use crate::error::DaemonError;
use crate::generation::{self, Installed, StoreError};
use crate::log;
use crate::stats::Stats;

pub(crate) use compile::{Active, Compiled, Origin, compile, read_files};
pub(crate) use control::Requests;

/// Earlier generations that are tried at start when the current one is refused.
const MAX_FALLBACKS: usize = 8;

/// The parts that outlive a reload.
#[derive(Debug)]
pub(crate) struct Engine {
    config: Config,
    options: EngineOptions,
    /// The set in force. Read by the event thread without waiting.
    pub(crate) active: ArcSwap<Active>,
    /// Facts of the host, replaced from time to time.
    pub(crate) host: ArcSwap<Host>,
    pub(crate) stats: Stats,
    /// What is known of containers.
    pub(crate) containers: Book,
    pub(crate) sinks: Sinks,
    probe: Mutex<Option<Probe>>,
    probe_state: Mutex<ProbeState>,
    last_reload: Mutex<Option<LastReload>>,
    /// Held while a change is made.
    changing: Mutex<()>,
    started: Timestamp,
    /// Events read when health was last asked for.
    seen: AtomicU64,
}

/// What a start found to run.
#[derive(Debug)]
pub(crate) struct Initial {
    active: Active,
    installed: Option<Installed>,
    /// What the newest generation was refused for, if an older one runs in its place.
    fallback: Option<String>,
    /// Warnings of the set that runs.
    pub(crate) reports: Vec<Report>,
}

/// Compiles what there is to run at start: the current generation, or the newest older one that
/// compiles, and plain files.
pub(crate) fn initial(config: &Config, options: &EngineOptions) -> Result<Initial, DaemonError> {
    let files = read_files(&config.rules_files)?;
    let installed = config.store.as_deref().map(generation::current).transpose()?.flatten();
    let Some(mut installed) = installed else {
        let Compiled { active, reports } =
            compile(files, options, &config.base_syscalls(), Origin::FILES);
        let active = active.ok_or_else(|| DaemonError::Rules { text: texts(&reports) })?;
        return Ok(Initial { active, installed: None, fallback: None, reports });
    };
    let store = config.store.as_deref().unwrap_or(Path::new(""));
    let mut older = generation::older_than(store, installed.number).into_iter().take(MAX_FALLBACKS);
    let mut first_refusal = None;
    loop {
        let origin = Origin::of(&installed);
        let together = together(&mut installed, &files);
        let Compiled { active, reports } =
            compile(together, options, &config.base_syscalls(), origin);
        if let Some(active) = active {
            let fallback = first_refusal.map(|text| {
                format!(
                    "the current generation was refused, running `{}`:\n{text}",
                    installed.number
                )
            });
            return Ok(Initial { active, installed: Some(installed), fallback, reports });
        }
        let text = first_refusal.get_or_insert_with(|| texts(&reports));
        installed = loop {
            let Some(number) = older.next() else {
                return Err(DaemonError::Rules { text: text.clone() });
            };
            if let Ok(found) = generation::read(store, number) {
                break found;
            }
        };
    }
}

/// The generation's files, then the plain ones.
fn together(installed: &mut Installed, files: &[SourceFile]) -> Vec<SourceFile> {
    let mut all = std::mem::take(&mut installed.rules);
    all.extend_from_slice(files);
    all
}

/// All diagnostics as one text.
pub(crate) fn texts(reports: &[Report]) -> String {
    reports.iter().map(|report| report.text.as_str()).collect::<Vec<_>>().join("\n\n")
}

impl Engine {
    /// Opens the probe for what is to run, without attaching it. Where no probe may run that is an
    /// error unless the configuration wants none.
    pub(crate) fn new(
        config: Config,
        options: EngineOptions,
        initial: Initial,
        sinks: Sinks,
        host: Host,
    ) -> Result<Self, DaemonError> {
        let Initial { active, installed, fallback, .. } = initial;
        let (probe, state) = if config.probe.kind == "none" {
            (None, probe::none("the configuration says so"))
        } else {
            let artifact = installed.as_ref().and_then(|installed| installed.probe.as_ref());
            let chosen = probe::choose(&config.probe, artifact)?;
            if let Some(reason) = &chosen.state.reason {
                log::warn(&format!("the embedded probe runs instead of {reason}"));
            }
            (Some(chosen.probe), chosen.state)
        };
        let started = Timestamp::now();
        let places = config.places();
        let last_reload = fallback.map(|message| LastReload {
            at: started.to_string(),
            accepted: false,
            generation: active.generation,
            message,
        });
        Ok(Self {
            config,
            options,
            active: ArcSwap::from_pointee(active),
            host: ArcSwap::from_pointee(host),
            stats: Stats::default(),
            containers: Book::open(places)?,
            sinks,
            probe: Mutex::new(probe),
            probe_state: Mutex::new(state),
            last_reload: Mutex::new(last_reload),
            changing: Mutex::new(()),
            started,
            seen: AtomicU64::new(0),
        })
    }

    /// The configuration in force.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Enables what the active set needs, attaches the probe and opens its rings, with the walk over
    /// what was there before; `None` without a probe.
    pub(crate) fn attach(&self) -> Result<Option<(Rings, Snapshot)>, ProbeError> {
        let mut probe = lock(&self.probe);
        let Some(probe) = probe.as_mut() else { return Ok(None) };
        let active = self.active.load();
        probe.set_env_bytes(self.environment_bytes(&active))?;
        probe.set_enabled(active.events.iter().copied())?;
        probe.attach()?;
        let rings = probe.rings()?;
        Ok(Some((rings, probe.snapshot()?)))
    }

    /// Detaches the probe. What it had written can still be read.
    pub(crate) fn detach(&self) {
        drop(lock(&self.probe).take());
    }

    fn environment_bytes(&self, active: &Active) -> u32 {
        if active.wants_environment { self.config.probe.env_bytes } else { 0 }
    }

    /// Puts the store's current generation, or the plain files as they are now, in force.
    pub(crate) fn reload(&self, request: &Reload) -> Result<ReloadReport, Refusal> {
        let _one_at_a_time = lock(&self.changing);
        let previous = self.active.load().generation;
        let (files, origin, installed) = self.candidate(request)?;
        let about = origin.generation;
        let Compiled { active, mut reports } =
            compile(files, &self.options, &self.config.base_syscalls(), origin);
        let accepted = match active {
            Some(active) => match self.put_in_force(active) {
                Ok(()) => true,
                Err(error) => {
                    reports.push(compile::fault(error.to_string()));
                    false
                }
            },
            None => false,
        };
        if accepted {
            self.look_at_probe(installed.as_ref());
        }
        let report = ReloadReport {
            accepted,
            generation: about,
            previous,
            rules: self.active.load().counts,
            probe: lock(&self.probe_state).clone(),
            reports,
        };
        self.note(&report);
        Ok(report)
    }

    /// What a request asks to run, once it is sure that both sides mean the same.
    fn candidate(
        &self,
        request: &Reload,
    ) -> Result<(Vec<SourceFile>, Origin, Option<Installed>), Refusal> {
        let store_error = |error: StoreError| {
            let hint = error.hint().map_or(String::new(), |hint| format!("; {hint}"));
            Refusal::new(Code::Store, format!("{error}{hint}"))
        };
        let files = read_files(&self.config.rules_files).map_err(store_error)?;
        let Some(store) = self.config.store.as_deref() else {
            if let Some(asked) = request.generation {
                let message = format!(
                    "this sensor runs rules files and no store, generation `{asked}` is unknown to it"
                );
                return Err(Refusal::new(Code::Store, message));
            }
            return Ok((files, Origin::FILES, None));
        };
        let found = generation::current(store).map_err(store_error)?;
        let number = found.as_ref().map(|installed| installed.number);
        let digest = found.as_ref().map(|installed| installed.lock_digest);
        let other_number = request.generation.is_some() && request.generation != number;
        let other_digest = request.lock_digest.is_some() && request.lock_digest != digest;
        if other_number || other_digest {
            return Err(Refusal::new(Code::Store, mismatch(request, store, number, digest)));
        }
        let Some(mut installed) = found else { return Ok((files, Origin::FILES, None)) };
        let origin = Origin::of(&installed);
        Ok((together(&mut installed, &files), origin, Some(installed)))
    }

    /// The swap. The kernel is asked for what either set needs before, and for what the new one
    /// needs after, so that neither misses an event.
    fn put_in_force(&self, active: Active) -> Result<(), ProbeError> {
        let mut probe = lock(&self.probe);
        let old = self.active.load_full();
        let active = Arc::new(active);
        if let Some(probe) = probe.as_mut() {
            let both: BTreeSet<&str> = old.events.union(&active.events).copied().collect();
            probe
                .set_env_bytes(self.environment_bytes(&old).max(self.environment_bytes(&active)))?;
            probe.set_enabled(both)?;
        }
        self.active.store(Arc::clone(&active));
        if let Some(probe) = probe.as_mut() {
            // The new set is in force; asking for too much costs time and no correctness.
            let narrowed = probe
                .set_enabled(active.events.iter().copied())
                .and_then(|()| probe.set_env_bytes(self.environment_bytes(&active)));
            if let Err(error) = narrowed {
                log::warn(&format!("more events than needed stay enabled: {error}"));
            }
        }
        Ok(())
    }

    /// A new generation may carry another probe; it is tried now and used from the next start on.
    fn look_at_probe(&self, installed: Option<&Installed>) {
        let mut state = lock(&self.probe_state);
        if state.source == ProbeSource::None {
            return;
        }
        let artifact = installed.and_then(|installed| installed.probe.as_ref());
        state.reason =
            artifact.and_then(|probe| probe::try_out(probe, state.object_digest.as_ref()));
    }

    fn note(&self, report: &ReloadReport) {
        if report.accepted {
            self.stats.reloads.add(1);
        } else {
            self.stats.refused.add(1);
        }
        let lines = report.lines();
        let message = lines.first().cloned().unwrap_or_default();
        if report.accepted {
            log::info(&message);
        } else {
            log::error(&lines.join("\n"));
        }
        *lock(&self.last_reload) = Some(LastReload {
            at: Timestamp::now().to_string(),
            accepted: report.accepted,
            generation: report.generation,
            message,
        });
    }

    /// Whether a set would be taken; changes nothing.
    pub(crate) fn validate(&self, files: Vec<SourceFile>, origin: Origin) -> Compiled {
        compile(files, &self.options, &self.config.base_syscalls(), origin)
    }

    /// One generation of the store with the plain files behind it.
    pub(crate) fn files_of(&self, number: u64) -> Result<(Vec<SourceFile>, Origin), Refusal> {
        let failed = |error: StoreError| Refusal::new(Code::Store, error.to_string());
        let Some(store) = self.config.store.as_deref() else {
            return Err(Refusal::new(Code::Store, "this sensor runs rules files and no store"));
        };
        let files = read_files(&self.config.rules_files).map_err(failed)?;
        let mut installed = generation::read(store, number).map_err(failed)?;
        let origin = Origin::of(&installed);
        Ok((together(&mut installed, &files), origin))
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
            last_reload: lock(&self.last_reload).clone(),
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

    /// What the kernel could not hand over or had to cut.
    pub(crate) fn lost(&self) -> eyas_probe::Counters {
        let probe = lock(&self.probe);
        probe.as_ref().and_then(|probe| probe.counters().ok()).unwrap_or_default()
    }

    /// Sends an alert about the sensor itself.
    pub(crate) fn tell(&self, internal: &Internal) {
        let line = self.config.format(&self.host.load()).internal_line(internal);
        self.sinks.send(Message::new(line, internal.priority, Arc::clone(&internal.rule)));
    }

    fn counters(&self) -> Counters {
        let sinks = self.sinks.counts();
        Counters {
            events: self.stats.events.get(),
            events_dropped: self.lost().dropped(),
            events_malformed: self.stats.malformed.get(),
            matches: self.stats.matches.get(),
            alerts_written: sinks.iter().map(|sink| sink.written).sum(),
            alerts_dropped: sinks.iter().map(|sink| sink.dropped + sink.failed).sum(),
            processes: self.stats.processes.get(),
            processes_evicted: self.stats.evicted.get(),
            reloads: self.stats.reloads.get(),
            reloads_refused: self.stats.refused.get(),
        }
    }

    /// Whether events are read from the kernel.
    pub(crate) fn has_probe(&self) -> bool {
        lock(&self.probe).is_some()
    }
}

fn mismatch(request: &Reload, store: &Path, number: Option<u64>, digest: Option<Digest>) -> String {
    let name = |number: Option<u64>| number.map_or("none".to_owned(), |n| n.to_string());
    let asked = request.generation.or(number);
    let mut text = format!(
        "expected generation `{}`, found `{}` in `{}`",
        name(asked),
        name(number),
        store.display()
    );
    if asked == number && digest != request.lock_digest {
        text.push_str(" with another lock file");
    }
    if let Some(theirs) = request.dir.as_deref().filter(|dir| Path::new(dir) != store) {
        text.push_str("; the request is about `");
        text.push_str(theirs);
        text.push('`');
    }
    text
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The one way to another set of rules, another configuration, other rules switched on.
//!
//! One change at a time; one that is refused at any step leaves everything as it was.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use eyas_artifact::Digest;
use eyas_control::{Code, LastReload, ProbeSource, Refusal, Reload, ReloadReport, Select, Switch};
use eyas_output::Prepared;
use eyas_probe::ProbeError;
use eyas_rules::SourceFile;
use eyas_rules::load::Selection;
use jiff::Timestamp;

use super::compile::{self, Active, Compiled, Origin, compile, read_files};
use super::initial::together;
use super::{Engine, Settings, lock, probe};
use crate::config::{self, Loaded};
use crate::generation::{self, Installed, StoreError};
use crate::{log, privilege};

/// What a change asks for, once it is sure that both sides mean the same.
struct Candidate {
    files: Vec<SourceFile>,
    origin: Origin,
    installed: Option<Installed>,
    settings: Arc<Settings>,
    /// Outputs to put in the place of the present ones.
    outputs: Option<Prepared>,
}

/// Most switches that are kept; more are one too many to keep in mind.
const MAX_SWITCHES: usize = 1024;

impl Engine {
    /// Puts the store's current generation, or the plain files as they are now, in force.
    pub(crate) fn reload(&self, request: &Reload) -> Result<ReloadReport, Refusal> {
        let _one_at_a_time = lock(&self.changing);
        let settings = self.settings();
        let (files, origin, installed) = candidate(request, &settings)?;
        Ok(self.change(Candidate { files, origin, installed, settings, outputs: None }))
    }

    /// Reads configuration and rules again and puts both in force, or neither.
    pub(crate) fn reload_all(&self) -> Result<ReloadReport, Refusal> {
        let _one_at_a_time = lock(&self.changing);
        let refused = |message: String| {
            let refusal = Refusal::new(Code::BadRequest, message);
            self.refuse(&refusal);
            refusal
        };
        let Loaded { mut config, engine: options, ignored, .. } =
            config::load(&self.args).map_err(|error| refused(error.to_string()))?;
        let before = self.settings();
        let fixed = config.keep_fixed(&before.config);
        let confined = privilege::keep_confined(&mut config, &before.config, &self.at_start.config);
        for key in fixed.into_iter().chain(confined) {
            log::warn(&format!("`{key}` was changed, which counts from the next start on"));
        }
        let new: Vec<_> =
            ignored.iter().filter(|one| !before.ignored.contains(one)).cloned().collect();
        for line in config::ignored_lines(&new) {
            log::warn(&line);
        }
        let targets = config.targets().map_err(|error| refused(error.to_string()))?;
        let outputs = self
            .sinks
            .prepare(&targets, config.queue())
            .map_err(|error| refused(error.to_string()))?;
        let mut settings = Settings { config, options, ignored, switched: before.switched.clone() };
        settings.apply_switches();
        let settings = Arc::new(settings);
        let found = candidate(&Reload::default(), &settings);
        let (files, origin, installed) = found.inspect_err(|refusal| self.refuse(refusal))?;
        let outputs = Some(outputs);
        Ok(self.change(Candidate { files, origin, installed, settings, outputs }))
    }

    /// Switches rules on or off. The set in force is compiled anew, from the same generation.
    pub(crate) fn select(&self, select: Select) -> Result<ReloadReport, Refusal> {
        let _one_at_a_time = lock(&self.changing);
        if let Some(empty) = select.switches.iter().find(|s| s.rule.is_none() && s.tag.is_none()) {
            let verb = if empty.enable { "enable" } else { "disable" };
            let message = format!("a switch to {verb} names neither a rule nor a tag");
            return Err(Refusal::new(Code::BadRequest, message));
        }
        let mut settings = Settings::clone(&self.settings());
        if select.reset {
            settings.switched.clear();
        }
        settings.switched.extend(select.switches);
        let found = settings.switched.len();
        if found > MAX_SWITCHES {
            let message = format!(
                "`{found}` switches, expected at most `{MAX_SWITCHES}`: write them to `rules` in \
                 the configuration, and reset"
            );
            return Err(Refusal::new(Code::BadRequest, message));
        }
        settings.apply_switches();
        let settings = Arc::new(settings);
        let (files, origin) = match self.active.load().generation {
            Some(number) => self.files_of(number)?,
            None => plain_files(&settings)?,
        };
        Ok(self.change(Candidate { files, origin, installed: None, settings, outputs: None }))
    }

    fn change(&self, candidate: Candidate) -> ReloadReport {
        let Candidate { files, origin, installed, settings, outputs } = candidate;
        let previous = self.active.load().generation;
        let about = origin.generation;
        let Compiled { active, mut reports } = compile(files, &settings, origin);
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
            if installed.is_some() {
                self.look_at_probe(installed.as_ref());
            }
            if let Some(outputs) = outputs
                && let Err(error) = self.sinks.replace(outputs)
            {
                log::error(&format!("the outputs stay as they were: {error}"));
            }
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
        report
    }

    /// The swap. The kernel is asked for what either set needs before, and for what the new one
    /// needs after, so that neither misses an event.
    fn put_in_force(&self, active: Active) -> Result<(), ProbeError> {
        let mut probe = lock(&self.probe);
        let old = self.active.load_full();
        let active = Arc::new(active);
        let widened = lock(&self.widened);
        if let Some(probe) = probe.as_mut() {
            let both = old.events.union(&active.events).chain(widened.iter()).copied();
            let both: BTreeSet<&str> = both.collect();
            probe.set_env_bytes(
                super::environment_bytes(&old).max(super::environment_bytes(&active)),
            )?;
            probe.set_enabled(both)?;
        }
        self.active.store(Arc::clone(&active));
        if let Some(probe) = probe.as_mut() {
            // The new set is in force; asking for too much costs time and no correctness.
            let narrowed = probe
                .set_enabled(active.events.union(&widened).copied())
                .and_then(|()| probe.set_urgent(active.urgent.iter()))
                .and_then(|()| probe.set_env_bytes(super::environment_bytes(&active)));
            if let Err(error) = narrowed {
                log::warn(&format!("more events than needed stay enabled: {error}"));
            }
        }
        Ok(())
    }

    /// Asks the kernel for more than the rules need, because that is to be recorded; how many event types more
    /// that is.
    pub(crate) fn widen(&self, events: &BTreeSet<&'static str>) -> Result<u64, ProbeError> {
        let mut probe = lock(&self.probe);
        let Some(probe) = probe.as_mut() else { return Ok(0) };
        let active = self.active.load();
        let more: BTreeSet<&'static str> = events.difference(&active.events).copied().collect();
        let count = more.len() as u64;
        if count > 0 {
            // First, so that none of them is judged: what alerts there are does not depend on recordings.
            self.was_widened.store(true, Ordering::Relaxed);
        }
        let mut widened = lock(&self.widened);
        if *widened != more {
            probe.set_enabled(active.events.union(&more).copied())?;
            *widened = more;
        }
        Ok(count)
    }

    /// Asks the kernel for what the rules need and no more.
    pub(crate) fn narrow(&self) -> Result<(), ProbeError> {
        // Nearly always there is nothing to do, and the probe is not waited for.
        if lock(&self.widened).is_empty() {
            return Ok(());
        }
        self.widen(&BTreeSet::new()).map(drop)
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
        // Counted last: who sees the count finds what it counts.
        if report.accepted {
            self.stats.reloads.add(1);
        } else {
            self.stats.refused.add(1);
        }
    }

    /// Remembers a change that was refused before it was compiled.
    fn refuse(&self, refusal: &Refusal) {
        *lock(&self.last_reload) = Some(LastReload {
            at: Timestamp::now().to_string(),
            accepted: false,
            generation: self.active.load().generation,
            message: refusal.message.clone(),
        });
        self.stats.refused.add(1);
    }

    /// Whether a set would be taken; changes nothing.
    pub(crate) fn validate(&self, files: Vec<SourceFile>, origin: Origin) -> Compiled {
        compile(files, &self.settings(), origin)
    }

    /// One generation of the store with the plain files behind it.
    pub(crate) fn files_of(&self, number: u64) -> Result<(Vec<SourceFile>, Origin), Refusal> {
        let failed = |error: StoreError| Refusal::new(Code::Store, error.to_string());
        let settings = self.settings();
        let Some(store) = settings.config.store.as_deref() else {
            return Err(Refusal::new(Code::Store, "this sensor runs rules files and no store"));
        };
        let files = read_files(&settings.config.rules_files).map_err(failed)?;
        let mut installed = generation::read(store, number).map_err(failed)?;
        let origin = Origin::of(&installed);
        Ok((together(&mut installed, &files), origin))
    }
}

/// What a request asks to run, once it is sure that both sides mean the same.
fn candidate(
    request: &Reload,
    settings: &Settings,
) -> Result<(Vec<SourceFile>, Origin, Option<Installed>), Refusal> {
    let store_error = |error: StoreError| {
        let hint = error.hint().map_or(String::new(), |hint| format!("; {hint}"));
        Refusal::new(Code::Store, format!("{error}{hint}"))
    };
    let files = read_files(&settings.config.rules_files).map_err(store_error)?;
    let Some(store) = settings.config.store.as_deref() else {
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

/// The plain files as they are now.
fn plain_files(settings: &Settings) -> Result<(Vec<SourceFile>, Origin), Refusal> {
    let files = read_files(&settings.config.rules_files)
        .map_err(|error| Refusal::new(Code::Store, error.to_string()))?;
    Ok((files, Origin::FILES))
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

/// A switch as the rule engine has it.
pub(super) fn selection(switch: &Switch) -> Selection {
    Selection { enable: switch.enable, rule: switch.rule.clone(), tag: switch.tag.clone() }
}

//! Start and end: the parts in their order, housekeeping between, drain last.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use eyas_control::{Allowed, Running, Server, ServerOptions};
use eyas_output::{Prepared, Sinks};
use eyas_state::Host;

use crate::args::Args;
use crate::config::{self, Action, Config, Loaded};
use crate::engine::{self, Engine, Initial, Requests, Settings};
use crate::error::DaemonError;
use crate::events::{self, Capture, Records, Source};
use crate::losses::{Loss, Losses};
use crate::notify::{self, Watchdog, notify};
use crate::outages::{Outages, Word};
use crate::signals::{Asked, Signals};
use crate::snapshot::Snapshots;
use crate::watch::Watch;
use crate::{host, log, privilege, recordings, web};

/// How often the daemon looks after itself.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// How often facts of the host are gathered again.
const HOST_REFRESH: Duration = Duration::from_mins(1);
/// The right to connect to a socket for those who are neither its owner nor in its group.
const CONNECT_BY_OTHERS: u32 = 0o006;
/// How often the end of a capture is looked for.
const REPLAY_STEP: Duration = Duration::from_millis(5);
/// How often the end of the event thread is looked for.
const END_STEP: Duration = Duration::from_millis(2);
/// How long outputs may take to write what waits at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs until told to stop.
pub(crate) fn run(args: &Args) -> Result<(), DaemonError> {
    eyas_probe::memory::be_frugal();
    if args.probe_capability {
        eyas_probe::capability().map_err(eyas_probe::ProbeError::from)?;
        log::info("the probe may run here");
        return Ok(());
    }
    let loaded = config::load(args)?;
    log::set_level(loaded.config.log_level.parse().unwrap_or(log::Level::Info));
    for line in config::ignored_lines(&loaded.ignored) {
        log::warn(&line);
    }
    if args.print_config {
        return print(&loaded.shown());
    }
    let Loaded { config, ignored, engine: options, .. } = loaded;
    // Before any thread is started, so that none of them takes the signals.
    let signals = Signals::take()
        .map_err(|source| DaemonError::System { doing: "listen to signals", source })?;
    let settings = Settings { config, options, ignored, switched: Vec::new() };
    // Before anything is read, so that no change falls between reading and watching.
    let files = files(&settings.config, args);
    let initial = engine::initial(&Arc::new(settings))?;
    for report in &initial.reports {
        log::warn(&report.text);
    }
    let opened = open(args, initial)?;
    match opened {
        None => {
            log::info("configuration and rules are good");
            Ok(())
        }
        Some(opened) => serve(opened, files, &signals),
    }
}

/// All that needs rights to be opened, with no thread running yet.
struct Opened {
    engine: Arc<Engine>,
    source: Source,
    outputs: Prepared,
    control: Option<Server>,
    web: Option<TcpListener>,
}

/// Opens everything; `None` if it was only to be checked whether it could be.
fn open(args: &Args, initial: Initial) -> Result<Option<Opened>, DaemonError> {
    let settings = initial.settings();
    let config = &settings.config;
    let targets = config.targets()?;
    if args.check {
        return Ok(None);
    }
    let sinks = Sinks::default();
    let outputs = sinks.prepare(&targets, config.queue())?;
    let engine = Arc::new(Engine::new(args.clone(), initial, sinks, host::gather())?);
    let source = source(args, &engine)?;
    if matches!(source, Source::Capture(_)) {
        // Nobody is listened to until its end.
        return Ok(Some(Opened { engine, source, outputs, control: None, web: None }));
    }
    // What is not there when writing elsewhere is given up cannot be written to later.
    recordings::prepare(&config.capture);
    let control = control(config)?;
    let web = web::listen(&config.webserver)?;
    Ok(Some(Opened { engine, source, outputs, control, web }))
}

/// Gives up what is not needed any more, starts the threads, and looks after them until the end.
fn serve(opened: Opened, files: Option<Watch>, signals: &Signals) -> Result<(), DaemonError> {
    let Opened { engine, source, outputs, control, web } = opened;
    let settings = engine.settings();
    let config = &settings.config;
    let is_replay = matches!(source, Source::Capture(_));
    privilege::prefer(true);
    let kept = privilege::drop_capabilities(config)?;
    // It looks at other processes, which a confined thread may not.
    engine.containers.start(config.places())?;
    let confined = privilege::confine(config)?;
    log::info(&format!("runs with {kept}; {confined}"));
    engine.sinks.replace(outputs)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (ready, started) = mpsc::channel();
    let thread = events::start(Arc::clone(&engine), source, Arc::clone(&stop), ready)?;
    privilege::prefer(false);
    // An error means that the thread ended; the loop below finds that out and says why.
    let _ = started.recv();
    if is_replay {
        return replayed(engine, signals, thread, &stop);
    }
    engine.recordings.start()?;
    let requests = || Arc::new(Requests(Arc::clone(&engine)));
    let control = control.map(|server| server.serve(requests())).transpose()?;
    if let Some(listener) = web {
        web::serve(listener, &engine)?;
    }
    announce(&engine, control.as_ref());
    eyas_probe::memory::give_back();
    drop(settings);
    let ended = watch(&engine, files, signals, &thread);
    drain(engine, control, thread, &stop)?;
    ended
}

/// Waits for the end of a capture, and says what came of it. Nobody is listened to meanwhile but
/// signals: the rules are those that were given.
fn replayed(
    engine: Arc<Engine>,
    signals: &Signals,
    thread: JoinHandle<Result<(), DaemonError>>,
    stop: &AtomicBool,
) -> Result<(), DaemonError> {
    while !thread.is_finished() && !matches!(signals.wait(REPLAY_STEP, None), Asked::Stop) {}
    for (rule, of) in engine.stats.by_rule().into_iter().filter(|(_, of)| of.matches > 0) {
        log::info(&format!("{} x {rule}", of.matches));
    }
    drain(engine, None, thread, stop)
}

/// Watches the files that count, if that is wanted.
fn files(config: &Config, args: &Args) -> Option<Watch> {
    let wanted = config.watch_config_files && !args.check;
    let watch = wanted.then(|| Watch::over(config.watched(args)))?;
    watch.inspect_err(|error| log::warn(&format!("files are not watched: {error}"))).ok()
}

fn print(text: &str) -> Result<(), DaemonError> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|source| DaemonError::System { doing: "print the configuration", source })
}

fn source(args: &Args, engine: &Engine) -> Result<Source, DaemonError> {
    if let Some(path) = &args.replay {
        return Capture::open(path).map(|capture| Source::Capture(Box::new(capture)));
    }
    if let Some(path) = &args.replay_records {
        return Records::open(path).map(Source::Records);
    }
    Ok(engine.attach()?.map_or(Source::Nothing, |(rings, snapshot)| Source::Rings(rings, snapshot)))
}

fn control(config: &Config) -> Result<Option<Server>, DaemonError> {
    if !config.control.enabled {
        return Ok(None);
    }
    let group = config.control.group.as_deref().and_then(|name| {
        let found = id_of("/etc/group", name);
        if found.is_none() {
            log::warn(&format!(
                "there is no group `{name}`: only root and this user may use the control socket"
            ));
        }
        found
    });
    let users = config.control.users.iter().filter_map(|user| {
        let found = match user {
            serde_json::Value::Number(id) => id.as_u64().and_then(|id| u32::try_from(id).ok()),
            serde_json::Value::String(name) => id_of("/etc/passwd", name),
            _ => None,
        };
        if found.is_none() {
            log::warn(&format!("`control.users` names `{user}`, which is no user here: left out"));
        }
        found
    });
    let allowed = Allowed { uids: users.collect(), gids: group.into_iter().collect() };
    // A file has one group. Users that are listed beside it can only connect where everyone can; who is
    // listened to then is decided by what the kernel says of them.
    let others = if allowed.uids.is_empty() { 0 } else { CONNECT_BY_OTHERS };
    let defaults = ServerOptions::default();
    let mode = config.control_mode().unwrap_or(defaults.mode) | others;
    let options = ServerOptions { mode, group, allowed, ..defaults };
    let path = &config.control.socket;
    let server = match notify::handed_over() {
        Some(listener) => Server::adopt(listener, path, options)?,
        None => Server::bind(path, options)?,
    };
    Ok(Some(server))
}

/// The id of a user or group by name; a number stands for itself.
fn id_of(table: impl AsRef<Path>, name: &str) -> Option<u32> {
    if let Ok(id) = name.parse() {
        return Some(id);
    }
    let text = std::fs::read(table).ok()?;
    let groups = Host::read_groups(&text);
    groups.into_iter().find(|(_, group)| *group.name == *name.as_bytes()).map(|(id, _)| id)
}

fn announce(engine: &Engine, control: Option<&Running>) {
    let status = engine.status();
    let from = match status.generation {
        Some(number) => format!("generation {number}"),
        None if engine.settings().config.rules_files.is_empty() => "no generation yet".into(),
        None => "rules files".into(),
    };
    let reads = if engine.has_probe() {
        "reading events from the kernel"
    } else {
        "reading no events from the kernel: rules are checked and nothing is detected"
    };
    let socket = control.map_or("no control socket".into(), |running| {
        format!("control socket {}", running.path().display())
    });
    log::info(&format!(
        "{from}: {} rules, {} enabled; {reads}; {socket}",
        status.rules.loaded, status.rules.enabled
    ));
    notify(&format!("READY=1\nSTATUS={from}, {} rules", status.rules.enabled));
}

/// Waits for the end, looking after things meanwhile.
fn watch(
    engine: &Engine,
    files: Option<Watch>,
    signals: &Signals,
    thread: &JoinHandle<Result<(), DaemonError>>,
) -> Result<(), DaemonError> {
    let mut care = Care::new(engine, files);
    loop {
        match signals.wait(care.wait(), care.files.as_ref().map(Watch::fd)) {
            Asked::Stop => return Ok(()),
            Asked::Reload => care.reload(engine),
            Asked::Reopen => {
                engine.sinks.reopen();
                log::info("outputs are opened anew");
            }
            Asked::Nothing => {}
        }
        if thread.is_finished() {
            return Err(DaemonError::EventsEnded("it should not have".into()));
        }
        care.take(engine, Instant::now())?;
    }
}

/// All that is done now and then.
struct Care {
    files: Option<Watch>,
    losses: Losses,
    outages: Outages,
    snapshots: Snapshots,
    watchdog: Watchdog,
    looked: Instant,
    gathered: Instant,
    /// Rounds of the event thread when it was last looked at.
    rounds: u64,
}

impl Care {
    fn new(engine: &Engine, files: Option<Watch>) -> Self {
        let now = Instant::now();
        let settings = engine.settings();
        let config = &settings.config;
        Self {
            files,
            losses: Losses::new(config.syscall_event_drops.clone(), now),
            outages: Outages::default(),
            snapshots: Snapshots::new(now),
            watchdog: Watchdog::of_environment(),
            looked: now,
            gathered: now,
            rounds: 0,
        }
    }

    fn wait(&self) -> Duration {
        self.files.as_ref().map_or(HOUSEKEEPING, |files| files.wait(HOUSEKEEPING))
    }

    /// Reads configuration and rules again. What is wrong with them was said by whoever found it.
    fn reload(&mut self, engine: &Engine) {
        notify::reloading();
        match engine.reload_all() {
            Ok(report) if report.accepted => {
                let settings = engine.settings();
                let config = &settings.config;
                log::set_level(config.log_level.parse().unwrap_or(log::Level::Info));
                self.losses.set(config.syscall_event_drops.clone());
                if let Some(files) = &mut self.files {
                    files.follow(engine.watched());
                }
            }
            Ok(_) => {}
            Err(refusal) => log::error(&format!("{}: nothing was changed", refusal.message)),
        }
        notify("READY=1");
    }

    fn take(&mut self, engine: &Engine, now: Instant) -> Result<(), DaemonError> {
        if self.files.as_mut().is_some_and(|files| files.has_changed(now)) {
            log::info("files have changed");
            self.reload(engine);
        }
        if now.duration_since(self.looked) < HOUSEKEEPING {
            return Ok(());
        }
        self.looked = now;
        let rounds = engine.stats.polls.get();
        // Without a probe the thread turns when there is something to read.
        let turns = rounds != std::mem::replace(&mut self.rounds, rounds) || !engine.has_probe();
        self.watchdog.look(now, turns);
        let set = host::clock_was_set(&engine.host.load());
        if set {
            log::info("the clock was set: times of alerts follow it");
        }
        if set || now.duration_since(self.gathered) >= HOST_REFRESH {
            engine.host.store(Arc::new(host::gather()));
            self.gathered = now;
        }
        engine.look_at_recording();
        self.snapshots.look(engine, now);
        for word in self.outages.look(&engine.sinks.counts(), now) {
            match word {
                Word::Loses(line) => log::warn(&line),
                Word::Again(line) => log::info(&line),
            }
        }
        let read = engine.stats.events.get();
        match self.losses.look(read, engine.probe_counters(), now) {
            Some(loss) => act(engine, &loss),
            None => Ok(()),
        }
    }
}

/// Does what the configuration says about lost events.
fn act(engine: &Engine, loss: &Loss) -> Result<(), DaemonError> {
    for action in &engine.settings().config.syscall_event_drops.actions {
        match action {
            Action::Ignore => {}
            Action::Log => log::warn(&loss.line()),
            Action::Alert => engine.tell(&loss.alert()),
            Action::Exit => return Err(DaemonError::Lost(loss.line())),
        }
    }
    Ok(())
}

/// Stops reading, writes what is left, and says what could not be written.
fn drain(
    engine: Arc<Engine>,
    control: Option<Running>,
    thread: JoinHandle<Result<(), DaemonError>>,
    stop: &AtomicBool,
) -> Result<(), DaemonError> {
    notify("STOPPING=1");
    drop(control);
    engine.detach();
    stop.store(true, Ordering::Relaxed);
    thread.thread().unpark();
    let ended = end_of(thread);
    engine.recordings.finish(DRAIN);
    let counters = engine.status().counters;
    log::info(&format!("{} events, {} matches", counters.events, counters.matches));
    if let Some(engine) = alone(engine) {
        for sink in engine.sinks.finish(DRAIN) {
            let lost = sink.dropped + sink.failed;
            if lost > 0 || sink.waiting_bytes > 0 {
                let why = sink.last_error.unwrap_or_else(|| "its queue was full".into());
                log::warn(&format!("{}: {lost} alerts were lost: {why}", sink.name));
            }
        }
    }
    ended
}

/// The engine, once nobody answers a question about it any more.
fn alone(mut engine: Arc<Engine>) -> Option<Engine> {
    let end = Instant::now() + DRAIN;
    loop {
        match Arc::try_unwrap(engine) {
            Ok(engine) => return Some(engine),
            Err(_) if Instant::now() >= end => return None,
            Err(shared) => engine = shared,
        }
        std::thread::sleep(END_STEP);
    }
}

/// How the event thread ended. One that does not end by itself in time is left behind, so that a
/// fault in it cannot keep the daemon from leaving.
fn end_of(thread: JoinHandle<Result<(), DaemonError>>) -> Result<(), DaemonError> {
    let end = Instant::now() + DRAIN;
    while !thread.is_finished() {
        if Instant::now() >= end {
            let why = format!("it did not end within {}s", DRAIN.as_secs());
            return Err(DaemonError::EventsEnded(why));
        }
        std::thread::sleep(END_STEP);
    }
    thread.join().unwrap_or_else(|_| Err(DaemonError::EventsEnded("it hit a fault".into())))
}

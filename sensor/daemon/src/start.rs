//! Start and end: the parts in their order, housekeeping between, drain last.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use eyas_control::{Allowed, Running, Server, ServerOptions};
use eyas_output::Sinks;
use eyas_state::Host;

use crate::args::Args;
use crate::config::{self, Action, Config, Loaded};
use crate::engine::{self, Engine, Requests};
use crate::error::DaemonError;
use crate::events::{self, Capture, Records, Source};
use crate::losses::{Loss, Losses};
use crate::notify::notify;
use crate::signals::{Asked, Signals};
use crate::{host, log, web};

/// How often the daemon looks after itself.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// How often facts of the host are gathered again.
const HOST_REFRESH: Duration = Duration::from_mins(1);
/// How often the end of a capture is looked for.
const REPLAY_STEP: Duration = Duration::from_millis(5);
/// How often the end of the event thread is looked for.
const END_STEP: Duration = Duration::from_millis(2);
/// How long outputs may take to write what waits at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs until told to stop.
pub(crate) fn run(args: &Args) -> Result<(), DaemonError> {
    if args.probe_capability {
        eyas_probe::capability().map_err(eyas_probe::ProbeError::from)?;
        log::info("the probe may run here");
        return Ok(());
    }
    let Loaded { config, ignored, engine: options } = config::load(args)?;
    for key in ignored {
        log::warn(&format!("`{key}` has no meaning here and is ignored"));
    }
    if args.print_config {
        return print(&config);
    }
    // Before any thread is started, so that none of them takes the signals.
    let signals = Signals::take()
        .map_err(|source| DaemonError::System { doing: "listen to signals", source })?;
    let initial = engine::initial(&config, &options)?;
    for report in &initial.reports {
        log::warn(&report.text);
    }
    config.targets()?;
    if args.check {
        log::info("configuration and rules are good");
        return Ok(());
    }
    let host = host::gather();
    let sinks = Sinks::open(&config.targets()?, config.queue())?;
    let format = config.format(&host);
    let engine = Arc::new(Engine::new(config, options, initial, sinks, host)?);
    let source = source(args, &engine)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (ready, started) = mpsc::channel();
    let thread = events::start(Arc::clone(&engine), source, format, Arc::clone(&stop), ready)?;
    // An error means that the thread ended; the loop below finds that out and says why.
    let _ = started.recv();
    if args.replay.is_some() {
        return replayed(engine, &signals, thread, &stop);
    }
    let control = control(&engine)?;
    web::serve(&engine)?;
    announce(&engine, control.as_ref());
    let ended = watch(&engine, &signals, &thread);
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
    while !thread.is_finished() && !matches!(signals.wait(REPLAY_STEP), Asked::Stop) {}
    for (rule, matches) in engine.stats.matches_by_rule() {
        log::info(&format!("{matches} x {rule}"));
    }
    drain(engine, None, thread, stop)
}

fn print(config: &Config) -> Result<(), DaemonError> {
    let text = serde_saphyr::to_string(config).unwrap_or_default();
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

fn control(engine: &Arc<Engine>) -> Result<Option<Running>, DaemonError> {
    let config = engine.config();
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
    let mode = config.control_mode("control.mode")?;
    let options = ServerOptions { mode, group, allowed, ..ServerOptions::default() };
    let server = Server::bind(&config.control.socket, options)?;
    Ok(Some(server.serve(Arc::new(Requests(Arc::clone(engine))))?))
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
        None if engine.config().rules_files.is_empty() => "no generation yet".into(),
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
    notify("READY=1");
}

/// Waits for the end, looking after things meanwhile.
fn watch(
    engine: &Engine,
    signals: &Signals,
    thread: &JoinHandle<Result<(), DaemonError>>,
) -> Result<(), DaemonError> {
    let mut gathered = Instant::now();
    let mut losses = Losses::new(engine.config().syscall_event_drops.clone(), gathered);
    loop {
        match signals.wait(HOUSEKEEPING) {
            Asked::Stop => return Ok(()),
            Asked::Reload => {
                if let Err(refusal) = engine.reload(&eyas_control::Reload::default()) {
                    log::error(&refusal.message);
                }
            }
            Asked::Nothing => {}
        }
        if thread.is_finished() {
            return Err(DaemonError::EventsEnded("it should not have".into()));
        }
        if gathered.elapsed() >= HOST_REFRESH {
            engine.host.store(Arc::new(host::gather()));
            gathered = Instant::now();
        }
        let read = engine.stats.events.get();
        if let Some(loss) = losses.look(read, engine.lost(), Instant::now()) {
            act(engine, &loss)?;
        }
    }
}

/// Does what the configuration says about lost events.
fn act(engine: &Engine, loss: &Loss) -> Result<(), DaemonError> {
    for action in &engine.config().syscall_event_drops.actions {
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

//! Sinks: each has a thread that takes lines from its queue and writes them in batches.
//!
//! What a sink cannot take is counted where it was lost: `dropped` when its queue was full,
//! `failed` when writing did not work. Whoever sends never waits.

mod datagram;
mod file;
mod http;
mod program;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::error::OutputError;
use crate::message::Message;
use crate::queue::{Inlet, Line, Next, Outlet, QueueLimits, queue};
use crate::relay::HttpTarget;

use self::datagram::{Datagrams, JOURNAL_SOCKET, Layout, SYSLOG_SOCKET};
use self::file::{Reopening, stdout};
use self::http::Http;
use self::program::Program;
use self::writer::Writer;

pub use self::program::ProgramTarget;

/// Bytes handed to a sink at once.
const BATCH_BYTES: usize = 64 * 1024;
/// Alerts handed to a sink at once.
const BATCH_ALERTS: usize = 1024;
/// How often an idle sink looks around.
const IDLE: Duration = Duration::from_secs(1);
/// How often [`Sinks::finish`] looks whether a sink is done.
const FINISH_STEP: Duration = Duration::from_millis(5);
/// Stack of a sink's thread.
const STACK_BYTES: usize = 256 * 1024;

/// Where a sink writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, appended to, reopened when it was renamed or removed.
    File(PathBuf),
    /// The system's logger.
    Syslog(SyslogTarget),
    /// The journal, with rule and priority as fields.
    Journal {
        /// The journal's socket, if not systemd's own.
        socket: Option<PathBuf>,
        /// `SYSLOG_IDENTIFIER` of the entries.
        tag: String,
    },
    /// A Unix datagram socket: one alert, one datagram.
    Datagram(PathBuf),
    /// A program's standard input.
    Program(ProgramTarget),
    /// An HTTP receiver.
    Http(Box<HttpTarget>),
}

/// The system's logger, by its local socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogTarget {
    /// The socket, if not `/dev/log`.
    pub socket: Option<PathBuf>,
    /// Facility by its name, such as `user` or `local0`.
    pub facility: Facility,
    /// Name in front of each message.
    pub tag: String,
}

/// Syslog's facilities (RFC 5424 section 6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// Names in the order of their numbers.
    const NAMES: [&str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron",
        "authpriv", "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2",
        "local3", "local4", "local5", "local6", "local7",
    ];

    /// The facility of that name.
    pub fn named(name: &str) -> Option<Self> {
        let at = Self::NAMES.iter().position(|known| *known == name)?;
        u8::try_from(at).ok().map(Self)
    }
}

impl Target {
    fn name(&self) -> String {
        match self {
            Self::Stdout => "stdout".into(),
            Self::File(path) => format!("file {}", path.display()),
            Self::Syslog(_) => "syslog".into(),
            Self::Journal { .. } => "journal".into(),
            Self::Datagram(path) => format!("socket {}", path.display()),
            Self::Program(target) => format!("program {}", first_word(&target.command)),
            Self::Http(target) => format!("http {}", without_secrets(&target.post.url)),
        }
    }

    fn open(&self) -> Result<Box<dyn Writer>, OutputError> {
        Ok(match self {
            Self::Stdout => Box::new(stdout()?),
            Self::File(path) => Box::new(Reopening::open(path)?),
            Self::Syslog(target) => {
                let path = target.socket.as_deref().unwrap_or(Path::new(SYSLOG_SOCKET));
                let facility = target.facility.0 << 3;
                let layout = Layout::Syslog { facility, tag: target.tag.clone() };
                Box::new(Datagrams::to(path, layout))
            }
            Self::Journal { socket, tag } => {
                let path = socket.as_deref().unwrap_or(Path::new(JOURNAL_SOCKET));
                Box::new(Datagrams::to(path, Layout::Journal { tag: tag.clone() }))
            }
            Self::Datagram(path) => Box::new(Datagrams::to(path, Layout::Line)),
            Self::Program(target) => Box::new(Program::new(target.clone())),
            Self::Http(target) => Box::new(Http::new((**target).clone())),
        })
    }
}

/// Totals of one sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkCounts {
    /// Which sink.
    pub name: String,
    /// Lines written.
    pub written: u64,
    /// Lines that found no room in the queue.
    pub dropped: u64,
    /// Lines that could not be written.
    pub failed: u64,
    /// Bytes waiting now.
    pub waiting_bytes: u64,
    /// The last error, in words.
    pub last_error: Option<String>,
}

/// An address without what may be secret in it: name and password, path and query.
fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}")
}

/// The program that a command begins with, without variables before it and arguments behind it, which may be secret.
fn first_word(command: &str) -> &str {
    command.split_whitespace().find(|word| !word.contains('=')).unwrap_or_default()
}

#[derive(Debug, Default)]
struct Totals {
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    last_error: Mutex<Option<String>>,
}

/// A sink at work. Its thread ends when nobody can put anything into it any more.
#[derive(Debug)]
struct Sink {
    target: Target,
    limits: QueueLimits,
    name: String,
    inlet: Inlet,
    totals: Arc<Totals>,
    /// That what it writes to is to be opened anew.
    stale: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// All sinks. Sending goes to each of them.
#[derive(Debug, Default)]
pub struct Sinks {
    /// Replaced as a whole, so that whoever sends never waits.
    list: ArcSwap<Vec<Arc<Sink>>>,
    /// What became of alerts in sinks that were taken out.
    gone: Mutex<SinkCounts>,
}

/// Sinks that were opened and are not at work yet.
#[derive(Debug)]
pub struct Prepared(Vec<Place>);

/// One sink of a new list.
#[derive(Debug)]
enum Place {
    /// One that is at work already.
    Kept(Arc<Sink>),
    /// One to start.
    Opened(Target, Box<dyn Writer>, QueueLimits),
}

impl Sinks {
    /// Opens the targets and starts a thread for each.
    pub fn open(targets: &[Target], limits: QueueLimits) -> Result<Self, OutputError> {
        let sinks = Self::default();
        let prepared = sinks.prepare(targets, limits)?;
        sinks.replace(prepared)?;
        Ok(sinks)
    }

    /// Opens what is new in a list of targets. Nothing is started, stopped or sent yet; a sink whose
    /// target and limits stay the same goes on with all that waits for it.
    pub fn prepare(
        &self,
        targets: &[Target],
        limits: QueueLimits,
    ) -> Result<Prepared, OutputError> {
        let present = self.list.load();
        let mut places = Vec::new();
        for target in targets {
            let same = |sink: &&Arc<Sink>| sink.target == *target && sink.limits == limits;
            places.push(match present.iter().find(same) {
                Some(sink) => Place::Kept(Arc::clone(sink)),
                None => Place::Opened(target.clone(), target.open()?, limits),
            });
        }
        Ok(Prepared(places))
    }

    /// Puts a prepared list in the place of the present one. Sinks that are not in it write what waits
    /// for them and end.
    pub fn replace(&self, prepared: Prepared) -> Result<(), OutputError> {
        let mut list = Vec::new();
        for place in prepared.0 {
            list.push(match place {
                Place::Kept(sink) => sink,
                Place::Opened(target, writer, limits) => {
                    Arc::new(Sink::start(target, writer, limits)?)
                }
            });
        }
        let before = self.list.swap(Arc::new(list));
        let now = self.list.load();
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        for sink in before.iter().filter(|sink| !now.iter().any(|one| Arc::ptr_eq(one, sink))) {
            let SinkCounts { written, dropped, failed, .. } = sink.counts();
            gone.written += written;
            gone.dropped += dropped;
            gone.failed += failed;
        }
        Ok(())
    }

    /// Hands an alert to every sink that has room for it. Never waits; returns how many took it.
    pub fn send(&self, message: Message) -> usize {
        let line: Line = Arc::new(message);
        let took = |sink: &&Arc<Sink>| {
            let taken = sink.inlet.offer(&line);
            if !taken {
                sink.totals.dropped.fetch_add(1, Ordering::Relaxed);
            }
            taken
        };
        self.list.load().iter().filter(took).count()
    }

    /// Tells every sink to open anew what it writes to, before it writes the next line: a file that was
    /// moved away, a program that keeps a file open itself.
    pub fn reopen(&self) {
        for sink in self.list.load().iter() {
            sink.stale.store(true, Ordering::Relaxed);
        }
    }

    /// Totals of each sink that is at work.
    pub fn counts(&self) -> Vec<SinkCounts> {
        self.list.load().iter().map(|sink| sink.counts()).collect()
    }

    /// Totals over all sinks there ever were, as far as they were counted when they were taken out.
    pub fn total(&self) -> SinkCounts {
        let mut all = self.gone.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for sink in self.counts() {
            all.written += sink.written;
            all.dropped += sink.dropped;
            all.failed += sink.failed;
            all.waiting_bytes += sink.waiting_bytes;
        }
        all
    }

    /// Waits until everything waiting is written, but no longer than `limit`; returns the totals.
    /// What a hanging sink still holds then is told as waiting.
    pub fn finish(self, limit: Duration) -> Vec<SinkCounts> {
        let end = Instant::now() + limit;
        let list = Arc::unwrap_or_clone(self.list.into_inner());
        // All are told at once that nothing more comes, so that one that hangs costs the others nothing.
        let ending: Vec<Ending> = list.into_iter().filter_map(Ending::of).collect();
        ending.into_iter().map(|sink| sink.wait(end, limit)).collect()
    }
}

/// A sink that gets nothing more.
struct Ending {
    name: String,
    waiting: u64,
    totals: Arc<Totals>,
    thread: JoinHandle<()>,
}

impl Ending {
    /// `None` when somebody still holds it, which nobody does once sending has ended.
    fn of(sink: Arc<Sink>) -> Option<Self> {
        let Sink { name, inlet, totals, thread, .. } = Arc::into_inner(sink)?;
        Some(Self { name, waiting: inlet.waiting_bytes(), totals, thread })
    }

    fn wait(self, end: Instant, limit: Duration) -> SinkCounts {
        while !self.thread.is_finished() && Instant::now() < end {
            thread::sleep(FINISH_STEP);
        }
        let hangs = !self.thread.is_finished();
        let mut found = self.totals.read(self.name);
        if hangs {
            found.waiting_bytes = self.waiting;
            found.last_error = Some(format!("did not finish within {}s", limit.as_secs_f32()));
        }
        found
    }
}

impl Sink {
    fn start(
        target: Target,
        writer: Box<dyn Writer>,
        limits: QueueLimits,
    ) -> Result<Self, OutputError> {
        let name = target.name();
        let (inlet, outlet) = queue(limits);
        let totals = Arc::new(Totals::default());
        let stale = Arc::new(AtomicBool::new(false));
        let (counted, asked) = (Arc::clone(&totals), Arc::clone(&stale));
        let thread = thread::Builder::new()
            .name("output".into())
            .stack_size(STACK_BYTES)
            .spawn(move || drain(&outlet, writer, &counted, &asked))
            .map_err(|source| OutputError::Thread { sink: name.clone(), source })?;
        Ok(Self { target, limits, name, inlet, totals, stale, thread })
    }

    fn counts(&self) -> SinkCounts {
        let counts = self.totals.read(self.name.clone());
        SinkCounts { waiting_bytes: self.inlet.waiting_bytes(), ..counts }
    }
}

impl Totals {
    fn read(&self, name: String) -> SinkCounts {
        let error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        SinkCounts {
            name,
            written: self.written.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            waiting_bytes: 0,
            last_error: error.clone(),
        }
    }

    fn note(&self, error: &io::Error) {
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(error.to_string());
    }
}

/// A sink's thread: batches what waits, hands it to the writer, counts.
fn drain(outlet: &Outlet, mut writer: Box<dyn Writer>, totals: &Totals, stale: &AtomicBool) {
    let mut batch = Vec::new();
    loop {
        match outlet.next(IDLE) {
            Next::Line(line) => batch.push(line),
            Next::Nothing => {
                look_around(&mut *writer, totals, stale);
                continue;
            }
            Next::Ended => return,
        }
        let mut bytes = 0;
        while bytes < BATCH_BYTES
            && batch.len() < BATCH_ALERTS
            && let Some(line) = outlet.ready()
        {
            bytes += line.line().len();
            batch.push(line);
        }
        look_around(&mut *writer, totals, stale);
        deliver(&mut *writer, &batch, totals);
        batch.clear();
    }
}

/// Opens anew what has to be, and notes why that did not work: what is open goes on to be written to.
fn look_around(writer: &mut dyn Writer, totals: &Totals, stale: &AtomicBool) {
    let asked = stale.swap(false, Ordering::Relaxed);
    let found = if asked { writer.reopen() } else { Ok(()) };
    if let Err(error) = found.and_then(|()| writer.look_around()) {
        totals.note(&error);
    }
}

/// Hands a batch over and counts what became of it.
fn deliver(writer: &mut dyn Writer, batch: &[Line], totals: &Totals) {
    let delivery = writer.deliver(batch);
    let failed = (batch.len() as u64).saturating_sub(delivery.written);
    totals.written.fetch_add(delivery.written, Ordering::Relaxed);
    totals.failed.fetch_add(failed, Ordering::Relaxed);
    if let Some(error) = delivery.error {
        totals.note(&error);
    }
}

#[cfg(test)]
mod tests;

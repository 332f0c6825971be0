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
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

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
            Self::Program(target) => format!("program {}", target.command),
            Self::Http(target) => format!("http {}", without_secrets(&target.post.url)),
        }
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

/// An address without the name and password that may stand in it.
fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[derive(Debug, Default)]
struct Totals {
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    last_error: std::sync::Mutex<Option<String>>,
}

#[derive(Debug)]
struct Sink {
    name: String,
    inlet: Inlet,
    totals: Arc<Totals>,
    thread: JoinHandle<()>,
}

/// All sinks. Sending goes to each of them.
#[derive(Debug, Default)]
pub struct Sinks {
    sinks: Vec<Sink>,
}

impl Sinks {
    /// Opens the targets and starts a thread for each.
    pub fn open(targets: &[Target], limits: QueueLimits) -> Result<Self, OutputError> {
        let mut sinks = Self::default();
        for target in targets {
            let writer: Box<dyn Writer> = match target {
                Target::Stdout => Box::new(stdout()?),
                Target::File(path) => Box::new(Reopening::open(path)?),
                Target::Syslog(target) => {
                    let path = target.socket.as_deref().unwrap_or(Path::new(SYSLOG_SOCKET));
                    let facility = target.facility.0 << 3;
                    let layout = Layout::Syslog { facility, tag: target.tag.clone() };
                    Box::new(Datagrams::to(path, layout))
                }
                Target::Journal { socket, tag } => {
                    let path = socket.as_deref().unwrap_or(Path::new(JOURNAL_SOCKET));
                    Box::new(Datagrams::to(path, Layout::Journal { tag: tag.clone() }))
                }
                Target::Datagram(path) => Box::new(Datagrams::to(path, Layout::Line)),
                Target::Program(target) => Box::new(Program::new(target.clone())),
                Target::Http(target) => Box::new(Http::new((**target).clone())),
            };
            sinks.add(target.name(), writer, limits)?;
        }
        Ok(sinks)
    }

    fn add(
        &mut self,
        name: String,
        writer: Box<dyn Writer>,
        limits: QueueLimits,
    ) -> Result<(), OutputError> {
        let (inlet, outlet) = queue(limits);
        let totals = Arc::new(Totals::default());
        let theirs = Arc::clone(&totals);
        let thread = thread::Builder::new()
            .name("output".into())
            .stack_size(STACK_BYTES)
            .spawn(move || drain(&outlet, writer, &theirs))
            .map_err(|source| OutputError::Thread { sink: name.clone(), source })?;
        self.sinks.push(Sink { name, inlet, totals, thread });
        Ok(())
    }

    /// Hands an alert to every sink that has room for it. Never waits; returns how many took it.
    pub fn send(&self, message: Message) -> usize {
        let line: Line = Arc::new(message);
        let took = |sink: &&Sink| {
            let taken = sink.inlet.offer(&line);
            if !taken {
                sink.totals.dropped.fetch_add(1, Ordering::Relaxed);
            }
            taken
        };
        self.sinks.iter().filter(took).count()
    }

    /// Totals of each sink.
    pub fn counts(&self) -> Vec<SinkCounts> {
        self.sinks.iter().map(Sink::counts).collect()
    }

    /// Waits until everything waiting is written, but no longer than `limit`; returns the totals.
    /// What a hanging sink still holds then is counted as failed.
    pub fn finish(self, limit: Duration) -> Vec<SinkCounts> {
        let end = Instant::now() + limit;
        let mut counts = Vec::new();
        for sink in self.sinks {
            let Sink { name, inlet, totals, thread } = sink;
            let waiting = inlet.waiting_bytes();
            drop(inlet);
            while !thread.is_finished() && Instant::now() < end {
                thread::sleep(FINISH_STEP);
            }
            let hangs = !thread.is_finished();
            let mut found = totals.read(name);
            if hangs {
                found.waiting_bytes = waiting;
                found.last_error = Some(format!("did not finish within {}s", limit.as_secs_f32()));
            }
            counts.push(found);
        }
        counts
    }
}

impl Sink {
    fn counts(&self) -> SinkCounts {
        let counts = self.totals.read(self.name.clone());
        SinkCounts { waiting_bytes: self.inlet.waiting_bytes(), ..counts }
    }
}

impl Totals {
    fn read(&self, name: String) -> SinkCounts {
        let error = self.last_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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
        let mut last = self.last_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *last = Some(error.to_string());
    }
}

/// A sink's thread: batches what waits, hands it to the writer, counts.
fn drain(outlet: &Outlet, mut writer: Box<dyn Writer>, totals: &Totals) {
    let mut batch = Vec::new();
    loop {
        match outlet.next(IDLE) {
            Next::Line(line) => batch.push(line),
            Next::Nothing => {
                if let Err(error) = writer.look_around() {
                    totals.note(&error);
                }
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
        if let Err(error) = writer.look_around() {
            totals.note(&error);
        }
        deliver(&mut *writer, &batch, totals);
        batch.clear();
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

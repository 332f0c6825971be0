//! The client's end: connect, make sure of who answers, ask, and wait no longer than told.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::geteuid;

use crate::dto::{
    Hello, PROTOCOL_VERSION, Reload, ReloadReport, Reply, Request, RequestEnvelope,
    ResponseEnvelope, Status, StreamEnvelope, Validate, ValidateReport,
};
use crate::error::ControlError;
use crate::frame::{read_frame, write_frame};
use crate::peer::Peer;
use crate::record::{Record, RecordingReport, StopRecording};
use crate::watch::{Figures, Item, LogLevel, Processes, Rules, Select, SetLogLevel, Subscribe};

/// Longest wait for a connection and for short answers.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for answers that need a rule set compiled and a probe verified.
const DEFAULT_RELOAD_TIMEOUT: Duration = Duration::from_mins(1);
/// Pause between attempts while the daemon's queue of new connections is full.
const RETRY_PAUSE: Duration = Duration::from_millis(10);
/// Longest silence of a daemon that was subscribed to: it says that it is alive more often than that.
const SUBSCRIPTION_TIMEOUT: Duration = Duration::from_secs(30);
/// Permission bits that let others than its owner make files in a folder.
const WRITE_BY_OTHERS: u32 = 0o022;
/// Longest socket path, in bytes: the kernel's 108 less a final zero byte.
const MAX_PATH_BYTES: usize = 107;

/// Time limits and trust of a [`Client`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// Limit on connecting and on short answers.
    pub timeout: Duration,
    /// Limit on answers to validate and reload.
    pub reload_timeout: Duration,
    /// User ids that may serve the socket beside root and our own.
    pub trusted_uids: Vec<u32>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            timeout: DEFAULT_TIMEOUT,
            reload_timeout: DEFAULT_RELOAD_TIMEOUT,
            trusted_uids: Vec::new(),
        }
    }
}

/// A connection to a running daemon. Requests are answered one after the other.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    path: PathBuf,
    options: ClientOptions,
    peer: Peer,
    next_id: u64,
}

impl Client {
    /// Connects to the daemon at `path` with default limits.
    pub fn connect(path: impl AsRef<Path>) -> Result<Self, ControlError> {
        Self::connect_with(path, ClientOptions::default())
    }

    /// Connects, and makes sure that root, we, a trusted user, or one whose folder this is by root's doing
    /// is listening before anything is sent.
    pub fn connect_with(
        path: impl AsRef<Path>,
        options: ClientOptions,
    ) -> Result<Self, ControlError> {
        let path = path.as_ref().to_path_buf();
        let address = address(&path)?;
        expect_socket(&path)?;
        let stream = open(&path, &address, options.timeout)?;
        let peer = Peer::of(&stream).map_err(|e| io_error("identify the server of", &path, e))?;
        let ours = geteuid().as_raw();
        let known = [0, ours].contains(&peer.uid) || options.trusted_uids.contains(&peer.uid);
        if !known && !is_given(&path, peer.uid) {
            return Err(ControlError::Foreign { path, uid: peer.uid, ours });
        }
        Ok(Self { stream, path, options, peer, next_id: 1 })
    }

    /// The daemon's credentials.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// The socket's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks who is there.
    pub fn hello(&mut self) -> Result<Hello, ControlError> {
        match self.ask(Request::Hello {}, self.options.timeout)? {
            Reply::Hello(hello) => Ok(hello),
            other => Err(unexpected("hello", &other)),
        }
    }

    /// Asks what is running.
    pub fn status(&mut self) -> Result<Status, ControlError> {
        match self.ask(Request::Status {}, self.options.timeout)? {
            Reply::Status(status) => Ok(*status),
            other => Err(unexpected("status", &other)),
        }
    }

    /// Asks whether a set would be taken; nothing changes.
    pub fn validate(&mut self, validate: Validate) -> Result<ValidateReport, ControlError> {
        match self.ask(Request::Validate(validate), self.options.reload_timeout)? {
            Reply::Validate(report) => Ok(report),
            other => Err(unexpected("validate", &other)),
        }
    }

    /// Asks for the store's current generation to be put in force. A refusal by the rule compiler
    /// is an answer (`accepted: false`), not an error.
    pub fn reload(&mut self, reload: Reload) -> Result<ReloadReport, ControlError> {
        match self.ask(Request::Reload(reload), self.options.reload_timeout)? {
            Reply::Reload(report) => Ok(report),
            other => Err(unexpected("reload", &other)),
        }
    }

    /// Asks for all figures.
    pub fn metrics(&mut self) -> Result<Figures, ControlError> {
        match self.ask(Request::Metrics {}, self.options.timeout)? {
            Reply::Metrics(figures) => Ok(figures),
            other => Err(unexpected("metrics", &other)),
        }
    }

    /// Asks which rules are in force.
    pub fn rules(&mut self) -> Result<Rules, ControlError> {
        match self.ask(Request::Rules {}, self.options.timeout)? {
            Reply::Rules(rules) => Ok(rules),
            other => Err(unexpected("rules", &other)),
        }
    }

    /// Asks for rules to be switched on or off.
    pub fn select(&mut self, select: Select) -> Result<ReloadReport, ControlError> {
        match self.ask(Request::Select(select), self.options.reload_timeout)? {
            Reply::Reload(report) => Ok(report),
            other => Err(unexpected("select", &other)),
        }
    }

    /// Asks who makes most events.
    pub fn processes(&mut self) -> Result<Processes, ControlError> {
        match self.ask(Request::Processes {}, self.options.timeout)? {
            Reply::Processes(processes) => Ok(processes),
            other => Err(unexpected("processes", &other)),
        }
    }

    /// Asks for another log level, or with `None` for the one in force.
    pub fn log_level(&mut self, level: Option<String>) -> Result<LogLevel, ControlError> {
        match self.ask(Request::LogLevel(SetLogLevel { level }), self.options.timeout)? {
            Reply::LogLevel(level) => Ok(level),
            other => Err(unexpected("log_level", &other)),
        }
    }

    /// Asks for what happens to be recorded.
    pub fn record(&mut self, record: Record) -> Result<RecordingReport, ControlError> {
        // The kernel may have to be asked for more, which takes as long as a reload does.
        match self.ask(Request::Record(record), self.options.reload_timeout)? {
            Reply::Recording(report) => Ok(report),
            other => Err(unexpected("record", &other)),
        }
    }

    /// Asks for the recording that is under way to be ended; answered when its file is complete.
    pub fn stop_recording(&mut self, stop: StopRecording) -> Result<RecordingReport, ControlError> {
        match self.ask(Request::StopRecording(stop), self.options.reload_timeout)? {
            Reply::Recording(report) => Ok(report),
            other => Err(unexpected("stop_recording", &other)),
        }
    }

    /// Asks how far the recording is that was asked for last.
    pub fn recording(&mut self) -> Result<RecordingReport, ControlError> {
        match self.ask(Request::Recording {}, self.options.timeout)? {
            Reply::Recording(report) => Ok(report),
            other => Err(unexpected("recording", &other)),
        }
    }

    /// Asks for alerts as they come. The connection serves nothing else from then on.
    pub fn subscribe(mut self, subscribe: Subscribe) -> Result<Subscription, ControlError> {
        let id = self.next_id;
        match self.ask(Request::Subscribe(subscribe), self.options.timeout)? {
            Reply::Subscribed {} => Ok(Subscription { client: self, id }),
            other => Err(unexpected("subscribe", &other)),
        }
    }

    fn ask(&mut self, request: Request, limit: Duration) -> Result<Reply, ControlError> {
        let id = self.next_id;
        self.next_id += 1;
        let envelope = RequestEnvelope { version: PROTOCOL_VERSION, id, request };
        let body = serde_json::to_vec(&envelope).map_err(|e| protocol(&e.to_string()))?;
        let sent = write_frame(&mut self.stream, &body, self.options.timeout);
        // A server that turns us away says so and closes; its words matter more than our EPIPE.
        match sent {
            Ok(()) | Err(ControlError::Closed { .. }) => {}
            Err(error) => return Err(error),
        }
        let Some(frame) = read_frame(&mut self.stream, limit, self.options.timeout)? else {
            return Err(ControlError::Closed { doing: "waiting for an answer" });
        };
        let response: ResponseEnvelope = serde_json::from_slice(&frame)
            .map_err(|e| protocol(&format!("expected a response, found {e}")))?;
        if let Some(error) = response.error {
            return Err(ControlError::Refused { code: error.code, message: error.message });
        }
        if response.version != PROTOCOL_VERSION || response.id != id {
            return Err(protocol(&format!(
                "expected version `{PROTOCOL_VERSION}` and id `{id}`, found version `{}` and id \
                 `{}`",
                response.version, response.id
            )));
        }
        response.ok.ok_or_else(|| protocol("neither an answer nor an error"))
    }
}

/// Alerts as they come.
#[derive(Debug)]
pub struct Subscription {
    client: Client,
    id: u64,
}

impl Subscription {
    /// Waits for the next item; `None` when the daemon has ended. What this release does not know is
    /// passed over.
    pub fn next_item(&mut self) -> Result<Option<Item>, ControlError> {
        loop {
            let Client { stream, options, .. } = &mut self.client;
            let Some(frame) = read_frame(stream, SUBSCRIPTION_TIMEOUT, options.timeout)? else {
                return Ok(None);
            };
            let envelope: StreamEnvelope<serde_json::Value> = serde_json::from_slice(&frame)
                .map_err(|e| protocol(&format!("expected an item, found {e}")))?;
            if envelope.id != self.id {
                let found = envelope.id;
                return Err(protocol(&format!("expected id `{}`, found `{found}`", self.id)));
            }
            if let Ok(item) = serde_json::from_value(envelope.item) {
                return Ok(Some(item));
            }
        }
    }
}

/// The socket address of `path`, or why it cannot be one.
pub(crate) fn address(path: &Path) -> Result<SocketAddrUnix, ControlError> {
    let found = path.as_os_str().len();
    // The kernel would take one byte more; much else that handles such paths would not.
    if found > MAX_PATH_BYTES {
        let path = path.to_path_buf();
        return Err(ControlError::PathTooLong { path, found, limit: MAX_PATH_BYTES });
    }
    SocketAddrUnix::new(path).map_err(|error| io_error("use", path, error.into()))
}

pub(crate) fn io_error(doing: &'static str, path: &Path, source: io::Error) -> ControlError {
    ControlError::Io { doing, path: path.to_path_buf(), source }
}

/// What is at `path`, when it is not a socket.
pub(crate) fn other_than_socket(kind: std::fs::FileType) -> Option<&'static str> {
    if kind.is_socket() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_file() {
        Some("a file")
    } else {
        Some("something else")
    }
}

fn expect_socket(path: &Path) -> Result<(), ControlError> {
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            ControlError::NotRunning { path: path.to_path_buf() }
        }
        io::ErrorKind::PermissionDenied => ControlError::Denied { path: path.to_path_buf() },
        _ => io_error("look at", path, error),
    })?;
    match other_than_socket(metadata.file_type()) {
        None => Ok(()),
        Some(found) => Err(ControlError::NotASocket { path: path.to_path_buf(), found }),
    }
}

/// Whether root has given the socket's folder to a user: nobody else may make files in it, and nobody but root could
/// have put another folder in its place. So a service manager makes a folder for a daemon of another user.
fn is_given(path: &Path, uid: u32) -> bool {
    let Some(folder) = path.canonicalize().ok().and_then(|path| Some(path.parent()?.to_path_buf()))
    else {
        return false;
    };
    let belongs = |folder: &Path, owner: u32| {
        std::fs::metadata(folder)
            .is_ok_and(|found| found.uid() == owner && found.mode() & WRITE_BY_OTHERS == 0)
    };
    belongs(&folder, uid) && folder.ancestors().skip(1).all(|above| belongs(above, 0))
}

/// Connects without ever blocking in the kernel: a full queue of a hanging daemon would otherwise
/// hold us for ever.
pub(crate) fn open(
    path: &Path,
    address: &SocketAddrUnix,
    limit: Duration,
) -> Result<UnixStream, ControlError> {
    let failed = |error: Errno| match error {
        Errno::NOENT | Errno::CONNREFUSED | Errno::NOTDIR => {
            ControlError::NotRunning { path: path.to_path_buf() }
        }
        Errno::ACCESS | Errno::PERM => ControlError::Denied { path: path.to_path_buf() },
        other => io_error("connect to", path, other.into()),
    };
    let start = Instant::now();
    loop {
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )
        .map_err(failed)?;
        match rustix::net::connect(socket.as_fd(), address) {
            Ok(()) => {
                let stream = UnixStream::from(socket);
                stream.set_nonblocking(false).map_err(|e| io_error("connect to", path, e))?;
                return Ok(stream);
            }
            Err(Errno::AGAIN) if start.elapsed() < limit => thread::sleep(RETRY_PAUSE),
            Err(Errno::AGAIN) => {
                return Err(ControlError::Timeout { doing: "connecting", limit });
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

fn protocol(what: &str) -> ControlError {
    ControlError::Protocol { what: what.to_owned() }
}

fn unexpected(asked: &str, reply: &Reply) -> ControlError {
    let found = match reply {
        Reply::Hello(_) => "hello",
        Reply::Status(_) => "status",
        Reply::Validate(_) => "validate",
        Reply::Reload(_) => "reload",
        Reply::Metrics(_) => "metrics",
        Reply::Rules(_) => "rules",
        Reply::Processes(_) => "processes",
        Reply::LogLevel(_) => "log_level",
        Reply::Recording(_) => "recording",
        Reply::Subscribed {} => "subscribe",
    };
    protocol(&format!("expected an answer to `{asked}`, found one to `{found}`"))
}

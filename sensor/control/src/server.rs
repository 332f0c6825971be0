//! The daemon's end: owns the socket file, checks who connects, and serves each client on its own
//! thread, up to a limit.
//!
//! Nothing here is on the event path. A handler that panics is answered with an error and leaves
//! the others running.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::geteuid;

use crate::client::{address, io_error, open, other_than_socket};
use crate::dto::{
    Code, ErrorBody, PROTOCOL_VERSION, Reply, Request, RequestEnvelope, ResponseEnvelope,
};
use crate::error::ControlError;
use crate::frame::{read_frame, write_frame};
use crate::peer::{Allowed, Peer};

/// Permission bits of the socket file.
const DEFAULT_MODE: u32 = 0o660;
/// Clients served at once.
const DEFAULT_MAX_CLIENTS: usize = 16;
/// How long a connection may lie idle.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a client may take over one message, in or out.
const DEFAULT_MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a file at our path may take to show that somebody listens there.
const STALE_CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections the kernel queues for us.
const BACKLOG: i32 = 32;
/// Stack of a client's thread. Compiling rules recurses, hence not the smallest.
const CLIENT_STACK_BYTES: usize = 4 * 1024 * 1024;
/// Pause after a failed accept, so that running out of descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. Called from several threads at once.
    fn handle(&self, peer: &Peer, request: Request) -> Result<Reply, Refusal>;
}

/// A request that gets an error for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Class.
    pub code: Code,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// A refusal in the class `code`.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// How a [`Server`] presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// Permission bits of the socket file.
    pub mode: u32,
    /// Group the socket file is given to.
    pub group: Option<u32>,
    /// Who may ask, beyond root and ourselves.
    pub allowed: Allowed,
    /// Clients served at once; one more is told that we are busy.
    pub max_clients: usize,
    /// How long a connection may lie idle.
    pub idle_timeout: Duration,
    /// How long a client may take over one message.
    pub message_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            mode: DEFAULT_MODE,
            group: None,
            allowed: Allowed::default(),
            max_clients: DEFAULT_MAX_CLIENTS,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            message_timeout: DEFAULT_MESSAGE_TIMEOUT,
        }
    }
}

/// A bound socket that does not serve yet. Clients may already connect and will be waited on.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    file: SocketFile,
    options: ServerOptions,
}

impl Server {
    /// Binds `path`. A socket file nobody listens on any more is replaced; anything else at that
    /// path is left alone and is an error.
    pub fn bind(path: impl AsRef<Path>, options: ServerOptions) -> Result<Self, ControlError> {
        let path = path.as_ref();
        let address = address(path)?;
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent)
                .map_err(|e| io_error("create the folder of", path, e))?;
        }
        remove_stale(path, &address)?;
        let failed = |doing| move |error: Errno| io_error(doing, path, error.into());
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(failed("create a socket for"))?;
        // The mode is set before binding, which creates the file with it: there is no moment in
        // which the file is open to more people than it should be.
        let mode = Mode::from_raw_mode(options.mode);
        rustix::fs::fchmod(&socket, mode).map_err(failed("set the mode of"))?;
        rustix::net::bind(&socket, &address).map_err(|error| match error {
            Errno::ADDRINUSE => ControlError::AlreadyRunning { path: path.to_path_buf() },
            other => io_error("bind", path, other.into()),
        })?;
        let file = SocketFile::of(path)?;
        if let Some(group) = options.group {
            chown(path, None, Some(group)).map_err(|e| io_error("set the group of", path, e))?;
        }
        // The umask may have taken bits away at bind.
        rustix::fs::chmod(path, mode).map_err(failed("set the mode of"))?;
        rustix::net::listen(&socket, BACKLOG).map_err(failed("listen on"))?;
        Ok(Self { listener: UnixListener::from(socket), file, options })
    }

    /// Serves on a thread of its own until [`Running::stop`].
    pub fn serve(self, handler: Arc<dyn Handler>) -> Result<Running, ControlError> {
        let path = self.file.path.clone();
        let (stopper, stop) =
            UnixStream::pair().map_err(|e| io_error("prepare to serve", &path, e))?;
        let thread = thread::Builder::new()
            .name("control".into())
            .spawn(move || self.accept_until(&stop, &handler))
            .map_err(|e| io_error("start serving", &path, e))?;
        Ok(Running { stopper: Some(stopper), thread: Some(thread), path })
    }

    fn accept_until(self, stopped: &UnixStream, handler: &Arc<dyn Handler>) {
        let clients = Arc::new(Clients::default());
        let own = geteuid().as_raw();
        while wait_for_client(&self.listener, stopped) {
            let Ok((stream, _)) = self.listener.accept() else {
                thread::sleep(ACCEPT_PAUSE);
                continue;
            };
            self.admit(stream, own, &clients, handler);
        }
        clients.close_all();
        drop(self.file);
    }

    /// Turns a connection away in words, or gives it a thread.
    fn admit(
        &self,
        mut stream: UnixStream,
        own: u32,
        clients: &Arc<Clients>,
        handler: &Arc<dyn Handler>,
    ) {
        let Ok(peer) = Peer::of(&stream) else { return };
        if !self.options.allowed.admits(&peer, own) {
            let message = format!("user id `{}` may not control this sensor", peer.uid);
            turn_away(&mut stream, Code::NotPermitted, message, self.options.message_timeout);
            return;
        }
        let Some(slot) = Clients::enter(clients, &stream, self.options.max_clients) else {
            let message = format!("`{}` clients are connected", self.options.max_clients);
            turn_away(&mut stream, Code::Busy, message, self.options.message_timeout);
            return;
        };
        let handler = Arc::clone(handler);
        let options = self.options.clone();
        let started = thread::Builder::new()
            .name("control-client".into())
            .stack_size(CLIENT_STACK_BYTES)
            .spawn(move || {
                converse(&mut stream, &peer, &*handler, &options);
                drop(slot);
            });
        // Without a thread the slot and the stream went with the closure: the client sees a close.
        drop(started);
    }
}

/// A server at work.
#[derive(Debug)]
pub struct Running {
    stopper: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
}

impl Running {
    /// The socket's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes every connection, removes the socket file and waits for the threads.
    pub fn stop(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        drop(self.stopper.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the accept loop has nothing left to tell us.
            drop(thread.join());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The socket file we made. Removed on drop, unless another file has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> Result<Self, ControlError> {
        let found = std::fs::symlink_metadata(path).map_err(|e| io_error("look at", path, e))?;
        Ok(Self { path: path.to_path_buf(), identity: (found.dev(), found.ino()) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = std::fs::symlink_metadata(&self.path).map(|m| (m.dev(), m.ino()));
        if found.is_ok_and(|identity| identity == self.identity) {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// The open connections, so that stopping can close them.
#[derive(Debug, Default)]
struct Clients {
    open: Mutex<(u64, HashMap<u64, UnixStream>)>,
    gone: std::sync::Condvar,
}

impl Clients {
    /// Takes a place, or `None` when all are taken.
    fn enter(clients: &Arc<Self>, stream: &UnixStream, most: usize) -> Option<Slot> {
        let stream = stream.try_clone().ok()?;
        let mut open = clients.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.1.len() >= most {
            return None;
        }
        open.0 += 1;
        let key = open.0;
        open.1.insert(key, stream);
        drop(open);
        Some(Slot { clients: Arc::clone(clients), key })
    }

    /// Closes all connections and waits until their threads have let go.
    fn close_all(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in open.1.values() {
            // An error means it is closed already.
            drop(stream.shutdown(std::net::Shutdown::Both));
        }
        while !open.1.is_empty() {
            open = self.gone.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A place among the [`Clients`], given back on drop.
#[derive(Debug)]
struct Slot {
    clients: Arc<Clients>,
    key: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.clients.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.1.remove(&self.key);
        self.clients.gone.notify_all();
    }
}

/// Removes a socket file that nobody listens on any more.
fn remove_stale(path: &Path, address: &SocketAddrUnix) -> Result<(), ControlError> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io_error("look at", path, e)),
    };
    if let Some(found) = other_than_socket(found.file_type()) {
        return Err(ControlError::NotASocket { path: path.to_path_buf(), found });
    }
    match open(path, address, STALE_CHECK_TIMEOUT) {
        Err(ControlError::NotRunning { .. }) => match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(io_error("remove the stale", path, e))
            }
            _ => Ok(()),
        },
        Err(denied @ ControlError::Denied { .. }) => Err(denied),
        _ => Err(ControlError::AlreadyRunning { path: path.to_path_buf() }),
    }
}

/// Waits for a connection; `false` when told to stop.
fn wait_for_client(listener: &UnixListener, stopped: &UnixStream) -> bool {
    loop {
        let mut waits = [
            PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::IN),
        ];
        match poll(&mut waits, None) {
            Ok(_) => {
                let [client, stop] = waits.map(|w| w.revents());
                if !stop.is_empty() {
                    return false;
                }
                if !client.is_empty() {
                    return true;
                }
            }
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Answers requests until the client leaves, falls silent or breaks the protocol.
fn converse(stream: &mut UnixStream, peer: &Peer, handler: &dyn Handler, options: &ServerOptions) {
    loop {
        let response = match read_frame(stream, options.idle_timeout, options.message_timeout) {
            Ok(Some(frame)) => answer(&frame, peer, handler),
            Ok(None) | Err(ControlError::Closed { .. } | ControlError::Timeout { .. }) => return,
            Err(error) => {
                turn_away(stream, Code::BadRequest, error.to_string(), options.message_timeout);
                return;
            }
        };
        if send(stream, &response, options.message_timeout).is_err() {
            return;
        }
    }
}

/// The response to one frame.
fn answer(frame: &[u8], peer: &Peer, handler: &dyn Handler) -> ResponseEnvelope {
    let envelope: RequestEnvelope<serde_json::Value> = match serde_json::from_slice(frame) {
        Ok(envelope) => envelope,
        Err(error) => {
            let message = format!("expected a request, found {error}");
            return failed(0, Code::BadRequest, message);
        }
    };
    let id = envelope.id;
    if envelope.version != PROTOCOL_VERSION {
        let message =
            format!("expected protocol version `{PROTOCOL_VERSION}`, found `{}`", envelope.version);
        return failed(id, Code::UnsupportedVersion, message);
    }
    let request = match read_request(envelope.request) {
        Ok(request) => request,
        Err(refusal) => return failed(id, refusal.code, refusal.message),
    };
    match catch_unwind(AssertUnwindSafe(|| handler.handle(peer, request))) {
        Ok(Ok(reply)) => {
            ResponseEnvelope { version: PROTOCOL_VERSION, id, ok: Some(reply), error: None }
        }
        Ok(Err(refusal)) => failed(id, refusal.code, refusal.message),
        Err(_) => failed(id, Code::Internal, "the request hit a fault; nothing was changed".into()),
    }
}

/// Tells an unknown request from a known one with wrong arguments.
fn read_request(value: serde_json::Value) -> Result<Request, Refusal> {
    let name = match &value {
        serde_json::Value::Object(map) => map.keys().next().cloned(),
        serde_json::Value::String(name) => Some(name.clone()),
        _ => None,
    };
    // A bare name is accepted for requests without arguments, for those who type by hand.
    let value = match value {
        serde_json::Value::String(name) => serde_json::json!({ name: {} }),
        other => other,
    };
    serde_json::from_value(value).map_err(|error| match name {
        Some(name) if !REQUEST_NAMES.contains(&name.as_str()) => Refusal::new(
            Code::UnknownRequest,
            format!("expected one of `{}`, found `{name}`", REQUEST_NAMES.join("`, `")),
        ),
        _ => Refusal::new(Code::BadRequest, error.to_string()),
    })
}

/// The names of [`Request`]'s variants on the wire.
pub(crate) const REQUEST_NAMES: [&str; 4] = ["hello", "status", "validate", "reload"];

fn failed(id: u64, code: Code, message: String) -> ResponseEnvelope {
    let error = Some(ErrorBody { code, message });
    ResponseEnvelope { version: PROTOCOL_VERSION, id, ok: None, error }
}

fn send(
    stream: &mut UnixStream,
    response: &ResponseEnvelope,
    limit: Duration,
) -> Result<(), ControlError> {
    let encode = |response: &ResponseEnvelope| {
        serde_json::to_vec(response).map_err(|e| ControlError::Protocol { what: e.to_string() })
    };
    match write_frame(stream, &encode(response)?, limit) {
        Err(ControlError::TooLarge { found, limit: most }) => {
            let message = format!("the answer has `{found}` bytes, expected at most `{most}`");
            let short = failed(response.id, Code::Internal, message);
            write_frame(stream, &encode(&short)?, limit)
        }
        other => other,
    }
}

/// Says why before closing. A client that does not listen loses nothing but the words.
fn turn_away(stream: &mut UnixStream, code: Code, message: String, limit: Duration) {
    drop(send(stream, &failed(0, code, message), limit));
}

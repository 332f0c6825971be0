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
use crate::conversation::{converse, turn_away};
use crate::dto::{Code, Reply, Request};
use crate::error::ControlError;
use crate::peer::{Allowed, Peer};
use crate::watch::{Item, Subscribe};

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

    /// Begins to collect what a subscriber asks for. Without an own implementation nobody can
    /// subscribe.
    fn subscribe(&self, peer: &Peer, subscribe: Subscribe) -> Result<Box<dyn Feed>, Refusal> {
        let _ = (peer, subscribe);
        Err(Refusal::new(Code::UnknownRequest, "nothing can be subscribed to here"))
    }
}

/// What a subscriber is sent, in order. Collecting must be bounded: a client may read slowly.
pub trait Feed: Send {
    /// Waits for the next item, no longer than `limit`.
    fn next(&mut self, limit: Duration) -> Next;
}

/// What a [`Feed`] found.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// An item.
    Item(Item),
    /// Nothing yet.
    Nothing,
    /// Nothing, and nothing will come.
    Ended,
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

    /// Takes a socket that a service manager listens on for us. Its file is the manager's: permissions
    /// are left as they are, and it is not removed at the end.
    pub fn adopt(
        listener: UnixListener,
        path: impl AsRef<Path>,
        options: ServerOptions,
    ) -> Result<Self, ControlError> {
        let path = path.as_ref().to_path_buf();
        // A manager may have set it, and we wait before we accept.
        listener.set_nonblocking(false).map_err(|e| io_error("prepare to serve", &path, e))?;
        Ok(Self { listener, file: SocketFile { path, identity: None }, options })
    }

    /// The socket's path.
    pub fn path(&self) -> &Path {
        &self.file.path
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

/// Serves one connection to its end on the calling thread, whoever is on the other end.
pub fn serve_one(
    mut stream: UnixStream,
    handler: &dyn Handler,
    options: &ServerOptions,
) -> io::Result<()> {
    let peer = Peer::of(&stream)?;
    converse(&mut stream, &peer, handler, options);
    Ok(())
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

/// The socket file. One that we made is removed on drop, unless another file has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode of the file if we made it.
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    fn of(path: &Path) -> Result<Self, ControlError> {
        let found = std::fs::symlink_metadata(path).map_err(|e| io_error("look at", path, e))?;
        Ok(Self { path: path.to_path_buf(), identity: Some((found.dev(), found.ino())) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = std::fs::symlink_metadata(&self.path).map(|m| (m.dev(), m.ino()));
        if self.identity.is_some() && found.ok() == self.identity {
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

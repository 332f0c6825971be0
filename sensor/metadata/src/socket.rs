//! Asking over a socket, for runtimes whose files are not to be seen: one request, one answer.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use eyas_state::container::{Claim, Container, Engine};
use rustix::net::sockopt::Timeout;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde_json::Value;

use crate::files::Files;
use crate::{Places, cri, docker, kind};

/// How long a runtime may take over an answer.
const LIMIT: Duration = Duration::from_millis(500);
/// Largest answer, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Most header lines of an answer.
const MAX_HEADERS: usize = 64;
/// Digits of the ids that are asked for.
const ID_DIGITS: usize = 64;

/// How long a socket that did not answer in time is left alone, so that it holds up no other question.
const LEFT_ALONE: Duration = Duration::from_secs(10);

thread_local! {
    /// Sockets that did not answer in time, and since when.
    static HANGING: RefCell<HashMap<PathBuf, Instant>> = RefCell::default();
}

/// Asks at a socket, unless it has kept somebody waiting a short time ago.
fn patiently<T>(socket: &Path, ask: impl FnOnce() -> io::Result<T>) -> Option<T> {
    let hangs = HANGING.with_borrow(|hanging| {
        hanging.get(socket).is_some_and(|since| since.elapsed() < LEFT_ALONE)
    });
    if hangs {
        return None;
    }
    let answer = ask();
    HANGING.with_borrow_mut(|hanging| match &answer {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) =>
        {
            hanging.insert(socket.to_path_buf(), Instant::now());
        }
        _ => drop(hanging.remove(socket)),
    });
    answer.ok()
}

/// Connects to a runtime. One that accepts nobody any more lets connections queue up until there is no room, and then
/// keeps who connects waiting: no longer than the limit.
pub(crate) fn connect(socket: &Path, limit: Duration) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(socket)?;
    let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
    let made = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    // Also the limit of connecting (`unix(7)`, `SO_SNDTIMEO`).
    rustix::net::sockopt::set_socket_timeout(&made, Timeout::Send, Some(limit))?;
    rustix::net::connect(&made, &address)?;
    Ok(UnixStream::from(made))
}

fn below(places: &Places, socket: &Path) -> PathBuf {
    places.root.join(socket.strip_prefix("/").unwrap_or(socket))
}

/// Adds what only a runtime of Kubernetes knows: labels, the image's digest, labels and address of the pod.
/// What was known before stays where nobody answers.
pub(crate) fn complete(places: &Places, claim: &Claim, mut container: Container) -> Container {
    let speaks = matches!(claim.engine, Engine::Containerd | Engine::Crio);
    if !speaks || container.pod.is_none() {
        return container;
    }
    ask_cri(places, claim, &mut container);
    container
}

/// What a runtime of Kubernetes says of a claim where there are no files.
pub(crate) fn look_up_cri(places: &Places, claim: &Claim) -> Option<Container> {
    let speaks = matches!(claim.engine, Engine::Containerd | Engine::Crio) && is_id(&claim.id);
    let mut container = Container {
        full_id: claim.id.as_ref().into(),
        kind: kind(claim.engine),
        ..Container::default()
    };
    (speaks && ask_cri(places, claim, &mut container)).then_some(container)
}

/// Completes a container by the first of Kubernetes' runtimes that knows it; whether one does.
fn ask_cri(places: &Places, claim: &Claim, container: &mut Container) -> bool {
    let files = Files(&places.root);
    places.cri_sockets.iter().any(|socket| {
        let path = below(places, socket);
        let mut ask = || cri::complete(&path, claim.engine, &files, container);
        path.exists() && patiently(&path, &mut ask).is_some()
    })
}

fn is_id(id: &str) -> bool {
    id.len() == ID_DIGITS && id.bytes().all(|b| b.is_ascii_hexdigit())
}

/// What Docker, or Podman in its manner, says of a claim.
pub(crate) fn look_up(places: &Places, claim: &Claim) -> Option<Container> {
    let asked = matches!(claim.engine, Engine::Docker | Engine::Podman | Engine::Any);
    if !asked || !is_id(&claim.id) {
        return None;
    }
    places.docker_sockets.iter().find_map(|socket| {
        let path = below(places, socket);
        let answer = patiently(&path, || get(&path, &format!("/containers/{}/json", claim.id)))?;
        let mut container = docker::of_answer(&answer);
        if container.full_id != *claim.id {
            return None;
        }
        if claim.engine == Engine::Podman {
            container.kind = kind(Engine::Podman);
        }
        Some(container)
    })
}

/// A document; an error for anything but one in an answer 200 within the limits.
fn get(socket: &Path, path: &str) -> io::Result<Value> {
    let mut stream = connect(socket, LIMIT)?;
    // Version 1.0, so that the answer ends with the connection and comes in one piece.
    // In one piece too: who answers before it has read all of it leaves nobody writing to a closed end.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let end = Instant::now() + LIMIT;
    let mut bytes = Vec::new();
    loop {
        let left = end.checked_duration_since(Instant::now()).ok_or(io::ErrorKind::TimedOut)?;
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let mut piece = [0; 16 * 1024];
        let count = stream.read(&mut piece)?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
        if bytes.len() > MAX_ANSWER {
            return Err(io::Error::other("the answer is too large"));
        }
    }
    document(&bytes).ok_or_else(|| io::Error::other("the answer is no document"))
}

fn document(bytes: &[u8]) -> Option<Value> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(body) = answer.parse(bytes).ok()? else { return None };
    if answer.code != Some(200) {
        return None;
    }
    serde_json::from_slice(bytes.get(body..)?).ok()
}

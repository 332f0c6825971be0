//! Asking over a socket, for runtimes whose files are not to be seen: one request, one answer.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use eyas_state::container::{Claim, Container, Engine};
use serde_json::Value;

use crate::{Places, docker, kind};

/// How long a runtime may take over an answer.
const LIMIT: Duration = Duration::from_millis(500);
/// Largest answer, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Most header lines of an answer.
const MAX_HEADERS: usize = 64;
/// Digits of the ids that are asked for.
const ID_DIGITS: usize = 64;

/// What Docker, or Podman in its manner, says of a claim.
pub(crate) fn look_up(places: &Places, claim: &Claim) -> Option<Container> {
    let asked = matches!(claim.engine, Engine::Docker | Engine::Podman | Engine::Any);
    let is_id = claim.id.len() == ID_DIGITS && claim.id.bytes().all(|b| b.is_ascii_hexdigit());
    if !asked || !is_id {
        return None;
    }
    places.docker_sockets.iter().find_map(|socket| {
        let path = places.root.join(socket.strip_prefix("/").unwrap_or(socket));
        let answer = get(&path, &format!("/containers/{}/json", claim.id))?;
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

/// A document; `None` for anything but one in an answer 200 within the limits.
fn get(socket: &Path, path: &str) -> Option<Value> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_write_timeout(Some(LIMIT)).ok()?;
    // Version 1.0, so that the answer ends with the connection and comes in one piece.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let end = Instant::now() + LIMIT;
    let mut bytes = Vec::new();
    loop {
        let left = end.checked_duration_since(Instant::now())?;
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).ok()?;
        let mut piece = [0; 16 * 1024];
        let count = stream.read(&mut piece).ok()?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(piece.get(..count)?);
        if bytes.len() > MAX_ANSWER {
            return None;
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(body) = answer.parse(&bytes).ok()? else { return None };
    if answer.code != Some(200) {
        return None;
    }
    serde_json::from_slice(bytes.get(body..)?).ok()
}

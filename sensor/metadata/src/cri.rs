//! Asking a runtime by Kubernetes' Container Runtime Interface (`runtime.v1`), which alone knows labels and
//! addresses of pods.
//!
//! One call, one connection: as much of gRPC over HTTP/2 (RFC 9113) as an unary call needs. Of headers none
//! that comes back matters: an answer is a message, everything else is none.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use eyas_state::container::{Container, Engine, Mount};
use serde_json::Value;

use crate::files::Files;
use crate::message::{Field, Message};
use crate::socket::connect;
use crate::spec::{self, INFRA};

/// How long a runtime may take over an answer.
const LIMIT: Duration = Duration::from_millis(500);
/// Largest answer, and largest frame that is read, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// What a client says first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Types of frames (RFC 9113 section 6).
pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
/// Flags of frames.
pub(crate) const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
/// The settings that are not left as they are (RFC 9113 section 6.5.2): no table of headers, no pushes, and
/// room for a whole answer.
const HEADER_TABLE_SIZE: u16 = 0x1;
const ENABLE_PUSH: u16 = 0x2;
const INITIAL_WINDOW_SIZE: u16 = 0x4;

/// Completes what is known of a container by what its runtime says: labels, image, and its pod; where no file has
/// described it, also what a file would.
pub(crate) fn complete(
    socket: &Path,
    engine: Engine,
    files: &Files<'_>,
    container: &mut Container,
) -> io::Result<()> {
    let id = container.full_id.clone();
    let described = container.privileged.is_some();
    let sandbox = |container: &Container| {
        container.pod.as_ref().map(|pod| pod.sandbox_id.clone()).unwrap_or_default()
    };
    let answer = match status(socket, "ContainerStatus", &id, !described) {
        // What holds a pod's namespaces is known as the pod.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let of_pod = sandbox(container);
            if !of_pod.is_empty() && of_pod != id {
                return Err(error);
            }
            let answer = status(socket, "PodSandboxStatus", &id, !described)?;
            if !described {
                of_info(container, engine, files, &answer);
            }
            INFRA.clone_into(&mut container.name);
            container.pod.get_or_insert_default().sandbox_id = id;
            of_sandbox(container, &answer.message(1));
            return Ok(());
        }
        answer => answer?,
    };
    if !described {
        of_info(container, engine, files, &answer);
    }
    of_status(container, &answer.message(1));
    let sandbox = sandbox(container);
    if !sandbox.is_empty() {
        let answer = status(socket, "PodSandboxStatus", &sandbox, false)?;
        of_sandbox(container, &answer.message(1));
    }
    Ok(())
}

/// Answer of a method that tells of a container or a pod, also at length.
fn status(socket: &Path, method: &str, id: &str, at_length: bool) -> io::Result<Message> {
    let asked = Message::new().text(1, id).with_number(2, u64::from(at_length));
    let answer = call(socket, &format!("/runtime.v1.RuntimeService/{method}"), &asked, LIMIT)?;
    if answer.message(1).text_of(1) != id {
        return Err(io::Error::other("the answer is about another one"));
    }
    Ok(answer)
}

/// What runtimes say at length besides: the container's bundle, and the sandbox that it is in.
fn of_info(container: &mut Container, engine: Engine, files: &Files<'_>, answer: &Message) {
    let info = answer.pairs(2).find(|(key, _)| key == "info").map(|(_, text)| text);
    let info: Value = info.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    *container = spec::container(&container.full_id, engine, &info["runtimeSpec"], files);
    if let Some(sandbox) = info["sandboxID"].as_str() {
        sandbox.clone_into(&mut container.pod.get_or_insert_default().sandbox_id);
    }
}

/// `ContainerStatus` of the interface.
fn of_status(container: &mut Container, status: &Message) {
    let fill = |to: &mut String, from: String| {
        if to.is_empty() {
            *to = from;
        }
    };
    let reference = status.text_of(9);
    let id = status.text_of(17);
    let id = if id.is_empty() && !reference.contains('@') { reference.clone() } else { id };
    fill(&mut container.image_id, id.trim_start_matches("sha256:").to_owned());
    if let Some((_, digest)) = reference.split_once('@') {
        fill(&mut container.image_digest, digest.to_owned());
    }
    let image = status.message(8).text_of(1);
    // An image without a name is named by its id.
    if image.trim_start_matches("sha256:") != container.image_id {
        fill(&mut container.image, image);
    }
    let name = status.message(2).text_of(1);
    if !name.is_empty() {
        container.name = name;
    }
    container.labels.extend(status.pairs(12));
    let label = |name: &str| container.labels.get(name).cloned().unwrap_or_default();
    let (name, namespace, uid) = (
        label("io.kubernetes.pod.name"),
        label("io.kubernetes.pod.namespace"),
        label("io.kubernetes.pod.uid"),
    );
    if !name.is_empty() {
        let pod = container.pod.get_or_insert_default();
        fill(&mut pod.name, name);
        fill(&mut pod.namespace, namespace);
        fill(&mut pod.uid, uid);
    }
    if container.mounts.is_empty() {
        container.mounts = status.messages(14).map(|mount| mount_of(&mount)).collect();
    }
}

fn mount_of(mount: &Message) -> Mount {
    let propagation = match mount.number(5) {
        1 => "rslave",
        2 => "rshared",
        _ => "rprivate",
    };
    Mount {
        source: mount.text_of(2),
        dest: mount.text_of(1),
        mode: String::new(),
        rdwr: mount.number(3) == 0,
        propagation: propagation.to_owned(),
    }
}

/// `PodSandboxStatus` of the interface.
fn of_sandbox(container: &mut Container, status: &Message) {
    let pod = container.pod.get_or_insert_default();
    let metadata = status.message(2);
    for (to, field) in [(&mut pod.name, 1), (&mut pod.uid, 2), (&mut pod.namespace, 3)] {
        let told = metadata.text_of(field);
        if !told.is_empty() {
            *to = told;
        }
    }
    pod.ip = status.message(5).text_of(1);
    pod.labels = status.pairs(7).collect();
    if container.ip.is_empty() {
        container.ip.clone_from(&pod.ip);
    }
}

/// One unary call: `path` is `/SERVICE/METHOD`. An error for anything but an answer within the limit.
pub fn call(socket: &Path, path: &str, request: &Message, limit: Duration) -> io::Result<Message> {
    let mut stream = connect(socket, limit)?;
    let window = MAX_ANSWER as u32;
    let mut words = PREFACE.to_vec();
    let setting =
        |number: u16, value: u32| [&number.to_be_bytes()[..], &value.to_be_bytes()].concat();
    let settings = [
        setting(HEADER_TABLE_SIZE, 0),
        setting(ENABLE_PUSH, 0),
        setting(INITIAL_WINDOW_SIZE, window),
    ];
    words.extend(frame(SETTINGS, 0, 0, &settings.concat()));
    words.extend(frame(WINDOW_UPDATE, 0, 0, &window.to_be_bytes()));
    words.extend(frame(HEADERS, END_HEADERS, 1, &headers(path)));
    let body = request.encode();
    let message = [&[0][..], &(body.len() as u32).to_be_bytes(), &body].concat();
    words.extend(frame(DATA, END_STREAM, 1, &message));
    stream.write_all(&words)?;
    let answer = Conversation { stream, end: Instant::now() + limit }.answer()?;
    // A prefix of five bytes: compressed or not, and how long (gRPC over HTTP/2, "Length-Prefixed-Message").
    match answer.split_at_checked(5) {
        Some(([0, length @ ..], body)) if length == (body.len() as u32).to_be_bytes() => {
            Message::decode(body).ok_or_else(|| io::Error::other("the answer is no message"))
        }
        _ => Err(io::Error::new(io::ErrorKind::NotFound, "the runtime has no answer")),
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), body].concat()
}

/// A block of headers in the plainest form there is: names and values as they are, never indexed (RFC 7541
/// section 6.2.3).
fn headers(path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        block.push(0x10);
        for text in [name, value] {
            // All of these are shorter than what takes more than one byte.
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// What a runtime says, until its answer is whole.
struct Conversation {
    stream: UnixStream,
    end: Instant,
}

impl Conversation {
    fn answer(mut self) -> io::Result<Vec<u8>> {
        let mut answer = Vec::new();
        loop {
            let (kind, flags, stream, body) = self.frame()?;
            match (kind, stream) {
                (SETTINGS, 0) if flags & ACK == 0 => self.say(SETTINGS, ACK, &[])?,
                (PING, 0) if flags & ACK == 0 => self.say(PING, ACK, &body)?,
                (GOAWAY, _) | (RST_STREAM, 1) => {
                    return Err(io::Error::other("the runtime ended the call"));
                }
                (DATA, 1) => {
                    answer.extend_from_slice(unpadded(&body, flags)?);
                    if answer.len() > MAX_ANSWER {
                        return Err(io::Error::other("the answer is too large"));
                    }
                }
                _ => {}
            }
            if stream == 1 && matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                return Ok(answer);
            }
        }
    }

    fn say(&mut self, kind: u8, flags: u8, body: &[u8]) -> io::Result<()> {
        self.stream.write_all(&frame(kind, flags, 0, body))
    }

    /// Type, flags, stream and body of the next frame.
    fn frame(&mut self) -> io::Result<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.fill(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if length > MAX_ANSWER {
            return Err(io::Error::other("the answer is too large"));
        }
        let mut body = vec![0; length];
        self.fill(&mut body)?;
        Ok((kind, flags, u32::from_be_bytes(stream) & 0x7fff_ffff, body))
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while let Some(rest @ [_, ..]) = buffer.get_mut(filled..) {
            let left = self.end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(rest)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(())
    }
}

/// What a frame says without its padding (RFC 9113 section 6.1).
fn unpadded(body: &[u8], flags: u8) -> io::Result<&[u8]> {
    if flags & PADDED == 0 {
        return Ok(body);
    }
    body.split_first()
        .and_then(|(padding, rest)| rest.get(..rest.len().checked_sub(usize::from(*padding))?))
        .ok_or_else(|| io::Error::other("the padding is longer than its frame"))
}

impl Message {
    /// A text; empty when there is none.
    fn text_of(&self, field: u32) -> String {
        String::from_utf8_lossy(self.bytes(field)).into_owned()
    }

    /// A mapping of texts.
    fn pairs(&self, field: u32) -> impl Iterator<Item = (String, String)> + '_ {
        self.messages(field).map(|pair| (pair.text_of(1), pair.text_of(2)))
    }

    /// A message in a message; an empty one when there is none.
    fn message(&self, field: u32) -> Self {
        self.messages(field).last().unwrap_or_default()
    }

    fn messages(&self, field: u32) -> impl Iterator<Item = Self> + '_ {
        self.all(field).filter_map(|value| match value {
            Field::Bytes(bytes) => Self::decode(bytes),
            Field::Number(_) => None,
        })
    }
}

//! A gate before a registry: it counts connections and requests, asks for credentials, refuses or stalls when told.
//!
//! Speaks as much HTTP/1.1 as a registry client needs for reading: requests without bodies, answers with a length.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::registry::Registry;

/// How the gate wants to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// As anybody likes.
    None,
    /// With user and password, `puller` and `secret`.
    Basic,
    /// With a token that is had for user and password.
    Bearer,
}

/// What the gate does to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// It passes it on.
    Open,
    /// It answers with this status and these headers instead, each ended.
    Refusing(&'static str, &'static str),
    /// It passes on half of an answer to a request whose path has this text, and then nothing.
    Stalling(String),
}

/// A gate on loopback.
pub struct Gate {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    upstream: String,
    credentials: Credentials,
    mood: Mutex<Mood>,
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
}

/// Base64 of `puller:secret`.
const BASIC: &str = "Basic cHVsbGVyOnNlY3JldA==";
const TOKEN: &str = "a-token-of-the-gate";
const PATIENCE: Duration = Duration::from_mins(2);

impl Gate {
    /// A gate before `registry`.
    pub fn before(registry: &Registry, credentials: Credentials) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            upstream: registry.host(),
            credentials,
            mood: Mutex::new(Mood::Open),
            requests: Mutex::default(),
            connections: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let _ = shared.serve(stream);
                });
            }
        });
        Self { address, state }
    }

    /// `127.0.0.1:PORT`, as it stands in references.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// A reference behind the gate.
    pub fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    /// From now on requests are treated like this.
    pub fn set(&self, mood: Mood) {
        *self.state.mood.lock().expect("mood") = mood;
    }

    /// Requests since the last call: `METHOD path status`.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.requests.lock().expect("requests"))
    }

    /// How many requests there were since the last call of `requests`.
    pub fn count(&self) -> usize {
        self.state.requests.lock().expect("requests").len()
    }

    /// Whether there was a request with this text since the last call of `requests`.
    pub fn saw(&self, text: &str) -> bool {
        self.state.requests.lock().expect("requests").iter().any(|request| request.contains(text))
    }

    /// Connections since the start.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }
}

impl State {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(PATIENCE))?;
        client.set_nodelay(true)?;
        let mut upstream = TcpStream::connect(&self.upstream)?;
        upstream.set_read_timeout(Some(PATIENCE))?;
        upstream.set_nodelay(true)?;
        let mut before = Vec::new();
        let mut back = Vec::new();
        loop {
            let head = head(&mut client, &mut before)?;
            let text = String::from_utf8_lossy(&head).into_owned();
            let line = text.lines().next().unwrap_or_default();
            let asked = line.trim_end_matches(" HTTP/1.1").to_owned();
            let is_head = asked.starts_with("HEAD ");
            if let Some(answer) = self.own_answer(&asked, &text) {
                let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
                self.requests.lock().expect("requests").push(format!("{asked} {status}"));
                let end = answer.find("\r\n\r\n").map_or(answer.len(), |end| end + 4);
                let end = if is_head { end } else { answer.len() };
                client.write_all(&answer.as_bytes()[..end])?;
                continue;
            }
            upstream.write_all(&head)?;
            let answer = self::head(&mut upstream, &mut back)?;
            let answered = String::from_utf8_lossy(&answer).into_owned();
            let status = answered.split(' ').nth(1).unwrap_or_default();
            self.requests.lock().expect("requests").push(format!("{asked} {status}"));
            client.write_all(&answer)?;
            let mut left = if is_head { 0 } else { length(&answered) };
            let half = left / 2;
            while left > 0 {
                if left <= half && self.stalls(&asked) {
                    thread::sleep(PATIENCE);
                }
                let mut part = vec![0; left.min(64 * 1024)];
                let count = if back.is_empty() {
                    upstream.read(&mut part)?
                } else {
                    let count = back.len().min(part.len());
                    part[..count].copy_from_slice(&back[..count]);
                    back.drain(..count);
                    count
                };
                if count == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                client.write_all(&part[..count])?;
                left -= count;
            }
        }
    }

    fn stalls(&self, asked: &str) -> bool {
        let mood = self.mood.lock().expect("mood");
        matches!(&*mood, Mood::Stalling(text) if asked.starts_with("GET ") && asked.contains(text))
    }

    /// What the gate says itself.
    fn own_answer(&self, asked: &str, head: &str) -> Option<String> {
        let sent = |value: &str| {
            head.lines().any(|line| {
                line.split_once(": ").is_some_and(|(name, sent)| {
                    name.eq_ignore_ascii_case("authorization") && sent == value
                })
            })
        };
        let answer = |status: &str, headers: &str, body: &str| {
            let length = body.len();
            Some(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}"))
        };
        if asked.starts_with("GET /token") {
            if !sent(BASIC) {
                return answer("401 Unauthorized", "", "");
            }
            let body = format!("{{\"token\":\"{TOKEN}\",\"expires_in\":3600}}");
            return answer("200 OK", "Content-Type: application/json\r\n", &body);
        }
        if let Mood::Refusing(status, headers) = *self.mood.lock().expect("mood") {
            return answer(status, headers, "");
        }
        let host = head
            .lines()
            .find_map(|line| line.strip_prefix("host: ").or_else(|| line.strip_prefix("Host: ")))
            .unwrap_or_default();
        match self.credentials {
            Credentials::Basic if !sent(BASIC) => {
                answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"gate\"\r\n", "")
            }
            Credentials::Bearer if !sent(&format!("Bearer {TOKEN}")) => {
                let challenge = format!(
                    "WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"gate\"\r\n"
                );
                answer("401 Unauthorized", &challenge, "")
            }
            _ => None,
        }
    }
}

/// The next head of the stream, its blank line included; what came after it stays in `before`.
fn head(stream: &mut TcpStream, before: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    loop {
        if let Some(end) = before.windows(4).position(|window| window == b"\r\n\r\n") {
            return Ok(before.drain(..end + 4).collect());
        }
        let mut part = [0; 4096];
        let count = stream.read(&mut part)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        before.extend_from_slice(&part[..count]);
    }
}

fn length(head: &str) -> usize {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0)
}

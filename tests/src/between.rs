//! Something between a client and a registry that counts requests and spoils some of them.
//!
//! It speaks just enough HTTP/1.1 for that: one request after the other on a connection, each handed to
//! the registry on a connection of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What happens to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is answered by the registry.
    Pass,
    /// It is answered with this status and these header lines, and an empty body.
    Refuse(u16, &'static str),
    /// The registry's answer stops after so many bytes of its body, and nothing follows.
    Stall(usize),
    /// The registry's answer ends after so many bytes of its body.
    Cut(usize),
}

/// A request as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `GET /v2/…`.
    pub line: String,
    /// The header lines, in lower case.
    pub headers: Vec<String>,
}

/// The listener; it ends with the test's process.
pub struct Between {
    host: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

type Rule = dyn Fn(&Seen, usize) -> Fate + Send + Sync;

impl Between {
    /// Stands before `registry`. `rule` says what happens to a request, given how many times the same
    /// request line was seen before.
    pub fn before(
        registry: &str,
        rule: impl Fn(&Seen, usize) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback port");
        let host = listener.local_addr().expect("address").to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, registry, rule) =
            (Arc::clone(&seen), registry.to_owned(), Arc::new(rule) as Arc<Rule>);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, registry, rule) = (Arc::clone(&log), registry.clone(), Arc::clone(&rule));
                // A connection that breaks is the client's to notice.
                thread::spawn(move || converse(&stream, &registry, &log, rule.as_ref()));
            }
        });
        Self { host, seen }
    }

    /// `127.0.0.1:PORT`, as it stands in references.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// All requests since the last call.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn converse(stream: &TcpStream, registry: &str, log: &Mutex<Vec<Seen>>, rule: &Rule) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream.try_clone().ok()?;
    loop {
        let (seen, body) = read_request(&mut reader)?;
        let before = {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            let before = log.iter().filter(|other| other.line == seen.line).count();
            log.push(seen.clone());
            before
        };
        let fate = rule(&seen, before);
        if let Fate::Refuse(status, headers) = fate {
            let answer = format!("HTTP/1.1 {status} No\r\n{headers}content-length: 0\r\n\r\n");
            writer.write_all(answer.as_bytes()).ok()?;
            continue;
        }
        let answer = ask(registry, &seen, &body)?;
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        match fate {
            Fate::Stall(length) => {
                writer.write_all(&answer[..answer.len().min(head + length)]).ok()?;
                // The client hangs up at last.
                let _ = reader.read(&mut [0; 1]);
                return None;
            }
            Fate::Cut(length) => {
                writer.write_all(&answer[..answer.len().min(head + length)]).ok()?;
                let _ = writer.shutdown(Shutdown::Both);
                return None;
            }
            _ => writer.write_all(&answer).ok()?,
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(Seen, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|length| *length > 0)?;
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(": ")?;
        headers.push(format!("{}: {value}", name.to_lowercase()));
    }
    let length = headers.iter().find_map(|header| header.strip_prefix("content-length: "));
    let mut body = vec![0; length.and_then(|text| text.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((Seen { line, headers }, body))
}

/// The registry's whole answer.
fn ask(registry: &str, seen: &Seen, body: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(registry).ok()?;
    let mut request = format!("{} HTTP/1.1\r\nconnection: close\r\n", seen.line);
    for header in seen.headers.iter().filter(|header| !header.starts_with("connection:")) {
        request.extend([header.as_str(), "\r\n"]);
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    // The client's connection stays, whatever the registry does with its own.
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&answer[..head]).replace("connection: close\r\n", "");
    let mut whole = text.replace("Connection: close\r\n", "").into_bytes();
    whole.extend_from_slice(&answer[head..]);
    Some(whole)
}

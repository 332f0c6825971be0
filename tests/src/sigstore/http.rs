//! HTTP as far as the simulated services need it: one request per connection, on loopback.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// A request that was read whole.
#[derive(Debug)]
pub(super) struct Request {
    /// `GET`, `POST` and so on.
    pub(super) method: String,
    /// Path with query.
    pub(super) path: String,
    /// The bearer token, when there is one.
    pub(super) bearer: Option<String>,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// Status code.
    pub(super) status: u16,
    /// Media type.
    pub(super) media_type: &'static str,
    /// Name of what was made, where clients want it told.
    pub(super) etag: Option<&'static str>,
    /// The body.
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Any bytes.
    pub(super) fn new(status: u16, media_type: &'static str, body: Vec<u8>) -> Self {
        Self { status, media_type, etag: None, body }
    }

    /// A JSON document.
    pub(super) fn json(status: u16, document: &serde_json::Value) -> Self {
        Self::new(status, "application/json", document.to_string().into_bytes())
    }

    /// An error in the form that these services use.
    pub(super) fn error(status: u16, message: &str) -> Self {
        Self::json(status, &serde_json::json!({ "code": status, "message": message }))
    }
}

/// Serves requests on a free loopback port until the test ends.
pub(super) fn serve(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("free port");
    let address = listener.local_addr().expect("address");
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                if let Some(request) = read(&stream) {
                    write(stream, &answer(&request));
                }
            });
        }
    });
    address
}

/// Sends one request to a registry on loopback; gives the status and the value of `Location`.
pub(super) fn send(
    host: &str,
    method: &str,
    path: &str,
    media_type: &str,
    body: &[u8],
) -> (u16, Option<String>) {
    let mut stream = TcpStream::connect(host).expect("the registry answers");
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {media_type}\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("sent");
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().and_then(Result::ok).unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let location = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .find_map(|line| Some(field(&line, "location")?.to_owned()));
    (status, location)
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut bearer) = (0, None);
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = field(&line, "content-length") {
            length = value.parse().ok()?;
        }
        if let Some(value) = field(&line, "authorization") {
            bearer =
                value.strip_prefix("Bearer ").or(value.strip_prefix("bearer ")).map(str::to_owned);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, bearer, body })
}

fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (found, value) = line.split_once(':')?;
    found.eq_ignore_ascii_case(name).then(|| value.trim())
}

fn write(mut stream: TcpStream, answer: &Answer) {
    let etag = answer.etag.map(|etag| format!("ETag: {etag}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {} Simulated\r\nContent-Type: {}\r\nContent-Length: {}\r\n{etag}Connection: close\r\n\r\n",
        answer.status,
        answer.media_type,
        answer.body.len()
    );
    // Whoever hangs up early has what it wanted.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&answer.body));
}

//! The HTTP endpoint: health, metrics, versions. It reads and changes nothing.
//!
//! A few threads, short requests, short answers. It listens on the loopback address unless the
//! configuration says otherwise, for there is no authentication.

mod clients;
mod health;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use eyas_rules::collect::ENGINE_VERSION;

use self::clients::Clients;
use crate::config::WebServer;
use crate::engine::Engine;
use crate::error::DaemonError;
use crate::{figures, log};

/// How long a client may take over its request or over reading the answer.
const LIMIT: Duration = Duration::from_secs(5);
/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 8 * 1024;
/// Most header lines of a request.
const MAX_HEADERS: usize = 64;
/// Stack of a client's thread. A canary process may be started from it.
const STACK_BYTES: usize = 512 * 1024;

/// An answer.
struct Answer {
    status: &'static str,
    kind: &'static str,
    body: String,
}

impl Answer {
    fn text(status: &'static str, body: impl Into<String>) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: body.into() }
    }

    fn json(status: &'static str, value: &serde_json::Value) -> Self {
        Self { status, kind: "application/json", body: value.to_string() }
    }
}

/// Listens as the configuration says, without answering yet; `None` if it wants none.
pub(crate) fn listen(settings: &WebServer) -> Result<Option<TcpListener>, DaemonError> {
    if !settings.enabled {
        return Ok(None);
    }
    let address = (settings.listen_address.trim_matches(['[', ']']), settings.listen_port);
    let listener = TcpListener::bind(address).map_err(|source| DaemonError::Listen {
        address: format!("{}:{}", settings.listen_address, settings.listen_port),
        source,
    })?;
    if let Ok(local) = listener.local_addr() {
        log::info(&format!("health and metrics at http://{local}"));
    }
    Ok(Some(listener))
}

/// Answers until the process ends.
pub(crate) fn serve(listener: TcpListener, engine: &Arc<Engine>) -> Result<(), DaemonError> {
    // Weak, so that the engine can be taken apart at the end while we wait for clients.
    let engine = Arc::downgrade(engine);
    let clients = Arc::new(Clients::default());
    let accept = move || {
        for stream in listener.incoming() {
            let Some(engine) = engine.upgrade() else { return };
            match stream {
                Ok(stream) => client(engine, stream, &clients),
                // Out of descriptors, most likely: not worth spinning over.
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    };
    thread::Builder::new()
        .name("web".into())
        .stack_size(STACK_BYTES)
        .spawn(accept)
        .map(drop)
        .map_err(|source| DaemonError::System { doing: "start the HTTP endpoint", source })
}

fn client(engine: Arc<Engine>, mut stream: TcpStream, clients: &Arc<Clients>) {
    let Some(place) = Clients::enter(clients, &stream) else {
        // The client will notice the closed connection if this does not reach it.
        let _ = stream.set_write_timeout(Some(LIMIT));
        let _ = write(&mut stream, &Answer::text("503 Service Unavailable", "busy\n"), true);
        return;
    };
    let work = move || {
        // A client that goes away in the middle is its own loss.
        let _ = converse(&engine, &mut stream);
        drop(place);
    };
    // Without a thread the place and the stream went with the closure: the client sees a close.
    let _ = thread::Builder::new().name("web".into()).stack_size(STACK_BYTES).spawn(work);
}

/// One request, one answer.
fn converse(engine: &Engine, stream: &mut TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let end = std::time::Instant::now() + LIMIT;
    let mut head = Vec::new();
    let (answer, with_body) = loop {
        let mut piece = [0; 1024];
        let count = stream.read(&mut piece)?;
        head.extend_from_slice(piece.get(..count).unwrap_or_default());
        match request(&head) {
            Parsed::Whole { get, path } => break (route(engine, &path), get),
            Parsed::Refused(answer) => break (answer, true),
            Parsed::More if count == 0 || std::time::Instant::now() > end => return Ok(()),
            Parsed::More => {}
        }
    };
    write(stream, &answer, with_body)
}

/// A request as far as it has arrived.
enum Parsed {
    More,
    Whole { get: bool, path: String },
    Refused(Answer),
}

fn request(head: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {
            let path = request.path.unwrap_or("/").split('?').next().unwrap_or("/").to_owned();
            match request.method {
                Some("GET") => Parsed::Whole { get: true, path },
                Some("HEAD") => Parsed::Whole { get: false, path },
                _ => Parsed::Refused(Answer::text(
                    "405 Method Not Allowed",
                    "only GET and HEAD are answered\n",
                )),
            }
        }
        Ok(httparse::Status::Partial) if head.len() < MAX_HEAD => Parsed::More,
        Ok(httparse::Status::Partial) => Parsed::Refused(Answer::text(
            "431 Request Header Fields Too Large",
            "the head of the request is too large\n",
        )),
        Err(error) => Parsed::Refused(Answer::text("400 Bad Request", format!("{error}\n"))),
    }
}

fn route(engine: &Engine, path: &str) -> Answer {
    let active = engine.settings();
    let settings = &active.config.webserver;
    if path == settings.k8s_healthz_endpoint || path == "/healthz" || path == "/livez" {
        return health::alive(engine);
    }
    match path {
        "/readyz" => health::ready(engine),
        "/versions" => Answer::json("200 OK", &versions()),
        "/metrics" if settings.prometheus_metrics_enabled => Answer {
            status: "200 OK",
            kind: "text/plain; version=0.0.4; charset=utf-8",
            body: figures::of(engine).to_string(),
        },
        _ => Answer::text(
            "404 Not Found",
            "there are /healthz, /readyz, /versions and, if enabled, /metrics\n",
        ),
    }
}

/// What rules and plugins can be chosen by, all values being text.
fn versions() -> serde_json::Value {
    let version = env!("CARGO_PKG_VERSION");
    // `0.N.0` is also known as N.
    let number = ENGINE_VERSION.to_string();
    let plain = number.split('.').nth(1).unwrap_or_default();
    serde_json::json!({
        "engine_version": plain,
        "engine_version_semver": number,
        "eyas_version": version,
        "layout_hash": eyas_abi::LAYOUT_HASH,
    })
}

fn write(stream: &mut TcpStream, answer: &Answer, with_body: bool) -> io::Result<()> {
    let Answer { status, kind, body } = answer;
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    if with_body {
        text.push_str(body);
    }
    stream.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(head: &[u8]) -> &'static str {
        match request(head) {
            Parsed::Refused(answer) => answer.status,
            Parsed::More => "more",
            Parsed::Whole { .. } => "whole",
        }
    }

    #[test]
    fn requests_are_read_as_they_arrive() {
        assert_eq!(refused(b""), "more");
        assert_eq!(refused(b"GET /metrics HT"), "more");
        assert_eq!(refused(b"GET /metrics HTTP/1.1\r\nHost: x\r\n"), "more");
        let Parsed::Whole { get, path } = request(b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        else {
            panic!("it is whole")
        };
        assert_eq!((get, path.as_str()), (true, "/metrics"));
        let head = request(b"HEAD /healthz HTTP/1.0\r\n\r\n");
        assert!(matches!(head, Parsed::Whole { get: false, .. }));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert_eq!(refused(b"POST / HTTP/1.1\r\n\r\n"), "405 Method Not Allowed");
        assert_eq!(refused(b"\x16\x03\x01\x02"), "400 Bad Request");
        let long = [b"GET /".to_vec(), vec![b'x'; MAX_HEAD]].concat();
        assert_eq!(refused(&long), "431 Request Header Fields Too Large");
        let many = "A: b\r\n".repeat(MAX_HEADERS + 1);
        assert_eq!(refused(format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes()), "400 Bad Request");
    }

    #[test]
    fn versions_are_texts() {
        let versions = versions();
        assert_eq!(versions["engine_version_semver"], ENGINE_VERSION.to_string());
        assert_eq!(versions["engine_version"], "63");
        assert!(versions.as_object().unwrap().values().all(serde_json::Value::is_string));
    }
}

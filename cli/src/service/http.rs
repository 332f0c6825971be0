//! A few pages over HTTP/1.1 for probes and scrapers: one request per connection, nothing else.
//!
//! Everything a client can make grow is bounded: connections, the size of a request's head, and the
//! time that sending or reading may take. What the pages say is left to whoever answers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Connections at the same time; more wait in the queue of the kernel.
pub(crate) const MAX_CONNECTIONS: usize = 16;
/// Longest head of a request, in bytes.
pub(crate) const MAX_HEAD_BYTES: usize = 8 * 1024;
/// Longest time for a request to arrive, and again for its answer to leave.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause after a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// HTTP status with its reason.
    pub(crate) status: &'static str,
    /// Media type.
    pub(crate) media: &'static str,
    /// What is said.
    pub(crate) body: String,
}

impl Page {
    /// A page of plain text.
    pub(crate) fn text(status: &'static str, body: impl Into<String>) -> Self {
        Self { status, media: "text/plain; charset=utf-8", body: body.into() }
    }
}

/// Gives the page at a path, or none.
pub(crate) type Pages = dyn Fn(&str) -> Option<Page> + Send + Sync;

/// Listens at `address`. Gives the address in force as well, since port 0 means any.
pub(crate) async fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Answers until it is dropped.
pub(crate) async fn serve(listener: TcpListener, pages: Arc<Pages>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let pages = Arc::clone(&pages);
                tokio::spawn(async move {
                    // Who does not read or write in time is left; there is nobody to tell.
                    let _ = answer(stream, &*pages).await;
                    drop(place);
                });
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn answer(mut stream: TcpStream, pages: &Pages) -> io::Result<()> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let (page, with_body) = match timeout(PATIENCE, head(&mut stream)).await {
        Ok(Ok(Some(head))) => page(&head, pages),
        Ok(Ok(None)) => (Page::text("431 Request Header Fields Too Large", "too long\n"), true),
        Ok(Err(error)) => return Err(error),
        Err(_) => (Page::text("408 Request Timeout", "too slow\n"), true),
    };
    let Page { status, media, body } = &page;
    let length = body.len();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    .into_bytes();
    if with_body {
        bytes.extend_from_slice(body.as_bytes());
    }
    timeout(PATIENCE, async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    })
    .await
    .map_err(late)?
}

/// The head of a request, or none when it is too long.
async fn head(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut bytes = Vec::with_capacity(512);
    let mut part = [0; 512];
    loop {
        let count = stream.read(&mut part).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&part[..count]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            bytes.truncate(end);
            return Ok(
                (end <= MAX_HEAD_BYTES).then(|| String::from_utf8_lossy(&bytes).into_owned())
            );
        }
        if bytes.len() > MAX_HEAD_BYTES {
            return Ok(None);
        }
    }
}

/// The page that a head asks for, and whether its body is wanted.
fn page(head: &str, pages: &Pages) -> (Page, bool) {
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (method, target, version, words.next())
    else {
        return (Page::text("400 Bad Request", "not an HTTP request\n"), true);
    };
    let with_body = match method {
        "GET" => true,
        "HEAD" => false,
        _ => return (Page::text("405 Method Not Allowed", "only GET and HEAD\n"), true),
    };
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let found = pages(path).unwrap_or_else(|| Page::text("404 Not Found", "no such page\n"));
    (found, with_body)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn site() -> SocketAddr {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let (listener, address) = listen(loopback).await.expect("a port");
        let pages = |path: &str| (path == "/here").then(|| Page::text("200 OK", "hello\n"));
        tokio::spawn(serve(listener, Arc::new(pages)));
        address
    }

    async fn ask(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(request).await.expect("sent");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn pages_are_found_by_path() {
        let address = site().await;
        let found = ask(address, b"GET /here?x=1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(found.starts_with("HTTP/1.1 200 OK\r\n") && found.ends_with("\r\n\r\nhello\n"));
        let head = ask(address, b"HEAD /here HTTP/1.1\r\n\r\n").await;
        assert!(head.contains("Content-Length: 6\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        for (request, status) in [
            ("GET /there HTTP/1.1\r\n\r\n", "404"),
            ("POST /here HTTP/1.1\r\n\r\n", "405"),
            ("GET /here\r\n\r\n", "400"),
            ("GET /here HTTP/3\r\n\r\n", "400"),
            ("\r\n\r\n", "400"),
        ] {
            let answer = ask(address, request.as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
        }
    }

    #[tokio::test]
    async fn a_head_has_a_longest_length() {
        let address = site().await;
        let start = "GET /here HTTP/1.1\r\nX: ";
        let fits = MAX_HEAD_BYTES - start.len();
        for (length, status) in [(fits, "200"), (fits + 1, "431")] {
            let request = format!("{start}{}\r\n\r\n", "x".repeat(length));
            let answer = ask(address, request.as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{length}: {answer}");
        }
    }

    #[tokio::test]
    async fn clients_that_say_nothing_do_not_keep_others_out_for_ever() {
        let address = site().await;
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            silent.push(TcpStream::connect(address).await.expect("connected"));
        }
        // It waits until the silent ones are given up.
        let answer = ask(address, b"GET /here HTTP/1.1\r\n\r\n").await;
        assert!(answer.contains("200 OK"), "{answer}");
        let mut said = Vec::new();
        let _ = silent.remove(0).read_to_end(&mut said).await;
        assert!(String::from_utf8_lossy(&said).contains("408"));
    }
}

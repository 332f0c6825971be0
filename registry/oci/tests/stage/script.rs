//! An HTTP server that does what a test tells it to, byte by byte.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// The head of a request.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Which connection it came on, counted from 0.
    pub(crate) connection: usize,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// What to answer.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    length: Option<usize>,
    ending: Ending,
}

enum Ending {
    /// Ready for the next request.
    KeepAlive,
    /// The connection is closed.
    Close,
    /// Nothing more comes, and the connection stays.
    Stall,
    /// The same bytes for ever.
    Endless,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        let (headers, body) = (Vec::new(), Vec::new());
        Self { status, headers, body, length: None, ending: Ending::KeepAlive }
    }

    pub(crate) fn body(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::status(200) }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Announces a length, sends what there is, and hangs up.
    pub(crate) fn cut(mut self, announced: usize) -> Self {
        self.length = Some(announced);
        self.ending = Ending::Close;
        self
    }

    /// Announces a length, sends what there is, and falls silent.
    pub(crate) fn stall(mut self, announced: usize) -> Self {
        self.length = Some(announced);
        self.ending = Ending::Stall;
        self
    }

    /// Announces no length and never ends.
    pub(crate) fn endless(mut self) -> Self {
        self.ending = Ending::Endless;
        self
    }

    async fn send(self, head: &Head, stream: &mut TcpStream) -> std::io::Result<bool> {
        let mut text = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            text.extend([name.as_str(), ": ", value.as_str(), "\r\n"]);
        }
        let own_length = self.headers.iter().any(|(name, _)| name == "content-length");
        let length = self.length.unwrap_or(self.body.len()).to_string();
        match self.ending {
            Ending::Endless => text.push_str("connection: close\r\n"),
            _ if own_length => {}
            _ => text.extend(["content-length: ", &length, "\r\n"]),
        }
        text.push_str("\r\n");
        stream.write_all(text.as_bytes()).await?;
        if head.method != "HEAD" {
            stream.write_all(&self.body).await?;
        }
        match self.ending {
            Ending::KeepAlive => Ok(true),
            Ending::Close => Ok(false),
            Ending::Stall => {
                // The client hangs up at last.
                let _ = stream.read(&mut [0; 1]).await;
                Ok(false)
            }
            Ending::Endless => loop {
                stream.write_all(&[b' '; 4096]).await?;
            },
        }
    }
}

type Play = dyn FnMut(&Head) -> Reply + Send;

/// A running server; it stops with the test's runtime.
pub(crate) struct Script {
    pub(crate) host: String,
    seen: Arc<Mutex<Vec<Head>>>,
}

impl Script {
    pub(crate) async fn start(play: impl FnMut(&Head) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let play: Arc<Mutex<Box<Play>>> = Arc::new(Mutex::new(Box::new(play)));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::spawn(converse(stream, connection, Arc::clone(&play), Arc::clone(&log)));
            }
        });
        Self { host, seen }
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Head> {
        self.seen.lock().unwrap().clone()
    }

    /// Method and target of all requests so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(|head| format!("{} {}", head.method, head.target)).collect()
    }
}

async fn converse(
    mut stream: TcpStream,
    connection: usize,
    play: Arc<Mutex<Box<Play>>>,
    log: Arc<Mutex<Vec<Head>>>,
) {
    while let Some(head) = read_head(&mut stream, connection).await {
        log.lock().unwrap().push(head.clone());
        let reply = (play.lock().unwrap())(&head);
        if !matches!(reply.send(&head, &mut stream).await, Ok(true)) {
            return;
        }
    }
}

async fn read_head(stream: &mut TcpStream, connection: usize) -> Option<Head> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(bytes).ok()?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut head = Head { method, target, headers, body: Vec::new(), connection };
    let length = head.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    head.body = vec![0; length];
    stream.read_exact(&mut head.body).await.ok()?;
    Some(head)
}

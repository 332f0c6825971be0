//! A request as it is repeated: everything about it can be sent again.
//!
//! Owns bodies that can be opened more than once and the watch over a request that moves or stalls.

use std::{
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::Response;
use tokio_util::io::ReaderStream;
use url::Url;

use super::failure::Failure;
use crate::{auth::Scope, error::OciError};

/// Bytes read from a file at once while sending it.
const CHUNK_BYTES: usize = 256 * 1024;

/// A request to a registry.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// The registry whose settings and credentials count.
    pub(crate) registry: String,
    pub(crate) url: Url,
    pub(crate) scope: Scope,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// What to call it in messages.
    pub(crate) what: String,
    /// Statuses beside 2xx that the caller wants to see itself.
    pub(crate) expected: &'static [StatusCode],
    /// Whether it is for its own address alone: what signs it must reach nobody else.
    pub(crate) stays: bool,
}

impl Call {
    pub(crate) fn new(
        method: Method,
        registry: &str,
        url: Url,
        scope: Scope,
        what: String,
    ) -> Self {
        Self {
            method,
            registry: registry.to_owned(),
            url,
            scope,
            headers: HeaderMap::new(),
            body: Body::None,
            what,
            expected: &[],
            stays: false,
        }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.append(name, HeaderValue::from_static(value));
        self
    }

    /// Sets a header whose value is made of text; what cannot be one is left out.
    pub(crate) fn text_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn expect(mut self, expected: &'static [StatusCode]) -> Self {
        self.expected = expected;
        self
    }
}

/// What is sent along.
pub(crate) enum Body {
    None,
    Bytes(Bytes),
    /// A file, read while it is sent.
    File {
        path: PathBuf,
        length: u64,
    },
}

/// How many bytes of a body have been taken for sending.
#[derive(Clone, Default)]
pub(crate) struct Fill(Arc<AtomicU64>);

impl Fill {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Body {
    /// The body from its beginning, with its length.
    pub(crate) async fn open(&self) -> Result<(Option<(u64, reqwest::Body)>, Fill), OciError> {
        let sent = Fill::default();
        let body = match self {
            Self::None => None,
            Self::Bytes(bytes) => Some((bytes.len() as u64, bytes.clone().into())),
            Self::File { path, length } => {
                let file = tokio::fs::File::open(path)
                    .await
                    .map_err(|source| OciError::Io { path: path.clone(), source })?;
                let counter = sent.clone();
                let stream = ReaderStream::with_capacity(file, CHUNK_BYTES).inspect(move |chunk| {
                    if let Ok(chunk) = chunk {
                        counter.0.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                    }
                });
                Some((*length, reqwest::Body::wrap_stream(stream)))
            }
        };
        Ok((body, sent))
    }
}

/// Waits for an answer as long as something moves: `patience` counts from the last byte sent.
pub(super) async fn attended(
    mut sent: Pin<&mut impl Future<Output = reqwest::Result<Response>>>,
    fill: &Fill,
    patience: Duration,
    what: &str,
) -> Result<Response, Failure> {
    let mut before = fill.bytes();
    loop {
        match tokio::time::timeout(patience, sent.as_mut()).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => return Err(Failure::network(&error, what)),
            Err(_) if fill.bytes() != before => before = fill.bytes(),
            Err(_) => return Err(Failure::no_answer(what, patience)),
        }
    }
}

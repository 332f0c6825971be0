//! Blobs: streamed into a sink, checked on the way, resumed where they broke off.
//!
//! Owns the check of size and digest: no operation here succeeds unless exactly the bytes that the
//! descriptor promises have gone to the sink. Memory does not grow with the blob. Addresses that a
//! descriptor may carry (`urls`) are not even read: content comes from the registry or not at all.

use std::{io::SeekFrom, path::Path};

use eyas_artifact::{Descriptor, Hasher, Reference};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, ETAG, IF_RANGE, RANGE},
};
use reqwest::Response;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::{BlobSink, Client, Place, Remote};
use crate::{
    Digesting,
    config::Notice,
    error::OciError,
    secret::tame,
    transport::{Failure, Pace},
};

/// Most continuations of one blob, so that a registry that sends a byte at a time has an end.
const MAX_CONTINUATIONS: u32 = 100;
/// Bytes read from a file at once.
const FILE_CHUNK_BYTES: usize = 256 * 1024;

impl Client {
    /// Streams a blob into `sink`. On success the sink has exactly the descriptor's bytes; on
    /// failure what it has is worth nothing but for resuming.
    pub async fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        sink: &mut (impl BlobSink + ?Sized),
    ) -> Result<(), OciError> {
        let what = reference.with_digest(descriptor.digest).to_string();
        let limit = self.config().limits.blob_bytes;
        if descriptor.size > limit {
            return Err(OciError::TooLarge { what, limit, found: descriptor.size });
        }
        let mut places = self.places(reference)?;
        let mut download = Download::start(self, what, descriptor, sink).await?;
        loop {
            match download.bring(&places.current).await {
                Ok(()) => return Ok(()),
                Err(error) => places.advance(error)?,
            }
        }
    }

    /// A blob of at most `limit` bytes, in memory. One that came along in its descriptor is not asked for.
    pub async fn blob_bytes(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Result<Vec<u8>, OciError> {
        if descriptor.size > limit {
            let what = reference.with_digest(descriptor.digest).to_string();
            return Err(OciError::TooLarge { what, limit, found: descriptor.size });
        }
        if let Some(bytes) = descriptor.embedded() {
            return Ok(bytes);
        }
        let mut bytes = Vec::with_capacity(descriptor.size as usize);
        self.blob(reference, descriptor, &mut bytes).await?;
        Ok(bytes)
    }
}

/// A blob under way: what has gone to the sink, and its digest so far.
struct Download<'a, S: ?Sized> {
    client: &'a Client,
    what: String,
    descriptor: &'a Descriptor,
    sink: &'a mut S,
    /// None where the sink hashes what it takes.
    digesting: Option<Digesting>,
    received: u64,
    /// Some bytes came by another answer than the rest: a wrong digest may come from mixing.
    mixed: bool,
    etag: Option<HeaderValue>,
    /// One for all answers: what trickles over many of them has an end too.
    pace: Pace,
}

impl<'a, S: BlobSink + ?Sized> Download<'a, S> {
    async fn start(
        client: &'a Client,
        what: String,
        descriptor: &'a Descriptor,
        sink: &'a mut S,
    ) -> Result<Self, OciError> {
        let mut hasher = Hasher::new();
        let kept = sink
            .resume(&mut hasher)
            .await
            .map_err(|source| OciError::Sink { what: what.clone(), source })?;
        let (received, mixed) = (kept, kept > 0);
        let digesting = sink.digest().is_none().then(|| Digesting::after(hasher));
        let pace = Pace::of_content(&client.config().timeouts);
        let mut download =
            Self { client, what, descriptor, sink, digesting, received, mixed, etag: None, pace };
        if kept > descriptor.size {
            download.restart().await?;
        }
        Ok(download)
    }

    /// Brings the rest from one place, over as many answers as it takes.
    async fn bring(&mut self, place: &Place) -> Result<(), OciError> {
        let mut attempt = 0;
        let mut continuations = 0;
        // Validators are the word of one registry.
        self.etag = None;
        loop {
            let before = self.received;
            if before == self.descriptor.size {
                match self.finish() {
                    Err(_) if self.mixed => self.restart().await?,
                    outcome => return outcome,
                }
            }
            let Err(failure) = self.attempt(place).await else { continue };
            if self.received > before {
                attempt = 0;
                continuations += 1;
            }
            if continuations > MAX_CONTINUATIONS {
                return Err(failure.error);
            }
            self.client.transport.pause(&self.what, &mut attempt, failure).await?;
        }
    }

    /// One request, or one file: all that it brings goes to the sink.
    async fn attempt(&mut self, place: &Place) -> Result<(), Failure> {
        let response = match place {
            Place::Registry(remote) => self.request(remote).await?,
            Place::Layout(local) => {
                let path = local.blob(&self.what, self.descriptor)?;
                return Ok(self.read(&path).await?);
            }
        };
        let size = self.descriptor.size;
        let mut skip = self.received;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                self.check_range(response.headers())?;
                skip = 0;
            }
            StatusCode::RANGE_NOT_SATISFIABLE => return Ok(self.restart().await?),
            _ => {
                if let Some(found) = response.content_length().filter(|found| *found != size) {
                    return Err(self.wrong_size(found).into());
                }
            }
        }
        if let Some(tag) = response.headers().get(ETAG) {
            self.etag = Some(tag.clone());
        }
        self.pour(response, skip).await
    }

    async fn request(&mut self, place: &Remote) -> Result<Response, Failure> {
        let path = format!("blobs/{}", self.descriptor.digest);
        let mut call = self
            .client
            .reading(Method::GET, place, &path, self.what.clone())?
            .header(ACCEPT_ENCODING, "identity");
        if self.received > 0 {
            self.mixed = true;
            call = call
                .text_header(RANGE, &format!("bytes={}-", self.received))
                .expect(&[StatusCode::RANGE_NOT_SATISFIABLE]);
            // A weak validator says nothing about bytes.
            let strong = |tag: &&HeaderValue| !tag.as_bytes().starts_with(b"W/");
            if let Some(tag) = self.etag.as_ref().filter(strong) {
                call.headers.insert(IF_RANGE, tag.clone());
            }
            let (what, offset) = (self.what.clone(), self.received);
            self.client.config().listener.tell(Notice::Resumed { what, offset });
        }
        let response = self.client.transport.once(&call).await?;
        match response.headers().get(CONTENT_ENCODING) {
            Some(encoding) if encoding != "identity" => {
                let shown = tame(&String::from_utf8_lossy(encoding.as_bytes()), 40);
                let detail = format!("it was sent encoded as `{shown}`, asked for plain");
                Err(self.malformed(detail).into())
            }
            _ => Ok(response),
        }
    }

    /// Moves the rest of a file to the sink.
    async fn read(&mut self, path: &Path) -> Result<(), OciError> {
        let at = |source| OciError::Io { path: path.to_owned(), source };
        let mut file = tokio::fs::File::open(path).await.map_err(at)?;
        if self.received > 0 {
            self.mixed = true;
            file.seek(SeekFrom::Start(self.received)).await.map_err(at)?;
        }
        let mut file = file.take(self.descriptor.size - self.received);
        let mut buffer = vec![0; FILE_CHUNK_BYTES];
        loop {
            let length = file.read(&mut buffer).await.map_err(at)?;
            if length == 0 {
                break;
            }
            let chunk = &buffer[..length];
            self.received += length as u64;
            self.hand_on(chunk).await?;
        }
        // The file was cut while it was read: reading on would never end.
        if self.received < self.descriptor.size {
            Err(self.wrong_size(self.received))
        } else {
            Ok(())
        }
    }

    /// Moves the body to the sink. `skip` bytes at its beginning are there already.
    async fn pour(&mut self, mut response: Response, mut skip: u64) -> Result<(), Failure> {
        let size = self.descriptor.size;
        while let Some(mut chunk) = self.pace.next(&mut response, &self.what).await? {
            let known = skip.min(chunk.len() as u64);
            skip -= known;
            let chunk = chunk.split_off(known as usize);
            let total = self.received + chunk.len() as u64;
            if total > size {
                return Err(self.wrong_size(total).into());
            }
            if chunk.is_empty() {
                continue;
            }
            self.received = total;
            self.hand_on(&chunk).await?;
        }
        if self.received < size {
            // It ended in good order, yet short: the next answer may have the rest.
            return Err(Failure::passing(self.wrong_size(self.received)));
        }
        Ok(())
    }

    /// Gives the next bytes to the sink.
    async fn hand_on(&mut self, chunk: &[u8]) -> Result<(), OciError> {
        if let Some(digesting) = &mut self.digesting {
            digesting.update(chunk);
        }
        self.sink.write(chunk).await.map_err(|source| self.sink_error(source))
    }

    /// A part must begin where we stopped, and be a part of the same whole.
    fn check_range(&self, headers: &HeaderMap) -> Result<(), OciError> {
        let text = headers.get(CONTENT_RANGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let parts = text
            .strip_prefix("bytes ")
            .and_then(|rest| rest.split_once('/'))
            .and_then(|(range, total)| Some((range.split_once('-')?.0, total)));
        let fits = parts.is_some_and(|(from, total)| {
            from.trim().parse() == Ok(self.received)
                && (total == "*" || total.parse() == Ok(self.descriptor.size))
        });
        if fits {
            return Ok(());
        }
        let (found, offset, size) = (tame(text, 60), self.received, self.descriptor.size);
        Err(self.malformed(format!("asked for the part from {offset} of {size}, got `{found}`")))
    }

    fn finish(&mut self) -> Result<(), OciError> {
        let expected = self.descriptor.digest;
        let digest = match &mut self.digesting {
            Some(digesting) => Some(digesting.digest()),
            None => self.sink.digest(),
        };
        let Some(found) = digest else {
            let detail = "whoever stores it has no digest of it";
            return Err(self.sink_error(std::io::Error::other(detail)));
        };
        if expected == found {
            return Ok(());
        }
        Err(OciError::DigestMismatch { what: self.what.clone(), expected, found })
    }

    async fn restart(&mut self) -> Result<(), OciError> {
        if let Some(digesting) = &mut self.digesting {
            *digesting = Digesting::new();
        }
        self.received = 0;
        self.mixed = false;
        self.sink.restart().await.map_err(|source| self.sink_error(source))
    }

    fn sink_error(&self, source: std::io::Error) -> OciError {
        OciError::Sink { what: self.what.clone(), source }
    }

    fn wrong_size(&self, found: u64) -> OciError {
        OciError::SizeMismatch { what: self.what.clone(), expected: self.descriptor.size, found }
    }

    fn malformed(&self, detail: String) -> OciError {
        OciError::Malformed { what: self.what.clone(), detail }
    }
}

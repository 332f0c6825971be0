//! Plain exchanges with servers that are no registries: a file at an address, a call of an API.
//!
//! They go with everything that counts for registries: certificates, proxies, limits, redirects and
//! repetition. What is sent along is said by the caller; nothing is added from credential files
//! unless the server asks for it.

use http::{HeaderName, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use url::Url;

use super::{BlobSink, Client};
use crate::{
    auth::Scope,
    error::OciError,
    secret::{Secret, printable},
    transport::{Body, Call, Failure, Pace, authority},
};

/// Statuses of refusals that the caller of an API reads itself.
const READ_BY_THE_CALLER: &[StatusCode] =
    &[StatusCode::NOT_FOUND, StatusCode::FORBIDDEN, StatusCode::CONFLICT];

/// What is asked of a server.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Where.
    pub url: Url,
    /// Headers to send; a value is never printed.
    pub headers: Vec<(String, Secret)>,
    /// What to change the resource by, with its media type; without it the resource is read.
    pub patch: Option<(&'static str, Vec<u8>)>,
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Ask {
    /// Asks for what is at `url`.
    pub fn get(url: Url) -> Self {
        Self { url, headers: Vec::new(), patch: None }
    }

    fn call(&self) -> Result<Call, OciError> {
        let method = if self.patch.is_some() { Method::PATCH } else { Method::GET };
        let what = printable(&self.url);
        let mut call =
            Call::new(method, authority(&self.url), self.url.clone(), Scope::none(), what);
        for (name, value) in &self.headers {
            let wrong = |expected| OciError::Config { value: name.clone(), expected };
            let name = HeaderName::try_from(name).map_err(|_| wrong("name of an HTTP header"))?;
            let mut value = HeaderValue::try_from(value.expose())
                .map_err(|_| wrong("HTTP header with a printable value"))?;
            value.set_sensitive(true);
            call.headers.append(name, value);
        }
        if let Some((media_type, bytes)) = &self.patch {
            call = call.header(CONTENT_TYPE, media_type).body(Body::Bytes(bytes.clone().into()));
        }
        Ok(call)
    }
}

impl Client {
    /// Asks a server; its answer has at most `limit` bytes. That something is missing, forbidden or
    /// in conflict is an answer, too.
    pub async fn ask(&self, ask: &Ask, limit: u64) -> Result<Reply, OciError> {
        let call = ask.call()?.expect(READ_BY_THE_CALLER);
        let answer = self.transport.read(&call, limit).await?;
        Ok(Reply { status: answer.status.as_u16(), body: answer.body })
    }

    /// Streams what is at an address into `sink`, at most `limit` bytes, and gives their number. On
    /// failure what the sink has is worth nothing.
    pub async fn fetch_into(
        &self,
        ask: &Ask,
        limit: u64,
        sink: &mut (impl BlobSink + ?Sized),
    ) -> Result<u64, OciError> {
        let call = ask.call()?;
        let mut attempt = 0;
        loop {
            match self.pour(&call, limit, sink).await {
                Ok(bytes) => return Ok(bytes),
                Err(failure) => self.transport.pause(&call.what, &mut attempt, failure).await?,
            }
        }
    }

    async fn pour(
        &self,
        call: &Call,
        limit: u64,
        sink: &mut (impl BlobSink + ?Sized),
    ) -> Result<u64, Failure> {
        let what = || call.what.clone();
        let failed = |source| OciError::Sink { what: what(), source };
        let too_large = |found| OciError::TooLarge { what: what(), limit, found };
        sink.restart().await.map_err(failed)?;
        let mut response = self.transport.once(call).await?;
        let announced = response.content_length();
        if let Some(length) = announced.filter(|length| *length > limit) {
            return Err(too_large(length).into());
        }
        let mut pace = Pace::of_content(&self.config().timeouts);
        let mut received = 0;
        while let Some(chunk) = pace.next(&mut response, &call.what).await? {
            received += chunk.len() as u64;
            if received > limit {
                return Err(too_large(received).into());
            }
            sink.write(&chunk).await.map_err(failed)?;
        }
        Ok(received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, value: &str) -> Result<Call, OciError> {
        let mut ask = Ask::get(Url::parse("https://a.example.org/x").unwrap());
        ask.headers.push((name.to_owned(), Secret::new(value)));
        ask.call()
    }

    #[test]
    fn headers_are_checked_and_their_values_stay_hidden() {
        let call = ask("X-Token", "s3cret").unwrap();
        assert!(!format!("{:?}", call.headers).contains("s3cret"));
        assert_eq!(call.headers["x-token"], "s3cret");
        for (name, value) in [("", "x"), ("a b", "x"), ("a", "x\r\ny: z"), ("a:", "x")] {
            let error = ask(name, value).err().unwrap();
            assert!(matches!(error, OciError::Config { .. }), "{name}: {error}");
            assert!(!error.to_string().contains("y: z"));
        }
    }

    #[test]
    fn a_change_is_a_patch() {
        let mut ask = Ask::get(Url::parse("https://a.example.org/x").unwrap());
        assert_eq!(ask.call().unwrap().method, Method::GET);
        ask.patch = Some(("application/merge-patch+json", b"{}".to_vec()));
        let call = ask.call().unwrap();
        assert_eq!(call.method, Method::PATCH);
        assert_eq!(call.headers[CONTENT_TYPE], "application/merge-patch+json");
    }
}

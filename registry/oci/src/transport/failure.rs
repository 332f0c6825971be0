//! What went wrong with one try, and whether another may go better.
//!
//! Owns the translation of statuses and connection errors into [`OciError`].

use std::{
    error::Error,
    io::ErrorKind,
    time::{Duration, SystemTime},
};

use http::StatusCode;
use oci_distribution::errors::{OciEnvelope, OciErrorCode};
use reqwest::Response;

use super::{answer::Answer, retry::retry_after};
use crate::{
    config::{MAX_ERROR_BYTES, Timeouts},
    error::{NetworkKind, OciError},
    secret::tame,
};

/// Longest part of a foreign message that is shown, in characters.
const SHOWN: usize = 200;

/// One failed try.
pub(crate) struct Failure {
    pub(crate) error: OciError,
    pub(crate) can_repeat: bool,
    pub(crate) retry_after: Option<Duration>,
}

impl From<OciError> for Failure {
    /// Errors of our own making do not go away by repeating.
    fn from(error: OciError) -> Self {
        Self { error, can_repeat: false, retry_after: None }
    }
}

impl Failure {
    /// An error that may go away by repeating.
    pub(crate) fn passing(error: OciError) -> Self {
        Self { error, can_repeat: true, retry_after: None }
    }

    /// An answer with a status that nobody wanted.
    pub(crate) async fn status(response: Response, what: &str, timeouts: &Timeouts) -> Self {
        let status = response.status();
        let retry_after = retry_after(response.headers(), SystemTime::now());
        let body = Answer::read(response, MAX_ERROR_BYTES, timeouts, what).await;
        let detail = body.map(|answer| explain(&answer.body)).unwrap_or_default();
        let reason = || if detail.is_empty() { status.to_string() } else { detail.clone() };
        let what = what.to_owned();
        let error = match status {
            StatusCode::NOT_FOUND => OciError::NotFound { what },
            StatusCode::UNAUTHORIZED => OciError::Unauthorized { what, detail: reason() },
            StatusCode::FORBIDDEN => OciError::Forbidden { what, detail: reason() },
            StatusCode::TOO_MANY_REQUESTS => OciError::RateLimited { what, retry_after },
            status => OciError::Server { what, status: status.as_u16(), detail },
        };
        let can_repeat = matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504);
        Self { error, can_repeat, retry_after }
    }

    /// No answer, or half of one.
    pub(crate) fn network(error: &reqwest::Error, what: &str) -> Self {
        let kind = kind(error);
        let failure = Self::passing(OciError::Network {
            what: what.to_owned(),
            detail: tame(&innermost(error), SHOWN),
            kind,
        });
        // A certificate does not become valid by asking again.
        Self { can_repeat: kind != NetworkKind::Tls, ..failure }
    }

    /// Not even the beginning of an answer.
    pub(super) fn no_answer(what: &str, waited: Duration) -> Self {
        Self::passing(OciError::Network {
            what: what.to_owned(),
            detail: format!("nothing came in {} ms", waited.as_millis()),
            kind: NetworkKind::Timeout,
        })
    }

    /// A body that stopped coming.
    pub(crate) fn stalled(what: &str, waited: Duration, received: u64) -> Self {
        Self::passing(OciError::Stalled { what: what.to_owned(), waited, received })
    }
}

/// What an error body says, in one line.
fn explain(body: &[u8]) -> String {
    if let Ok(envelope) = serde_json::from_slice::<OciEnvelope>(body)
        && let Some(first) = envelope.errors.first()
    {
        let message = match (&first.message, &first.code) {
            (text, OciErrorCode::Other(code)) if text.is_empty() => code.clone(),
            (text, code) if text.is_empty() => format!("{code:?}"),
            (text, _) => text.clone(),
        };
        return tame(&message, SHOWN);
    }
    let text = String::from_utf8_lossy(body);
    // A page for browsers says nothing in its first line.
    if text.trim_start().starts_with('<') { String::new() } else { tame(&text, SHOWN) }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        // An I/O error hides the error it was made of from `source`.
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

/// The message of the first cause: what wraps it repeats the address and the obvious.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let first: &(dyn Error + 'static) = error;
    causes(first).last().map_or_else(String::new, ToString::to_string)
}

fn kind(error: &reqwest::Error) -> NetworkKind {
    if error.is_timeout() {
        return NetworkKind::Timeout;
    }
    let first: &(dyn Error + 'static) = error;
    for cause in causes(first) {
        if cause.is::<rustls::Error>() {
            return NetworkKind::Tls;
        }
        match cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
            Some(ErrorKind::ConnectionRefused) => return NetworkKind::Refused,
            Some(ErrorKind::TimedOut) => return NetworkKind::Timeout,
            _ => {}
        }
        if cause.to_string().starts_with("dns error") {
            return NetworkKind::Name;
        }
    }
    NetworkKind::Broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_bodies_are_explained_in_one_line() {
        let known = br#"{"errors":[{"code":"DENIED","message":"requested access\nis denied"}]}"#;
        assert_eq!(explain(known), "requested access is denied");
        assert_eq!(explain(br#"{"errors":[{"code":"QUOTA_EXCEEDED"}]}"#), "QUOTA_EXCEEDED");
        assert_eq!(explain(br#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#), "NameUnknown");
        assert_eq!(explain(b"bad \x1b[31mgateway"), "bad [31mgateway");
        assert_eq!(explain(b"<html>"), "");
        assert_eq!(explain(b""), "");
    }
}

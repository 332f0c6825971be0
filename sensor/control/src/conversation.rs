//! One client at a time: its requests, their answers, and what it subscribed to.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::dto::{
    Code, ErrorBody, PROTOCOL_VERSION, Reply, Request, RequestEnvelope, ResponseEnvelope,
    StreamEnvelope,
};
use crate::error::ControlError;
use crate::frame::{read_frame, write_frame};
use crate::peer::Peer;
use crate::server::{Feed, Handler, Next, Refusal, ServerOptions};
use crate::watch::Item;

/// How often a subscription looks whether its client is still there.
const FEED_STEP: Duration = Duration::from_millis(500);
/// Silence after which a subscriber is told that nothing happens.
const FEED_SILENCE: Duration = Duration::from_secs(5);

/// Answers requests until the client leaves, falls silent or breaks the protocol.
pub(crate) fn converse(
    stream: &mut UnixStream,
    peer: &Peer,
    handler: &dyn Handler,
    options: &ServerOptions,
) {
    loop {
        let asked = match read_frame(stream, options.idle_timeout, options.message_timeout) {
            Ok(Some(frame)) => asked(&frame),
            Ok(None) | Err(ControlError::Closed { .. } | ControlError::Timeout { .. }) => return,
            Err(error) => {
                turn_away(stream, Code::BadRequest, error.to_string(), options.message_timeout);
                return;
            }
        };
        let (response, feed) = match asked {
            Ok((id, request)) => answer(id, request, peer, handler),
            Err(response) => (*response, None),
        };
        if send(stream, &response, options.message_timeout).is_err() {
            return;
        }
        if let Some(mut feed) = feed {
            feed_to(stream, response.id, &mut *feed, options.message_timeout);
            return;
        }
    }
}

/// The request in one frame, or what to answer in its place.
fn asked(frame: &[u8]) -> Result<(u64, Request), Box<ResponseEnvelope>> {
    let envelope: RequestEnvelope<serde_json::Value> =
        serde_json::from_slice(frame).map_err(|error| {
            failed(0, Code::BadRequest, format!("expected a request, found {error}"))
        })?;
    let id = envelope.id;
    if envelope.version != PROTOCOL_VERSION {
        let message =
            format!("expected protocol version `{PROTOCOL_VERSION}`, found `{}`", envelope.version);
        return Err(failed(id, Code::UnsupportedVersion, message).into());
    }
    match read_request(envelope.request) {
        Ok(request) => Ok((id, request)),
        Err(refusal) => Err(failed(id, refusal.code, refusal.message).into()),
    }
}

/// The response to a request, and what follows it. A fault of the handler is an answer too.
fn answer(
    id: u64,
    request: Request,
    peer: &Peer,
    handler: &dyn Handler,
) -> (ResponseEnvelope, Option<Box<dyn Feed>>) {
    let outcome = catch_unwind(AssertUnwindSafe(|| match request {
        Request::Subscribe(subscribe) => {
            handler.subscribe(peer, subscribe).map(|feed| (Reply::Subscribed {}, Some(feed)))
        }
        other => handler.handle(peer, other).map(|reply| (reply, None)),
    }));
    match outcome {
        Ok(Ok((reply, feed))) => {
            (ResponseEnvelope { version: PROTOCOL_VERSION, id, ok: Some(reply), error: None }, feed)
        }
        Ok(Err(refusal)) => (failed(id, refusal.code, refusal.message), None),
        Err(_) => {
            let message = "the request hit a fault; nothing was changed";
            (failed(id, Code::Internal, message.into()), None)
        }
    }
}

/// Sends items until the feed ends, or the client says anything or leaves.
fn feed_to(stream: &mut UnixStream, id: u64, feed: &mut dyn Feed, limit: Duration) {
    let mut said = Instant::now();
    loop {
        let item = match feed.next(FEED_STEP) {
            Next::Item(item) => item,
            Next::Nothing if has_spoken_or_left(stream) => return,
            Next::Nothing if said.elapsed() < FEED_SILENCE => continue,
            Next::Nothing => Item::Alive {},
            Next::Ended => return,
        };
        let envelope = StreamEnvelope { version: PROTOCOL_VERSION, id, item };
        let Ok(body) = serde_json::to_vec(&envelope) else { return };
        match write_frame(stream, &body, limit) {
            // An alert that is larger than a message may be is lost to this client alone.
            Ok(()) | Err(ControlError::TooLarge { .. }) => said = Instant::now(),
            Err(_) => return,
        }
    }
}

/// Whether there is something to read: words, which end a subscription, or the end.
fn has_spoken_or_left(stream: &UnixStream) -> bool {
    let mut wait = [PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::IN | PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut wait, Some(&now)).is_ok_and(|ready| ready > 0)
}

/// Tells an unknown request from a known one with wrong arguments.
fn read_request(value: serde_json::Value) -> Result<Request, Refusal> {
    let name = match &value {
        serde_json::Value::Object(map) => map.keys().next().cloned(),
        serde_json::Value::String(name) => Some(name.clone()),
        _ => None,
    };
    // A bare name is accepted for requests without arguments, for those who type by hand.
    let value = match value {
        serde_json::Value::String(name) => serde_json::json!({ name: {} }),
        other => other,
    };
    serde_json::from_value(value).map_err(|error| match name {
        Some(name) if !Request::NAMES.contains(&name.as_str()) => Refusal::new(
            Code::UnknownRequest,
            format!("expected one of `{}`, found `{name}`", Request::NAMES.join("`, `")),
        ),
        _ => Refusal::new(Code::BadRequest, error.to_string()),
    })
}

fn failed(id: u64, code: Code, message: String) -> ResponseEnvelope {
    let error = Some(ErrorBody { code, message });
    ResponseEnvelope { version: PROTOCOL_VERSION, id, ok: None, error }
}

fn send(
    stream: &mut UnixStream,
    response: &ResponseEnvelope,
    limit: Duration,
) -> Result<(), ControlError> {
    let encode = |response: &ResponseEnvelope| {
        serde_json::to_vec(response).map_err(|e| ControlError::Protocol { what: e.to_string() })
    };
    match write_frame(stream, &encode(response)?, limit) {
        Err(ControlError::TooLarge { found, limit: most }) => {
            let message = format!("the answer has `{found}` bytes, expected at most `{most}`");
            let short = failed(response.id, Code::Internal, message);
            write_frame(stream, &encode(&short)?, limit)
        }
        other => other,
    }
}

/// Says why before closing. A client that does not listen loses nothing but the words.
pub(crate) fn turn_away(stream: &mut UnixStream, code: Code, message: String, limit: Duration) {
    drop(send(stream, &failed(0, code, message), limit));
}

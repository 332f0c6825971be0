//! What a client says on the control socket, and what a sensor answers to it.

use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use eyas_control::{
    Code, Feed, Handler, Item, Next, Peer, Refusal, Reply, Request, ResponseEnvelope,
    ServerOptions, StreamEnvelope, Subscribe, read_frame, serve_one,
};

/// Longest wait of either side; both ends are here, so nobody waits in earnest.
const LIMIT: Duration = Duration::from_secs(2);

/// Answers what is asked in the shortest way.
struct Short;

/// One alert, and the end.
struct One(bool);

impl Feed for One {
    fn next(&mut self, _: Duration) -> Next {
        if std::mem::replace(&mut self.0, true) {
            return Next::Ended;
        }
        Next::Item(Item::Alert(serde_json::Value::Null))
    }
}

impl Handler for Short {
    fn handle(&self, _: &Peer, request: Request) -> Result<Reply, Refusal> {
        // What was understood is said again in the same words.
        let said = serde_json::to_value(&request).expect("a request is JSON");
        assert_eq!(serde_json::from_value::<Request>(said).expect("its own words"), request);
        Err(Refusal::new(Code::BadRequest, "no"))
    }

    fn subscribe(&self, _: &Peer, _: Subscribe) -> Result<Box<dyn Feed>, Refusal> {
        Ok(Box::new(One(false)))
    }
}

/// The server gets the bytes, and each of its answers is one.
pub fn control(input: &[u8]) {
    let (mut client, server) = UnixStream::pair().expect("sockets");
    // More would not fit what the kernel keeps for a socket, and nobody reads meanwhile.
    let input = input.get(..16 * 1024).unwrap_or(input);
    client.write_all(input).expect("room");
    client.shutdown(Shutdown::Write).expect("open");
    let options =
        ServerOptions { idle_timeout: LIMIT, message_timeout: LIMIT, ..ServerOptions::default() };
    serve_one(server, &Short, &options).expect("credentials");
    while let Ok(Some(answer)) = read_frame(&mut client, LIMIT, LIMIT) {
        let is_answer = serde_json::from_slice::<ResponseEnvelope>(&answer).is_ok();
        let is_item = serde_json::from_slice::<StreamEnvelope<serde_json::Value>>(&answer).is_ok();
        assert!(is_answer || is_item, "{}", String::from_utf8_lossy(&answer));
    }
}

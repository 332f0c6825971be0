//! Frames: a 32-bit big-endian length, then that many bytes of JSON.
//!
//! The length is checked before anything is allocated, and each wait has a deadline, so that
//! neither a hostile nor a hanging peer costs more than one buffer and one thread for a bounded
//! time.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::error::ControlError;

/// Most bytes in one frame.
pub const MAX_FRAME_BYTES: u32 = 1024 * 1024;

/// A point in time up to which a peer may keep us waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    limit: Duration,
    at: Instant,
}

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        Self { limit, at: Instant::now() + limit }
    }

    fn left(&self, doing: &'static str) -> Result<Duration, ControlError> {
        let left = self.at.saturating_duration_since(Instant::now());
        // A zero timeout means "wait for ever" to the kernel.
        if left.is_zero() { Err(self.passed(doing)) } else { Ok(left) }
    }

    pub(crate) fn passed(&self, doing: &'static str) -> ControlError {
        ControlError::Timeout { doing, limit: self.limit }
    }
}

/// Writes one frame, within `limit`.
pub fn write_frame(
    stream: &mut UnixStream,
    body: &[u8],
    limit: Duration,
) -> Result<(), ControlError> {
    let doing = "writing a message";
    let too_large =
        || ControlError::TooLarge { found: body.len() as u64, limit: MAX_FRAME_BYTES.into() };
    let length = u32::try_from(body.len()).map_err(|_| too_large())?;
    if length > MAX_FRAME_BYTES {
        return Err(too_large());
    }
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(body);
    let deadline = Deadline::after(limit);
    let mut rest = frame.as_slice();
    while !rest.is_empty() {
        let left = deadline.left(doing)?;
        stream.set_write_timeout(Some(left)).map_err(|e| classify(&e, doing, deadline))?;
        match stream.write(rest) {
            Ok(0) => return Err(ControlError::Closed { doing }),
            Ok(n) => rest = rest.get(n..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(classify(&e, doing, deadline)),
        }
    }
    Ok(())
}

/// Reads one frame. Waits up to `idle` for its first byte and up to `limit` for the rest. `None`
/// when the peer closed between frames.
pub fn read_frame(
    stream: &mut UnixStream,
    idle: Duration,
    limit: Duration,
) -> Result<Option<Vec<u8>>, ControlError> {
    let mut header = [0; 4];
    let (first, rest) = header.split_at_mut(1);
    if !fill(stream, first, Deadline::after(idle), "waiting for a message")? {
        return Ok(None);
    }
    let deadline = Deadline::after(limit);
    let doing = "reading a message";
    if !fill(stream, rest, deadline, doing)? {
        return Err(ControlError::Closed { doing });
    }
    let length = u32::from_be_bytes(header);
    if length > MAX_FRAME_BYTES {
        return Err(ControlError::TooLarge { found: length.into(), limit: MAX_FRAME_BYTES.into() });
    }
    let mut body = vec![0; length as usize];
    if !body.is_empty() && !fill(stream, &mut body, deadline, doing)? {
        return Err(ControlError::Closed { doing });
    }
    Ok(Some(body))
}

/// Fills `buffer`; `false` when the peer closed before the first byte of it.
fn fill(
    stream: &mut UnixStream,
    buffer: &mut [u8],
    deadline: Deadline,
    doing: &'static str,
) -> Result<bool, ControlError> {
    let mut filled = 0;
    while let Some(rest @ [_, ..]) = buffer.get_mut(filled..) {
        let left = deadline.left(doing)?;
        stream.set_read_timeout(Some(left)).map_err(|e| classify(&e, doing, deadline))?;
        match stream.read(rest) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(ControlError::Closed { doing }),
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(classify(&e, doing, deadline)),
        }
    }
    Ok(true)
}

fn classify(error: &io::Error, doing: &'static str, deadline: Deadline) -> ControlError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => deadline.passed(doing),
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::NotConnected
        // Linux answers a socket option on a connection the other end has shut down like this.
        | io::ErrorKind::InvalidInput => ControlError::Closed { doing },
        _ => ControlError::Protocol { what: format!("{error} while {doing}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_frame_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
        let (mut a, mut b) = UnixStream::pair().unwrap();
        let full = vec![b'x'; MAX_FRAME_BYTES as usize];
        let sender = std::thread::spawn(move || write_frame(&mut a, &full, LONG).map(|()| a));
        assert_eq!(
            read_frame(&mut b, LONG, LONG).unwrap().unwrap().len(),
            MAX_FRAME_BYTES as usize
        );
        let mut a = sender.join().unwrap().unwrap();
        let over = vec![0; MAX_FRAME_BYTES as usize + 1];
        assert!(matches!(
            write_frame(&mut a, &over, LONG),
            Err(ControlError::TooLarge { found: 1_048_577, limit: 1_048_576 })
        ));
        a.write_all(&(MAX_FRAME_BYTES + 1).to_be_bytes()).unwrap();
        assert!(matches!(read_frame(&mut b, LONG, LONG), Err(ControlError::TooLarge { .. })));
    }

    #[test]
    fn closing_between_frames_is_the_end_and_closing_inside_one_is_an_error() {
        let (a, mut b) = UnixStream::pair().unwrap();
        drop(a);
        assert!(read_frame(&mut b, LONG, LONG).unwrap().is_none());
        for part in [&[0][..], &[0, 0, 0], &[0, 0, 0, 2], &[0, 0, 0, 2, b'{']] {
            let (mut a, mut b) = UnixStream::pair().unwrap();
            a.write_all(part).unwrap();
            drop(a);
            let found = read_frame(&mut b, LONG, LONG);
            assert!(matches!(found, Err(ControlError::Closed { .. })), "{part:?}: {found:?}");
        }
    }

    #[test]
    fn a_silent_peer_and_a_peer_that_stops_half_way_run_into_their_limits() {
        let (mut a, mut b) = UnixStream::pair().unwrap();
        assert!(matches!(
            read_frame(&mut b, SHORT, LONG),
            Err(ControlError::Timeout { limit: SHORT, .. })
        ));
        a.write_all(&[0, 0]).unwrap();
        assert!(matches!(
            read_frame(&mut b, LONG, SHORT),
            Err(ControlError::Timeout { limit: SHORT, .. })
        ));
    }

    #[test]
    fn a_peer_that_does_not_read_cannot_block_the_writer() {
        let (mut a, b) = UnixStream::pair().unwrap();
        let full = vec![b'x'; MAX_FRAME_BYTES as usize];
        let found = write_frame(&mut a, &full, SHORT);
        assert!(matches!(found, Err(ControlError::Timeout { .. })), "{found:?}");
        drop(b);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 0..5)) {
            let (mut a, mut b) = UnixStream::pair().unwrap();
            for body in &bodies {
                write_frame(&mut a, body, LONG).unwrap();
            }
            drop(a);
            for body in &bodies {
                let found = read_frame(&mut b, LONG, LONG).unwrap();
                prop_assert_eq!(found.as_ref(), Some(body));
            }
            prop_assert!(read_frame(&mut b, LONG, LONG).unwrap().is_none());
        }
    }
}

//! The digest of content that is under way.
//!
//! Owns where the hashing happens: little is hashed where it passes, much on a thread of its own, so that receiving,
//! writing and hashing take place at the same time. Memory stays bounded by what may wait; buffers go round.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use eyas_artifact::{Digest, Hasher};

/// Bytes hashed in place before a thread pays off.
const IN_PLACE_BYTES: u64 = 1024 * 1024;
/// Bytes handed over at a time: what waits is bounded by this and [`WAITING_PIECES`], whatever comes in.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that may wait for the hashing thread.
const WAITING_PIECES: usize = 12;

/// A digest under way.
#[derive(Debug)]
pub struct Digesting {
    at: At,
    bytes: u64,
}

#[derive(Debug)]
enum At {
    Here(Hasher),
    Beside(Beside),
}

/// The hashing thread and the way to it.
#[derive(Debug)]
struct Beside {
    pieces: SyncSender<Vec<u8>>,
    used: Receiver<Vec<u8>>,
    thread: JoinHandle<Hasher>,
}

impl Digesting {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::after(Hasher::new())
    }

    /// Of what a hasher has seen already.
    pub fn after(hasher: Hasher) -> Self {
        Self { at: At::Here(hasher), bytes: 0 }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        match &mut self.at {
            At::Here(hasher) => {
                hasher.update(bytes);
                if self.bytes > IN_PLACE_BYTES
                    && let Ok(beside) = Beside::start(hasher.clone())
                {
                    self.at = At::Beside(beside);
                }
            }
            // The receiver is only gone when the thread has failed, which `finish` brings up.
            At::Beside(beside) => {
                for part in bytes.chunks(PIECE_BYTES) {
                    let mut piece = beside.used.try_recv().unwrap_or_default();
                    piece.clear();
                    piece.extend_from_slice(part);
                    drop(beside.pieces.send(piece));
                }
            }
        }
    }

    /// The digest of all bytes so far. More may follow.
    pub fn digest(&mut self) -> Digest {
        let hasher = match std::mem::replace(&mut self.at, At::Here(Hasher::new())) {
            At::Here(hasher) => hasher,
            At::Beside(beside) => beside.finish(),
        };
        let digest = hasher.clone().finish();
        self.at = At::Here(hasher);
        digest
    }
}

impl Default for Digesting {
    fn default() -> Self {
        Self::new()
    }
}

impl Beside {
    fn start(mut hasher: Hasher) -> io::Result<Self> {
        let (pieces, waiting) = sync_channel::<Vec<u8>>(WAITING_PIECES);
        // One more than can wait or be in work, so that giving back never blocks.
        let (back, used) = sync_channel(WAITING_PIECES + 2);
        let thread = thread::Builder::new().name("digest".into()).spawn(move || {
            for piece in waiting {
                hasher.update(&piece);
                // Nobody wants it any more at the end.
                drop(back.try_send(piece));
            }
            hasher
        })?;
        Ok(Self { pieces, used, thread })
    }

    fn finish(self) -> Hasher {
        drop(self.pieces);
        match self.thread.join() {
            Ok(hasher) => hasher,
            // A wrong digest would be worse than the end of the program.
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that differ from place to place.
    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31 % 251) as u8).collect()
    }

    #[test]
    fn in_place_and_beside_agree() {
        let edge = IN_PLACE_BYTES as usize;
        for length in [0, 1, edge - 1, edge, edge + 1, 5 * edge + 17] {
            let bytes = content(length);
            for piece in [1024, 128 * 1024] {
                let mut digesting = Digesting::new();
                bytes.chunks(piece).for_each(|chunk| digesting.update(chunk));
                assert_eq!(digesting.digest(), Digest::sha256(&bytes), "{length} in {piece}");
            }
        }
    }

    #[test]
    fn more_may_follow_a_digest() {
        let bytes = content(3 * IN_PLACE_BYTES as usize);
        let (first, rest) = bytes.split_at(2 * IN_PLACE_BYTES as usize);
        let mut digesting = Digesting::new();
        digesting.update(first);
        assert_eq!(digesting.digest(), Digest::sha256(first));
        digesting.update(rest);
        assert_eq!(digesting.digest(), Digest::sha256(&bytes));
    }

    #[test]
    fn one_that_is_dropped_leaves_no_thread_waiting() {
        let mut digesting = Digesting::new();
        digesting.update(&content(2 * IN_PLACE_BYTES as usize));
        digesting.update(b"more");
        let At::Beside(Beside { pieces, thread, .. }) = digesting.at else {
            panic!("hashed in place")
        };
        drop(pieces);
        thread.join().expect("the thread ends when nothing can come any more");
    }
}

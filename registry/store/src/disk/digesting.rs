//! The digest of a file that is being written.
//!
//! Owns where the hashing happens: small files are hashed where they are written, large ones on a thread of their
//! own, so that hashing and writing take place at the same time. Memory stays bounded by what may wait.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use eyas_artifact::{Digest, Hasher};

/// Bytes hashed in place before a thread pays off.
const IN_PLACE_BYTES: u64 = 1024 * 1024;
/// Pieces that may wait for the hashing thread; each is at most one write, 128 KiB.
const WAITING_PIECES: usize = 8;

/// A digest under way.
#[derive(Debug)]
pub(crate) struct Digesting {
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
    thread: JoinHandle<Hasher>,
}

impl Digesting {
    /// Of nothing yet.
    pub(crate) fn new() -> Self {
        Self { at: At::Here(Hasher::new()), bytes: 0 }
    }

    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
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
            At::Beside(beside) => drop(beside.pieces.send(bytes.to_vec())),
        }
    }

    /// The digest of all bytes so far. More may follow.
    pub(crate) fn digest(&mut self) -> Digest {
        let hasher = match std::mem::replace(&mut self.at, At::Here(Hasher::new())) {
            At::Here(hasher) => hasher,
            At::Beside(beside) => beside.finish(),
        };
        let digest = hasher.clone().finish();
        self.at = At::Here(hasher);
        digest
    }
}

impl Beside {
    fn start(mut hasher: Hasher) -> io::Result<Self> {
        let (pieces, waiting) = sync_channel::<Vec<u8>>(WAITING_PIECES);
        let thread = thread::Builder::new().name("digest".into()).spawn(move || {
            for piece in waiting {
                hasher.update(&piece);
            }
            hasher
        })?;
        Ok(Self { pieces, thread })
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
        let At::Beside(Beside { pieces, thread }) = digesting.at else { panic!("hashed in place") };
        drop(pieces);
        thread.join().expect("the thread ends when nothing can come any more");
    }
}

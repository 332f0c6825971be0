//! The transparency log: an append-only Merkle tree (RFC 6962) that speaks both generations' language.
//!
//! The first generation promises an entry with a time and proves it; the second only proves, and has witnesses who
//! sign its checkpoints too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyas_artifact::Digest;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::key::Key;

/// Generation of a log's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// Promises and proofs.
    First,
    /// Proofs and witnesses.
    Second,
}

/// A transparency log.
pub struct Log {
    /// Name in checkpoints.
    pub origin: String,
    /// Key that signs promises and checkpoints.
    pub key: Key,
    generation: Generation,
    witness: Key,
    leaves: Vec<[u8; 32]>,
    /// Kind and version of each document that was entered.
    pub kinds: Vec<String>,
}

impl Log {
    /// A log with some entries of others already in it, so that proofs have a path.
    pub fn new(origin: &str, generation: Generation) -> Self {
        let leaves = (0..5_u8).map(|number| leaf(&[number])).collect();
        let (key, witness) = (Key::generate(), Key::generate());
        Self { origin: origin.to_owned(), key, generation, witness, leaves, kinds: Vec::new() }
    }

    /// The same entries and name under another key, for whoever poses as the log.
    #[must_use]
    pub fn posed(&self) -> Self {
        Self {
            origin: self.origin.clone(),
            key: Key::generate(),
            generation: self.generation,
            witness: Key::generate(),
            leaves: self.leaves.clone(),
            kinds: Vec::new(),
        }
    }

    /// Enters a document; gives the entry as bundles carry it.
    pub fn enter(&mut self, body: &Value, at: Timestamp) -> Value {
        let bytes = body.to_string().into_bytes();
        self.leaves.push(leaf(&bytes));
        let said = |field: &str| body[field].as_str().unwrap_or_default();
        self.kinds.push(format!("{} {}", said("kind"), said("apiVersion")));
        // Another one after it, so that the path has both sides.
        let index = self.leaves.len() - 1;
        self.leaves.push(leaf(b"another"));
        let size = self.leaves.len();
        let root = root(&self.leaves);
        let path: Vec<String> =
            path(index, &self.leaves).iter().map(|hash| STANDARD.encode(hash)).collect();
        let mut entry = json!({
            "logIndex": index.to_string(),
            "logId": { "keyId": STANDARD.encode(self.key.id()) },
            "kindVersion": { "kind": body["kind"], "version": body["apiVersion"] },
            "inclusionProof": {
                "logIndex": index.to_string(),
                "rootHash": STANDARD.encode(root),
                "treeSize": size.to_string(),
                "hashes": path,
                "checkpoint": { "envelope": self.checkpoint(size, &root) },
            },
            "canonicalizedBody": STANDARD.encode(&bytes),
        });
        if self.generation == Generation::First {
            let seconds = at.as_second();
            entry["integratedTime"] = seconds.to_string().into();
            let promise = STANDARD.encode(self.promise(&bytes, index, seconds));
            entry["inclusionPromise"] = json!({ "signedEntryTimestamp": promise });
        }
        entry
    }

    /// A checkpoint over a tree, signed by the log, and by its witness where there is one.
    pub fn checkpoint(&self, size: usize, root: &[u8; 32]) -> String {
        let note = format!("{}\n{size}\n{}\n", self.origin, STANDARD.encode(root));
        let line = |name: &str, key: &Key| {
            let mut signed = key.id()[..4].to_vec();
            signed.extend(key.sign(note.as_bytes()));
            format!("\u{2014} {name} {}\n", STANDARD.encode(signed))
        };
        let mut envelope = format!("{note}\n{}", line(&self.origin, &self.key));
        if self.generation == Generation::Second {
            envelope += &line("witness.example", &self.witness);
        }
        envelope
    }

    /// The log's signature over an entry in canonical JSON.
    pub fn promise(&self, body: &[u8], index: usize, seconds: i64) -> Vec<u8> {
        let canonical = format!(
            r#"{{"body":"{}","integratedTime":{seconds},"logID":"{}","logIndex":{index}}}"#,
            STANDARD.encode(body),
            hex::encode(self.key.id()),
        );
        self.key.sign(canonical.as_bytes())
    }

    /// The newest checkpoint.
    pub fn newest(&self) -> String {
        self.checkpoint(self.leaves.len(), &root(&self.leaves))
    }
}

fn leaf(content: &[u8]) -> [u8; 32] {
    *Digest::sha256([&[0], content].concat()).as_bytes()
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    *Digest::sha256([&[1], &left[..], right].concat()).as_bytes()
}

/// Largest power of two below `count`, where the tree divides.
fn divide(count: usize) -> usize {
    (count - 1).checked_ilog2().map_or(1, |power| 1 << power)
}

fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    if let [only] = leaves {
        return *only;
    }
    let (left, right) = leaves.split_at(divide(leaves.len()));
    node(&root(left), &root(right))
}

fn path(index: usize, leaves: &[[u8; 32]]) -> Vec<[u8; 32]> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let at = divide(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut below, sibling) = if index < at {
        (path(index, left), root(right))
    } else {
        (path(index - at, right), root(left))
    };
    below.push(sibling);
    below
}

//! Threads as the events tell them, beside what the table of processes holds: kinship, descriptors,
//! and what is under way.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::open::Open;
use crate::ids::Seeded;

/// Most descriptors that are kept of all processes together.
pub(super) const MAX_DESCRIPTORS: usize = 1_000_000;
/// Children that are kept before those that are gone are looked for.
const CHILDREN_KEPT: usize = 64;

/// Descriptors of one process. Shared with whoever was forked until one of them changes.
pub(super) type OpenTable = HashMap<i64, Arc<Open>, Seeded>;

/// The enter half of a call that is under way.
#[derive(Debug, Default)]
pub(super) struct Enter {
    pub(super) code: u16,
    pub(super) params: Vec<Box<[u8]>>,
}

impl Enter {
    pub(super) fn param(&self, index: usize) -> &[u8] {
        self.params.get(index).map(|param| &**param).unwrap_or_default()
    }
}

/// A thread.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a mark of its own")]
pub(super) struct Thread {
    /// The process's id, which is the main thread's.
    pub(super) pid: u64,
    /// Thread that it descends from; 0 for none.
    pub(super) ptid: u64,
    pub(super) vtid: i64,
    pub(super) vpid: i64,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// When it was made, as far as that was seen.
    pub(super) cloned_ns: u64,
    pub(super) root: Box<[u8]>,
    pub(super) fds: OpenTable,
    /// Threads beside the main one, kept there.
    pub(super) members: HashSet<u64, Seeded>,
    pub(super) children: Vec<u64>,
    pub(super) enter: Option<Enter>,
    /// Takes over orphans of its offspring.
    pub(super) reaper: bool,
    pub(super) dead: bool,
    /// Only heard of, never described.
    pub(super) placeholder: bool,
    /// Made by its own event, before its parent's.
    pub(super) inverted: bool,
}

impl Thread {
    /// Notes a child; whether it is time to forget those that are gone.
    pub(super) fn add_child(&mut self, child: u64) -> bool {
        self.children.push(child);
        self.children.len() > CHILDREN_KEPT && self.children.len() == self.children.capacity()
    }
}

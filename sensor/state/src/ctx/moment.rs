//! What is around an event that cannot be judged at once: by the time it is, its process and those that started it
//! may be gone, run another program, or have given their ids to others.

use std::sync::Arc;

use eyas_abi::Event;

use super::Ctx;
use crate::process::Process;
use crate::tables::Tables;

/// The processes that an event is judged by, as they were. They are shared with the table for as long as nothing
/// about them changes.
#[derive(Debug, Clone)]
pub struct Moment {
    process: Arc<Process>,
    /// Its ancestors, then leaders of its groups that are none.
    around: Box<[Arc<Process>]>,
    ancestors: usize,
    number: u64,
    since_previous_ns: u64,
}

impl Moment {
    /// The process that the event happened in.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Bytes that only this keeps, as long as the table still has the processes.
    pub fn heap_bytes(&self) -> usize {
        size_of_val(&*self.around)
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn since_previous_ns(&self) -> u64 {
        self.since_previous_ns
    }

    pub(super) fn ancestors(&self) -> impl Iterator<Item = &Process> {
        self.around.iter().take(self.ancestors).map(|process| &**process)
    }

    pub(super) fn get(&self, pid: u32) -> Option<&Process> {
        let known = std::iter::once(&self.process).chain(&self.around);
        known.map(|process| &**process).find(|process| process.pid == pid)
    }
}

impl Ctx<'_> {
    /// What is needed to judge the event later; `None` for what happened in no process.
    pub fn moment(&self) -> Option<Moment> {
        let tables = self.tables;
        let process = Arc::clone(tables.shared(self.process?.pid)?);
        let mut around: Vec<_> = tables.line(&process).map(Arc::clone).collect();
        let ancestors = around.len();
        // Ids of leaders are those of the initial namespace only there.
        for leader in [process.sid, process.pgid, process.vpgid] {
            if process.is_host_numbered()
                && leader != process.pid
                && around.iter().all(|known| known.pid != leader)
                && let Some(leader) = tables.shared(leader)
            {
                around.push(Arc::clone(leader));
            }
        }
        let (number, since_previous_ns) = (self.number(), self.since_previous_ns());
        Some(Moment { process, around: around.into(), ancestors, number, since_previous_ns })
    }
}

impl Tables {
    /// An event that was applied some time ago, with what was around it then.
    pub fn again<'a>(&'a self, event: &'a Event<'a>, moment: &'a Moment) -> Ctx<'a> {
        let ctx = Ctx::around(self, event, Some(moment.process()));
        Ctx { moment: Some(moment), ..ctx }
    }
}

//! A table that somebody else keeps: replay rebuilds processes and threads from recorded events,
//! because there is no kernel to ask, and puts what it knows in here under thread ids.
//!
//! A table is kept either by [`Tables::apply`] or through this, never by both.

use std::sync::Arc;

use super::{Entry, Tables};
use crate::ctx::{Ctx, Given};
use crate::process::Process;
use eyas_abi::Event;

impl Tables {
    /// Puts a process or thread in under an id, replacing what was there, and makes room if need be.
    pub fn put(&mut self, id: u32, mut process: Process) {
        process.claim = self.claim(&process.cgroups);
        self.bytes += process.image.heap_bytes();
        let key = (id, process.start_ns);
        let entry = Entry { process: Arc::new(process), touched: true, children: 0 };
        match self.processes.insert(id, entry) {
            Some(old) => {
                self.bytes = self.bytes.saturating_sub(old.process.image.heap_bytes());
                if old.process.start_ns != key.1 {
                    self.clock.push_back(key);
                }
            }
            None => self.clock.push_back(key),
        }
        self.make_room(id);
        self.tidy_clock();
    }

    /// Every process, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Process> {
        self.processes.values().map(|entry| &*entry.process)
    }

    /// Changes what is known under an id.
    pub fn edit(&mut self, id: u32, change: impl FnOnce(&mut Process)) {
        let Some(entry) = self.processes.get_mut(&id) else { return };
        entry.touched = true;
        let before = entry.process.image.heap_bytes();
        let cgroups = Arc::clone(&entry.process.cgroups);
        change(Arc::make_mut(&mut entry.process));
        self.bytes = (self.bytes + entry.process.image.heap_bytes()).saturating_sub(before);
        if !Arc::ptr_eq(&cgroups, &entry.process.cgroups) {
            let cgroups = Arc::clone(&entry.process.cgroups);
            let claim = self.claim(&cgroups);
            if let Some(entry) = self.processes.get_mut(&id) {
                Arc::make_mut(&mut entry.process).claim = claim;
            }
        }
    }

    /// Takes out what is known under an id.
    pub fn forget(&mut self, id: u32) {
        if let Some(entry) = self.processes.remove(&id) {
            self.bytes = self.bytes.saturating_sub(entry.process.image.heap_bytes());
        }
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.processes.clear();
        self.clock.clear();
        self.bytes = 0;
    }

    /// Says which event is at hand: its number, its time and that of the first and the previous one
    /// on the boot clock.
    pub fn at_event(&mut self, number: u64, time_ns: u64, first_ns: u64, previous_ns: u64) {
        self.events = number;
        self.current_ns = time_ns;
        self.first_ns = first_ns;
        self.previous_ns = previous_ns;
    }

    /// The event with what is known under `id` and what replay knows about its descriptors.
    pub fn around<'a>(
        &'a self,
        event: &'a Event<'a>,
        id: Option<u32>,
        given: Given<'a>,
    ) -> Ctx<'a> {
        Ctx::given(self, event, id.and_then(|id| self.get(id)), given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Image, Parent};
    use crate::tables::{Counts, Limits};

    fn thread(pid: u32, parent: u32, comm: &[u8]) -> Process {
        let mut process = Process::placeholder(pid, 0);
        process.parent = Some(Parent { pid: parent, start_ns: 0 });
        process.image = Arc::new(Image::new(comm, comm, b""));
        process.placeholder = false;
        process
    }

    #[test]
    fn threads_stand_beside_their_process_and_are_counted_once() {
        let mut tables = Tables::new(Limits::default(), Arc::default());
        tables.put(1, thread(1, 0, b"init"));
        tables.put(10, thread(10, 1, b"main"));
        tables.put(11, thread(10, 1, b"worker"));
        tables.put(20, thread(20, 11, b"child"));
        let child = tables.get(20).unwrap();
        let names: Vec<&[u8]> = tables.ancestors(child).map(|p| p.image.comm.as_bytes()).collect();
        assert_eq!(names, [&b"worker"[..], b"init"]);
        let bytes = tables.counts().bytes;
        tables.edit(20, |process| process.image = Arc::new(Image::new(b"much-longer", b"x", b"")));
        assert!(tables.counts().bytes > bytes);
        for id in [1, 10, 11, 20] {
            tables.forget(id);
        }
        assert_eq!(tables.counts(), Counts::default());
    }

    #[test]
    fn a_full_table_lets_the_oldest_go() {
        let limits = Limits { processes: 2, bytes: usize::MAX };
        let mut tables = Tables::new(limits, Arc::default());
        for id in 1..=5 {
            tables.put(id, thread(id, 0, b"x"));
        }
        assert_eq!((tables.counts().processes, tables.counts().evicted), (2, 3));
        assert!(tables.get(5).is_some());
    }
}

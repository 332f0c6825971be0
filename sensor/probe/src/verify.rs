//! Has the kernel verify the programs, which is most of what a start takes: on as many threads as there are CPUs,
//! for the kernel does not make one wait for another.
//!
//! Which programs there are and what becomes of a refusal is said by [`crate::hooks`] and [`crate::load`].

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

use aya::Ebpf;
use aya::programs::Program;

use crate::error::ProbeError;

/// More threads than this gain nothing: the largest programs take as long.
const THREADS: usize = 4;

/// One thing to do with one program or more.
pub(crate) type Task<'t, T> = Box<dyn FnOnce() -> T + Send + 't>;

/// The programs of an object, each to be taken once.
pub(crate) struct Programs<'p>(HashMap<String, &'p mut Program>);

impl<'p> Programs<'p> {
    pub(crate) fn of(bpf: &'p mut Ebpf) -> Self {
        Self(bpf.programs_mut().map(|(name, program)| (name.to_owned(), program)).collect())
    }

    /// The program with this name, as the kind that it has to be.
    pub(crate) fn take<P>(&mut self, name: &str) -> Result<&'p mut P, ProbeError>
    where
        &'p mut P: TryFrom<&'p mut Program>,
    {
        let missing = || ProbeError::NoProgram(name.to_owned());
        self.0.remove(name).ok_or_else(missing)?.try_into().map_err(|_| missing())
    }
}

/// Does all of them, side by side; the results are in the order of the tasks.
pub(crate) fn side_by_side<T: Send>(tasks: Vec<Task<'_, T>>) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    let mut results: Vec<Option<T>> = tasks.iter().map(|_| None).collect();
    let queue = Mutex::new(tasks.into_iter().zip(&mut results));
    let work = || {
        loop {
            // Not in the `let else`: the lock would be held while the task runs.
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((task, result)) = next else { return };
            *result = Some(task());
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // Without another thread this one does it all.
            let _ = thread::Builder::new().name("verify".into()).spawn_scoped(scope, work);
        }
        work();
    });
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_tasks() {
        let tasks = (0..100).map(|number| -> Task<'_, u32> { Box::new(move || number) });
        assert_eq!(side_by_side(tasks.collect()), (0..100).collect::<Vec<_>>());
        assert!(side_by_side::<u32>(vec![]).is_empty());
    }
}

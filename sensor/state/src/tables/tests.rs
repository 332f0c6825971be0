//! Bounds, eviction, ancestors, reused ids.

use proptest::prelude::*;

use super::*;
use crate::process::Image;

fn tables(processes: usize, bytes: usize) -> Tables {
    Tables::new(Limits { processes, bytes }, Arc::new(Host::default()))
}

fn process(pid: u32, start_ns: u64, parent: Option<(u32, u64)>) -> Process {
    Process {
        parent: parent.map(|(pid, start_ns)| Parent { pid, start_ns }),
        image: Arc::new(Image::new(format!("p{pid}").as_bytes(), b"", b"")),
        placeholder: false,
        ..Process::placeholder(pid, start_ns)
    }
}

fn names(tables: &Tables, pid: u32) -> Vec<u32> {
    tables.ancestors(tables.get(pid).unwrap()).map(|p| p.pid).collect()
}

#[test]
fn the_number_limit_holds_at_its_edge_and_evictions_are_counted() {
    let mut tables = tables(3, 1 << 20);
    for pid in 1..=3 {
        tables.insert(process(pid, u64::from(pid) << 30, None));
    }
    assert_eq!((tables.counts().processes, tables.counts().evicted), (3, 0));
    tables.insert(process(4, 4 << 30, None));
    assert_eq!((tables.counts().processes, tables.counts().evicted), (3, 1));
    assert!(tables.get(4).is_some());
}

#[test]
fn the_byte_limit_holds_at_its_edge() {
    let with_environment = |pid: u32, bytes: usize| {
        let mut image = Image::default();
        image.environment = vec![b'x'; bytes].into();
        Process { image: Arc::new(image), ..process(pid, u64::from(pid) << 30, None) }
    };
    let mut tables = tables(100, 100);
    tables.insert(with_environment(1, 60));
    tables.insert(with_environment(2, 40));
    assert_eq!(tables.counts().bytes, 100);
    tables.insert(with_environment(3, 1));
    assert!(tables.counts().bytes <= 100);
    assert_eq!(tables.counts().evicted, 1);
    // One process alone is kept whatever its size.
    tables.insert(with_environment(4, 1000));
    assert!(tables.get(4).is_some());
    assert_eq!(tables.counts().processes, 1);
}

#[test]
fn a_process_heard_of_lately_outlives_the_others() {
    let mut tables = tables(3, 1 << 20);
    for pid in 1..=3 {
        tables.insert(process(pid, u64::from(pid) << 30, None));
    }
    // The first one that has to go clears all marks; from then on being heard of counts.
    tables.insert(process(4, 4 << 30, None));
    let survivor = (2..=3).find(|pid| tables.get(*pid).is_some()).unwrap();
    for pid in 5..20 {
        let start = tables.get(survivor).unwrap().start_ns;
        tables.touch(survivor, start);
        tables.insert(process(pid, u64::from(pid) << 30, None));
    }
    assert!(tables.get(survivor).is_some());
    assert_eq!(tables.counts().evicted, 16);
}

#[test]
fn an_unknown_process_is_wanted_once() {
    let mut tables = tables(10, 1 << 20);
    tables.touch(7, 5 << 30);
    tables.touch(7, 5 << 30);
    tables.touch(0, 0);
    assert!(tables.get(7).unwrap().placeholder);
    assert_eq!(tables.take_wanted(), [7]);
    assert_eq!(tables.take_wanted(), Vec::<u32>::new());
    assert_eq!(tables.counts().unknown, 1);
}

#[test]
fn the_list_of_wanted_processes_is_bounded() {
    let mut tables = tables(10_000, 1 << 20);
    for pid in 1..=MAX_WANTED as u32 + 10 {
        tables.touch(pid, 0);
    }
    assert_eq!(tables.take_wanted().len(), MAX_WANTED);
}

#[test]
fn a_reused_id_is_another_process() {
    let mut tables = tables(10, 1 << 20);
    tables.insert(process(1, 1 << 30, None));
    tables.insert(process(7, 5 << 30, Some((1, 1 << 30))));
    tables.insert(process(8, 6 << 30, Some((7, 5 << 30))));
    assert_eq!(names(&tables, 8), [7, 1]);
    tables.touch(7, 9 << 30);
    assert!(tables.get(7).unwrap().placeholder);
    assert_eq!(names(&tables, 8), Vec::<u32>::new());
}

#[test]
fn a_rounded_start_time_is_still_the_same_process() {
    let mut tables = tables(10, 1 << 20);
    tables.insert(process(7, 1_000_000_000, None));
    tables.touch(7, 1_000_000_000 + START_TOLERANCE_NS - 1);
    assert!(!tables.get(7).unwrap().placeholder);
    tables.touch(7, 1_000_000_000 + START_TOLERANCE_NS);
    assert!(tables.get(7).unwrap().placeholder);
}

#[test]
fn children_of_a_parent_that_left_belong_to_whoever_took_them_over() {
    let mut tables = tables(10, 1 << 20);
    tables.insert(process(1, 1, None));
    tables.insert(process(5, 5 << 30, Some((1, 1))));
    tables.insert(process(6, 6 << 30, Some((5, 5 << 30))));
    tables.insert(process(7, 7 << 30, Some((6, 6 << 30))));
    let reaper = Parent { pid: 1, start_ns: 1 };
    tables.remove(6, Some(reaper));
    assert_eq!(names(&tables, 7), [1]);
    // A process without children leaves nothing behind.
    tables.remove(7, Some(reaper));
    tables.remove(5, Some(reaper));
    assert_eq!(tables.departed.len(), 1);
}

#[test]
fn the_memory_of_departed_parents_is_bounded() {
    let mut tables = tables(100_000, 1 << 30);
    tables.insert(process(1, 1, None));
    for n in 0..MAX_DEPARTED as u32 + 10 {
        let (parent, child) = (10 + 2 * n, 11 + 2 * n);
        tables.insert(process(parent, u64::from(parent) << 30, Some((1, 1))));
        tables.insert(process(
            child,
            u64::from(child) << 30,
            Some((parent, u64::from(parent) << 30)),
        ));
        tables.remove(parent, Some(Parent { pid: 1, start_ns: 1 }));
    }
    assert_eq!(tables.departed.len(), MAX_DEPARTED);
    assert_eq!(tables.departed_order.len(), MAX_DEPARTED);
}

#[test]
fn loops_and_endless_lines_of_ancestors_end() {
    let mut tables = tables(4000, 1 << 20);
    tables.insert(process(1, 1 << 30, Some((3, 3 << 30))));
    tables.insert(process(2, 2 << 30, Some((1, 1 << 30))));
    tables.insert(process(3, 3 << 30, Some((2, 2 << 30))));
    assert_eq!(names(&tables, 3), [2, 1]);
    tables.insert(process(4, 4 << 30, Some((4, 4 << 30))));
    assert_eq!(names(&tables, 4), Vec::<u32>::new());
    for pid in 100..2000_u32 {
        tables.insert(process(
            pid,
            u64::from(pid) << 30,
            Some((pid - 1, u64::from(pid - 1) << 30)),
        ));
    }
    assert_eq!(names(&tables, 1999).len(), MAX_ANCESTORS);
}

#[derive(Debug, Clone)]
enum Step {
    Insert { pid: u32, start: u64, parent: u32 },
    Touch { pid: u32, start: u64 },
    Remove { pid: u32, reaper: bool },
}

fn any_step() -> impl Strategy<Value = Step> {
    let pid = 1_u32..30;
    let start = (0_u64..4).prop_map(|n| n << 30);
    prop_oneof![
        (pid.clone(), start.clone(), pid.clone()).prop_map(|(pid, start, parent)| Step::Insert {
            pid,
            start,
            parent
        }),
        (pid.clone(), start).prop_map(|(pid, start)| Step::Touch { pid, start }),
        (pid, any::<bool>()).prop_map(|(pid, reaper)| Step::Remove { pid, reaper }),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_books_balance(steps in prop::collection::vec(any_step(), 0..200)) {
        let mut tables = tables(12, 200);
        for step in steps {
            match step {
                Step::Insert { pid, start, parent } => {
                    tables.insert(process(pid, start, Some((parent, 0))));
                }
                Step::Touch { pid, start } => tables.touch(pid, start),
                Step::Remove { pid, reaper } => {
                    tables.remove(pid, reaper.then_some(Parent { pid: 1, start_ns: 0 }));
                }
            }
            let bytes: usize = tables.processes.values().map(|e| e.process.image.heap_bytes()).sum();
            prop_assert_eq!(tables.bytes, bytes);
            prop_assert!(tables.processes.len() <= 12);
            for (pid, entry) in &tables.processes {
                prop_assert_eq!(*pid, entry.process.pid);
                prop_assert!(tables.ancestors(&entry.process).count() <= MAX_ANCESTORS);
            }
        }
    }
}

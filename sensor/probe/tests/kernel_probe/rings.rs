//! Order, sequence numbers, losses and live selection.

use std::collections::BTreeMap;
use std::fs::File;
use std::time::{Duration, Instant};

use eyas_probe::{Counter, Options, POLL_DEFAULT};

use crate::live::{Record, own_calls, start};

fn is_own_open(record: &Record) -> bool {
    record.name == "openat"
        && record.header.tgid == std::process::id()
        && record.text("name").as_deref() == Some("/dev/null")
}

fn open_null(times: usize) {
    for _ in 0..times {
        File::open("/dev/null").unwrap();
    }
}

#[test]
fn each_cpu_counts_its_records_without_a_gap_and_time_goes_forward() {
    let Some(mut live) = start(&["openat"], &own_calls()) else { return };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| open_null(500));
        }
    });
    live.read_all();
    assert_eq!(live.counters().dropped(), 0);
    let me = std::process::id();
    let mine = live.seen.iter().filter(|r| r.name == "openat" && r.header.tgid == me).count();
    assert!(mine >= 2000, "{mine}");
    let mut next: BTreeMap<u16, u64> = BTreeMap::new();
    let mut last = 0;
    for record in &live.seen {
        assert!(record.header.time >= last, "older than the one before");
        last = record.header.time;
        let expected = next.entry(record.header.cpu).or_insert(record.header.sequence);
        assert_eq!(record.header.sequence, *expected, "CPU {}", record.header.cpu);
        *expected += 1;
    }
}

#[test]
fn what_does_not_fit_is_counted_and_leaves_a_gap() {
    let page = rustix::param::page_size() as u32;
    let options = Options { ring_events: page, ..own_calls() };
    let Some(mut live) = start(&["openat"], &options) else { return };
    // nobody reads meanwhile
    open_null(2000);
    let dropped = live.counters().get(Counter::DroppedEvents);
    assert!(dropped > 0);
    live.read_all();
    // one more round, so that each CPU that lost something shows a record behind the gap
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| open_null(2));
        }
    });
    live.read_all();
    let mut cpus: BTreeMap<u16, (u64, u64, u64)> = BTreeMap::new();
    for record in &live.seen {
        let sequence = record.header.sequence;
        let entry = cpus.entry(record.header.cpu).or_insert((sequence, sequence, 0));
        *entry = (entry.0.min(sequence), entry.1.max(sequence), entry.2 + 1);
    }
    let missing: u64 = cpus.values().map(|(first, last, seen)| last - first + 1 - seen).sum();
    let dropped = live.counters().get(Counter::DroppedEvents);
    assert!(missing > 0 && missing <= dropped, "{missing} missing, {dropped} dropped");
}

#[test]
fn process_life_is_not_crowded_out_by_events() {
    let page = rustix::param::page_size() as u32;
    let options = Options { ring_events: page, ..own_calls() };
    let Some(mut live) = start(&["openat"], &options) else { return };
    open_null(2000);
    assert!(live.counters().get(Counter::DroppedEvents) > 0);
    let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    live.wait_for("exec", |r| r.name == "execve" && r.header.tgid == pid);
    live.wait_for("exit", |r| r.name == "procexit" && r.header.tgid == pid);
    assert_eq!(live.counters().get(Counter::DroppedLifecycle), 0);
}

#[test]
fn selection_changes_while_running() {
    let Some(mut live) = start(&[], &own_calls()) else { return };
    let me = std::process::id();
    let count = |live: &mut crate::live::Live, path: &str| {
        let _ = File::open(path);
        live.read_all();
        live.seen
            .iter()
            .filter(|r| r.name == "openat" && r.header.tgid == me)
            .filter(|r| r.text("name").as_deref() == Some(path))
            .count()
    };
    assert_eq!(count(&mut live, "/nonexistent/before"), 0);
    live.probe.set_enabled(["openat"]).unwrap();
    assert_eq!(count(&mut live, "/nonexistent/during"), 1);
    let generation = live.seen.iter().rfind(|r| r.name == "openat").unwrap().header.generation;
    assert_eq!(generation, live.probe.generation());
    live.probe.set_enabled(["connect"]).unwrap();
    assert_eq!(count(&mut live, "/nonexistent/after"), 0);
    assert!(live.probe.set_enabled(["no_such_call"]).is_err());
}

#[test]
fn the_ignored_process_is_not_reported_but_its_children_are() {
    let Some(mut live) = start(&["openat"], &Options::default()) else { return };
    open_null(3);
    let child = std::process::Command::new("cat").arg("/dev/null").spawn().unwrap();
    let pid = child.id();
    live.wait_for("the child's open", |r| r.name == "openat" && r.header.tgid == pid);
    let me = std::process::id();
    assert!(!live.seen.iter().any(|r| r.name == "openat" && r.header.tgid == me));
    child.wait_with_output().unwrap();
}

#[test]
fn what_is_turned_away_is_counted_by_the_reason() {
    let Some(live) = start(&["openat"], &Options::default()) else { return };
    let before = live.counters();
    for _ in 0..1000 {
        let _ = rustix::process::getppid();
    }
    let between = live.counters();
    let more = |counter| between.get(counter) - before.get(counter);
    // Others on this host are turned away at the same time.
    assert!(more(Counter::FilteredCalls) >= 1000, "{}", more(Counter::FilteredCalls));
    open_null(1000);
    let after = live.counters();
    let opens = after.get(Counter::FilteredProcess) - between.get(Counter::FilteredProcess);
    // No other process is ignored, and threads of other tests open a few files.
    assert!((1000..2000).contains(&opens), "{opens}");
    assert!(after.filtered() >= before.filtered() + 2000);
    assert_eq!(after.dropped(), 0);
}

#[test]
fn records_that_cross_the_end_of_a_ring_are_whole() {
    let options = Options { ring_events: 128 << 10, ..own_calls() };
    let Some(mut live) = start(&["openat"], &options) else { return };
    let me = std::process::id();
    let mut paths = Vec::new();
    for round in 0..400 {
        // Lengths that leave the records' places different in each round.
        for number in 0..10 {
            let path = format!("/crossing/{round}/{}", "x".repeat((round * 7 + number) % 90));
            let _ = File::open(&path);
            paths.push(path);
        }
        live.read_all();
    }
    let dropped = live.counters().dropped() as usize;
    let mine = live.seen.iter().filter(|r| r.name == "openat" && r.header.tgid == me);
    let seen: Vec<String> = mine.filter_map(|r| r.text("name")).collect();
    let seen: Vec<&String> = seen.iter().filter(|p| p.starts_with("/crossing/")).collect();
    assert!(seen.len() + dropped >= paths.len(), "{} of {}, {dropped}", seen.len(), paths.len());
    let mut rest = paths.iter();
    for path in seen {
        assert!(rest.any(|opened| opened == path), "out of order, or never opened: {path}");
    }
}

#[test]
fn what_is_urgent_ends_the_wait() {
    const LIMIT: Duration = Duration::from_mins(1);
    let Some(mut live) = start(&["openat"], &own_calls()) else { return };
    live.probe.set_urgent(eyas_abi::schema::by_name("openat").map(|event| event.code)).unwrap();
    live.read_all();
    let start = Instant::now();
    let mut opened = false;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            open_null(1);
        });
        // An exec anywhere on this machine ends a wait too.
        while !opened && start.elapsed() < LIMIT {
            let mut look = |bytes: &[u8]| opened |= is_own_open(&Record::new(bytes));
            live.rings.poll(LIMIT, &mut look).unwrap();
        }
    });
    assert!(opened && start.elapsed() < LIMIT, "nothing woke the reader");
}

#[test]
fn what_comes_after_a_quiet_time_ends_the_wait() {
    const LIMIT: Duration = Duration::from_mins(1);
    let Some(mut live) = start(&["openat"], &own_calls()) else { return };
    live.read_all();
    let start = Instant::now();
    let mut opened = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..3 {
                std::thread::sleep(Duration::from_millis(100));
                open_null(1);
            }
        });
        while opened < 3 && start.elapsed() < LIMIT {
            let mut look = |bytes: &[u8]| opened += usize::from(is_own_open(&Record::new(bytes)));
            live.rings.poll(LIMIT, &mut look).unwrap();
        }
    });
    assert!(opened == 3 && start.elapsed() < LIMIT, "{opened} of 3 woke the reader");
}

#[test]
fn waiting_ends_without_a_wake_up() {
    let Some(mut live) = start(&["openat"], &own_calls()) else { return };
    open_null(1);
    let mut records = 0;
    for _ in 0..100 {
        records += live.rings.poll(POLL_DEFAULT, &mut |_| {}).unwrap().records;
        if records > 0 {
            return;
        }
    }
    panic!("nothing arrived");
}

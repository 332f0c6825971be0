//! Several processes at once, and readers that look all the time.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use eyas_tests::{Registry, run};

use crate::host::{Host, publish};

/// Rounds of two writers.
const ROUNDS: usize = 6;

#[test]
fn two_writers_take_turns_and_a_reader_never_sees_a_part() {
    let registry = Registry::embedded();
    let publisher = publish(&registry);
    let host = Host::new(&registry, &publisher, true);
    run(&mut host.install("1.0.0")).expect_code(0);
    let old = host.seen();
    run(&mut host.install("2.0.0")).expect_code(0);
    let new = host.seen();
    let done = AtomicBool::new(false);
    let read = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut read = 0_usize;
            while !done.load(Ordering::Relaxed) {
                for (name, old, new) in [
                    (
                        "flat/rules/a.yaml",
                        &old.rules["a.yaml".as_ref() as &std::path::Path],
                        &new.rules["a.yaml".as_ref() as &std::path::Path],
                    ),
                    (
                        "flat/assets/a.bin",
                        &old.assets["a.bin".as_ref() as &std::path::Path],
                        &new.assets["a.bin".as_ref() as &std::path::Path],
                    ),
                ] {
                    let now = fs::read(host.site.path(name)).expect("it is always there");
                    assert!(now == *old || now == *new, "`{name}` has {} bytes", now.len());
                    read += 1;
                }
            }
            read
        });
        for _ in 0..ROUNDS {
            thread::scope(|round| {
                let writers = ["1.0.0", "2.0.0"].map(|version| {
                    let host = &host;
                    round.spawn(move || {
                        let mut command = host.install(version);
                        run(command.arg("--allow-downgrade"))
                    })
                });
                for writer in writers {
                    writer.join().expect("a writer").expect_code(0);
                }
            });
            let seen = host.seen();
            assert!(seen == old || seen == new, "a mix of both: {seen:?}");
            assert!(host.litter().is_empty(), "{:?}", host.litter());
        }
        done.store(true, Ordering::Relaxed);
        reader.join().expect("the reader")
    });
    assert!(read > ROUNDS, "the reader looked {read} times");
}

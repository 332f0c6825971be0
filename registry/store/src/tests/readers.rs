//! A reader beside a busy writer.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Both files of a generation have the same text, so a mix of two generations shows.
fn pair(text: &str) -> [Sample; 2] {
    [Sample::rules("a", "1.0.0", text), Sample::rules("b", "1.0.0", text)]
}

#[test]
fn a_reader_never_sees_a_mix() {
    const ROUNDS: u32 = 60;
    let (_directory, store) = scratch();
    install(&store, &pair("0")).unwrap();
    let done = AtomicBool::new(false);
    let reads = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0_u32;
            while !done.load(Ordering::Relaxed) {
                let active = store.current().unwrap().unwrap();
                let root = store.generation_dir(active.number);
                let text = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
                assert_eq!(text("rules/a/rules.yaml"), text("rules/b/rules.yaml"));
                // The link itself always leads somewhere whole.
                let direct = std::fs::canonicalize(store.current_link()).unwrap();
                assert!(direct.join("lock.json").exists(), "{}", direct.display());
                reads += 1;
            }
            reads
        });
        for round in 1..=ROUNDS {
            let locked = store.lock().unwrap();
            let set = validated(&locked, &pair(&round.to_string())).unwrap();
            locked.activate(set).unwrap();
            if round % 7 == 0 {
                locked.rollback(None).unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(reads > 0);
}

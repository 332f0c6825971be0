//! One writer, and readers that need nothing.

use std::time::Duration;

use super::*;

#[test]
fn a_second_writer_is_told_who_holds_the_lock() {
    let (_directory, store) = scratch();
    let held = store.lock().unwrap();
    let error = store.lock().unwrap_err();
    let StoreError::Locked { pid, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*pid, Some(std::process::id()));
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    assert!(store.lock_within(Duration::from_millis(30)).is_err());
    // A clone keeps it.
    let clone = held.clone();
    drop(held);
    assert!(store.lock().is_err());
    drop(clone);
    assert!(store.lock().is_ok());
}

#[test]
fn waiting_ends_when_the_other_is_done() {
    let (_directory, store) = scratch();
    let held = store.lock().unwrap();
    let other = std::thread::spawn({
        let store = store.clone();
        move || store.lock_within(Duration::from_mins(1)).map(drop)
    });
    drop(held);
    other.join().unwrap().unwrap();
}

#[test]
fn writers_in_turn_do_not_lose_each_others_work() {
    let (_directory, store) = scratch();
    let names = ["a", "b", "c", "d"];
    std::thread::scope(|scope| {
        for name in names {
            let store = &store;
            scope.spawn(move || {
                let locked = store.lock_within(Duration::from_mins(1)).unwrap();
                let set = validated(&locked, &[Sample::rules(name, "1.0.0", name)]).unwrap();
                locked.activate(set).unwrap();
            });
        }
    });
    let current = store.current().unwrap().unwrap();
    assert_eq!(current.number, 4);
    let found: Vec<&str> = current.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(found, names);
}

#[test]
fn opening_writes_nothing() {
    let (directory, store) = scratch();
    assert_eq!(store.current().unwrap(), None);
    assert_eq!(store.generations().unwrap(), []);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(Store::open(&file), Err(StoreError::Io { .. })));
}

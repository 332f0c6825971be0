//! A full disk, a read-only target and a failing one, at every single change.

use eyas_artifact::Hasher;

use super::*;
use crate::disk::{Fault, arm, disarm, points_passed};

const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EACCES: i32 = 13;
const EIO: i32 = 5;

fn old() -> [Sample; 2] {
    [Sample::rules("a", "1.0.0", "old"), Sample::rules("b", "1.0.0", "b")]
}

fn new() -> [Sample; 1] {
    [Sample {
        files: vec![("rules.yaml", b"new".to_vec()), ("x/y", b"y".to_vec())],
        ..Sample::rules("a", "2.0.0", "")
    }]
}

fn sweep(number: i32, expected: fn(&StoreError) -> bool) {
    let mut failed = 0;
    for at in 1.. {
        let (_directory, store) = scratch();
        install(&store, &old()).unwrap();
        let before = visible(&store);
        arm(Fault::Errno(number), at);
        let result = install(&store, &new());
        let passed = points_passed();
        disarm();
        let after = visible(&store);
        match result {
            Err(error) => {
                failed += 1;
                assert!(expected(&error), "at {at}: {error:?}");
                assert_eq!(after, before, "at {at}: {error}");
            }
            // Only what comes after the switch may fail without failing the activation.
            Ok(generation) => {
                assert_eq!(generation.number, 2, "at {at}");
                assert_eq!(after.len(), 3, "at {at}");
            }
        }
        // The next run works, and leaves nothing behind.
        install(&store, &new()).unwrap();
        assert_eq!(litter(&store), [""; 0], "at {at}");
        assert_eq!(visible(&store).len(), 3, "at {at}");
        if passed < at {
            break;
        }
    }
    assert!(failed > 30, "only {failed} changes failed");
}

#[test]
fn a_full_disk_changes_nothing() {
    sweep(ENOSPC, |error| matches!(error, StoreError::Full { .. }) && error.hint().is_some());
}

#[test]
fn a_read_only_target_changes_nothing() {
    sweep(EROFS, |error| matches!(error, StoreError::ReadOnly { .. }) && error.hint().is_some());
}

#[test]
fn a_forbidden_target_changes_nothing() {
    sweep(EACCES, |error| matches!(error, StoreError::Denied { .. }) && error.hint().is_some());
}

#[test]
fn a_failing_disk_changes_nothing() {
    sweep(EIO, |error| matches!(error, StoreError::Io { .. }));
}

#[test]
fn messages_name_the_path_and_what_was_done() {
    let (_directory, store) = scratch();
    arm(Fault::Errno(EROFS), 1);
    let error = store.lock().unwrap_err();
    disarm();
    let text = error.to_string();
    assert!(
        text.starts_with("cannot create `") && text.ends_with("the file system is read-only"),
        "{text}"
    );
}

#[test]
fn too_little_space_is_known_before_the_transfer() {
    let (_directory, store) = scratch();
    let locked = store.lock().unwrap();
    let error = locked.receive(Digest::sha256(b"x"), u64::MAX / 2, &mut Hasher::new()).unwrap_err();
    assert!(matches!(error, StoreError::TooLittleSpace { .. }), "{error:?}");
    assert_eq!(litter(&store), [""; 0]);
}

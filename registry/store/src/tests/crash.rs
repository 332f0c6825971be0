//! SIGKILL at every single change of an install, an upgrade, a rollback, a repair and a collection.
//!
//! The test executable runs itself with the number of the change in its environment. Afterwards the
//! old or the new generation is active, whole, and the next writer cleans up.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::disk::{Fault, arm};
use crate::{FlatDirectory, FlatPlan, Foreign};

const DIRECTORY: &str = "EYAS_TEST_CRASH_STORE";
const SCENE: &str = "EYAS_TEST_CRASH_SCENE";
const AT: &str = "EYAS_TEST_CRASH_AT";
const SIGKILL: i32 = 9;

const SCENES: [&str; 6] = ["install", "upgrade", "remove", "rollback", "repair", "gc"];

fn first() -> [Sample; 2] {
    [Sample::rules("a", "1.0.0", "old"), Sample::rules("b", "1.0.0", "b")]
}

fn second() -> [Sample; 1] {
    let files = vec![("rules.yaml", b"new".to_vec()), ("x/y.yaml", b"y".to_vec())];
    [Sample { files, ..Sample::rules("a", "2.0.0", "") }]
}

/// What is there before the process that is killed.
fn prepare(scene: &str, store: &Store) {
    if scene == "install" {
        return;
    }
    install(store, &first()).unwrap();
    if matches!(scene, "rollback" | "gc") {
        install(store, &second()).unwrap();
        install(store, &[Sample::rules("c", "1.0.0", "c")]).unwrap();
    }
    if scene == "repair" {
        std::fs::write(store.current_link().join("rules/a/rules.yaml"), "bad").unwrap();
    }
}

fn act(scene: &str, store: &Store) -> Result<(), StoreError> {
    match scene {
        "install" => install(store, &first()).map(drop),
        "upgrade" => install(store, &second()).map(drop),
        "remove" => {
            let locked = store.lock()?;
            let removed = [(Kind::Rulesfile, "a".to_owned())];
            let composed = locked.compose(Vec::new(), &removed)?;
            locked.activate(composed.validate(&accept)?).map(drop)
        }
        "rollback" => store.lock()?.rollback(Some(1)).map(drop),
        "repair" => store.lock()?.repair().map(drop),
        "gc" => store.lock()?.gc(0).map(drop),
        "flat" => flat(store, 2),
        other => unreachable!("{other}"),
    }
}

/// The plain directory beside a store.
fn plain(store: &Store) -> PathBuf {
    store.directory().with_file_name("flat")
}

fn flat(store: &Store, number: u64) -> Result<(), StoreError> {
    let generation = store.generation(number)?;
    let plan = FlatPlan {
        generation: &generation,
        files: &store.generation_dir(number),
        fresh: &[],
        foreign: Foreign::Refuse,
        installed_before: &std::collections::BTreeSet::new(),
    };
    FlatDirectory::open(&plain(store), store)?
        .prepare(&[Kind::Rulesfile], &plan)?
        .commit()
        .map(drop)
}

/// Files of the plain directory with their content, but for ours.
fn plain_content(store: &Store) -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(&plain(store), &plain(store), &mut files);
    files.retain(|(name, _)| !name.starts_with(".eyas/"));
    files.sort();
    files
}

#[test]
fn a_plain_directory_killed_at_every_change_is_finished_or_undone() {
    let files = |text: &str, names: [&'static str; 2]| Sample {
        files: names.map(|name| (name, text.as_bytes().to_vec())).to_vec(),
        ..Sample::rules("a", "1.0.0", "")
    };
    let whole = |text: &str, names: [&str; 2]| names.map(|name| (name.to_owned(), text.to_owned()));
    let (first, second) = (["a.yaml", "gone/b.yaml"], ["a.yaml", "more/c.yaml"]);
    let (old, new) = (whole("old", first), whole("new", second));
    for at in 1.. {
        let (_directory, store) = scratch();
        install(&store, &[files("old", first)]).unwrap();
        flat(&store, 1).unwrap();
        install(&store, &[files("new", second)]).unwrap();
        let was_killed = killed("flat", &store, at);
        for file in plain_content(&store) {
            assert!(old.contains(&file) || new.contains(&file), "at {at}: {file:?}");
        }
        drop(FlatDirectory::open(&plain(&store), &store).unwrap());
        let settled = plain_content(&store);
        assert!(settled == old || settled == new, "at {at}: {settled:?}");
        flat(&store, 2).unwrap();
        assert_eq!(plain_content(&store), new, "at {at}");
        if !was_killed {
            assert!(at > 20, "only {at} changes");
            return;
        }
    }
}

/// Not a test of its own: what the killed process runs.
#[test]
fn child() {
    let (Some(directory), Ok(scene), Ok(at)) =
        (std::env::var_os(DIRECTORY), std::env::var(SCENE), std::env::var(AT))
    else {
        return;
    };
    let store = Store::open(directory).unwrap();
    arm(Fault::Kill, at.parse().unwrap());
    act(&scene, &store).unwrap();
}

/// Runs the scene in a process that is killed at a change; whether it was.
fn killed(scene: &str, store: &Store, at: u64) -> bool {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::crash::child", "--test-threads=1"])
        .env(DIRECTORY, store.directory())
        .env(SCENE, scene)
        .env(AT, at.to_string())
        .output()
        .unwrap();
    if output.status.signal() == Some(SIGKILL) {
        return true;
    }
    assert!(
        output.status.success(),
        "{scene} at {at}: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    false
}

fn sweep(scene: &str) -> u64 {
    let goal = {
        let (_directory, store) = scratch();
        prepare(scene, &store);
        act(scene, &store).unwrap();
        visible(&store)
    };
    for at in 1.. {
        let (_directory, store) = scratch();
        prepare(scene, &store);
        let before = visible(&store);
        let was_killed = killed(scene, &store, at);
        let after = visible(&store);
        assert!(after == before || after == goal, "{scene} at {at}: {after:?}");
        if let Some(active) = store.current().unwrap()
            && scene != "repair"
        {
            assert_eq!(store.verify(&active).unwrap(), [], "{scene} at {at}");
        }
        // The next writer cleans up, and finishes the work.
        match act(scene, &store) {
            Err(StoreError::NotInstalled { .. }) if after == goal => {}
            other => other.unwrap(),
        }
        assert_eq!(visible(&store), goal, "{scene} at {at}");
        assert_eq!(litter(&store), [""; 0], "{scene} at {at}");
        for generation in store.generations().unwrap() {
            assert_eq!(store.verify(&generation).unwrap(), [], "{scene} at {at}");
        }
        if !was_killed {
            return at - 1;
        }
    }
    unreachable!("the loop ends when a run is not killed")
}

#[test]
fn killed_at_every_change() {
    let points: Vec<u64> = std::thread::scope(|scope| {
        let sweeps: Vec<_> =
            SCENES.map(|scene| scope.spawn(move || sweep(scene))).into_iter().collect();
        sweeps.into_iter().map(|sweep| sweep.join().unwrap()).collect()
    });
    let total: u64 = points.iter().sum();
    eprintln!("killed at {total} changes: {SCENES:?} {points:?}");
    assert!(total >= 200, "only {total} changes: {points:?}");
}

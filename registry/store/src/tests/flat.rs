//! Plain directories: what is written, kept, refused, and finished after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::disk::{Fault, arm, disarm, points_passed};
use crate::{FlatDirectory, FlatPlan, FlatReport, Foreign};

const ENOSPC: i32 = 28;

fn with(name: &'static str, files: &[(&'static str, &str)]) -> Sample {
    let files = files.iter().map(|(path, text)| (*path, text.as_bytes().to_vec())).collect();
    Sample { files, ..Sample::rules(name, "1.0.0", "") }
}

fn put(store: &Store, target: &Path, foreign: Foreign) -> Result<FlatReport, StoreError> {
    let generation = store.current()?.unwrap();
    prepare(store, target, &generation, foreign)?.commit()
}

fn prepare(
    store: &Store,
    target: &Path,
    generation: &Generation,
    foreign: Foreign,
) -> Result<crate::PreparedFlat, StoreError> {
    let plan = FlatPlan {
        generation,
        files: &store.generation_dir(generation.number),
        fresh: &[],
        foreign,
        installed_before: &BTreeSet::new(),
    };
    FlatDirectory::open(target, store)?.prepare(&[Kind::Rulesfile, Kind::Asset], &plan)
}

/// Files in a directory but ours, with their content.
fn content(target: &Path) -> BTreeMap<String, String> {
    let mut found = Vec::new();
    collect(target, target, &mut found);
    found.into_iter().filter(|(name, _)| !name.starts_with(".eyas/")).collect()
}

fn map(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

struct Site {
    /// Removed with the site.
    directory: tempfile::TempDir,
    store: Store,
    target: PathBuf,
}

fn site() -> Site {
    let (directory, store) = scratch();
    let target = directory.path().join("flat");
    Site { directory, store, target }
}

#[test]
fn a_new_version_brings_its_files_and_takes_its_old_ones() {
    let Site { store, target, .. } = &site();
    install(
        store,
        &[with("a", &[("one.yaml", "1"), ("sub/two.yaml", "2")]), with("b", &[("b.yaml", "b")])],
    )
    .unwrap();
    let report = put(store, target, Foreign::Refuse).unwrap();
    assert_eq!(report.written, ["b.yaml", "one.yaml", "sub/two.yaml"]);
    let mode = std::fs::metadata(target.join("one.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);

    std::fs::write(target.join("mine.yaml"), "mine").unwrap();
    install(store, &[with("a", &[("one.yaml", "1+"), ("three.yaml", "3")])]).unwrap();
    let report = put(store, target, Foreign::Refuse).unwrap();
    assert_eq!(report.written, ["one.yaml", "three.yaml"]);
    assert_eq!(report.removed, ["sub/two.yaml"]);
    assert_eq!(report.unchanged, 1);
    let expected =
        [("b.yaml", "b"), ("mine.yaml", "mine"), ("one.yaml", "1+"), ("three.yaml", "3")];
    assert_eq!(content(target), map(&expected));
    assert!(!target.join("sub").exists(), "an emptied directory goes");
    assert_eq!(
        put(store, target, Foreign::Refuse).unwrap(),
        FlatReport { unchanged: 3, ..FlatReport::default() }
    );
}

#[test]
fn foreign_files_are_kept_unless_taken_over_on_purpose() {
    let Site { store, target, .. } = &site();
    std::fs::create_dir(target).unwrap();
    std::fs::write(target.join("main.yaml"), "configuration").unwrap();
    install(store, &[with("a", &[("a.yaml", "a"), ("main.yaml", "rules")])]).unwrap();
    let error = put(store, target, Foreign::Refuse).unwrap_err();
    assert!(matches!(&error, StoreError::Occupied { owner: None, .. }), "{error:?}");
    assert!(error.to_string().contains("main.yaml") && error.hint().is_some(), "{error}");
    assert_eq!(content(target), map(&[("main.yaml", "configuration")]), "nothing was written");
    let report = put(store, target, Foreign::Replace).unwrap();
    assert_eq!(report.adopted, ["main.yaml"]);
    assert_eq!(content(target)["main.yaml"], "rules");
}

#[test]
fn the_same_content_is_adopted_without_asking() {
    let Site { store, target, .. } = &site();
    std::fs::create_dir(target).unwrap();
    std::fs::write(target.join("a.yaml"), "a").unwrap();
    install(store, &[with("a", &[("a.yaml", "a")])]).unwrap();
    assert_eq!(put(store, target, Foreign::Refuse).unwrap().adopted, ["a.yaml"]);
}

#[test]
fn one_path_has_one_owner() {
    let Site { store, target, .. } = &site();
    install(store, &[with("a", &[("same.yaml", "a")]), with("b", &[("same.yaml", "b")])]).unwrap();
    let error = put(store, target, Foreign::Replace).unwrap_err();
    assert!(error.to_string().contains("rulesfile `a`"), "{error}");
    // Nor does another store take it.
    let other = site();
    install(&other.store, &[with("x", &[("x.yaml", "x")])]).unwrap();
    put(&other.store, target, Foreign::Refuse).unwrap();
    install(store, &[with("a", &[("x.yaml", "y")]), with("b", &[("b.yaml", "b")])]).unwrap();
    let error = put(store, target, Foreign::Replace).unwrap_err();
    assert!(error.to_string().contains("rulesfile `x`"), "{error}");
    assert_eq!(content(target), map(&[("x.yaml", "x")]));
}

#[test]
fn two_stores_share_adirectory() {
    let (one, other) = (site(), site());
    let target = &one.target;
    install(&one.store, &[with("a", &[("a.yaml", "a")])]).unwrap();
    install(&other.store, &[with("b", &[("b.yaml", "b")])]).unwrap();
    put(&one.store, target, Foreign::Refuse).unwrap();
    put(&other.store, target, Foreign::Refuse).unwrap();
    assert_eq!(put(&one.store, target, Foreign::Refuse).unwrap().removed, [""; 0]);
    assert_eq!(content(target), map(&[("a.yaml", "a"), ("b.yaml", "b")]));
}

#[test]
fn changed_and_deleted_files_are_repaired() {
    let Site { store, target, .. } = &site();
    install(store, &[with("a", &[("a.yaml", "a"), ("b.yaml", "b"), ("c.yaml", "c")])]).unwrap();
    put(store, target, Foreign::Refuse).unwrap();
    std::fs::write(target.join("a.yaml"), "").unwrap();
    std::fs::remove_file(target.join("b.yaml")).unwrap();
    std::fs::remove_file(target.join("c.yaml")).unwrap();
    std::os::unix::fs::symlink("a.yaml", target.join("c.yaml")).unwrap();
    let report = put(store, target, Foreign::Refuse).unwrap();
    assert_eq!(report.repaired, ["a.yaml", "b.yaml", "c.yaml"]);
    assert_eq!(report.written, [""; 0]);
    assert!(!target.join("c.yaml").is_symlink());
    assert_eq!(content(target), map(&[("a.yaml", "a"), ("b.yaml", "b"), ("c.yaml", "c")]));
}

#[test]
fn links_and_our_owndirectory_are_no_way_out() {
    let Site { store, target, directory } = &site();
    let outside = directory.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::create_dir(target).unwrap();
    std::os::unix::fs::symlink(&outside, target.join("sub")).unwrap();
    install(store, &[with("a", &[("sub/x.yaml", "x")])]).unwrap();
    assert!(matches!(put(store, target, Foreign::Replace), Err(StoreError::Occupied { .. })));
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    install(store, &[with("a", &[(".eyas/owned.json", "{}")])]).unwrap();
    assert!(matches!(put(store, target, Foreign::Replace), Err(StoreError::Occupied { .. })));
    install(store, &[with("a", &[("dir", "x")])]).unwrap();
    std::fs::create_dir(target.join("dir")).unwrap();
    assert!(matches!(put(store, target, Foreign::Replace), Err(StoreError::Occupied { .. })));
}

#[test]
fn adirectory_is_held_by_one() {
    let Site { store, target, .. } = &site();
    let held = FlatDirectory::open(target, store).unwrap();
    assert!(matches!(FlatDirectory::open(target, store), Err(StoreError::Locked { .. })));
    drop(held);
    FlatDirectory::open(target, store).unwrap();
}

#[test]
fn every_fault_leaves_whole_files_and_the_next_run_finishes_or_undoes() {
    let old = map(&[("a.yaml", "old"), ("gone/b.yaml", "b"), ("mine", "mine")]);
    let new = map(&[("a.yaml", "new"), ("more/c.yaml", "c"), ("mine", "mine")]);
    for at in 1.. {
        let Site { store, target, .. } = &site();
        install(store, &[with("a", &[("a.yaml", "old"), ("gone/b.yaml", "b")])]).unwrap();
        put(store, target, Foreign::Refuse).unwrap();
        std::fs::write(target.join("mine"), "mine").unwrap();
        install(store, &[with("a", &[("a.yaml", "new"), ("more/c.yaml", "c")])]).unwrap();
        arm(Fault::Errno(ENOSPC), at);
        let result = put(store, target, Foreign::Refuse);
        let passed = points_passed();
        disarm();
        for (name, text) in content(target) {
            assert!(old.get(&name) == Some(&text) || new.get(&name) == Some(&text), "{at}: {name}");
        }
        drop(FlatDirectory::open(target, store).unwrap());
        let settled = content(target);
        assert!(settled == old || settled == new, "at {at}: {settled:?}");
        match result {
            Ok(_) => assert_eq!(settled, new),
            Err(error) => assert!(matches!(error, StoreError::Full { .. }), "{error:?}"),
        }
        put(store, target, Foreign::Refuse).unwrap();
        assert_eq!(content(target), new, "at {at}");
        let mut own: Vec<_> = std::fs::read_dir(target.join(".eyas"))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        own.sort();
        assert_eq!(own, ["lock", "owned.json"], "at {at}");
        if passed < at {
            assert!(at > 20, "only {at} changes");
            return;
        }
    }
}

#[test]
fn watchers_that_do_not_hear_renames_are_woken() {
    use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};

    let Site { store, target, .. } = &site();
    install(store, &[with("a", &[("a.yaml", "old"), ("b.yaml", "b")])]).unwrap();
    put(store, target, Foreign::Refuse).unwrap();
    let watch = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    let file = add_watch(&watch, target.join("a.yaml"), WatchFlags::CLOSE_WRITE).unwrap();
    let same = add_watch(&watch, target.join("b.yaml"), WatchFlags::CLOSE_WRITE).unwrap();
    let listing = WatchFlags::CREATE | WatchFlags::DELETE;
    let directory = add_watch(&watch, target, listing).unwrap();

    install(store, &[with("a", &[("a.yaml", "new"), ("b.yaml", "b")])]).unwrap();
    put(store, target, Foreign::Refuse).unwrap();

    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(&watch, &mut buffer);
    let mut seen = Vec::new();
    while let Ok(event) = reader.next() {
        seen.push((event.wd(), event.events()));
    }
    assert!(seen.contains(&(file, ReadFlags::CLOSE_WRITE)), "{seen:?}");
    assert!(seen.iter().any(|(from, _)| *from == directory), "{seen:?}");
    assert!(!seen.contains(&(same, ReadFlags::CLOSE_WRITE)), "an unchanged file is quiet");
    assert_eq!(content(target), map(&[("a.yaml", "new"), ("b.yaml", "b")]));

    // Nothing changed, so nobody is woken.
    put(store, target, Foreign::Refuse).unwrap();
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    assert!(Reader::new(&watch, &mut buffer).next().is_err());
}

#[test]
fn our_own_directory_is_no_link_to_somewhere_else() {
    let Site { directory, store, target } = site();
    let elsewhere = directory.path().join("elsewhere");
    for path in [&target, &elsewhere] {
        std::fs::create_dir(path).unwrap();
    }
    std::os::unix::fs::symlink(&elsewhere, target.join(".eyas")).unwrap();
    install(&store, &[with("a", &[("a.yaml", "x")])]).unwrap();
    let error = put(&store, &target, Foreign::default()).unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
}

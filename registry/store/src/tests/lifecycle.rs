//! Install, upgrade, remove, roll back, repair, collect.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::FileFault::{Changed, Missing, Mode, Unknown};
use crate::{FileFault, Stage};

#[test]
fn a_generation_is_complete_and_described() {
    let (_directory, store) = scratch();
    let generation = install(&store, &[Sample::rules("demo", "1.0.0", "one")]).unwrap();
    assert_eq!(generation.number, 1);
    assert_eq!(store.current().unwrap().unwrap(), generation);
    assert_eq!(visible(&store), [("rules/demo/rules.yaml".to_owned(), "one".to_owned())]);
    let entry = &generation.entries[0];
    assert_eq!(entry.reference, "registry.example.org/team/demo:1");
    assert_eq!(entry.reason, "requested");
    assert_eq!(entry.signed_at.as_deref(), Some("2026-01-01T00:00:00Z"));
    assert!(generation.created.ends_with('Z'), "{}", generation.created);
    assert_eq!(litter(&store), [""; 0]);
    assert_eq!(store.verify(&generation).unwrap(), []);
}

#[test]
fn an_upgrade_replaces_its_own_files_and_links_the_others() {
    let (_directory, store) = scratch();
    let first = Sample {
        files: vec![("old.yaml", b"x".to_vec()), ("both.yaml", b"1".to_vec())],
        ..Sample::rules("a", "1.0.0", "")
    };
    install(&store, &[first, Sample::rules("b", "1.0.0", "b")]).unwrap();
    let second = Sample {
        files: vec![("both.yaml", b"2".to_vec()), ("sub/new.yaml", b"y".to_vec())],
        ..Sample::rules("a", "2.0.0", "")
    };
    install(&store, &[second]).unwrap();
    let names: Vec<String> = visible(&store).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["rules/a/both.yaml", "rules/a/sub/new.yaml", "rules/b/rules.yaml"]);
    let inode = |number: u64| {
        std::fs::metadata(store.generation_dir(number).join("rules/b/rules.yaml")).unwrap().ino()
    };
    assert_eq!(inode(1), inode(2), "an unchanged file is not copied");
    assert!(
        store.generation_dir(1).join("rules/a/old.yaml").exists(),
        "the old generation is whole"
    );
}

#[test]
fn a_refused_set_leaves_no_trace_but_the_blobs() {
    let (_directory, store) = scratch();
    install(&store, &[Sample::rules("a", "1.0.0", "good")]).unwrap();
    let locked = store.lock().unwrap();
    let staged = Sample::rules("a", "2.0.0", "bad").stage(&locked).unwrap();
    let composed = locked.compose(vec![staged], &[]).unwrap();
    let judge = |set: &CandidateSet<'_>| {
        let files = set.files(Kind::Rulesfile);
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].label, "a/rules.yaml");
        assert_eq!(files[0].read(100).unwrap(), b"bad");
        assert!(files[0].read(2).is_err(), "the limit holds");
        assert_eq!(set.changed(), [(Kind::Rulesfile, "a".to_owned())]);
        Err(ValidationError::new("a/rules.yaml: rule `x` does not compile"))
    };
    let error = composed.validate(&judge).unwrap_err();
    assert!(matches!(error, StoreError::Invalid(_)));
    assert!(error.to_string().contains("rule `x`"), "{error}");
    assert_eq!(litter(&store), [""; 0]);
    assert_eq!(visible(&store)[0].1, "good");
    assert_eq!(store.numbers().unwrap(), [1]);
}

#[test]
fn removal_and_its_errors() {
    let (_directory, store) = scratch();
    install(&store, &[Sample::rules("a", "1.0.0", "a"), Sample::rules("b", "1.0.0", "b")]).unwrap();
    let locked = store.lock().unwrap();
    let key = (Kind::Rulesfile, "a".to_owned());
    let composed = locked.compose(Vec::new(), std::slice::from_ref(&key)).unwrap();
    locked.activate(composed.validate(&accept).unwrap()).unwrap();
    assert_eq!(visible(&store).len(), 1);
    assert!(matches!(locked.compose(Vec::new(), &[key]), Err(StoreError::NotInstalled { .. })));
    let twice = vec![
        Sample::rules("a", "1.0.0", "a").stage(&locked).unwrap(),
        Sample::rules("a", "2.0.0", "b").stage(&locked).unwrap(),
    ];
    assert!(matches!(locked.compose(twice, &[]), Err(StoreError::StagedTwice { .. })));
    assert_eq!(litter(&store), [""; 0]);
}

#[test]
fn a_set_made_from_an_older_generation_is_not_activated() {
    let (_directory, store) = scratch();
    let locked = store.lock().unwrap();
    let one = validated(&locked, &[Sample::rules("a", "1.0.0", "a")]).unwrap();
    let other = validated(&locked, &[Sample::rules("b", "1.0.0", "b")]).unwrap();
    locked.activate(one).unwrap();
    assert!(matches!(
        locked.activate(other),
        Err(StoreError::Stale { base: None, current: Some(1) })
    ));
    assert_eq!(visible(&store).len(), 1);
}

#[test]
fn content_with_another_digest_or_size_is_refused() {
    let (_directory, store) = scratch();
    let locked = store.lock().unwrap();
    let sample = Sample::rules("a", "1.0.0", "text");
    let begin = || -> Stage {
        let mut stage = locked.begin(sample.source(), None);
        stage.put_config(&sample.config()).unwrap();
        stage
    };
    let limits = ExtractLimits::default();
    let layer = sample.layer();

    let mut wrong = layer.clone();
    wrong[20] ^= 1;
    let mut stage = begin();
    stage.write(&wrong).unwrap();
    assert!(matches!(stage.extract(&limits, ""), Err(StoreError::DigestMismatch { .. })));

    let mut stage = begin();
    stage.write(&layer[..10]).unwrap();
    assert!(matches!(stage.extract(&limits, ""), Err(StoreError::SizeMismatch { .. })));

    let mut stage = begin();
    stage.write(&layer).unwrap();
    assert!(matches!(stage.write(b"x"), Err(StoreError::SizeMismatch { .. })), "one byte more");
    drop(stage);

    let mut stage = begin();
    stage.write(&wrong).unwrap();
    stage.restart().unwrap();
    assert_eq!(stage.received(), 0);
    stage.write(&layer).unwrap();
    stage.extract(&limits, "").unwrap();

    assert!(matches!(begin().put_config(b"{}"), Err(StoreError::SizeMismatch { .. })));
    let other = vec![b' '; sample.config().len()];
    assert!(matches!(begin().put_config(&other), Err(StoreError::DigestMismatch { .. })));
    let bare = locked.begin(Sample::rules("b", "1.0.0", "other").source(), None);
    assert!(matches!(bare.extract(&limits, ""), Err(StoreError::Incomplete { .. })));
    assert_eq!(litter(&store), [""; 0]);
}

#[test]
fn a_stored_archive_is_not_fetched_again_unless_it_was_damaged() {
    let (_directory, store) = scratch();
    let sample = Sample::rules("a", "1.0.0", "text");
    install(&store, std::slice::from_ref(&sample)).unwrap();
    let locked = store.lock().unwrap();
    let mut stage = locked.begin(sample.source(), None);
    assert!(stage.has_layer());
    assert!(stage.reuse_config().unwrap().is_some());
    stage.extract(&ExtractLimits::default(), "again").unwrap();

    let blob = store.blob_path(&sample.source().layer.digest, sample.layer().len() as u64).unwrap();
    std::fs::write(&blob, vec![0; sample.layer().len()]).unwrap();
    let error = sample.stage(&locked).unwrap_err();
    assert!(matches!(error, StoreError::DigestMismatch { .. }), "{error:?}");
    assert!(!blob.exists(), "it is fetched again next time");
    sample.stage(&locked).unwrap();
}

#[test]
fn rollback_and_numbers_that_are_never_used_twice() {
    let (_directory, store) = scratch();
    for text in ["1", "2", "3"] {
        install(&store, &[Sample::rules("a", "1.0.0", text)]).unwrap();
    }
    let locked = store.lock().unwrap();
    assert_eq!(locked.rollback(None).unwrap().number, 2);
    assert_eq!(visible(&store)[0].1, "2");
    let left = store.refusal(3).unwrap().unwrap();
    assert_eq!(left.reason, "left by a rollback to generation 2");
    assert_eq!(locked.rollback(Some(3)).unwrap().number, 3);
    assert_eq!(store.refusal(3).unwrap(), None, "going there on purpose takes the mark away");
    assert_eq!(store.previous().unwrap(), 2, "what was merely left is good enough");
    assert_eq!(locked.rollback(Some(1)).unwrap().number, 1);
    assert!(matches!(locked.rollback(None), Err(StoreError::NothingBefore { current: Some(1) })));
    let error = locked.rollback(Some(7)).unwrap_err();
    assert_eq!(error.to_string(), "there is no generation 7; there are 1, 2, 3");
    drop(locked);
    assert_eq!(install(&store, &[Sample::rules("a", "1.0.0", "4")]).unwrap().number, 4);
    let active: Vec<(u64, bool)> =
        store.history().unwrap().iter().map(|one| (one.generation.number, one.active)).collect();
    assert_eq!(active, [(4, true), (3, false), (2, false), (1, false)]);
}

#[test]
fn a_damaged_lock_file_is_in_nobodys_way() {
    let (_directory, store) = scratch();
    for text in ["1", "2", "3", "4"] {
        install(&store, &[Sample::rules("a", "1.0.0", text)]).unwrap();
    }
    for number in [3, 4] {
        std::fs::write(store.generation_dir(number).join("lock.json"), "{").unwrap();
    }
    let error = store.current().unwrap_err();
    assert!(error.hint().unwrap().contains("rollback"), "{error}");
    assert_eq!(store.previous().unwrap(), 2, "3 leads nowhere");
    let unusable = |number: u64| {
        let all = store.history().unwrap();
        all.into_iter().any(|one| one.generation.number == number && one.refused.is_some())
    };
    assert!(unusable(3) && unusable(4) && !unusable(2));
    let locked = store.lock().unwrap();
    assert!(locked.gc(0).is_err(), "what is active is not known, so nothing goes");
    assert_eq!(locked.rollback(None).unwrap().number, 2);
    assert_eq!(visible(&store)[0].1, "2");
    let report = locked.gc(3).unwrap();
    assert_eq!(report.generations, [3], "nobody can go back to it");
    drop(locked);
    assert_eq!(install(&store, &[Sample::rules("a", "1.0.0", "5")]).unwrap().number, 5);
}

#[test]
fn a_rejected_generation_is_left_and_remembered() {
    let (_directory, store) = scratch();
    install(&store, &[Sample::rules("a", "1.0.0", "1")]).unwrap();
    let second = install(&store, &[Sample::rules("a", "2.0.0", "2")]).unwrap();
    let locked = store.lock().unwrap();
    let back = locked.reject(2, "the sensor refused: rule `x`").unwrap().unwrap();
    assert_eq!((back.number, store.current_number().unwrap()), (1, Some(1)));
    let history = store.history().unwrap();
    assert_eq!(history[0].refused.as_ref().unwrap().reason, "the sensor refused: rule `x`");
    let content = second.entries[0].manifest_digest;
    let known = store.refused_content(&content).unwrap();
    assert_eq!(known.unwrap().0, 2);
    let active = back.entries[0].manifest_digest;
    assert_eq!(store.refused_content(&active).unwrap(), None);
    // A rejected generation is passed over by the next rollback.
    drop(locked);
    install(&store, &[Sample::rules("a", "3.0.0", "3")]).unwrap();
    assert_eq!(store.lock().unwrap().rollback(None).unwrap().number, 1);
}

#[test]
fn going_back_leads_to_where_one_came_from() {
    let (_directory, store) = scratch();
    for text in ["1", "2", "3"] {
        install(&store, &[Sample::rules("a", "1.0.0", text)]).unwrap();
    }
    store.lock().unwrap().rollback(Some(1)).unwrap();
    let fourth = install(&store, &[Sample::rules("a", "1.0.0", "4")]).unwrap();
    assert_eq!(fourth.parent, Some(1));
    let locked = store.lock().unwrap();
    // The parent outlives a collection that keeps nothing else.
    locked.gc(0).unwrap();
    assert_eq!(store.numbers().unwrap(), [1, 4]);
    assert_eq!(locked.reject(4, "no").unwrap().unwrap().number, 1);
    assert_eq!(visible(&store)[0].1, "1");
}

#[test]
fn a_broken_line_of_parents_falls_back_on_numbers() {
    let (_directory, store) = scratch();
    for text in ["1", "2", "3"] {
        install(&store, &[Sample::rules("a", "1.0.0", text)]).unwrap();
    }
    std::fs::remove_dir_all(store.generation_dir(2)).unwrap();
    assert_eq!(store.previous().unwrap(), 1);
}

#[test]
fn rejecting_the_first_generation_leaves_none() {
    let (_directory, store) = scratch();
    install(&store, &[Sample::rules("a", "1.0.0", "1")]).unwrap();
    assert_eq!(store.lock().unwrap().reject(1, "no").unwrap(), None);
    assert_eq!(store.current().unwrap(), None);
    assert_eq!(install(&store, &[Sample::rules("a", "1.0.1", "2")]).unwrap().number, 2);
}

#[test]
fn damage_is_found_and_repaired() {
    let (_directory, store) = scratch();
    let many = Sample {
        files: ["a", "b", "c", "d"].map(|name| (name, name.as_bytes().to_vec())).to_vec(),
        ..Sample::rules("many", "1.0.0", "")
    };
    let generation = install(&store, &[many, Sample::rules("other", "1.0.0", "o")]).unwrap();
    let at = |name: &str| store.current_link().join("rules/many").join(name);
    std::fs::write(at("a"), "x").unwrap();
    std::fs::remove_file(at("b")).unwrap();
    std::fs::set_permissions(at("c"), PermissionsExt::from_mode(0o4755)).unwrap();
    std::fs::remove_file(at("d")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", at("d")).unwrap();
    std::fs::write(at("stray"), "").unwrap();
    let faults: Vec<FileFault> =
        store.verify(&generation).unwrap().into_iter().map(|finding| finding.fault).collect();
    assert_eq!(faults, [Changed, Missing, Mode, Changed, Unknown]);

    let report = store.lock().unwrap().repair().unwrap();
    assert_eq!(report.repaired.len(), 5);
    assert_eq!(store.verify(&generation).unwrap(), []);
    assert_eq!(visible(&store).len(), 5);
    assert_eq!(store.lock().unwrap().repair().unwrap().repaired, []);
    assert_eq!(litter(&store), [""; 0]);
}

#[test]
fn damage_is_not_carried_to_the_next_generation() {
    let (_directory, store) = scratch();
    install(&store, &[Sample::rules("a", "1.0.0", "good")]).unwrap();
    std::fs::write(store.current_link().join("rules/a/rules.yaml"), "evil").unwrap();
    let next = install(&store, &[Sample::rules("b", "1.0.0", "b")]).unwrap();
    assert_eq!(visible(&store)[0].1, "good");
    assert_eq!(store.verify(&next).unwrap(), []);
}

#[test]
fn repair_without_the_archive_says_what_is_missing() {
    let (_directory, store) = scratch();
    let sample = Sample::rules("a", "1.0.0", "good");
    install(&store, std::slice::from_ref(&sample)).unwrap();
    let blob = store.blob_path(&sample.source().layer.digest, sample.layer().len() as u64).unwrap();
    std::fs::remove_file(blob).unwrap();
    std::fs::remove_file(store.current_link().join("rules/a/rules.yaml")).unwrap();
    let error = store.lock().unwrap().repair().unwrap_err();
    assert!(error.to_string().contains("the archive of `a` is missing"), "{error}");
}

#[test]
fn garbage_collection_keeps_what_can_be_returned_to() {
    let (_directory, store) = scratch();
    for text in ["1", "2", "3", "4", "5"] {
        install(&store, &[Sample::rules("a", "1.0.0", text)]).unwrap();
    }
    let locked = store.lock().unwrap();
    locked.rollback(Some(2)).unwrap();
    let report = locked.gc(1).unwrap();
    assert_eq!(report.generations, [3, 4]);
    assert_eq!(store.numbers().unwrap(), [1, 2, 5], "the active one, its parent, the highest");
    assert!(report.blobs >= 2 * 2 && report.blob_bytes > 0, "{report:?}");
    for generation in store.generations().unwrap() {
        assert_eq!(store.verify(&generation).unwrap(), []);
        locked.rollback(Some(generation.number)).unwrap();
    }
    // Generation 5 is active now, and goes back to 2 since its parent is gone.
    assert_eq!(locked.gc(1).unwrap().generations, [1]);
    assert_eq!(locked.gc(0).unwrap(), crate::GarbageReport::default());
}

#[test]
fn the_store_is_an_image_layout() {
    let (_directory, store) = scratch();
    let generation = install(&store, &[Sample::rules("a", "1.0.0", "a")]).unwrap();
    let read = |name: &str| std::fs::read(store.directory().join(name)).unwrap();
    assert_eq!(read("oci-layout"), b"{\"imageLayoutVersion\":\"1.0.0\"}");
    let index = eyas_artifact::ImageIndex::from_slice(&read("index.json")).unwrap();
    assert_eq!(index.manifests[0].digest, generation.entries[0].manifest_digest);
    assert_eq!(index.manifests[0].annotations[media::ANNOTATION_REF_NAME], "1");
    let manifest = store.blob(&index.manifests[0].digest, 10_000).unwrap().unwrap();
    assert_eq!(manifest.len() as u64, index.manifests[0].size);
}

#[test]
fn a_damaged_store_is_named_not_guessed_at() {
    let (_directory, store) = scratch();
    install(&store, &[Sample::rules("a", "1.0.0", "a")]).unwrap();
    let lock_file = store.generation_dir(1).join("lock.json");
    let good = std::fs::read(&lock_file).unwrap();
    std::fs::write(&lock_file, &good[..good.len() / 2]).unwrap();
    assert!(matches!(store.current(), Err(StoreError::Damaged { .. })));
    let text = String::from_utf8(good).unwrap().replace("\"number\": 1", "\"number\": 2");
    std::fs::write(&lock_file, text).unwrap();
    assert!(store.current().unwrap_err().to_string().contains("expected 1"));
    std::fs::remove_file(store.current_link()).unwrap();
    std::os::unix::fs::symlink("../elsewhere/1", store.current_link()).unwrap();
    assert!(store.current().unwrap_err().to_string().contains("../elsewhere/1"));
}

//! The committed lock file.

use eyas_artifact::{Digest, Generation, Kind, LOCK_FORMAT, Lock};

use crate::generations::entry;

fn generation() -> Generation {
    let mut generation = Generation::new(7, "2026-01-02T03:04:05Z");
    generation.entries =
        vec![entry(Kind::Probe, "a"), entry(Kind::Rulesfile, "b"), entry(Kind::Rulesfile, "a")];
    generation
}

#[test]
fn a_generation_is_locked_to_its_root_digests() {
    let lock = Lock::of(&generation()).unwrap();
    let order: Vec<(Kind, &str)> =
        lock.artifacts.iter().map(|locked| (locked.kind, locked.name.as_str())).collect();
    assert_eq!(order, [(Kind::Rulesfile, "a"), (Kind::Rulesfile, "b"), (Kind::Probe, "a")]);
    let root = Digest::sha256(b"root");
    let locked = lock.find(Kind::Rulesfile, "b").unwrap();
    assert_eq!(locked.pinned().to_string(), format!("registry.example.org/team/b@{root}"));
    assert_eq!(locked.reference.tag(), Some("1"), "the tag is kept, to ask again");
    assert_eq!(lock.find(Kind::Plugin, "a"), None);
}

#[test]
fn the_file_reads_back_and_does_not_depend_on_the_generation_number() {
    let lock = Lock::of(&generation()).unwrap();
    let bytes = lock.to_vec().unwrap();
    assert_eq!(Lock::from_slice(&bytes).unwrap(), lock);
    let mut later = generation();
    later.number = 9;
    later.created = "2027-01-02T03:04:05Z".to_owned();
    later.entries.reverse();
    assert_eq!(Lock::of(&later).unwrap().to_vec().unwrap(), bytes);
}

#[test]
fn what_is_refused() {
    let text = String::from_utf8(Lock::of(&generation()).unwrap().to_vec().unwrap()).unwrap();
    let newer = LOCK_FORMAT + 1;
    let cases = [
        text.replacen("\"format\": 1", &format!("\"format\": {newer}"), 1),
        text.replacen("\"format\"", "\"extra\": 1, \"format\"", 1),
        text.replacen("\"kind\"", "\"extra\": 1, \"kind\"", 1),
        text.replacen("\"name\": \"b\"", "\"name\": \"a\"", 1),
        text.replacen("sha256:", "sha512:", 1),
        text.replacen("registry.example.org/team/a", "", 1),
        text[..text.len() / 2].to_owned(),
        String::new(),
    ];
    for case in cases {
        assert_ne!(case, text);
        assert!(Lock::from_slice(case.as_bytes()).is_err(), "{case}");
    }
}

#[test]
fn an_entry_whose_reference_cannot_be_read_is_not_locked() {
    let mut generation = generation();
    generation.entries[0].reference = "nonsense".to_owned();
    assert!(Lock::of(&generation).is_err());
}

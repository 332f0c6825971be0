//! The lock file of a generation.

use eyas_artifact::{Digest, Entry, Generation, InstalledFile, Kind, SignerRecord};

pub(crate) fn entry(kind: Kind, name: &str) -> Entry {
    Entry {
        name: name.to_owned(),
        kind,
        reference: format!("registry.example.org/team/{name}:1"),
        version: "1.4.0".parse().unwrap(),
        root_digest: Digest::sha256(b"root"),
        manifest_digest: Digest::sha256(b"manifest"),
        config_digest: Digest::sha256(b"config"),
        layer_digest: Digest::sha256(b"layer"),
        signer: Some(SignerRecord { form: "key".to_owned(), ..SignerRecord::default() }),
        other_signers: Vec::new(),
        attestations: Vec::new(),
        signed_at: None,
        accepted_by: None,
        reason: "requested".to_owned(),
        files: vec![InstalledFile {
            path: "rules.yaml".to_owned(),
            digest: Digest::sha256(b"file"),
            size: 4,
            mode: 0o644,
        }],
    }
}

#[test]
fn a_lock_file_reads_back() {
    let mut generation = Generation::new(3, "2026-01-02T03:04:05Z");
    generation.entries = vec![entry(Kind::Rulesfile, "demo"), entry(Kind::Probe, "demo")];
    let bytes = generation.to_vec().unwrap();
    assert_eq!(bytes.last(), Some(&b'\n'));
    let read = Generation::from_slice(&bytes).unwrap();
    assert_eq!(read, generation);
    assert_eq!(read.digest().unwrap(), Digest::sha256(&bytes));
    assert_eq!(read.find(Kind::Probe, "demo").unwrap().directory(), "probes/demo");
    assert_eq!(read.find(Kind::Plugin, "demo"), None);
}

#[test]
fn a_form_from_the_future_is_refused_with_both_numbers() {
    let mut generation = Generation::new(1, "2026-01-02T03:04:05Z");
    generation.format = 2;
    let error = Generation::from_slice(&generation.to_vec().unwrap()).unwrap_err();
    assert!(error.to_string().contains("`format` is `2`, expected `1`"), "{error}");
}

#[test]
fn a_cut_lock_file_is_an_error() {
    let mut generation = Generation::new(1, "2026-01-02T03:04:05Z");
    generation.entries.push(entry(Kind::Asset, "demo"));
    let bytes = generation.to_vec().unwrap();
    for length in 0..bytes.len() - 1 {
        assert!(Generation::from_slice(&bytes[..length]).is_err(), "cut to {length} bytes");
    }
}

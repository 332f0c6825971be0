//! Archives, good and hostile, built byte by byte where a tar writer would refuse to.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use super::limits::RATIO_GRACE_BYTES;
use super::*;

/// One raw member.
fn raw(kind: EntryType, name: &[u8], mode: u32, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    raw(EntryType::Regular, name.as_bytes(), 0o644, content)
}

fn pax_record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = members.concat();
    bytes.resize(bytes.len() + 1024, 0);
    gzip(&bytes)
}

struct Outcome {
    directory: tempfile::TempDir,
    result: Result<Vec<InstalledFile>, StoreError>,
}

fn unpack_bytes(layer: &[u8], limits: &ExtractLimits) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer");
    std::fs::write(&path, layer).unwrap();
    let target = directory.path().join("target");
    std::fs::create_dir(&target).unwrap();
    let result = unpack("demo", &path, &target, limits);
    Outcome { directory, result }
}

fn accepted(members: &[Vec<u8>]) -> Vec<String> {
    let outcome = unpack_bytes(&archive(members), &ExtractLimits::default());
    let files = outcome.result.unwrap();
    for file in &files {
        let path = outcome.directory.path().join("target").join(&file.path);
        let content = std::fs::read(&path).unwrap();
        assert_eq!(file.size, content.len() as u64);
        assert_eq!(file.digest, eyas_artifact::Digest::sha256(&content));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    }
    files.into_iter().map(|file| file.path).collect()
}

fn refused(members: &[Vec<u8>]) -> String {
    let outcome = unpack_bytes(&archive(members), &ExtractLimits::default());
    let error = outcome.result.unwrap_err();
    assert!(matches!(error, StoreError::Archive { .. }), "{error:?}");
    assert!(error.is_verification() && error.hint().is_some());
    error.to_string()
}

#[test]
fn files_and_directories_come_out_with_fixed_modes() {
    let members = [
        raw(EntryType::Directory, b"dir/", 0o777, b""),
        raw(EntryType::Regular, b"dir/setuid", 0o6755, b"#!/bin/sh\n"),
        file("plain.yaml", b"- rule: x\n"),
        file("empty", b""),
        raw(EntryType::Continuous, b"old-style", 0o600, b"x"),
    ];
    assert_eq!(accepted(&members), ["dir/setuid", "empty", "old-style", "plain.yaml"]);
}

#[test]
fn names_that_other_readers_stumble_over() {
    // A nested file without an entry for its directory, an absolute name, dots inside a word.
    let members = [file("a/b/c.yaml", b"x"), file("/abs/d.yaml", b"x"), file("./e..f.yaml", b"x")];
    assert_eq!(accepted(&members), ["a/b/c.yaml", "abs/d.yaml", "e..f.yaml"]);
    // A directory that is named after a file in it, twice, and `./`.
    let members = [
        raw(EntryType::Directory, b"./", 0o755, b""),
        raw(EntryType::Directory, b"a", 0o755, b""),
        raw(EntryType::Directory, b"a/", 0o755, b""),
        file("a/x", b"x"),
    ];
    assert_eq!(accepted(&members), ["a/x"]);
}

#[test]
fn extended_headers() {
    let long = format!("{}/name.yaml", "d".repeat(120));
    let pax = pax_record("path", &long) + &pax_record("mtime", "1.5");
    let members = [
        raw(
            EntryType::XGlobalHeader,
            b"pax_global_header",
            0,
            pax_record("comment", "abc").as_bytes(),
        ),
        raw(EntryType::XHeader, b"x", 0, pax.as_bytes()),
        file("short", b"pax"),
        raw(
            EntryType::GNULongName,
            b"././@LongLink",
            0,
            format!("{}\0", "g".repeat(150)).as_bytes(),
        ),
        file("short", b"gnu"),
        // The header holds for one member alone.
        file("short", b"itself"),
    ];
    assert_eq!(accepted(&members), [long.as_str(), &"g".repeat(150), "short"]);
}

#[test]
fn a_size_given_twice_must_agree() {
    let same = pax_record("size", "3");
    let members = [raw(EntryType::XHeader, b"x", 0, same.as_bytes()), file("a", b"abc")];
    assert_eq!(accepted(&members), ["a"]);
    let other = pax_record("size", "2");
    let members = [raw(EntryType::XHeader, b"x", 0, other.as_bytes()), file("a", b"abc")];
    assert!(refused(&members).contains("two sizes"));
}

#[test]
fn tricks_with_extended_headers_are_refused() {
    let header = |kind, text: &str| raw(kind, b"x", 0, text.as_bytes());
    let cases = [
        (
            vec![header(EntryType::XGlobalHeader, &pax_record("path", "evil")), file("a", b"")],
            "global",
        ),
        (
            vec![header(EntryType::XGlobalHeader, &pax_record("size", "9")), file("a", b"")],
            "global",
        ),
        (vec![header(EntryType::XHeader, &pax_record("path", "../evil")), file("a", b"")], "`..`"),
        (
            vec![header(EntryType::XHeader, &pax_record("GNU.sparse.size", "9")), file("a", b"")],
            "sparse",
        ),
        (vec![header(EntryType::XHeader, "nonsense"), file("a", b"")], "malformed"),
        (
            vec![header(EntryType::XHeader, &pax_record("size", "many")), file("a", b"")],
            "malformed size",
        ),
        (vec![file("a", b""), header(EntryType::XHeader, &pax_record("path", "b"))], "ends after"),
        (
            vec![
                header(EntryType::GNULongName, "one"),
                header(EntryType::XHeader, &pax_record("path", "two")),
                file("a", b""),
            ],
            "two names",
        ),
        (vec![header(EntryType::GNULongName, &"n".repeat(70_000)), file("a", b"")], "64 KiB"),
        (vec![header(EntryType::XHeader, &pax_record("mtime", "1")); 9], "too many"),
    ];
    for (members, expected) in cases {
        let message = refused(&members);
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[test]
fn only_files_and_directories() {
    let cases = [
        (EntryType::Symlink, "symbolic link"),
        (EntryType::Link, "hard link"),
        (EntryType::Char, "character device"),
        (EntryType::Block, "block device"),
        (EntryType::Fifo, "named pipe"),
        (EntryType::GNUSparse, "sparse"),
        (EntryType::new(b'Z'), "unknown type"),
    ];
    for (kind, expected) in cases {
        let message = refused(&[file("good", b"x"), raw(kind, b"bad", 0o644, b"")]);
        assert!(message.contains(expected) && message.contains("`bad`"), "{message}");
    }
}

#[test]
fn names_that_leave_the_directory() {
    for name in ["../evil", "a/../../evil", "/../evil", "a/.."] {
        let outcome = unpack_bytes(&archive(&[file(name, b"x")]), &ExtractLimits::default());
        assert!(outcome.result.is_err(), "{name}");
        assert!(!outcome.directory.path().join("evil").exists(), "{name}");
    }
    assert!(refused(&[file("a\nb", b"x")]).contains("control character"));
    assert!(refused(&[raw(EntryType::Regular, b"\xff\xfe", 0, b"x")]).contains("UTF-8"));
    assert!(refused(&[raw(EntryType::Regular, b"./", 0, b"x")]).contains("directory has content"));
}

#[test]
fn one_name_is_one_file() {
    let cases: &[&[&str]] =
        &[&["a", "a"], &["a", "./a"], &["a", "A"], &["a", "a/b"], &["a/b", "a"], &["x/É", "X/é"]];
    for names in cases {
        let members: Vec<Vec<u8>> = names.iter().map(|name| file(name, b"x")).collect();
        let message = refused(&members);
        assert!(
            message.contains("twice") || message.contains("both a file"),
            "{names:?}: {message}"
        );
    }
}

#[test]
fn what_is_no_archive() {
    let limits = ExtractLimits::default();
    let whole = archive(&[file("a", &[7; 5000])]);
    let mut flipped = whole.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    let cases = [
        Vec::new(),
        b"not gzip".to_vec(),
        gzip(b"not tar, but quite long enough to be looked at as a header, if only it were padded"),
        gzip(&[7; 4096]),
        archive(&[]),
        archive(&[raw(EntryType::Directory, b"only", 0o755, b"")]),
        flipped,
    ];
    for (number, bytes) in cases.iter().enumerate() {
        let error = unpack_bytes(bytes, &limits).result.unwrap_err();
        assert!(matches!(error, StoreError::Archive { .. }), "case {number}: {error:?}");
    }
    for length in 0..whole.len() - 1 {
        assert!(unpack_bytes(&whole[..length], &limits).result.is_err(), "cut to {length}");
    }
}

fn limit_of(layer: &[u8], limits: &ExtractLimits) -> Option<&'static str> {
    match unpack_bytes(layer, limits).result {
        Ok(_) => None,
        Err(StoreError::ArchiveLimit { what, .. }) => Some(what),
        Err(other) => unreachable!("{other:?}"),
    }
}

#[test]
fn limits_hold_at_their_edge() {
    let members: Vec<Vec<u8>> = (0..10).map(|n| file(&n.to_string(), b"x")).collect();
    let layer = archive(&members);
    let limits = ExtractLimits { max_entries: 10, ..ExtractLimits::default() };
    assert_eq!(limit_of(&layer, &limits), None);
    assert_eq!(limit_of(&layer, &ExtractLimits { max_entries: 9, ..limits }), Some("entries"));

    let size = 10 * 1024 + 1024;
    assert_eq!(limit_of(&layer, &ExtractLimits { max_bytes: size, ..limits }), None);
    let smaller = ExtractLimits { max_bytes: size - 1, ..limits };
    assert_eq!(limit_of(&layer, &smaller), Some("bytes after decompression"));
}

#[test]
fn bombs_are_stopped_by_their_ratio_while_they_expand() {
    let ratio = Some("bytes per compressed byte");
    let limits = ExtractLimits::default();
    let bomb = archive(&[file("zeros", &vec![0; 64 * 1024 * 1024])]);
    assert!(bomb.len() < 400_000, "{} bytes", bomb.len());
    let outcome = unpack_bytes(&bomb, &limits);
    assert!(matches!(outcome.result, Err(StoreError::ArchiveLimit { .. })));
    let written =
        std::fs::metadata(outcome.directory.path().join("target/zeros")).map_or(0, |m| m.len());
    assert!(written < 64 * 1024 * 1024, "stopped only after {written} bytes");
    // The same bytes behind the end of the archive count as well.
    let mut tail = file("a", b"x");
    tail.resize(64 * 1024 * 1024, 0);
    assert_eq!(limit_of(&gzip(&tail), &limits), ratio);
    // Small files may compress as well as they like.
    let small = archive(&[file("zeros", &vec![0; RATIO_GRACE_BYTES as usize - 4096])]);
    assert_eq!(limit_of(&small, &limits), None);
    assert_eq!(limit_of(&bomb, &ExtractLimits { max_ratio: 2000, ..limits }), None);
}

#[test]
fn a_header_cannot_ask_for_memory() {
    // An extended header that claims 4 GiB, and a file that claims more than there is.
    for kind in [EntryType::XHeader, EntryType::GNULongName, EntryType::Regular] {
        let mut header = Header::new_ustar();
        header.set_path("a").unwrap();
        header.set_entry_type(kind);
        header.set_size(4 * 1024 * 1024 * 1024);
        header.set_cksum();
        let layer = gzip(&[header.as_bytes().as_slice(), &[0; 4096]].concat());
        assert!(unpack_bytes(&layer, &ExtractLimits::default()).result.is_err(), "{kind:?}");
    }
}

/// Everything below a directory: its path, and whether it is a directory.
fn walk(directory: &Path, found: &mut Vec<(std::path::PathBuf, std::fs::Metadata)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let meta = std::fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            walk(&path, found);
        }
        found.push((path, meta));
    }
}

#[test]
fn no_mutation_panics_or_leaves_the_directory() {
    const ROUNDS: u64 = 600;
    let long = format!("{}/name.yaml", "d".repeat(120));
    let members = [
        raw(EntryType::XGlobalHeader, b"g", 0, pax_record("comment", "abc").as_bytes()),
        raw(EntryType::XHeader, b"x", 0, pax_record("path", &long).as_bytes()),
        file("short", b"pax"),
        raw(EntryType::GNULongName, b"l", 0, b"long-name\0"),
        raw(EntryType::Directory, b"dir/", 0o777, b""),
        raw(EntryType::Symlink, b"dir/link", 0o777, b""),
        file("dir/file", &[7; 700]),
    ];
    let whole = members.concat();
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut accepted = 0;
    for round in 0..ROUNDS {
        let mut bytes = whole.clone();
        if round % 2 == 0 {
            // Without the member that is refused in any case, so that later ones are reached.
            bytes.drain(bytes.len() - 4 * 512..bytes.len() - 3 * 512);
        }
        for _ in 0..=random(3) {
            let block = random(bytes.len() / 512) * 512;
            bytes[block + random(512)] = u8::try_from(random(256)).unwrap();
            // A right checksum lets the change through to what reads the fields.
            let mut header = Header::new_old();
            header.as_mut_bytes().copy_from_slice(&bytes[block..block + 512]);
            if round % 3 > 0 {
                header.set_cksum();
            }
            bytes[block..block + 512].copy_from_slice(header.as_bytes());
        }
        bytes.resize(bytes.len() + 1024, 0);
        let outcome = unpack_bytes(&gzip(&bytes), &ExtractLimits::default());
        accepted += usize::from(outcome.result.is_ok());
        let mut found = Vec::new();
        walk(outcome.directory.path(), &mut found);
        for (path, meta) in found {
            assert!(meta.is_dir() || meta.is_file(), "round {round}: {}", path.display());
            let ours = path == outcome.directory.path().join("layer")
                || path.starts_with(outcome.directory.path().join("target"));
            assert!(ours, "round {round}: {}", path.display());
            assert!(meta.is_dir() || meta.permissions().mode() & 0o7133 == 0, "round {round}");
        }
    }
    assert!(
        accepted > 0 && accepted < ROUNDS as usize,
        "{accepted} of {ROUNDS} are still archives"
    );
}

//! Archives.

use eyas_tests::stranger::{gzip, pax_record, tar};
use eyas_tests::{Entry, Finished, Site, Stranger, marker_rule};

use super::measured;

const VALIDATION: i32 = 6;

fn good() -> Entry {
    Entry::file("good.yaml", &marker_rule("Good", "/eyas/test/marker"))
}

fn install(site: &Site, reference: &str) -> Finished {
    measured(site, &site.install_arguments(&["install", reference, "--no-verify"]))
}

/// Asserts that this layer is refused with these words, and that nothing of it stays.
#[track_caller]
fn refused(what: &str, layer: Vec<u8>, words: &[&str]) {
    let (stranger, site) = (Stranger::new(), Site::new());
    let finished = install(&site, &stranger.rules("1", layer));
    assert_eq!(finished.code(), VALIDATION, "{what}: {}", finished.stderr);
    for word in words {
        assert!(finished.stderr.contains(word), "{what} lacks `{word}`: {}", finished.stderr);
    }
    assert!(!site.store().join("current").exists(), "{what}: a generation was activated");
    let unpacked = site.snapshot().into_keys().filter(|path| path.ends_with("good.yaml")).count();
    assert_eq!(unpacked, 0, "{what}: an unpacked file stayed");
    compared(&stranger, what, words);
}

/// Asserts that looking into the archive refuses it too: there is one reader of archives.
#[track_caller]
fn compared(stranger: &Stranger, what: &str, words: &[&str]) {
    let site = Site::new();
    let reference = format!("{}/team/demo:1", stranger.host());
    let diff = ["artifact", "diff", &reference, &reference, "--no-verify", "--plain-http"];
    let finished = measured(&site, &diff);
    assert_eq!(finished.code(), VALIDATION, "{what}, compared: {}", finished.stderr);
    for word in words {
        assert!(finished.stderr.contains(word), "{what} lacks `{word}`: {}", finished.stderr);
    }
}

/// Asserts that this layer is installed, with so many files.
#[track_caller]
fn accepted(what: &str, layer: Vec<u8>, count: usize) {
    let (stranger, site) = (Stranger::new(), Site::new());
    let finished = install(&site, &stranger.rules("1", layer));
    assert_eq!(finished.code(), 0, "{what}: {}", finished.stderr);
    let files = site.generation()["entries"][0]["files"].as_array().map(Vec::len);
    assert_eq!(files, Some(count), "{what}");
}

#[test]
fn links_devices_and_pipes() {
    for (what, entry, words) in [
        ("symbolic link", Entry::of(b'2', "evil", b"").link("/etc/passwd"), "symbolic link"),
        ("hard link", Entry::of(b'1', "evil", b"").link("../../../etc/shadow"), "hard link"),
        ("character device", Entry::of(b'3', "evil", b""), "character device"),
        ("block device", Entry::of(b'4', "evil", b""), "block device"),
        ("pipe", Entry::of(b'6', "evil", b""), "named pipe"),
        ("sparse file", Entry::of(b'S', "evil", b""), "sparse file"),
        ("long link", Entry::of(b'K', "././@LongLink", b"/etc/passwd\0"), "link"),
        ("unknown type", Entry::of(b'Q', "evil", b""), "unknown type"),
    ] {
        refused(what, gzip(&tar(&[good(), entry])), &[words]);
    }
    // The classic: a link first, then a file through it.
    let through =
        [Entry::of(b'2', "dir", b"").link("/tmp"), Entry::file("dir/evil.yaml", "- rule: x\n")];
    refused("a file through a link", gzip(&tar(&through)), &["symbolic link"]);
}

#[test]
fn names_that_lead_out() {
    for name in ["../evil.yaml", "a/../../evil.yaml", "..", "a/..", "/../evil.yaml", "./../x"] {
        refused(name, gzip(&tar(&[good(), Entry::file(name, "x")])), &["`..`"]);
    }
    refused("a control character", gzip(&tar(&[good(), Entry::file("a\nb", "x")])), &["control"]);
    let mut raw = Entry::file("x", "x");
    raw.name = b"\xff\xfe".to_vec();
    refused("no text", gzip(&tar(&[good(), raw])), &["UTF-8"]);
}

#[test]
fn tricks_with_extended_headers() {
    let pax = |records: &[(&str, &[u8])]| gzip(&tar(&[Entry::pax(records), good()]));
    refused("a path that leads out", pax(&[("path", b"../evil.yaml")]), &["`..`"]);
    refused("a path with a zero byte", pax(&[("path", b"a\0b")]), &["control"]);
    refused("another size", pax(&[("size", b"1")]), &["two sizes"]);
    refused("a negative size", pax(&[("size", b"-1")]), &["malformed size"]);
    refused("an endless size", pax(&[("size", b"99999999999999999999999")]), &["malformed size"]);
    refused("a sparse file", pax(&[("GNU.sparse.realsize", b"9")]), &["sparse"]);
    let huge = vec![b'x'; 100_000];
    refused("a huge record", pax(&[("comment", &huge)]), &["64 KiB"]);
    let global =
        |key: &str| gzip(&tar(&[Entry::of(b'g', "global", &pax_record(key, b"evil")), good()]));
    refused("a global path", global("path"), &["global"]);
    refused("a global size", global("size"), &["global"]);
    let lying = Entry::of(b'x', "pax", b"9999 path=x\n");
    refused("a record longer than it is", gzip(&tar(&[lying, good()])), &["malformed"]);
    let two =
        [Entry::of(b'L', "long", b"one.yaml\0"), Entry::pax(&[("path", b"two.yaml")]), good()];
    refused("two names", gzip(&tar(&two)), &["two names"]);
    let many = vec![Entry::pax(&[("comment", b"x")]); 20];
    refused("headers without end", gzip(&tar(&[many, vec![good()]].concat())), &["too many"]);
}

#[test]
fn sizes_in_headers() {
    for (what, field) in [
        ("negative in base 256", &b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..]),
        ("beyond everything", b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("the largest octal number", b"77777777777\0"),
        ("no number", b"nonsense\0\0\0\0"),
    ] {
        let entry = Entry::file("big.yaml", "x").size(field);
        refused(what, gzip(&tar(&[good(), entry])), &["demo"]);
    }
}

#[test]
fn one_name_for_two_files() {
    let file = |name: &str| Entry::file(name, "- macro: m\n  condition: evt.type = open\n");
    for names in [["a.yaml", "a.yaml"], ["a.yaml", "./a.yaml"], ["A.yaml", "a.yaml"]] {
        let entries = [file(names[0]), file(names[1])];
        refused(&format!("{names:?}"), gzip(&tar(&entries)), &["twice"]);
    }
    // The same letters in two normal forms of Unicode are two names here.
    let forms = [file("caf\u{e9}.yaml"), file("cafe\u{301}.yaml")];
    accepted("two normal forms", gzip(&tar(&forms)), 2);
    let both = [file("a"), file("a/b.yaml")];
    refused("a file and a directory", gzip(&tar(&both)), &["both a file"]);
}

#[test]
fn what_is_cut_damaged_or_no_archive() {
    let whole = gzip(&tar(&[good()]));
    let mut damaged = whole.clone();
    let at = damaged.len() - 6;
    damaged[at] ^= 1;
    let zip = b"PK\x03\x04\x14\0\0\0\x08\0rest of a zip archive".to_vec();
    for (what, layer) in [
        ("nothing", Vec::new()),
        ("cut in the middle", whole[..whole.len() / 2].to_vec()),
        ("cut in the checksum", whole[..whole.len() - 3].to_vec()),
        ("a wrong checksum", damaged),
        ("a zip archive", zip),
        ("no compression", tar(&[good()])),
        ("compressed nothing", gzip(b"")),
        ("no file in it", gzip(&tar(&[Entry::of(b'5', "dir/", b"")]))),
        ("compressed noise", gzip(&[7; 4096])),
    ] {
        refused(what, layer, &["demo"]);
    }
}

#[test]
fn unusual_and_right() {
    let plain = tar(&[good()]);
    let (one, two) = plain.split_at(700);
    accepted("two members of gzip", [gzip(one), gzip(two)].concat(), 1);
    let mut padded = plain.clone();
    padded.resize(padded.len() + 20 * 512, 0);
    accepted("more empty blocks at the end", gzip(&padded), 1);
    accepted("no empty blocks at the end", gzip(&plain[..plain.len() - 1024]), 1);
    let named = [
        Entry::of(b'L', "././@LongLink", format!("{}.yaml\0", "n".repeat(150)).as_bytes()),
        good(),
    ];
    accepted("a long name in the form of GNU", gzip(&tar(&named)), 1);
}

#[test]
fn what_follows_the_end() {
    // Behind the end of an archive nothing is read as an entry, and it counts towards the limits.
    let hidden =
        [tar(&[good()]), tar(&[Entry::of(b'2', "evil", b"").link("/etc/passwd")])].concat();
    accepted("an archive behind the archive", gzip(&hidden), 1);
    let mut bomb = tar(&[good()]);
    bomb.resize(64 * 1024 * 1024, 0);
    refused("a bomb behind the archive", gzip(&bomb), &["bytes per compressed byte"]);
    let trailing = [gzip(&tar(&[good()])), b"and something that is not gzip".to_vec()].concat();
    refused("garbage behind the compression", trailing, &["demo"]);
}

#[test]
fn a_million_entries() {
    let mut bytes = Vec::new();
    let one = tar(&[Entry::of(b'5', "d/", b"")]);
    for _ in 0..1_000_000 / 1000 {
        bytes.extend(one[..512].repeat(1000));
    }
    refused("a million directories", gzip(&bytes), &["entries"]);
}

#[test]
fn a_configuration_of_another_kind_than_the_layer() {
    let config = b"{\"name\":\"demo\",\"version\":\"1.0.0\"}".to_vec();
    let of = |kind: &str, part: &str| format!("application/vnd.cncf.falco.{kind}.{part}");
    for (config_kind, layer_kind) in [("rulesfile", "plugin"), ("plugin", "rulesfile")] {
        let (stranger, site) = (Stranger::new(), Site::new());
        let types = (of(config_kind, "config.v1+json"), of(layer_kind, "layer.v1+tar.gz"));
        let layer = gzip(&tar(&[good()]));
        let reference = stranger.described("1", (&types.0, config.clone()), (&types.1, layer));
        let finished = install(&site, &reference);
        assert_eq!(finished.code(), VALIDATION, "{types:?}: {}", finished.stderr);
        finished.expect_stderr(&["team/demo", &types.0, &types.1]);
        assert!(!site.store().join("current").exists(), "{types:?}: a generation was activated");
    }
}

#[test]
fn the_wrong_kind_of_layer() {
    let (stranger, site) = (Stranger::new(), Site::new());
    for kind in ["application/zip", "text/html"] {
        let config = b"{\"name\":\"demo\",\"version\":\"1.0.0\"}".to_vec();
        let reference = stranger.artifact("1", config, kind, gzip(&tar(&[good()])));
        let finished = install(&site, &reference);
        assert_ne!(finished.code(), 0, "{kind}");
        assert!(!site.store().join("current").exists(), "{kind}: a generation was activated");
        assert!(finished.stderr.contains("team/demo"), "{kind}: {}", finished.stderr);
    }
}

//! Documents: deep, wide, doubled, endless, or no text at all.

use std::fs;

use eyas_artifact::media;
use eyas_tests::stranger::{gzip, tar};
use eyas_tests::{Entry, Finished, Site, Stranger, marker_rule};

use super::measured;

/// Bytes of a document that is nothing but space.
const SPACES: u64 = 100 * 1024 * 1024;

/// Documents that no reader of JSON should take, by name.
fn bad_json() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("deep lists", [vec![b'['; 100_000], vec![b']'; 100_000]].concat()),
        ("deep objects", "{\"a\":".repeat(50_000).into_bytes()),
        ("no text", b"\xff\xfe{\"schemaVersion\":2}".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{\"schemaVersion\":2}".to_vec()),
        ("a number beyond all", b"{\"schemaVersion\":1e999999999}".to_vec()),
        (
            "a number of many digits",
            format!("{{\"schemaVersion\":{}}}", "9".repeat(50_000)).into_bytes(),
        ),
        ("a string without end", [b"{\"a\":\"".to_vec(), vec![b'x'; 100_000]].concat()),
        ("a lone surrogate", b"{\"schemaVersion\":\"\\ud800\"}".to_vec()),
        ("the same key twice", b"{\"schemaVersion\":2,\"schemaVersion\":2}".to_vec()),
        ("nothing", Vec::new()),
        ("null", b"null".to_vec()),
        ("a list", b"[]".to_vec()),
    ]
}

/// Documents that no reader of YAML should take.
fn bad_yaml() -> Vec<(&'static str, Vec<u8>)> {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        let ten = [before.as_str(); 10].join(", ");
        bomb = format!("{bomb}a{level}: &a{level} [{ten}]\n");
    }
    vec![
        ("deep lists", "[".repeat(100_000).into_bytes()),
        ("deep mappings", "{a: ".repeat(100_000).into_bytes()),
        (
            "deep indentation",
            (0..3000).map(|n| " ".repeat(n) + "a:\n").collect::<String>().into_bytes(),
        ),
        ("a bomb of aliases", bomb.into_bytes()),
        ("an alias of itself", b"a: &a [*a]\n".to_vec()),
        ("an alias of nothing", b"a: *missing\n".to_vec()),
        ("no text", b"a: \xff\xfe\n".to_vec()),
        ("a zero byte", b"a: \0\n".to_vec()),
        ("an open quote", b"a: \"".to_vec()),
        ("the same key twice", b"registry: 1\nregistry: 2\n".to_vec()),
    ]
}

#[track_caller]
fn refused(what: &str, finished: &Finished, words: &[&str]) {
    assert_ne!(finished.code(), 0, "{what} was accepted: {}", finished.stdout);
    assert!(finished.code() < 100, "{what}: {}", finished.stderr);
    for word in words {
        assert!(finished.stderr.contains(word), "{what} lacks `{word}`: {}", finished.stderr);
    }
    let longest = finished.stderr.lines().map(str::len).max().unwrap_or(0);
    assert!(longest < 2000, "{what}: a message of {longest} bytes repeats the document");
}

fn install(site: &Site, reference: &str) -> Finished {
    measured(site, &site.install_arguments(&["install", reference, "--no-verify"]))
}

#[test]
fn manifests_and_image_indexes() {
    let (stranger, site) = (Stranger::new(), Site::new());
    for media_type in [media::OCI_MANIFEST, media::OCI_INDEX] {
        for (number, (what, bytes)) in bad_json().into_iter().enumerate() {
            let reference = stranger.manifest(&number.to_string(), media_type, bytes);
            refused(what, &install(&site, &reference), &["team/demo"]);
        }
        stranger.put_repeated("/v2/team/demo/manifests/spaces", media_type, b' ', SPACES);
        let reference = format!("{}/team/demo:spaces", stranger.host());
        refused("spaces", &install(&site, &reference), &["team/demo", "too large"]);
    }
    assert!(!site.store().join("current").exists());
}

#[test]
fn descriptions_of_artifacts() {
    let (stranger, site) = (Stranger::new(), Site::new());
    let rules = Entry::file("good.yaml", &marker_rule("Good", "/eyas/test/marker"));
    let layer = gzip(&tar(&[rules]));
    for (number, (what, bytes)) in bad_json().into_iter().enumerate() {
        // A number where none is known is no harm.
        let bytes =
            String::from_utf8_lossy(&bytes).replace("schemaVersion", "version").into_bytes();
        if matches!(what, "null" | "no text" | "nothing") {
            continue;
        }
        let reference =
            stranger.artifact(&number.to_string(), bytes, media::RULESFILE_LAYER, layer.clone());
        refused(what, &install(&site, &reference), &["team/demo"]);
    }
    for bytes in [b"\xff\xfe".to_vec(), vec![b' '; 5 * 1024 * 1024]] {
        let reference = stranger.artifact("raw", bytes, media::RULESFILE_LAYER, layer.clone());
        refused("raw", &install(&site, &reference), &["team/demo"]);
    }
    assert!(!site.store().join("current").exists());
}

/// Writes a file of this host that must not be accepted; gives the answer of a command that reads it.
#[track_caller]
fn file(name: &str, documents: Vec<(&'static str, Vec<u8>)>, command: &[&str]) {
    let site = Site::new();
    let arguments = |site: &Site| -> Vec<String> {
        let all = site.install_arguments(command);
        all.into_iter().map(str::to_owned).collect()
    };
    for (what, bytes) in documents {
        fs::write(site.path(name), bytes).expect("document");
        let arguments = arguments(&site);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        refused(&format!("{name}: {what}"), &measured(&site, &arguments), &[name]);
    }
    let spaces = fs::File::create(site.path(name)).expect("document");
    std::io::copy(&mut std::io::Read::take(std::io::repeat(b' '), SPACES), &mut &spaces)
        .expect("spaces");
    let arguments = arguments(&site);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    refused(&format!("{name}: spaces"), &measured(&site, &arguments), &[name]);
    assert!(!site.store().join("current").exists());
}

#[test]
fn indexes() {
    file("index.yaml", bad_yaml(), &["install", "demo-rules", "--no-verify"]);
}

#[test]
fn policies() {
    file("trust.yaml", bad_yaml(), &["install", "127.0.0.1:1/team/demo:1"]);
}

#[test]
fn configuration_files() {
    file("eyas.yaml", bad_yaml(), &["install", "127.0.0.1:1/team/demo:1", "--no-verify"]);
}

#[test]
fn a_byte_order_mark_is_no_reason_to_refuse_a_configuration() {
    let site = Site::new();
    fs::write(site.path("eyas.yaml"), "\u{feff}logLevel: debug\n").expect("configuration");
    measured(&site, &["artifact", "list", "--index-file", "index.yaml"]).expect_code(0);
}

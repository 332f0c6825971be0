//! Documents: deep, wide, doubled, endless, or no text at all.

use std::fs;

use eyas_artifact::media;
use eyas_tests::stranger::{gzip, tar};
use eyas_tests::{Credentials, Entry, Finished, Gate, Registry, Site, Stranger, marker_rule};

use super::measured;

/// Bytes of a document that is nothing but space.
const SPACES: u64 = 100 * 1024 * 1024;

/// Base64 of what the gate wants to hear.
const GATE: &str = "cHVsbGVyOnNlY3JldA==";

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
fn lock_files() {
    let mut bad = bad_json();
    let entry = |name: &str, reference: &str, digest: &str| {
        format!(
            "{{\"name\":\"{name}\",\"type\":\"rulesfile\",\"version\":\"1.0.0\",\"reference\":\"{reference}\",\"digest\":\"{digest}\"}}"
        )
    };
    let lock = |entries: &[String]| {
        format!("{{\"format\":1,\"artifacts\":[{}]}}", entries.join(",")).into_bytes()
    };
    let digest = format!("sha256:{}", "0".repeat(64));
    let good = entry("demo", "127.0.0.1:1/team/demo:1", &digest);
    bad.extend([
        ("a path for a name", lock(&[entry("../../demo", "127.0.0.1:1/team/demo:1", &digest)])),
        ("no reference", lock(&[entry("demo", "demo", &digest)])),
        ("no digest", lock(&[entry("demo", "127.0.0.1:1/team/demo:1", "sha256:00")])),
        ("one twice", lock(&[good.clone(), good.clone()])),
        ("a newer form", br#"{"format":9,"artifacts":[]}"#.to_vec()),
        ("a field nobody knows", br#"{"format":1,"artifacts":[],"only":"x"}"#.to_vec()),
        ("a million artifacts", lock(&vec![good; 60_000])),
    ]);
    file("eyas.lock", bad, &["install", "--locked", "--no-verify"]);
}

#[test]
fn credential_files() {
    let auth = "c29tZWJvZHk6c2VjcmV0LW9mLXRoZS1maWxl";
    let mut bad = bad_json();
    // An empty file is how Docker leaves one, and what nobody knows is not ours to judge.
    bad.retain(|(what, _)| {
        !matches!(*what, "nothing" | "a number beyond all" | "a number of many digits")
            && !matches!(*what, "a lone surrogate" | "the same key twice" | "null")
    });
    let registries = |entry: &str| format!("{{\"auths\":{{\"HOST\":{entry}}}}}").into_bytes();
    bad.extend([
        ("no base64", registries("{\"auth\":\"secret-of-the-file\"}")),
        ("no colon", registries("{\"auth\":\"c2VjcmV0LW9mLXRoZS1maWxl\"}")),
        ("a list of registries", b"{\"auths\":[\"secret-of-the-file\"]}".to_vec()),
        ("a helper that is a path", b"{\"credsStore\":\"../../bin/sh\"}".to_vec()),
        ("cut", format!("{{\"auths\":{{\"HOST\":{{\"auth\":\"{auth}").into_bytes()),
    ]);
    // The file is read when a registry asks who is there.
    let (registry, site) = (Registry::embedded(), Site::new());
    let gate = Gate::before(&registry, Credentials::Basic);
    site.publish(&registry, "1.0.0", None, &[("a.yaml", &marker_rule("Good", "/eyas/test"))]);
    let reference = gate.reference("team/demo-rules:latest");
    fs::write(site.path("eyas.yaml"), "registry: {creds: {config: config.json}}\n")
        .expect("configuration");
    let mut large = vec![b' '; 2 * 1024 * 1024];
    large.extend(b"{}");
    bad.push(("a large file", large));
    for (what, bytes) in bad {
        let text = String::from_utf8_lossy(&bytes).replace("HOST", &gate.host());
        let bytes = if what == "no text" { bytes } else { text.into_bytes() };
        fs::write(site.path("config.json"), bytes).expect("credentials");
        let finished = install(&site, &reference);
        refused(&format!("credentials: {what}"), &finished, &["hint"]);
        assert!(!finished.stderr.contains("secret-of-the-file"), "{what}: {}", finished.stderr);
        assert!(!finished.stderr.contains(auth), "{what}: {}", finished.stderr);
    }
    let right = format!("{{\"auths\":{{\"{}\":{{\"auth\":\"{GATE}\"}}}}}}", gate.host());
    fs::write(site.path("config.json"), right).expect("credentials");
    install(&site, &reference).expect_code(0);
}

#[test]
fn a_byte_order_mark_is_no_reason_to_refuse_a_configuration() {
    let site = Site::new();
    fs::write(site.path("eyas.yaml"), "\u{feff}logLevel: debug\n").expect("configuration");
    measured(&site, &["artifact", "list", "--index-file", "index.yaml"]).expect_code(0);
}

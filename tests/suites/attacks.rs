//! What bad input gets: a short error in plain words with the offending value and what to do, an exit code by class,
//! nothing changed on disk, the old rules still active.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::thread;

use eyas_tests::{Finished, Registry, Site, marker_rule, run, skip};

/// Exit codes by class, as `docs/exit-codes.md` lists them.
const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const NETWORK: i32 = 4;
const VERIFICATION: i32 = 5;
const VALIDATION: i32 = 6;
const SENSOR: i32 = 7;
const STORAGE: i32 = 8;

fn rules(name: &str) -> String {
    marker_rule(name, "/eyas/test/marker")
}

/// A host with version 1.0.0 installed from a fresh embedded registry.
fn installed() -> (Registry, Site) {
    let registry = Registry::embedded();
    let site = Site::new();
    site.trust_key(&registry, "signer");
    site.publish(&registry, "1.0.0", Some("signer"), &[("demo.yaml", &rules("First"))]);
    site.install(&["demo-rules"]).expect_code(0);
    (registry, site)
}

/// Asserts class, message and that nothing changed.
#[track_caller]
fn refused(site: &Site, code: i32, texts: &[&str], attempt: impl FnOnce(&Site) -> Finished) {
    let before = site.snapshot();
    let finished = attempt(site);
    finished.expect_code(code).expect_stderr(texts);
    assert!(finished.stdout.is_empty(), "no data on stdout: {}", finished.stdout);
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    assert_eq!(before, site.snapshot(), "the store changed");
}

/// A server on loopback that gives the same answer to every request.
fn answering(status: &'static str, headers: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("free port");
    let address = listener.local_addr().expect("address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n{headers}\r\n"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address.to_string()
}

#[test]
fn wrong_reference() {
    let (_registry, site) = installed();
    refused(&site, USAGE, &["UPPER/Case::x"], |site| site.install(&["UPPER/Case::x"]));
}

#[test]
fn unknown_name() {
    let (_registry, site) = installed();
    refused(&site, NOT_FOUND, &["`demo-rulez`", "demo-rules"], |site| {
        site.install(&["demo-rulez"])
    });
}

#[test]
fn unknown_tag() {
    let (_registry, site) = installed();
    refused(&site, NOT_FOUND, &["7.7.7"], |site| site.install(&["demo-rules:7.7.7"]));
}

#[test]
fn nothing_listens() {
    let (_registry, site) = installed();
    let gone = eyas_tests::registry::free_address().to_string();
    refused(&site, NETWORK, &[&gone], |site| site.install(&[&format!("{gone}/team/x:1")]));
}

#[test]
fn registry_answers_with_errors() {
    let (_registry, site) = installed();
    for (status, headers, code, text) in [
        ("500 Internal Server Error", "Retry-After: 0\r\n", NETWORK, "500"),
        (
            "401 Unauthorized",
            "WWW-Authenticate: Basic realm=\"x\"\r\n",
            NETWORK,
            "a user and a password",
        ),
        ("403 Forbidden", "", NETWORK, "403"),
        ("404 Not Found", "", NOT_FOUND, "not found"),
        ("429 Too Many Requests", "Retry-After: 0\r\n", NETWORK, "too many requests"),
    ] {
        let host = answering(status, headers);
        refused(&site, code, &[&host, text], |site| site.install(&[&format!("{host}/team/x:1")]));
    }
}

#[test]
fn unsigned() {
    let (registry, site) = installed();
    site.publish(&registry, "1.1.0", None, &[("demo.yaml", &rules("Second"))]);
    refused(&site, VERIFICATION, &["no signature", "demo-rules"], |site| {
        site.install(&["demo-rules"])
    });
}

#[test]
fn wrong_key() {
    let (registry, site) = installed();
    site.keygen("stranger");
    site.publish(&registry, "1.1.0", Some("stranger"), &[("demo.yaml", &rules("Second"))]);
    refused(&site, VERIFICATION, &["demo-rules"], |site| site.install(&["demo-rules"]));
}

#[test]
fn no_policy_names_the_lines_to_add() {
    let (_registry, site) = installed();
    site.write_policy("version: 1\nrules: []\n");
    let lines = ["trust.yaml", "match:", "accept:"];
    refused(&site, VERIFICATION, &lines, |site| {
        site.install(&["demo-rules:1.0.0", "--allow-downgrade"])
    });
}

#[test]
fn malformed_policy() {
    let (_registry, site) = installed();
    site.write_policy("version: 1\nrulez: []\n");
    let before = site.snapshot();
    let finished = site.install(&["demo-rules"]);
    assert_ne!(finished.code(), 0);
    finished.expect_stderr(&["trust.yaml", "rulez"]);
    assert_eq!(before, site.snapshot());
}

#[test]
fn older_version() {
    let (registry, site) = installed();
    site.publish(&registry, "0.9.0", Some("signer"), &[("demo.yaml", &rules("Older"))]);
    let finished = site.install(&["demo-rules"]);
    assert_ne!(finished.code(), 0);
    finished.expect_stderr(&["0.9.0", "1.0.0", "--allow-downgrade"]);
    assert_eq!(site.generation()["entries"][0]["version"], "1.0.0");
    site.install(&["demo-rules", "--allow-downgrade"]).expect_code(0);
    assert_eq!(site.generation()["entries"][0]["version"], "0.9.0");
}

#[test]
fn rules_that_do_not_compile_name_the_place() {
    let (registry, site) = installed();
    let broken = "- rule: Broken one\n  desc: d\n  condition: evt.type = open and no.such.field = 1\n  output: o\n  priority: INFO\n";
    site.publish(&registry, "1.1.0", Some("signer"), &[("broken.yaml", broken)]);
    let texts = ["broken.yaml:3:", "no.such.field", "Broken one"];
    refused_allowing_blobs(&site, VALIDATION, &texts);
}

/// Like [`refused`] for refusals after the transfer: fetched blobs may stay as a cache, what is active may not change.
#[track_caller]
fn refused_allowing_blobs(site: &Site, code: i32, texts: &[&str]) {
    let generation = site.generation();
    let link = fs::read_link(site.store().join("current")).expect("current");
    site.install(&["demo-rules"]).expect_code(code).expect_stderr(texts);
    assert_eq!(site.generation(), generation);
    assert_eq!(fs::read_link(site.store().join("current")).expect("current"), link);
}

#[test]
fn a_bundle_that_breaks_another_one() {
    let (registry, site) = installed();
    let text = "- macro: shared_name\n  condition: (evt.type = open and\n";
    site.publish(&registry, "1.1.0", Some("signer"), &[("demo.yaml", text)]);
    refused_allowing_blobs(&site, VALIDATION, &["demo.yaml"]);
}

#[test]
fn rules_whose_cases_do_not_hold() {
    let (registry, site) = installed();
    site.write_policy(&format!(
        "version: 1\nrules:\n  - match: \"{}/**\"\n    rule-cases: required\n    accept:\n      - key: {{file: signer.pub}}\n",
        registry.host()
    ));
    let case = |path: &str| {
        format!(
            "- case: the marker is opened\n  event: openat\n  fields: {{fd.name: {path}}}\n  matches: Second\n"
        )
    };
    let publish = |version: &str, files: &[(&str, &str)]| {
        site.publish(&registry, version, Some("signer"), files);
    };
    let demo = ("demo.yaml", &*rules("Second"));
    publish("1.1.0", &[demo]);
    refused_allowing_blobs(&site, VALIDATION, &["`demo-rules`", "has none", "`.cases`"]);
    publish("1.2.0", &[demo, ("demo.cases", &case("/eyas/test/another"))]);
    refused_allowing_blobs(
        &site,
        VALIDATION,
        &["1 of 1 cases of `demo-rules` do not hold", "demo.cases:1", "the marker is opened"],
    );
    publish("1.3.0", &[demo, ("demo.cases", "- case: [\n")]);
    refused_allowing_blobs(&site, VALIDATION, &["demo-rules/demo.cases:"]);
    publish("1.4.0", &[demo, ("demo.cases", &case("/eyas/test/marker"))]);
    let before = site.generation();
    site.install(&["demo-rules"]).expect_code(0);
    assert_ne!(site.generation(), before);
}

/// Flips one byte of every file whose digest is not that of a manifest that is tagged.
fn corrupt_layers(folder: &Path) -> usize {
    let mut changed = 0;
    for entry in fs::read_dir(folder).expect("blobs").flatten() {
        let path = entry.path();
        let mut bytes = fs::read(&path).expect("blob");
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let at = bytes.len() / 2;
            bytes[at] ^= 0xff;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("writable");
            fs::write(&path, bytes).expect("corrupted");
            changed += 1;
        }
    }
    changed
}

#[test]
fn corrupt_blob_and_tampered_manifest() {
    let layout = tempfile::tempdir().expect("folder");
    let registry = Registry::embedded_at(layout.path());
    let site = Site::new();
    site.trust_key(&registry, "signer");
    site.publish(&registry, "1.0.0", Some("signer"), &[("demo.yaml", &rules("First"))]);
    let blobs = layout.path().join("blobs/sha256");
    assert!(corrupt_layers(&blobs) > 0, "there is a layer to corrupt");
    let finished = site.install(&["demo-rules"]);
    assert!([NETWORK, VERIFICATION].contains(&finished.code()), "{}", finished.stderr);
    finished.expect_stderr(&["sha256:"]);
    assert!(!site.store().join("current").exists(), "nothing was activated");

    for entry in fs::read_dir(&blobs).expect("blobs").flatten() {
        let path = entry.path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        if text.contains("\"layers\"") && text.contains("rulesfile") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("writable");
            fs::write(&path, text.replace("schemaVersion\":2", "schemaVersion\": 2"))
                .expect("tampered");
        }
    }
    let finished = site.install(&["demo-rules"]);
    assert!([NETWORK, VERIFICATION].contains(&finished.code()), "{}", finished.stderr);
    assert!(!site.store().join("current").exists(), "nothing was activated");
}

#[test]
fn malformed_index() {
    let (_registry, site) = installed();
    for (text, told) in [
        ("- name: a\n  type: [\n", "index.yaml"),
        ("- null\n", "index.yaml"),
        ("- name: demo-rules\n  type: rulesfile\n", "registry"),
    ] {
        fs::write(site.path("index.yaml"), text).expect("index");
        let before = site.snapshot();
        let finished = site.install(&["demo-rules"]);
        assert_ne!(finished.code(), 0);
        finished.expect_stderr(&[told]);
        assert_eq!(before, site.snapshot());
    }
}

#[test]
fn no_sensor_is_said_and_can_be_required() {
    let (registry, site) = installed();
    site.publish(&registry, "1.1.0", Some("signer"), &[("demo.yaml", &rules("Second"))]);
    refused_by_sensor(&site, &["control.sock"]);
    site.install(&["demo-rules"]).expect_code(0).expect_stderr(&["control.sock"]);
    assert_eq!(site.generation()["entries"][0]["version"], "1.1.0");
}

/// With `--require-sensor` the generation goes back to what was active before.
#[track_caller]
fn refused_by_sensor(site: &Site, texts: &[&str]) {
    let before = site.generation()["entries"].clone();
    site.install(&["demo-rules", "--require-sensor"]).expect_code(SENSOR).expect_stderr(texts);
    assert_eq!(site.generation()["entries"], before);
}

#[test]
fn a_socket_that_does_not_speak_our_protocol() {
    let (registry, site) = installed();
    let listener = UnixListener::bind(site.path("control.sock")).expect("socket");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"SSH-2.0-other\r\n");
        }
    });
    site.publish(&registry, "1.1.0", Some("signer"), &[("demo.yaml", &rules("Second"))]);
    refused_by_sensor(&site, &["control.sock"]);
}

#[test]
fn a_plain_file_where_the_socket_should_be() {
    let (registry, site) = installed();
    fs::write(site.path("control.sock"), "not a socket").expect("file");
    site.publish(&registry, "1.1.0", Some("signer"), &[("demo.yaml", &rules("Second"))]);
    refused_by_sensor(&site, &["control.sock"]);
}

#[test]
fn a_store_that_cannot_be_written() {
    let registry = Registry::embedded();
    let site = Site::new();
    site.trust_key(&registry, "signer");
    site.publish(&registry, "1.0.0", Some("signer"), &[("demo.yaml", &rules("First"))]);
    fs::write(site.path("store"), "a file where the store should be").expect("file");
    site.install(&["demo-rules"]).expect_code(STORAGE).expect_stderr(&["store"]);
}

/// Runs `artifact install` with a file system of the script's making mounted on the store, in a mount namespace of
/// its own. `None`, said aloud, where such a mount is not permitted.
fn install_on(site: &Site, test: &str, mount: &str) -> Option<Finished> {
    fs::create_dir_all(site.store()).expect("store folder");
    let inner = site.eyas(&site.install_arguments(&["install", "demo-rules"]));
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &format!("{mount} || exit 99; exec \"$@\""), "sh"]);
    command.arg(inner.get_program()).args(inner.get_args());
    command
        .env_clear()
        .env("HOME", site.folder())
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir(site.folder());
    let finished = run(&mut command);
    if finished.code() == 99 || finished.stderr.starts_with("unshare:") {
        skip(test, &format!("no mount namespace here: {}", finished.stderr.trim()));
        return None;
    }
    Some(finished)
}

#[test]
fn full_disk() {
    let registry = Registry::embedded();
    let site = Site::new();
    site.trust_key(&registry, "signer");
    let numbers: Vec<String> =
        (0..40_000).map(|number| (number * 7919 % 10_007).to_string()).collect();
    let filler = format!("# {}\n", numbers.join("\n# "));
    site.publish(&registry, "1.0.0", Some("signer"), &[("demo.yaml", &(rules("First") + &filler))]);
    let mount = "mount -t tmpfs -o size=128k tmpfs store";
    let Some(finished) = install_on(&site, "attacks::full_disk", mount) else { return };
    finished.expect_code(STORAGE).expect_stderr(&["space", "store"]);
}

#[test]
fn read_only_target() {
    let registry = Registry::embedded();
    let site = Site::new();
    site.trust_key(&registry, "signer");
    site.publish(&registry, "1.0.0", Some("signer"), &[("demo.yaml", &rules("First"))]);
    let mount = "mount -t tmpfs -o ro tmpfs store";
    let Some(finished) = install_on(&site, "attacks::read_only", mount) else { return };
    finished.expect_code(STORAGE).expect_stderr(&["read-only", "store"]);
}

//! Indexes that have to be signed: the bundle beside an index, and what its entries may say.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use eyas_artifact::Digest;
use eyas_tests::{Registry, Site, both_registries, marker_rule, run};

const VERIFICATION: i32 = 5;

/// A signed artifact in an index, and a policy with a rule about the index.
fn stage(rule: &str, signatures: &str) -> (Registry, Site) {
    let (registry, site) = (Registry::embedded(), Site::new());
    site.keygen("indexer");
    site.publish(&registry, "1.0.0", Some("signer"), &[("demo.yaml", &marker_rule("A", "/x"))]);
    let rules = rule.replace("HOST", &registry.host());
    site.write_policy(&format!(
        "version: 1\nrules:\n{rules}\nindexes:\n  - index: index.yaml\n    accept: [{{key: {{file: indexer.pub}}}}]\n    signatures: {signatures}\n"
    ));
    (registry, site)
}

fn sign(site: &Site, key: &str) {
    site.run(&["sign", "--file", "index.yaml", "--key", key]).expect_code(0);
}

const BY_KEY: &str = "  - match: 'HOST/**'\n    accept: [{key: {file: signer.pub}}]";

#[test]
fn an_index_with_a_rule_has_to_be_signed_by_whom_the_rule_names() {
    let (_registry, site) = stage(BY_KEY, "ignored");
    let refused = |texts: &[&str]| {
        let before = site.snapshot();
        site.install(&["demo-rules"]).expect_code(VERIFICATION).expect_stderr(texts);
        assert_eq!(site.snapshot(), before, "the store changed");
    };
    refused(&["index.yaml", "has no signature"]);
    sign(&site, "signer");
    refused(&["failed at signature"]);
    sign(&site, "indexer");
    let signed = fs::read(site.path("index.yaml.sigstore.json")).expect("a bundle");
    site.install(&["demo-rules"]).expect_code(0);
    // Whatever changes in the index is noticed.
    let text = fs::read_to_string(site.path("index.yaml")).expect("an index");
    fs::write(site.path("index.yaml"), format!("{text}\n")).expect("changed");
    refused(&["failed at binding"]);
    fs::write(site.path("index.yaml"), &text).expect("put back");
    fs::write(site.path("index.yaml.sigstore.json"), &signed[..signed.len() / 2]).expect("cut");
    refused(&["failed at format"]);
}

const SIGNED: [&str; 2] = ["index.yaml", "index.yaml.sigstore.json"];

/// A site with a signed index that was accepted, and the same index as it was signed before.
fn superseded() -> (Registry, Site, [Vec<u8>; 2]) {
    let (registry, site) = stage(BY_KEY, "ignored");
    sign(&site, "indexer");
    let first = SIGNED.map(|file| fs::read(site.path(file)).expect("there"));
    site.install(&["demo-rules"]).expect_code(0);
    // Signing times have whole seconds.
    thread::sleep(Duration::from_millis(1100));
    site.publish(&registry, "1.1.0", Some("signer"), &[("demo.yaml", &marker_rule("B", "/x"))]);
    sign(&site, "indexer");
    site.install(&["demo-rules"]).expect_code(0);
    (registry, site, first)
}

fn put(site: &Site, kept: &[Vec<u8>; 2]) {
    for (file, bytes) in SIGNED.iter().zip(kept) {
        fs::write(site.path(file), bytes).expect("written");
    }
}

/// Where the store notes when the index was signed.
fn note(site: &Site) -> PathBuf {
    let notes = fs::read_dir(site.store().join("indexes")).expect("notes").flatten();
    let mut notes = notes.map(|entry| entry.path());
    let is_note = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
    notes.find(is_note).expect("a note")
}

const OLDER: [&str; 3] = ["index `index` was signed at", "accepted before", "may be replayed"];

#[test]
fn an_older_signed_index_is_not_taken_for_the_present_one() {
    let (_registry, site, first) = superseded();
    let second = SIGNED.map(|file| fs::read(site.path(file)).expect("there"));
    let before = site.snapshot();
    put(&site, &first);
    // What is in a cache may go at any time.
    fs::remove_dir_all(site.path("cache")).ok();
    site.install(&["demo-rules"]).expect_code(VERIFICATION).expect_stderr(&OLDER);
    let verify = ["artifact", "verify", "demo-rules", "--policy", "trust.yaml", "--plain-http"];
    site.run(&[&verify[..], &["--index-file", "index.yaml"]].concat())
        .expect_code(VERIFICATION)
        .expect_stderr(&OLDER);
    // A note that is spoilt is not taken for none, and it is said what to do.
    let note = note(&site);
    let kept = fs::read(&note).expect("a note");
    for spoilt in ["soon", "", r#"{"index":"x","signed_at":"2026-01-01T00:00:00Z"}"#] {
        fs::write(&note, spoilt).expect("spoilt");
        let told = ["index `index`", "store/indexes/", "is damaged", "then remove"];
        site.install(&["demo-rules"]).expect_code(8).expect_stderr(&told);
        assert_eq!(fs::read_to_string(&note).expect("there"), spoilt, "it was written over");
    }
    fs::write(&note, kept).expect("put back");
    // The newest stays usable.
    put(&site, &second);
    site.install(&["demo-rules"]).expect_code(0);
    assert_eq!(site.snapshot(), before, "the store changed");
}

#[test]
fn an_index_that_is_removed_and_added_again_is_remembered() {
    let (_registry, site, first) = superseded();
    let address = format!("file://{}", site.path("index.yaml").display());
    site.run(&["index", "add", "mine", &address]).expect_code(0);
    site.run(&["index", "remove", "mine"]).expect_code(0);
    put(&site, &first);
    site.run(&["index", "add", "other", &address]).expect_code(0);
    let text = fs::read_to_string(site.path("trust.yaml")).expect("a policy");
    site.write_policy(&text.replace("index: index.yaml", "index: other"));
    let install = ["artifact", "install", "demo-rules", "--policy", "trust.yaml", "--plain-http"];
    let refused = site.run(&[&install[..], &["--no-reload"]].concat());
    refused.expect_code(VERIFICATION).expect_stderr(&["index `other` was signed at", OLDER[2]]);
    // Whoever means it says so.
    fs::remove_file(note(&site)).expect("removed");
    site.run(&[&install[..], &["--no-reload"]].concat()).expect_code(0);
}

#[test]
fn what_an_earlier_version_noted_in_the_cache_is_carried_over() {
    let (_registry, site, first) = superseded();
    let second = SIGNED.map(|file| fs::read(site.path(file)).expect("there"));
    let noted: serde_json::Value =
        serde_json::from_slice(&fs::read(note(&site)).expect("a note")).expect("JSON");
    let signed_at = noted["signed_at"].as_str().expect("a time");
    fs::remove_dir_all(site.store().join("indexes")).expect("removed");
    let path = site.path("index.yaml").canonicalize().expect("there");
    let mark: String =
        Digest::sha256(format!("file://{}", path.display())).hex().chars().take(16).collect();
    let former = site.path(&format!("cache/indexes/index-{mark}.newest"));
    fs::create_dir_all(former.parent().expect("a folder")).expect("made");
    fs::write(&former, format!("{signed_at}\n")).expect("written");
    put(&site, &first);
    let told = [&OLDER[..], &["cache/indexes/index-"]].concat();
    site.install(&["demo-rules"]).expect_code(VERIFICATION).expect_stderr(&told);
    put(&site, &second);
    fs::write(&former, "soon").expect("spoilt");
    let told = ["is damaged", "`soon`", "cache/indexes/index-"];
    site.install(&["demo-rules"]).expect_code(8).expect_stderr(&told);
    fs::write(&former, format!("{signed_at}\n")).expect("written");
    site.install(&["demo-rules"]).expect_code(0);
    assert!(!former.exists(), "it is carried over once");
    assert!(note(&site).exists());
    put(&site, &first);
    site.install(&["demo-rules"]).expect_code(VERIFICATION).expect_stderr(&OLDER);
}

#[test]
fn a_signed_index_that_moves_a_name_does_not_move_what_is_installed() {
    let (registry, site) = stage(BY_KEY, "ignored");
    sign(&site, "indexer");
    site.install(&["demo-rules"]).expect_code(0);
    let before = site.snapshot();
    // The same name and a higher version, by an accepted signer, from elsewhere.
    fs::write(site.path("there.yaml"), marker_rule("There", "/x")).expect("rules");
    let reference = registry.reference("other/demo-rules:1.1.0");
    let push = ["registry", "push", &reference, "there.yaml", "--type", "rulesfile"];
    let more = ["--version", "1.1.0", "--name", "demo-rules", "--plain-http"];
    let signed = ["--sign-key", "signer", "--tag", "latest"];
    site.run(&[&push[..], &more[..], &signed[..]].concat()).expect_code(0);
    let text = fs::read_to_string(site.path("index.yaml")).expect("an index");
    assert!(text.contains("team/demo-rules"), "{text}");
    let moved = text.replace("team/demo-rules", "other/demo-rules");
    fs::write(site.path("index.yaml"), moved).expect("written");
    sign(&site, "indexer");
    let told = ["other/demo-rules", "--allow-other-repository"];
    for more in [&[][..], &["--allow-downgrade"]] {
        let asked = [&["demo-rules"], more].concat();
        site.install(&asked).expect_code(VERIFICATION).expect_stderr(&told);
    }
    assert_eq!(site.snapshot(), before, "the store changed");
}

#[test]
fn a_signed_child_of_an_unsigned_index_is_no_way_around_the_index() {
    let (_registry, site) = stage(BY_KEY, "honoured");
    let refused = || {
        let told = ["index.yaml", "has no signature"];
        site.install(&["demo-rules"]).expect_code(VERIFICATION).expect_stderr(&told);
    };
    refused();
    // A bundle by the key of what it lists is not one by the key of the index.
    sign(&site, "signer");
    let told = ["failed at signature"];
    site.install(&["demo-rules"]).expect_code(VERIFICATION).expect_stderr(&told);
    fs::remove_file(site.path("index.yaml.sigstore.json")).expect("removed");
    refused();
    assert!(!site.store().exists() || site.snapshot().is_empty(), "something was installed");
}

#[test]
fn entries_speak_for_signatures_only_where_a_signed_index_may() {
    // No rule is about the repository: only the index says who signs.
    for (signatures, accepted) in [("ignored", false), ("honoured", true)] {
        let (_registry, site) =
            stage("  - match: other.example/x\n    insecure: accept unsigned", signatures);
        sign(&site, "indexer");
        let finished = site.install(&["demo-rules"]);
        if accepted {
            finished.expect_code(0);
        } else {
            finished.expect_code(VERIFICATION).expect_stderr(&["no rule of"]);
        }
    }
}

/// A site whose one index is in the registry, and a policy in which only the rule about it speaks of signers.
fn in_registry(registry: &Registry, rule: &str) -> Site {
    let site = Site::new();
    site.keygen("indexer");
    site.publish(registry, "1.0.0", Some("signer"), &[("demo.yaml", &marker_rule("A", "/x"))]);
    let text = fs::read_to_string(site.path("index.yaml")).expect("an index");
    let text =
        text.replace("key: signer.pub", &format!("key: {}", site.path("signer.pub").display()));
    fs::write(site.path("index.yaml"), text).expect("written");
    let address = format!("oci://{}", registry.reference("team/index:1"));
    fs::write(
        site.path("eyas.yaml"),
        format!("registry: {{plainHttp: true}}\nindexes:\n  - {{name: ours, url: '{address}'}}\n"),
    )
    .expect("written");
    let rule = rule.replace("ADDRESS", &address).replace("HOST", &registry.host());
    site.write_policy(&format!("version: 1\n{rule}"));
    site
}

fn push_index(site: &Site, registry: &Registry, key: Option<&str>) {
    let reference = registry.reference("team/index:1");
    let push = ["registry", "push", &reference, "index.yaml", "--type", "index"];
    let signed = key.map(|key| ["--sign-key", key]);
    site.run(&[&push[..], signed.as_ref().map_or(&[][..], |words| &words[..])].concat())
        .expect_code(0);
}

fn install_by_name(site: &Site) -> eyas_tests::Finished {
    let install = ["artifact", "install", "demo-rules", "--policy", "trust.yaml", "--no-reload"];
    site.run(&install)
}

const HONOURED: &str = "indexes:\n  - index: ADDRESS\n    accept: [{key: {file: indexer.pub}}]\n    signatures: honoured\n";

#[test]
fn entries_of_a_signed_index_in_a_registry_speak_for_signatures() {
    both_registries("sigstore::indexes::in_a_registry", |registry| {
        let site = in_registry(registry, HONOURED);
        let refused = |told: &[&str]| {
            install_by_name(&site).expect_code(VERIFICATION).expect_stderr(told);
            assert!(site.snapshot().is_empty(), "something was installed");
        };
        push_index(&site, registry, None);
        refused(&["team/index", "has no signature"]);
        // Who signs what it lists is not who signs the index.
        push_index(&site, registry, Some("signer"));
        refused(&["team/index", "failed at signature"]);
        push_index(&site, registry, Some("indexer"));
        install_by_name(&site).expect_code(0);
        assert!(note(&site).exists(), "an older one could be replayed");
        // The same index, which may not speak.
        let site = in_registry(registry, &HONOURED.replace("honoured", "ignored"));
        push_index(&site, registry, Some("indexer"));
        install_by_name(&site).expect_code(VERIFICATION).expect_stderr(&["no rule of"]);
    });
}

#[test]
fn an_index_in_a_registry_is_held_to_both_rules() {
    let registry = Registry::embedded();
    let rules = "rules:\n  - match: HOST/team/index\n    accept: [{key: {file: signer.pub}}]\n";
    let site = in_registry(&registry, &format!("{rules}{HONOURED}"));
    push_index(&site, &registry, Some("indexer"));
    install_by_name(&site).expect_code(VERIFICATION).expect_stderr(&["failed at signature"]);
    let reference = registry.reference("team/index:1");
    thread::sleep(Duration::from_millis(1100));
    site.run(&["sign", &reference, "--key", "signer"]).expect_code(0);
    // One signed later than the other: neither makes the index older than itself.
    install_by_name(&site).expect_code(0);
    install_by_name(&site).expect_code(0);
    // Nor is a digest that the policy revokes, of the document itself.
    let digest = Digest::sha256(fs::read(site.path("index.yaml")).expect("an index"));
    let text = fs::read_to_string(site.path("trust.yaml")).expect("a policy");
    let revoked = format!("version: 1\nrevoked: [{{digest: '{digest}'}}]\n");
    site.write_policy(&text.replace("version: 1\n", &revoked));
    install_by_name(&site).expect_code(VERIFICATION).expect_stderr(&["revoke"]);
}

#[test]
fn an_older_index_in_a_registry_is_not_taken_for_the_present_one() {
    let registry = Registry::embedded();
    let site = in_registry(&registry, HONOURED);
    let old = fs::read(site.path("index.yaml")).expect("an index");
    push_index(&site, &registry, Some("indexer"));
    let reference = registry.reference("team/index:1");
    install_by_name(&site).expect_code(0);
    thread::sleep(Duration::from_millis(1100));
    fs::write(site.path("index.yaml"), [&old[..], b"\n"].concat()).expect("written");
    push_index(&site, &registry, Some("indexer"));
    install_by_name(&site).expect_code(0);
    // The tag goes back to what it pointed at, signature and all: pushing the same again signs nothing new.
    fs::write(site.path("index.yaml"), &old).expect("written");
    let push = ["registry", "push", &reference, "index.yaml", "--type", "index"];
    site.run(&push).expect_code(0);
    let refused = install_by_name(&site);
    refused.expect_code(VERIFICATION).expect_stderr(&["index `ours` was signed at", OLDER[2]]);
}

#[test]
fn of_two_indexes_of_one_name_neither_speaks_for_the_other() {
    let (registry, site) = (Registry::embedded(), Site::new());
    site.keygen("indexer");
    site.publish(&registry, "1.0.0", Some("signer"), &[("demo.yaml", &marker_rule("A", "/x"))]);
    // The accepted one lists nothing; the other, which nobody signed, says whom to accept.
    fs::create_dir(site.path("good")).expect("made");
    fs::write(site.path("good/index.yaml"), "[]\n").expect("written");
    site.run(&["sign", "--file", "good/index.yaml", "--key", "indexer"]).expect_code(0);
    let address = site.path("good/index.yaml").display().to_string();
    site.write_policy(&format!(
        "version: 1\nrules: []\nindexes:\n  - index: file://{address}\n    accept: [{{key: {{file: indexer.pub}}}}]\n    signatures: honoured\n"
    ));
    let install = ["artifact", "install", "demo-rules", "--policy", "trust.yaml", "--plain-http"];
    let both = ["--index-file", &address, "--index-file", "index.yaml", "--no-reload"];
    let refused = site.run(&[&install[..], &both[..]].concat());
    refused.expect_code(VERIFICATION).expect_stderr(&["no rule of"]);
}

/// Serves the files of a folder as objects of the bucket `box`.
fn storage(folder: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let host = listener.local_addr().expect("an address").to_string();
    let folder = folder.to_owned();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
            let asked = lines.next().and_then(Result::ok).unwrap_or_default();
            while lines.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
            let key = asked.split(' ').nth(1).and_then(|path| path.strip_prefix("/box/"));
            let found = key.and_then(|key| fs::read(folder.join(key)).ok());
            let status = if found.is_some() { "200 OK" } else { "404 Not Found" };
            let body = found.unwrap_or_default();
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    format!("http://{host}")
}

#[test]
fn an_index_in_the_storage_of_a_cloud_has_its_bundle_beside_it() {
    let (_registry, site) = stage(BY_KEY, "ignored");
    let endpoint = storage(site.folder());
    let text = "indexes:\n  - {name: index.yaml, url: 's3://box/index.yaml'}\n";
    fs::write(site.path("eyas.yaml"), text).expect("written");
    let install = ["artifact", "install", "demo-rules", "--policy", "trust.yaml", "--plain-http"];
    let install = || {
        let mut command = site.eyas(&[&install[..], &["--no-reload"]].concat());
        run(command.env("AWS_ENDPOINT_URL_S3", &endpoint))
    };
    install().expect_code(VERIFICATION).expect_stderr(&["has no signature"]);
    sign(&site, "indexer");
    install().expect_code(0);
}

#[test]
fn an_unsigned_child_of_a_signed_index_is_refused() {
    let (registry, site) = stage(BY_KEY, "honoured");
    site.publish(&registry, "1.1.0", None, &[("demo.yaml", &marker_rule("B", "/x"))]);
    sign(&site, "indexer");
    site.install(&["demo-rules"]).expect_code(VERIFICATION).expect_stderr(&["has no signature"]);
}

#[test]
fn a_key_behind_a_command_signs_and_verifies() {
    let (registry, site) = (Registry::embedded(), Site::new());
    let Some(openssl) = eyas_tests::peer("OPENSSL") else {
        eyas_tests::skip("sigstore::indexes::command", "openssl is not installed");
        return;
    };
    // The digest comes on standard input; `pkeyutl` signs it as it is.
    let script = format!(
        "#!/bin/sh\ncase $1 in\n  public-key) cat {0}.pub;;\n  sign) exec {1} pkeyutl -sign -inkey {0};;\nesac\n",
        site.path("signer").display(),
        openssl.display()
    );
    let command = site.path("kms");
    fs::write(site.path("kms.txt"), script).expect("written");
    // Another process writes what is run, so that nobody has it open.
    let copied = std::process::Command::new("cp").arg(site.path("kms.txt")).arg(&command).status();
    assert!(copied.expect("cp runs").success());
    fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).expect("executable");
    let command = command.display().to_string();
    site.publish(&registry, "1.0.0", None, &[("demo.yaml", &marker_rule("A", "/x"))]);
    let reference = registry.reference("team/demo-rules:1.0.0");
    site.run(&["sign", &reference, "--plain-http", "--key-command", &command]).expect_code(0);
    site.write_policy(&format!(
        "version: 1\nrules:\n  - match: '{}/**'\n    accept: [{{key: {{command: ['{command}']}}}}]\n",
        registry.host()
    ));
    site.install(&["demo-rules"]).expect_code(0);
    site.run(&["sign", &reference, "--plain-http", "--key-command", "/nowhere/kms"])
        .expect_code(2)
        .expect_stderr(&["/nowhere/kms"]);
}

#[test]
fn what_is_trusted_is_shown_added_and_tested() {
    let (registry, site) = (Registry::embedded(), Site::new());
    site.publish(&registry, "1.0.0", Some("signer"), &[("demo.yaml", &marker_rule("A", "/x"))]);
    let reference = registry.reference("team/demo-rules:1.0.0");
    let trial = ["trust", "test", &reference, "--policy", "trust.yaml", "--plain-http"];
    site.write_policy("# ours\nversion: 1\nrules: []\n");
    let finished = site.run(&trial);
    finished.expect_code(VERIFICATION).expect_stderr(&["1 of 1 references would be refused"]);
    assert!(finished.stdout.contains("no rule of"), "{}", finished.stdout);
    let pattern = format!("{}/team/*", registry.host());
    let add = ["trust", "add", &pattern, "--key", "signer.pub", "--policy", "trust.yaml"];
    site.run(&add).expect_code(0);
    site.run(&add).expect_code(2).expect_stderr(&["already has the rule"]);
    let text = fs::read_to_string(site.path("trust.yaml")).expect("a policy");
    assert!(text.starts_with("# ours\n") && text.contains("fingerprint: \"sha256:"), "{text}");
    site.run(&trial).expect_code(0);
    let show = site.run(&["trust", "show", "--policy", "trust.yaml"]);
    assert!(show.expect_code(0).stdout.contains(&pattern), "{}", show.stdout);
    // A version that an install would refuse is refused here too.
    fs::write(
        site.path("trust.yaml"),
        text.replace("    accept:", "    minimum-version: 9.0.0\n    accept:"),
    )
    .expect("written");
    let finished = site.run(&trial);
    finished.expect_code(VERIFICATION);
    assert!(finished.stdout.contains("at least `9.0.0`"), "{}", finished.stdout);
    fs::write(site.path("trust.yaml"), &text).expect("written");
    // The key file is swapped: the pinned fingerprint notices.
    site.keygen("stranger");
    fs::copy(site.path("stranger.pub"), site.path("signer.pub")).expect("swapped");
    site.install(&["demo-rules"])
        .expect_code(2)
        .expect_stderr(&["signer.pub", "expected `sha256:"]);
}

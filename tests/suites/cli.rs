//! The distribution path through the real binary, on the embedded registry and on Debian's.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use eyas_tests::programs::shared;
use eyas_tests::{Finished, Registry, Site, both_registries, eyas, marker_rule, peer, run, skip};
use serde_json::Value;

const FIRST: &str = "Marker one opened";
const SECOND: &str = "Marker two opened";

fn rules(name: &str) -> String {
    marker_rule(name, "/eyas/test/marker")
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", finished.stdout))
}

/// A host that trusts `signer` for this registry, with version 1.0.0 of `demo-rules` published.
fn site_with_rules(registry: &Registry) -> Site {
    let site = Site::new();
    site.trust_key(registry, "signer");
    site.publish(registry, "1.0.0", Some("signer"), &[("demo.yaml", &rules(FIRST))]);
    site
}

#[test]
fn installs_what_is_signed_and_records_why() {
    both_registries("cli::installs", |registry| {
        let site = site_with_rules(registry);
        let finished = site.install(&["demo-rules"]);
        finished.expect_code(0);
        let generation = site.generation();
        let entry = &generation["entries"][0];
        assert_eq!(entry["name"], "demo-rules", "{generation}");
        assert_eq!(entry["version"], "1.0.0");
        assert!(
            entry["manifest_digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")),
            "{entry}"
        );
        assert!(!entry["signer"].is_null(), "the signer is recorded: {entry}");
        let installed = site.store().join("current/rules/demo-rules/demo.yaml");
        assert_eq!(fs::read_to_string(installed).expect("installed file"), rules(FIRST));
    });
}

#[test]
fn a_second_install_of_the_same_changes_nothing() {
    both_registries("cli::again", |registry| {
        let site = site_with_rules(registry);
        site.install(&["demo-rules"]).expect_code(0);
        let before = site.generation();
        site.install(&["demo-rules"]).expect_code(0);
        assert_eq!(site.generation(), before);
    });
}

#[test]
fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let registry = Registry::embedded();
    let site = site_with_rules(&registry);
    let before = site.snapshot();
    let finished = site.install(&["demo-rules", "--dry-run"]);
    finished.expect_code(0);
    assert!(finished.stdout.contains("demo-rules"), "{}", finished.stdout);
    assert_eq!(site.snapshot(), before);
}

/// All files of a folder with their content, those of locks aside.
fn everything(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let (path, kind) = (entry.path(), entry.file_type().expect("a type"));
            if kind.is_dir() {
                // An empty one is a change too.
                files.insert(path.clone(), Vec::new());
                folders.push(path);
            } else if kind.is_file() && entry.file_name() != "lock" {
                files.insert(path.clone(), fs::read(&path).expect("a file"));
            }
        }
    }
    files
}

#[test]
fn a_plan_changes_nothing_on_disk_and_in_the_registry() {
    let layout = tempfile::tempdir().expect("a folder");
    let registry = Registry::embedded_at(layout.path());
    let site = site_with_rules(&registry);
    let (host, reference) = (registry.host(), registry.reference("team/demo-rules:1.0.0"));
    let index = registry.reference("team/index:latest");
    fs::write(site.path("predicate.json"), "{}").expect("written");
    fs::write(site.path("password"), "secret").expect("written");
    let root = eyas_tests::sigstore::Sigstore::start().trusted_root().to_string();
    fs::write(site.path("root.json"), root).expect("written");
    let logins = format!(r#"{{"auths":{{"{host}":{{"auth":"bWU6cHc="}}}}}}"#);
    fs::create_dir_all(site.path(".docker")).expect("made");
    fs::write(site.path(".docker/config.json"), logins).expect("written");
    let (plain, quiet) = (["--plain-http"], [""; 0]);
    let cases: [(&str, Vec<&str>, &[&str], &str); 16] = [
        ("keygen", vec!["registry", "keygen", "new"], &quiet, "new.pub"),
        ("pull", vec!["registry", "pull", &reference, "-o", "out"], &plain, "out/"),
        (
            "push an index",
            vec!["registry", "push", &index, "index.yaml", "--type", "index"],
            &plain,
            "team/index@sha256:",
        ),
        ("sign", vec!["sign", &reference, "--key", "signer"], &plain, "sha256:"),
        (
            "sign in both forms",
            vec!["sign", &reference, "--key", "signer", "--form", "both"],
            &plain,
            ".sig",
        ),
        (
            "sign a file",
            vec!["sign", "--file", "index.yaml", "--key", "signer"],
            &quiet,
            "index.yaml.sigstore.json",
        ),
        (
            "attest",
            vec![
                "attest",
                &reference,
                "--type",
                "rule-tests",
                "--predicate",
                "predicate.json",
                "--key",
                "signer",
            ],
            &plain,
            "rule-tests",
        ),
        (
            "trust a key",
            vec!["trust", "add", "x.example/**", "--key", "signer.pub"],
            &["--policy", "trust.yaml"],
            "x.example",
        ),
        (
            "trust an identity",
            vec![
                "trust",
                "add",
                "x.example/**",
                "--identity",
                "i",
                "--issuer",
                "https://x.example",
            ],
            &["--policy", "new.yaml"],
            "new.yaml",
        ),
        (
            "trust a root",
            vec!["trust", "add", "--trusted-root", "root.json", "--name", "corp"],
            &["--policy", "trust.yaml"],
            "roots/corp.json",
        ),
        (
            "basic",
            vec!["registry", "auth", "basic", &host, "-u", "me", "-p", "pw"],
            &plain,
            ".docker/config.json",
        ),
        (
            "oauth",
            vec![
                "registry",
                "auth",
                "oauth",
                &host,
                "--client-id",
                "i",
                "--client-secret-file",
                "password",
                "--token-url",
                "http://127.0.0.1:1/",
            ],
            &plain,
            "clientcredentials.json",
        ),
        ("gcp", vec!["registry", "auth", "gcp", &host], &plain, "gcp"),
        ("aws", vec!["registry", "auth", "aws", &host], &plain, "aws"),
        ("azure", vec!["registry", "auth", "azure", &host], &plain, "azure"),
        ("logout", vec!["registry", "logout", &host], &quiet, ".docker/config.json"),
    ];
    let before = (everything(site.folder()), everything(layout.path()));
    for (name, command, more, told) in cases {
        let dry = [&command[..], more, &["--dry-run"]].concat();
        let finished = site.run(&dry);
        finished.expect_code(0);
        let words = finished.stdout.contains("would") && finished.stdout.contains(told);
        assert!(words, "{name}: {}", finished.stdout);
        let finished = site.run(&[&dry[..], &["--output", "json"]].concat());
        finished.expect_code(0);
        assert_eq!(json(&finished)["dry_run"], true, "{name}: {}", finished.stdout);
        let after = (everything(site.folder()), everything(layout.path()));
        let changed = |before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>| {
            after
                .keys()
                .filter(|path| before.get(*path) != after.get(*path))
                .cloned()
                .collect::<Vec<_>>()
        };
        assert!(
            after == before,
            "{name}: {:?} {:?}",
            changed(&before.0, &after.0),
            changed(&before.1, &after.1)
        );
    }
    // What no plan is made for is refused as without `--dry-run`.
    site.run(&["registry", "keygen", "signer", "--dry-run"]).expect_code(2);
    site.run(&["trust", "refresh", "corp", "--dry-run"]).expect_code(4);
    assert_eq!(everything(site.folder()), before.0);
}

#[test]
fn installs_by_full_reference_and_by_digest() {
    both_registries("cli::references", |registry| {
        let site = site_with_rules(registry);
        site.install(&[&registry.reference("team/demo-rules:1.0.0")]).expect_code(0);
        let digest =
            site.generation()["entries"][0]["manifest_digest"].as_str().expect("digest").to_owned();
        let other = site_with_rules(registry);
        other.install(&[&registry.reference(&format!("team/demo-rules@{digest}"))]).expect_code(0);
        assert_eq!(other.generation()["entries"][0]["manifest_digest"], digest.as_str());
    });
}

#[test]
fn the_same_input_gives_the_same_digest() {
    let registry = Registry::embedded();
    let pushed = |site: &Site| {
        let file = site.path("same.yaml");
        fs::write(&file, rules(FIRST)).expect("rules");
        let reference = registry.reference("team/same:1");
        let path = file.display().to_string();
        let arguments = [
            "registry",
            "push",
            &reference,
            &path,
            "--type",
            "rulesfile",
            "--version",
            "1.0.0",
            "--plain-http",
        ];
        let finished = site.run(&[&arguments[..], &["--output", "json"]].concat());
        finished.expect_code(0);
        json(&finished)["digest"].as_str().expect("digest").to_owned()
    };
    assert_eq!(pushed(&Site::new()), pushed(&Site::new()));
}

#[test]
fn history_and_rollback_bring_the_old_rules_back() {
    let registry = Registry::embedded();
    let site = site_with_rules(&registry);
    site.install(&["demo-rules"]).expect_code(0);
    site.publish(&registry, "1.1.0", Some("signer"), &[("demo.yaml", &rules(SECOND))]);
    site.install(&["demo-rules"]).expect_code(0);
    assert_eq!(site.generation()["entries"][0]["version"], "1.1.0");
    let history = site.run(&["artifact", "history", "--output", "json"]);
    history.expect_code(0);
    assert!(
        history.stdout.contains("1.0.0") && history.stdout.contains("1.1.0"),
        "{}",
        history.stdout
    );
    site.run(&["artifact", "rollback", "--sensor-socket", "control.sock"]).expect_code(0);
    let installed = site.store().join("current/rules/demo-rules/demo.yaml");
    assert_eq!(fs::read_to_string(installed).expect("installed file"), rules(FIRST));
}

#[test]
fn follow_takes_a_newer_version_and_nothing_else() {
    both_registries("cli::follow", |registry| {
        let site = site_with_rules(registry);
        site.install(&["demo-rules"]).expect_code(0);
        let follow = site.install_arguments(&["follow", "demo-rules", "--every", "200ms"]);
        let log = fs::File::create(site.path("follow.log")).expect("log");
        let mut child = site
            .eyas(&follow)
            .stdout(log.try_clone().expect("same file"))
            .stderr(log)
            .spawn()
            .expect("follow starts");
        let version =
            || site.generation()["entries"][0]["version"].as_str().unwrap_or_default().to_owned();
        let await_that = |what: &str, done: &dyn Fn() -> bool| {
            let start = Instant::now();
            while !done() {
                let log = fs::read_to_string(site.path("follow.log")).unwrap_or_default();
                assert!(
                    start.elapsed() < Duration::from_secs(30),
                    "{what} ({}):\n{log}",
                    registry.name
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        let said = |text: &str| {
            fs::read_to_string(site.path("follow.log")).unwrap_or_default().contains(text)
        };

        site.publish(registry, "1.1.0", Some("signer"), &[("demo.yaml", &rules(SECOND))]);
        await_that("the newer version is taken", &|| version() == "1.1.0");
        let good = site.generation();

        site.publish(registry, "1.2.0", None, &[("demo.yaml", &rules("Unsigned"))]);
        await_that("an unsigned update is reported", &|| said("no signature"));
        site.keygen("stranger");
        site.publish(registry, "1.3.0", Some("stranger"), &[("demo.yaml", &rules("Stranger"))]);
        await_that("a stranger's update is reported", &|| said("the signature is not by"));
        site.publish(registry, "1.4.0", Some("signer"), &[("demo.yaml", "- rule: Broken\n  condition: nonsense.field = 1\n  desc: d\n  output: o\n  priority: INFO\n")]);
        await_that("a broken update is reported", &|| said("nonsense.field"));
        site.publish(registry, "0.9.0", Some("signer"), &[("demo.yaml", &rules("Older"))]);
        await_that("an older version is reported", &|| said("0.9.0"));
        assert_eq!(site.generation(), good, "nothing of that changed what is active");

        if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signal sent");
        }
        let status = eyas_tests::process::wait(&mut child, Duration::from_secs(10))
            .expect("follow ends promptly");
        assert_eq!(status.code(), Some(0));
    });
}

#[test]
fn a_signature_of_ours_is_accepted_by_cosign() {
    let Some(cosign) = peer("COSIGN") else {
        return skip("cli::ours_to_cosign", "cosign is not there");
    };
    both_registries("cli::ours_to_cosign", |registry| {
        let site = site_with_rules(registry);
        let mut command = Command::new(&cosign);
        command
            .env("HOME", site.folder())
            .current_dir(site.folder())
            .args([
                "verify",
                "--key",
                "signer.pub",
                "--insecure-ignore-tlog=true",
                "--allow-http-registry",
            ])
            .arg(registry.reference("team/demo-rules:latest"));
        run(&mut command).expect_code(0);
    });
}

#[test]
fn a_signature_by_cosign_is_accepted_by_us() {
    let Some(cosign) = peer("COSIGN") else {
        return skip("cli::cosign_to_ours", "cosign is not there");
    };
    both_registries("cli::cosign_to_ours", |registry| {
        let site = Site::new();
        let cosign = |arguments: &[&str]| {
            let mut command = Command::new(&cosign);
            command
                .env("HOME", site.folder())
                .env("COSIGN_PASSWORD", "")
                .current_dir(site.folder())
                .args(arguments);
            let finished = run(&mut command);
            finished.expect_code(0);
        };
        cosign(&["generate-key-pair"]);
        let pushed = site.publish(registry, "1.0.0", None, &[("demo.yaml", &rules(FIRST))]);
        drop(pushed);
        site.write_policy(&format!(
            "version: 1\nrules:\n  - match: \"{}/**\"\n    accept:\n      - key: {{file: cosign.pub}}\n",
            registry.host()
        ));
        site.install(&["demo-rules"]).expect_code(5);
        let reference = registry.reference("team/demo-rules:latest");
        cosign(&[
            "sign",
            "--key",
            "cosign.key",
            "--yes",
            "--tlog-upload=false",
            "--use-signing-config=false",
            "--new-bundle-format=false",
            "--allow-http-registry",
            &reference,
        ]);
        site.install(&["demo-rules"]).expect_code(0);
    });
}

#[test]
fn the_public_index_is_readable() {
    let Some(index) = shared("data/falco-index.yaml") else {
        return skip(
            "cli::public_index",
            "shared/data/falco-index.yaml is not there (EYAS_SHARED)",
        );
    };
    let site = Site::new();
    let path = index.display().to_string();
    let finished = site.run(&["artifact", "search", "kubernetes", "--index-file", &path]);
    finished.expect_code(0);
    assert!(finished.stdout.contains("k8saudit"), "{}", finished.stdout);
}

#[test]
fn an_answer_that_cannot_be_written_is_told_and_undoes_nothing() {
    let Ok(full) = fs::File::options().write(true).open("/dev/full") else {
        return skip("cli::full", "there is no /dev/full here");
    };
    let registry = Registry::embedded();
    let site = site_with_rules(&registry);
    let words = ["install", "demo-rules", "--no-reload"];
    let mut command = site.eyas(&site.install_arguments(&words));
    let finished = command.stdout(full).stderr(std::process::Stdio::piped()).output().expect("run");
    let said = String::from_utf8_lossy(&finished.stderr).into_owned();
    assert_eq!(finished.status.code(), Some(1), "{said}");
    assert!(said.contains("standard output") && said.contains("No space left"), "{said}");
    assert_eq!(site.generation()["number"], 1, "it is installed");
}

#[test]
fn version_needs_nothing() {
    let finished = run(Command::new(eyas()).env_clear().arg("version"));
    finished.expect_code(0);
    assert!(finished.stdout.contains(env!("CARGO_PKG_VERSION")), "{}", finished.stdout);
}

//! Other people's clients against the embedded registry.
//!
//! They are found by `ORAS`, `CRANE` and `COSIGN` in the environment.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use eyas_artifact::{Platform, media};
use eyas_oci::server::ServeOptions;

use crate::stage::{DebianRegistry, Embedded, client, publish, reference};

/// A peer's program, or `None`, said aloud.
fn peer(variable: &str, test: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.exists());
    if found.is_none() {
        eprintln!("SKIPPED: {test}: `{variable}` names no program");
    }
    found
}

/// Runs a peer; gives what it printed.
async fn run(program: &Path, directory: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.current_dir(directory).args(arguments);
    command.env("HOME", directory).env("DOCKER_CONFIG", directory);
    command.env("COSIGN_PASSWORD", "").env("COSIGN_YES", "true");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "{arguments:?}\n{out}\n{err}");
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn oras_pushes_pulls_copies_and_attaches() {
    let Some(oras) = peer("ORAS", "oras_pushes_pulls_copies_and_attaches") else { return };
    let registry = Embedded::start(ServeOptions::default()).await;
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("demo.tar.gz"), b"layer").unwrap();
    std::fs::write(work.path().join("config.json"), b"{}").unwrap();
    let at = format!("{}/team/rules:1", registry.host);
    let layer = format!("demo.tar.gz:{}", media::RULESFILE_LAYER);
    let config = format!("config.json:{}", media::RULESFILE_CONFIG);
    let arguments = ["push", "--plain-http", "--config", &config, &at, &layer];
    run(&oras, work.path(), &arguments).await;

    let ours = client(&registry.host);
    let reference = reference(&registry.host, "team/rules:1");
    let pinned = ours.pin(&reference, &Platform::host()).await.unwrap();
    assert_eq!(ours.blob_bytes(&reference, pinned.layer(), 100).await.unwrap(), b"layer");

    std::fs::write(work.path().join("note.txt"), b"about it").unwrap();
    let note =
        ["attach", "--plain-http", "--artifact-type", "application/example", &at, "note.txt"];
    run(&oras, work.path(), &note).await;
    let found = ours
        .referrers(&reference, pinned.root_digest(), Some("application/example"))
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    let tree = run(&oras, work.path(), &["discover", "--plain-http", &at]).await;
    assert!(tree.contains("application/example"), "{tree}");

    let out = work.path().join("out");
    let pull = ["pull", "--plain-http", "-o", out.to_str().unwrap(), &at];
    run(&oras, work.path(), &pull).await;
    assert_eq!(std::fs::read(out.join("demo.tar.gz")).unwrap(), b"layer");
    let copy = format!("{}/copies/rules:1", registry.host);
    run(&oras, work.path(), &["cp", "-r", "--from-plain-http", "--to-plain-http", &at, &copy])
        .await;
    let tags = run(&oras, work.path(), &["repo", "tags", "--plain-http", &copy]).await;
    assert_eq!(tags.trim(), "1");
    let all = run(&oras, work.path(), &["repo", "ls", "--plain-http", &registry.host]).await;
    assert_eq!(all.split_whitespace().collect::<Vec<_>>(), ["copies/rules", "team/rules"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_written_by_oras_is_served() {
    let Some(oras) = peer("ORAS", "a_layout_written_by_oras_is_served") else { return };
    let source = Embedded::start(ServeOptions::default()).await;
    let ours = client(&source.host);
    publish(&ours, &reference(&source.host, "rules:1"), b"layer").await;
    let directory = tempfile::tempdir().unwrap();
    let from = format!("{}/rules:1", source.host);
    let to = format!("{}:1", directory.path().display());
    let work = tempfile::tempdir().unwrap();
    run(&oras, work.path(), &["cp", "--from-plain-http", "--to-oci-layout", &from, &to]).await;
    let options = ServeOptions { read_only: true, ..ServeOptions::default() };
    let registry = Embedded::over(directory, options).await;
    let at = reference(&registry.host, "layout:1");
    let theirs = client(&registry.host);
    let pinned = theirs.pin(&at, &Platform::host()).await.unwrap();
    assert_eq!(theirs.blob_bytes(&at, pinned.layer(), 100).await.unwrap(), b"layer");
}

#[tokio::test(flavor = "multi_thread")]
async fn crane_lists_copies_and_validates() {
    let Some(crane) = peer("CRANE", "crane_lists_copies_and_validates") else { return };
    let registry = Embedded::start(ServeOptions::default()).await;
    let ours = client(&registry.host);
    publish(&ours, &reference(&registry.host, "rules:1"), b"layer").await;
    let work = tempfile::tempdir().unwrap();
    let at = format!("{}/rules:1", registry.host);
    let digest = run(&crane, work.path(), &["digest", "--insecure", &at]).await;
    let resolved = ours.resolve(&reference(&registry.host, "rules:1")).await.unwrap();
    assert_eq!(digest.trim(), resolved.digest.to_string());
    run(&crane, work.path(), &["tag", "--insecure", &at, "2"]).await;
    let repository = format!("{}/rules", registry.host);
    let tags = run(&crane, work.path(), &["ls", "--insecure", &repository]).await;
    assert_eq!(tags.split_whitespace().collect::<Vec<_>>(), ["1", "2"]);
    let copy = format!("{}/other:1", registry.host);
    run(&crane, work.path(), &["copy", "--insecure", &at, &copy]).await;
    if let Some(debian) = DebianRegistry::start("crane copies between registries").await {
        let there = format!("{}/rules:1", debian.host);
        run(&crane, work.path(), &["copy", "--insecure", &at, &there]).await;
        let back = format!("{}/back:1", registry.host);
        run(&crane, work.path(), &["copy", "--insecure", &there, &back]).await;
        let found = ours.resolve(&reference(&registry.host, "back:1")).await.unwrap();
        assert_eq!(found, resolved);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cosign_signs_and_verifies() {
    let Some(cosign) = peer("COSIGN", "cosign_signs_and_verifies") else { return };
    let registry = Embedded::start(ServeOptions::default()).await;
    let ours = client(&registry.host);
    publish(&ours, &reference(&registry.host, "rules:1"), b"layer").await;
    let resolved = ours.resolve(&reference(&registry.host, "rules:1")).await.unwrap();
    let at = format!("{}/rules@{}", registry.host, resolved.digest);
    let work = tempfile::tempdir().unwrap();
    run(&cosign, work.path(), &["generate-key-pair"]).await;
    let sign = [
        "sign",
        "--key",
        "cosign.key",
        "--allow-http-registry",
        "--tlog-upload=false",
        "--use-signing-config=false",
        "--new-bundle-format=false",
        &at,
    ];
    run(&cosign, work.path(), &sign).await;
    let tag = format!("sha256-{}.sig", resolved.digest.hex());
    assert!(ours.tags(&reference(&registry.host, "rules")).await.unwrap().contains(&tag));
    let verify = [
        "verify",
        "--key",
        "cosign.pub",
        "--allow-http-registry",
        "--insecure-ignore-tlog=true",
        &at,
    ];
    run(&cosign, work.path(), &verify).await;
}

//! The public sigstore conformance cases: every bundle gets the answer that its folder's name says.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says aloud what it skips"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use eyas_artifact::Digest;
use eyas_trust::single::{Content, Signer, verify};
use eyas_trust::{PublicKey, RootSource, Roots, Step};

const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/\
                        .github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
/// How many cases there are at least, so that an empty folder does not pass.
const LEAST_CASES: usize = 40;

fn cases() -> Option<(PathBuf, Vec<PathBuf>)> {
    let shared = std::env::var_os("EYAS_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let root = shared.join("sigstore-conformance");
    let Ok(entries) = std::fs::read_dir(&root) else {
        eprintln!("SKIPPED: no conformance cases in `{}`, set EYAS_SHARED", root.display());
        return None;
    };
    let mut cases: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    Some((root, cases))
}

fn text(case: &Path, name: &str, default: &str) -> String {
    std::fs::read_to_string(case.join(name))
        .map_or_else(|_| default.to_owned(), |text| text.trim().to_owned())
}

fn artifact(root: &Path, case: &Path) -> Vec<u8> {
    let own = std::fs::read(case.join("artifact"));
    own.unwrap_or_else(|_| std::fs::read(root.join("a.txt")).unwrap())
}

fn roots(case: &Path) -> Result<Roots, String> {
    let source = match std::fs::read_to_string(case.join("trusted_root.json")) {
        Ok(json) => RootSource::from_json("trusted_root.json", json).map_err(|e| e.to_string())?,
        Err(_) => RootSource::PublicGood,
    };
    Roots::prepare(&[source]).map_err(|error| error.to_string())
}

fn answer(case: &Path, content: Content<'_>) -> Result<(), String> {
    let roots = roots(case)?;
    let bundle = std::fs::read(case.join("bundle.sigstore.json")).unwrap();
    let (identity, issuer) = (text(case, "identity", IDENTITY), text(case, "issuer", ISSUER));
    let key = match std::fs::read_to_string(case.join("key.pub")) {
        Ok(pem) => Some(PublicKey::from_pem(&pem, "key.pub").map_err(|error| error.to_string())?),
        Err(_) => None,
    };
    let signer = match &key {
        Some(key) => Signer::Key(key),
        None => Signer::Identity { identity: &identity, issuer: &issuer },
    };
    verify(&bundle, content, signer, &roots).map(drop).map_err(|check| check.to_string())
}

#[test]
fn every_case_gets_the_answer_that_its_name_says() {
    let Some((root, cases)) = cases() else { return };
    assert!(cases.len() >= LEAST_CASES, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let bytes = artifact(&root, case);
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let expected = !name.ends_with("_fail");
        for content in [Content::Bytes(&bytes), Content::Digest(Digest::sha256(&bytes))] {
            let answer = answer(case, content);
            if answer.is_ok() != expected {
                wrong.push(format!("{name}: {answer:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn good_cases_fail_for_another_signer_artifact_or_root() {
    let Some((root, cases)) = cases() else { return };
    let good = |case: &&PathBuf| !case.to_string_lossy().ends_with("_fail");
    let mut seen = 0;
    for case in cases.iter().filter(good) {
        let bytes = artifact(&root, case);
        let bundle = std::fs::read(case.join("bundle.sigstore.json")).unwrap();
        let (identity, issuer) = (text(case, "identity", IDENTITY), text(case, "issuer", ISSUER));
        let signer = Signer::Identity { identity: &identity, issuer: &issuer };
        let roots = roots(case).unwrap();
        if case.join("key.pub").exists() {
            assert!(verify(&bundle, Content::Bytes(&bytes), signer, &roots).is_err());
            continue;
        }
        seen += 1;
        assert!(verify(&bundle, Content::Bytes(b"other"), signer, &roots).is_err(), "{case:?}");
        for (identity, issuer) in
            [(&identity[1..], issuer.as_str()), (identity.as_str(), "https://accounts.example")]
        {
            let other = Signer::Identity { identity, issuer };
            let failed = verify(&bundle, Content::Bytes(&bytes), other, &roots).unwrap_err();
            assert_eq!(failed.step, Step::Identity, "{case:?}: {failed}");
        }
        let none = Roots::prepare(&[]).unwrap();
        let failed = verify(&bundle, Content::Bytes(&bytes), signer, &none).unwrap_err();
        assert_eq!(failed.step, Step::Certificate, "{case:?}: {failed}");
    }
    assert!(seen > 5, "only {seen} good cases with a certificate");
}

/// The client for the public suite, which `cargo test` builds beside the tests.
fn client() -> Option<PathBuf> {
    let tests = std::env::current_exe().unwrap();
    let folder = tests.parent().unwrap().parent().unwrap().join("examples");
    let client = folder.join("sigstore-conformance-client");
    if !client.exists() {
        eprintln!("SKIPPED: `{}` is not built", client.display());
        return None;
    }
    Some(client)
}

/// The client's exit code for a case.
fn exit_code(client: &Path, root: &Path, case: &Path, extra: &[&str]) -> Option<i32> {
    let mut command = Command::new(client);
    command.arg("verify-bundle").arg("--bundle").arg(case.join("bundle.sigstore.json"));
    if case.join("key.pub").exists() {
        command.arg("--key").arg(case.join("key.pub"));
    } else {
        command.args(["--certificate-identity", &text(case, "identity", IDENTITY)]);
        command.args(["--certificate-oidc-issuer", &text(case, "issuer", ISSUER)]);
    }
    if case.join("trusted_root.json").exists() {
        command.arg("--trusted-root").arg(case.join("trusted_root.json"));
    }
    let own = case.join("artifact");
    let file = if own.exists() { own } else { root.join("a.txt") };
    command.args(extra).arg(file).output().unwrap().status.code()
}

#[test]
fn the_suites_client_answers_every_case_by_its_exit_code() {
    let (Some((root, cases)), Some(client)) = (cases(), client()) else { return };
    for case in &cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let expected = i32::from(name.ends_with("_fail"));
        assert_eq!(exit_code(&client, &root, case, &[]), Some(expected), "{name}");
    }
    assert_eq!(exit_code(&client, &root, &cases[0], &["--unknown"]), Some(2));
}

//! The command protocol of the public sigstore conformance suite, over the code that installs use.
//!
//! `verify-bundle --bundle FILE (--certificate-identity NAME --certificate-oidc-issuer URL | --key
//! FILE) [--trusted-root FILE | --staging] FILE-OR-DIGEST`; exit code 0 when the bundle is good, 1
//! when it is not, 2 when the call is not understood.

#![expect(clippy::print_stderr, reason = "a program for the suite: it says why on stderr")]

use std::collections::BTreeMap;
use std::process::ExitCode;

use eyas_artifact::Digest;
use eyas_trust::single::{Content, Signer, verify};
use eyas_trust::{PublicKey, RootSource, Roots};
use sigstore::trust_root::SIGSTORE_STAGING_TRUSTED_ROOT;

/// Options that take a value.
const VALUED: [&str; 5] =
    ["--bundle", "--certificate-identity", "--certificate-oidc-issuer", "--key", "--trusted-root"];

struct Call {
    options: BTreeMap<&'static str, String>,
    staging: bool,
    artifact: String,
}

fn main() -> ExitCode {
    let call = match Call::parse(std::env::args().skip(1)) {
        Ok(call) => call,
        Err(why) => {
            eprintln!("usage: verify-bundle …: {why}");
            return ExitCode::from(2);
        }
    };
    match call.run() {
        Ok(said) => {
            eprintln!("verified: {said}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("refused: {why}");
            ExitCode::FAILURE
        }
    }
}

impl Call {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        match words.next().as_deref() {
            Some("verify-bundle") => {}
            other => return Err(format!("found `{}`", other.unwrap_or_default())),
        }
        let (mut options, mut staging, mut artifact) = (BTreeMap::new(), false, None);
        while let Some(word) = words.next() {
            if let Some(name) = VALUED.into_iter().find(|name| *name == word) {
                let value = words.next().ok_or_else(|| format!("`{name}` needs a value"))?;
                options.insert(name, value);
            } else if word == "--staging" {
                staging = true;
            } else if word.starts_with("--") || artifact.is_some() {
                return Err(format!("`{word}` is not expected"));
            } else {
                artifact = Some(word);
            }
        }
        let artifact = artifact.ok_or("no file and no digest is named")?;
        Ok(Self { options, staging, artifact })
    }

    fn option(&self, name: &str) -> Result<&str, String> {
        self.options.get(name).map(String::as_str).ok_or_else(|| format!("`{name}` is missing"))
    }

    fn run(&self) -> Result<String, String> {
        let bundle = read(self.option("--bundle")?)?;
        let roots = Roots::prepare(&[self.root()?]).map_err(|error| error.to_string())?;
        let key = match self.options.get("--key") {
            Some(file) => {
                let pem = String::from_utf8(read(file)?).map_err(|error| error.to_string())?;
                Some(PublicKey::from_pem(&pem, file).map_err(|error| error.to_string())?)
            }
            None => None,
        };
        let signer = match &key {
            Some(key) => Signer::Key(key),
            None => Signer::Identity {
                identity: self.option("--certificate-identity")?,
                issuer: self.option("--certificate-oidc-issuer")?,
            },
        };
        let bytes;
        let content = if let Ok(digest) = self.artifact.parse::<Digest>() {
            Content::Digest(digest)
        } else {
            bytes = read(&self.artifact)?;
            Content::Bytes(&bytes)
        };
        verify(&bundle, content, signer, &roots)
            .map(|check| check.to_string())
            .map_err(|check| check.to_string())
    }

    fn root(&self) -> Result<RootSource, String> {
        let (name, json) = match self.options.get("--trusted-root") {
            Some(file) => {
                (file.as_str(), String::from_utf8(read(file)?).map_err(|error| error.to_string())?)
            }
            None if self.staging => ("staging", SIGSTORE_STAGING_TRUSTED_ROOT.to_owned()),
            None => return Ok(RootSource::PublicGood),
        };
        RootSource::from_json(name, json).map_err(|error| error.to_string())
    }
}

fn read(file: &str) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("cannot read `{file}`: {error}"))
}

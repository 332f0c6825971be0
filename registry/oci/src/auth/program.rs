//! Credential helpers: programs named `docker-credential-<name>` that are asked for a secret.
//!
//! Owns running one: a time limit, a size limit, and the rule that nothing a helper prints is ever
//! repeated, since it may be the secret.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};
use zeroize::Zeroize as _;

use crate::secret::Secret;

/// Most that a helper may print, in bytes.
const MAX_OUTPUT_BYTES: u64 = 64 * 1024;
/// What a helper prints when it does not know the server.
const NOT_FOUND: &str = "credentials not found";

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// Where helpers are, and how long one may take.
#[derive(Clone, Debug, Default)]
pub(super) struct Helpers {
    pub(super) directory: Option<PathBuf>,
    pub(super) limit: Duration,
}

impl Helpers {
    /// Asks helper `name` for the user and secret of `server`; `None` when it has none.
    pub(super) async fn get(
        &self,
        name: &str,
        server: &str,
    ) -> Result<Option<(String, Secret)>, String> {
        let (succeeded, output) = self.run(name, "get", server.as_bytes()).await?;
        let program = program(name);
        if let Err(status) = succeeded {
            if String::from_utf8_lossy(output.expose_bytes()).contains(NOT_FOUND) {
                return Ok(None);
            }
            return Err(format!("`{program}` failed with {status}"));
        }
        let answer: Answer = serde_json::from_slice(output.expose_bytes())
            .map_err(|_| format!("`{program}` printed something else than the expected JSON"))?;
        Ok((!answer.secret.is_empty()).then(|| (answer.user, answer.secret.into())))
    }

    /// Gives helper `name` a user and secret to keep for `server`.
    pub(super) async fn store(
        &self,
        name: &str,
        server: &str,
        user: &str,
        secret: &Secret,
    ) -> Result<(), String> {
        let entry = serde_json::json!({
            "ServerURL": server, "Username": user, "Secret": secret.expose(),
        });
        let input = Secret::new(entry.to_string());
        let (succeeded, _) = self.run(name, "store", input.expose().as_bytes()).await?;
        succeeded.map_err(|status| format!("`{}` failed with {status}", program(name)))
    }

    /// Makes helper `name` forget `server`; false when it knew nothing of it.
    pub(super) async fn erase(&self, name: &str, server: &str) -> Result<bool, String> {
        let (succeeded, output) = self.run(name, "erase", server.as_bytes()).await?;
        match succeeded {
            Ok(()) => Ok(true),
            Err(_) if String::from_utf8_lossy(output.expose_bytes()).contains(NOT_FOUND) => {
                Ok(false)
            }
            Err(status) => Err(format!("`{}` failed with {status}", program(name))),
        }
    }

    async fn run(&self, name: &str, verb: &str, input: &[u8]) -> Result<Outcome, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(plain) {
            return Err("its name for the credential helper is no plain name".to_owned());
        }
        let program = program(name);
        let path = self.directory.as_ref().map(|directory| directory.join(&program));
        let path = path.unwrap_or_else(|| PathBuf::from(&program));
        match tokio::time::timeout(self.limit, run(&path, &program, verb, input)).await {
            Ok(result) => result,
            Err(_) => Err(format!("`{program}` did not answer in {} ms", self.limit.as_millis())),
        }
    }
}

/// Whether the program succeeded, and what it printed.
type Outcome = (Result<(), ExitStatus>, Output);

/// What a helper printed, wiped when it is dropped.
struct Output(Vec<u8>);

impl Output {
    fn expose_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

async fn run(path: &Path, program: &str, verb: &str, given: &[u8]) -> Result<Outcome, String> {
    let fail = |error: std::io::Error| format!("`{program}` cannot be run: {error}");
    let mut child = Command::new(path)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(fail)?;
    if let Some(mut input) = child.stdin.take() {
        // A helper may answer without reading; its answer tells, not the broken pipe.
        let _ = input.write_all(given).await;
    }
    let mut output = Output(Vec::new());
    if let Some(pipe) = child.stdout.take() {
        pipe.take(MAX_OUTPUT_BYTES + 1).read_to_end(&mut output.0).await.map_err(fail)?;
    }
    if output.0.len() as u64 > MAX_OUTPUT_BYTES {
        return Err(format!("`{program}` printed more than {MAX_OUTPUT_BYTES} bytes"));
    }
    let status = child.wait().await.map_err(fail)?;
    Ok((if status.success() { Ok(()) } else { Err(status) }, output))
}

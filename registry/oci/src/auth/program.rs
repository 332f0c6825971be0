//! Credential helpers: programs named `docker-credential-<name>` that are asked for a secret.
//!
//! Owns running one: a time limit, a size limit, and the rule that nothing a helper prints is ever
//! repeated, since it may be the secret.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};

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
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(plain) {
            return Err("its name for the credential helper is no plain name".to_owned());
        }
        let program = format!("docker-credential-{name}");
        let path = self.directory.as_ref().map(|directory| directory.join(&program));
        let path = path.unwrap_or_else(|| PathBuf::from(&program));
        match tokio::time::timeout(self.limit, run(&path, &program, server)).await {
            Ok(result) => result,
            Err(_) => Err(format!("`{program}` did not answer in {} ms", self.limit.as_millis())),
        }
    }
}

async fn run(path: &Path, program: &str, server: &str) -> Result<Option<(String, Secret)>, String> {
    let fail = |error: std::io::Error| format!("`{program}` cannot be run: {error}");
    let mut child = Command::new(path)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(fail)?;
    if let Some(mut input) = child.stdin.take() {
        // A helper may answer without reading; its answer tells, not the broken pipe.
        let _ = input.write_all(server.as_bytes()).await;
    }
    let mut output = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        pipe.take(MAX_OUTPUT_BYTES + 1).read_to_end(&mut output).await.map_err(fail)?;
    }
    if output.len() as u64 > MAX_OUTPUT_BYTES {
        return Err(format!("`{program}` printed more than {MAX_OUTPUT_BYTES} bytes"));
    }
    let status = child.wait().await.map_err(fail)?;
    if !status.success() {
        if String::from_utf8_lossy(&output).contains(NOT_FOUND) {
            return Ok(None);
        }
        return Err(format!("`{program}` failed with {status}"));
    }
    let answer: Answer = serde_json::from_slice(&output)
        .map_err(|_| format!("`{program}` printed something else than the expected JSON"))?;
    Ok((!answer.secret.is_empty()).then(|| (answer.user, answer.secret.into())))
}

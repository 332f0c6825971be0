//! Keys behind a command: an agent, a token or a key management service that never gives the key out.
//!
//! The protocol, for whoever writes such a command (docs/trust.md has it with an example):
//!
//! - `PROGRAM ARGS… public-key` prints the public key as PEM.
//! - `PROGRAM ARGS… sign sha256 HEX` gets the digest in its arguments and, as raw bytes, on standard input; it prints
//!   the signature over the digest: ASN.1 DER for ECDSA, PKCS#1 v1.5 for RSA, as it is or in base64.
//!
//! A status other than 0 is a refusal; what it wrote to standard error is shown. No shell is involved.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyas_artifact::Digest;

use super::{MAX_KEY_BYTES, PublicKey, key_error};
use crate::TrustError;

/// Longest that a command may take: people may have to touch something.
pub const COMMAND_PATIENCE: Duration = Duration::from_mins(1);
/// How long the output of a command that has ended is waited for.
const LEFT_BEHIND: Duration = Duration::from_secs(2);
/// Longest wait between two looks at a command that runs.
const PAUSE: Duration = Duration::from_millis(5);
/// How much of a command's complaint is shown.
const SHOWN_BYTES: usize = 500;

/// A private key that a command signs with.
#[derive(Debug)]
pub struct CommandKey {
    argv: Vec<String>,
    public: PublicKey,
}

impl CommandKey {
    /// Asks the command for its public key. `argv` is the program and the arguments that come first.
    pub fn open(argv: &[String]) -> Result<Self, TrustError> {
        let origin = argv.join(" ");
        let pem = public_key(argv).map_err(|reason| key_error(&origin, reason))?;
        let public = PublicKey::from_pem(&pem, &origin)?;
        Ok(Self { argv: argv.to_vec(), public })
    }

    /// The key that verifies what the command signs.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Has the SHA-256 of `message` signed, and checks that it was.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TrustError> {
        let failed = |reason: String| key_error(&self.argv.join(" "), reason);
        let digest = Digest::sha256(message);
        let arguments = ["sign", "sha256", &digest.hex()];
        let answer = run(&self.argv, &arguments, digest.as_bytes()).map_err(failed)?;
        let text = std::str::from_utf8(&answer).ok().map(str::trim);
        let decoded = text.and_then(|text| STANDARD.decode(text).ok());
        // A raw signature is no base64 except by accident, and then the other reading is the one that verifies.
        for signature in [decoded.as_deref(), Some(&answer[..])].into_iter().flatten() {
            if self.public.verify(message, signature).is_ok() {
                return Ok(signature.to_vec());
            }
        }
        Err(failed(format!(
            "it printed {} bytes that are no signature by its {}",
            answer.len(),
            self.public
        )))
    }
}

/// Has a command print its public key.
pub(crate) fn public_key(argv: &[String]) -> Result<String, String> {
    let pem = run(argv, &["public-key"], b"")?;
    String::from_utf8(pem).map_err(|_| "it printed something that is not text".to_owned())
}

/// Runs a command to its end and gives what it printed.
fn run(argv: &[String], arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
    let (program, first) = argv.split_first().ok_or("the command is empty")?;
    let mut child = Command::new(program)
        .args(first)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`{program}` does not start: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that takes the digest from its arguments may not read this.
        let _ = stdin.write_all(input);
    }
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let end = Instant::now() + COMMAND_PATIENCE;
    let status = wait(&mut child, program, end)?;
    // A process that the command has left behind may hold its output open for ever.
    let rest = |what: &Receiver<Vec<u8>>, longest: Duration| {
        what.recv_timeout(end.saturating_duration_since(Instant::now()).min(longest))
    };
    if !status.success() {
        let stderr = rest(&stderr, LEFT_BEHIND).unwrap_or_default();
        let said = String::from_utf8_lossy(stderr.get(..SHOWN_BYTES).unwrap_or(&stderr));
        return Err(format!("`{program}` ended with {status}: {}", said.trim()));
    }
    let stdout = rest(&stdout, LEFT_BEHIND)
        .map_err(|_| format!("`{program}` ended, and something it left behind holds its output"))?;
    if stdout.len() > MAX_KEY_BYTES {
        return Err(format!("`{program}` printed more than {MAX_KEY_BYTES} bytes"));
    }
    Ok(stdout)
}

fn drain(stream: Option<impl std::io::Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            // One byte more than the limit, so that exceeding it can be told.
            let _ = stream.take(MAX_KEY_BYTES as u64 + 1).read_to_end(&mut bytes);
        }
        // Nobody may be waiting any more.
        let _ = sender.send(bytes);
    });
    receiver
}

fn wait(
    child: &mut Child,
    program: &str,
    end: Instant,
) -> Result<std::process::ExitStatus, String> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < end => thread::sleep(PAUSE),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("`{program}` was still running after {COMMAND_PATIENCE:?}"));
            }
            Err(error) => return Err(format!("`{program}` cannot be waited for: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;

    /// A shell script as a command; `$last…` are the protocol's arguments.
    fn script(text: &str) -> Vec<String> {
        ["sh", "-c", text, "signer"].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_key_is_what_its_command_prints() {
        let key = SigningKey::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("k.pub");
        std::fs::write(&file, key.public_pem()).unwrap();
        let signature = key.sign(b"message").unwrap();
        let raw = folder.path().join("raw");
        std::fs::write(&raw, &signature).unwrap();
        let (public, raw) = (file.display(), raw.display());
        for answer in [format!("cat {raw}"), format!("printf %s {}", STANDARD.encode(&signature))] {
            let argv = script(&format!(
                "case $1 in public-key) cat {public};; sign) [ $2 = sha256 ] && {answer};; esac"
            ));
            let opened = CommandKey::open(&argv).unwrap();
            assert_eq!(opened.public(), key.public());
            assert_eq!(opened.sign(b"message").unwrap(), signature);
            let error = opened.sign(b"another message").unwrap_err().to_string();
            assert!(error.contains("no signature by its"), "{error}");
        }
    }

    #[test]
    fn a_command_that_fails_is_quoted() {
        let error =
            CommandKey::open(&script("echo no token is plugged in >&2; exit 3")).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("no token is plugged in") && error.contains('3'), "{error}");
        let absent = vec!["/nowhere/signer".to_owned()];
        let error = CommandKey::open(&absent).unwrap_err().to_string();
        assert!(error.contains("`/nowhere/signer`"), "{error}");
        assert!(CommandKey::open(&[]).unwrap_err().to_string().contains("empty"));
    }

    #[test]
    fn what_a_command_leaves_behind_is_not_waited_for() {
        let error = run(&script("sleep 20 & exit 0"), &[], b"").unwrap_err();
        assert!(error.contains("left behind"), "{error}");
        let apart = script("sleep 20 >/dev/null 2>&1 & echo key");
        assert_eq!(run(&apart, &[], b"").unwrap(), b"key\n");
    }

    #[test]
    fn the_output_limit_is_inclusive() {
        let print = |bytes: usize| script(&format!("head -c {bytes} /dev/zero"));
        assert_eq!(run(&print(MAX_KEY_BYTES), &[], b"").unwrap().len(), MAX_KEY_BYTES);
        assert!(run(&print(MAX_KEY_BYTES + 1), &[], b"").unwrap_err().contains("more than"));
    }
}

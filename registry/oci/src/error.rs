//! What can go wrong between us and a registry, one variant per class.
//!
//! Owns the wording and the advice. Turning a class into an exit code is left to the command line.

use std::{path::PathBuf, time::Duration};

use eyas_artifact::Digest;

/// Why a registry operation failed. `what` is the reference, digest or address concerned, fit to
/// print: no variant carries a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OciError {
    /// The registry does not have it (404).
    #[error("`{what}` was not found in the registry")]
    NotFound {
        /// The reference or digest.
        what: String,
    },
    /// The registry wants credentials, or others than it got (401), or no token could be had.
    #[error("access to `{what}` was refused: {detail}")]
    Unauthorized {
        /// The reference, or the token service's address.
        what: String,
        /// What the other side said.
        detail: String,
    },
    /// The credentials are good but not enough (403).
    #[error("access to `{what}` is forbidden: {detail}")]
    Forbidden {
        /// The reference.
        what: String,
        /// What the registry said.
        detail: String,
    },
    /// The registry asks us to slow down (429), and longer than we may wait.
    #[error("too many requests for `{what}`{}", .retry_after.map(|t| format!(", next try allowed in {} s", t.as_secs())).unwrap_or_default())]
    RateLimited {
        /// The reference.
        what: String,
        /// When to come back, where the registry said so.
        retry_after: Option<Duration>,
    },
    /// The registry failed, or refused the request for a reason that has no class of its own.
    #[error("the registry answered `{what}` with status {status}{}", colon(.detail))]
    Server {
        /// The reference or address.
        what: String,
        /// The HTTP status.
        status: u16,
        /// What the registry said, may be empty.
        detail: String,
    },
    /// No connection, or it broke and repeating did not help.
    #[error("no answer for `{what}`: {detail}")]
    Network {
        /// The reference or address.
        what: String,
        /// Where it broke.
        detail: String,
        /// What kind of failure it was, which decides the advice.
        kind: NetworkKind,
    },
    /// Nothing arrived for too long.
    #[error("`{what}` stalled: nothing arrived for {} ms after {received} bytes", .waited.as_millis())]
    Stalled {
        /// The reference or digest.
        what: String,
        /// How long nothing came.
        waited: Duration,
        /// Bytes that had arrived.
        received: u64,
    },
    /// It kept arriving, and too slowly ever to be there.
    #[error("`{what}` is too slow: {received} bytes in {} ms, the limit is {} ms", .took.as_millis(), .limit.as_millis())]
    TooSlow {
        /// The reference or digest.
        what: String,
        /// Bytes that had arrived.
        received: u64,
        /// How long they took.
        took: Duration,
        /// How long they might have taken.
        limit: Duration,
    },
    /// The content is not what its digest says.
    #[error(
        "content of `{what}` does not match its digest: expected `{expected}`, found `{found}`"
    )]
    DigestMismatch {
        /// The reference or digest.
        what: String,
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// The content has another length than its descriptor says.
    #[error("size of `{what}` does not match: expected {expected} bytes, found {found}")]
    SizeMismatch {
        /// The reference or digest.
        what: String,
        /// Bytes the descriptor promises.
        expected: u64,
        /// Bytes that came; a lower bound when there were more to come.
        found: u64,
    },
    /// Larger than we accept.
    #[error("`{what}` is too large: at least {found} bytes, the limit is {limit}")]
    TooLarge {
        /// What was being read.
        what: String,
        /// The limit in bytes.
        limit: u64,
        /// Bytes seen or announced.
        found: u64,
    },
    /// More entries than we accept.
    #[error("`{what}` has too many entries: at least {found}, the limit is {limit}")]
    TooMany {
        /// The list.
        what: String,
        /// The limit.
        limit: u64,
        /// Entries seen.
        found: u64,
    },
    /// An answer or a document that does not follow its specification.
    #[error("`{what}` is malformed: {detail}")]
    Malformed {
        /// What was being read.
        what: String,
        /// What was expected and what was found.
        detail: String,
    },
    /// A redirect that must not or cannot be followed.
    #[error("redirect of `{what}` to `{target}` refused: {reason}")]
    Redirect {
        /// The reference or address asked for.
        what: String,
        /// Where the registry pointed.
        target: String,
        /// Why we do not go there.
        reason: &'static str,
    },
    /// No entry of an image index fits the platform.
    #[error("`{what}` has nothing for platform `{wanted}`, it has: {available}")]
    NoPlatform {
        /// The reference.
        what: String,
        /// The platform asked for.
        wanted: String,
        /// The platforms there are.
        available: String,
    },
    /// Something well-formed that is no artifact of ours.
    #[error("`{what}` is not an artifact that can be installed: {detail}")]
    Unsupported {
        /// The reference.
        what: String,
        /// What was expected and what was found.
        detail: String,
    },
    /// A credential file or helper that cannot be used.
    #[error("credentials for `{registry}` cannot be read: {detail}")]
    Credentials {
        /// The registry they are for.
        registry: String,
        /// What is wrong. Never the output of a helper.
        detail: String,
    },
    /// A credential that could not be kept, or forgotten.
    #[error("credentials for `{registry}` cannot be changed: {detail}")]
    CredentialStore {
        /// The registry they are for.
        registry: String,
        /// What is wrong. Never the output of a helper.
        detail: String,
    },
    /// TLS cannot be set up with the given certificates.
    #[error("TLS for `{registry}` cannot be set up: {detail}")]
    Tls {
        /// The registry.
        registry: String,
        /// The file and what is wrong with it.
        detail: String,
    },
    /// A configuration that makes no sense.
    #[error("`{value}` is no {expected}")]
    Config {
        /// The value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Reading or writing an image layout failed.
    #[error("`{}`: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Whoever takes the bytes of a blob could not take them.
    #[error("content of `{what}` could not be stored: {source}")]
    Sink {
        /// The digest.
        what: String,
        /// What the sink said.
        source: std::io::Error,
    },
}

/// How a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkKind {
    /// The name could not be looked up.
    Name,
    /// Nobody listens there.
    Refused,
    /// The certificate is not trusted, or TLS failed otherwise.
    Tls,
    /// No answer in time.
    Timeout,
    /// The connection broke.
    Broken,
}

fn colon(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

impl OciError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { .. } => {
                "check the spelling; a registry may also hide what needs credentials".to_owned()
            }
            Self::Unauthorized { .. } => {
                "log in with `eyas registry auth basic`, or give credentials in the Docker credential \
                 file or under `registry.auth` of the configuration".to_owned()
            }
            Self::Forbidden { .. } => {
                "ask for the right to read (or push to) this repository".to_owned()
            }
            Self::RateLimited { .. } => {
                "check less often, log in for a higher limit, or use a mirror".to_owned()
            }
            Self::Server { status, .. } if *status >= 500 => {
                "the fault is on the registry's side; try again later".to_owned()
            }
            Self::Network { kind, .. } => network_hint(*kind).to_owned(),
            Self::Stalled { .. } => {
                "run it again: the part that has arrived is kept where the store allows".to_owned()
            }
            Self::TooSlow { .. } => {
                "for a slow line raise `registry.timeouts.total` of the configuration; a mirror may be \
                 nearer".to_owned()
            }
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } => {
                "the content was changed or damaged on its way; nothing of it was kept".to_owned()
            }
            Self::NoPlatform { .. } => "choose one of these with `--platform`".to_owned(),
            Self::Redirect { .. } => {
                "ask the registry's operator; a proxy may be in between".to_owned()
            }
            Self::Credentials { .. } => {
                "correct the file or the helper, or name another file by `registry.creds.config` of \
                 the configuration".to_owned()
            }
            Self::Tls { .. } => {
                "the file must hold PEM certificates (or a PEM private key)".to_owned()
            }
            Self::Server { .. } => {
                "the registry did not want this request; its operator can say why".to_owned()
            }
            Self::TooLarge { .. } | Self::TooMany { .. } => {
                "nothing that is meant to be installed is so large: ask its publisher".to_owned()
            }
            Self::Malformed { .. } => {
                "check that the address is that of a registry; a proxy or a login page may be in \
                 between".to_owned()
            }
            Self::Unsupported { .. } => {
                "check the reference: it names something else than rules, a plugin, an asset or a probe"
                    .to_owned()
            }
            Self::CredentialStore { .. } => {
                "check that this user may write the file, or that the helper works; nothing was \
                 changed".to_owned()
            }
            Self::Config { .. } => "correct it in the configuration or on the command line".to_owned(),
            Self::Io { .. } | Self::Sink { .. } => {
                "check the path and its disk; what was there before stays as it was".to_owned()
            }
        })
    }

    /// True where asking again later can help without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Stalled { .. } | Self::TooSlow { .. } => true,
            Self::Server { status, .. } => *status >= 500,
            Self::Network { kind, .. } => *kind != NetworkKind::Tls,
            _ => false,
        }
    }
}

fn network_hint(kind: NetworkKind) -> &'static str {
    match kind {
        NetworkKind::Name => "check the registry's name and the name server",
        NetworkKind::Refused => "check that the registry runs and listens on this port",
        NetworkKind::Tls => {
            "for a private CA give its file by `--ca-file`, or by `caFiles` of the registry in the \
             configuration; a self-signed CA certificate cannot itself serve: issue a leaf certificate \
             from it; for a registry without TLS use `--plain-http`"
        }
        NetworkKind::Timeout => "check the network, a firewall or proxy may drop the packets",
        NetworkKind::Broken => "try again; if it persists a proxy may be cutting the connection",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_was_expected_and_found() {
        let error = OciError::SizeMismatch { what: "r/a@x".into(), expected: 10, found: 3000 };
        assert_eq!(
            error.to_string(),
            "size of `r/a@x` does not match: expected 10 bytes, found 3000"
        );
        let limited = OciError::RateLimited {
            what: "r/a".into(),
            retry_after: Some(Duration::from_secs(90)),
        };
        assert_eq!(limited.to_string(), "too many requests for `r/a`, next try allowed in 90 s");
        let server = |detail: &str| {
            OciError::Server { what: "r/a".into(), status: 500, detail: detail.into() }.to_string()
        };
        assert_eq!(server(""), "the registry answered `r/a` with status 500");
        assert_eq!(server("disk full"), "the registry answered `r/a` with status 500: disk full");
    }

    #[test]
    fn only_what_can_heal_by_itself_is_transient() {
        let network = |kind| OciError::Network { what: String::new(), detail: String::new(), kind };
        assert!(network(NetworkKind::Refused).is_transient());
        assert!(!network(NetworkKind::Tls).is_transient());
        assert!(!OciError::NotFound { what: String::new() }.is_transient());
        let server =
            |status| OciError::Server { what: String::new(), status, detail: String::new() };
        assert!(server(500).is_transient());
        assert!(!server(405).is_transient());
        assert_ne!(server(405).hint(), server(500).hint());
    }
}

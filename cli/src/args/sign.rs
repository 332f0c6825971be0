//! `eyas sign` and `eyas attest`, and the flags that say who signs.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::{SignForm, TransportArgs};

/// Arguments of `sign`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["reference", "file"]))]
#[command(group = ArgGroup::new("who").required(true).args(["key", "key_command", "keyless"]))]
pub(crate) struct SignArgs {
    /// Reference to sign; a tag is resolved once and its digest is signed
    #[arg(value_name = "REF")]
    pub(crate) reference: Option<String>,
    /// Sign a file instead, such as an index; the bundle is written beside it, with the suffix
    /// `.sigstore.json`
    #[arg(long, value_name = "FILE", conflicts_with = "form")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) signer: SignerArgs,
    /// Form of the signature
    #[arg(long, value_enum, value_name = "FORM", default_value = "bundle")]
    pub(crate) form: SignForm,
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    /// Say what would be signed, by whom and where it would be kept, and stop; nothing is signed
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `attest`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("who").required(true).args(["key", "key_command", "keyless"]))]
pub(crate) struct AttestArgs {
    /// Reference that the statement is about; a tag is resolved once
    #[arg(value_name = "REF")]
    pub(crate) reference: String,
    /// Type of the statement: a URI, or one of slsa-provenance, spdx, cyclonedx, rule-tests
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) predicate_type: String,
    /// File with the statement's content (JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) predicate: PathBuf,
    #[command(flatten)]
    pub(crate) signer: SignerArgs,
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    /// Say what would be attested and by whom, and stop; nothing is signed
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Who signs.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Signer")]
pub(crate) struct SignerArgs {
    /// Private key (PEM): a file, or `env://NAME`
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Program, with arguments, that keeps the key: called with `public-key` and `sign sha256 HEX`
    #[arg(long, value_name = "COMMAND")]
    pub(crate) key_command: Option<String>,
    /// Sign as an identity: a certificate is asked for with an identity token, and the signature
    /// entered in a transparency log
    #[arg(long)]
    pub(crate) keyless: bool,
}

/// Services of keyless signing.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Keyless signing")]
pub(crate) struct ServiceArgs {
    /// Identity token, or a file with one [default: $SIGSTORE_ID_TOKEN, else that of the CI job]
    #[arg(long, value_name = "TOKEN")]
    pub(crate) identity_token: Option<String>,
    /// Certificate authority [default: https://fulcio.sigstore.dev]
    #[arg(long, value_name = "URL")]
    pub(crate) fulcio_url: Option<String>,
    /// Transparency log; with a key the signature is entered there too
    /// [default: https://rekor.sigstore.dev]
    #[arg(long, value_name = "URL")]
    pub(crate) rekor_url: Option<String>,
    /// Generation of the transparency log: 1 or 2
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub(crate) rekor_version: u8,
    /// Time stamp service, needed with the second generation of logs
    #[arg(long, value_name = "URL")]
    pub(crate) timestamp_url: Option<String>,
    /// Trusted root that a new signature must hold against before it is stored [default: the
    /// public one, unless other services are named]
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
}

//! `eyas registry …`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Auth, IndexArgs, LogoutArgs, ServiceArgs, TransportArgs};

/// Push to, pull from and serve registries.
#[derive(Debug, Subcommand)]
pub(crate) enum Registry {
    /// Push rules, a plugin, an asset or a probe; the same input gives the same digest
    Push(Box<PushArgs>),
    /// Fetch the archive of an artifact into a directory, unverified and not unpacked
    Pull(PullArgs),
    /// Serve a directory in OCI image-layout form as a registry, on loopback by default
    Serve(ServeArgs),
    /// Log in to registries; credentials are checked before they are kept
    #[command(subcommand)]
    Auth(Auth),
    /// Forget what is kept for a registry
    Logout(LogoutArgs),
    /// Make a signing key (PEM, EC P-256) and its public half
    Keygen(KeygenArgs),
}

/// Form of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SignForm {
    /// The `sha256-<hex>.sig` tag, read by every cosign
    Classic,
    /// A sigstore bundle attached as a referrer
    Bundle,
    /// Both
    Both,
}

/// Arguments of `registry push`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct PushArgs {
    /// Where to push: `HOST/PATH[:TAG]`
    #[arg(value_name = "REF")]
    pub(crate) reference: String,
    /// Files, a directory or a `.tar.gz`; one per platform for plugins; none with --embedded
    #[arg(value_name = "FILE", required_unless_present = "embedded")]
    pub(crate) files: Vec<PathBuf>,
    /// Kind of the artifact: rulesfile, plugin, asset or probe; or `index` for an index file
    #[arg(long = "type", value_name = "KIND")]
    pub(crate) kind: String,
    /// Version of the artifact, `MAJOR.MINOR.PATCH`; an index has none
    #[arg(long, value_name = "VERSION", required_unless_present = "kind", required_if_eq_any = [
        ("kind", "rulesfile"), ("kind", "plugin"), ("kind", "asset"), ("kind", "probe"),
    ])]
    pub(crate) version: Option<String>,
    /// Name of the artifact [default: last part of the reference's path]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Further tag; repeatable
    #[arg(short, long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Also tag with the version, `MAJOR` and `MAJOR.MINOR`
    #[arg(long)]
    pub(crate) add_floating_tags: bool,
    /// What it depends on: `name:version[|alternative:version…]`; repeatable
    #[arg(short, long = "depends-on", value_name = "DEP")]
    pub(crate) depends_on: Vec<String>,
    /// What it requires: `name:version`; repeatable
    #[arg(short, long = "requires", value_name = "REQ")]
    pub(crate) requires: Vec<String>,
    /// Platform of each plugin file, `os/architecture`, in the order of the files; repeatable
    #[arg(long = "platform", value_name = "PLATFORM")]
    pub(crate) platforms: Vec<String>,
    /// Address of the sources, recorded in the manifest
    #[arg(long, value_name = "URL")]
    pub(crate) annotation_source: Option<String>,
    /// Push the probe that is built into this program (with --type probe)
    #[arg(long, conflicts_with = "files")]
    pub(crate) embedded: bool,
    /// Sign what was pushed with this private key (PEM): a file, or `env://NAME`
    #[arg(long, value_name = "KEY", conflicts_with_all = ["sign_key_command", "sign_keyless"])]
    pub(crate) sign_key: Option<String>,
    /// Sign with the key that this program keeps; see `eyas sign --key-command`
    #[arg(long, value_name = "COMMAND", conflicts_with = "sign_keyless")]
    pub(crate) sign_key_command: Option<String>,
    /// Sign as an identity; see `eyas sign --keyless`
    #[arg(long)]
    pub(crate) sign_keyless: bool,
    /// Form of the signature
    #[arg(long, value_enum, value_name = "FORM", default_value = "bundle")]
    pub(crate) sign_form: SignForm,
    /// Say what would be pushed, to the digest, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write or update the artifact's entry in this index file
    #[arg(long, value_name = "FILE")]
    pub(crate) update_index: Option<PathBuf>,
    /// Description for the index entry
    #[arg(long, value_name = "TEXT", requires = "update_index")]
    pub(crate) description: Option<String>,
    /// Keyword for the index entry; repeatable
    #[arg(long = "keyword", value_name = "WORD", requires = "update_index")]
    pub(crate) keywords: Vec<String>,
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
}

/// Arguments of `registry pull`.
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Name of an index or reference
    #[arg(value_name = "REF")]
    pub(crate) reference: String,
    /// Directory to write to
    #[arg(short = 'o', long, value_name = "DIR", default_value = ".")]
    pub(crate) dest_dir: PathBuf,
    /// Platform to choose where there are several, `os/architecture` [default: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    #[command(flatten)]
    pub(crate) indexes: IndexArgs,
    /// Say what would be fetched and where to, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `registry serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Directory in OCI image-layout form; made when it does not exist
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Address to listen on; port 0 takes a free one, which is printed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5000")]
    pub(crate) listen: SocketAddr,
    /// Refuse pushes
    #[arg(long)]
    pub(crate) read_only: bool,
    /// File with the users that may come in, as `htpasswd -B` writes it (bcrypt)
    #[arg(long, value_name = "FILE")]
    pub(crate) user_file: Option<PathBuf>,
    /// Certificate with its chain (PEM): speak TLS, and HTTP/2 to who speaks it
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
}

/// Arguments of `registry keygen`.
#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// Where the private key goes; the public one goes beside it with the suffix `.pub`
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Say which files would be made and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
}

//! `eyas tls …`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Make certificates
#[derive(Debug, Subcommand)]
pub(crate) enum Tls {
    /// Make an authority, and a server and a client certificate by it, for mutual TLS
    Install(Box<TlsInstallArgs>),
}

/// Kind of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyAlgorithm {
    /// EC P-256
    Ecdsa,
    /// RSA of --rsa-size bits
    Rsa,
}

/// Arguments of `tls install`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TlsInstallArgs {
    /// Directory to write to, made when absent [default: the current one] [env: EYAS_PATH]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) path: Option<PathBuf>,
    /// Name of the server, by which clients reach it [default: localhost] [env: EYAS_NAME]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Country in the certificates, two letters
    #[arg(long, value_name = "CODE", default_value = "US")]
    pub(crate) country: String,
    /// Organization in the certificates
    #[arg(short = 'o', long = "org", visible_alias = "organization", value_name = "NAME")]
    #[arg(default_value = "falcosecurity")]
    pub(crate) organization: String,
    /// Days for which the certificates are valid
    #[arg(short, long, value_name = "DAYS", default_value_t = 365)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: u32,
    /// Further names of the server, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) alternate_names: Vec<String>,
    /// Addresses of the server, separated by commas
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',')]
    pub(crate) alternate_addresses: Vec<IpAddr>,
    /// Kind of the keys [default: ecdsa, or rsa where --rsa-size is given]
    #[arg(long, value_enum, value_name = "KIND")]
    pub(crate) algorithm: Option<KeyAlgorithm>,
    /// Bits of RSA keys: 2048, 3072 or 4096
    #[arg(short = 's', long, visible_alias = "rsabits", value_name = "BITS")]
    pub(crate) rsa_size: Option<u32>,
    /// Say what would change and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace files that are there; who trusts the old authority will not trust the new one
    #[arg(long)]
    pub(crate) force: bool,
}

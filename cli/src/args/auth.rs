//! `eyas registry auth …` and `eyas registry logout`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::TransportArgs;

/// Log in to registries; credentials are checked before they are kept.
#[derive(Debug, Subcommand)]
pub(crate) enum Auth {
    /// Log in with a user and password, kept where Docker keeps them
    Basic(BasicArgs),
    /// Log in with an OAuth2 client, which is exchanged for tokens
    Oauth(OauthArgs),
    /// Use the identity that Google gives this machine or user (application default credentials)
    Gcp(CloudArgs),
    /// Use the identity that Amazon gives this machine or user
    Aws(CloudArgs),
    /// Use the identity that Azure gives this machine or workload
    Azure(CloudArgs),
}

/// Arguments of `registry auth basic`.
#[derive(Debug, Args)]
pub(crate) struct BasicArgs {
    /// Registry, `HOST` or `HOST:PORT`
    #[arg(value_name = "HOST")]
    pub(crate) host: String,
    /// User; asked for on a terminal when missing [env: EYAS_REGISTRY_AUTH_BASIC_USERNAME]
    #[arg(short, long, value_name = "USER")]
    pub(crate) username: Option<String>,
    /// Password; others on this machine can see it here, prefer --password-stdin or being asked
    /// [env: EYAS_REGISTRY_AUTH_BASIC_PASSWORD]
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    pub(crate) password: Option<String>,
    /// Read the password from standard input [env: EYAS_REGISTRY_AUTH_BASIC_PASSWORD_STDIN]
    #[arg(long)]
    pub(crate) password_stdin: bool,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    /// Check the credentials, say where they would be kept, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `registry auth oauth`.
#[derive(Debug, Args)]
pub(crate) struct OauthArgs {
    /// Registry, `HOST` or `HOST:PORT`
    #[arg(value_name = "HOST")]
    pub(crate) host: String,
    /// Address where tokens are had
    #[arg(long, value_name = "URL")]
    pub(crate) token_url: String,
    /// Name of the client
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: String,
    /// Secret of the client; others on this machine can see it here, prefer --client-secret-file
    #[arg(long, value_name = "SECRET", required_unless_present = "client_secret_file")]
    pub(crate) client_secret: Option<String>,
    /// File with the secret of the client
    #[arg(long, value_name = "FILE", conflicts_with = "client_secret")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// What the token is to be good for; repeatable, or separated by commas
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    pub(crate) scopes: Vec<String>,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    /// Check the client, say where it would be kept, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `registry auth gcp`, `aws` and `azure`.
#[derive(Debug, Args)]
pub(crate) struct CloudArgs {
    /// Registry, `HOST` or `HOST:PORT`
    #[arg(value_name = "HOST")]
    pub(crate) host: String,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    /// Check the identity, say where it would be remembered, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `registry logout`.
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// Registry, `HOST` or `HOST:PORT`
    #[arg(value_name = "HOST")]
    pub(crate) host: String,
    /// Say what would be removed and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
}

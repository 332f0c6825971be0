//! `eyas sign`.

use std::path::PathBuf;

use clap::Args;

use super::{SignForm, TransportArgs};

/// Arguments of `sign`.
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// Reference to sign; a tag is resolved once and its digest is signed
    #[arg(value_name = "REF")]
    pub(crate) reference: String,
    /// Private key (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Form of the signature
    #[arg(long, value_enum, value_name = "FORM", default_value = "classic")]
    pub(crate) form: SignForm,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
}

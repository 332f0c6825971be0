//! `eyas version`.

use clap::{Args, ValueEnum};

/// Form of the version document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum VersionFormat {
    /// One line
    Text,
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// Arguments of `version`.
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// Form of the answer; the same as --output, and `yaml` too
    #[arg(short = 'o', value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<VersionFormat>,
}

//! Platforms as OCI image indexes name them.
//!
//! Owns the translation from the build target to OCI names and the rule when an offered platform
//! will do for a wanted one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ArtifactError;

/// Operating system and architecture, in the names of the Go tool chain, which OCI uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Such as `linux`.
    pub os: String,
    /// Such as `amd64`.
    pub architecture: String,
    /// Such as `v7` of `arm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The platform this program was built for.
    pub fn host() -> Self {
        let os = match std::env::consts::OS {
            "macos" => "darwin",
            os => os,
        };
        Self {
            os: os.to_owned(),
            architecture: oci_architecture(std::env::consts::ARCH).to_owned(),
            variant: None,
        }
    }

    /// Whether content `offered` for a platform runs on this one. A variant only matters when both
    /// sides name one.
    pub fn accepts(&self, offered: &Self) -> bool {
        let variants_agree = match (&self.variant, &offered.variant) {
            (Some(wanted), Some(found)) => wanted == found,
            _ => true,
        };
        self.os == offered.os && self.architecture == offered.architecture && variants_agree
    }
}

/// The OCI name of an architecture as the compiler names it; also applied to what `uname -m` says.
fn oci_architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" | "i686" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

impl FromStr for Platform {
    type Err = ArtifactError;

    fn from_str(text: &str) -> Result<Self, ArtifactError> {
        let parts: Vec<&str> = text.split('/').collect();
        let well_formed = parts.iter().all(|part| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
        });
        match parts.as_slice() {
            [os, architecture] if well_formed => Ok(Self {
                os: (*os).to_owned(),
                architecture: (*architecture).to_owned(),
                variant: None,
            }),
            [os, architecture, variant] if well_formed => Ok(Self {
                os: (*os).to_owned(),
                architecture: (*architecture).to_owned(),
                variant: Some((*variant).to_owned()),
            }),
            _ => Err(ArtifactError::Platform { found: text.to_owned() }),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

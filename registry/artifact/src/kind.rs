//! The kinds of artifact that are distributed.
//!
//! Owns the mapping between a kind, its media types and the directory it is installed to. A kind is
//! decided by the layer's media type, never by what an index claims.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ArtifactError, media};

/// What an artifact contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Detection rules.
    Rulesfile,
    /// Shared object that extends a sensor.
    Plugin,
    /// Other files that rules or plugins read.
    Asset,
    /// Compiled kernel probe.
    Probe,
}

impl Kind {
    /// Every kind, in the order of listings.
    pub const ALL: [Self; 4] = [Self::Rulesfile, Self::Plugin, Self::Asset, Self::Probe];

    /// Lower case name, as in an index and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rulesfile => "rulesfile",
            Self::Plugin => "plugin",
            Self::Asset => "asset",
            Self::Probe => "probe",
        }
    }

    /// Media type of the configuration document.
    pub fn config_media_type(self) -> &'static str {
        match self {
            Self::Rulesfile => media::RULESFILE_CONFIG,
            Self::Plugin => media::PLUGIN_CONFIG,
            Self::Asset => media::ASSET_CONFIG,
            Self::Probe => media::PROBE_CONFIG,
        }
    }

    /// Media type of the archive.
    pub fn layer_media_type(self) -> &'static str {
        match self {
            Self::Rulesfile => media::RULESFILE_LAYER,
            Self::Plugin => media::PLUGIN_LAYER,
            Self::Asset => media::ASSET_LAYER,
            Self::Probe => media::PROBE_LAYER,
        }
    }

    /// The kind whose archive has this media type.
    pub fn from_layer_media_type(media_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.layer_media_type() == media_type)
    }

    /// The kind whose configuration document has this media type.
    pub fn from_config_media_type(media_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.config_media_type() == media_type)
    }

    /// Directory of this kind inside a generation.
    pub fn directory(self) -> &'static str {
        match self {
            Self::Rulesfile => "rules",
            Self::Plugin => "plugins",
            Self::Asset => "assets",
            Self::Probe => "probes",
        }
    }

    /// Whether a push makes an image index with one manifest per platform.
    pub fn is_per_platform(self) -> bool {
        matches!(self, Self::Plugin | Self::Probe)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = ArtifactError;

    fn from_str(text: &str) -> Result<Self, ArtifactError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| ArtifactError::Kind { found: text.to_owned() })
    }
}

//! References, indexes, manifests, descriptions, settings and credentials.

use eyas_artifact::{
    BundleConfig, Digest, Document, Generation, ImageIndex, Lock, Manifest, Name, Platform,
    ProbeConfig, Reference, Version, media,
};
use eyas_index::Index;

/// What was read must be read again from what it prints.
fn prints<T>(text: &str)
where
    T: std::str::FromStr + std::fmt::Display + PartialEq + std::fmt::Debug,
    T::Err: std::fmt::Display,
{
    match text.parse::<T>() {
        Ok(value) => {
            let printed = value.to_string();
            match printed.parse::<T>() {
                Ok(again) => assert_eq!(value, again, "`{text}` became `{printed}`"),
                Err(error) => panic!("`{text}` became `{printed}`: {error}"),
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Names of all kinds.
pub fn reference(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    prints::<Reference>(text);
    prints::<Name>(text);
    prints::<Digest>(text);
    prints::<Version>(text);
    prints::<Platform>(text);
}

/// An index file, and an edit of it.
pub fn index(input: &[u8]) {
    match Index::parse("fuzz", input) {
        Ok(index) => {
            for entry in index.iter() {
                assert!(entry.name.parse::<Name>().is_ok(), "`{}` is no name", entry.name);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Manifests and image indexes.
pub fn manifest(input: &[u8]) {
    let _ = Manifest::from_slice(input);
    let _ = ImageIndex::from_slice(input);
    for kind in [media::OCI_MANIFEST, media::OCI_INDEX, "application/json"] {
        if let Err(error) = Document::from_slice(kind, input) {
            assert!(!error.to_string().is_empty());
        }
    }
}

/// Descriptions of artifacts, locks and generations.
pub fn config(input: &[u8]) {
    let _ = BundleConfig::from_slice(input);
    let _ = ProbeConfig::from_slice(input);
    let _ = Generation::from_slice(input);
    let _ = Lock::from_slice(input);
}

/// A configuration file.
pub fn configuration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match serde_saphyr::from_str::<crate::configuration::Node>(text) {
        Ok(tree) => drop(tree.to_value()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A credential file: `REGISTRY NUL FILE`.
#[cfg(feature = "registry")]
pub fn credentials(input: &[u8]) {
    let (registry, file) = match input.iter().position(|byte| *byte == 0) {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (&b"registry.example.org"[..], input),
    };
    let Ok(registry) = std::str::from_utf8(registry) else { return };
    match eyas_oci::credential_in(file, registry) {
        Ok(credential) => {
            // What is printed for debugging must hold no secret that is long enough to be one.
            let shown = format!("{credential:?}");
            assert!(!shown.contains("secret-of-the-seed"), "{shown}");
        }
        Err(detail) => assert!(!detail.contains("secret-of-the-seed"), "{detail}"),
    }
}

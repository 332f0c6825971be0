//! What a module must show before it is loaded: that it is the one that was meant, and that it is a
//! module for this architecture at all.
//!
//! A module runs with all rights there are. A fetched one is taken only with a digest that the user
//! gave, or a signature by a key that the user gave. A checksum from the same server proves no more
//! than that nothing was lost on the way, so it counts only when it is asked for in words.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine as _;
use eyas_artifact::{Digest, Hasher};
use eyas_trust::PublicKey;

/// Largest module that is taken.
pub(crate) const MAX_MODULE_BYTES: u64 = 64 * 1024 * 1024;
/// Largest signature or checksum file that is taken.
pub(crate) const MAX_PROOF_BYTES: u64 = 64 * 1024;

/// What a fetched module is checked against.
#[derive(Debug)]
pub(crate) enum Proof {
    /// Its digest, known beforehand.
    Digest(Digest),
    /// A signature beside it, `<address>.sig`, by this key.
    Signature(Box<PublicKey>),
    /// The checksum beside it, `<address>.sha256`.
    ChecksumBeside,
}

impl Proof {
    /// The ending of the file beside the module that is needed, if one is.
    pub(crate) fn beside(&self) -> Option<&'static str> {
        match self {
            Self::Digest(_) => None,
            Self::Signature(_) => Some(".sig"),
            Self::ChecksumBeside => Some(".sha256"),
        }
    }

    /// Checks the module in `file`, whose digest is `digest`; `beside` is the content of the file
    /// beside it. The error says what does not fit.
    pub(crate) fn check(&self, file: &Path, digest: Digest, beside: &[u8]) -> Result<(), String> {
        match self {
            Self::Digest(expected) => same(*expected, digest),
            Self::ChecksumBeside => same(checksum(beside)?, digest),
            Self::Signature(key) => {
                let mut module = Vec::new();
                File::open(file)
                    .and_then(|file| file.take(MAX_MODULE_BYTES).read_to_end(&mut module))
                    .map_err(|error| format!("`{}`: {error}", file.display()))?;
                key.verify(&module, &signature(beside)?)
            }
        }
    }
}

fn same(expected: Digest, found: Digest) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!("expected digest `{expected}`, found `{found}`"))
}

/// The digest in a checksum file: 64 hexadecimal digits, then perhaps a name.
fn checksum(bytes: &[u8]) -> Result<Digest, String> {
    let text = String::from_utf8_lossy(bytes);
    let word = text.split_whitespace().next().unwrap_or_default();
    parse_digest(word).ok_or_else(|| "the checksum beside it is no SHA-256 sum".to_owned())
}

/// A SHA-256 sum with or without the name of the algorithm.
pub(crate) fn parse_digest(text: &str) -> Option<Digest> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    format!("sha256:{hex}").parse().ok()
}

/// A signature as signing tools write it: base64, or the bytes as they are.
fn signature(bytes: &[u8]) -> Result<Vec<u8>, String> {
    const ASN1_SEQUENCE: u8 = 0x30;
    if bytes.first() == Some(&ASN1_SEQUENCE) && bytes.len() < 256 {
        return Ok(bytes.to_vec());
    }
    let text: String = String::from_utf8_lossy(bytes).split_whitespace().collect();
    let wrong = |_| "the signature beside it is not base64".to_owned();
    base64::engine::general_purpose::STANDARD.decode(text).map_err(wrong)
}

/// The digest of a file.
pub(crate) fn digest_of(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Whether a file is a kernel module for `architecture`, by its first bytes.
pub(crate) fn check_module(path: &Path, architecture: &str) -> Result<(), String> {
    const HEADER_BYTES: u64 = 20;
    const RELOCATABLE: u16 = 1;
    let mut header = Vec::new();
    File::open(path)
        .and_then(|file| file.take(HEADER_BYTES).read_to_end(&mut header))
        .map_err(|error| format!("`{}`: {error}", path.display()))?;
    let [0x7f, b'E', b'L', b'F', 2, 1, .., kind_low, kind_high, machine_low, machine_high] =
        header.as_slice()
    else {
        return Err("this is no kernel module: expected a 64-bit little-endian ELF file".to_owned());
    };
    if u16::from_le_bytes([*kind_low, *kind_high]) != RELOCATABLE {
        return Err("this is no kernel module: expected a relocatable object".to_owned());
    }
    let expected: Option<u16> = match architecture {
        "x86_64" => Some(62),
        "aarch64" => Some(183),
        _ => None,
    };
    let machine = u16::from_le_bytes([*machine_low, *machine_high]);
    if expected.is_some_and(|expected| expected != machine) {
        return Err(format!("this module is not for `{architecture}` (ELF machine {machine})"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(kind: u8, machine: u8) -> Vec<u8> {
        let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
        bytes.resize(16, 0);
        bytes.extend([kind, 0, machine, 0]);
        bytes.resize(64, 0);
        bytes
    }

    fn file(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("module.ko");
        std::fs::write(&path, bytes).expect("file");
        (folder, path)
    }

    #[test]
    fn only_a_module_for_this_architecture_is_one() {
        for (bytes, architecture, good) in [
            (elf(1, 62), "x86_64", true),
            (elf(1, 183), "aarch64", true),
            (elf(1, 183), "x86_64", false),
            (elf(3, 62), "x86_64", false),
            (b"<html>not found</html>".to_vec(), "x86_64", false),
            (b"\x7fELF".to_vec(), "x86_64", false),
            (Vec::new(), "x86_64", false),
        ] {
            let (_folder, path) = file(&bytes);
            assert_eq!(check_module(&path, architecture).is_ok(), good, "{architecture}");
        }
    }

    #[test]
    fn a_digest_must_be_the_one_that_was_given() {
        let (_folder, path) = file(b"module");
        let digest = digest_of(&path).expect("digest");
        assert_eq!(digest, Digest::sha256(b"module"));
        assert_eq!(Proof::Digest(digest).check(&path, digest, b""), Ok(()));
        let error = Proof::Digest(Digest::sha256(b"other")).check(&path, digest, b"");
        assert!(error.expect_err("another digest").contains(&digest.to_string()));
    }

    #[test]
    fn a_checksum_file_is_read_as_the_tools_write_it() {
        let digest = Digest::sha256(b"module");
        let hex = digest.to_string().replace("sha256:", "");
        for text in [format!("{hex}  falco.ko\n"), format!("sha256:{hex}"), hex.to_uppercase()] {
            assert_eq!(checksum(text.as_bytes()), Ok(digest), "{text}");
        }
        for text in ["", "deadbeef", "<html>", "sha512:00"] {
            assert!(checksum(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_signature_must_be_by_the_key() {
        let signer = eyas_trust::SigningKey::generate().expect("key");
        let other = eyas_trust::SigningKey::generate().expect("key");
        let (_folder, path) = file(b"module");
        let digest = digest_of(&path).expect("digest");
        let proof = |key: &eyas_trust::SigningKey| {
            Proof::Signature(Box::new(
                PublicKey::from_pem(&key.public_pem(), "key").expect("public key"),
            ))
        };
        let signature = signer.sign(b"module").expect("signature");
        assert_eq!(proof(&signer).check(&path, digest, &signature), Ok(()));
        assert!(proof(&other).check(&path, digest, &signature).is_err());
        let tampered = signer.sign(b"modulf").expect("signature");
        assert!(proof(&signer).check(&path, digest, &tampered).is_err());
        assert!(proof(&signer).check(&path, digest, b"!!!").is_err());
        assert_eq!(proof(&signer).beside(), Some(".sig"));
    }
}

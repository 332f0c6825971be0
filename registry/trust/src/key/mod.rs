//! Public keys that a policy accepts, and the private keys that sign.
//!
//! Owns reading and writing PEM and the fingerprint; the signature arithmetic is the crypto
//! library's. A key is known by the SHA-256 of its DER `SubjectPublicKeyInfo`, never by its file.

mod command;
mod encrypted;
mod signing;

pub(crate) use command::public_key as public_key_of_command;
pub use command::{COMMAND_PATIENCE, CommandKey};
pub use signing::SigningKey;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyas_artifact::Digest;
use sigstore_crypto::{KeyAlgorithm, SigningScheme, VerificationKey};
use sigstore_types::{DerPublicKey, SignatureBytes};

use crate::TrustError;

/// Longest PEM text that is read as a key; an RSA key of 8192 bits has about 1.5 KiB.
pub const MAX_KEY_BYTES: usize = 16 * 1024;

/// What a P-256 key starts with, up to the mark of an uncompressed point.
const P256_UNCOMPRESSED: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
/// The same for P-384.
const P384_UNCOMPRESSED: [u8; 24] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04,
];
/// The algorithm of an RSA key.
const RSA_WITH_NULL: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// A public key that may verify signatures.
#[derive(Clone)]
pub struct PublicKey {
    der: DerPublicKey,
    algorithm: KeyAlgorithm,
    fingerprint: Digest,
}

impl PublicKey {
    /// Reads one `PUBLIC KEY` PEM block; `origin` names its file or variable in errors.
    pub fn from_pem(pem: &str, origin: &str) -> Result<Self, TrustError> {
        let block = single_block(pem, origin)?;
        match block.tag() {
            "PUBLIC KEY" => Self::from_der(block.into_contents(), origin),
            tag if tag.contains("PRIVATE KEY") => {
                Err(key_error(origin, format!("found `{tag}`, expected the public half")))
            }
            tag => Err(key_error(origin, format!("found `{tag}`, expected `PUBLIC KEY`"))),
        }
    }

    /// Reads a DER `SubjectPublicKeyInfo`.
    pub fn from_der(der: Vec<u8>, origin: &str) -> Result<Self, TrustError> {
        let fingerprint = Digest::sha256(&der);
        let der = DerPublicKey::new(der);
        let algorithm =
            KeyAlgorithm::from_spki(&der).map_err(|error| key_error(origin, error.to_string()))?;
        if let Some(other) = other_form(algorithm, der.as_bytes()) {
            return Err(key_error(origin, other));
        }
        Ok(Self { der, algorithm, fingerprint })
    }

    /// The key as a `PUBLIC KEY` PEM block.
    pub fn to_pem(&self) -> String {
        self.der.to_pem().replace("\r\n", "\n")
    }

    /// SHA-256 of the DER `SubjectPublicKeyInfo`.
    pub fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    /// The hint that sigstore bundles carry for this key: the fingerprint in base64.
    pub fn hint(&self) -> String {
        STANDARD.encode(self.fingerprint.as_bytes())
    }

    /// Kind of key in words, such as `ECDSA P-256`.
    pub fn kind(&self) -> &'static str {
        match self.algorithm {
            KeyAlgorithm::EcdsaP256 => "ECDSA P-256",
            KeyAlgorithm::EcdsaP384 => "ECDSA P-384",
            KeyAlgorithm::Ed25519 => "Ed25519",
            KeyAlgorithm::Rsa => "RSA",
            _ => "ML-DSA",
        }
    }

    /// Name of key and hash in the second generation of transparency logs, for the kinds it takes here.
    pub(crate) fn details(&self) -> Option<&'static str> {
        match self.algorithm {
            KeyAlgorithm::EcdsaP256 => Some("PKIX_ECDSA_P256_SHA_256"),
            _ => None,
        }
    }

    pub(crate) fn der(&self) -> &DerPublicKey {
        &self.der
    }

    /// Whether `signature` is this key's signature over `message`, in any scheme that signers in
    /// use pair with this kind of key.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), String> {
        let signature = SignatureBytes::from_bytes(signature);
        let verifies = |scheme: &SigningScheme| {
            VerificationKey::from_spki_with_scheme(&self.der, *scheme)
                .and_then(|key| key.verify(message, &signature))
                .is_ok()
        };
        if self.schemes().iter().any(verifies) {
            return Ok(());
        }
        Err(format!("the signature is not by {self}"))
    }

    /// The same where only the SHA-256 of the message is at hand.
    pub(crate) fn verify_digest(&self, digest: &Digest, signature: &[u8]) -> Result<(), String> {
        let signature = SignatureBytes::from_bytes(signature);
        let hashes_alike = |scheme: &&SigningScheme| {
            scheme.hash_algorithm() == Some(sigstore_types::HashAlgorithm::Sha2256)
        };
        let verifies = |scheme: &SigningScheme| {
            VerificationKey::from_spki_with_scheme(&self.der, *scheme)
                .and_then(|key| key.verify_prehashed(digest.as_bytes(), &signature))
                .is_ok()
        };
        let mut schemes = self.schemes().iter().filter(hashes_alike).peekable();
        if schemes.peek().is_none() {
            return Err(format!("a {} key cannot be checked against a digest", self.kind()));
        }
        if schemes.any(verifies) { Ok(()) } else { Err(format!("the signature is not by {self}")) }
    }

    /// Signers disagree about the hash that goes with the larger keys.
    fn schemes(&self) -> &'static [SigningScheme] {
        match self.algorithm {
            KeyAlgorithm::EcdsaP256 => &[SigningScheme::EcdsaP256Sha256],
            KeyAlgorithm::EcdsaP384 => {
                &[SigningScheme::EcdsaP384Sha384, SigningScheme::EcdsaP384Sha256]
            }
            KeyAlgorithm::Ed25519 => &[SigningScheme::Ed25519],
            KeyAlgorithm::Rsa => &[
                SigningScheme::RsaPkcs1Sha256,
                SigningScheme::RsaPssSha256,
                SigningScheme::RsaPkcs1Sha512,
            ],
            KeyAlgorithm::MlDsa44 => &[SigningScheme::MlDsa44],
            KeyAlgorithm::MlDsa65 => &[SigningScheme::MlDsa65],
            KeyAlgorithm::MlDsa87 => &[SigningScheme::MlDsa87],
            _ => &[],
        }
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} key `{}`", self.kind(), self.fingerprint)
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for PublicKey {}

/// Whether a key is written in another form than the usual one. Such a key has two fingerprints: it would
/// count as two signers, and be revoked in one form only.
fn other_form(algorithm: KeyAlgorithm, der: &[u8]) -> Option<String> {
    let starts = match algorithm {
        KeyAlgorithm::EcdsaP256 => &P256_UNCOMPRESSED[..],
        KeyAlgorithm::EcdsaP384 => &P384_UNCOMPRESSED[..],
        KeyAlgorithm::Rsa => {
            // Of a key of 2048 bits and more the length has four bytes.
            let usual = der.get(4..).is_some_and(|rest| rest.starts_with(&RSA_WITH_NULL));
            let why =
                "an RSA key of less than 2048 bits, or without the parameter NULL of RFC 3279";
            return (!usual).then(|| why.into());
        }
        _ => return None,
    };
    (!der.starts_with(starts)).then(|| {
        "the point of the key is compressed, expected it whole; `openssl pkey -pubin \
         -ec_conv_form uncompressed` writes it so"
            .into()
    })
}

/// Exactly one PEM block, so that nobody believes that the second key in a file counts.
fn single_block(text: &str, origin: &str) -> Result<pem::Pem, TrustError> {
    if text.len() > MAX_KEY_BYTES {
        return Err(key_error(
            origin,
            format!("found {} bytes, the limit is {MAX_KEY_BYTES}", text.len()),
        ));
    }
    let mut blocks =
        pem::parse_many(text).map_err(|error| key_error(origin, format!("not PEM: {error}")))?;
    match (blocks.pop(), blocks.is_empty()) {
        (Some(block), true) => Ok(block),
        (None, _) => Err(key_error(origin, "found no PEM block, expected one".into())),
        (Some(_), false) => {
            Err(key_error(origin, "found several PEM blocks, expected one key per entry".into()))
        }
    }
}

fn key_error(origin: &str, reason: String) -> TrustError {
    TrustError::Key { origin: origin.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_survives_pem() {
        let key = SigningKey::generate().unwrap();
        let again = PublicKey::from_pem(&key.public().to_pem(), "test").unwrap();
        assert_eq!(&again, key.public());
        assert_eq!(again.kind(), "ECDSA P-256");
        assert_eq!(hex::encode(STANDARD.decode(again.hint()).unwrap()), again.fingerprint().hex());
    }

    #[test]
    fn what_is_not_one_public_key_is_refused() {
        let key = SigningKey::generate().unwrap();
        let public = key.public().to_pem();
        let twice = format!("{public}{public}");
        let private = key.to_pem().unwrap();
        let certificate = public.replace("PUBLIC KEY", "CERTIFICATE");
        for (text, why) in [
            (private.as_str(), "expected the public half"),
            (twice.as_str(), "several"),
            ("", "no PEM block"),
            (certificate.as_str(), "expected `PUBLIC KEY`"),
            ("-----BEGIN PUBLIC KEY-----\nYWJjZA==\n-----END PUBLIC KEY-----\n", "SPKI"),
        ] {
            let error = PublicKey::from_pem(text, "k.pub").unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("`k.pub`"), "{error}");
        }
    }

    #[test]
    fn a_key_has_one_form_and_one_fingerprint() {
        let whole = SigningKey::generate().unwrap().public().der().as_bytes().to_vec();
        assert!(PublicKey::from_der(whole.clone(), "k").is_ok());
        // The same point, compressed: one byte for the half, and the first coordinate.
        let mut compressed = whole[..whole.len() - 32].to_vec();
        let odd = whole[whole.len() - 1] & 1;
        (compressed[1], compressed[24], compressed[26]) = (0x39, 0x22, 2 + odd);
        let error = PublicKey::from_der(compressed, "k.pub").unwrap_err().to_string();
        assert!(error.contains("compressed") && error.contains("`k.pub`"), "{error}");
        let mut longer = whole;
        longer.push(0);
        assert!(PublicKey::from_der(longer, "k").is_err(), "nothing follows a key");
    }

    #[test]
    fn rsa_keys_are_read_in_their_usual_form_only() {
        let pem = include_str!("../../testdata/rsa.pub");
        let key = PublicKey::from_pem(pem, "rsa.pub").unwrap();
        assert_eq!(key.kind(), "RSA");
        // Without the parameters everything around them is two bytes shorter.
        let mut der = key.der().as_bytes().to_vec();
        let at = der.windows(2).position(|pair| pair == [0x05, 0x00]).unwrap();
        der.drain(at..at + 2);
        der[5] -= 2;
        let length = u16::from_be_bytes([der[2], der[3]]) - 2;
        der[2..4].copy_from_slice(&length.to_be_bytes());
        let error = PublicKey::from_der(der, "rsa.pub").unwrap_err().to_string();
        assert!(error.contains("NULL"), "{error}");
    }

    #[test]
    fn the_size_limit_is_inclusive() {
        let pem = SigningKey::generate().unwrap().public().to_pem();
        let padded = format!("{pem}{}", "\n".repeat(MAX_KEY_BYTES - pem.len()));
        assert!(PublicKey::from_pem(&padded, "k").is_ok());
        let error = PublicKey::from_pem(&format!("{padded}\n"), "k").unwrap_err();
        assert!(error.to_string().contains("limit"));
    }

    #[test]
    fn a_signature_is_bound_to_key_and_message() {
        let key = SigningKey::generate().unwrap();
        let other = SigningKey::generate().unwrap();
        let signature = key.sign(b"message").unwrap();
        assert!(key.public().verify(b"message", &signature).is_ok());
        assert!(key.public().verify(b"massage", &signature).is_err());
        assert!(other.public().verify(b"message", &signature).is_err());
        assert!(key.public().verify(b"message", &signature[1..]).is_err());
        assert!(key.public().verify(b"message", b"").is_err());
    }
}

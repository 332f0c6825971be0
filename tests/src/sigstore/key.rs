//! Keys of the simulated instance: ECDSA P-256, in memory.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use eyas_artifact::Digest;
use rcgen::{KeyPair, PublicKeyData, SignatureAlgorithm, SigningKey as _};

/// A private key of the instance or of whoever attacks it.
pub struct Key(KeyPair);

impl Default for Key {
    fn default() -> Self {
        Self::generate()
    }
}

impl Key {
    /// A fresh key.
    pub fn generate() -> Self {
        Self(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key"))
    }

    /// A private key from PKCS#8 PEM.
    pub fn from_pem(pem: &str) -> Self {
        Self(KeyPair::from_pem(pem).expect("a P-256 key"))
    }

    /// The DER `SubjectPublicKeyInfo`.
    pub fn spki(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    /// The public half as PEM.
    pub fn public_pem(&self) -> String {
        self.0.public_key_pem()
    }

    /// SHA-256 of the public key, by which logs are known.
    pub fn id(&self) -> [u8; 32] {
        *Digest::sha256(self.spki()).as_bytes()
    }

    /// An ECDSA signature over the SHA-256 of `message`, in DER.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).expect("a signature")
    }

    /// The key pair, for issuing certificates.
    pub fn pair(&self) -> &KeyPair {
        &self.0
    }
}

/// A public key that somebody wants certified.
pub(super) struct Subject {
    point: Vec<u8>,
}

/// What a DER `SubjectPublicKeyInfo` for P-256 has before the point.
const P256_PREFIX_BYTES: usize = 26;

impl Subject {
    /// From a DER `SubjectPublicKeyInfo`.
    pub(super) fn from_spki(spki: &[u8]) -> Option<Self> {
        let point = spki.get(P256_PREFIX_BYTES..).filter(|point| point.len() == 65)?;
        Some(Self { point: point.to_vec() })
    }

    /// Whether this key made the signature.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point)
            .verify(message, signature)
            .is_ok()
    }
}

impl PublicKeyData for Subject {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

//! The private half: generate, read, write, sign.
//!
//! Keys are ECDSA P-256, the kind that every verifier in this ecosystem takes. Read are PKCS#8 and
//! SEC 1 PEM and cosign's password-protected form; written are PKCS#8 and the protected form.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::{PublicKey, encrypted, key_error, single_block};
use crate::TrustError;

/// A private key that signs artifacts. It never prints; whether memory is wiped is left to the library that holds it.
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<EcdsaKeyPair>,
    public: PublicKey,
}

/// What a DER `SubjectPublicKeyInfo` for P-256 starts with: the algorithm, and a bit string of 65
/// bytes with no unused bits.
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

impl SigningKey {
    /// A new key from the system's random source.
    pub fn generate() -> Result<Self, TrustError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
            .map_err(|_| key_error("the random source", "no key could be generated".into()))?;
        Self::from_pair(pair, "the random source")
    }

    /// Reads a private key PEM. `password` opens a protected key and is ignored otherwise;
    /// `origin` names the file or variable in errors.
    pub fn from_pem(text: &str, password: Option<&str>, origin: &str) -> Result<Self, TrustError> {
        let block = single_block(text, origin)?;
        match block.tag() {
            "PRIVATE KEY" | "EC PRIVATE KEY" => Self::from_der(block.contents(), origin),
            "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY" => {
                let password = password.ok_or_else(|| TrustError::Password {
                    origin: origin.to_owned(),
                    reason: "no password was given",
                })?;
                Self::from_der(&encrypted::open(block.contents(), password, origin)?, origin)
            }
            "ENCRYPTED PRIVATE KEY" => Err(key_error(
                origin,
                "found a key under PKCS#8 encryption, expected plain PKCS#8 or cosign's form"
                    .into(),
            )),
            tag => Err(key_error(origin, format!("found `{tag}`, expected a private key"))),
        }
    }

    fn from_der(der: &[u8], origin: &str) -> Result<Self, TrustError> {
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, der)
            .map_err(|rejected| {
                key_error(origin, format!("not an ECDSA P-256 private key ({rejected})"))
            })?;
        Self::from_pair(pair, origin)
    }

    fn from_pair(pair: EcdsaKeyPair, origin: &str) -> Result<Self, TrustError> {
        let mut spki = P256_SPKI_PREFIX.to_vec();
        spki.extend_from_slice(pair.public_key().as_ref());
        let public = PublicKey::from_der(spki, origin)?;
        Ok(Self { pair: Arc::new(pair), public })
    }

    /// The key that verifies what this one signs.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The public half as PEM, for a policy or for `cosign verify --key`.
    pub fn public_pem(&self) -> String {
        self.public.to_pem()
    }

    /// The private key as unprotected PKCS#8 PEM. The caller owns who may read it.
    pub fn to_pem(&self) -> Result<String, TrustError> {
        Ok(encode("PRIVATE KEY", self.pkcs8()?.as_ref()))
    }

    /// The private key under `password`, in the form that cosign reads and writes.
    pub fn to_encrypted_pem(&self, password: &str) -> Result<String, TrustError> {
        let sealed = encrypted::seal(self.pkcs8()?.as_ref(), password)?;
        Ok(encode("ENCRYPTED SIGSTORE PRIVATE KEY", &sealed))
    }

    fn pkcs8(&self) -> Result<impl AsRef<[u8]> + use<>, TrustError> {
        self.pair
            .to_pkcs8v1()
            .map_err(|_| key_error("memory", "the key could not be encoded as PKCS#8".into()))
    }

    /// An ECDSA signature over the SHA-256 of `message`, in ASN.1 DER.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TrustError> {
        self.pair
            .sign(&SystemRandom::new(), message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| key_error("memory", "the crypto library refused to sign".into()))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public)
    }
}

fn encode(tag: &str, contents: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(tag, contents), config)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `openssl ecparam -name prime256v1 -genkey -noout`.
    const SEC1: &str = include_str!("../../testdata/sec1.pem");
    const SEC1_PUBLIC: &str = include_str!("../../testdata/sec1.pub");

    #[test]
    fn keys_survive_both_written_forms() {
        let key = SigningKey::generate().unwrap();
        let plain = SigningKey::from_pem(&key.to_pem().unwrap(), None, "k").unwrap();
        assert_eq!(plain.public(), key.public());
        let sealed = key.to_encrypted_pem("password").unwrap();
        let opened = SigningKey::from_pem(&sealed, Some("password"), "k").unwrap();
        assert_eq!(opened.public(), key.public());
        let signature = opened.sign(b"x").unwrap();
        assert!(key.public().verify(b"x", &signature).is_ok());
    }

    #[test]
    fn a_protected_key_asks_for_its_password() {
        let sealed = SigningKey::generate().unwrap().to_encrypted_pem("right").unwrap();
        let missing = SigningKey::from_pem(&sealed, None, "k.key").unwrap_err();
        assert!(missing.to_string().contains("no password"));
        assert!(missing.hint().unwrap().contains("COSIGN_PASSWORD"));
        let wrong = SigningKey::from_pem(&sealed, Some("wrong"), "k.key").unwrap_err();
        assert!(wrong.to_string().contains("does not open"), "{wrong}");
    }

    #[test]
    fn keys_of_other_tools_are_read() {
        let key = SigningKey::from_pem(SEC1, None, "sec1.pem").unwrap();
        assert_eq!(key.public(), &PublicKey::from_pem(SEC1_PUBLIC, "sec1.pub").unwrap());
    }

    #[test]
    fn other_kinds_of_keys_are_refused() {
        let p384 = include_str!("../../testdata/p384.pem");
        let error = SigningKey::from_pem(p384, None, "p384.pem").unwrap_err().to_string();
        assert!(error.contains("P-256") && error.contains("`p384.pem`"), "{error}");
        let public = SigningKey::generate().unwrap().public_pem();
        let error = SigningKey::from_pem(&public, None, "k.pub").unwrap_err().to_string();
        assert!(error.contains("expected a private key"), "{error}");
    }

    #[test]
    fn a_key_does_not_print_its_secret() {
        let key = SigningKey::generate().unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains(&key.public().fingerprint().hex()) && shown.len() < 140, "{shown}");
    }
}

//! cosign's password-protected private key: scrypt for the key, `NaCl` secretbox for the content.
//!
//! The JSON names its own work factors, so they are capped before any memory is spent on them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use serde::{Deserialize, Serialize};

use super::key_error;
use crate::TrustError;

/// Most memory that opening a key may take: four times what cosign's own parameters need.
const MAX_SCRYPT_BYTES: u64 = 256 * 1024 * 1024;
/// Most passes that a file may ask for.
const MAX_SCRYPT_PASSES: u32 = 4;
/// Work factors of keys that we write; those that cosign writes.
const WRITTEN: ScryptParams = ScryptParams { n: 65536, r: 8, p: 1 };
const TAG_BYTES: usize = 16;

#[derive(Serialize, Deserialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: ScryptParams,
    salt: String,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
struct ScryptParams {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// Opens the content of an `ENCRYPTED SIGSTORE PRIVATE KEY` block.
pub(super) fn open(json: &[u8], password: &str, origin: &str) -> Result<Vec<u8>, TrustError> {
    let malformed = |reason: String| key_error(origin, reason);
    let sealed: Sealed = serde_json::from_slice(json)
        .map_err(|error| malformed(format!("the protected form is malformed: {error}")))?;
    if sealed.kdf.name != "scrypt" || sealed.cipher.name != "nacl/secretbox" {
        return Err(malformed(format!(
            "protected with `{}` and `{}`, expected `scrypt` and `nacl/secretbox`",
            sealed.kdf.name, sealed.cipher.name
        )));
    }
    let decode = |what: &str, text: &str| {
        STANDARD.decode(text).map_err(|error| malformed(format!("{what} is not base64: {error}")))
    };
    let salt = decode("salt", &sealed.kdf.salt)?;
    let nonce: [u8; 24] =
        decode("nonce", &sealed.cipher.nonce)?.try_into().map_err(|found: Vec<u8>| {
            malformed(format!("nonce has {} bytes, expected 24", found.len()))
        })?;
    let box_ = decode("ciphertext", &sealed.ciphertext)?;
    let key = derive(password, &salt, sealed.kdf.params).map_err(malformed)?;
    open_box(&key, &nonce, &box_).ok_or_else(|| TrustError::Password {
        origin: origin.to_owned(),
        reason: "the password does not open it",
    })
}

/// Protects `plain` with `password`; the inverse of [`open`].
pub(super) fn seal(plain: &[u8], password: &str) -> Result<Vec<u8>, TrustError> {
    let failed = |reason: String| key_error("memory", reason);
    let (mut salt, mut nonce) = ([0; 32], [0; 24]);
    for buffer in [&mut salt[..], &mut nonce[..]] {
        aws_lc_rs::rand::fill(buffer)
            .map_err(|_| failed("the random source gave nothing".into()))?;
    }
    let key = derive(password, &salt, WRITTEN).map_err(failed)?;
    let sealed = Sealed {
        kdf: Kdf { name: "scrypt".into(), params: WRITTEN, salt: STANDARD.encode(salt) },
        cipher: Cipher { name: "nacl/secretbox".into(), nonce: STANDARD.encode(nonce) },
        ciphertext: STANDARD.encode(seal_box(&key, &nonce, plain)),
    };
    serde_json::to_vec(&sealed).map_err(|error| failed(error.to_string()))
}

fn derive(password: &str, salt: &[u8], params: ScryptParams) -> Result<[u8; 32], String> {
    let memory = params.n.saturating_mul(u64::from(params.r)).saturating_mul(128);
    if !params.n.is_power_of_two() || memory > MAX_SCRYPT_BYTES || params.p > MAX_SCRYPT_PASSES {
        return Err(format!(
            "scrypt with N {}, r {}, p {} is refused: N must be a power of two, memory at most \
             {MAX_SCRYPT_BYTES} bytes, p at most {MAX_SCRYPT_PASSES}",
            params.n, params.r, params.p
        ));
    }
    let log_n = params.n.trailing_zeros() as u8;
    let checked = scrypt::Params::new(log_n, params.r, params.p).map_err(|_| {
        format!("scrypt does not take N {}, r {}, p {}", params.n, params.r, params.p)
    })?;
    let mut key = [0; 32];
    scrypt::scrypt(password.as_bytes(), salt, &checked, &mut key)
        .map_err(|_| "scrypt refused the output length".to_owned())?;
    Ok(key)
}

/// secretbox: the first 32 bytes of the key stream authenticate, the rest encrypts.
fn keystream(key: &[u8; 32], nonce: &[u8; 24]) -> (XSalsa20, Poly1305) {
    let mut stream = XSalsa20::new(key.into(), nonce.into());
    let mut one_time = [0; 32];
    stream.apply_keystream(&mut one_time);
    (stream, Poly1305::new(&one_time.into()))
}

fn open_box(key: &[u8; 32], nonce: &[u8; 24], sealed: &[u8]) -> Option<Vec<u8>> {
    let (tag, text) = sealed.split_at_checked(TAG_BYTES)?;
    let (mut stream, mac) = keystream(key, nonce);
    aws_lc_rs::constant_time::verify_slices_are_equal(&mac.compute_unpadded(text), tag).ok()?;
    let mut plain = text.to_vec();
    stream.apply_keystream(&mut plain);
    Some(plain)
}

fn seal_box(key: &[u8; 32], nonce: &[u8; 24], plain: &[u8]) -> Vec<u8> {
    let (mut stream, mac) = keystream(key, nonce);
    let mut text = plain.to_vec();
    stream.apply_keystream(&mut text);
    let mut sealed = mac.compute_unpadded(&text).to_vec();
    sealed.append(&mut text);
    sealed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the tests quick; the written parameters are covered in `signing`.
    const QUICK: ScryptParams = ScryptParams { n: 1024, r: 8, p: 1 };

    fn sealed_with(params: ScryptParams) -> serde_json::Value {
        let key = derive("pw", &[7; 32], QUICK).unwrap();
        serde_json::to_value(Sealed {
            kdf: Kdf { name: "scrypt".into(), params, salt: STANDARD.encode([7; 32]) },
            cipher: Cipher { name: "nacl/secretbox".into(), nonce: STANDARD.encode([9; 24]) },
            ciphertext: STANDARD.encode(seal_box(&key, &[9; 24], b"secret")),
        })
        .unwrap()
    }

    fn open_value(value: &serde_json::Value, password: &str) -> Result<Vec<u8>, TrustError> {
        open(&serde_json::to_vec(value).unwrap(), password, "k")
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_password_only() {
        let value = sealed_with(QUICK);
        assert_eq!(open_value(&value, "pw").unwrap(), b"secret");
        assert!(matches!(open_value(&value, "pW"), Err(TrustError::Password { .. })));
    }

    #[test]
    fn a_changed_box_does_not_open() {
        for byte in 0..TAG_BYTES + 6 {
            let mut value = sealed_with(QUICK);
            let mut sealed = STANDARD.decode(value["ciphertext"].as_str().unwrap()).unwrap();
            sealed[byte] ^= 1;
            value["ciphertext"] = STANDARD.encode(sealed).into();
            assert!(matches!(open_value(&value, "pw"), Err(TrustError::Password { .. })));
        }
    }

    #[test]
    fn work_factors_are_capped() {
        let at_limit = ScryptParams { n: MAX_SCRYPT_BYTES / 128 / 8, r: 8, p: 1 };
        assert!(derive("pw", b"salt", ScryptParams { n: at_limit.n * 2, ..at_limit }).is_err());
        assert!(derive("pw", b"salt", ScryptParams { p: MAX_SCRYPT_PASSES + 1, ..QUICK }).is_err());
        assert!(derive("pw", b"salt", ScryptParams { p: MAX_SCRYPT_PASSES, ..QUICK }).is_ok());
        assert!(derive("pw", b"salt", ScryptParams { n: 1000, ..QUICK }).is_err());
        assert!(derive("pw", b"salt", ScryptParams { n: u64::MAX, r: u32::MAX, p: 1 }).is_err());
        assert!(derive("pw", b"salt", ScryptParams { r: 0, ..QUICK }).is_err());
    }

    #[test]
    fn other_algorithms_and_broken_fields_are_named() {
        for (pointer, value, why) in [
            ("/kdf/name", "argon2", "argon2"),
            ("/cipher/name", "aes", "aes"),
            ("/cipher/nonce", "AAAA", "3 bytes"),
            ("/kdf/salt", "%", "base64"),
            ("/ciphertext", "%", "base64"),
        ] {
            let mut sealed = sealed_with(QUICK);
            *sealed.pointer_mut(pointer).unwrap() = value.into();
            let error = open_value(&sealed, "pw").unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert!(open(b"{}", "pw", "k").unwrap_err().to_string().contains("malformed"));
    }

    #[test]
    fn a_box_shorter_than_its_tag_does_not_open() {
        assert_eq!(open_box(&[0; 32], &[0; 24], &[0; TAG_BYTES - 1]), None);
    }
}

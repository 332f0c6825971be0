//! DER that is sent to services: requests for a certificate and for a time stamp.

use eyas_artifact::Digest;

use crate::TrustError;
use crate::key::SigningKey;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
/// `ecdsa-with-SHA256`.
const ECDSA_SHA256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// `id-sha256` with its absent parameters spelt as NULL, as old servers want it.
const SHA256: &[u8] =
    &[0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00];
/// Bytes of a nonce.
const NONCE_BYTES: usize = 8;

/// A certificate signing request (PKCS#10) for a key, with no name: the authority knows it from the token.
pub(super) fn signing_request(key: &SigningKey) -> Result<Vec<u8>, TrustError> {
    let info = element(
        SEQUENCE,
        &[
            &element(INTEGER, &[&[0]]),
            &element(SEQUENCE, &[]),
            key.public().der().as_bytes(),
            &element(0xa0, &[]),
        ],
    );
    let signature = key.sign(&info)?;
    let algorithm = element(SEQUENCE, &[ECDSA_SHA256]);
    Ok(element(SEQUENCE, &[&info, &algorithm, &element(0x03, &[&[0], &signature])]))
}

/// A time stamp request (RFC 3161) for a signature, with a nonce and asking for the certificate.
pub(super) fn stamp_request(signature: &[u8]) -> Result<Vec<u8>, TrustError> {
    let mut nonce = [0; NONCE_BYTES];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| TrustError::Build {
        what: "time stamp request",
        reason: "the random source gives nothing".into(),
    })?;
    // Positive and without a leading zero, so that it is one number only.
    nonce[0] = nonce[0] & 0x7f | 0x40;
    let hash = Digest::sha256(signature);
    let imprint =
        element(SEQUENCE, &[&element(SEQUENCE, &[SHA256]), &element(0x04, &[hash.as_bytes()])]);
    let yes = element(0x01, &[&[0xff]]);
    Ok(element(
        SEQUENCE,
        &[&element(INTEGER, &[&[1]]), &imprint, &element(INTEGER, &[&nonce]), &yes],
    ))
}

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        short @ 0..0x80 => out.push(short as u8),
        middle @ 0x80..0x100 => out.extend([0x81, middle as u8]),
        long => out.extend([0x82, (long >> 8) as u8, long as u8]),
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_one_two_or_three_bytes() {
        for (length, head) in
            [(0x7f, vec![4, 0x7f]), (0x80, vec![4, 0x81, 0x80]), (0x100, vec![4, 0x82, 1, 0])]
        {
            let made = element(4, &[&vec![0; length]]);
            assert!(made.starts_with(&head) && made.len() == head.len() + length);
        }
    }

    #[test]
    fn a_signing_request_is_signed_by_its_key() {
        let key = SigningKey::generate().unwrap();
        let request = signing_request(&key).unwrap();
        let info_length = usize::from(request[4 + 1 - 1]);
        assert!(request.len() > info_length);
        let public = key.public().der().as_bytes();
        assert!(request.windows(public.len()).any(|window| window == public));
    }

    #[test]
    fn two_stamp_requests_differ_in_their_nonce_only() {
        let (one, two) = (stamp_request(b"x").unwrap(), stamp_request(b"x").unwrap());
        assert_eq!(one.len(), two.len());
        assert_ne!(one, two);
        assert_eq!(one[..one.len() - 11], two[..two.len() - 11]);
    }
}

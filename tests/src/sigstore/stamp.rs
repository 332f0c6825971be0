//! The time stamp authority (RFC 3161): tokens that say when a signature existed.

use eyas_artifact::Digest;
use jiff::Timestamp;
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, Issuer, KeyUsagePurpose,
    SerialNumber,
};

use super::der::{INTEGER, OCTETS, SEQUENCE, SET, TIME, element, inside, oid, split};
use super::key::Key;

const SERIAL: u64 = 7;
const SHA256: [u64; 9] = [2, 16, 840, 1, 101, 3, 4, 2, 1];
const ECDSA_SHA256: [u64; 7] = [1, 2, 840, 10045, 4, 3, 2];
const SIGNED_DATA: [u64; 7] = [1, 2, 840, 113_549, 1, 7, 2];
const CONTENT_TYPE: [u64; 7] = [1, 2, 840, 113_549, 1, 9, 3];
const MESSAGE_DIGEST: [u64; 7] = [1, 2, 840, 113_549, 1, 9, 4];
const SIGNING_CERTIFICATE: [u64; 9] = [1, 2, 840, 113_549, 1, 9, 16, 2, 47];
const STAMP_INFO: [u64; 9] = [1, 2, 840, 113_549, 1, 9, 16, 1, 4];

/// A time stamp authority: a root and a certificate for stamping below it.
pub struct Stamper {
    key: Key,
    /// The stamping certificate and the root, made once: tokens bring the very certificate that is trusted.
    chain: [Vec<u8>; 2],
}

impl Default for Stamper {
    fn default() -> Self {
        let mut root = CertificateParams::default();
        root.distinguished_name = named("simulated time root");
        root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        root.not_before = rcgen::date_time_ymd(2025, 1, 1);
        root.not_after = rcgen::date_time_ymd(2035, 1, 1);
        let (root_key, key) = (Key::generate(), Key::generate());
        let leaf = leaf(&key, &Issuer::from_params(&root, root_key.pair()));
        let root = root.self_signed(root_key.pair()).expect("a certificate");
        Self { key, chain: [leaf, root.der().to_vec()] }
    }
}

fn leaf(key: &Key, issuer: &Issuer<'_, &rcgen::KeyPair>) -> Vec<u8> {
    let mut leaf = CertificateParams::default();
    leaf.serial_number = Some(SerialNumber::from(SERIAL));
    leaf.distinguished_name = named("simulated time");
    leaf.not_before = rcgen::date_time_ymd(2025, 1, 1);
    leaf.not_after = rcgen::date_time_ymd(2035, 1, 1);
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let stamping = oid(&[1, 3, 6, 1, 5, 5, 7, 3, 8]);
    let mut usage =
        CustomExtension::from_oid_content(&[2, 5, 29, 37], element(SEQUENCE, &[&stamping]));
    usage.set_criticality(true);
    leaf.custom_extensions = vec![usage];
    leaf.signed_by(key.pair(), issuer).expect("a certificate").der().to_vec()
}

impl Stamper {
    /// Certificates in DER, the stamping one first and the root last.
    pub fn chain(&self) -> &[Vec<u8>; 2] {
        &self.chain
    }

    /// The answer to a request; `None` when it cannot be read.
    pub fn answer(&self, request: &[u8], at: Timestamp) -> Option<Vec<u8>> {
        let (_version, rest) = split(inside(request)?)?;
        let (imprint, rest) = split(rest)?;
        let (_algorithm, hash) = split(inside(imprint)?)?;
        // An optional policy comes before the nonce.
        let mut nonce: &[u8] = &[];
        let mut rest = rest;
        while let Some((next, more)) = split(rest) {
            if next.first() == Some(&INTEGER) {
                nonce = next;
            }
            rest = more;
        }
        Some(self.stamp_imprint(inside(hash)?, nonce, at))
    }

    /// A granted response for a signature.
    pub fn stamp(&self, signature: &[u8], at: Timestamp) -> Vec<u8> {
        self.stamp_imprint(Digest::sha256(signature).as_bytes(), &[], at)
    }

    fn stamp_imprint(&self, hash: &[u8], nonce: &[u8], at: Timestamp) -> Vec<u8> {
        let sha256 = element(SEQUENCE, &[&oid(&SHA256)]);
        let text = at.strftime("%Y%m%d%H%M%SZ").to_string();
        let info = element(
            SEQUENCE,
            &[
                &element(INTEGER, &[&[1]]),
                &oid(&[1, 3, 6, 1, 4, 1, 57264, 2]),
                &element(SEQUENCE, &[&sha256, &element(OCTETS, &[hash])]),
                &element(INTEGER, &[&[1]]),
                &element(TIME, &[text.as_bytes()]),
                nonce,
            ],
        );
        let [leaf, _] = &self.chain;
        let attributes = attributes(&info, leaf);
        let signature = self.key.sign(&element(SET, &[&attributes]));
        let signer = element(
            SEQUENCE,
            &[
                &element(INTEGER, &[&[1]]),
                &element(SEQUENCE, &[&issuer_of(leaf), &element(INTEGER, &[&[SERIAL as u8]])]),
                &sha256,
                &element(0xa0, &[&attributes]),
                &element(SEQUENCE, &[&oid(&ECDSA_SHA256)]),
                &element(OCTETS, &[&signature]),
            ],
        );
        let content = element(0xa0, &[&element(OCTETS, &[&info])]);
        let message = element(
            SEQUENCE,
            &[
                &element(INTEGER, &[&[3]]),
                &element(SET, &[&sha256]),
                &element(SEQUENCE, &[&oid(&STAMP_INFO), &content]),
                &element(0xa0, &[leaf]),
                &element(SET, &[&signer]),
            ],
        );
        let token = element(SEQUENCE, &[&oid(&SIGNED_DATA), &element(0xa0, &[&message])]);
        element(SEQUENCE, &[&element(SEQUENCE, &[&element(INTEGER, &[&[0]])]), &token])
    }
}

/// The signed attributes, in the order that DER wants of a set.
fn attributes(info: &[u8], leaf: &[u8]) -> Vec<u8> {
    let attribute =
        |arcs: &[u64], value: &[u8]| element(SEQUENCE, &[&oid(arcs), &element(SET, &[value])]);
    let hash = element(OCTETS, &[Digest::sha256(info).as_bytes()]);
    let certificate = element(OCTETS, &[Digest::sha256(leaf).as_bytes()]);
    let certificate =
        element(SEQUENCE, &[&element(SEQUENCE, &[&element(SEQUENCE, &[&certificate])])]);
    let mut all = [
        attribute(&CONTENT_TYPE, &oid(&STAMP_INFO)),
        attribute(&MESSAGE_DIGEST, &hash),
        attribute(&SIGNING_CERTIFICATE, &certificate),
    ];
    all.sort();
    all.concat()
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// The issuer's name in a certificate: the fourth element of what is signed.
fn issuer_of(certificate: &[u8]) -> Vec<u8> {
    let mut rest = inside(certificate).and_then(inside).expect("a certificate");
    for _ in 0..3 {
        rest = split(rest).expect("version, serial number and algorithm").1;
    }
    split(rest).expect("an issuer").0.to_vec()
}

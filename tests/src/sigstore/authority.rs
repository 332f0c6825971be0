//! The certificate authority: certificates for identities, each with the certificate log's timestamp inside.

use std::collections::BTreeMap;
use std::time::Duration;

use eyas_artifact::Digest;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
    SerialNumber,
};

use super::der;
use super::key::Key;

/// Arc below which the extensions of these certificates are.
const FULCIO_ARC: [u64; 8] = [1, 3, 6, 1, 4, 1, 57264, 1];
/// How long a certificate is good for.
const LIFETIME_SECONDS: u64 = 600;

/// Claims that certificates carry, by name and number below the arc.
const CLAIMS: [(&str, u64); 16] = [
    ("build-signer-uri", 9),
    ("build-signer-digest", 10),
    ("runner-environment", 11),
    ("source-repository-uri", 12),
    ("source-repository-digest", 13),
    ("source-repository-ref", 14),
    ("source-repository-identifier", 15),
    ("source-repository-owner-uri", 16),
    ("source-repository-owner-identifier", 17),
    ("build-config-uri", 18),
    ("build-config-digest", 19),
    ("build-trigger", 20),
    ("run-invocation-uri", 21),
    ("source-repository-visibility", 22),
    ("deployment-environment", 23),
    ("token-subject", 24),
];

/// An authority and the log that it enters certificates in.
pub struct Authority {
    params: CertificateParams,
    key: KeyPair,
    /// The certificate log's key.
    pub log: Key,
}

/// What a certificate is to say.
pub struct Order<'a> {
    /// Subject alternative name: a URI, or an address when it has an `@` and no scheme.
    pub identity: &'a str,
    /// OIDC issuer.
    pub issuer: &'a str,
    /// Claims of the build, by name.
    pub claims: &'a BTreeMap<String, String>,
    /// First second of validity.
    pub from: Timestamp,
    /// Key that signs the certificate's timestamp; none leaves it out.
    pub log: Option<&'a Key>,
    /// Whether the certificate is for signing code.
    pub code_signing: bool,
    /// Whether the certificate's timestamp is over something else.
    pub forged_timestamp: bool,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new("simulated authority")
    }
}

impl Authority {
    /// An authority with keys of its own.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_before = rcgen::date_time_ymd(2025, 1, 1);
        params.not_after = rcgen::date_time_ymd(2035, 1, 1);
        Self { params, key, log: Key::generate() }
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> Certificate {
        self.params.self_signed(&self.key).expect("a certificate")
    }

    /// A certificate for a key.
    pub fn issue(&self, subject: &impl PublicKeyData, order: &Order<'_>) -> Certificate {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let mut leaf = CertificateParams::default();
        leaf.serial_number = Some(SerialNumber::from(42_u64));
        validity(&mut leaf, order.from);
        leaf.distinguished_name = DistinguishedName::new();
        leaf.subject_alt_names = vec![name(order.identity)];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if order.code_signing {
            leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        }
        leaf.custom_extensions = extensions(order);
        if let Some(log) = order.log {
            let before = leaf.signed_by(subject, &issuer).expect("a certificate");
            let mut entered = to_be_signed(before.der()).to_vec();
            if order.forged_timestamp {
                entered.reverse();
            }
            let stamp = self.timestamp(&entered, order.from, log);
            let list = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
            leaf.custom_extensions.push(CustomExtension::from_oid_content(&list, stamp));
        }
        leaf.signed_by(subject, &issuer).expect("a certificate")
    }

    /// The list of one signed certificate timestamp (RFC 6962, section 3.2).
    fn timestamp(&self, entered: &[u8], at: Timestamp, log: &Key) -> Vec<u8> {
        let millis = (at.as_millisecond() as u64).to_be_bytes();
        let mut signed = vec![0, 0];
        signed.extend(millis);
        signed.extend([0, 1]);
        signed.extend(Digest::sha256(self.key.subject_public_key_info()).as_bytes());
        signed.extend(&(entered.len() as u32).to_be_bytes()[1..]);
        signed.extend(entered);
        signed.extend([0, 0]);
        let mut stamp = vec![0];
        stamp.extend(log.id());
        stamp.extend(millis);
        stamp.extend([0, 0, 4, 3]);
        stamp.extend(prefixed(&log.sign(&signed)));
        der::element(der::OCTETS, &[&prefixed(&prefixed(&stamp))])
    }
}

/// Any certificate that signs itself, for whoever has no authority.
pub(super) fn self_signed(key: &Key, order: &Order<'_>) -> Certificate {
    let mut leaf = CertificateParams::default();
    validity(&mut leaf, order.from);
    leaf.subject_alt_names = vec![name(order.identity)];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    leaf.custom_extensions = extensions(order);
    leaf.self_signed(key.pair()).expect("a certificate")
}

fn extensions(order: &Order<'_>) -> Vec<CustomExtension> {
    let extension = |number: u64, text: &str| {
        let content = der::element(der::UTF8, &[text.as_bytes()]);
        CustomExtension::from_oid_content(&[&FULCIO_ARC[..], &[number]].concat(), content)
    };
    // The first form of the issuer is the text as it is; the real authority writes both.
    let first = CustomExtension::from_oid_content(
        &[&FULCIO_ARC[..], &[1]].concat(),
        order.issuer.as_bytes().to_vec(),
    );
    let mut all = vec![first, extension(8, order.issuer)];
    for (name, value) in order.claims {
        let known = CLAIMS.iter().find(|(claim, _)| claim == name);
        let (_, number) = known.unwrap_or_else(|| panic!("claim `{name}` is not known"));
        all.push(extension(*number, value));
    }
    all
}

fn name(identity: &str) -> SanType {
    let text = identity.try_into().expect("an ASCII identity");
    if identity.contains("://") { SanType::URI(text) } else { SanType::Rfc822Name(text) }
}

/// When certificates of [`Order::from`] begin and end, in the certificate library's terms.
fn validity(params: &mut CertificateParams, from: Timestamp) {
    let from = Duration::from_secs(from.as_second() as u64);
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + from;
    params.not_after = params.not_before + Duration::from_secs(LIFETIME_SECONDS);
}

fn prefixed(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes()[..], content].concat()
}

/// The first element inside a certificate: what its issuer signed.
fn to_be_signed(certificate: &[u8]) -> &[u8] {
    der::inside(certificate).and_then(der::split).expect("a certificate").0
}

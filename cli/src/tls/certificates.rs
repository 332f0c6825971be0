//! Making the certificates.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize,
    SanType, date_time_ymd,
};

/// Name of the authority.
const AUTHORITY: &str = "Root CA";

/// Kind of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// EC P-256.
    Ecdsa,
    /// RSA.
    Rsa(RsaKeySize),
}

impl KeyKind {
    /// RSA of this many bits, where there is such a thing here.
    pub(crate) fn rsa(bits: u32) -> Option<Self> {
        match bits {
            2048 => Some(Self::Rsa(RsaKeySize::_2048)),
            3072 => Some(Self::Rsa(RsaKeySize::_3072)),
            4096 => Some(Self::Rsa(RsaKeySize::_4096)),
            _ => None,
        }
    }

    fn generate(self) -> Result<KeyPair, Error> {
        match self {
            Self::Ecdsa => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Self::Rsa(size) => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size),
        }
    }
}

/// What stands in the certificates.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) country: String,
    pub(crate) organization: String,
    /// Name of the server.
    pub(crate) name: String,
    /// Further names and addresses of the server.
    pub(crate) names: Vec<String>,
    pub(crate) addresses: Vec<IpAddr>,
    /// When they become valid.
    pub(crate) from: jiff::Timestamp,
    /// For how many days.
    pub(crate) days: u32,
}

/// Three certificates with their keys, in PEM.
pub(crate) struct Set {
    pub(crate) authority: Pair,
    pub(crate) server: Pair,
    pub(crate) client: Pair,
}

/// A certificate and its key, in PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Set {
    /// Makes new keys and certificates for them.
    pub(crate) fn make(subject: &Subject, kind: KeyKind) -> Result<Self, Error> {
        let key = kind.generate()?;
        let mut params = subject.params(AUTHORITY);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        let authority = Pair { certificate: certificate.pem(), key: key.serialize_pem() };
        let issuer = Issuer::new(params, key);
        let mut server = subject.params(&subject.name);
        server.subject_alt_names = subject.server_names()?;
        Ok(Self {
            authority,
            server: leaf(server, ExtendedKeyUsagePurpose::ServerAuth, kind, &issuer)?,
            client: leaf(
                subject.params(&subject.name),
                ExtendedKeyUsagePurpose::ClientAuth,
                kind,
                &issuer,
            )?,
        })
    }
}

fn leaf(
    mut params: CertificateParams,
    usage: ExtendedKeyUsagePurpose,
    kind: KeyKind,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<Pair, Error> {
    let key = kind.generate()?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    if kind == KeyKind::Ecdsa {
        // A key of this kind enciphers nothing.
        params.key_usages.pop();
    }
    params.extended_key_usages = vec![usage];
    let certificate = params.signed_by(&key, issuer)?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

impl Subject {
    fn params(&self, name: &str) -> CertificateParams {
        let mut distinguished = DistinguishedName::new();
        for (kind, value) in [
            (DnType::CountryName, self.country.as_str()),
            (DnType::OrganizationName, self.organization.as_str()),
            (DnType::CommonName, name),
        ] {
            if !value.is_empty() {
                distinguished.push(kind, value);
            }
        }
        let start = self.from.to_zoned(jiff::tz::TimeZone::UTC);
        let (month, day) = (start.month().unsigned_abs(), start.day().unsigned_abs());
        let midnight = date_time_ymd(i32::from(start.year()), month, day);
        let since = u64::from(start.hour().unsigned_abs()) * 3600
            + u64::from(start.minute().unsigned_abs()) * 60
            + u64::from(start.second().unsigned_abs());
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished;
        params.not_before = midnight + Duration::from_secs(since);
        params.not_after = params.not_before + Duration::from_hours(24 * u64::from(self.days));
        params
    }

    /// Names and addresses of the server, each once.
    fn server_names(&self) -> Result<Vec<SanType>, Error> {
        let mut all: Vec<SanType> = Vec::new();
        for name in std::iter::once(&self.name).chain(&self.names) {
            let name = match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.as_str().try_into()?),
            };
            if !all.contains(&name) {
                all.push(name);
            }
        }
        for address in self.addresses.iter().map(|address| SanType::IpAddress(*address)) {
            if !all.contains(&address) {
                all.push(address);
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        Subject {
            country: "US".to_owned(),
            organization: "falcosecurity".to_owned(),
            name: "localhost".to_owned(),
            names: vec!["falco.example.org".to_owned(), "localhost".to_owned()],
            addresses: vec!["127.0.0.1".parse().expect("address")],
            from: "2026-02-03T04:05:06Z".parse().expect("time"),
            days: 30,
        }
    }

    #[test]
    fn times_are_as_asked() {
        let params = subject().params("x");
        let (from, until) = (params.not_before, params.not_after);
        assert_eq!(from, date_time_ymd(2026, 2, 3) + Duration::from_secs(4 * 3600 + 5 * 60 + 6));
        assert_eq!(until, date_time_ymd(2026, 3, 5) + Duration::from_secs(4 * 3600 + 5 * 60 + 6));
    }

    #[test]
    fn each_name_of_the_server_is_there_once() {
        let names = subject().server_names().expect("names");
        assert_eq!(names.len(), 3);
        assert!(matches!(names[2], SanType::IpAddress(_)));
        let numbered = Subject { name: "10.0.0.1".to_owned(), ..subject() };
        assert!(matches!(numbered.server_names().expect("names")[0], SanType::IpAddress(_)));
        let wrong = Subject { name: "bücher".to_owned(), ..subject() };
        assert!(wrong.server_names().is_err());
    }

    #[test]
    fn keys_differ_and_are_pkcs8() {
        let set = Set::make(&subject(), KeyKind::Ecdsa).expect("certificates");
        let keys = [&set.authority.key, &set.server.key, &set.client.key];
        for (at, key) in keys.iter().enumerate() {
            assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"), "{at}");
            assert!(!keys[at + 1..].contains(key), "{at}");
        }
        assert!(set.server.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
    }

    #[test]
    fn sizes_of_rsa_keys_are_the_usual_ones() {
        for (bits, known) in [(1024, false), (2048, true), (3072, true), (4096, true), (0, false)] {
            assert_eq!(KeyKind::rsa(bits).is_some(), known, "{bits}");
        }
    }
}

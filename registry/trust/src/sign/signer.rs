//! Who signs: a key in a file, a key behind a command, or an identity with a fresh certificate.
//!
//! Owns the order of a signature: sign, have the certificate before and the log entry and time stamp after, and look
//! at the result with a verifier's eyes before anybody stores it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyas_artifact::SignerRecord;
use serde_json::{Value, json};

use super::document::Envelope;
use super::service::{Authority, Certificate, Log, Service, Stamps};
use super::token::IdentityToken;
use crate::key::{CommandKey, PublicKey, SigningKey};
use crate::{Roots, TrustError};

/// Whoever signs, and the services that vouch for it.
#[derive(Debug)]
pub struct Signer {
    who: Who,
    log: Option<Log>,
    stamps: Option<Stamps>,
    roots: Option<Roots>,
}

#[derive(Debug)]
enum Who {
    Key(SigningKey),
    Command(CommandKey),
    Identity { authority: Authority, token: IdentityToken },
}

/// What is signed: bytes, and the envelope that they stand for when there is one.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) envelope: Option<&'a Envelope>,
}

/// A signature with everything that vouches for it.
#[derive(Debug)]
pub struct Signed {
    pub(crate) signature: Vec<u8>,
    pub(crate) vouched: Vouched,
    /// Log entries in the form that bundles have.
    pub(crate) entries: Vec<Value>,
    /// Answers of time stamp services, as they came.
    pub(crate) stamps: Vec<Vec<u8>>,
}

/// What links a signature to its signer.
#[derive(Debug)]
pub(crate) enum Vouched {
    Key(PublicKey),
    Certificate(Certificate),
}

/// Where services of signing are, and which generation of log.
#[derive(Debug, Clone)]
pub struct Services {
    /// Certificate authority.
    pub authority: String,
    /// Transparency log.
    pub log: String,
    /// Major version of the log's interface: 1 or 2.
    pub log_version: u8,
    /// Time stamp service; needed with the second generation of logs, which prove no time.
    pub stamps: Option<String>,
}

impl Default for Services {
    /// The public instance.
    fn default() -> Self {
        Self {
            authority: "https://fulcio.sigstore.dev".into(),
            log: "https://rekor.sigstore.dev".into(),
            log_version: 1,
            stamps: None,
        }
    }
}

impl From<SigningKey> for Signer {
    fn from(key: SigningKey) -> Self {
        Self::of(Who::Key(key))
    }
}

impl From<CommandKey> for Signer {
    fn from(key: CommandKey) -> Self {
        Self::of(Who::Command(key))
    }
}

impl Signer {
    fn of(who: Who) -> Self {
        Self { who, log: None, stamps: None, roots: None }
    }

    /// An identity, proven by a token. Certificate, log entry and, where it is configured, time stamp are fetched for
    /// each signature.
    pub fn keyless(services: &Services, token: IdentityToken) -> Result<Self, TrustError> {
        if services.log_version == 2 && services.stamps.is_none() {
            return Err(TrustError::Service {
                service: "transparency log",
                url: services.log.clone(),
                reason: "logs of the second generation prove no time, and no time stamp service is named".into(),
            });
        }
        let authority = Authority(Service::new("certificate authority", &services.authority)?);
        let mut signer = Self::of(Who::Identity { authority, token });
        signer.use_services(services)?;
        Ok(signer)
    }

    /// Enters signatures by key in a transparency log as well, and has their time stamped.
    pub fn logged(mut self, services: &Services) -> Result<Self, TrustError> {
        self.use_services(services)?;
        Ok(self)
    }

    fn use_services(&mut self, services: &Services) -> Result<(), TrustError> {
        let log = Service::new("transparency log", &services.log)?;
        self.log = Some(Log::new(log, services.log_version)?);
        let stamps = services.stamps.as_deref().map(|url| Service::new("time stamp service", url));
        self.stamps = stamps.transpose()?.map(Stamps);
        Ok(())
    }

    /// Checks each signature against this root before it is stored, as a verifier would.
    #[must_use]
    pub fn checked_with(mut self, roots: Roots) -> Self {
        self.roots = Some(roots);
        self
    }

    /// The roots that signatures are checked with.
    pub(crate) fn roots(&self) -> Option<&Roots> {
        self.roots.as_ref()
    }

    /// The public key, when it is always the same.
    pub fn public(&self) -> Option<&PublicKey> {
        match &self.who {
            Who::Key(key) => Some(key.public()),
            Who::Command(key) => Some(key.public()),
            Who::Identity { .. } => None,
        }
    }

    /// Whether a signature in the classic form can carry what this signer makes.
    pub fn fits_classic(&self) -> bool {
        self.log.as_ref().is_none_or(|log| log.version() == 1)
    }

    /// Signs.
    pub(crate) async fn sign(&self, message: Message<'_>) -> Result<Signed, TrustError> {
        let (signature, vouched) = match &self.who {
            Who::Key(key) => (key.sign(message.bytes)?, Vouched::Key(key.public().clone())),
            Who::Command(key) => (key.sign(message.bytes)?, Vouched::Key(key.public().clone())),
            Who::Identity { authority, token } => {
                let key = SigningKey::generate()?;
                let certificate = authority.certify(&key, token).await?;
                (key.sign(message.bytes)?, Vouched::Certificate(certificate))
            }
        };
        let mut signed = Signed { signature, vouched, entries: Vec::new(), stamps: Vec::new() };
        if let Some(stamps) = &self.stamps {
            signed.stamps.push(stamps.stamp(&signed.signature).await?);
        }
        if let Some(log) = &self.log {
            signed.entries.push(log.enter(message, &signed).await?);
        }
        Ok(signed)
    }
}

impl Signed {
    /// A signature by key that nothing else vouches for.
    pub(crate) fn by_key(key: &SigningKey, message: &[u8]) -> Result<Self, TrustError> {
        Ok(Self {
            signature: key.sign(message)?,
            vouched: Vouched::Key(key.public().clone()),
            entries: Vec::new(),
            stamps: Vec::new(),
        })
    }

    /// The verification material of a bundle, version 0.3.
    pub(crate) fn material(&self) -> Value {
        let mut material = match &self.vouched {
            Vouched::Key(key) => json!({ "publicKey": { "hint": key.hint() } }),
            Vouched::Certificate(certificate) => {
                json!({ "certificate": { "rawBytes": STANDARD.encode(&certificate.der) } })
            }
        };
        if !self.entries.is_empty() {
            material["tlogEntries"] = self.entries.clone().into();
        }
        if !self.stamps.is_empty() {
            let stamps: Vec<Value> = self
                .stamps
                .iter()
                .map(|stamp| json!({ "signedTimestamp": STANDARD.encode(stamp) }))
                .collect();
            material["timestampVerificationData"] = json!({ "rfc3161Timestamps": stamps });
        }
        material
    }

    /// Who signed, for the record; the time is the caller's to say.
    pub(crate) fn record(&self, signed_at: &str) -> SignerRecord {
        let mut record =
            SignerRecord { signed_at: Some(signed_at.to_owned()), ..SignerRecord::default() };
        match &self.vouched {
            Vouched::Key(key) => {
                "key".clone_into(&mut record.form);
                record.key_fingerprint = Some(key.fingerprint().to_string());
            }
            Vouched::Certificate(certificate) => {
                "keyless".clone_into(&mut record.form);
                record.identity.clone_from(&certificate.identity.identity);
                record.issuer.clone_from(&certificate.identity.issuer);
            }
        }
        record
    }
}

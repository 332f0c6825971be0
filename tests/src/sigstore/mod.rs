//! A sigstore instance of our own: certificate authority with token check and certificate log, transparency logs of
//! both generations, time stamp authority, identity provider, and the trusted root that names them.
//!
//! Served over HTTP on loopback, so that real programs sign against it; everything lives in memory. [`forge`] makes
//! the same documents wrongly, one part at a time.

mod authority;
mod der;
pub mod forge;
mod http;
mod key;
mod log;
mod recipe;
mod registry;
mod services;
mod stamp;
mod token;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub use self::authority::{Authority, Order};
pub use self::key::Key;
pub use self::log::{Generation, Log};
pub use self::registry::Pusher;
pub use self::stamp::Stamper;
pub use self::token::Claims;

/// Names of the logs in checkpoints.
const FIRST_ORIGIN: &str = "rekor.sigstore.example";
const SECOND_ORIGIN: &str = "log2.rekor.sigstore.example";
/// Since when everything is valid.
const SINCE: &str = "2025-01-01T00:00:00Z";

/// A running instance.
pub struct Sigstore {
    parts: Arc<Parts>,
    address: SocketAddr,
}

/// What an instance is made of.
pub struct Parts {
    /// Issues certificates.
    pub authority: Authority,
    /// Signs identity tokens.
    pub issuer_key: Key,
    /// Stamps times.
    pub stamper: Stamper,
    first: Mutex<Log>,
    second: Mutex<Log>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            authority: Authority::default(),
            issuer_key: Key::generate(),
            stamper: Stamper::default(),
            first: Mutex::new(Log::new(FIRST_ORIGIN, Generation::First)),
            second: Mutex::new(Log::new(SECOND_ORIGIN, Generation::Second)),
        }
    }
}

impl Parts {
    /// A log of this generation.
    pub fn log(&self, generation: Generation) -> MutexGuard<'_, Log> {
        let log = match generation {
            Generation::First => &self.first,
            Generation::Second => &self.second,
        };
        log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Sigstore {
    fn default() -> Self {
        Self::start()
    }
}

impl Sigstore {
    /// Starts an instance with keys of its own.
    pub fn start() -> Self {
        let parts = Arc::new(Parts::default());
        let served = Arc::clone(&parts);
        let address = http::serve(move |request| services::answer(&served, request));
        Self { parts, address }
    }

    /// What it is made of.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Base address of every service.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Address of the time stamp service.
    pub fn stamp_url(&self) -> String {
        format!("{}/api/v1/timestamp", self.url())
    }

    /// A token of the instance's own identity provider for an audience.
    pub fn token(&self, claims: &Claims<'_>) -> String {
        claims.signed(&self.parts.issuer_key)
    }

    /// What a CI job is told in its environment, so that it can ask for its own token.
    pub fn ambient(&self) -> [(&'static str, String); 2] {
        [
            ("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/ambient?api-version=2.0", self.url())),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", services::AMBIENT_SECRET.to_owned()),
        ]
    }

    /// The `trusted_root.json` of this instance.
    pub fn trusted_root(&self) -> Value {
        let parts = &self.parts;
        let log = |key: &Key, origin: &str| {
            json!({
                "baseUrl": format!("https://{origin}"),
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": STANDARD.encode(key.spki()),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": { "start": SINCE },
                },
                "logId": { "keyId": STANDARD.encode(key.id()) },
            })
        };
        let (first, second) = (parts.log(Generation::First), parts.log(Generation::Second));
        let raw = |der: &[u8]| json!({ "rawBytes": STANDARD.encode(der) });
        let authority = parts.authority.certificate();
        let stamping: Vec<Value> = parts.stamper.chain().iter().map(|der| raw(der)).collect();
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(&first.key, &first.origin), log(&second.key, &second.origin)],
            "ctlogs": [log(&parts.authority.log, "ct.sigstore.example")],
            "certificateAuthorities": [{
                "subject": { "organization": "simulated", "commonName": "simulated authority" },
                "uri": self.url(),
                "certChain": { "certificates": [raw(authority.der())] },
                "validFor": { "start": SINCE },
            }],
            "timestampAuthorities": [{
                "subject": { "organization": "simulated", "commonName": "simulated time" },
                "uri": self.url(),
                "certChain": { "certificates": stamping },
                "validFor": { "start": SINCE },
            }],
        })
    }

    /// A signing configuration that names these services, with a log of this generation.
    pub fn signing_config(&self, generation: Generation) -> Value {
        let version = match generation {
            Generation::First => 1,
            Generation::Second => 2,
        };
        let service = |url: String, version: u32| {
            json!({
                "url": url,
                "majorApiVersion": version,
                "validFor": { "start": SINCE },
                "operator": "simulated",
            })
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service(self.url(), 1)],
            "oidcUrls": [service(self.url(), 1)],
            "rekorTlogUrls": [service(self.url(), version)],
            "tsaUrls": [service(self.stamp_url(), 1)],
            "rekorTlogConfig": { "selector": "ANY" },
            "tsaConfig": { "selector": "ANY" },
        })
    }
}

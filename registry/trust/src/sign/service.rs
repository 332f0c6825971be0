//! The services of keyless signing, each as the one request that is made of it.
//!
//! Owns the requests and the reading of the answers, within limits of size and time. What an answer claims is
//! believed only as far as it is needed to store it; whether it holds is the verifier's to say.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyas_artifact::Digest;
use serde_json::{Value, json};

use super::der;
use super::signer::{Message, Signed, Vouched};
use super::token::IdentityToken;
use crate::TrustError;
use crate::certificate::{CertificateIdentity, certificate_identity};
use crate::key::SigningKey;

/// Largest answer that is read; log entries are the large ones.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Longest that one request may take; logs answer when the entry is in the tree.
const PATIENCE: Duration = Duration::from_mins(1);

/// A service at an address.
#[derive(Debug)]
pub(super) struct Service {
    what: &'static str,
    url: String,
    http: reqwest::Client,
}

impl Service {
    pub(super) fn new(what: &'static str, url: &str) -> Result<Self, TrustError> {
        let url = url.trim_end_matches('/').to_owned();
        let failed =
            |reason: String| TrustError::Service { service: what, url: url.clone(), reason };
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(failed("expected an `https://` or `http://` address".into()));
        }
        crate::refresh::provide_tls();
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| failed(words(&error)))?;
        Ok(Self { what, url, http })
    }

    fn failed(&self, reason: impl Into<String>) -> TrustError {
        TrustError::Service { service: self.what, url: self.url.clone(), reason: reason.into() }
    }

    /// A JSON document for a bearer.
    pub(super) async fn get(&self, bearer: &str) -> Result<Value, TrustError> {
        let request = self.http.get(&self.url).bearer_auth(bearer);
        self.read_json(&self.send(request).await?)
    }

    async fn post_json(&self, path: &str, document: &Value) -> Result<Value, TrustError> {
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .body(document.to_string());
        self.read_json(&self.send(request).await?)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>, TrustError> {
        let mut response = request.send().await.map_err(|error| self.failed(words(&error)))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| self.failed(words(&error)))?
        {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(
                    self.failed(format!("the answer has more than {MAX_ANSWER_BYTES} bytes"))
                );
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(body);
        }
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        let said = said["message"].as_str().unwrap_or_default();
        let said: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
        let colon = if said.is_empty() { "" } else { ": " };
        Err(self.failed(format!("answered with status {}{colon}{said}", status.as_u16())))
    }

    fn read_json(&self, body: &[u8]) -> Result<Value, TrustError> {
        serde_json::from_slice(body)
            .map_err(|error| self.failed(format!("the answer is not JSON: {error}")))
    }
}

/// An error with its causes; the outermost one alone says nothing.
fn words(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = next.to_string();
        cause = next.source();
    }
    text
}

/// A certificate that the authority gave out.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    /// The authority's own, for the classic form.
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) identity: CertificateIdentity,
}

/// The certificate authority.
#[derive(Debug)]
pub(super) struct Authority(pub(super) Service);

impl Authority {
    /// Has a key certified for the identity in the token.
    pub(super) async fn certify(
        &self,
        key: &SigningKey,
        token: &IdentityToken,
    ) -> Result<Certificate, TrustError> {
        let request = pem_block("CERTIFICATE REQUEST", &der::signing_request(key)?);
        let request = json!({
            "credentials": { "oidcIdentityToken": token.as_str() },
            "certificateSigningRequest": STANDARD.encode(request),
        });
        let answer = self.0.post_json("/api/v2/signingCert", &request).await?;
        let chain = ["signedCertificateEmbeddedSct", "signedCertificateDetachedSct"]
            .iter()
            .find_map(|form| answer[form]["chain"]["certificates"].as_array())
            .ok_or_else(|| self.0.failed("the answer has no certificates"))?;
        let mut chain = chain
            .iter()
            .map(|text| {
                pem::parse(text.as_str().unwrap_or_default())
                    .map(pem::Pem::into_contents)
                    .map_err(|error| self.0.failed(format!("a certificate is not PEM: {error}")))
            })
            .collect::<Result<Vec<_>, _>>()?
            .into_iter();
        let der = chain.next().ok_or_else(|| self.0.failed("the answer has no certificates"))?;
        let identity =
            certificate_identity(&der).map_err(|check| self.0.failed(check.to_string()))?;
        if identity.public_key != *key.public() {
            return Err(self.0.failed("the certificate is for another key than the one sent"));
        }
        Ok(Certificate { der, chain: chain.collect(), identity })
    }
}

/// The transparency log.
#[derive(Debug)]
pub(super) struct Log {
    service: Service,
    version: u8,
}

impl Log {
    pub(super) fn new(service: Service, version: u8) -> Result<Self, TrustError> {
        if !(1..=2).contains(&version) {
            return Err(
                service.failed(format!("version `{version}` is not known, expected 1 or 2"))
            );
        }
        Ok(Self { service, version })
    }

    pub(super) fn version(&self) -> u8 {
        self.version
    }

    /// Enters a signature; gives the entry as bundles have it.
    pub(super) async fn enter(
        &self,
        message: Message<'_>,
        signed: &Signed,
    ) -> Result<Value, TrustError> {
        if self.version == 2 {
            let record = self.record(message, signed)?;
            let entry = self.service.post_json("/api/v2/log/entries", &record).await?;
            return match entry["canonicalizedBody"] {
                Value::String(_) => Ok(entry),
                _ => Err(self.service.failed("the answer is no log entry")),
            };
        }
        let verifier = STANDARD.encode(match &signed.vouched {
            Vouched::Key(key) => key.to_pem(),
            Vouched::Certificate(certificate) => pem_block("CERTIFICATE", &certificate.der),
        });
        let proposed = match message.envelope {
            Some(envelope) => json!({
                "apiVersion": "0.0.1",
                "kind": "dsse",
                "spec": { "proposedContent": {
                    "envelope": envelope.json(&signed.signature).to_string(),
                    "verifiers": [verifier],
                }},
            }),
            None => json!({
                "apiVersion": "0.0.1",
                "kind": "hashedrekord",
                "spec": {
                    "data": { "hash": {
                        "algorithm": "sha256",
                        "value": Digest::sha256(message.bytes).hex(),
                    }},
                    "signature": {
                        "content": STANDARD.encode(&signed.signature),
                        "publicKey": { "content": verifier },
                    },
                },
            }),
        };
        let answer = self.service.post_json("/api/v1/log/entries", &proposed).await?;
        first_generation(&answer).ok_or_else(|| self.service.failed("the answer is no log entry"))
    }

    /// The second generation knows signatures over hashes only; envelopes are entered by what is signed of them.
    fn record(&self, message: Message<'_>, signed: &Signed) -> Result<Value, TrustError> {
        let (mut verifier, details) = match &signed.vouched {
            Vouched::Key(key) => {
                let raw = STANDARD.encode(key.der().as_bytes());
                (json!({ "publicKey": { "rawBytes": raw } }), key.details())
            }
            Vouched::Certificate(certificate) => {
                let raw = STANDARD.encode(&certificate.der);
                let key = &certificate.identity.public_key;
                (json!({ "x509Certificate": { "rawBytes": raw } }), key.details())
            }
        };
        let details = details.ok_or_else(|| {
            self.service.failed("this log takes no signatures by keys of that kind")
        })?;
        verifier["keyDetails"] = details.into();
        Ok(json!({ "hashedRekordRequestV002": {
            "digest": STANDARD.encode(Digest::sha256(message.bytes).as_bytes()),
            "signature": { "content": STANDARD.encode(&signed.signature), "verifier": verifier },
        }}))
    }
}

/// An answer of the first generation in the form that bundles have; `None` when something is missing.
fn first_generation(answer: &Value) -> Option<Value> {
    let entry = answer.as_object()?.values().next()?;
    let body = entry["body"].as_str()?;
    let kind: Value = serde_json::from_slice(&STANDARD.decode(body).ok()?).ok()?;
    let encoded = |value: &Value| Some(STANDARD.encode(hex::decode(value.as_str()?).ok()?));
    let number = |value: &Value| Some(value.as_u64()?.to_string());
    let proof = &entry["verification"]["inclusionProof"];
    let hashes: Option<Vec<String>> = proof["hashes"].as_array()?.iter().map(encoded).collect();
    Some(json!({
        "logIndex": number(&entry["logIndex"])?,
        "logId": { "keyId": encoded(&entry["logID"])? },
        "kindVersion": { "kind": kind["kind"], "version": kind["apiVersion"] },
        "integratedTime": number(&entry["integratedTime"])?,
        "inclusionPromise": {
            "signedEntryTimestamp": entry["verification"]["signedEntryTimestamp"].as_str()?,
        },
        "inclusionProof": {
            "logIndex": number(&proof["logIndex"])?,
            "rootHash": encoded(&proof["rootHash"])?,
            "treeSize": number(&proof["treeSize"])?,
            "hashes": hashes?,
            "checkpoint": { "envelope": proof["checkpoint"].as_str()? },
        },
        "canonicalizedBody": body,
    }))
}

/// The time stamp service; its address is complete.
#[derive(Debug)]
pub(super) struct Stamps(pub(super) Service);

impl Stamps {
    /// The answer for a signature, as it came.
    pub(super) async fn stamp(&self, signature: &[u8]) -> Result<Vec<u8>, TrustError> {
        let request = self
            .0
            .http
            .post(&self.0.url)
            .header("Content-Type", "application/timestamp-query")
            .header("Accept", "application/timestamp-reply")
            .body(der::stamp_request(signature)?);
        self.0.send(request).await
    }
}

pub(super) fn pem_block(tag: &str, contents: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(tag, contents), config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_first_generation_becomes_an_entry() {
        let body = STANDARD.encode(r#"{"apiVersion":"0.0.1","kind":"dsse"}"#);
        let mut answer = json!({ "uuid": {
            "body": body, "integratedTime": 1_700_000_000, "logID": "abcd", "logIndex": 7,
            "verification": {
                "signedEntryTimestamp": "AAAA",
                "inclusionProof": {
                    "checkpoint": "c", "hashes": ["00"], "logIndex": 3, "rootHash": "ff", "treeSize": 4,
                },
            },
        }});
        let entry = first_generation(&answer).unwrap();
        assert_eq!(entry["logIndex"], "7");
        assert_eq!(entry["kindVersion"]["kind"], "dsse");
        assert_eq!(entry["inclusionProof"]["rootHash"], "/w==");
        answer["uuid"]["verification"]["inclusionProof"]["hashes"] = json!(["zz"]);
        assert_eq!(first_generation(&answer), None);
        assert_eq!(first_generation(&json!({})), None);
    }

    #[test]
    fn an_address_has_a_scheme() {
        let error = Service::new("transparency log", "rekor.example").unwrap_err().to_string();
        assert!(error.contains("`rekor.example`") && error.contains("https://"), "{error}");
        let log =
            |version| Log::new(Service::new("transparency log", "http://x").unwrap(), version);
        assert!(log(1).is_ok() && log(2).is_ok());
        assert!(log(0).is_err() && log(3).is_err());
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_named() {
        let stamps = Stamps(Service::new("time stamp service", "http://127.0.0.1:1/tsa").unwrap());
        let error = stamps.stamp(b"x").await.unwrap_err().to_string();
        assert!(error.contains("time stamp service") && error.contains("127.0.0.1:1"), "{error}");
    }
}

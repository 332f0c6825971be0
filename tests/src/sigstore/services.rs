//! The HTTP side of the instance: each service's requests, answered as the real one would.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyas_artifact::Digest;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Parts;
use super::authority::Order;
use super::der::{inside, split};
use super::http::{Answer, Request};
use super::key::Subject;
use super::log::Generation;
use super::token::{self, Claims};

/// What the ambient identity of a CI job is asked for with.
pub(super) const AMBIENT_SECRET: &str = "a-secret-of-the-job";
/// Issuer and identity of ambient tokens.
const AMBIENT: (&str, &str) = (
    "https://token.actions.githubusercontent.com",
    "https://github.com/org/rules/.github/workflows/release.yml@refs/tags/v1.2.0",
);

/// Name of every entry of the first generation.
const ENTRY: &str = "24296fb24b8ad77a0123456789abcdef";

/// Answers one request.
pub(super) fn answer(parts: &Parts, request: &Request) -> Answer {
    let path = request.path.split('?').next().unwrap_or_default();
    let done = match (request.method.as_str(), path) {
        ("POST", "/api/v1/signingCert") => certify_first(parts, request),
        ("POST", "/api/v2/signingCert") => certify(parts, request),
        ("POST", "/api/v1/log/entries") => enter_first(parts, request),
        ("POST", "/api/v2/log/entries") => enter_second(parts, request),
        ("POST", "/api/v1/timestamp") => stamp(parts, request),
        ("GET", "/ambient") => ambient(parts, request),
        ("GET", "/api/v2/checkpoint") => {
            let newest = parts.log(Generation::Second).newest().into_bytes();
            Ok(Answer::new(200, "text/plain", newest))
        }
        _ => Err((404, format!("`{}` is not known", request.path))),
    };
    done.unwrap_or_else(|(status, message)| Answer::error(status, &message))
}

type Done = Result<Answer, (u16, String)>;

fn wrong(message: impl Into<String>) -> (u16, String) {
    (400, message.into())
}

fn read(request: &Request) -> Result<Value, (u16, String)> {
    serde_json::from_slice(&request.body).map_err(|error| wrong(error.to_string()))
}

fn decoded(value: &Value) -> Result<Vec<u8>, (u16, String)> {
    let text = value.as_str().ok_or_else(|| wrong("a field is missing"))?;
    STANDARD.decode(text).map_err(|error| wrong(error.to_string()))
}

fn certify(parts: &Parts, request: &Request) -> Done {
    let asked = read(request)?;
    // The token is in the request or, as some clients have it, beside it.
    let token = asked["credentials"]["oidcIdentityToken"].as_str();
    let token = token.or(request.bearer.as_deref()).unwrap_or_default();
    let (issuer, identity) = token::check(token, &parts.issuer_key).map_err(|why| (401, why))?;
    let subject = match &asked["certificateSigningRequest"] {
        Value::Null => proven(&asked["publicKeyRequest"], &identity)?,
        request => requested(&decoded(request)?)?,
    };
    let chain = chain(parts, &subject, &issuer, &identity);
    Ok(Answer::json(
        200,
        &json!({ "signedCertificateEmbeddedSct": { "chain": { "certificates": chain } } }),
    ))
}

/// The first form of the same: the token beside the request, the chain as text.
fn certify_first(parts: &Parts, request: &Request) -> Done {
    let asked = read(request)?;
    let token = request.bearer.as_deref().unwrap_or_default();
    let (issuer, identity) = token::check(token, &parts.issuer_key).map_err(|why| (401, why))?;
    let content = String::from_utf8(decoded(&asked["publicKey"]["content"])?);
    let content = content.map_err(|error| wrong(error.to_string()))?;
    let proof = json!({
        "publicKey": { "content": content },
        "proofOfPossession": asked["signedEmailAddress"],
    });
    let subject = proven(&proof, &identity)?;
    let body = chain(parts, &subject, &issuer, &identity).concat().into_bytes();
    Ok(Answer::new(201, "application/pem-certificate-chain", body))
}

/// A certificate for a proven identity and the authority's own.
fn chain(parts: &Parts, subject: &Subject, issuer: &str, identity: &str) -> [String; 2] {
    let mut claims = BTreeMap::new();
    if let Some((_, reference)) = identity.split_once("@refs/") {
        claims.insert("source-repository-ref".to_owned(), format!("refs/{reference}"));
        claims.insert("runner-environment".to_owned(), "github-hosted".to_owned());
    }
    let order = Order {
        identity,
        issuer,
        claims: &claims,
        from: Timestamp::now(),
        log: Some(&parts.authority.log),
        code_signing: true,
        forged_timestamp: false,
    };
    let certificate = parts.authority.issue(subject, &order);
    [certificate.pem(), parts.authority.certificate().pem()]
}

/// The key of a certificate signing request that its own signature fits.
fn requested(pem: &[u8]) -> Result<Subject, (u16, String)> {
    let block = pem::parse(pem).map_err(|error| wrong(error.to_string()))?;
    let parse = || {
        let (info, rest) = split(inside(block.contents())?)?;
        let (_algorithm, rest) = split(rest)?;
        let signature = inside(rest)?.get(1..)?;
        let (_version, fields) = split(inside(info)?)?;
        let (_name, fields) = split(fields)?;
        let subject = Subject::from_spki(split(fields)?.0)?;
        subject.signed(info, signature).then_some(subject)
    };
    parse().ok_or_else(|| wrong("the signing request is not good"))
}

/// The key of a request that proves possession by signing the token's subject.
fn proven(request: &Value, identity: &str) -> Result<Subject, (u16, String)> {
    let text = request["publicKey"]["content"].as_str().unwrap_or_default();
    let block = pem::parse(text).map_err(|error| wrong(error.to_string()))?;
    let subject =
        Subject::from_spki(block.contents()).ok_or_else(|| wrong("expected a P-256 key"))?;
    if subject.signed(identity.as_bytes(), &decoded(&request["proofOfPossession"])?) {
        Ok(subject)
    } else {
        Err(wrong("the proof of possession is not good"))
    }
}

fn hash(bytes: &[u8]) -> Value {
    json!({ "algorithm": "sha256", "value": Digest::sha256(bytes).hex() })
}

/// What the first generation enters for an envelope.
pub(super) fn envelope_body(envelope: &str, verifier: &str) -> Result<Value, String> {
    let parsed: Value = serde_json::from_str(envelope).map_err(|error| error.to_string())?;
    let payload = parsed["payload"].as_str().unwrap_or_default();
    let payload = STANDARD.decode(payload).map_err(|error| error.to_string())?;
    Ok(json!({
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": hash(envelope.as_bytes()),
            "payloadHash": hash(&payload),
            "signatures": [{ "signature": parsed["signatures"][0]["sig"], "verifier": verifier }],
        },
    }))
}

/// What the first generation enters for an envelope of the kind that names its hash only.
pub(super) fn statement_body(envelope: &str, verifier: &str) -> Result<Value, String> {
    let parsed: Value = serde_json::from_str(envelope).map_err(|error| error.to_string())?;
    let payload = parsed["payload"].as_str().unwrap_or_default();
    let payload = STANDARD.decode(payload).map_err(|error| error.to_string())?;
    Ok(json!({
        "apiVersion": "0.0.1",
        "kind": "intoto",
        "spec": {
            "content": { "hash": hash(envelope.as_bytes()), "payloadHash": hash(&payload) },
            "publicKey": verifier,
        },
    }))
}

fn enter_first(parts: &Parts, request: &Request) -> Done {
    let proposed = read(request)?;
    let body = if proposed["kind"] == "dsse" {
        let content = &proposed["spec"]["proposedContent"];
        let envelope = content["envelope"].as_str().unwrap_or_default();
        envelope_body(envelope, content["verifiers"][0].as_str().unwrap_or_default())
            .map_err(wrong)?
    } else if proposed["kind"] == "intoto" && proposed["apiVersion"] == "0.0.1" {
        let spec = &proposed["spec"];
        let envelope = spec["content"]["envelope"].as_str().unwrap_or_default();
        statement_body(envelope, spec["publicKey"].as_str().unwrap_or_default()).map_err(wrong)?
    } else if proposed["kind"] == "hashedrekord" {
        proposed
    } else {
        return Err(wrong(format!("kind `{}` is not known", proposed["kind"])));
    };
    let now = Timestamp::now();
    let mut log = parts.log(Generation::First);
    let entry = log.enter(&body, now);
    let proof = &entry["inclusionProof"];
    let hexed = |value: &Value| decoded(value).map(hex::encode);
    let hashes: Result<Vec<String>, _> =
        proof["hashes"].as_array().into_iter().flatten().map(hexed).collect();
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok());
    let answer = json!({
        "body": entry["canonicalizedBody"],
        "integratedTime": now.as_second(),
        "logID": hex::encode(log.key.id()),
        "logIndex": number(&entry["logIndex"]),
        "verification": {
            "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "inclusionProof": {
                "checkpoint": proof["checkpoint"]["envelope"],
                "hashes": hashes?,
                "logIndex": number(&proof["logIndex"]),
                "rootHash": hexed(&proof["rootHash"])?,
                "treeSize": number(&proof["treeSize"]),
            },
        },
    });
    Ok(Answer { etag: Some(ENTRY), ..Answer::json(201, &json!({ ENTRY: answer })) })
}

fn enter_second(parts: &Parts, request: &Request) -> Done {
    let asked = read(request)?;
    let (record, enveloped) = (&asked["hashedRekordRequestV002"], &asked["dsseRequestV002"]);
    let body = if record.is_object() {
        record_body(record)
    } else if let (Value::Object(_), [verifier]) =
        (enveloped, &enveloped["verifiers"].as_array().map_or(&[][..], Vec::as_slice))
    {
        envelope_record(&enveloped["envelope"], verifier).map_err(wrong)?
    } else {
        return Err(wrong("expected `hashedRekordRequestV002` or `dsseRequestV002`"));
    };
    let entry = parts.log(Generation::Second).enter(&body, Timestamp::now());
    Ok(Answer::json(201, &entry))
}

/// What the second generation enters for an envelope.
pub(super) fn envelope_record(envelope: &Value, verifier: &Value) -> Result<Value, String> {
    let payload = envelope["payload"].as_str().unwrap_or_default();
    let payload = STANDARD.decode(payload).map_err(|error| error.to_string())?;
    let digest = STANDARD.encode(Digest::sha256(&payload).as_bytes());
    let signatures: Vec<Value> = envelope["signatures"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|signature| json!({ "content": signature["sig"], "verifier": verifier }))
        .collect();
    Ok(json!({
        "apiVersion": "0.0.2",
        "kind": "dsse",
        "spec": { "dsseV002": {
            "payloadHash": { "algorithm": "SHA2_256", "digest": digest },
            "signatures": signatures,
        }},
    }))
}

/// What the second generation enters for a signature.
pub(super) fn record_body(record: &Value) -> Value {
    json!({
        "apiVersion": "0.0.2",
        "kind": "hashedrekord",
        "spec": { "hashedRekordV002": {
            "data": { "algorithm": "SHA2_256", "digest": record["digest"] },
            "signature": record["signature"],
        }},
    })
}

fn stamp(parts: &Parts, request: &Request) -> Done {
    let body = parts
        .stamper
        .answer(&request.body, Timestamp::now())
        .ok_or_else(|| wrong("the request is not good"))?;
    Ok(Answer::new(201, "application/timestamp-reply", body))
}

fn ambient(parts: &Parts, request: &Request) -> Done {
    if request.bearer.as_deref() != Some(AMBIENT_SECRET) {
        return Err((401, "the job's secret is missing".into()));
    }
    let query = request.path.split_once('?').map_or("", |(_, query)| query);
    let audience = query.split('&').find_map(|pair| pair.strip_prefix("audience="));
    let claims =
        Claims { audience: audience.unwrap_or_default(), ..Claims::new(AMBIENT.0, AMBIENT.1) };
    Ok(Answer::json(200, &json!({ "value": claims.signed(&parts.issuer_key) })))
}

//! Signature version 4 of Amazon's interfaces.
//!
//! Owns the canonical form of a request and the derivation of the key. It is a function of its input,
//! held against the vectors that Amazon publishes.

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};
use url::Url;

use super::Keys;
use crate::{secret::Secret, transport::authority};

/// A request that is to be signed.
pub(crate) struct Signing<'a> {
    pub(crate) method: &'a str,
    pub(crate) url: &'a Url,
    /// Headers to be signed beside host, time and token; names in lower case.
    pub(crate) headers: &'a [(&'static str, &'a str)],
    pub(crate) body: &'a [u8],
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) time: jiff::Timestamp,
}

/// The headers that make a request signed.
pub(crate) fn sign(signing: &Signing<'_>, keys: &Keys) -> Vec<(&'static str, Secret)> {
    let time = signing.time.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = &time[..8];
    let content = hex(digest::digest(&digest::SHA256, signing.body).as_ref());
    let mut headers: Vec<(&'static str, String)> =
        vec![("host", authority(signing.url).to_owned()), ("x-amz-date", time.clone())];
    if let Some(token) = &keys.session {
        headers.push(("x-amz-security-token", token.expose().to_owned()));
    }
    // Storage wants the hash of the content told, too.
    if signing.service == "s3" {
        headers.push(("x-amz-content-sha256", content.clone()));
    }
    headers.extend(signing.headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
    headers.sort_by_key(|(name, _)| *name);
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let request = canonical(signing, &headers, &names, &content);
    let scope = format!("{date}/{}/{}/aws4_request", signing.region, signing.service);
    let hashed = hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}");
    let signature = hex(&mac(&key(keys, date, signing), &text));
    let id = keys.id.as_str();
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
    );
    let own =
        |name: &str| name.starts_with("x-amz-") && !signing.headers.iter().any(|h| h.0 == name);
    let mut added: Vec<(&'static str, Secret)> = headers
        .into_iter()
        .filter(|(name, _)| own(name))
        .map(|(name, value)| (name, value.into()))
        .collect();
    added.push(("authorization", authorization.into()));
    added
}

fn canonical(
    signing: &Signing<'_>,
    headers: &[(&'static str, String)],
    names: &str,
    content: &str,
) -> String {
    let mut query: Vec<(String, String)> = signing
        .url
        .query_pairs()
        .map(|(name, value)| (encode(&name, false), encode(&value, false)))
        .collect();
    query.sort();
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut request = format!("{}\n{}\n{}\n", signing.method, path(signing), query.join("&"));
    for (name, value) in headers {
        // Writing to a string does not fail.
        let _ = writeln!(request, "{name}:{}", value.trim());
    }
    request.extend(["\n", names, "\n", content]);
    request
}

/// The path; all services but storage want what is encoded already encoded once more.
fn path(signing: &Signing<'_>) -> String {
    let path = signing.url.path();
    if signing.service == "s3" { path.to_owned() } else { encode(path, true) }
}

/// Percent-encodes everything but the unreserved characters, and the slash where `path`.
pub(crate) fn encode(text: &str, path: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            b'/' if path => encoded.push('/'),
            // Writing to a string does not fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

fn key(keys: &Keys, date: &str, signing: &Signing<'_>) -> Vec<u8> {
    let first = Secret::new(format!("AWS4{}", keys.secret.expose()));
    let mut key = mac(first.expose().as_bytes(), date);
    for part in [signing.region, signing.service, "aws4_request"] {
        key = mac(&key, part);
    }
    key
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(id: &str, secret: &str) -> Keys {
        Keys { id: id.into(), secret: Secret::new(secret), session: None, until: None }
    }

    fn authorization(signing: &Signing<'_>, keys: &Keys) -> String {
        let signed = sign(signing, keys);
        let header = signed.iter().find(|(name, _)| *name == "authorization").unwrap();
        header.1.expose().to_owned()
    }

    /// The signature of a request of the published test suite.
    fn suite(method: &str, url: &str, headers: &[(&'static str, &str)], body: &str) -> String {
        let keys = keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let signing = Signing {
            method,
            url: &Url::parse(url).unwrap(),
            headers,
            body: body.as_bytes(),
            region: "us-east-1",
            service: "service",
            time: "2015-08-30T12:36:00Z".parse().unwrap(),
        };
        authorization(&signing, &keys).rsplit_once('=').unwrap().1.to_owned()
    }

    #[test]
    fn the_published_suite_holds() {
        let host = "https://example.amazonaws.com/";
        assert_eq!(
            suite("GET", host, &[], ""),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        assert_eq!(
            suite("POST", host, &[], ""),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
        assert_eq!(
            suite("GET", &format!("{host}?Param2=value2&Param1=value1"), &[], ""),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
        );
        assert_eq!(
            suite(
                "POST",
                host,
                &[("content-type", "application/x-www-form-urlencoded")],
                "Param1=value1"
            ),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
        );
    }

    #[test]
    fn the_documented_example_for_storage_holds() {
        let keys = keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let signing = Signing {
            method: "GET",
            url: &Url::parse("https://examplebucket.s3.amazonaws.com/test.txt").unwrap(),
            headers: &[("range", "bytes=0-9")],
            body: b"",
            region: "us-east-1",
            service: "s3",
            time: "2013-05-24T00:00:00Z".parse().unwrap(),
        };
        assert_eq!(
            authorization(&signing, &keys),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
    }

    #[test]
    fn the_documented_example_for_identities_holds() {
        let keys = keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let url = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08";
        let signing = Signing {
            method: "GET",
            url: &Url::parse(url).unwrap(),
            headers: &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
            body: b"",
            region: "us-east-1",
            service: "iam",
            time: "2015-08-30T12:36:00Z".parse().unwrap(),
        };
        assert!(
            authorization(&signing, &keys)
                .ends_with("5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")
        );
    }

    #[test]
    fn a_session_token_is_signed_and_sent() {
        let mut keys = keys("id", "secret");
        keys.session = Some(Secret::new("tok"));
        let url = Url::parse("https://r.example.org/a%20b").unwrap();
        let signing = Signing {
            method: "GET",
            url: &url,
            headers: &[],
            body: b"",
            region: "r",
            service: "ecr",
            time: "2015-08-30T12:36:00Z".parse().unwrap(),
        };
        let signed = sign(&signing, &keys);
        assert!(
            signed.iter().any(|(name, v)| *name == "x-amz-security-token" && v.expose() == "tok")
        );
        assert!(authorization(&signing, &keys).contains("host;x-amz-date;x-amz-security-token"));
        assert_eq!(path(&signing), "/a%2520b");
    }
}

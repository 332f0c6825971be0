//! Objects in the storage of clouds, `s3://bucket/key` and `gs://bucket/object`, for reading.
//!
//! Owns their addresses and who we are to them: the identity that is set up on purpose, else nobody,
//! and where nobody may read, the identity of the machine. Requests carry what proves us in headers,
//! so that none of them is ever redirected.

use std::{fmt, str::FromStr};

use http::{HeaderName, HeaderValue, Method, StatusCode, header::AUTHORIZATION};
use url::Url;

use super::{
    Client, Document,
    document::{changed, conditional},
};
use crate::{
    auth::{
        Asking, Scope,
        aws::{self, Keys, Signing, encode, sign},
        google, secure,
    },
    error::OciError,
    transport::{Answer, Call, Transport, authority},
};

/// Region that is asked first when none is known; it names the right one.
const FIRST_REGION: &str = "us-east-1";
/// Header by which storage names the region of a bucket.
const REGION_HEADER: &str = "x-amz-bucket-region";
/// Answers that may mean that another region should have been asked, beside that nothing is new.
const ELSEWHERE: &[StatusCode] = &[
    StatusCode::NOT_MODIFIED,
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::TEMPORARY_REDIRECT,
    StatusCode::BAD_REQUEST,
];

/// An object in the storage of a cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    store: Store,
    bucket: String,
    key: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    Amazon,
    Google,
}

impl Object {
    /// Name of the way it is fetched: `s3` or `gcs`.
    pub fn backend(&self) -> &'static str {
        match self.store {
            Store::Amazon => "s3",
            Store::Google => "gcs",
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.store {
            Store::Amazon => "s3",
            Store::Google => "gs",
        };
        write!(f, "{scheme}://{}/{}", self.bucket, self.key)
    }
}

impl FromStr for Object {
    type Err = OciError;

    fn from_str(text: &str) -> Result<Self, OciError> {
        let wrong = || OciError::Config {
            value: text.to_owned(),
            expected: "object, expected `s3://BUCKET/KEY` or `gs://BUCKET/OBJECT`",
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let store = match scheme {
            "s3" => Store::Amazon,
            "gs" => Store::Google,
            _ => return Err(wrong()),
        };
        let (bucket, key) = rest.split_once('/').ok_or_else(wrong)?;
        let plain =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '_');
        let fits = (3..=63).contains(&bucket.len()) && bucket.chars().all(plain);
        // Such parts would be taken out of the address, and another object would be asked for.
        let walks = key.split('/').any(|part| matches!(part, "." | ".."));
        if !fits || bucket.starts_with(['.', '-']) || key.is_empty() || walks {
            return Err(wrong());
        }
        Ok(Self { store, bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

impl Client {
    /// An object of at most `limit` bytes; `None` when it is still in the state with the entity tag
    /// `known`.
    pub async fn object_if_new(
        &self,
        object: &Object,
        limit: u64,
        known: Option<&str>,
    ) -> Result<Option<Document>, OciError> {
        let mut metadata = false;
        loop {
            let outcome = match object.store {
                Store::Amazon => self.amazon(object, limit, known, metadata).await,
                Store::Google => self.google(object, limit, known, metadata).await,
            };
            match outcome {
                // Nobody may read it: worth asking what this machine is.
                Err(OciError::Unauthorized { .. } | OciError::Forbidden { .. }) if !metadata => {
                    metadata = true;
                }
                other => return other.map(|answer| changed(answer, known)),
            }
        }
    }

    async fn amazon(
        &self,
        object: &Object,
        limit: u64,
        known: Option<&str>,
        metadata: bool,
    ) -> Result<Answer, OciError> {
        let asking = self.asking(metadata);
        let fail = |detail| credentials(object, detail);
        let endpoint = aws::endpoint(&asking, "S3").map_err(fail)?;
        let keys = aws::find_keys(&asking).await.map_err(fail)?;
        let mut region = aws::region(&asking).map_err(fail)?;
        let mut again = true;
        loop {
            let here = region.as_deref().unwrap_or(FIRST_REGION);
            let url = amazon_address(object, endpoint.as_ref(), here)?;
            let mut call = stay(object, url).expect(ELSEWHERE);
            if let Some(keys) = &keys {
                add_signature(&mut call, here, keys)?;
            }
            let mut call = conditional(call, known);
            call.expected = ELSEWHERE;
            let answer = self.transport.read(&call, limit).await?;
            if answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED {
                return Ok(answer);
            }
            let named = answer.headers.get(REGION_HEADER).and_then(|name| name.to_str().ok());
            let named = named.filter(|name| *name != here && aws::is_region(name));
            match named {
                Some(named) if again => region = Some(named.to_owned()),
                _ => {
                    return Err(OciError::Server {
                        what: object.to_string(),
                        status: answer.status.as_u16(),
                        detail: format!("region `{here}` may be wrong, set `AWS_REGION`"),
                    });
                }
            }
            again = false;
        }
    }

    async fn google(
        &self,
        object: &Object,
        limit: u64,
        known: Option<&str>,
        metadata: bool,
    ) -> Result<Answer, OciError> {
        let asking = self.asking(metadata);
        let fail = |detail| credentials(object, detail);
        let host = match asking.variables.get("STORAGE_EMULATOR_HOST") {
            Some(host) if host.contains("://") => host.trim_end_matches('/').to_owned(),
            Some(host) => format!("http://{host}"),
            None => "https://storage.googleapis.com".to_owned(),
        };
        let address = format!("{host}/{}/{}", object.bucket, encode(&object.key, true));
        let url = secure(&address, "`STORAGE_EMULATOR_HOST`").map_err(fail)?;
        let mut call = stay(object, url);
        let token = google::access_token(&asking, google::STORAGE_SCOPE).await.map_err(fail)?;
        if let Some((token, _)) = token {
            let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
            let mut value = value.map_err(|_| fail("the token is no header".to_owned()))?;
            value.set_sensitive(true);
            call.headers.insert(AUTHORIZATION, value);
        }
        self.transport.read(&conditional(call, known), limit).await
    }

    fn asking(&self, metadata: bool) -> Asking<'_, Transport> {
        let variables = &self.config().credentials.environment;
        Asking { service: self.transport.as_ref(), variables, metadata }
    }
}

/// A request that is for this address alone.
fn stay(object: &Object, url: Url) -> Call {
    let what = object.to_string();
    let host = authority(&url).to_owned();
    let mut call = Call::new(Method::GET, &host, url, Scope::none(), what);
    call.stays = true;
    call
}

/// The bucket is a part of the host, except where its name has dots, which no certificate covers, and
/// at an endpoint of one's own.
fn amazon_address(object: &Object, endpoint: Option<&Url>, region: &str) -> Result<Url, OciError> {
    let (bucket, key) = (&object.bucket, encode(&object.key, true));
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let address = match endpoint {
        Some(endpoint) => format!("{}/{bucket}/{key}", endpoint.as_str().trim_end_matches('/')),
        None if bucket.contains('.') => format!("https://s3.{region}.{domain}/{bucket}/{key}"),
        None => format!("https://{bucket}.s3.{region}.{domain}/{key}"),
    };
    Url::parse(&address)
        .map_err(|_| OciError::Config { value: object.to_string(), expected: "object" })
}

fn add_signature(call: &mut Call, region: &str, keys: &Keys) -> Result<(), OciError> {
    let signing = Signing {
        method: "GET",
        url: &call.url,
        headers: &[],
        body: b"",
        region,
        service: "s3",
        time: jiff::Timestamp::now(),
    };
    for (name, value) in sign(&signing, keys) {
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| {
            let detail = "the keys have characters that no header may have".to_owned();
            OciError::Credentials { registry: call.what.clone(), detail }
        })?;
        value.set_sensitive(true);
        call.headers.insert(HeaderName::from_static(name), value);
    }
    Ok(())
}

fn credentials(object: &Object, detail: String) -> OciError {
    OciError::Credentials { registry: object.to_string(), detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_a_bucket_and_a_key() {
        for text in ["s3://my-bucket/a/b c.yaml", "gs://my.bucket_1/index.yaml"] {
            assert_eq!(text.parse::<Object>().unwrap().to_string(), text);
        }
        for text in [
            "s3://my-bucket",
            "s3://my-bucket/",
            "s3:///key",
            "s3://My/key",
            "s3://a/key",
            "az://bucket/key",
            "s3://.bucket/key",
            "s3://bucket/../other/key",
            "bucket/key",
        ] {
            assert!(text.parse::<Object>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_address_is_safe_for_certificates() {
        let at = |text: &str, endpoint: Option<&str>| {
            let endpoint = endpoint.map(|endpoint| Url::parse(endpoint).unwrap());
            let object = text.parse().unwrap();
            amazon_address(&object, endpoint.as_ref(), "eu-west-1").unwrap().to_string()
        };
        assert_eq!(at("s3://bucket/a b", None), "https://bucket.s3.eu-west-1.amazonaws.com/a%20b");
        assert_eq!(at("s3://b.cket/a", None), "https://s3.eu-west-1.amazonaws.com/b.cket/a");
        let own = Some("http://127.0.0.1:9000/");
        assert_eq!(at("s3://bucket/a", own), "http://127.0.0.1:9000/bucket/a");
    }
}

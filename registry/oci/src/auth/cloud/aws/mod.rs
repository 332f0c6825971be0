//! Amazon: access keys from the chain that its tools know, exchanged for a registry's password, and
//! used to sign requests for objects.
//!
//! Owns which host is which registry. Where keys come from is owned by `keys`, the signature by
//! `signature`.

mod keys;
mod profile;
mod signature;

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use url::Url;

pub(crate) use keys::{Keys, find as find_keys};
use profile::region as profile_region;
pub(crate) use signature::{Signing, encode, sign};

use super::{Asking, secure, until, until_time};
use crate::{
    auth::{
        Credential, Found,
        token::{TokenRequest, TokenService},
    },
    secret::Secret,
};

/// How long a registry's password is used when the answer does not say; the service gives twelve
/// hours.
const PASSWORD_LIFE: Duration = Duration::from_hours(1);

/// A registry of Amazon.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// One for everybody to read.
    Public,
    /// One of an account, in a region.
    Private { region: String, fips: bool, domain: String },
}

impl Place {
    /// `<account>.dkr.ecr.<region>.amazonaws.com`, its variants, or `public.ecr.aws`.
    pub(super) fn of_registry(host: &str) -> Option<Self> {
        if host == "public.ecr.aws" {
            return Some(Self::Public);
        }
        let (account, rest) = host.split_once(".dkr.")?;
        let (service, rest) = rest.split_once('.')?;
        let (region, domain) = rest.split_once('.')?;
        let named = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let known = matches!(domain, "amazonaws.com" | "amazonaws.com.cn" | "amazonaws.eu");
        let fips = match service {
            "ecr" => false,
            "ecr-fips" => true,
            _ => return None,
        };
        (named && known && is_region(region)).then(|| Self::Private {
            region: region.to_owned(),
            fips,
            domain: domain.to_owned(),
        })
    }
}

/// Whether text can be a region: it becomes a part of a host name.
pub(crate) fn is_region(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(plain)
}

/// The region that variables and profile name.
pub(crate) fn region(asking: &Asking<'_, impl TokenService>) -> Result<Option<String>, String> {
    let variables = asking.variables;
    let named = variables.get("AWS_REGION").or_else(|| variables.get("AWS_DEFAULT_REGION"));
    let region = match named {
        Some(region) => Some(region.to_owned()),
        None => profile_region(variables)?,
    };
    match region {
        Some(region) if !is_region(&region) => Err("the region is no name of a region".to_owned()),
        region => Ok(region),
    }
}

/// An endpoint that is set for one service, or for all.
pub(crate) fn endpoint(
    asking: &Asking<'_, impl TokenService>,
    service: &str,
) -> Result<Option<Url>, String> {
    let own = format!("AWS_ENDPOINT_URL_{service}");
    for name in [own.as_str(), "AWS_ENDPOINT_URL"] {
        if let Some(address) = asking.variables.get(name) {
            return secure(address, &format!("`{name}`")).map(Some);
        }
    }
    Ok(None)
}

/// The credential for a registry.
pub(super) async fn registry(
    asking: &Asking<'_, impl TokenService>,
    registry: &str,
) -> Result<Option<Found>, String> {
    let place = match Place::of_registry(registry) {
        Some(place) => place,
        // A listed registry behind a name of its own.
        None => Place::Private {
            region: region(asking)?.ok_or("no region is known: set `AWS_REGION`")?,
            fips: false,
            domain: "amazonaws.com".to_owned(),
        },
    };
    // Nobody gets into a private registry without keys: then it is worth asking the machine.
    let metadata = asking.metadata || matches!(place, Place::Private { .. });
    let asking = &Asking { metadata, ..*asking };
    let Some(keys) = find_keys(asking).await? else { return Ok(None) };
    let (url, target, region) = match &place {
        Place::Public => {
            let known = "https://api.ecr-public.us-east-1.amazonaws.com/";
            let url = endpoint(asking, "ECR_PUBLIC")?.map_or_else(|| secure(known, known), Ok)?;
            (url, "SpencerFrontendService.GetAuthorizationToken", "us-east-1")
        }
        Place::Private { region, fips, domain } => {
            let name = if *fips { "ecr-fips" } else { "api.ecr" };
            let known = format!("https://{name}.{region}.{domain}/");
            let url = endpoint(asking, "ECR")?.map_or_else(|| secure(&known, &known), Ok)?;
            let target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
            (url, target, region.as_str())
        }
    };
    let service = if place == Place::Public { "ecr-public" } else { "ecr" };
    let body = "{}";
    let media_type = "application/x-amz-json-1.1";
    let headers = [("content-type", media_type), ("x-amz-target", target)];
    let signing = Signing {
        method: "POST",
        url: &url,
        headers: &headers,
        body: body.as_bytes(),
        region,
        service,
        time: jiff::Timestamp::now(),
    };
    let signed = sign(&signing, &keys);
    let mut request = TokenRequest::get(url.clone()).with_method(http::Method::POST);
    request.body = Some((media_type, Secret::new(body)));
    request.headers.push(("x-amz-target", Secret::new(target)));
    request.headers.extend(signed);
    let asked = Instant::now();
    let answer = asking.service.ask(request).await;
    let answer = answer.map_err(|error| format!("no password from the service: {error}"))?;
    understand(&answer, asked).map(Some)
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "authorizationData")]
    data: OneOrMany,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(Authorization),
    Many(Vec<Authorization>),
}

#[derive(Deserialize)]
struct Authorization {
    #[serde(rename = "authorizationToken")]
    token: Secret,
    #[serde(default, rename = "expiresAt")]
    expires: Option<f64>,
}

/// The token is the base64 form of a user, a colon and a password.
fn understand(answer: &[u8], asked: Instant) -> Result<Found, String> {
    let malformed = || "the service answered something else than a password".to_owned();
    let answer: Answer = serde_json::from_slice(answer).map_err(|_| malformed())?;
    let given = match answer.data {
        OneOrMany::One(given) => Some(given),
        OneOrMany::Many(given) => given.into_iter().next(),
    };
    let given = given.ok_or_else(malformed)?;
    let decoded = STANDARD.decode(given.token.expose()).map_err(|_| malformed())?;
    let decoded = Secret::new(String::from_utf8(decoded).map_err(|_| malformed())?);
    let (user, password) = decoded.expose().split_once(':').ok_or_else(malformed)?;
    let end = given.expires.and_then(|end| jiff::Timestamp::from_second(end as i64).ok());
    Ok(Found {
        credential: Credential::Basic { user: user.to_owned(), password: Secret::new(password) },
        until: Some(end.map_or_else(|| until(asked, PASSWORD_LIFE), |end| until_time(asked, end))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_names_its_region() {
        let private = |region: &str, fips, domain: &str| {
            Some(Place::Private { region: region.into(), fips, domain: domain.into() })
        };
        let at = Place::of_registry;
        assert_eq!(
            at("123456789012.dkr.ecr.eu-west-1.amazonaws.com"),
            private("eu-west-1", false, "amazonaws.com")
        );
        assert_eq!(
            at("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com"),
            private("us-gov-west-1", true, "amazonaws.com")
        );
        assert_eq!(at("public.ecr.aws"), Some(Place::Public));
        for other in [
            "12345678901.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu_west.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.example.org",
            "123456789012.dkr.evil.eu-west-1.amazonaws.com",
        ] {
            assert_eq!(at(other), None, "{other}");
        }
    }

    #[test]
    fn both_forms_of_the_answer_are_read() {
        // "AWS:pw:x" in base64.
        let end = jiff::Timestamp::now().as_second() + 43_200;
        for json in [
            format!(
                r#"{{"authorizationData":[{{"authorizationToken":"QVdTOnB3Ong=","expiresAt":{end}.5}}]}}"#
            ),
            r#"{"authorizationData":{"authorizationToken":"QVdTOnB3Ong="}}"#.to_owned(),
        ] {
            let found = understand(json.as_bytes(), Instant::now()).unwrap();
            let expected = Credential::Basic { user: "AWS".into(), password: Secret::new("pw:x") };
            assert_eq!(found.credential, expected);
            assert!(found.is_fresh());
        }
        for json in [
            "{}",
            r#"{"authorizationData":[]}"#,
            r#"{"authorizationData":{"authorizationToken":"!"}}"#,
        ] {
            assert!(understand(json.as_bytes(), Instant::now()).is_err(), "{json}");
        }
    }
}

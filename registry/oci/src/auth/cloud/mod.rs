//! The identity that a cloud gives a machine, a workload or an administrator, used for its registries.
//!
//! Owns which host belongs to which cloud. An identity is used for hosts of its own cloud and for
//! those that the configuration lists, never for another. On a host of a cloud that is not listed,
//! only what somebody has set up on purpose counts (variables and files); the metadata service of the
//! machine is asked where the configuration lists the host, and for registries that let nobody in
//! without it. Endpoints can be overridden by the variables that the clouds' own tools know.

pub(crate) mod aws;
mod azure;
pub(crate) mod google;

use std::{
    fmt,
    path::Path,
    str::FromStr,
    time::{Duration, Instant},
};

use url::Url;

use super::{Credential, Found, Variables, token::TokenService};
use crate::{
    error::OciError,
    secret::Secret,
    transport::{authority, is_near},
};

/// Credentials are renewed this long before they run out, since what they are used for takes time.
const MARGIN: Duration = Duration::from_mins(5);
/// Life times beyond this are not believed.
const LONGEST_LIFE: Duration = Duration::from_hours(24);
/// Largest file with keys or tokens that is read, in bytes.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// A cloud whose identities are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Google: application default credentials.
    Google,
    /// Amazon: the chain of its tools, exchanged for a registry password.
    Aws,
    /// Microsoft: an application, a workload identity or a managed identity.
    Azure,
}

impl Cloud {
    /// The cloud that a registry belongs to.
    pub fn of_registry(registry: &str) -> Option<Self> {
        let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
        let below = |domain: &str| host.strip_suffix(domain).is_some_and(|h| h.ends_with('.'));
        if aws::Place::of_registry(host).is_some() {
            Some(Self::Aws)
        } else if ["azurecr.io", "azurecr.cn", "azurecr.us"].iter().any(|domain| below(domain)) {
            Some(Self::Azure)
        } else if host == "gcr.io" || below("gcr.io") || host.ends_with("-docker.pkg.dev") {
            Some(Self::Google)
        } else {
            None
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Google => "gcp",
            Self::Aws => "aws",
            Self::Azure => "azure",
        })
    }
}

impl FromStr for Cloud {
    type Err = OciError;

    fn from_str(text: &str) -> Result<Self, OciError> {
        match text {
            "gcp" | "google" => Ok(Self::Google),
            "aws" => Ok(Self::Aws),
            "azure" => Ok(Self::Azure),
            _ => Err(OciError::Config {
                value: text.to_owned(),
                expected: "cloud, expected `gcp`, `aws` or `azure`",
            }),
        }
    }
}

/// The credential for a registry, if a cloud gives one.
pub(super) async fn find(
    service: &impl TokenService,
    variables: &Variables,
    registry: &str,
    listed: Option<Cloud>,
) -> Result<Found, OciError> {
    let Some(cloud) = listed.or_else(|| Cloud::of_registry(registry)) else {
        return Ok(Credential::Anonymous.into());
    };
    let asking = Asking { service, variables, metadata: listed.is_some() };
    let found = match cloud {
        Cloud::Google => google::registry(&asking).await,
        Cloud::Aws => aws::registry(&asking, registry).await,
        Cloud::Azure => azure::registry(&asking, registry).await,
    };
    let fail = |detail| OciError::Credentials { registry: registry.to_owned(), detail };
    match found.map_err(fail)? {
        Some(found) => Ok(found),
        None if listed.is_some() => Err(fail(format!(
            "the configuration says to use the identity of `{cloud}`, but there is none here"
        ))),
        None => Ok(Credential::Anonymous.into()),
    }
}

/// What an identity is looked for with.
pub(crate) struct Asking<'a, S> {
    pub(crate) service: &'a S,
    pub(crate) variables: &'a Variables,
    /// Whether the machine's metadata service may be asked.
    pub(crate) metadata: bool,
}

/// Until when something that lasts `life` is worth using.
fn until(asked: Instant, life: Duration) -> Instant {
    let life = life.min(LONGEST_LIFE);
    asked + life.saturating_sub(MARGIN.min(life / 2))
}

/// Until when something that ends at a point in time is worth using.
fn until_time(asked: Instant, end: jiff::Timestamp) -> Instant {
    let left = end.duration_since(jiff::Timestamp::now());
    until(asked, Duration::try_from(left).unwrap_or_default())
}

/// An address that secrets may be sent to: by TLS, or on this machine and its metadata service.
pub(crate) fn secure(address: &str, origin: &str) -> Result<Url, String> {
    let url = Url::parse(address).ok().filter(Url::has_host);
    let url = url.ok_or_else(|| format!("{origin} is no address"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_near(authority(&url)) => Ok(url),
        _ => Err(format!("{origin} is not reached by https")),
    }
}

/// A file with a key or token; what it holds is never part of a message.
fn read(path: &Path) -> Result<Secret, String> {
    let fail = |error: std::io::Error| format!("`{}`: {error}", path.display());
    let found = std::fs::metadata(path).map_err(fail)?;
    if found.len() > MAX_FILE_BYTES {
        return Err(format!("`{}`: larger than {MAX_FILE_BYTES} bytes", path.display()));
    }
    Ok(std::fs::read_to_string(path).map_err(fail)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_belong_to_clouds() {
        for (host, cloud) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", Some(Cloud::Aws)),
            ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", Some(Cloud::Aws)),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", Some(Cloud::Aws)),
            ("public.ecr.aws", Some(Cloud::Aws)),
            ("team.azurecr.io", Some(Cloud::Azure)),
            ("team.azurecr.us:443", Some(Cloud::Azure)),
            ("gcr.io", Some(Cloud::Google)),
            ("eu.gcr.io", Some(Cloud::Google)),
            ("europe-west1-docker.pkg.dev", Some(Cloud::Google)),
            ("azurecr.io", None),
            ("evilazurecr.io", None),
            ("evilgcr.io", None),
            ("gcr.io.example.org", None),
            ("x.dkr.ecr.eu-west-1.amazonaws.com.example.org", None),
            ("x.dkr.ecr.eu-west-1.amazonaws.com", None),
            ("s3.eu-west-1.amazonaws.com", None),
            ("localhost:5000", None),
        ] {
            assert_eq!(Cloud::of_registry(host), cloud, "{host}");
        }
    }

    #[test]
    fn secrets_go_by_tls_or_stay_on_the_machine() {
        for good in ["https://sts.example.org/", "http://127.0.0.1:1/", "http://169.254.169.254"] {
            assert!(secure(good, "it").is_ok(), "{good}");
        }
        for bad in ["http://sts.example.org/", "ftp://127.0.0.1/", "sts", ""] {
            assert!(secure(bad, "it").is_err(), "{bad}");
        }
    }

    #[test]
    fn credentials_are_renewed_before_they_run_out() {
        let now = Instant::now();
        assert_eq!(until(now, Duration::from_hours(12)) - now, Duration::from_mins(715));
        assert_eq!(until(now, Duration::from_mins(1)) - now, Duration::from_secs(30));
        assert_eq!(until(now, Duration::MAX) - now, Duration::from_mins(24 * 60 - 5));
    }
}

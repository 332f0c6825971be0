//! Where access keys come from: variables, a web identity, the shared files, the container, the
//! machine; in this order.
//!
//! Owns the exchanges that lead to keys. The first source that is set up counts: when it fails, that
//! is an error and no other identity is used in its place.

use std::time::Instant;

use http::Method;
use serde::Deserialize;

use super::{
    super::{Asking, read, secure, until_time},
    endpoint, profile, region,
};
use crate::{
    auth::token::{TokenRequest, TokenService},
    error::OciError,
    secret::Secret,
};

/// Metadata service of a virtual machine.
const MACHINE: &str = "http://169.254.169.254";
/// Credential service of a container.
const CONTAINER: &str = "http://169.254.170.2";
/// How long a token for the metadata service is asked for, in seconds.
const SESSION_SECONDS: &str = "300";

/// Access keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: Secret,
    pub(crate) session: Option<Secret>,
    /// Until when they are worth using; `None` for as long as nobody revokes them.
    pub(crate) until: Option<Instant>,
}

/// The keys of the first source that is set up; `None` where none is.
pub(crate) async fn find(asking: &Asking<'_, impl TokenService>) -> Result<Option<Keys>, String> {
    let variables = asking.variables;
    if let (Some(id), Some(secret)) =
        (variables.get("AWS_ACCESS_KEY_ID"), variables.secret("AWS_SECRET_ACCESS_KEY"))
    {
        let session = variables.secret("AWS_SESSION_TOKEN");
        return Ok(Some(Keys { id: id.to_owned(), secret, session, until: None }));
    }
    let role = variables.get("AWS_ROLE_ARN");
    if let (Some(role), Some(file)) = (role, variables.get("AWS_WEB_IDENTITY_TOKEN_FILE")) {
        return web_identity(asking, role, file).await.map(Some);
    }
    let profile = profile::load(variables)?;
    if let (Some(role), Some(file)) =
        (profile.get("role_arn"), profile.get("web_identity_token_file"))
    {
        return web_identity(asking, role, file).await.map(Some);
    }
    if let Some(keys) = profile.keys()? {
        return Ok(Some(keys));
    }
    if let Some(request) = container(asking)? {
        let body = asking.service.ask(request).await;
        let body = body.map_err(|error| format!("no keys from the container: {error}"))?;
        return Given::read(&body).map(Some);
    }
    let disabled = variables.get("AWS_EC2_METADATA_DISABLED");
    if !asking.metadata || disabled.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    machine(asking).await
}

/// Keys as the container, the machine and the token service hand them out.
#[derive(Deserialize)]
struct Given {
    #[serde(rename = "AccessKeyId")]
    id: String,
    #[serde(rename = "SecretAccessKey")]
    secret: Secret,
    #[serde(default, rename = "Token", alias = "SessionToken")]
    session: Option<Secret>,
    #[serde(default, rename = "Expiration")]
    end: Option<jiff::Timestamp>,
}

impl Given {
    fn read(body: &[u8]) -> Result<Keys, String> {
        let given: Self = serde_json::from_slice(body)
            .map_err(|_| "the answer is something else than keys".to_owned())?;
        Ok(given.into_keys())
    }

    fn into_keys(self) -> Keys {
        let until = self.end.map(|end| until_time(Instant::now(), end));
        Keys { id: self.id, secret: self.secret, session: self.session, until }
    }
}

/// Exchanges the token that a cluster wrote to a file for keys of a role.
async fn web_identity(
    asking: &Asking<'_, impl TokenService>,
    role: &str,
    file: &str,
) -> Result<Keys, String> {
    // The file is read each time: the cluster replaces it before its token runs out.
    let token = read(file.as_ref())?;
    let known = match region(asking)? {
        Some(region) if region.starts_with("cn-") => {
            format!("https://sts.{region}.amazonaws.com.cn/")
        }
        Some(region) => format!("https://sts.{region}.amazonaws.com/"),
        None => "https://sts.amazonaws.com/".to_owned(),
    };
    let url = endpoint(asking, "STS")?.map_or_else(|| secure(&known, &known), Ok)?;
    let session = asking.variables.get("AWS_ROLE_SESSION_NAME").unwrap_or("eyas");
    let form = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", role),
        ("RoleSessionName", session),
        ("WebIdentityToken", token.expose().trim()),
    ];
    let body = asking.service.ask(TokenRequest::post(url, &form)).await;
    let body = body.map_err(|error| format!("the role cannot be assumed: {error}"))?;
    let text = Secret::new(String::from_utf8_lossy(&body).into_owned());
    let malformed = || "the token service answered something else than keys".to_owned();
    let field = |name: &str| element(text.expose(), name).ok_or_else(malformed);
    let given = Given {
        id: field("AccessKeyId")?.to_owned(),
        secret: Secret::new(field("SecretAccessKey")?),
        session: Some(Secret::new(field("SessionToken")?)),
        end: field("Expiration")?.parse().ok(),
    };
    Ok(given.into_keys())
}

/// The text of an element. What is looked for here has no attributes and needs no escapes.
fn element<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0.trim())
}

/// The request for the keys of a container.
fn container(asking: &Asking<'_, impl TokenService>) -> Result<Option<TokenRequest>, String> {
    let variables = asking.variables;
    let relative = variables.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let url = match (relative, variables.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")) {
        (Some(path), _) if path.starts_with('/') => {
            secure(&format!("{CONTAINER}{path}"), "`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`")?
        }
        (Some(_), _) => {
            return Err("`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` is no path".to_owned());
        }
        (None, Some(address)) => secure(address, "`AWS_CONTAINER_CREDENTIALS_FULL_URI`")?,
        (None, None) => return Ok(None),
    };
    let mut request = TokenRequest::get(url).briefly();
    let token = match variables.path("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(path) => Some(read(&path)?),
        None => variables.secret("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    };
    if let Some(token) = token {
        request = request.with_header("authorization", token.expose().trim());
    }
    Ok(Some(request))
}

/// The keys of the role that a virtual machine has, by version 2 of the metadata service; `None` for
/// a machine that has none, or that is not at Amazon.
async fn machine(asking: &Asking<'_, impl TokenService>) -> Result<Option<Keys>, String> {
    let variable = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    let base = asking.variables.get(variable).unwrap_or(MACHINE).trim_end_matches('/');
    let at = |path: &str| secure(&format!("{base}/latest/{path}"), &format!("`{variable}`"));
    let request = TokenRequest::get(at("api/token")?)
        .with_method(Method::PUT)
        .with_header("x-aws-ec2-metadata-token-ttl-seconds", SESSION_SECONDS)
        .briefly();
    let session = match asking.service.ask(request).await {
        Ok(session) => Secret::new(String::from_utf8_lossy(&session).into_owned()),
        Err(OciError::Network { .. } | OciError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(format!("the metadata service refuses: {error}")),
    };
    let ask = async |path: &str| {
        let request = TokenRequest::get(at(path)?)
            .with_header("x-aws-ec2-metadata-token", session.expose().trim())
            .briefly();
        match asking.service.ask(request).await {
            Ok(body) => Ok(Some(body)),
            Err(OciError::NotFound { .. }) => Ok(None),
            Err(error) => Err(format!("the metadata service refuses: {error}")),
        }
    };
    let Some(roles) = ask("meta-data/iam/security-credentials/").await? else { return Ok(None) };
    let roles = String::from_utf8_lossy(&roles).into_owned();
    let Some(role) = roles.lines().next().map(str::trim).filter(|role| !role.is_empty()) else {
        return Ok(None);
    };
    let path =
        format!("meta-data/iam/security-credentials/{}", super::signature::encode(role, false));
    let body = ask(&path).await?.ok_or("the metadata service does not know its own role")?;
    Given::read(&body).map(Some)
}

//! Microsoft: an identity of Entra, exchanged for a refresh token of the registry.
//!
//! Owns the sources of the identity: an application's secret, a workload identity (a token that the
//! cluster writes to a file), and the managed identity of a machine or an app service.

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::{Asking, read, secure, until};
use crate::{
    auth::{
        Credential, Found,
        token::{TokenRequest, TokenService},
    },
    secret::Secret,
};

/// Where identities are known.
const AUTHORITY: &str = "https://login.microsoftonline.com";
/// Metadata service of a virtual machine.
const METADATA: &str = "http://169.254.169.254";
/// How long a registry's refresh token is used; the service gives three hours.
const REFRESH_LIFE: Duration = Duration::from_hours(1);

#[derive(Deserialize)]
struct Access {
    access_token: Secret,
}

#[derive(Deserialize)]
struct Refresh {
    refresh_token: Secret,
}

/// The credential for a registry.
pub(super) async fn registry(
    asking: &Asking<'_, impl TokenService>,
    registry: &str,
) -> Result<Option<Found>, String> {
    let Some(request) = identity(asking, audience(registry))? else { return Ok(None) };
    let asked = Instant::now();
    let access: Access = ask(asking, request, "Entra").await?;
    let scheme = if asking.service.is_plain(registry) { "http" } else { "https" };
    let url = url::Url::parse(&format!("{scheme}://{registry}/oauth2/exchange"))
        .map_err(|_| "the registry's name makes no address".to_owned())?;
    let mut form = vec![
        ("grant_type", "access_token"),
        ("service", registry),
        ("access_token", access.access_token.expose()),
    ];
    if let Some(tenant) = asking.variables.get("AZURE_TENANT_ID") {
        form.push(("tenant", tenant));
    }
    let refresh: Refresh = ask(asking, TokenRequest::post(url, &form), "the registry").await?;
    Ok(Some(Found {
        credential: Credential::Identity(refresh.refresh_token),
        until: Some(until(asked, REFRESH_LIFE)),
    }))
}

/// Whom the first token is for: the registry service, or in the national clouds their management.
fn audience(registry: &str) -> &'static str {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    if host.ends_with(".azurecr.cn") {
        "https://management.chinacloudapi.cn"
    } else if host.ends_with(".azurecr.us") {
        "https://management.usgovcloudapi.net"
    } else {
        "https://containerregistry.azure.net"
    }
}

async fn ask<T: for<'de> Deserialize<'de>>(
    asking: &Asking<'_, impl TokenService>,
    request: TokenRequest,
    whom: &str,
) -> Result<T, String> {
    let body = asking.service.ask(request).await;
    let body = body.map_err(|error| format!("no token from {whom}: {error}"))?;
    serde_json::from_slice(&body)
        .map_err(|_| format!("{whom} answered something else than a token"))
}

/// The request for a token of the identity that is set up here.
fn identity(
    asking: &Asking<'_, impl TokenService>,
    audience: &str,
) -> Result<Option<TokenRequest>, String> {
    let variables = asking.variables;
    let client = variables.get("AZURE_CLIENT_ID");
    let scope = format!("{audience}/.default");
    if let (Some(tenant), Some(client)) = (variables.get("AZURE_TENANT_ID"), client) {
        let mut form =
            vec![("grant_type", "client_credentials"), ("client_id", client), ("scope", &scope)];
        let assertion;
        if let Some(secret) = variables.get("AZURE_CLIENT_SECRET") {
            form.push(("client_secret", secret));
            return authority(asking, tenant, &form).map(Some);
        }
        if let Some(path) = variables.path("AZURE_FEDERATED_TOKEN_FILE") {
            // The file is read each time: the cluster replaces it before its token runs out.
            assertion = read(&path)?;
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            form.push(("client_assertion_type", kind));
            form.push(("client_assertion", assertion.expose().trim()));
            return authority(asking, tenant, &form).map(Some);
        }
    }
    if let (Some(endpoint), Some(header)) =
        (variables.get("IDENTITY_ENDPOINT"), variables.secret("IDENTITY_HEADER"))
    {
        let url = secure(endpoint, "`IDENTITY_ENDPOINT`")?;
        let request = managed(url, "2019-08-01", audience, client);
        return Ok(Some(request.with_header("x-identity-header", header.expose())));
    }
    if !asking.metadata {
        return Ok(None);
    }
    let host = variables.get("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or(METADATA);
    let address = format!("{}/metadata/identity/oauth2/token", host.trim_end_matches('/'));
    let url = secure(&address, "`AZURE_POD_IDENTITY_AUTHORITY_HOST`")?;
    Ok(Some(managed(url, "2018-02-01", audience, client).with_header("metadata", "true")))
}

fn authority(
    asking: &Asking<'_, impl TokenService>,
    tenant: &str,
    form: &[(&str, &str)],
) -> Result<TokenRequest, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if !tenant.chars().all(plain) {
        return Err("`AZURE_TENANT_ID` is no tenant".to_owned());
    }
    let host = asking.variables.get("AZURE_AUTHORITY_HOST").unwrap_or(AUTHORITY);
    let address = format!("{}/{tenant}/oauth2/v2.0/token", host.trim_end_matches('/'));
    Ok(TokenRequest::post(secure(&address, "`AZURE_AUTHORITY_HOST`")?, form))
}

fn managed(mut url: url::Url, version: &str, audience: &str, client: Option<&str>) -> TokenRequest {
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("api-version", version).append_pair("resource", audience);
        if let Some(client) = client {
            query.append_pair("client_id", client);
        }
    }
    TokenRequest::get(url).briefly()
}

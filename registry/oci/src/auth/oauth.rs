//! OAuth2 client credentials: a client identity that is exchanged for an access token.
//!
//! Owns the exchange (RFC 6749 section 4.4). The access token is what the registry is shown; when it
//! ran out the exchange is done again.

use std::time::Instant;

use url::Url;

use super::{
    Credential, Found,
    token::{Token, TokenRequest, TokenService},
};
use crate::{
    error::OciError,
    secret::{Secret, printable},
    transport::{authority, is_loopback},
};

/// A client that an authorization server knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentials {
    /// The client's name.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
    /// Where tokens are had.
    pub token_url: String,
    /// What the token is to be good for; empty for what the server thinks right.
    pub scopes: Vec<String>,
}

/// Gets an access token.
pub(super) async fn fetch(
    service: &impl TokenService,
    registry: &str,
    client: &ClientCredentials,
) -> Result<Found, OciError> {
    let url = address(service, registry, client)?;
    let what = printable(&url);
    let scope = client.scopes.join(" ");
    let mut form = vec![("grant_type", "client_credentials")];
    if !scope.is_empty() {
        form.push(("scope", &scope));
    }
    let asked = Instant::now();
    let by_header = TokenRequest::post(url.clone(), &form)
        .with_basic(&encoded(&client.id), &Secret::new(encoded(client.secret.expose())));
    let body = match service.ask(by_header).await {
        Ok(body) => body,
        // Some servers want the secret in the form, which the specification allows them.
        Err(OciError::Unauthorized { .. } | OciError::Server { status: 400, .. }) => {
            form.push(("client_id", &client.id));
            form.push(("client_secret", client.secret.expose()));
            service
                .ask(TokenRequest::post(url, &form))
                .await
                .map_err(|error| explain(error, registry))?
        }
        Err(error) => return Err(explain(error, registry)),
    };
    let (secret, until) = Token::read(&body, asked, &what)?.into_parts();
    Ok(Found { credential: Credential::Bearer(secret), until: Some(until) })
}

fn address(
    service: &impl TokenService,
    registry: &str,
    client: &ClientCredentials,
) -> Result<Url, OciError> {
    let wrong = |expected| OciError::Config { value: client.token_url.clone(), expected };
    let url = Url::parse(&client.token_url).ok().filter(Url::has_host);
    let url = url.ok_or_else(|| wrong("address of a token service"))?;
    let plain = || service.is_plain(registry) || is_loopback(authority(&url));
    match url.scheme() {
        "https" => Ok(url),
        "http" if plain() => Ok(url),
        _ => Err(wrong("https address of a token service")),
    }
}

/// A refusal is told as a refusal of the registry.
fn explain(error: OciError, registry: &str) -> OciError {
    match error {
        OciError::Unauthorized { what, detail } | OciError::Forbidden { what, detail } => {
            OciError::Unauthorized {
                what: registry.to_owned(),
                detail: format!("`{what}` gives no token for the client: {detail}"),
            }
        }
        OciError::Server { what, status: 400, detail } => OciError::Unauthorized {
            what: registry.to_owned(),
            detail: format!("`{what}` gives no token for the client: {detail}"),
        },
        other => other,
    }
}

/// A client's name and secret are form-encoded before they become a user and a password.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_colon_stays_a_name() {
        assert_eq!(encoded("a:b c/é"), "a%3Ab+c%2F%C3%A9");
    }

    #[test]
    fn a_client_does_not_print_its_secret() {
        let client = ClientCredentials {
            id: "id".into(),
            secret: Secret::new("hunter2"),
            token_url: "https://t".into(),
            scopes: Vec::new(),
        };
        assert!(!format!("{client:?}").contains("hunter2"));
    }
}

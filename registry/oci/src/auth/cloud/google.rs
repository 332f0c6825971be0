//! Google: application default credentials, exchanged for an access token.
//!
//! Owns the three forms that are understood: the key of a service account (RFC 7523 assertion signed
//! with RS256), the refresh token of a user, and the metadata service of a machine.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::Deserialize;
use serde_json::json;

use super::{Asking, read, secure, until};
use crate::{
    auth::{
        Credential, Found, Variables,
        token::{TokenRequest, TokenService},
    },
    secret::Secret,
};

/// The user by which a registry knows that the password is an access token.
const TOKEN_USER: &str = "oauth2accesstoken";
/// What a token for registries is good for.
const REGISTRY_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// What a token for reading objects is good for.
pub(crate) const STORAGE_SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";
/// Where tokens are had when a file does not say.
const TOKEN_ADDRESS: &str = "https://oauth2.googleapis.com/token";
/// Address of the metadata service, by number so that no name server can move it.
const METADATA: &str = "169.254.169.254";
/// How long an assertion may be used, in seconds.
const ASSERTION_LIFE: i64 = 3600;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Key {
    ServiceAccount {
        client_email: String,
        private_key: Secret,
        #[serde(default)]
        private_key_id: Option<String>,
        #[serde(default)]
        token_uri: Option<String>,
    },
    AuthorizedUser {
        client_id: String,
        client_secret: Secret,
        refresh_token: Secret,
        #[serde(default)]
        token_uri: Option<String>,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct Answer {
    access_token: Secret,
    expires_in: Option<u64>,
}

/// The credential for a registry.
pub(super) async fn registry(
    asking: &Asking<'_, impl TokenService>,
) -> Result<Option<Found>, String> {
    let token = access_token(asking, REGISTRY_SCOPE).await?;
    Ok(token.map(|(password, until)| Found {
        credential: Credential::Basic { user: TOKEN_USER.to_owned(), password },
        until: Some(until),
    }))
}

/// An access token for `scope`, and until when it is worth using; `None` where there is no identity.
pub(crate) async fn access_token(
    asking: &Asking<'_, impl TokenService>,
    scope: &str,
) -> Result<Option<(Secret, Instant)>, String> {
    let request = match key_file(asking.variables) {
        Some(path) => exchange(&path, scope)?,
        None if asking.metadata => metadata(asking, scope)?,
        None => return Ok(None),
    };
    let asked = Instant::now();
    let from = request.url.host_str().unwrap_or_default().to_owned();
    let body = match asking.service.ask(request).await {
        Ok(body) => body,
        Err(error) => return Err(format!("no access token of Google: {error}")),
    };
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| format!("`{from}` answered something else than an access token"))?;
    let life = Duration::from_secs(answer.expires_in.unwrap_or(60));
    Ok(Some((answer.access_token, until(asked, life))))
}

/// The file with a key: the one that is named, which must exist, or the one that Google's tools keep.
fn key_file(variables: &Variables) -> Option<PathBuf> {
    if let Some(path) = variables.path("GOOGLE_APPLICATION_CREDENTIALS") {
        return Some(path);
    }
    let kept = variables.path("CLOUDSDK_CONFIG").or_else(|| variables.at_home(".config/gcloud"));
    kept.map(|kept| kept.join("application_default_credentials.json")).filter(|path| path.is_file())
}

/// The request that exchanges a key file's content for a token.
fn exchange(path: &std::path::Path, scope: &str) -> Result<TokenRequest, String> {
    let shown = path.display();
    // The parser's message could quote the key.
    let key: Key = serde_json::from_str(read(path)?.expose())
        .map_err(|_| format!("`{shown}` is no key of a service account or user"))?;
    let address = |given: Option<String>| {
        let address = given.unwrap_or_else(|| TOKEN_ADDRESS.to_owned());
        secure(&address, &format!("`token_uri` of `{shown}`"))
    };
    match key {
        Key::ServiceAccount { client_email, private_key, private_key_id, token_uri } => {
            let url = address(token_uri)?;
            let now = jiff::Timestamp::now().as_second();
            let claims = json!({
                "iss": client_email, "scope": scope, "aud": url.as_str(),
                "iat": now, "exp": now + ASSERTION_LIFE,
            });
            let assertion = sign(&private_key, private_key_id.as_deref(), &claims)
                .map_err(|why| format!("`{shown}`: {why}"))?;
            let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            let form = [("grant_type", grant), ("assertion", assertion.expose())];
            Ok(TokenRequest::post(url, &form))
        }
        Key::AuthorizedUser { client_id, client_secret, refresh_token, token_uri } => {
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", &client_id),
                ("client_secret", client_secret.expose()),
                ("refresh_token", refresh_token.expose()),
            ];
            Ok(TokenRequest::post(address(token_uri)?, &form))
        }
        Key::Unknown => Err(format!(
            "`{shown}` is a kind of credential that is not understood, expected `service_account` \
             or `authorized_user`"
        )),
    }
}

/// A JSON web token over `claims`.
fn sign(
    key: &Secret,
    key_id: Option<&str>,
    claims: &serde_json::Value,
) -> Result<Secret, &'static str> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(key.expose().as_bytes())
        .map_err(|_| "its private key is no PKCS #8 key in PEM")?;
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der())
        .map_err(|_| "its private key is no RSA key of at least 2048 bits")?;
    let header = match key_id {
        Some(id) => json!({ "alg": "RS256", "typ": "JWT", "kid": id }),
        None => json!({ "alg": "RS256", "typ": "JWT" }),
    };
    let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(claims));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| "signing with its private key failed")?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
}

fn metadata(asking: &Asking<'_, impl TokenService>, scope: &str) -> Result<TokenRequest, String> {
    let host = asking.variables.get("GCE_METADATA_HOST").unwrap_or(METADATA);
    let path = "computeMetadata/v1/instance/service-accounts/default/token";
    let mut url = secure(&format!("http://{host}/{path}"), "`GCE_METADATA_HOST`")?;
    url.query_pairs_mut().append_pair("scopes", scope);
    Ok(TokenRequest::get(url).with_header("metadata-flavor", "Google").briefly())
}

//! Identity tokens: what an OIDC provider says of whoever signs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::key::{Key, Subject};

/// Audience that the certificate authority takes tokens for.
pub(super) const AUDIENCE: &str = "sigstore";

/// What a token says.
#[derive(Debug, Clone)]
pub struct Claims<'a> {
    /// Who gave it out.
    pub issuer: &'a str,
    /// Whom it is about; an e-mail address or a workflow's URI.
    pub identity: &'a str,
    /// Whom it is meant for.
    pub audience: &'a str,
    /// When it ends, in seconds from now.
    pub seconds: i64,
}

impl<'a> Claims<'a> {
    /// A good token for an identity.
    pub fn new(issuer: &'a str, identity: &'a str) -> Self {
        Self { issuer, identity, audience: AUDIENCE, seconds: 300 }
    }

    /// The token, signed with the provider's key.
    pub fn signed(&self, key: &Key) -> String {
        let now = Timestamp::now().as_second();
        let mut claims = json!({
            "iss": self.issuer,
            "sub": self.identity,
            "aud": self.audience,
            "iat": now,
            "exp": now + self.seconds,
        });
        if !self.identity.contains("://") {
            claims["email"] = self.identity.into();
            claims["email_verified"] = true.into();
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed =
            format!("{}.{}", part(&json!({ "alg": "ES256", "typ": "JWT" })), part(&claims));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())))
    }
}

/// Issuer and identity of a token that is good, else why it is not.
pub(super) fn check(token: &str, key: &Key) -> Result<(String, String), String> {
    let (signed, signature) = token.rsplit_once('.').ok_or("the token has no signature")?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|error| error.to_string());
    let subject = Subject::from_spki(&key.spki()).ok_or("the provider has no key")?;
    if !subject.signed(signed.as_bytes(), &decode(signature)?) {
        return Err("the token is not signed by the provider".into());
    }
    let (_, claims) = signed.split_once('.').ok_or("the token has no claims")?;
    let claims: Value =
        serde_json::from_slice(&decode(claims)?).map_err(|error| error.to_string())?;
    if claims["aud"] != AUDIENCE {
        return Err(format!("the token is for `{}`, expected `{AUDIENCE}`", claims["aud"]));
    }
    if claims["exp"].as_i64().unwrap_or(0) <= Timestamp::now().as_second() {
        return Err("the token has ended".into());
    }
    let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
    Ok((text("iss"), text("sub")))
}

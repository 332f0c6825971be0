//! Identity tokens: what proves to the certificate authority who signs.
//!
//! Owns where a token comes from. Nothing in it is believed here; it is only handed on, and never shown.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::service::Service;
use crate::TrustError;

/// Longest token that is taken; real ones have about 2 KiB.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;
/// Whom tokens have to be meant for.
const AUDIENCE: &str = "sigstore";
/// Variable that holds a token, set by CI systems and by people.
const TOKEN_VARIABLE: &str = "SIGSTORE_ID_TOKEN";
/// Where a GitHub Actions job asks for its token, and with what.
const ACTIONS_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const ACTIONS_SECRET: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// A token of an OIDC provider. It never prints.
pub struct IdentityToken {
    text: String,
}

impl std::fmt::Debug for IdentityToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdentityToken(…)")
    }
}

impl IdentityToken {
    /// Takes a token as text; `origin` says where it came from.
    pub fn new(text: &str, origin: &str) -> Result<Self, TrustError> {
        let wrong = |reason: String| TrustError::Token { origin: origin.to_owned(), reason };
        let text = text.trim();
        if text.len() > MAX_TOKEN_BYTES {
            return Err(wrong(format!(
                "found {} bytes, the limit is {MAX_TOKEN_BYTES}",
                text.len()
            )));
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [_, claims, _] = parts[..] else {
            return Err(wrong(format!("found {} parts, expected the 3 of a JWT", parts.len())));
        };
        let claims = URL_SAFE_NO_PAD
            .decode(claims.trim_end_matches('='))
            .map_err(|error| wrong(format!("its claims are not base64: {error}")))?;
        serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&claims)
            .map_err(|error| wrong(format!("its claims are not a JSON object: {error}")))?;
        Ok(Self { text: text.to_owned() })
    }

    /// Takes what was typed: a token, or a file that holds one.
    pub fn from_value_or_file(typed: &str) -> Result<Self, TrustError> {
        // A JWT begins with the base64 of `{"`.
        if typed.starts_with("ey") && typed.matches('.').count() == 2 {
            return Self::new(typed, "the command line");
        }
        let wrong = |reason: String| TrustError::Token { origin: typed.to_owned(), reason };
        let found = std::fs::metadata(typed).map_err(|error| wrong(error.to_string()))?;
        if found.len() > MAX_TOKEN_BYTES as u64 {
            return Err(wrong(format!(
                "found {} bytes, the limit is {MAX_TOKEN_BYTES}",
                found.len()
            )));
        }
        let text = std::fs::read_to_string(typed).map_err(|error| wrong(error.to_string()))?;
        Self::new(&text, typed)
    }

    /// The token that the environment offers: a variable, or a CI job's own.
    pub async fn ambient(variable: impl Fn(&str) -> Option<String>) -> Result<Self, TrustError> {
        if let Some(text) = variable(TOKEN_VARIABLE) {
            return Self::new(&text, &format!("${TOKEN_VARIABLE}"));
        }
        let (Some(url), Some(secret)) = (variable(ACTIONS_URL), variable(ACTIONS_SECRET)) else {
            return Err(TrustError::Token {
                origin: "the environment".into(),
                reason: format!("found neither ${TOKEN_VARIABLE} nor ${ACTIONS_URL}"),
            });
        };
        let separator = if url.contains('?') { '&' } else { '?' };
        let service =
            Service::new("identity provider", &format!("{url}{separator}audience={AUDIENCE}"))?;
        let answer = service.get(&secret).await?;
        let token = answer["value"].as_str().unwrap_or_default();
        Self::new(token, "the identity provider of this job")
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("eyJhbGciOiJub25lIn0.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_is_taken_as_text_or_from_a_file() {
        let text = token(r#"{"sub":"x"}"#);
        assert!(IdentityToken::from_value_or_file(&text).is_ok());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{text}\n")).unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(IdentityToken::from_value_or_file(path).unwrap().as_str(), text);
        let error = IdentityToken::from_value_or_file("/nowhere/token").unwrap_err().to_string();
        assert!(error.contains("`/nowhere/token`"), "{error}");
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_shown() {
        for text in ["secret", "a.b", "a.%%.c", &token("[]"), &token("no json")] {
            let error = IdentityToken::new(text, "$T").unwrap_err().to_string();
            assert!(error.contains("`$T`") && !error.contains(text), "{error}");
        }
        let shown = format!("{:?}", IdentityToken::new(&token("{}"), "t").unwrap());
        assert!(!shown.contains("ey"), "{shown}");
    }

    #[test]
    fn the_size_limit_is_inclusive() {
        let padded = |length: usize| {
            let short = token(r#"{"a":""}"#);
            // Three bytes of claims are four of text; the signature takes what is left.
            format!("{short}{}", "A".repeat(length - short.len()))
        };
        assert!(IdentityToken::new(&padded(MAX_TOKEN_BYTES), "t").is_ok());
        let error = IdentityToken::new(&padded(MAX_TOKEN_BYTES + 1), "t").unwrap_err();
        assert!(error.to_string().contains("limit"));
    }

    #[tokio::test]
    async fn an_environment_without_a_token_says_what_was_looked_for() {
        let error = IdentityToken::ambient(|_| None).await.unwrap_err().to_string();
        assert!(error.contains(TOKEN_VARIABLE) && error.contains(ACTIONS_URL), "{error}");
        let given = token("{}");
        let found = IdentityToken::ambient(|name| (name == TOKEN_VARIABLE).then(|| given.clone()));
        assert_eq!(found.await.unwrap().as_str(), given);
    }
}

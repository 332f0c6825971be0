//! What a registry asks for: the `WWW-Authenticate` header taken apart.
//!
//! Owns the grammar only (RFC 9110 section 11.6.1). Answering is left to `auth::Authenticator`.

use http::{HeaderMap, header::WWW_AUTHENTICATE};

/// One way in that a registry offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token from the token service at `realm`.
    Bearer {
        /// Address of the token service.
        realm: String,
        /// Name the token service knows the registry by.
        service: Option<String>,
        /// Scopes the registry says are missing, space separated.
        scope: Option<String>,
        /// Why an earlier token was refused, such as `insufficient_scope`.
        error: Option<String>,
    },
}

/// The strongest challenge that we can answer: a token before a password.
pub(crate) fn strongest(headers: &HeaderMap) -> Option<Challenge> {
    let mut best = None;
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let Ok(text) = value.to_str() else { continue };
        for (scheme, parameters) in split(text) {
            match understand(&scheme, &parameters) {
                Some(bearer @ Challenge::Bearer { .. }) => return Some(bearer),
                Some(basic) => best = Some(basic),
                None => {}
            }
        }
    }
    best
}

fn understand(scheme: &str, parameters: &[(String, String)]) -> Option<Challenge> {
    let get = |name: &str| {
        parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.clone())
    };
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Challenge::Bearer {
            realm: get("realm")?,
            service: get("service").filter(|s| !s.is_empty()),
            scope: get("scope").filter(|s| !s.is_empty()),
            error: get("error"),
        });
    }
    None
}

/// Takes a header value apart into schemes with their parameters. Text that fits no grammar ends
/// the walk: what was understood before it still counts.
fn split(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() {
            return found;
        }
        let after_space = after.trim_start_matches([' ', '\t']);
        if let Some(value) = after_space.strip_prefix('=') {
            let Some((value, after)) = parameter_value(value.trim_start()) else { return found };
            if let Some((_, parameters)) = found.last_mut() {
                parameters.push((word.to_owned(), value));
            }
            rest = after;
        } else {
            found.push((word.to_owned(), Vec::new()));
            rest = after_space;
        }
    }
}

fn token(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)))
        .unwrap_or(text.len());
    text.split_at(end)
}

/// A token or a quoted string with its backslash escapes undone.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, rest) = token(text);
        return (!word.is_empty()).then(|| (word.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        map
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
            error: None,
        }
    }

    #[test]
    fn bearer_with_all_parameters() {
        let map = headers(&[
            r#"Bearer realm="https://auth.example.org/token",service="r.example.org",scope="repository:a/b:pull,push""#,
        ]);
        assert_eq!(
            strongest(&map),
            Some(bearer(
                "https://auth.example.org/token",
                Some("r.example.org"),
                Some("repository:a/b:pull,push")
            ))
        );
    }

    #[test]
    fn spaces_case_and_tokens_are_tolerated() {
        let map = headers(&["bEARER  Realm = \"https://a/t\" , service=plain"]);
        assert_eq!(strongest(&map), Some(bearer("https://a/t", Some("plain"), None)));
    }

    #[test]
    fn escapes_in_quotes_are_undone() {
        let map = headers(&[r#"Bearer realm="https://a/\"t\"", scope="""#]);
        assert_eq!(strongest(&map), Some(bearer("https://a/\"t\"", None, None)));
    }

    #[test]
    fn a_token_is_preferred_to_a_password_wherever_it_stands() {
        let one = headers(&[r#"Basic realm="x, y", Bearer realm="https://a/t""#]);
        assert_eq!(strongest(&one), Some(bearer("https://a/t", None, None)));
        let two = headers(&["Basic realm=x", r#"Bearer realm="https://a/t""#]);
        assert_eq!(strongest(&two), Some(bearer("https://a/t", None, None)));
    }

    #[test]
    fn basic_alone() {
        assert_eq!(strongest(&headers(&["Basic"])), Some(Challenge::Basic));
        assert_eq!(
            strongest(&headers(&[r#"Basic realm="Registry Realm""#])),
            Some(Challenge::Basic)
        );
    }

    #[test]
    fn unknown_and_broken_headers_are_no_challenge() {
        assert_eq!(strongest(&HeaderMap::new()), None);
        for text in [
            "Negotiate",
            "Digest realm=x, nonce=y",
            "Bearer",
            "Bearer realm=\"cut",
            "=,=",
            "Bearer realm=\"a\\",
        ] {
            assert_eq!(strongest(&headers(&[text])), None, "{text}");
        }
    }
}

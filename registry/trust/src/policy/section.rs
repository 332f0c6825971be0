//! The signature section of an index entry, read as a policy rule.
//!
//! Index files say who signs an artifact. That is as good as the index itself, and it is bound to
//! the `registry/repository` of the entry, so that an entry cannot speak for another one.

use eyas_artifact::Reference;

use super::{Authority, Basis, KeySource, Keyless, LogNeed, Matcher, Pattern, Policy, Rule};
use crate::TrustError;
use crate::key::PublicKey;

/// The fields of `signature.cosign` in an index entry; empty strings count as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CosignSection {
    /// `certificate-oidc-issuer`
    pub issuer: Option<String>,
    /// `certificate-oidc-issuer-regexp`
    pub issuer_regexp: Option<String>,
    /// `certificate-identity`
    pub identity: Option<String>,
    /// `certificate-identity-regexp`
    pub identity_regexp: Option<String>,
    /// `key`: a file, or `env://NAME`
    pub key: Option<String>,
    /// `ignore-tlog`
    pub ignore_tlog: bool,
}

impl Policy {
    /// Adds what an index says of `repository`, ahead of every other rule. `index` names the index
    /// in messages.
    pub fn add_cosign_section(
        &mut self,
        repository: &Reference,
        section: &CosignSection,
        index: &str,
        keys: &dyn KeySource,
    ) -> Result<(), TrustError> {
        let place = format!("the entry for `{}` in index `{index}`", repository.locator());
        let authority = section.authority(&place, keys)?;
        let basis = Basis::Signed { accept: vec![authority], threshold: 1 };
        self.push_front(Rule::new(Pattern::exactly(&repository.locator()), &place, basis));
        Ok(())
    }

    /// The policy that one index entry alone makes: its own repository and nothing else.
    pub fn from_cosign_section(
        repository: &Reference,
        section: &CosignSection,
        index: &str,
        keys: &dyn KeySource,
    ) -> Result<Self, TrustError> {
        let mut policy = Self::refuse_all();
        policy.origin = format!("index `{index}`");
        policy.add_cosign_section(repository, section, index, keys)?;
        Ok(policy)
    }
}

impl CosignSection {
    fn authority(&self, place: &str, keys: &dyn KeySource) -> Result<Authority, TrustError> {
        let refused = |reason: String| TrustError::Key { origin: place.to_owned(), reason };
        if let Some(name) = present(self.key.as_ref()) {
            let text = match name.strip_prefix("env://") {
                Some(variable) => keys.env(variable),
                None if name.contains("://") => {
                    Err(format!("`{name}`: only files and `env://` are keys here"))
                }
                None => keys.file(name),
            }
            .map_err(refused)?;
            let log = if self.ignore_tlog { LogNeed::NotRequired } else { LogNeed::Required };
            let key = PublicKey::from_pem(&text, name)?;
            return Ok(Authority::Key { key, origin: name.to_owned(), log });
        }
        let issuer =
            pick("certificate-oidc-issuer", self.issuer.as_ref(), self.issuer_regexp.as_ref());
        let identity =
            pick("certificate-identity", self.identity.as_ref(), self.identity_regexp.as_ref());
        Ok(Authority::Keyless(Keyless {
            issuer: issuer.map_err(refused)?,
            identity: identity.map_err(refused)?,
            root: None,
            claims: Vec::new(),
        }))
    }
}

fn present(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn pick(name: &str, exact: Option<&String>, regexp: Option<&String>) -> Result<Matcher, String> {
    match (present(exact), present(regexp)) {
        (Some(text), _) => Matcher::exact(text),
        (None, Some(text)) => Matcher::prefix(text),
        (None, None) => Err(format!("neither `key` nor `{name}` nor `{name}-regexp` is given")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SigningKey;

    struct OneKey(String);

    impl KeySource for OneKey {
        fn file(&self, name: &str) -> Result<String, String> {
            if name == "k.pub" { Ok(self.0.clone()) } else { Err(format!("no `{name}`")) }
        }
        fn env(&self, name: &str) -> Result<String, String> {
            if name == "K" { Ok(self.0.clone()) } else { Err(format!("no `{name}`")) }
        }
    }

    fn keys() -> OneKey {
        OneKey(SigningKey::generate().unwrap().public_pem())
    }

    fn reference(text: &str) -> Reference {
        text.parse().unwrap()
    }

    fn keyless() -> CosignSection {
        CosignSection {
            issuer: Some("https://token.actions.githubusercontent.com".into()),
            identity_regexp: Some("https://github.com/falcosecurity/rules/".into()),
            ..CosignSection::default()
        }
    }

    #[test]
    fn a_section_speaks_for_its_own_repository_only() {
        let at = reference("ghcr.io/falcosecurity/rules/falco-rules");
        let policy = Policy::from_cosign_section(&at, &keyless(), "falco", &keys()).unwrap();
        assert!(policy.rule_for(&at).is_some());
        for other in ["ghcr.io/falcosecurity/rules", "ghcr.io/falcosecurity/rules/falco-rules/x"] {
            assert!(policy.rule_for(&reference(other)).is_none());
        }
    }

    #[test]
    fn expressions_of_an_index_are_anchored_at_the_start() {
        let Authority::Keyless(found) = keyless().authority("here", &keys()).unwrap() else {
            panic!("expected keyless");
        };
        assert!(found.identity.matches("https://github.com/falcosecurity/rules/.github/x@y"));
        assert!(
            !found.identity.matches("https://evil.example/https://github.com/falcosecurity/rules/")
        );
    }

    #[test]
    fn keys_come_from_files_and_variables() {
        for (name, ignore_tlog, expected) in
            [("k.pub", true, LogNeed::NotRequired), ("env://K", false, LogNeed::Required)]
        {
            let section =
                CosignSection { key: Some(name.into()), ignore_tlog, ..CosignSection::default() };
            match section.authority("here", &keys()).unwrap() {
                Authority::Key { log, .. } => assert_eq!(log, expected),
                Authority::Keyless(_) => panic!("expected a key"),
            }
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        for (section, why) in [
            (CosignSection::default(), "neither"),
            (CosignSection { key: Some("awskms://x".into()), ..keyless() }, "only files"),
            (CosignSection { key: Some("absent".into()), ..keyless() }, "no `absent`"),
            (CosignSection { issuer: Some(String::new()), ..keyless() }, "issuer"),
            (CosignSection { identity_regexp: Some("(".into()), ..keyless() }, "expression"),
        ] {
            let error = section.authority("the entry", &keys()).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_section_goes_before_what_was_there() {
        let at = reference("r.example/x");
        let mut policy = Policy::allow_unsigned();
        policy.add_cosign_section(&at, &keyless(), "i", &keys()).unwrap();
        assert!(!policy.rule_for(&at).unwrap().accepts_unsigned());
        assert!(policy.rule_for(&reference("r.example/y")).unwrap().accepts_unsigned());
    }
}

//! Who may use the embedded registry: a file of users with bcrypt hashes, as `htpasswd -B` writes it.
//!
//! Owns the file's form and the comparison. Checking a hash takes long on purpose: a pair that was
//! right is remembered, by a hash under a key of this process.

use std::{
    collections::{BTreeMap, HashSet},
    fmt, fs,
    path::Path,
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::{hmac, rand::SystemRandom};
use base64::Engine as _;
use http::{HeaderMap, header::AUTHORIZATION};

use crate::error::OciError;

/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Most pairs that are remembered.
const MAX_KNOWN: usize = 1024;
/// A hash of nothing in particular, for users that do not exist: they take as long as others.
const NOBODY: &str = "$2b$10$abcdefghijklmnopqrstuu5kT2oQmB0vCe3b3L0m5n6yq1mQ2u1Wi";

/// Users and their hashes.
pub struct Users {
    hashes: BTreeMap<String, String>,
    key: hmac::Key,
    known: Mutex<HashSet<Vec<u8>>>,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.hashes.keys()).finish()
    }
}

impl Users {
    /// Reads a file with a line `user:hash` for each user; only bcrypt hashes are taken.
    pub fn read(path: &Path) -> Result<Self, OciError> {
        let fail = |source| OciError::Io { path: path.to_owned(), source };
        let found = fs::metadata(path).map_err(fail)?.len();
        if found > MAX_FILE_BYTES {
            let (what, limit) = (path.display().to_string(), MAX_FILE_BYTES);
            return Err(OciError::TooLarge { what, limit, found });
        }
        let text = fs::read_to_string(path).map_err(fail)?;
        Self::parse(&text).map_err(|line| OciError::Malformed {
            what: path.display().to_string(),
            detail: format!(
                "line {line} is no user with a bcrypt hash, expected what `htpasswd -B` writes"
            ),
        })
    }

    /// Reads the text of such a file; the error is the number of the line that is wrong.
    fn parse(text: &str) -> Result<Self, usize> {
        let mut hashes = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = line.split_once(':').filter(|(user, hash)| {
                !user.is_empty() && hash.parse::<bcrypt::HashParts>().is_ok()
            });
            let (user, hash) = entry.ok_or(number + 1)?;
            hashes.insert(user.to_owned(), hash.to_owned());
        }
        let key =
            hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map_err(|_| 0_usize)?;
        Ok(Self { hashes, key, known: Mutex::default() })
    }

    /// Whether a request comes from one of the users. Takes long for a pair that is new.
    pub(super) fn admit(&self, headers: &HeaderMap) -> bool {
        let Some((user, password)) = credentials(headers) else { return false };
        let mark = hmac::sign(&self.key, format!("{user}:{password}").as_bytes()).as_ref().to_vec();
        if self.known().contains(&mark) {
            return true;
        }
        let hash = self.hashes.get(&user);
        let right = bcrypt::verify(&password, hash.map_or(NOBODY, String::as_str));
        let admitted = hash.is_some() && right.unwrap_or(false);
        if admitted {
            let mut known = self.known();
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
            known.insert(mark);
        }
        admitted
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashSet<Vec<u8>>> {
        // The set is complete at any moment.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(text: &str) -> HeaderMap {
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Basic {encoded}").parse().unwrap());
        headers
    }

    #[test]
    fn a_user_is_admitted_with_the_password_only() {
        let hash = bcrypt::hash_with_salt("p:w", 4, [7; 16]).unwrap();
        // The three letters stand for the same computation.
        for version in [bcrypt::Version::TwoB, bcrypt::Version::TwoY, bcrypt::Version::TwoA] {
            let text = format!("# people\n\nme:{}\n", hash.format_for_version(version));
            let users = Users::parse(&text).unwrap();
            for _ in 0..2 {
                assert!(users.admit(&basic("me:p:w")));
                assert!(!users.admit(&basic("me:pw")));
                assert!(!users.admit(&basic("you:p:w")));
                assert!(!users.admit(&HeaderMap::new()));
            }
            assert!(!format!("{users:?}").contains("$2"));
        }
    }

    #[test]
    fn somebody_unknown_takes_as_long() {
        assert!(!bcrypt::verify("x", NOBODY).unwrap());
    }

    #[test]
    fn other_hashes_are_refused_by_line() {
        for text in ["me:pw", "me", ":$2y$05$x", "\nme:$apr1$x$y", "me:{SHA}x"] {
            let line = Users::parse(text).err().unwrap();
            assert_eq!(line, text.lines().count(), "{text}");
        }
    }
}

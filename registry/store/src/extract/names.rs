//! Names in an archive.
//!
//! Owns the translation of a name as stored to a path that stays below the artifact's directory.

/// Longest path, in bytes.
const MAX_PATH_BYTES: usize = 1024;
/// Longest element of a path, in bytes; file systems allow no more.
const MAX_PART_BYTES: usize = 255;
/// Most elements of a path.
const MAX_DEPTH: usize = 32;

/// The elements of a name; an absolute one is placed below. Errors complete the sentence
/// "entry X …".
pub(super) fn split(name: &[u8]) -> Result<Vec<&str>, String> {
    if name.len() > MAX_PATH_BYTES {
        return Err(format!("has a name longer than {MAX_PATH_BYTES} bytes"));
    }
    let text = std::str::from_utf8(name).map_err(|_| "has a name that is not UTF-8".to_owned())?;
    if text.chars().any(char::is_control) {
        return Err("has a control character in its name".to_owned());
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err("has the element `..` in its name".to_owned());
    }
    if parts.iter().any(|part| part.len() > MAX_PART_BYTES) {
        return Err(format!("has a name element longer than {MAX_PART_BYTES} bytes"));
    }
    if parts.len() > MAX_DEPTH {
        return Err(format!("is nested deeper than {MAX_DEPTH} directories"));
    }
    Ok(parts)
}

/// A name for a message: harmless on a terminal and not too long.
pub(super) fn printable(name: &[u8]) -> String {
    const SHOWN_BYTES: usize = 80;
    let cut = &name[..name.len().min(SHOWN_BYTES)];
    let text: String =
        String::from_utf8_lossy(cut).chars().flat_map(char::escape_default).collect();
    if cut.len() < name.len() { text + "…" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_pass() {
        let cases: &[(&str, &[&str])] = &[
            ("rules.yaml", &["rules.yaml"]),
            ("a/b/c.yaml", &["a", "b", "c.yaml"]),
            ("./a//b/./c", &["a", "b", "c"]),
            ("/etc/passwd", &["etc", "passwd"]),
            ("a..b.yaml", &["a..b.yaml"]),
            ("..a", &["..a"]),
            ("...", &["..."]),
            ("dir/", &["dir"]),
            ("./", &[]),
            ("/", &[]),
            ("", &[]),
            ("ä/ö", &["ä", "ö"]),
        ];
        for (name, expected) in cases {
            assert_eq!(split(name.as_bytes()).unwrap(), *expected, "{name}");
        }
    }

    #[test]
    fn names_that_leave_or_confuse_do_not() {
        let long = "a".repeat(MAX_PART_BYTES + 1);
        let deep = vec!["d"; MAX_DEPTH + 1].join("/");
        let endless = vec!["dir"; MAX_PATH_BYTES].join("/");
        for name in ["..", "../a", "a/..", "a/../b", "/..", "./..", &long, &deep, &endless] {
            assert!(split(name.as_bytes()).is_err(), "{name}");
        }
        for name in [&b"a\0b"[..], b"a\nb", b"a\x1b[31m", b"\xff", "a\u{85}".as_bytes()] {
            assert!(split(name).is_err(), "{name:?}");
        }
        assert!(split("a".repeat(MAX_PART_BYTES).as_bytes()).is_ok());
        assert!(split(vec!["d"; MAX_DEPTH].join("/").as_bytes()).is_ok());
    }

    #[test]
    fn messages_are_harmless() {
        assert_eq!(printable(b"a\x1b[31m\n"), "a\\u{1b}[31m\\n");
        assert!(printable(&[b'a'; 1000]).len() < 100);
    }
}

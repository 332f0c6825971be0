//! Paths as rules see them: absolute, without `.`, `..` and doubled slashes, symbolic links as
//! written.

use std::borrow::Cow;

/// Stands for a directory that is not known.
pub const UNKNOWN_DIRECTORY: &[u8] = b"<UNKNOWN>";

/// Makes `path` absolute from `directory` and resolves `.`, `..` and doubled slashes in its text.
/// Borrows when there is nothing to do, which is the common case. Beside an empty directory the path
/// stays relative.
pub fn absolute<'a>(directory: Option<&[u8]>, path: &'a [u8]) -> Cow<'a, [u8]> {
    if path.first() == Some(&b'/') {
        if is_clean(path) {
            return Cow::Borrowed(path);
        }
        return Cow::Owned(resolve(b"", path));
    }
    if let Some(directory @ [b'/', ..]) = directory {
        return Cow::Owned(resolve(directory, path));
    }
    if directory.is_some_and(<[u8]>::is_empty) {
        let mut relative = resolve(b"", path);
        relative.remove(0);
        return Cow::Owned(relative);
    }
    let mut text = UNKNOWN_DIRECTORY.to_vec();
    text.extend_from_slice(&resolve(b"", path));
    Cow::Owned(text)
}

/// Whether a path needs no resolving.
pub fn is_clean(path: &[u8]) -> bool {
    if path == b"/" {
        return true;
    }
    let Some(rest) = path.strip_prefix(b"/") else { return false };
    rest.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
}

fn resolve(directory: &[u8], path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(directory.len() + path.len() + 1);
    for part in directory.split(|byte| *byte == b'/').chain(path.split(|byte| *byte == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => {
                let parent = out.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                out.truncate(parent);
            }
            name => {
                out.push(b'/');
                out.extend_from_slice(name);
            }
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_resolved_as_text() {
        for (directory, path, expected) in [
            (None, "/etc/passwd", "/etc/passwd"),
            (None, "/", "/"),
            (None, "/etc//./x/../passwd", "/etc/passwd"),
            (None, "/../..", "/"),
            (None, "/etc/", "/etc"),
            (Some("/home/u/"), "a/b", "/home/u/a/b"),
            (Some("/home/u"), "../v", "/home/v"),
            (Some("/"), "x", "/x"),
            (Some("/home/u"), "", "/home/u"),
            (None, "a/b", "<UNKNOWN>/a/b"),
            (Some("(deleted)"), "a", "<UNKNOWN>/a"),
        ] {
            let found = absolute(directory.map(str::as_bytes), path.as_bytes());
            assert_eq!(String::from_utf8_lossy(&found), expected, "{directory:?} {path}");
        }
    }

    #[test]
    fn a_clean_path_is_borrowed() {
        assert!(matches!(absolute(None, b"/usr/bin/ls"), Cow::Borrowed(_)));
        assert!(matches!(absolute(None, b"/usr/bin/"), Cow::Owned(_)));
    }

    proptest! {
        #[test]
        fn every_result_is_clean(directory in "/[a./]{0,12}", path in "[a./]{0,16}") {
            let found = absolute(Some(directory.as_bytes()), path.as_bytes());
            prop_assert!(is_clean(&found), "{}", String::from_utf8_lossy(&found));
            let again = absolute(None, &found);
            prop_assert_eq!(again.as_ref(), found.as_ref());
        }
    }
}

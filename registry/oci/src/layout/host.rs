//! Image layout directories by a name that can stand in a reference.
//!
//! Owns the two-way translation between the path of a directory and a host below a top-level name
//! that is no top-level name of the network, so that nothing is ever looked up for it. `/srv/mirror`
//! becomes `srv.mirror.oci-layout`: what is recorded of an artifact from a directory leads there again,
//! and a policy can match it.

use std::{
    ffi::OsString,
    fmt::Write as _,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Component, Path, PathBuf},
};

/// The name below which directories are.
const TOP: &str = ".oci-layout";
/// Begins two hexadecimal digits that stand for a byte.
const ESCAPE: u8 = b'z';

/// The host that names the directory at an absolute path; `None` for a path that is not absolute and
/// without `..`, for the root, and for one that is too long.
pub fn layout_host(directory: &Path) -> Option<String> {
    let mut labels = Vec::new();
    for component in directory.components() {
        match component {
            Component::RootDir if labels.is_empty() => {}
            Component::Normal(name) if directory.is_absolute() => {
                labels.push(label(name.as_bytes()));
            }
            Component::CurDir => {}
            _ => return None,
        }
    }
    let host = format!("{}{TOP}", labels.join("."));
    // The longest path of a reference, with some room for the repository.
    (!labels.is_empty() && host.len() <= 200).then_some(host)
}

/// The directory that a host names.
pub fn layout_of_host(host: &str) -> Option<PathBuf> {
    let mut path = PathBuf::from("/");
    for label in host.strip_suffix(TOP)?.split('.') {
        path.push(OsString::from_vec(bytes(label)?));
    }
    Some(path)
}

/// One name of a path: letters and digits stay, everything else is escaped.
fn label(name: &[u8]) -> String {
    let mut label = String::new();
    for (at, byte) in name.iter().enumerate() {
        let inside = at > 0 && at + 1 < name.len();
        match byte {
            b'a'..=b'y' | b'0'..=b'9' => label.push(char::from(*byte)),
            b'-' if inside => label.push('-'),
            // Writing to a string does not fail.
            other => drop(write!(label, "{}{other:02x}", char::from(ESCAPE))),
        }
    }
    label
}

fn bytes(label: &str) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    let mut rest = label.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == ESCAPE {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            name.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            name.push(*first);
            rest = after;
        }
    }
    // What leads elsewhere is not made by the other direction.
    let plain = !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/');
    (plain && !name.contains(&0)).then_some(name)
}

#[cfg(test)]
mod tests {
    use eyas_artifact::Reference;

    use super::*;

    #[test]
    fn a_path_is_a_host_and_back() {
        for path in ["/srv/mirror", "/a", "/home/Jane Doe/x_y.z", "/-x-/é", "/zz/..a"] {
            let host = layout_host(Path::new(path)).unwrap();
            assert!(Reference::new(&host, "rules").is_ok(), "{host}");
            assert_eq!(layout_of_host(&host).unwrap(), Path::new(path), "{host}");
        }
        assert_eq!(layout_host(Path::new("/srv/mirror")).unwrap(), "srv.mirror.oci-layout");
    }

    #[test]
    fn other_paths_and_hosts_are_none() {
        for path in ["", "/", "srv", "/a/../b"] {
            assert_eq!(layout_host(Path::new(path)), None, "{path}");
        }
        assert!(layout_host(Path::new(&format!("/{}", "a".repeat(200)))).is_none());
        for host in [
            "r.example.org",
            "oci-layout",
            ".oci-layout",
            "a..oci-layout",
            "z2fetc.oci-layout",
            "z2ez2e.oci-layout",
            "a.z0.oci-layout",
            "az00.oci-layout",
        ] {
            assert_eq!(layout_of_host(host), None, "{host}");
        }
    }
}

//! Short options out of an argument list, in the way of getopt(3).

/// One item of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// An option that takes no value.
    Letter(&'a [u8]),
    /// An option and its value.
    Value(&'a [u8], &'a [u8]),
    /// An option whose value is missing.
    Missing(&'a [u8]),
    /// A letter that is no option.
    Unknown,
}

/// Scans `args` for the options of `letters`, in which a colon after a letter asks for a value.
pub(super) fn scan<'a>(args: &[&'a [u8]], letters: &[u8]) -> Vec<Found<'a>> {
    let letters = letters.strip_prefix(b":").unwrap_or(letters);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        at += 1;
        match arg {
            [b'-', b'-', _, ..] => {}
            [b'-', b'-'] => break,
            [b'-', cluster @ ..] if !cluster.is_empty() => {
                if scan_cluster(cluster, args.get(at).copied(), letters, &mut found) {
                    at += 1;
                }
            }
            _ => break,
        }
    }
    found
}

/// Scans the letters after one dash. Says whether `next` was taken as a value.
fn scan_cluster<'a>(
    cluster: &'a [u8],
    next: Option<&'a [u8]>,
    letters: &[u8],
    found: &mut Vec<Found<'a>>,
) -> bool {
    for (at, letter) in cluster.chunks(1).enumerate() {
        let place = letters.iter().position(|known| letter[0] != b':' && *known == letter[0]);
        let Some(place) = place else {
            found.push(Found::Unknown);
            continue;
        };
        if letters.get(place + 1) != Some(&b':') {
            found.push(Found::Letter(letter));
            continue;
        }
        let rest = &cluster[at + 1..];
        return match (rest, next) {
            ([], Some(next)) => {
                found.push(Found::Value(letter, next));
                true
            }
            ([], None) => {
                found.push(Found::Missing(letter));
                false
            }
            (rest, _) => {
                found.push(Found::Value(letter, rest));
                false
            }
        };
    }
    false
}

/// Everything found, letters and values as separate items.
pub(super) fn flatten<'a>(found: &[Found<'a>]) -> Vec<&'a [u8]> {
    let mut items = Vec::with_capacity(found.len());
    for one in found {
        match one {
            Found::Letter(letter) => items.push(*letter),
            Found::Value(letter, value) => items.extend([*letter, *value]),
            Found::Missing(_) => items.push(&b""[..]),
            Found::Unknown => items.push(&b"?"[..]),
        }
    }
    items
}

/// The last value of one option; the letter itself when it takes none.
pub(super) fn select<'a>(found: &[Found<'a>], wanted: u8) -> Option<&'a [u8]> {
    found.iter().rev().find_map(|one| match one {
        Found::Letter(letter) if letter[0] == wanted => Some(*letter),
        Found::Value(letter, value) if letter[0] == wanted => Some(*value),
        Found::Missing(letter) if letter[0] == wanted => Some(&b""[..]),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(args: &[&'static str], letters: &str) -> Vec<String> {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        let found = scan(&args, letters.as_bytes());
        flatten(&found).iter().map(|item| String::from_utf8_lossy(item).into_owned()).collect()
    }

    #[test]
    fn letters_values_and_clusters() {
        assert_eq!(items(&["-n", "-t", "hello"], "nt:"), ["n", "t", "hello"]);
        assert_eq!(items(&["-lpe", "/bin/sh"], "lpe:"), ["l", "p", "e", "/bin/sh"]);
        assert_eq!(items(&["-p8080"], "p:"), ["p", "8080"]);
        assert_eq!(items(&["-t", "-123"], "t:"), ["t", "-123"]);
        assert_eq!(items(&["-nx"], "n"), ["n", "?"]);
    }

    #[test]
    fn a_missing_value_is_an_empty_item() {
        assert_eq!(items(&["-t"], "t:"), [""]);
        assert_eq!(items(&["-t"], ":t:"), [""]);
    }

    #[test]
    fn where_the_scan_ends() {
        for end in ["", "-", "--", "file"] {
            assert_eq!(items(&["-n", end, "-n"], "n"), ["n"], "{end}");
        }
        assert_eq!(items(&["--exec", "-n"], "n"), ["n"], "long options are skipped");
        assert_eq!(items(&["-:"], ":n"), ["?"], "a colon is no option");
    }

    #[test]
    fn one_option_by_its_letter() {
        let args: [&[u8]; 5] = [b"-t", b"v1", b"-nt", b"v2", b"-n"];
        let found = scan(&args, b"nt:q");
        assert_eq!(select(&found, b't'), Some(&b"v2"[..]));
        assert_eq!(select(&found, b'n'), Some(&b"n"[..]));
        assert_eq!(select(&found, b'q'), None);
    }
}

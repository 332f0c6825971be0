//! The list `indexes` of a configuration file that belongs to somebody else.
//!
//! Owns the guarantee that all else in the file (order, comments, spelling) stays as it is: the lines of an
//! entry are added or taken out, and the result is read again before it replaces the file in one step.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::ops::Range;
use std::path::Path;

use serde_json::Value;

use super::IndexSource;
use crate::OpsError;

/// Largest configuration file that is edited, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// The key of the list.
const KEY: &str = "indexes";

/// Adds indexes to the list in `path`, which is made when it is absent; those that are there by name stay
/// as they are. Returns whether anything changed.
pub fn list_indexes(path: &Path, added: &[IndexSource]) -> Result<bool, OpsError> {
    change(path, |text| add(text, added))
}

/// Takes indexes out of the list in `path`. Returns whether anything changed.
pub fn unlist_indexes(path: &Path, names: &[String]) -> Result<bool, OpsError> {
    change(path, |text| remove(text, names))
}

fn change(path: &Path, edit: impl Fn(&str) -> Result<String, String>) -> Result<bool, OpsError> {
    let failed = |error| OpsError::storage("edit the configuration file", path, error);
    let mut text = String::new();
    match fs::File::open(path) {
        Ok(file) => file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(failed)?,
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(failed(error)),
    };
    let edited = edit(&text).map_err(|why| {
        OpsError::usage(
            format!("the list `{KEY}` of `{}` cannot be edited: {why}", path.display()),
            Some("edit it by hand; nothing was written"),
        )
    })?;
    if edited == text {
        return Ok(false);
    }
    replace(path, &edited).map_err(failed)?;
    Ok(true)
}

/// Replaces a file in one step, behind a link as well, with the mode it had.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let dir = target.parent().unwrap_or(&target);
    fs::create_dir_all(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    if let Ok(found) = fs::metadata(&target) {
        file.as_file().set_permissions(found.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&target).map_err(|error| error.error)?;
    fs::File::open(dir)?.sync_all()
}

/// Name, address and backend of an entry.
type Listed = (String, String, String);

fn add(text: &str, added: &[IndexSource]) -> Result<String, String> {
    let before = read(text)?;
    let new: Vec<Listed> = added
        .iter()
        .filter(|source| !before.indexes.iter().any(|(name, ..)| *name == source.name))
        .map(|source| (source.name.clone(), source.address(), source.backend().to_owned()))
        .collect();
    if new.is_empty() {
        return Ok(text.to_owned());
    }
    let lines = Lines::of(text)?;
    let entries: String = new.iter().map(|entry| render(entry, lines.indent)).collect();
    let edited = lines.with(&entries);
    let expected: Vec<Listed> = before.indexes.iter().cloned().chain(new).collect();
    confirm(edited, &expected, &before.rest)
}

fn remove(text: &str, names: &[String]) -> Result<String, String> {
    let before = read(text)?;
    let kept = |(name, ..): &&Listed| !names.contains(name);
    let expected: Vec<Listed> = before.indexes.iter().filter(kept).cloned().collect();
    if expected.len() == before.indexes.len() {
        return Ok(text.to_owned());
    }
    let lines = Lines::of(text)?;
    if lines.items.len() != before.indexes.len() {
        return Err("expected one entry after each `-`".to_owned());
    }
    let gone: Vec<bool> = before.indexes.iter().map(|entry| !kept(&entry)).collect();
    confirm(lines.without(&gone), &expected, &before.rest)
}

/// A file as it is understood.
struct Understood {
    indexes: Vec<Listed>,
    /// All else.
    rest: Value,
}

fn read(text: &str) -> Result<Understood, String> {
    let tree: Value = if text.trim().is_empty() {
        Value::Null
    } else {
        serde_saphyr::from_str(text)
            .map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())?
    };
    let mut rest = match tree {
        Value::Null => serde_json::Map::new(),
        Value::Object(map) => map,
        _ => return Err("expected a mapping of keys to values".to_owned()),
    };
    let key = rest.keys().find(|key| key.eq_ignore_ascii_case(KEY)).cloned();
    let list = key.and_then(|key| rest.remove(&key));
    let indexes = match list {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(entries)) => entries.iter().map(listed).collect::<Result<_, _>>()?,
        Some(_) => return Err("expected a list".to_owned()),
    };
    Ok(Understood { indexes, rest: Value::Object(rest) })
}

fn listed(entry: &Value) -> Result<Listed, String> {
    let field = |wanted: &str| {
        let fields = entry.as_object()?;
        let found = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?.1;
        found.as_str().map(str::to_owned)
    };
    let name = field("name").ok_or("expected entries with `name` and `url`")?;
    Ok((name, field("url").unwrap_or_default(), field("backend").unwrap_or_default()))
}

/// Gives out an edited text only when it means what it should.
fn confirm(text: String, expected: &[Listed], rest: &Value) -> Result<String, String> {
    let after = read(&text)?;
    if after.indexes == expected && after.rest == *rest {
        Ok(text)
    } else {
        Err("expected a list with one `- name: …` per entry".to_owned())
    }
}

/// Lines of a text and where the list is.
struct Lines<'a> {
    all: Vec<&'a str>,
    /// The line of the key; none when it is not there.
    key: Option<usize>,
    /// The lines of each entry; comments that follow belong to what comes next.
    items: Vec<Range<usize>>,
    /// Spaces before each `-`.
    indent: usize,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Result<Self, String> {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let Some(key) = lines.iter().position(|line| value_of_key(line).is_some()) else {
            return Ok(Self { all: lines, key: None, items: Vec::new(), indent: 2 });
        };
        let value = value_of_key(lines[key]).unwrap_or_default();
        if !matches!(value, "" | "[]" | "null" | "~") {
            return Err("it is not written with one `-` per entry".to_owned());
        }
        let mut starts = Vec::new();
        let mut end = key + 1;
        let mut indent = None;
        for (at, line) in lines.iter().enumerate().skip(key + 1) {
            if is_blank_or_comment(line) {
                continue;
            }
            let dash = line.trim_start().starts_with("- ") || line.trim() == "-";
            let margin = indentation(line);
            match indent {
                None if dash => indent = Some(margin),
                Some(indent) if margin > indent || (dash && margin == indent) => {}
                _ => break,
            }
            if dash && Some(margin) == indent {
                starts.push(at);
            }
            end = at + 1;
        }
        let items = starts
            .iter()
            .enumerate()
            .map(|(number, start)| {
                let limit = starts.get(number + 1).copied().unwrap_or(end);
                let belongs = |at: &usize| !is_blank_or_comment(lines[*at]);
                let last = (*start..limit).rev().find(belongs).unwrap_or(*start);
                *start..last + 1
            })
            .collect();
        Ok(Self { all: lines, key: Some(key), items, indent: indent.unwrap_or(2) })
    }

    /// The text with entries after the last one.
    fn with(&self, entries: &str) -> String {
        let at = match (self.items.last(), self.key) {
            (Some(last), _) => last.end,
            (None, Some(key)) => key + 1,
            (None, None) => self.all.len(),
        };
        let mut before = self.all[..at].concat();
        if let (Some(key), true) = (self.key, self.items.is_empty()) {
            before = format!("{}{}", self.all[..key].concat(), key_line(self.all[key], ""));
        }
        if !before.is_empty() && !before.ends_with('\n') {
            before.push('\n');
        }
        if self.key.is_none() {
            before.push_str(KEY);
            before.push_str(":\n");
        }
        format!("{before}{entries}{}", self.all[at..].concat())
    }

    /// The text without the entries that are `gone`.
    fn without(&self, gone: &[bool]) -> String {
        let none_left = gone.iter().all(|gone| *gone);
        let leaves =
            |at: usize| self.items.iter().zip(gone).any(|(item, gone)| *gone && item.contains(&at));
        let line = |(at, line): (usize, &&str)| match () {
            () if leaves(at) => String::new(),
            () if none_left && Some(at) == self.key => key_line(line, " []"),
            () => (*line).to_owned(),
        };
        self.all.iter().enumerate().map(line).collect()
    }
}

/// The line of the key with another value; its spelling and its comment stay.
fn key_line(line: &str, value: &str) -> String {
    let (key, rest) = line.split_once(':').unwrap_or((line, ""));
    let comment = rest.find(" #").map_or("", |at| rest[rest[..at].trim_end().len()..].trim_end());
    format!("{key}:{value}{comment}\n")
}

/// What follows the key on its line, without a comment; none when it is another line.
fn value_of_key(line: &str) -> Option<&str> {
    let (key, rest) = line.split_once(':')?;
    if !key.trim_end().eq_ignore_ascii_case(KEY) {
        return None;
    }
    let value = rest.split(" #").next().unwrap_or_default();
    Some(value.trim())
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn is_blank_or_comment(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

fn render((name, url, backend): &Listed, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let [name, url, backend] = [name, url, backend].map(|text| quoted(text));
    format!("{margin}- name: {name}\n{margin}  url: {url}\n{margin}  backend: {backend}\n")
}

/// A text as YAML: as it is where that is safe, else in quotes.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=@%&?:".contains(c);
    let word = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '/');
    // What could be read as something else than a text gets quotes as well.
    let reserved = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let other =
        reserved.iter().any(|taken| text.eq_ignore_ascii_case(taken)) || text.ends_with(':');
    if word && !other && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# who looks after this file
driver: # not mine
  name: falco
indexes:   # ours
    - name: one   # first
      url: https://i.example.org/one.yaml
    # about the second
    - name: two
      url: https://i.example.org/two.yaml
      backend: https

artifact:
  install: {refs: [a]}
";

    fn source(name: &str) -> IndexSource {
        IndexSource::parse(name, &format!("https://i.example.org/{name}.yaml")).expect("valid")
    }

    fn entry(name: &str, indent: &str) -> String {
        format!(
            "{indent}- name: {name}\n{indent}  url: https://i.example.org/{name}.yaml\n{indent}  \
             backend: https\n"
        )
    }

    #[test]
    fn an_entry_is_added_and_the_rest_stays() {
        let edited = add(FILE, &[source("three")]).expect("editable");
        let last = "      backend: https\n";
        let expected = FILE.replace(last, &format!("{last}{}", entry("three", "    ")));
        assert_eq!(edited, expected);
        assert_eq!(remove(&edited, &["three".to_owned()]).expect("editable"), FILE);
    }

    #[test]
    fn one_that_is_there_is_left_alone() {
        assert_eq!(add(FILE, &[source("two")]).expect("editable"), FILE);
        assert_eq!(remove(FILE, &["three".to_owned()]).expect("editable"), FILE);
    }

    #[test]
    fn entries_are_removed_with_their_lines_only() {
        let edited = remove(FILE, &["one".to_owned()]).expect("editable");
        assert!(edited.contains("    # about the second\n    - name: two\n"), "{edited}");
        assert!(!edited.contains("one"), "{edited}");
        let edited = remove(FILE, &["one".to_owned(), "two".to_owned()]).expect("editable");
        assert!(
            edited.contains("indexes: []   # ours\n    # about the second\n\nartifact:"),
            "{edited}"
        );
    }

    #[test]
    fn a_list_is_begun_where_there_is_none() {
        for (before, head) in [
            ("", "indexes:\n"),
            ("a: 1", "a: 1\nindexes:\n"),
            ("indexes: []\n", "indexes:\n"),
            ("Indexes: [] # mine\n", "Indexes: # mine\n"),
            ("indexes:\n", "indexes:\n"),
        ] {
            let edited = add(before, &[source("one")]).expect("editable");
            assert_eq!(edited, format!("{head}{}", entry("one", "  ")), "{before:?}");
        }
        let edited = add("indexes: ~\nb: 2\n", &[source("one")]).expect("editable");
        assert_eq!(edited, format!("indexes:\n{}b: 2\n", entry("one", "  ")));
    }

    #[test]
    fn a_list_without_margin_is_understood() {
        let text = format!("indexes:\n{}b: 2\n", entry("one", ""));
        let edited = add(&text, &[source("two")]).expect("editable");
        assert_eq!(edited, format!("indexes:\n{}{}b: 2\n", entry("one", ""), entry("two", "")));
    }

    #[test]
    fn what_is_not_understood_is_not_touched() {
        for text in [
            "indexes: [{name: one, url: 'https://x'}]\n",
            "indexes: words\n",
            "- a\n",
            "a: [\n",
            "indexes: &list\n  - {name: one, url: 'https://x'}\nb: *list\n",
        ] {
            let dir = tempfile::tempdir().expect("dir");
            let path = dir.path().join("falcoctl.yaml");
            fs::write(&path, text).expect("written");
            let said = list_indexes(&path, &[source("two")]).expect_err(text);
            assert!(said.to_string().contains("falcoctl.yaml"), "{said}");
            assert!(said.hint().is_some());
            assert_eq!(fs::read_to_string(&path).expect("there"), text);
        }
    }

    #[test]
    fn the_file_keeps_its_mode_and_its_link() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("dir");
        let (real, link) = (dir.path().join("real.yaml"), dir.path().join("falcoctl.yaml"));
        fs::write(&real, FILE).expect("written");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("set");
        std::os::unix::fs::symlink("real.yaml", &link).expect("linked");
        assert!(list_indexes(&link, &[source("three")]).expect("edited"));
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::metadata(&real).expect("there").permissions().mode() & 0o777, 0o640);
        assert!(unlist_indexes(&link, &["three".to_owned()]).expect("edited"));
        assert_eq!(fs::read_to_string(&real).expect("there"), FILE);
        assert!(!unlist_indexes(&link, &["three".to_owned()]).expect("nothing to do"));
    }

    #[test]
    fn an_address_that_yaml_would_misread_is_quoted() {
        assert_eq!(
            quoted("https://a.example.org:8/i.yaml?x=1"),
            "https://a.example.org:8/i.yaml?x=1"
        );
        assert_eq!(quoted("file:///a b'c"), "'file:///a b''c'");
        assert_eq!(quoted("no"), "'no'");
        assert_eq!(quoted("0x1"), "'0x1'");
    }
}

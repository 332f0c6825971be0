//! Reading `index.yaml`.
//!
//! Owns the tolerance (unknown fields, empty strings, `null` lists) and the refusals (an empty
//! entry, a missing field, a name used twice), each with its place in the file.

use std::collections::HashMap;

use eyas_artifact::Name;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::error::{IndexError, Problem, ProblemKind};
use crate::{CosignSection, Entry, Maintainer};

/// Largest index file that is read, in bytes.
pub const MAX_INDEX_BYTES: usize = 16 * 1024 * 1024;
/// Most entries of one index file.
pub const MAX_INDEX_ENTRIES: usize = 20_000;

/// Most YAML nodes of one file, aliases expanded: a hundred for each entry.
const MAX_NODES: usize = 100 * MAX_INDEX_ENTRIES;
/// Most problems that are reported of one file.
const MAX_PROBLEMS: usize = 20;

/// An entry and where it starts, for editing.
pub(crate) struct Placed {
    pub(crate) entry: Entry,
    /// One-based line of its first key.
    pub(crate) line: u64,
}

/// Reads the entries of a file, in order.
pub(crate) fn parse(index: &str, bytes: &[u8]) -> Result<Vec<Placed>, IndexError> {
    if bytes.len() > MAX_INDEX_BYTES {
        return Err(IndexError::TooLarge {
            index: index.to_owned(),
            found: bytes.len(),
            limit: MAX_INDEX_BYTES,
        });
    }
    let malformed = |problems| IndexError::Malformed { index: index.to_owned(), problems };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (line, column) = place(&bytes[..error.valid_up_to()]);
        malformed(vec![Problem { line, column, kind: ProblemKind::NotText }])
    })?;
    let items: Option<Vec<Spanned<Option<RawEntry>>>> =
        serde_saphyr::from_str_with_options(text, options())
            .map_err(|error| malformed(vec![syntax(&error)]))?;
    let mut reading = Reading { index, first_lines: HashMap::new(), problems: Vec::new() };
    let placed = items
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .filter_map(|(number, item)| reading.take(number + 1, item))
        .collect();
    if reading.problems.is_empty() { Ok(placed) } else { Err(malformed(reading.problems)) }
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! { max_nodes: MAX_NODES, max_events: 2 * MAX_NODES },
    }
}

/// State of reading one file.
struct Reading<'a> {
    index: &'a str,
    first_lines: HashMap<String, u64>,
    problems: Vec<Problem>,
}

impl Reading<'_> {
    fn take(&mut self, position: usize, item: Spanned<Option<RawEntry>>) -> Option<Placed> {
        if self.problems.len() >= MAX_PROBLEMS {
            return None;
        }
        let (line, column) = (item.referenced.line(), item.referenced.column());
        let mut report = |kind| self.problems.push(Problem { line, column, kind });
        if position > MAX_INDEX_ENTRIES {
            if position == MAX_INDEX_ENTRIES + 1 {
                report(ProblemKind::TooMany { limit: MAX_INDEX_ENTRIES });
            }
            return None;
        }
        let Some(raw) = item.value else {
            report(ProblemKind::NullEntry { position });
            return None;
        };
        let entry = raw.into_entry(self.index);
        let label = if entry.name.is_empty() { position.to_string() } else { entry.name.clone() };
        let required = [
            ("name", &entry.name),
            ("type", &entry.kind),
            ("registry", &entry.registry),
            ("repository", &entry.repository),
        ];
        for (field, _) in required.into_iter().filter(|(_, value)| value.is_empty()) {
            report(ProblemKind::MissingField { entry: label.clone(), field });
        }
        if entry.name.is_empty() {
            return None;
        }
        if let Some(why) = name_problem(&entry.name) {
            report(ProblemKind::BadName { name: entry.name.clone(), why });
        }
        if let Some(first) = self.first_lines.get(&entry.name) {
            report(ProblemKind::Duplicate { name: entry.name.clone(), first: *first });
        } else {
            self.first_lines.insert(entry.name.clone(), line);
        }
        Some(Placed { entry, line })
    }
}

/// A name must be what a user can type to mean this entry.
fn name_problem(name: &str) -> Option<String> {
    match name.parse::<Name>() {
        Ok(Name::Indexed { tag: None, digest: None, .. }) => None,
        Ok(_) => Some("expected neither `/`, `:` nor `@`".to_owned()),
        Err(eyas_artifact::ArtifactError::Name { why, .. }) => Some(why),
        Err(_) => Some("expected letters, digits, `_`, `.` and `-`".to_owned()),
    }
}

fn syntax(error: &serde_saphyr::Error) -> Problem {
    let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
    let text = error.without_snippet().to_string();
    // The parser's own text may repeat the place and go over several lines.
    let first = text.lines().next().unwrap_or_default();
    let why = first.split(" at line ").next().unwrap_or(first).trim_end_matches([':', ' ']);
    Problem { line, column, kind: ProblemKind::Syntax(why.to_owned()) }
}

/// One-based line and column after some bytes.
fn place(before: &[u8]) -> (u64, u64) {
    let line = before.split(|byte| *byte == b'\n').count() as u64;
    let column = before.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len) as u64 + 1;
    (line, column)
}

#[derive(Deserialize)]
struct RawEntry {
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    registry: Option<String>,
    repository: Option<String>,
    description: Option<String>,
    home: Option<String>,
    keywords: Option<Vec<Option<String>>>,
    license: Option<String>,
    maintainers: Option<Vec<Option<RawMaintainer>>>,
    sources: Option<Vec<Option<String>>>,
    signature: Option<RawSignature>,
}

#[derive(Deserialize)]
struct RawMaintainer {
    name: Option<String>,
    email: Option<String>,
}

#[derive(Deserialize)]
struct RawSignature {
    cosign: Option<RawCosign>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawCosign {
    certificate_oidc_issuer: Option<String>,
    certificate_oidc_issuer_regexp: Option<String>,
    certificate_identity: Option<String>,
    certificate_identity_regexp: Option<String>,
    certificate_github_workflow: Option<String>,
    key: Option<String>,
    ignore_tlog: Option<bool>,
}

impl RawEntry {
    fn into_entry(self, index: &str) -> Entry {
        Entry {
            name: self.name.unwrap_or_default(),
            kind: self.kind.unwrap_or_default(),
            registry: self.registry.unwrap_or_default(),
            repository: self.repository.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            home: self.home.unwrap_or_default(),
            keywords: present(self.keywords),
            license: self.license.unwrap_or_default(),
            maintainers: present(self.maintainers)
                .into_iter()
                .map(|person| Maintainer {
                    name: person.name.unwrap_or_default(),
                    email: person.email.unwrap_or_default(),
                })
                .collect(),
            sources: present(self.sources),
            signature: self.signature.and_then(|signature| signature.cosign).map(Into::into),
            index: index.to_owned(),
        }
    }
}

impl From<RawCosign> for CosignSection {
    fn from(raw: RawCosign) -> Self {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Self {
            issuer: given(raw.certificate_oidc_issuer),
            issuer_regexp: given(raw.certificate_oidc_issuer_regexp),
            identity: given(raw.certificate_identity),
            identity_regexp: given(raw.certificate_identity_regexp),
            github_workflow: given(raw.certificate_github_workflow),
            key: given(raw.key),
            ignore_tlog: raw.ignore_tlog.unwrap_or_default(),
        }
    }
}

fn present<T>(list: Option<Vec<Option<T>>>) -> Vec<T> {
    list.unwrap_or_default().into_iter().flatten().collect()
}

//! Writing an entry into the text of an index.
//!
//! Owns the guarantee that all else in the file (order, comments, spelling of other entries) stays
//! as it is. The result is parsed again before it is given out.

use crate::parse::{self, Placed};
use crate::{Entry, IndexError};

const NAME: &str = "index";

/// The text with `entry` in place of the entry of the same name, or appended. An entry that is
/// there already in the same form leaves the text untouched.
pub fn upsert(text: &str, entry: &Entry) -> Result<String, IndexError> {
    let placed = parse::parse(NAME, text.as_bytes())?;
    let mut expected: Vec<Entry> = placed.iter().map(|item| item.entry.clone()).collect();
    let wanted = Entry { index: NAME.to_owned(), ..entry.clone() };
    let edited = match expected.iter().position(|known| known.name == wanted.name) {
        Some(at) if expected[at] == wanted => return Ok(text.to_owned()),
        Some(at) => {
            let items = Items::locate(text, &placed)?;
            expected[at] = wanted.clone();
            items.replace(at, &render(&wanted, items.indent)?)
        }
        None => {
            expected.push(wanted.clone());
            append(text, &placed, &wanted)?
        }
    };
    confirm(edited, &expected)
}

/// The text without the entry of that name; untouched when there is none.
pub fn remove(text: &str, name: &str) -> Result<String, IndexError> {
    let placed = parse::parse(NAME, text.as_bytes())?;
    let mut expected: Vec<Entry> = placed.iter().map(|item| item.entry.clone()).collect();
    let Some(at) = expected.iter().position(|known| known.name == name) else {
        return Ok(text.to_owned());
    };
    let items = Items::locate(text, &placed)?;
    expected.remove(at);
    confirm(items.replace(at, ""), &expected)
}

/// Lines of a text and where its list items are.
struct Items<'a> {
    lines: Vec<&'a str>,
    /// Index of the first line of each item.
    starts: Vec<usize>,
    /// Index after the last line of each item; comments that follow belong to what comes next.
    ends: Vec<usize>,
    /// Spaces before each `-`.
    indent: usize,
}

impl<'a> Items<'a> {
    fn locate(text: &'a str, placed: &[Placed]) -> Result<Self, IndexError> {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let mut starts = Vec::with_capacity(placed.len());
        for item in placed {
            starts.push(dash_line(&lines, item.line)?);
        }
        if starts.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(not_a_block_list(placed.first().map_or(1, |item| item.line)));
        }
        let indent = starts.first().map_or(0, |at| indentation(lines[*at]));
        let ends = starts
            .iter()
            .enumerate()
            .map(|(at, start)| {
                let limit = starts.get(at + 1).copied().unwrap_or(lines.len());
                item_end(&lines, *start, limit, indent)
            })
            .collect();
        Ok(Self { lines, starts, ends, indent })
    }

    fn replace(&self, at: usize, with: &str) -> String {
        let before = self.lines[..self.starts[at]].concat();
        let after = self.lines[self.ends[at]..].concat();
        format!("{before}{with}{after}")
    }
}

/// The line of the `-` that starts the item whose first key is on a one-based line.
fn dash_line(lines: &[&str], line: u64) -> Result<usize, IndexError> {
    let at = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
    let is_dash = |text: &str| {
        let text = text.trim_start();
        text.starts_with("- ") || matches!(text.trim_end(), "-")
    };
    lines
        .get(..=at)
        .and_then(|head| head.iter().rposition(|text| is_dash(text)))
        // The key stands on the line of the dash, or below it with only blanks between.
        .filter(|found| {
            let between = (found + 1).min(at)..at;
            lines[between].iter().all(|text| is_blank_or_comment(text))
        })
        .ok_or_else(|| not_a_block_list(line))
}

/// Where an item ends: after its last line that is neither blank, nor a comment that is not
/// indented deeper than the list, nor the end of the document.
fn item_end(lines: &[&str], start: usize, limit: usize, indent: usize) -> usize {
    let belongs = |text: &str| {
        let blank = text.trim().is_empty();
        let outside = indentation(text) <= indent
            && (text.trim_start().starts_with('#') || is_document_end(text));
        !blank && !outside
    };
    (start..limit).rev().find(|at| belongs(lines[*at])).map_or(start + 1, |last| last + 1)
}

fn indentation(text: &str) -> usize {
    text.len() - text.trim_start_matches(' ').len()
}

fn is_blank_or_comment(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || text.starts_with('#')
}

fn is_document_end(text: &str) -> bool {
    text.starts_with("...") || text.starts_with("---")
}

fn append(text: &str, placed: &[Placed], entry: &Entry) -> Result<String, IndexError> {
    if placed.is_empty() {
        // Nothing but comments, or an empty flow list.
        let kept: String = text
            .split_inclusive('\n')
            .filter(|line| !matches!(line.trim(), "[]" | "null" | "~"))
            .collect();
        return Ok(format!("{}{}", terminated(&kept), render(entry, 0)?));
    }
    let items = Items::locate(text, placed)?;
    let at = items.ends.last().copied().unwrap_or(items.lines.len());
    let before = items.lines[..at].concat();
    let after = items.lines[at..].concat();
    Ok(format!("{}{}{after}", terminated(&before), render(entry, items.indent)?))
}

/// The text with a line feed at its end, unless it is empty.
fn terminated(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

/// The entry as a list item, with a final line feed.
fn render(entry: &Entry, indent: usize) -> Result<String, IndexError> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let text = serde_saphyr::to_string_with_options(&[entry], options)
        .map_err(|error| IndexError::Edit { line: 0, why: error.to_string() })?;
    let margin = " ".repeat(indent);
    Ok(text.lines().flat_map(|line| [margin.as_str(), line, "\n"]).collect())
}

/// Gives out an edited text only when it means what it should.
fn confirm(text: String, expected: &[Entry]) -> Result<String, IndexError> {
    let placed = parse::parse(NAME, text.as_bytes())?;
    let same = placed.len() == expected.len()
        && placed.iter().zip(expected).all(|(item, wanted)| item.entry == *wanted);
    if same { Ok(text) } else { Err(not_a_block_list(1)) }
}

fn not_a_block_list(line: u64) -> IndexError {
    IndexError::Edit { line, why: "expected a list item that starts with `- `".to_owned() }
}

//! Reports for people: the message, the source line with the problem marked, the hint.
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Report, Severity};
use crate::source::{Place, SourceFile};

/// Longest source line that is shown; of a longer one only the place is named.
const LINE_LIMIT: usize = 400;

/// One report, with its source line. `files` are those of the load, in load order.
pub fn render(report: &Report, files: &[SourceFile], color: bool) -> String {
    let level = match report.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Lint => Level::NOTE.with_name("lint"),
    };
    let label = report.item().map(|(kind, name)| format!("in {kind} `{name}`")).unwrap_or_default();
    let title = level.primary_title(report.message.as_str()).id(report.code.as_str());
    let excerpt = report.place.and_then(|place| excerpt(place, files));
    let mut group = match &excerpt {
        Some(excerpt) => title.element(
            Snippet::source(excerpt.text)
                .path(report.file.as_str())
                .line_start(excerpt.line)
                .annotation(
                    AnnotationKind::Primary.span(excerpt.span.clone()).label(label.as_str()),
                ),
        ),
        None => Group::with_title(title).element(Level::NOTE.message(where_from(report))),
    };
    if let Some(hint) = &report.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// All reports, one blank line between them.
pub fn render_all(reports: &[Report], files: &[SourceFile], color: bool) -> String {
    let texts: Vec<String> = reports.iter().map(|report| render(report, files, color)).collect();
    texts.join("\n\n")
}

/// The place in words, for when its line cannot be shown.
fn where_from(report: &Report) -> String {
    let place = match report.line_and_column() {
        Some((line, column)) => format!("{}:{line}:{column}", report.file),
        None => report.file.clone(),
    };
    match report.item() {
        Some((kind, name)) => format!("{place}, in {kind} `{name}`"),
        None => place,
    }
}

/// The lines of a place, without the rest of the file.
struct Excerpt<'t> {
    text: &'t str,
    line: usize,
    span: Range<usize>,
}

fn excerpt(place: Place, files: &[SourceFile]) -> Option<Excerpt<'_>> {
    let text = &files.get(place.file.0 as usize)?.text;
    let start = (place.start.offset as usize).min(text.len());
    let first = text.get(..start)?.rfind('\n').map_or(0, |newline| newline + 1);
    let last = text.get(start..)?.find('\n').map_or(text.len(), |newline| start + newline);
    // A place of several lines is marked on its first one.
    let end = (place.end.offset as usize).clamp(start, last);
    if last - first > LINE_LIMIT {
        return None;
    }
    Some(Excerpt {
        text: text.get(first..last)?,
        line: place.start.line as usize + 1,
        span: start - first..end - first,
    })
}

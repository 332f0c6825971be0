//! The documentation says what the code does: every code has a section, every field a row.
#![expect(clippy::unwrap_used, reason = "what cannot be read stops the test")]
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use eyas_rules::ask::NO_QUESTION;
use eyas_rules::fields::{FIELDS, Field, FieldSource, Flags};
use eyas_rules::report::{Code, LoadCode};
use eyas_rules::syntax::SyntaxCode;

/// Variable that asks for new pages.
const BLESS: &str = "EYAS_BLESS";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page(name: &str) -> String {
    fs::read_to_string(repository().join("docs").join(name)).unwrap()
}

#[test]
fn every_code_has_its_section_and_no_other_has() {
    let page = page("codes.md");
    let found: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let ours = Code::ALL.iter().map(|code| code.as_str());
    let syntax = SyntaxCode::ALL.iter().map(|code| code.as_str());
    let wanted: Vec<&str> = ours.chain(syntax).chain([NO_QUESTION]).collect();
    assert_eq!(found, wanted);
    let named: BTreeSet<&str> = page.split('`').filter(|word| word.starts_with("LOAD_")).collect();
    let known: BTreeSet<&str> = LoadCode::ALL.iter().map(|code| code.as_str()).collect();
    let other: Vec<_> = named.difference(&known).filter(|word| !word.ends_with('…')).collect();
    assert_eq!(other, Vec::<&&str>::new());
}

/// Fields that are answered from others, or by the rules themselves.
const ANSWERED_ELSEWHERE: &[&str] = &[
    "evt.around",
    "fd.ip",
    "fd.port",
    "fd.proto",
    "fd.net",
    "fd.cip.name",
    "fd.sip.name",
    "fd.lip.name",
    "fd.rip.name",
    "static",
];

/// The sources that read fields from live events.
fn live_sources() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fields/live");
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name != "tests.rs" && name != "classes.rs" {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    all
}

fn has_source(field: &Field, live: &str) -> bool {
    let id = format!("FieldId::{:?}", field.id);
    let named = live
        .match_indices(&id)
        .any(|(at, _)| !live[at + id.len()..].starts_with(|c: char| c.is_ascii_alphanumeric()));
    named || ANSWERED_ELSEWHERE.contains(&field.name)
}

fn fields_page() -> String {
    let live = live_sources();
    let listed =
        |field: &&Field| !field.flags.has(Flags::HIDDEN) && !field.flags.has(Flags::DEPRECATED);
    let mut out = String::from(
        "# Fields\n\nWhat conditions and outputs can name. Generated from the field table; `eyas rules list --fields` \
         prints the same.\nMarks: *list* has several values, *filter* stands in conditions only, *unset* has no source \
         in a live event yet.\n",
    );
    let mut class = "";
    for field in FIELDS.iter().filter(listed) {
        let first = field.name.split('.').next().unwrap_or_default();
        if first != class {
            class = first;
            let _ = write!(
                out,
                "\n## {class}\n\n| field | type | marks | meaning |\n|---|---|---|---|\n"
            );
        }
        let plugin = !matches!(field.source, FieldSource::Any | FieldSource::Syscall);
        let marks = [
            (field.flags.has(Flags::LIST), "list"),
            (field.flags.has(Flags::FILTER_ONLY), "filter"),
            (plugin, "plugin events"),
            (!plugin && !has_source(field, &live), "unset"),
        ];
        let marks: Vec<&str> =
            marks.iter().filter(|(set, _)| *set).map(|(_, mark)| *mark).collect();
        let _ = writeln!(
            out,
            "| `{}{}` | {} | {} | {} |",
            field.name,
            field.argument.shape().replace(" or ", "` or `"),
            field.ty.name(),
            marks.join(", "),
            field.description.replace('|', "\\|"),
        );
    }
    let missing: Vec<&str> = FIELDS
        .iter()
        .filter(listed)
        .filter(|field| matches!(field.source, FieldSource::Any | FieldSource::Syscall))
        .filter(|field| !has_source(field, &live))
        .map(|field| field.name)
        .collect();
    let _ = write!(
        out,
        "\n## Without a source yet\n\n{} fields are always unset in live events; rules that use them load and never \
         match on them:\n\n`{}`\n",
        missing.len(),
        missing.join("`, `")
    );
    out
}

#[test]
fn the_page_of_fields_is_that_of_the_table() {
    let wanted = fields_page();
    if std::env::var_os(BLESS).is_some() {
        fs::write(repository().join("docs/fields.md"), wanted).unwrap();
        return;
    }
    assert!(page("fields.md") == wanted, "run with {BLESS}=1 to write docs/fields.md anew");
}

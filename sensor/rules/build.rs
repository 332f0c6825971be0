//! Turns `fields.tsv`, the one table of fields, into the `FieldId` enum and the static table.
//!
//! Generated rather than parsed at start: the table then costs nothing at run time, and a match on
//! `FieldId` compiles to a jump table.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// One line of the table, still text.
struct Row<'a> {
    name: &'a str,
    ty: &'a str,
    argument: &'a str,
    flags: &'a str,
    print: &'a str,
    source: &'a str,
    description: &'a str,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=fields.tsv");
    println!("cargo::rerun-if-changed=build.rs");
    let text = fs::read_to_string("fields.tsv")?;
    let rows = parse(&text)?;
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("fields.rs"), generate(&rows)?)?;
    Ok(())
}

fn parse(text: &str) -> Result<Vec<Row<'_>>, Box<dyn Error>> {
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let cells: Vec<&str> = line.split('\t').collect();
        let [name, ty, argument, flags, print, source, description] = cells[..] else {
            return Err(format!(
                "fields.tsv line {}: expected 7 columns, found {}",
                number + 1,
                cells.len()
            )
            .into());
        };
        rows.push(Row { name, ty, argument, flags, print, source, description });
    }
    Ok(rows)
}

fn generate(rows: &[Row<'_>]) -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    writeln!(out, "/// Index of a field in [`FIELDS`], in the order of `fields.tsv`.")?;
    writeln!(
        out,
        "#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]\n#[repr(u16)]\npub enum FieldId {{"
    )?;
    for row in rows {
        writeln!(
            out,
            "    /// `{}`: {}.\n    {},",
            row.name,
            doc(row.description),
            variant(row.name)
        )?;
    }
    writeln!(out, "}}\n")?;
    writeln!(
        out,
        "/// Every field, in the order of [`FieldId`].\npub static FIELDS: [Field; {}] = [",
        rows.len()
    )?;
    for row in rows {
        entry(&mut out, row)?;
    }
    writeln!(out, "];\n")?;
    let mut sorted: Vec<&str> = rows.iter().map(|row| row.name).collect();
    sorted.sort_unstable();
    if let Some([twice, _]) = sorted.array_windows::<2>().find(|[a, b]| a == b) {
        return Err(format!("fields.tsv: `{twice}` is declared twice").into());
    }
    writeln!(
        out,
        "/// Names in byte order, for binary search.\nstatic BY_NAME: [(&str, FieldId); {}] = [",
        sorted.len()
    )?;
    for name in sorted {
        writeln!(out, "    (\"{name}\", FieldId::{}),", variant(name))?;
    }
    writeln!(out, "];")?;
    Ok(out)
}

fn entry(out: &mut String, row: &Row<'_>) -> Result<(), Box<dyn Error>> {
    let ty = camel(row.ty);
    let print = match row.print {
        "-" => "Print::Natural",
        "hex" => "Print::Hex",
        "padded9" => "Print::Padded9",
        other => return Err(format!("`{}`: unknown print format `{other}`", row.name).into()),
    };
    let source = match row.source {
        "any" => "FieldSource::Any",
        "syscall" => "FieldSource::Syscall",
        "plugin" => "FieldSource::Plugin",
        "k8s_audit" => "FieldSource::K8sAudit",
        other => return Err(format!("`{}`: unknown source `{other}`", row.name).into()),
    };
    writeln!(
        out,
        "    Field {{ id: FieldId::{}, name: \"{}\", ty: FieldType::{ty}, argument: {}, flags: {}, print: {print}, source: {source}, description: {:?} }},",
        variant(row.name),
        row.name,
        argument(row)?,
        flags(row)?,
        row.description,
    )?;
    Ok(())
}

fn argument(row: &Row<'_>) -> Result<String, Box<dyn Error>> {
    if row.argument == "-" {
        return Ok("ArgumentRule::NONE".to_owned());
    }
    let (presence, forms) = row
        .argument
        .split_once(':')
        .ok_or_else(|| format!("`{}`: argument `{}` has no forms", row.name, row.argument))?;
    let mut bits = Vec::new();
    for form in forms.split('+') {
        bits.push(match form {
            "index" => "Forms::INDEX.0",
            "key" => "Forms::KEY.0",
            "dot" => "Forms::TAIL.0",
            "path" => "Forms::PATH.0",
            other => return Err(format!("`{}`: unknown argument form `{other}`", row.name).into()),
        });
    }
    Ok(format!(
        "ArgumentRule {{ required: {}, forms: Forms({}) }}",
        presence == "required",
        bits.join(" | ")
    ))
}

fn flags(row: &Row<'_>) -> Result<String, Box<dyn Error>> {
    if row.flags == "-" {
        return Ok("Flags(0)".to_owned());
    }
    let mut bits = Vec::new();
    for flag in row.flags.split(',') {
        bits.push(match flag {
            "filter-only" => "Flags::FILTER_ONLY.0",
            "print-only" => "Flags::PRINT_ONLY.0",
            "no-rhs" => "Flags::NO_RHS.0",
            "no-transformer" => "Flags::NO_TRANSFORMER.0",
            "hidden" => "Flags::HIDDEN.0",
            "deprecated" => "Flags::DEPRECATED.0",
            "list" => "Flags::LIST.0",
            "suggested" => "Flags::SUGGESTED.0",
            other => return Err(format!("`{}`: unknown flag `{other}`", row.name).into()),
        });
    }
    Ok(format!("Flags({})", bits.join(" | ")))
}

/// `proc.exe_ino.ctime` → `ProcExeInoCtime`.
fn variant(name: &str) -> String {
    name.split(['.', '_']).map(camel).collect()
}

fn camel(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A description safe inside a doc comment: brackets would read as links, angle brackets as HTML,
/// names with underscores as missing backticks.
fn doc(text: &str) -> String {
    let quoted =
        |word: &str| if word.contains('_') { format!("`{word}`") } else { word.to_owned() };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_name) {
        let end = rest[start..].find(|c| !is_name(c)).map_or(rest.len(), |end| start + end);
        out.push_str(&plain(&rest[..start]));
        out.push_str(&quoted(&rest[start..end]));
        rest = &rest[end..];
    }
    out + &plain(rest)
}

fn plain(text: &str) -> String {
    text.replace('[', "\\[").replace(']', "\\]").replace('<', "&lt;").replace('>', "&gt;")
}

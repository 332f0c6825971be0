//! Turns the layouts and conversions of capture events into constant tables.
//!
//! Unknown words, gaps in the codes and conversions to codes that do not exist stop the build with
//! the file and line.

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const MARKS: [&str; 5] = ["unused", "managed", "retired", "large", "internal"];

fn main() -> Result<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let mut code = String::new();
    let layouts = read(&here, "layouts.tsv")?;
    let conversions = read(&here, "conversions.tsv")?;
    let count = emit_layouts(&layouts, &mut code)?;
    emit_conversions(&conversions, count, &mut code)?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("tables.rs"), code)?;
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

fn read(here: &std::path::Path, name: &str) -> Result<String> {
    let path = here.join(name);
    println!("cargo::rerun-if-changed={}", path.display());
    fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn rows(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| (number + 1, line.split('\t').collect()))
}

/// One `Layout` for each code; gives how many there are.
fn emit_layouts(text: &str, code: &mut String) -> Result<usize> {
    let mut body = String::new();
    let mut count = 0;
    for (line, row) in rows(text) {
        let at = format!("layouts.tsv:{line}");
        let [number, name, marks, sizes] = row[..] else {
            return Err(format!("{at}: four columns expected, {} found", row.len()).into());
        };
        if number.parse::<usize>()? != count {
            return Err(format!("{at}: code {count} expected, `{number}` found").into());
        }
        let mut bits = 0_u8;
        for mark in marks.split(',').filter(|mark| *mark != "-") {
            let bit = MARKS.iter().position(|known| *known == mark);
            bits |= 1 << bit.ok_or_else(|| format!("{at}: unknown mark `{mark}`"))?;
        }
        let sizes: Vec<String> = words(sizes)
            .map(|size| match size {
                "*" => Ok("Size::Varies".to_owned()),
                "id" => Ok("Size::Id".to_owned()),
                fixed => Ok(format!("Size::Fixed({})", fixed.parse::<u8>()?)),
            })
            .collect::<Result<_>>()?;
        writeln!(
            body,
            "Layout {{ name: {name:?}, marks: {bits}, sizes: &[{}] }},",
            sizes.join(", ")
        )?;
        count += 1;
    }
    writeln!(code, "pub(super) static LAYOUTS: [Layout; {count}] = [\n{body}];")?;
    Ok(count)
}

fn words(column: &str) -> impl Iterator<Item = &str> {
    column.split(' ').filter(|word| !word.is_empty() && *word != "-")
}

/// The conversions in order of code and parameter count, and where those of each code begin.
fn emit_conversions(text: &str, codes: usize, code: &mut String) -> Result<()> {
    let mut rules: Vec<(usize, u8, String)> = Vec::new();
    for (line, row) in rows(text) {
        let at = format!("conversions.tsv:{line}");
        let [number, params, action, target, sources] = row[..] else {
            return Err(format!("{at}: five columns expected, {} found", row.len()).into());
        };
        let number: usize = number.parse()?;
        let target: usize = if target == "-" { number } else { target.parse()? };
        if number >= codes || target >= codes {
            return Err(format!("{at}: a code that layouts.tsv does not have").into());
        }
        let sources: Vec<String> =
            words(sources).map(|word| source(word, &at)).collect::<Result<_>>()?;
        let list = format!("&[{}]", sources.join(", "));
        let action = match action {
            "store" => "Action::Store".to_owned(),
            "store+pass" => "Action::StoreAndPass".to_owned(),
            "pass" => "Action::Pass".to_owned(),
            "append" => format!("Action::Append({list})"),
            "become" => format!("Action::Become({target}, {list})"),
            other => return Err(format!("{at}: unknown action `{other}`").into()),
        };
        rules.push((number, params.parse()?, action));
    }
    rules.sort_by_key(|(number, params, _)| (*number, *params));
    writeln!(code, "pub(super) static RULES: [(u8, Action); {}] = [", rules.len())?;
    for (_, params, action) in &rules {
        writeln!(code, "({params}, {action}),")?;
    }
    writeln!(code, "];\npub(super) static STARTS: [u16; {}] = [", codes + 1)?;
    for number in 0..=codes {
        write!(code, "{},", rules.partition_point(|(of, ..)| *of < number))?;
    }
    writeln!(code, "];")?;
    Ok(())
}

fn source(word: &str, at: &str) -> Result<String> {
    let index = |text: &str| -> Result<u8> { Ok(text.parse()?) };
    if let Some(old) = word.strip_prefix("old") {
        return Ok(format!("From::Old({})", index(old)?));
    }
    if let Some(enter) = word.strip_prefix("enter") {
        return Ok(match enter.strip_suffix('?') {
            Some(enter) => format!("From::EnterOrEmpty({})", index(enter)?),
            None => format!("From::Enter({})", index(enter)?),
        });
    }
    match word {
        "zero" => Ok("From::Zero".into()),
        "empty" => Ok("From::Empty".into()),
        "json" => Ok("From::Json".into()),
        other => Err(format!("{at}: unknown source `{other}`").into()),
    }
}

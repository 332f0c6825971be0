//! Turns the schema's data files into constant tables and computes the layout hash.
//!
//! The tables are checked here as far as a compiler would: unknown words, duplicate codes and dangling
//! references stop the build with the file and line.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use sha2::{Digest, Sha256};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CATEGORIES: &[(&str, &str)] = &[
    ("unknown", "Unknown"),
    ("other", "Other"),
    ("file", "File"),
    ("net", "Net"),
    ("IPC", "Ipc"),
    ("memory", "Memory"),
    ("process", "Process"),
    ("sleep", "Sleep"),
    ("system", "System"),
    ("signal", "Signal"),
    ("user", "User"),
    ("time", "Time"),
    ("io-read", "IoRead"),
    ("io-write", "IoWrite"),
    ("io-other", "IoOther"),
    ("wait", "Wait"),
    ("scheduler", "Scheduler"),
    ("internal", "Internal"),
];

const SOURCES: &[(&str, &str)] = &[
    ("syscall", "Syscall"),
    ("tracepoint", "Tracepoint"),
    ("meta", "Meta"),
    ("plugin", "Plugin"),
    ("iterator", "Iterator"),
];

const FLAGS: &[(&str, &str)] = &[
    ("creates-fd", "CREATES_FD"),
    ("uses-fd", "USES_FD"),
    ("destroys-fd", "DESTROYS_FD"),
    ("reads", "READS"),
    ("writes", "WRITES"),
    ("waits", "WAITS"),
    ("state", "STATE"),
    ("large", "LARGE"),
];

const TYPES: &[(&str, &str)] = &[
    ("int8", "Int8"),
    ("int16", "Int16"),
    ("int32", "Int32"),
    ("int64", "Int64"),
    ("uint8", "Uint8"),
    ("uint16", "Uint16"),
    ("uint32", "Uint32"),
    ("uint64", "Uint64"),
    ("bool", "Bool"),
    ("charbuf", "Charbuf"),
    ("charbufarray", "CharbufArray"),
    ("bytebuf", "Bytebuf"),
    ("errno", "Errno"),
    ("sockaddr", "SockAddr"),
    ("socktuple", "SockTuple"),
    ("fd", "Fd"),
    ("fd32", "Fd32"),
    ("pid", "Pid"),
    ("pid32", "Pid32"),
    ("fdlist", "FdList"),
    ("fspath", "FsPath"),
    ("fsrelpath", "FsRelPath"),
    ("syscallid", "SyscallId"),
    ("sigtype", "SigType"),
    ("sigset", "SigSet"),
    ("reltime", "RelTime"),
    ("abstime", "AbsTime"),
    ("port", "Port"),
    ("ipv4addr", "Ipv4Addr"),
    ("ipv6addr", "Ipv6Addr"),
    ("dyn", "Dyn"),
    ("flags8", "Flags8"),
    ("flags16", "Flags16"),
    ("flags32", "Flags32"),
    ("enumflags8", "EnumFlags8"),
    ("enumflags16", "EnumFlags16"),
    ("enumflags32", "EnumFlags32"),
    ("uid", "Uid"),
    ("gid", "Gid"),
    ("mode", "Mode"),
];

const PRINTS: &[(&str, &str)] = &[("dec", "Decimal"), ("hex", "Hexadecimal"), ("oct", "Octal")];

/// Variants of a `dyn` value: its first byte is the index into the list.
const DYN: &[(&str, &str)] = &[
    ("sockopt_dynamic_param", "SOCKOPT_VARIANTS"),
    ("ptrace_dynamic_param", "PTRACE_VARIANTS"),
    ("keyctl_dynamic_param", "KEYCTL_VARIANTS"),
];

fn main() -> Result<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let header = here.join("../bpf/include/abi.h");
    let events = read(&here.join("events.tsv"))?;
    let flags = read(&here.join("flags.tsv"))?;
    let syscalls = read(&here.join("syscalls.tsv"))?;
    let header = read(&header)?;

    let mut code = String::new();
    let tables = emit_flag_tables(&flags, &mut code)?;
    let codes = emit_events(&events, &tables, &mut code)?;
    emit_syscalls(&syscalls, &codes, &mut code)?;
    emit_layout_hash(&header, &events, &mut code)?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("tables.rs"), code)?;
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    println!("cargo::rerun-if-changed={}", path.display());
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn rows(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| (number + 1, line.split('\t').collect()))
}

fn word(list: &[(&'static str, &'static str)], text: &str, at: &str) -> Result<&'static str> {
    list.iter()
        .find(|(name, _)| *name == text)
        .map(|(_, rust)| *rust)
        .ok_or_else(|| format!("{at}: unknown word `{text}`").into())
}

/// Writes one `FlagTable` per table; gives the tables' names with their place.
fn emit_flag_tables(text: &str, code: &mut String) -> Result<BTreeMap<String, usize>> {
    let mut tables: Vec<(&str, Vec<(u32, &str)>)> = Vec::new();
    for (line, row) in rows(text) {
        let [table, value, name] = row[..] else {
            return Err(format!("flags.tsv:{line}: three columns expected").into());
        };
        let value = u32::from_str_radix(value.trim_start_matches("0x"), 16)
            .map_err(|error| format!("flags.tsv:{line}: `{value}`: {error}"))?;
        match tables.last_mut() {
            Some((last, entries)) if *last == table => entries.push((value, name)),
            _ => tables.push((table, vec![(value, name)])),
        }
    }
    writeln!(code, "/// Flag and enumeration tables, in the order of the data file.")?;
    writeln!(code, "pub static FLAG_TABLES: [FlagTable; {}] = [", tables.len())?;
    for (name, entries) in &tables {
        let entries: Vec<String> =
            entries.iter().map(|(v, n)| format!("({v:#x}, {n:?})")).collect();
        writeln!(code, "FlagTable {{ name: {name:?}, entries: &[{}] }},", entries.join(", "))?;
    }
    writeln!(code, "];")?;
    Ok(tables.iter().enumerate().map(|(i, (name, _))| ((*name).to_owned(), i)).collect())
}

fn emit_events(
    text: &str,
    tables: &BTreeMap<String, usize>,
    code: &mut String,
) -> Result<BTreeMap<u16, usize>> {
    let mut codes = BTreeMap::new();
    let mut names: Vec<(String, usize)> = Vec::new();
    let mut body = String::new();
    for (index, (line, row)) in rows(text).enumerate() {
        let at = format!("events.tsv:{line}");
        let [number, name, category, source, flags, fd, params] = row[..] else {
            return Err(format!("{at}: seven columns expected, {} found", row.len()).into());
        };
        let number: u16 = number.parse().map_err(|error| format!("{at}: `{number}`: {error}"))?;
        if codes.insert(number, index).is_some() {
            return Err(format!("{at}: code {number} is there twice").into());
        }
        names.push((name.to_owned(), index));
        let mut params_code = String::new();
        let params: Vec<&str> =
            if params == "-" { Vec::new() } else { params.split(' ').collect() };
        for param in &params {
            params_code.push_str(&param_code(param, tables, &at)?);
        }
        let mut bits = vec!["EventFlags::NONE".to_owned()];
        for flag in flags.split(',').filter(|flag| *flag != "-") {
            bits.push(format!("EventFlags::{}", word(FLAGS, flag, &at)?));
        }
        let bits =
            bits.into_iter().reduce(|sum, bit| format!("{sum}.with({bit})")).unwrap_or_default();
        let fd = if fd == "-" { "None".to_owned() } else { format!("Some({fd})") };
        writeln!(
            body,
            "EventType {{ code: {number}, name: {name:?}, category: Category::{}, source: Source::{}, \
             flags: {bits}, fd_param: {fd}, params: &[{params_code}] }},",
            word(CATEGORIES, category, &at)?,
            word(SOURCES, source, &at)?,
        )?;
    }
    writeln!(code, "/// Every current event, ascending by code.")?;
    writeln!(code, "pub static EVENTS: [EventType; {}] = [\n{body}];", codes.len())?;

    let last = codes.keys().next_back().copied().unwrap_or(0);
    writeln!(code, "pub(super) static BY_CODE: [u16; {}] = [", usize::from(last) + 1)?;
    for number in 0..=last {
        write!(code, "{},", codes.get(&number).map_or(0xffff, |index| *index))?;
    }
    writeln!(code, "];")?;
    names.sort();
    writeln!(code, "pub(super) static BY_NAME: [(&str, u16); {}] = {names:?};", names.len())?;
    Ok(codes)
}

fn param_code(text: &str, tables: &BTreeMap<String, usize>, at: &str) -> Result<String> {
    let extra = text.starts_with('+');
    let mut parts = text.trim_start_matches('+').split(':');
    let (Some(name), Some(kind)) = (parts.next(), parts.next()) else {
        return Err(format!("{at}: `{text}`: name and type expected").into());
    };
    let print = word(PRINTS, parts.next().unwrap_or("dec"), at)?;
    let mut table = "None".to_owned();
    let mut relative = "None".to_owned();
    let mut variants = "&[]";
    if let Some(reference) = parts.next() {
        if let Some(index) = reference.strip_prefix("dirfd=") {
            relative = format!("Some({})", index.parse::<u8>()?);
        } else if kind == "dyn" {
            variants = word(DYN, reference, at)?;
        } else {
            let index = tables
                .get(reference)
                .ok_or_else(|| format!("{at}: `{text}`: no table `{reference}` in flags.tsv"))?;
            table = format!("Some(&FLAG_TABLES[{index}])");
        }
    }
    Ok(format!(
        "Param {{ name: {name:?}, ty: ParamType::{}, print: PrintFormat::{print}, table: {table}, \
         relative_to: {relative}, variants: {variants}, extra: {extra} }},\n",
        word(TYPES, kind, at)?,
    ))
}

fn emit_syscalls(text: &str, codes: &BTreeMap<u16, usize>, code: &mut String) -> Result<()> {
    let mut body = String::new();
    let mut names: Vec<(String, usize)> = Vec::new();
    let mut count = 0;
    for (index, (line, row)) in rows(text).enumerate() {
        let at = format!("syscalls.tsv:{line}");
        let [kernel, name, event, numbers @ ..] = &row[..] else {
            return Err(format!("{at}: eight columns expected").into());
        };
        let number: u16 = event.parse().map_err(|error| format!("{at}: `{event}`: {error}"))?;
        if !codes.contains_key(&number) {
            return Err(format!("{at}: code {number} is not in events.tsv").into());
        }
        if numbers.len() != 5 {
            return Err(format!("{at}: eight columns expected").into());
        }
        let numbers: Vec<String> = numbers
            .iter()
            .map(|n| if *n == "-" { "None".to_owned() } else { format!("Some({n})") })
            .collect();
        writeln!(
            body,
            "Syscall {{ id: {index}, kernel_name: {kernel:?}, name: {name:?}, event: {number}, \
             numbers: [{}] }},",
            numbers.join(", ")
        )?;
        names.push(((*kernel).to_owned(), index));
        if kernel != name {
            names.push(((*name).to_owned(), index));
        }
        count += 1;
    }
    names.sort();
    writeln!(code, "/// Every known system call; the place is the id of the generic event.")?;
    writeln!(code, "pub static SYSCALLS: [Syscall; {count}] = [\n{body}];")?;
    writeln!(code, "pub(super) static SYSCALL_NAMES: [(&str, u16); {}] = {names:?};", names.len())?;
    Ok(())
}

/// The hash covers what the bytes of a record depend on: the header without comments, and the events'
/// codes and parameters. Wording, categories and flag names may change without a new layout.
fn emit_layout_hash(header: &str, events: &str, code: &mut String) -> Result<()> {
    let mut hash = Sha256::new();
    for token in without_comments(header).split_whitespace() {
        hash.update(token);
        hash.update(b" ");
    }
    for (_, row) in rows(events) {
        hash.update(row[0]);
        hash.update(b"\t");
        hash.update(row.last().copied().unwrap_or_default());
        hash.update(b"\n");
    }
    let mut hex = String::new();
    for byte in &hash.finalize()[..16] {
        write!(hex, "{byte:02x}")?;
    }
    writeln!(code, "/// Names the layout of records; an object built for another one is refused.")?;
    writeln!(code, "pub const LAYOUT_HASH: &str = {hex:?};")?;
    Ok(())
}

fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/*") {
        out.push_str(before);
        out.push(' ');
        rest = after.split_once("*/").map_or("", |(_, tail)| tail);
    }
    out.push_str(rest);
    out
}

//! `struct eyas_descriptor` and `struct bit_table`: which event a system call makes, where its parameters come
//! from, and how the kernel's numbers become the schema's.
//!
//! Read from `extraction.tsv` and `translation.tsv`, which are part of the program; a test holds each row
//! against the schema.

use std::collections::BTreeMap;

use eyas_abi::schema::{self, EventType, Syscall};

/// Size of `struct eyas_descriptor`, bytes.
pub(crate) const DESCRIPTOR_LEN: usize = 136;
/// Size of `struct bit_table`, bytes.
pub(crate) const BIT_TABLE_LEN: usize = 8 + 8 * PAIRS_MAX;

const EXTRACTION: &str = include_str!("../extraction.tsv");
const TRANSLATION: &str = include_str!("../translation.tsv");
/// Entries of a descriptor.
const PARAMS_MAX: usize = 32;
/// Pairs of a bit table.
const PAIRS_MAX: usize = 40;
/// Parameters that the facts of a descriptor take.
const FD_FACTS: usize = 8;

/// Words of `extraction.tsv` in the order of `enum eyas_from`.
const SOURCES: &[&str] = &[
    "-", "r", "u", "s", "l", "t", "b", "v", "id", "nr", "di", "do", "vi", "vo", "vs", "mi", "mo",
    "ms", "ad", "ti", "to", "f", "n", "D", "c", "p", "q", "ts", "y", "cap", "vm", "comm", "z",
    "pwd", "w", "h", "g", "B", "Ti", "To", "mc", "F", "i", "k", "L", "o", "O", "pd",
];

/// One entry of a descriptor: `struct eyas_param`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Source {
    from: u8,
    arg: u8,
    size: u8,
    aux: u8,
}

impl Source {
    /// How many parameters it makes.
    fn params(self) -> usize {
        match SOURCES.get(usize::from(self.from)) {
            Some(&("f" | "n" | "F")) => FD_FACTS,
            _ => 1,
        }
    }
}

/// Where the parameters of every table-driven event come from.
#[derive(Debug)]
pub(crate) struct Extraction {
    events: BTreeMap<u16, Vec<Source>>,
}

impl Extraction {
    /// Reads the tables. An error names the line; the tables are part of the program, so a test finds it.
    pub(crate) fn read() -> Result<Self, String> {
        let tables = tables();
        let names: Vec<&str> = tables.iter().map(|table| table.0).collect();
        let mut events = BTreeMap::new();
        for (number, line) in rows(EXTRACTION) {
            let at = |what: &str| format!("extraction.tsv:{number}: {what}");
            let mut columns = line.split('\t');
            let code: u16 =
                columns.next().and_then(|c| c.parse().ok()).ok_or_else(|| at("no code"))?;
            let event = schema::by_code(code).ok_or_else(|| at("unknown code"))?;
            if columns.next() != Some(event.name) {
                return Err(at("code and name disagree"));
            }
            let mut sources = Vec::new();
            let mut param = 0;
            for word in columns.next().unwrap_or_default().split_whitespace() {
                for source in parse(word, event, param, &names).ok_or_else(|| at(word))? {
                    param += source.params();
                    sources.push(source);
                }
            }
            if param != event.params.len() {
                return Err(at(&format!("{param} of {} parameters", event.params.len())));
            }
            if sources.len() > PARAMS_MAX {
                return Err(at("more sources than a descriptor holds"));
            }
            events.insert(code, sources);
        }
        Ok(Self { events })
    }

    /// True for events that the generic handler makes.
    #[cfg(test)]
    pub(crate) fn covers(&self, event: u16) -> bool {
        self.events.contains_key(&event)
    }

    /// The descriptor of a system call, as the kernel side reads it.
    pub(crate) fn descriptor(&self, call: &Syscall) -> [u8; DESCRIPTOR_LEN] {
        let sources = self.events.get(&call.event).map_or(&[][..], Vec::as_slice);
        let params = schema::by_code(call.event).map_or(0, |event| event.params.len());
        let mut out = [0; DESCRIPTOR_LEN];
        out[0..2].copy_from_slice(&call.event.to_ne_bytes());
        out[2..4].copy_from_slice(&call.id.to_ne_bytes());
        out[4] = params as u8;
        // an event without parameters is an event all the same: one entry that makes nothing would be one too many
        out[5] = sources.len() as u8;
        for (entry, source) in out[8..].as_chunks_mut::<4>().0.iter_mut().zip(sources) {
            *entry = [source.from, source.arg, source.size, source.aux];
        }
        out
    }
}

/// A word of `extraction.tsv`; `-8` stands for eight unknown values.
fn parse(word: &str, event: &EventType, param: usize, tables: &[&str]) -> Option<Vec<Source>> {
    if word == "-8" {
        return Some(vec![Source::default(); FD_FACTS]);
    }
    let split = word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len());
    let (name, rest) = word.split_at(split);
    let from = SOURCES.iter().position(|source| *source == name)? as u8;
    let table = |wanted: &str| tables.iter().position(|name| *name == wanted).map(|at| at as u8);
    if name == "B" {
        let (arg, rest) = rest.split_once(',')?;
        let (distance, wanted) = rest.split_once(':')?;
        let distance: u8 = distance.parse().ok().filter(|distance| distance % 4 == 0)?;
        let arg = arg.parse::<u8>().ok().filter(|arg| *arg < 6)? | (distance / 4) << 3;
        let size = event.params.get(param)?.ty.fixed_len()? as u8;
        return Some(vec![Source { from, arg, size, aux: table(wanted)? }]);
    }
    let (arg, aux) = match rest.split_once([',', ':']) {
        Some((arg, wanted)) if rest.contains(':') => (arg, table(wanted)?),
        Some((arg, aux)) => (arg, aux.parse().ok()?),
        None => (rest, 0),
    };
    let arg = if arg.is_empty() { 0 } else { arg.parse().ok()? };
    let size = event.params.get(param)?.ty.fixed_len().unwrap_or(0) as u8;
    (arg < 6).then(|| vec![Source { from, arg, size, aux }])
}

/// Name and bytes of every `struct bit_table`, in the order of their keys.
pub(crate) fn tables() -> Vec<(&'static str, [u8; BIT_TABLE_LEN])> {
    rows(TRANSLATION).filter_map(|(_, line)| table(line)).collect()
}

fn table(line: &'static str) -> Option<(&'static str, [u8; BIT_TABLE_LEN])> {
    let mut columns = line.split('\t');
    let name = columns.next()?;
    let _kind = columns.next()?;
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    let otherwise = hex(columns.next()?)?;
    let pairs: Vec<(u32, u32)> = columns
        .next()?
        .split(' ')
        .map(|pair| pair.split_once('=').and_then(|(from, to)| Some((hex(from)?, hex(to)?))))
        .collect::<Option<_>>()?;
    let mut out = [0; BIT_TABLE_LEN];
    out[0..4].copy_from_slice(&(pairs.len() as u32).to_ne_bytes());
    out[4..8].copy_from_slice(&otherwise.to_ne_bytes());
    if pairs.len() > PAIRS_MAX {
        return None;
    }
    for (entry, (from, to)) in out[8..].as_chunks_mut::<8>().0.iter_mut().zip(pairs) {
        entry[..4].copy_from_slice(&from.to_ne_bytes());
        entry[4..].copy_from_slice(&to.to_ne_bytes());
    }
    Some((name, out))
}

fn rows(text: &'static str) -> impl Iterator<Item = (usize, &'static str)> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| (number + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_fits_the_schema() {
        let extraction = Extraction::read().unwrap();
        for (code, sources) in &extraction.events {
            assert!(sources.len() <= PARAMS_MAX, "{code}: {}", sources.len());
        }
        assert_eq!(
            tables().len(),
            rows(TRANSLATION).count(),
            "a row of translation.tsv is malformed"
        );
        assert!(tables().len() <= 64);
    }

    #[test]
    fn tables_that_handlers_use_lie_where_the_header_file_says() {
        let names: Vec<&str> = tables().iter().map(|table| table.0).collect();
        // enum eyas_table
        assert_eq!(names[..2], ["clone_flags", "socket_flags"]);
    }

    #[test]
    fn every_system_call_event_has_a_row_or_a_handler() {
        let extraction = Extraction::read().unwrap();
        for call in &schema::SYSCALLS {
            let handler = crate::load::handler_of(call.event).is_some();
            assert!(handler != extraction.covers(call.event), "{}", call.name);
        }
    }

    #[test]
    fn fixed_values_are_made_in_their_size() {
        let extraction = Extraction::read().unwrap();
        for (code, sources) in &extraction.events {
            let event = schema::by_code(*code).unwrap();
            let mut param = 0;
            for source in sources {
                let word = SOURCES[usize::from(source.from)];
                let ty = event.params[param].ty;
                let sized = matches!(word, "u" | "s" | "l" | "b" | "v" | "r" | "p" | "q" | "ts");
                let at = format!("{} parameter {param} {word} {ty:?}", event.name);
                assert_eq!(sized, ty.fixed_len().is_some() && sized, "{at}");
                if word == "t" {
                    assert!(ty.is_text(), "{at}");
                }
                if matches!(word, "r" | "s" | "q") {
                    assert!(ty.fixed_len().is_some(), "{at}");
                }
                param += source.params();
            }
        }
    }

    #[test]
    fn a_descriptor_has_the_layout_of_the_header_file() {
        let extraction = Extraction::read().unwrap();
        let unlinkat = schema::syscalls_by_name("unlinkat").next().unwrap();
        let bytes = extraction.descriptor(unlinkat);
        assert_eq!(u16::from_ne_bytes([bytes[0], bytes[1]]), 303);
        assert_eq!(u16::from_ne_bytes([bytes[2], bytes[3]]), unlinkat.id);
        assert_eq!((bytes[4], bytes[5]), (13, 6));
        assert_eq!(bytes[8..12], [1, 0, 8, 0], "result");
        assert_eq!(bytes[16..20], [5, 1, 0, 0], "text at argument 1");
        assert_eq!(bytes[28..32], [23, 1, 0, 0], "directory of it, descriptor 0");
    }
}

//! What the functions of a chain of calls take of the stack, held against the limit that old kernels have for all
//! of them together.
//!
//! Up to 6.12 the verifier adds up the frames of a program and of everything that it calls, each rounded up to 32
//! bytes, and refuses more than 512 (`check_max_stack_depth` in kernel/bpf/verifier.c). Newer kernels give programs
//! more, so there nothing would be noticed.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::collections::BTreeMap;

use eyas_probe::embedded_for;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SymbolKind};

const LIMIT: u32 = 512;
const GRANULE: u32 = 32;

/// Register that points at the end of the frame.
const FRAME: u8 = 10;
/// Whose low three bits an instruction's class is.
const LOAD: u8 = 1;
const STORE_NUMBER: u8 = 2;
const STORE: u8 = 3;
const MOVE: u8 = 0xbf;
const ADD_NUMBER: u8 = 0x07;
const CALL: u8 = 0x85;
/// In the source register of a call: into the object, not to a helper.
const OWN: u8 = 1;

/// Section and address within it.
type Place = (usize, u64);

#[derive(Debug, Default)]
struct Function {
    name: String,
    frame: u32,
    calls: Vec<Place>,
}

fn functions(bytes: &[u8]) -> BTreeMap<Place, Function> {
    let elf = object::File::parse(bytes).unwrap();
    let mut functions = BTreeMap::new();
    for symbol in elf.symbols().filter(|s| s.kind() == SymbolKind::Text && s.size() > 0) {
        let section = elf.section_by_index(symbol.section_index().unwrap()).unwrap();
        let targets: BTreeMap<u64, Place> = section
            .relocations()
            .filter_map(|(at, relocation)| {
                let RelocationTarget::Symbol(index) = relocation.target() else { return None };
                let target = elf.symbol_by_index(index).ok()?;
                Some((at, (target.section_index()?.0, target.address())))
            })
            .collect();
        let code = section.data().unwrap();
        let (start, end) = (symbol.address(), symbol.address() + symbol.size());
        let mut function =
            Function { name: symbol.name().unwrap().to_owned(), ..Default::default() };
        // the register that holds the end of the frame since the instruction before
        let mut copied = None;
        for at in (start..end).step_by(8) {
            let word: [u8; 8] = code[at as usize..at as usize + 8].try_into().unwrap();
            let (to, from) = (word[1] & 0xf, word[1] >> 4);
            let offset = i32::from(i16::from_le_bytes([word[2], word[3]]));
            let number = i32::from_le_bytes([word[4], word[5], word[6], word[7]]);
            let reached = match word[0] {
                ADD_NUMBER if copied == Some(to) => number,
                code if code & 7 == LOAD && from == FRAME => offset,
                code if matches!(code & 7, STORE_NUMBER | STORE) && to == FRAME => offset,
                _ => 0,
            };
            function.frame = function.frame.max(reached.min(0).unsigned_abs());
            copied = (word[0] == MOVE && from == FRAME).then_some(to);
            if word[0] == CALL && from == OWN {
                function.calls.push(targets[&at]);
            }
        }
        functions.insert((section.index().0, start), function);
    }
    functions
}

/// The deepest chain from a function on: bytes, and the frames one by one.
fn deepest(functions: &BTreeMap<Place, Function>, place: Place) -> (u32, Vec<String>) {
    let function = &functions[&place];
    let below = function.calls.iter().map(|called| deepest(functions, *called)).max();
    let (bytes, mut chain) = below.unwrap_or_default();
    chain.insert(0, format!("{} {}", function.name, function.frame));
    (bytes + function.frame.max(1).next_multiple_of(GRANULE), chain)
}

#[test]
fn no_chain_of_calls_takes_more_stack_than_old_kernels_give() {
    for architecture in ["amd64", "arm64"] {
        let functions = functions(embedded_for(architecture).unwrap());
        let mut all: Vec<_> = functions.keys().map(|place| deepest(&functions, *place)).collect();
        all.sort();
        let (bytes, chain) = all.pop().unwrap();
        println!("{architecture}: {bytes} bytes at most: {}", chain.join(", "));
        assert!(bytes > GRANULE, "{architecture}: no frames were found");
        assert!(bytes <= LIMIT, "{architecture}: {bytes} of {LIMIT} bytes: {}", chain.join(", "));
    }
}

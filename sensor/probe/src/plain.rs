//! Reads of kernel memory as plain loads, on kernels that have them.
//!
//! As compiled, the probe calls the helper `bpf_probe_read_kernel` for each field, which costs 20 ns and more. Since
//! Linux 6.2 there is a function that gives any address a type (`bpf_rdonly_cast`, a35b9af4ec2c), behind which a
//! program may load: the kernel puts a plain move in place of its call, and a load from an address where nothing is
//! gives zero, as the helper does. So the reads that the sources mark (`READ_AS` in `sensor/bpf/include/compat.h`) are
//! rewritten before the object goes to the kernel, instruction by instruction, so that nothing moves. The verifier has
//! the last word, and what it refuses is loaded as it was compiled.

use aya::Btf;
use aya_obj::btf::BtfKind;

/// In front of each read that may be rewritten, as a number that nobody looks at.
const READ_MARK: i32 = 0x6579_6173;
/// The number by which programs tell whether reads are calls; a 1 in its place says that they are loads.
const FLAG_MARK: i32 = 0x6579_6101;

/// The function that gives an address a type.
const CAST: &str = "bpf_rdonly_cast";
/// A type that starts with eight bytes that are a number and no pointer.
const WORD: &str = "rb_node";

/// Bytes of an instruction.
const LEN: usize = 8;
/// Instructions of a read: the mark, the size, the call, the load of what it read.
const READ_LEN: usize = 4 * LEN;

/// r0 = number, r2 = number, helper call, r1 = r3, function call: operation and registers.
const SET_R0: [u8; 2] = [0xb7, 0x00];
const SET_R2: [u8; 2] = [0xb7, 0x02];
const CALL_HELPER: [u8; 2] = [0x85, 0x00];
const R1_IS_R3: [u8; 2] = [0xbf, 0x31];
const CALL_FUNCTION: [u8; 2] = [0x85, 0x20];
const SET: u8 = 0xb7;
/// Loads of four, two, one and eight bytes.
const LOADS: [u8; 4] = [0x61, 0x69, 0x71, 0x79];
const PROBE_READ_KERNEL: i32 = 113;

/// The object with plain loads, or why there are none.
pub(crate) fn with_plain_loads(object: &[u8], btf: &Btf) -> Result<Vec<u8>, &'static str> {
    let (Ok(cast), Ok(word)) = (
        btf.id_by_type_name_kind(CAST, BtfKind::Func),
        btf.id_by_type_name_kind(WORD, BtfKind::Struct),
    ) else {
        return Err("the kernel has no `bpf_rdonly_cast`; Linux 6.2 or newer does");
    };
    rewrite(object, cast, word).ok_or("the object marks no reads")
}

/// Instructions start at multiples of their length, in the file as in its sections.
fn rewrite(object: &[u8], cast: u32, word: u32) -> Option<Vec<u8>> {
    let mut new = object.to_vec();
    let mut reads = 0;
    for at in (0..object.len()).step_by(LEN) {
        let Some(bytes) = object.get(at..at + LEN) else { break };
        if bytes[0] == SET && bytes[2..4] == [0, 0] && number(bytes) == FLAG_MARK {
            new[at + 4..at + LEN].copy_from_slice(&1_i32.to_le_bytes());
        } else if let Some(load) = object.get(at..at + READ_LEN).and_then(load_of) {
            new[at..at + READ_LEN].copy_from_slice(&plain(load, cast, word));
            reads += 1;
        }
    }
    (reads > 0).then_some(new)
}

/// Size and destination of the load that a read ends with.
fn load_of(read: &[u8]) -> Option<(u8, u8)> {
    let [mark, size, call, load] = [0, 1, 2, 3].map(|place| &read[place * LEN..][..LEN]);
    let is_read = mark[..4] == [SET_R0[0], SET_R0[1], 0, 0]
        && number(mark) == READ_MARK
        && size[..4] == [SET_R2[0], SET_R2[1], 0, 0]
        && call[..4] == [CALL_HELPER[0], CALL_HELPER[1], 0, 0]
        && number(call) == PROBE_READ_KERNEL
        && LOADS.contains(&load[0]);
    is_read.then_some((load[0], load[1] & 0x0f))
}

/// `r1 = r3; r2 = word; call cast; destination = *(size *)(r0 + 0)`
fn plain((size, destination): (u8, u8), cast: u32, word: u32) -> [u8; READ_LEN] {
    let mut out = [0; READ_LEN];
    let instructions =
        [(R1_IS_R3, 0), (SET_R2, word), (CALL_FUNCTION, cast), ([size, destination], 0)];
    for (place, (start, value)) in out.chunks_exact_mut(LEN).zip(instructions) {
        place[..2].copy_from_slice(&start);
        place[4..].copy_from_slice(&value.to_le_bytes());
    }
    out
}

fn number(instruction: &[u8]) -> i32 {
    i32::from_le_bytes([instruction[4], instruction[5], instruction[6], instruction[7]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::embedded_for;

    const CAST_ID: u32 = 0x0001_0203;
    const WORD_ID: u32 = 0x0405;

    /// A read of four bytes from the address in r3 into r7, through the stack.
    fn read() -> Vec<u8> {
        let instructions: [[u8; LEN]; 4] = [
            [0xb7, 0x00, 0, 0, 0x73, 0x61, 0x79, 0x65],
            [0xb7, 0x02, 0, 0, 4, 0, 0, 0],
            [0x85, 0x00, 0, 0, 113, 0, 0, 0],
            [0x61, 0xa7, 0xf8, 0xff, 0, 0, 0, 0],
        ];
        instructions.concat()
    }

    #[test]
    fn a_marked_read_becomes_a_load_of_the_same_size_into_the_same_register() {
        let expected: [[u8; LEN]; 4] = [
            [0xbf, 0x31, 0, 0, 0, 0, 0, 0],
            [0xb7, 0x02, 0, 0, 0x05, 0x04, 0, 0],
            [0x85, 0x20, 0, 0, 0x03, 0x02, 0x01, 0],
            [0x61, 0x07, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(rewrite(&read(), CAST_ID, WORD_ID).unwrap(), expected.concat());
    }

    #[test]
    fn programs_are_told() {
        let told = [0xb7, 0x06, 0, 0, 0x01, 0x61, 0x79, 0x65];
        let object = [&told[..], &read()].concat();
        let new = rewrite(&object, CAST_ID, WORD_ID).unwrap();
        assert_eq!(new[..LEN], [0xb7, 0x06, 0, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn what_is_not_marked_stays() {
        for change in [0, 1, 4, 8, 9, 17, 20, 24] {
            let mut object = read();
            object[change] ^= 0x1;
            assert_eq!(rewrite(&object, CAST_ID, WORD_ID), None, "byte {change}");
        }
        assert_eq!(rewrite(&read()[..READ_LEN - 1], CAST_ID, WORD_ID), None);
        assert_eq!(rewrite(&[[0; 4].as_slice(), &read()].concat(), CAST_ID, WORD_ID), None);
        assert_eq!(rewrite(&[], CAST_ID, WORD_ID), None);
    }

    #[test]
    fn every_read_of_the_embedded_objects_is_rewritten_and_nothing_moves() {
        for architecture in ["amd64", "arm64"] {
            let object = embedded_for(architecture).unwrap();
            let marks = |bytes: &[u8]| {
                let marked = |at: &[u8]| number(at) == READ_MARK || number(at) == FLAG_MARK;
                bytes.chunks_exact(LEN).filter(|at| marked(at)).count()
            };
            let new = rewrite(object, CAST_ID, WORD_ID).unwrap();
            assert!(marks(object) > 500, "{architecture}: {} marks", marks(object));
            assert_eq!(marks(&new), 0, "{architecture}");
            assert_eq!(new.len(), object.len());
        }
    }
}

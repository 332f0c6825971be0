//! Captures: whatever a file claims, reading ends, and what is rebuilt from it stays small.

use std::io::Cursor;

use eyas_capture::{Ctx, Item, Limits, Reader, Replay, Visitor};
use eyas_rules::fields::{FIELDS, Facts as _, FieldArg};

/// Asks for every field, so that no value of a made up event is left out.
struct Every(u32);

impl Visitor for Every {
    fn wants(&self, _: u16) -> bool {
        true
    }

    fn event(&mut self, ctx: &Ctx<'_>) {
        // All fields of some events say as much as those of all.
        self.0 += 1;
        if self.0 > 64 {
            return;
        }
        for row in &FIELDS {
            for arg in [FieldArg::None, FieldArg::Index(1), FieldArg::Key(b"name")] {
                let _ = ctx.value(row.id, arg);
            }
        }
        let _ = ctx.socket_ends();
    }
}

/// Blocks, tables and events.
pub(crate) fn blocks(data: &[u8]) {
    let Ok(mut reader) = Reader::new(Cursor::new(data.to_vec())) else { return };
    let mut before = 0;
    while let Ok(Some(item)) = reader.next_item() {
        match item {
            Item::Threads(entries) => drop(entries.collect::<Vec<_>>()),
            Item::Interfaces(entries) => drop(entries.collect::<Vec<_>>()),
            Item::Identities(entries) => drop(entries.collect::<Vec<_>>()),
            Item::Descriptors(list) => drop(list.entries.collect::<Vec<_>>()),
            Item::Event(event) => {
                let bytes: usize = event.params().map(<[u8]>::len).sum();
                assert!(bytes <= eyas_capture::MAX_BLOCK_BYTES as usize);
            }
            Item::Section { .. } | Item::Machine(_) | Item::Unknown { .. } => {}
        }
        let at = reader.offset();
        assert!(at > before, "every block moves on");
        before = at;
    }
}

/// Everything behind the blocks: conversions, state, fields.
pub(crate) fn replay(data: &[u8]) {
    let limits = Limits { processes: 64, bytes: 64 * 1024 };
    let Ok(mut replay) = Replay::new(Cursor::new(data.to_vec()), limits) else { return };
    let _ = replay.run(&mut Every(0));
    let counts = replay.tables().counts();
    assert!(counts.processes <= limits.processes as u64 + 1);
}

/// A small capture of every kind of table and some events.
pub(crate) fn seed() -> Vec<u8> {
    let mut out = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let padded = body.len().next_multiple_of(4);
        let total = (padded + 12) as u32;
        out.extend(kind.to_le_bytes());
        out.extend(total.to_le_bytes());
        out.extend(body);
        out.resize(out.len() + padded - body.len(), 0);
        out.extend(total.to_le_bytes());
    };
    let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    section.extend([1, 0, 2, 0]);
    section.extend([0xff; 8]);
    block(0x0a0d_0d0a, &section);
    block(0x201, &[1; 180]);
    block(0x215, &thread(7, b"sh"));
    block(0x215, &thread(8, b"cat"));
    block(0x218, &[&7_u64.to_le_bytes()[..], &[27, 0, 0, 0], &[3; 16], &[2, 4, 0], b"/etc"].concat());
    let fd = 3_i64.to_le_bytes();
    let zero = 0_i64.to_le_bytes();
    block(0x216, &event(307, &[&fd, &(-100_i64).to_le_bytes(), b"a/b\0", &[1, 0, 0, 0], &[0; 4]]));
    block(0x216, &event(6, &[&fd, &[9, 0, 0, 0]]));
    block(0x216, &event(7, &[&zero, b"text"]));
    block(0x216, &event(223, &[&8_i64.to_le_bytes(), b"sh\0", b"-c\0", &[7, 0, 0, 0, 0, 0, 0, 0]]));
    block(0x216, &event(23, &[&zero, &[2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3], &fd, &[2, 1, 1, 1, 1, 80, 0]]));
    block(0x216, &event(363, &[&fd, &fd, &fd]));
    block(0x216, &event(5, &[&zero, &fd]));
    block(0x216, &event(293, &[&zero, b"x\0", b"y\0"]));
    block(0x216, &event(186, &[&zero, &zero, &[0], &[0], &[1, 0, 0, 0, 0, 0, 0, 0]]));
    out
}

fn thread(tid: i64, comm: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for id in [tid, tid, 1, 1, 1] {
        body.extend(id.to_le_bytes());
    }
    for text in [comm, comm, b"/bin/x", b"-a\0", b"/"] {
        body.extend((text.len() as u16).to_le_bytes());
        body.extend(text);
    }
    body.extend([0; 8 + 4 * 3 + 4 * 3 + 8 * 2]);
    body.extend([0, 0]);
    body.extend([1; 16]);
    body.extend([0; 4]);
    [&((body.len() + 4) as u32).to_le_bytes()[..], &body].concat()
}

fn event(code: u16, params: &[&[u8]]) -> Vec<u8> {
    let len = 26 + params.iter().map(|param| 2 + param.len()).sum::<usize>();
    let mut out = vec![0, 0];
    out.extend(1_700_000_000_000_000_000_u64.to_le_bytes());
    out.extend(7_u64.to_le_bytes());
    out.extend((len as u32).to_le_bytes());
    out.extend(code.to_le_bytes());
    out.extend((params.len() as u32).to_le_bytes());
    for param in params {
        out.extend((param.len() as u16).to_le_bytes());
    }
    out.extend(params.concat());
    out
}

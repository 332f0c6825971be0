//! The kernel's own walk over its tasks: exact, and fast enough for thousands of processes.
//!
//! The program writes whole records into the iterator's file. Where it may not read other processes' memory
//! (before 5.18) the arguments are added here from /proc.

use std::fs;
use std::io::Read;

use eyas_abi::{Event, EventBuilder, HEADER_LEN, Header};

use super::Seeded;
use super::proc::ARGS_BYTES;

/// Reads an iterator's file and delivers its records. `arguments` says whether they carry them already.
pub(crate) fn deliver_all(
    mut file: impl Read,
    arguments: bool,
    deliver: &mut dyn FnMut(&[u8]),
) -> std::io::Result<Seeded> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let mut seeded = Seeded::default();
    let mut rest = &bytes[..];
    while let Some(header) = Header::read(rest) {
        let len = usize::from(header.len).max(HEADER_LEN);
        let Some((record, tail)) = rest.split_at_checked(len) else { break };
        match Event::decode(record) {
            Ok(event) if !arguments => deliver(&with_arguments(&event)),
            Ok(_) => deliver(record),
            Err(_) => {
                seeded.missed += 1;
                rest = tail;
                continue;
            }
        }
        seeded.tasks += 1;
        rest = tail;
    }
    Ok(seeded)
}

/// The same record with the arguments that /proc tells.
fn with_arguments(event: &Event<'_>) -> Vec<u8> {
    let path = format!("/proc/{}/cmdline", event.header().tgid);
    let mut arguments = fs::read(path).unwrap_or_default();
    arguments.truncate(ARGS_BYTES);
    let place = event.ty().param("argv").map(|(place, _)| place);
    event
        .params()
        .enumerate()
        .fold(EventBuilder::new(event.code()).header(*event.header()), |builder, (index, value)| {
            builder.bytes(if Some(index) == place { &arguments } else { value })
        })
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(tgid: u32) -> Vec<u8> {
        EventBuilder::new(430)
            .header(Header { tgid, ..Header::default() })
            .skip_to("comm")
            .text(b"name")
            .bytes(b"")
            .build()
    }

    #[test]
    fn records_are_delivered_one_by_one_and_a_cut_end_is_dropped() {
        let mut bytes = [task(1), task(2)].concat();
        bytes.extend_from_slice(&task(3)[..70]);
        let mut seen = Vec::new();
        let seeded = deliver_all(&bytes[..], true, &mut |record| {
            seen.push(Event::decode(record).unwrap().header().tgid);
        })
        .unwrap();
        assert_eq!(seen, [1, 2]);
        assert_eq!(seeded, Seeded { tasks: 2, missed: 0 });
    }

    #[test]
    fn what_is_no_record_is_counted_and_skipped() {
        let mut wrong = task(1);
        wrong[52..54].copy_from_slice(&9999_u16.to_ne_bytes());
        let bytes = [wrong, task(2)].concat();
        let seeded = deliver_all(&bytes[..], true, &mut |_| {}).unwrap();
        assert_eq!(seeded, Seeded { tasks: 1, missed: 1 });
    }

    #[test]
    fn missing_arguments_come_from_proc() {
        let me = std::process::id();
        let mut found = Vec::new();
        deliver_all(&task(me)[..], false, &mut |record| {
            let event = Event::decode(record).unwrap();
            assert_eq!(event.param_named("comm"), b"name\0");
            found = event.param_named("argv").to_vec();
        })
        .unwrap();
        assert_eq!(found, fs::read("/proc/self/cmdline").unwrap());
    }
}

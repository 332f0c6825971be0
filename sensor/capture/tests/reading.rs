//! The reader on real captures and on damaged ones. Inputs are not part of the repository; without
//! them the tests say so and end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use eyas_capture::{CaptureError, Item, Reader};
use serde_json::Value as Json;

/// The folder with captures; `None` when there is none.
fn captures() -> Option<PathBuf> {
    let shared = std::env::var_os("EYAS_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let folder = shared.join("captures");
    if !folder.is_dir() {
        eprintln!("skipped: there are no captures at {}", folder.display());
        return None;
    }
    Some(folder)
}

/// Events by code, and how the reading ended.
fn read(path: &Path) -> (usize, Option<CaptureError>) {
    let mut events = 0;
    let mut reader = match File::open(path).map_err(CaptureError::from).and_then(Reader::new) {
        Ok(reader) => reader,
        Err(error) => return (0, Some(error)),
    };
    loop {
        match reader.next_item() {
            Ok(Some(Item::Event(_))) => events += 1,
            Ok(Some(Item::Threads(entries))) => {
                if let Some(Err(error)) = entries.into_iter().find(Result::is_err) {
                    return (events, Some(error));
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return (events, None),
            Err(error) => return (events, Some(error)),
        }
    }
}

#[test]
fn damaged_captures_are_read_up_to_the_damage() {
    let Some(folder) = captures() else { return };
    let bad = folder.join("bad");
    for (name, events, message) in [
        ("truncated-in-block", 400, "is cut short: the block at offset"),
        ("gzip-members", 400, ""),
        ("unknown-block-before", 400, ""),
        ("unknown-block-between", 400, ""),
        ("two-sections", 445, ""),
        ("event-len-too-big", 50, "claims `4294967280` bytes"),
        ("nparams-too-big", 50, "`60000` parameters do not fit"),
        ("unknown-event-code", 399, ""),
        ("param-len-too-big", 50, "its parameters take"),
        ("bad-trailer", 0, "begins with length `192` and ends with `1`"),
        ("major-2", 0, "format version `2."),
        ("swapped-magic", 0, "other byte order"),
        ("empty", 0, "the file is empty"),
        ("no-events", 0, ""),
        ("proclist-entry-len", 0, "an entry claims `2147483647` bytes"),
        ("block-len-4", 50, "claims `4` bytes"),
    ] {
        let (found, error) = read(&bad.join(format!("{name}.scap")));
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(found, events, "{name}: {text}");
        assert_eq!(text.is_empty(), message.is_empty(), "{name}: {text}");
        assert!(text.contains(message), "{name}: {text}");
    }
    let (found, error) = read(&bad.join("truncated-gzip.scap"));
    assert!(found >= 1000, "{found}");
    let text = error.unwrap().to_string();
    assert!(text.contains("compressed stream is damaged"), "{text}");
}

#[test]
fn every_table_is_read_as_an_independent_decoder_reads_it() {
    let Some(folder) = captures() else { return };
    let mut seen = 0;
    for entry in fs::read_dir(&folder).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|ending| ending != "scap") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let expected = folder.join(format!("expected/{name}.tables.json.gz"));
        let text = flate2::read::GzDecoder::new(File::open(expected).unwrap());
        let expected: Json = serde_json::from_reader(text).unwrap();
        tables_agree(&name, &path, &expected);
        seen += 1;
    }
    assert!(seen > 10, "{seen} captures");
}

fn tables_agree(name: &str, path: &Path, expected: &Json) {
    let mut reader = Reader::new(File::open(path).unwrap()).unwrap();
    let mut threads = Vec::new();
    let mut fds: BTreeMap<String, Vec<(i64, u64, u64)>> = BTreeMap::new();
    let (mut users, mut groups, mut interfaces, mut events) = (0, 0, 0, 0);
    while let Some(item) = reader.next_item().unwrap() {
        match item {
            Item::Section { version } => {
                let found = format!("{}.{}", version.0, version.1);
                assert_eq!(expected["version"], found, "{name}");
            }
            Item::Machine(machine) => {
                let of = &expected["machine"];
                assert_eq!(of["num_cpus"], machine.cpus, "{name}");
                assert_eq!(of["memory"], machine.memory_bytes, "{name}");
                assert_eq!(of["hostname"], text(&machine.hostname), "{name}");
                assert_eq!(of["boot_ts"], machine.boot_epoch_ns, "{name}");
            }
            Item::Interfaces(entries) => {
                for entry in entries {
                    let entry = entry.unwrap();
                    let of = &expected["interfaces"][interfaces];
                    assert_eq!(of["addr"], entry.address.to_string(), "{name}");
                    assert_eq!(of["name"], text(entry.name), "{name}");
                    interfaces += 1;
                }
            }
            Item::Identities(entries) => {
                for entry in entries {
                    match entry.unwrap() {
                        eyas_capture::tables::Identity::User { uid, name: user, .. } => {
                            let of = &expected["users"][users];
                            assert_eq!(of["uid"], uid, "{name}");
                            assert_eq!(of["name"], text(user), "{name}");
                            users += 1;
                        }
                        eyas_capture::tables::Identity::Group { gid, .. } => {
                            assert_eq!(expected["groups"][groups]["gid"], gid, "{name}");
                            groups += 1;
                        }
                    }
                }
            }
            Item::Threads(entries) => {
                for entry in entries {
                    thread_agrees(name, &entry.unwrap(), &expected["threads"][threads.len()]);
                    threads.push(());
                }
            }
            Item::Descriptors(list) => {
                let of = fds.entry(list.tid.to_string()).or_default();
                for entry in list.entries {
                    let entry = entry.unwrap();
                    of.push((entry.fd, entry.ino, u64::from(entry.code)));
                }
            }
            Item::Event(_) => events += 1,
            Item::Unknown { .. } => {}
        }
    }
    let count = |key: &str| expected[key].as_array().map_or(0, Vec::len);
    assert_eq!(users, count("users"), "{name}");
    assert_eq!(groups, count("groups"), "{name}");
    assert_eq!(interfaces, count("interfaces"), "{name}");
    assert_eq!(threads.len(), count("threads"), "{name}");
    let blocks = expected["blocks"].as_object().unwrap();
    let expected_events: u64 = blocks
        .iter()
        .filter(|(kind, _)| kind.starts_with("EV"))
        .map(|(_, n)| n.as_u64().unwrap())
        .sum();
    assert_eq!(events, expected_events, "{name}");
    for (tid, list) in expected["fds"].as_object().unwrap() {
        let list: Vec<(i64, u64, u64)> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|fd| {
                (
                    fd["fd"].as_i64().unwrap(),
                    fd["ino"].as_u64().unwrap(),
                    fd["type"].as_u64().unwrap(),
                )
            })
            .collect();
        assert_eq!(fds.get(tid), Some(&list), "{name} {tid}");
    }
}

fn thread_agrees(name: &str, found: &eyas_capture::tables::ThreadEntry<'_>, of: &Json) {
    assert_eq!(
        (&of["tid"], &of["pid"], &of["ptid"]),
        (&found.tid.into(), &found.pid.into(), &found.ptid.into()),
        "{name}"
    );
    assert_eq!(of["comm"], text(found.comm), "{name}");
    assert_eq!(of["exe"], text(found.exe), "{name}");
    assert_eq!(of["cwd"], text(found.cwd), "{name}");
    assert_eq!(of["uid"], found.uid, "{name}");
    let args: Vec<Json> = eyas_abi::value::list(found.args).map(|arg| text(arg).into()).collect();
    assert_eq!(of["args"].as_array().unwrap().len(), args.len(), "{name} {}", found.tid);
    for (key, value) in [
        ("vtid", found.vtid),
        ("vpid", found.vpid),
        ("sid", found.sid),
        ("vpgid", found.vpgid),
        ("fdlimit", found.fd_limit),
        ("pgid", found.pgid),
    ] {
        if !of[key].is_null() {
            assert_eq!(of[key], value, "{name} {} {key}", found.tid);
        }
    }
    for (key, value) in [("tty", found.tty), ("loginuid", found.loginuid)] {
        if !of[key].is_null() {
            assert_eq!(of[key], value, "{name} {} {key}", found.tid);
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

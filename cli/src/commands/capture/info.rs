//! `eyas capture info`: what a capture holds, without its events being looked at one by one.

use std::collections::BTreeMap;
use std::io::{self, Write};

use eyas_capture::tables::Identity;
use eyas_capture::{CaptureError, Item, Reader, layout};
use serde::Serialize;

use super::{damaged, open};
use crate::args::CaptureInfoArgs;
use crate::printer::{Document, Printer, Table};

/// Users, groups, interfaces and processes that are listed of each.
const LISTED: usize = 100_000;

/// What a capture holds.
#[derive(Default, Serialize)]
struct InfoDocument {
    file: String,
    compressed: bool,
    version: String,
    sections: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<Machine>,
    interfaces: Vec<Interface>,
    users: Vec<User>,
    groups: Vec<Group>,
    processes: u64,
    threads: u64,
    descriptors: u64,
    events: u64,
    first_event_ns: u64,
    last_event_ns: u64,
    types: BTreeMap<&'static str, u64>,
    unknown_blocks: u64,
}

#[derive(Serialize)]
struct Machine {
    hostname: String,
    cpus: u32,
    memory_bytes: u64,
    boot_epoch_ns: u64,
}

#[derive(Serialize)]
struct Interface {
    name: String,
    address: String,
    netmask: String,
}

#[derive(Serialize)]
struct User {
    uid: u32,
    gid: u32,
    name: String,
    home: String,
    shell: String,
}

#[derive(Serialize)]
struct Group {
    gid: u32,
    name: String,
}

impl Document for InfoDocument {
    const KIND: &'static str = "capture.info";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let form = if self.compressed { "gzip" } else { "plain" };
        writeln!(out, "{}: format {}, {form}, {} bytes", self.file, self.version, self.bytes)?;
        if let Some(machine) = &self.machine {
            let (cpus, memory) = (machine.cpus, machine.memory_bytes);
            writeln!(
                out,
                "machine      {}, {cpus} CPUs, {memory} bytes of memory",
                machine.hostname
            )?;
        }
        for (what, count) in [
            ("sections", self.sections),
            ("processes", self.processes),
            ("threads", self.threads),
            ("descriptors", self.descriptors),
            ("users", self.users.len() as u64),
            ("groups", self.groups.len() as u64),
            ("events", self.events),
        ] {
            writeln!(out, "{what:<12} {count}")?;
        }
        if self.events > 0 {
            let ms = self.last_event_ns.saturating_sub(self.first_event_ns) / 1_000_000;
            writeln!(out, "{:<12} {}.{:03} s", "duration", ms / 1000, ms % 1000)?;
        }
        if self.unknown_blocks > 0 {
            writeln!(out, "{:<12} {}", "not known", self.unknown_blocks)?;
        }
        for interface in &self.interfaces {
            let Interface { name, address, netmask } = interface;
            writeln!(out, "{:<12} {name} {address} {netmask}", "interface")?;
        }
        let mut table = Table::new(&["events", "type"]);
        let mut rows: Vec<_> = self.types.iter().collect();
        rows.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        for (name, count) in rows {
            table.row([count.to_string(), (*name).to_owned()]);
        }
        table.write(out)
    }
}

/// Describes a capture. One that is damaged is described as far as it goes.
pub(super) fn info(args: &CaptureInfoArgs, printer: &Printer) -> anyhow::Result<()> {
    let mut document =
        InfoDocument { file: args.file.display().to_string(), ..InfoDocument::default() };
    let ended = Reader::new(open(&args.file)?).and_then(|mut reader| {
        document.compressed = reader.is_compressed();
        let ended = collect(&mut reader, &mut document);
        document.bytes = reader.offset();
        ended
    });
    if document.sections > 0 {
        printer.data(&document)?;
    }
    ended.map_err(|error| damaged(&args.file, &error))
}

fn collect(reader: &mut Reader, document: &mut InfoDocument) -> Result<(), CaptureError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    while let Some(item) = reader.next_item()? {
        match item {
            Item::Section { version: (major, minor) } => {
                document.sections += 1;
                document.version = format!("{major}.{minor}");
            }
            Item::Machine(machine) => {
                document.machine = Some(Machine {
                    hostname: text(&machine.hostname),
                    cpus: machine.cpus,
                    memory_bytes: machine.memory_bytes,
                    boot_epoch_ns: machine.boot_epoch_ns,
                });
            }
            Item::Interfaces(entries) => {
                for entry in entries.take(LISTED) {
                    let entry = entry?;
                    document.interfaces.push(Interface {
                        name: text(entry.name),
                        address: entry.address.to_string(),
                        netmask: entry.netmask.to_string(),
                    });
                }
            }
            Item::Identities(entries) => {
                for entry in entries.take(LISTED) {
                    identity(&entry?, document);
                }
            }
            Item::Threads(entries) => {
                for entry in entries {
                    let entry = entry?;
                    document.threads += 1;
                    document.processes += u64::from(entry.tid == entry.pid);
                }
            }
            Item::Descriptors(list) => {
                for entry in list.entries {
                    entry?;
                    document.descriptors += 1;
                }
            }
            Item::Event(event) => {
                let name = layout::of(event.code).map_or("-", |layout| layout.name);
                *document.types.entry(name).or_default() += 1;
                if document.events == 0 || event.time < document.first_event_ns {
                    document.first_event_ns = event.time;
                }
                document.last_event_ns = document.last_event_ns.max(event.time);
                document.events += 1;
            }
            Item::Unknown { .. } => document.unknown_blocks += 1,
        }
    }
    Ok(())
}

fn identity(identity: &Identity<'_>, document: &mut InfoDocument) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match identity {
        Identity::User { uid, gid, name, home, shell } => document.users.push(User {
            uid: *uid,
            gid: *gid,
            name: text(name),
            home: text(home),
            shell: text(shell),
        }),
        Identity::Group { gid, name } => {
            document.groups.push(Group { gid: *gid, name: text(name) });
        }
    }
}

//! Datagrams as the system's logger, the journal and others receive them.

use std::io::Read as _;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixDatagram;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use super::*;

fn receive(socket: &UnixDatagram) -> String {
    socket.set_read_timeout(Some(LONG)).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

fn syslog(path: &Path) -> Target {
    Target::Syslog(SyslogTarget {
        socket: Some(path.into()),
        facility: Facility::named("local3").unwrap(),
        tag: "eyasd".into(),
    })
}

#[test]
fn a_logger_gets_priority_time_name_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    let sinks = Sinks::open(&[syslog(&path)], QueueLimits::default()).unwrap();
    sinks.send(message("10:00:00: Warning a shell"));
    let text = receive(&socket);
    // local3 is 19, a warning 4.
    let rest = text.strip_prefix("<156>").unwrap();
    let time = jiff::fmt::strtime::parse("%b %e %H:%M:%S", &rest[..15]);
    assert!(time.is_ok(), "{text}");
    let expected = format!(" eyasd[{}]: 10:00:00: Warning a shell", std::process::id());
    assert_eq!(&rest[15..], expected);
    let counts = sinks.finish(LONG).remove(0);
    assert_eq!((counts.name.as_str(), counts.written, counts.failed), ("syslog", 1, 0));
}

#[test]
fn facilities_are_known_by_name_only() {
    for name in ["kern", "user", "local0", "local7"] {
        assert!(Facility::named(name).is_some(), "{name}");
    }
    for name in ["", "User", "local8", "23"] {
        assert_eq!(Facility::named(name), None, "{name}");
    }
}

#[test]
fn a_logger_that_was_started_again_is_found_and_its_absence_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut writer = Datagrams::to(&path, Layout::Line);
    let absent = writer.deliver(&batch(&["a", "b"]));
    assert_eq!(absent.written, 0);
    assert!(absent.error.unwrap().to_string().contains("log`"));
    let first = UnixDatagram::bind(&path).unwrap();
    assert_eq!(writer.deliver(&batch(&["c"])).written, 1);
    assert_eq!(receive(&first), "c");
    drop(first);
    std::fs::remove_file(&path).unwrap();
    let second = UnixDatagram::bind(&path).unwrap();
    assert_eq!(writer.deliver(&batch(&["d", "e"])).written, 2);
    assert_eq!((receive(&second), receive(&second)), ("d".into(), "e".into()));
}

#[test]
fn a_reader_that_is_behind_costs_its_own_alerts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let _never_read = UnixDatagram::bind(&path).unwrap();
    let mut writer = Datagrams::to(&path, Layout::Line);
    // The kernel holds a few; each of the others takes the time limit.
    let mut held = 0;
    let refused = loop {
        let delivery = writer.deliver(&batch(&["x"]));
        if delivery.written == 0 {
            break delivery.error.unwrap();
        }
        held += 1;
        assert!(held < 100_000);
    };
    assert!(
        matches!(refused.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        "{refused}"
    );
}

#[test]
fn a_line_that_is_too_long_for_a_datagram_arrives_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    let long = "x".repeat(4 << 20);
    let receiving = thread::spawn(move || receive(&socket));
    let delivery = Datagrams::to(&path, Layout::Line).deliver(&batch(&[&long]));
    assert_eq!(delivery.written, 1, "{:?}", delivery.error);
    let text = receiving.join().unwrap();
    assert!(!text.is_empty() && long.starts_with(&text));
}

#[test]
fn the_journal_gets_fields_and_a_long_entry_as_a_sealed_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let socket = UnixDatagram::bind(&path).unwrap();
    let layout = Layout::Journal { tag: "eyasd".into() };
    let mut writer = Datagrams::to(&path, layout);
    assert_eq!(writer.deliver(&batch(&["a shell"])).written, 1);
    let entry = "PRIORITY=4\nSYSLOG_IDENTIFIER=eyasd\nEYAS_RULE=A rule\nMESSAGE=a shell\n";
    assert_eq!(receive(&socket), entry);
    let long = "y".repeat(4 << 20);
    assert_eq!(writer.deliver(&batch(&[&long])).written, 1);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    rustix::net::recvmsg(&socket, &mut [], &mut control, RecvFlags::empty()).unwrap();
    let file = control.drain().find_map(|found| match found {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    let mut file = std::fs::File::from(file.unwrap());
    io::Seek::rewind(&mut file).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert!(text.ends_with(&format!("MESSAGE={long}\n")));
    assert!(io::Write::write(&mut file, b"x").is_err(), "it is sealed");
}

#[test]
fn a_value_with_a_line_feed_goes_with_its_length() {
    let layout = Layout::Journal { tag: "t".into() };
    let entry = layout.datagram(&message("a\nb"));
    let expected = b"MESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n";
    assert!(entry.ends_with(expected), "{}", String::from_utf8_lossy(&entry));
}

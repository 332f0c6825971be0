use eyas_abi::EventBuilder;
use proptest::prelude::*;

use super::*;

/// Names of one host: descriptor 3, directory 4, thread 7, user and group 1000.
struct Fixed(LocalTime);

impl Names for Fixed {
    fn descriptor(&self, fd: i64, out: &mut Vec<u8>) -> bool {
        if fd == 3 {
            out.extend_from_slice(b"<f>/etc/hosts");
        }
        fd == 3
    }

    fn descriptor_type(&self, fd: i64) -> Option<u8> {
        (fd == 3).then_some(b'f')
    }

    fn directory(&self, fd: i64) -> Option<&[u8]> {
        (fd == 4).then_some(&b"/srv"[..])
    }

    fn working_directory(&self) -> Option<&[u8]> {
        Some(b"/home/u/")
    }

    fn command(&self, thread: i64) -> Option<&[u8]> {
        (thread == 7).then_some(&b"cat"[..])
    }

    fn user(&self, id: u32) -> Option<&[u8]> {
        (id == 1000).then_some(&b"u"[..])
    }

    fn group(&self, id: u32) -> Option<&[u8]> {
        (id == 1000).then_some(&b"g"[..])
    }

    fn local_time(&self) -> &LocalTime {
        &self.0
    }
}

fn with<T>(record: EventBuilder, look: impl FnOnce(&Event<'_>, &Fixed) -> T) -> T {
    let bytes = record.build();
    let event = Event::decode(&bytes).unwrap();
    look(&event, &Fixed(LocalTime::utc()))
}

fn arg(record: EventBuilder, name: &str) -> Option<String> {
    with(record, |event, names| {
        let value = argument(event, FieldArg::Key(name.as_bytes()), names)?;
        Some(String::from_utf8_lossy(value.as_bytes().unwrap()).into_owned())
    })
}

/// `openat(4, "a/../b", O_RDWR, 0640)` = 3
fn openat(path: &[u8]) -> EventBuilder {
    EventBuilder::new(307).int(3).int(4).text(path).int(3).int(0o640)
}

#[test]
fn paths_start_from_their_directory() {
    assert_eq!(arg(openat(b"a/../b"), "name").as_deref(), Some("/srv/b"));
    assert_eq!(arg(openat(b"/a/../b"), "name").as_deref(), Some("/a/../b"), "as written");
    let here = EventBuilder::new(307).int(3).int(-100).text(b"x").int(3).int(0);
    assert_eq!(arg(here.clone(), "name").as_deref(), Some("/home/u/x"));
    assert_eq!(arg(here, "dirfd").as_deref(), Some("AT_FDCWD"));
    let lost = EventBuilder::new(307).int(3).int(99).text(b"x").int(3).int(0);
    assert!(arg(lost, "name").unwrap().starts_with("<UNKNOWN>"));
}

#[test]
fn numbers_resolve_to_names_or_stay_numbers() {
    assert_eq!(arg(openat(b"/x"), "fd").as_deref(), Some("<f>/etc/hosts"));
    assert_eq!(arg(openat(b"/x"), "flags").as_deref(), Some("O_RDWR"));
    assert_eq!(arg(openat(b"/x"), "mode").as_deref(), Some("0640"));
    let failed = EventBuilder::new(307).int(-2).int(4).text(b"/x").int(1 << 20).int(0);
    assert_eq!(arg(failed.clone(), "fd").as_deref(), Some("ENOENT"));
    assert_eq!(arg(failed, "flags").as_deref(), Some("1048576"), "no name, plain decimal");
    assert_eq!(arg(EventBuilder::new(5).int(0).int(9), "fd").as_deref(), Some("9"));
    assert_eq!(arg(EventBuilder::new(5).int(0).int(9), "res").as_deref(), Some("0"));
}

#[test]
fn a_parameter_that_is_not_there() {
    assert_eq!(arg(openat(b"/x"), "path"), None);
    let empty = EventBuilder::new(307).int(3).int(4).unknown().int(3).int(0);
    assert_eq!(arg(empty.clone(), "name").as_deref(), Some("<NA>"));
    with(empty, |event, _| {
        assert_eq!(raw_argument(event, FieldArg::Key(b"name")), Some(Value::text("<NA>")));
        assert_eq!(raw_argument(event, FieldArg::Key(b"nothing")), None);
    });
    let read = EventBuilder::new(7).int(0).unknown().int(3).int(5);
    assert_eq!(arg(read.clone(), "data").as_deref(), Some("NULL"));
    with(read, |event, _| assert_eq!(raw_argument(event, FieldArg::Key(b"data")), None));
}

#[test]
fn raw_values_keep_their_type() {
    with(openat(b"x"), |event, _| {
        let raw = |name: &str| raw_argument(event, FieldArg::Key(name.as_bytes()));
        assert_eq!(raw("fd"), Some(Value::Int(3)));
        assert_eq!(raw("flags"), Some(Value::Uint(3)));
        assert_eq!(raw("name"), Some(Value::text("x")));
    });
}

#[test]
fn all_parameters_in_one_text() {
    let line = with(openat(b"a"), |event, names| arguments(event, names));
    let line = String::from_utf8(line).unwrap();
    assert!(
        line.starts_with("fd=3(<f>/etc/hosts) dirfd=4 name=a(/srv/a) flags=3(O_RDWR) mode=0640"),
        "{line}"
    );
    assert!(!line.contains("eyas_"));
    let line = with(openat(b"/a"), |event, names| arguments(event, names));
    assert!(String::from_utf8(line).unwrap().contains("name=/a flags"), "nothing to resolve");
}

#[test]
fn parameters_by_place() {
    with(openat(b"/x"), |event, names| {
        let text = |index| argument(event, FieldArg::Index(index), names);
        assert_eq!(text(2), Some(Value::text("/x")));
        assert_eq!(text(200), None);
    });
}

#[test]
fn addresses() {
    let mut v4 = vec![2, 10, 0, 0, 1];
    v4.extend(53_u16.to_ne_bytes());
    let bind = EventBuilder::new(21).int(0).bytes(&v4).int(3);
    assert_eq!(arg(bind, "addr").as_deref(), Some("10.0.0.1:53"));
    let mut tuple = vec![2, 10, 0, 0, 1];
    tuple.extend(4000_u16.to_ne_bytes());
    tuple.extend([10, 0, 0, 2]);
    tuple.extend(443_u16.to_ne_bytes());
    let connect = EventBuilder::new(23).int(0).bytes(&tuple).int(3).unknown();
    assert_eq!(arg(connect, "tuple").as_deref(), Some("10.0.0.1:4000->10.0.0.2:443"));
    assert_eq!(
        arg(EventBuilder::new(21).int(0).bytes(&[16, 0]).int(3), "addr").as_deref(),
        Some("family 16")
    );
}

proptest! {
    #[test]
    fn no_bytes_make_rendering_panic(
        code in 0_u16..460,
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..40),
    ) {
        let mut record = EventBuilder::new(code);
        for value in &values {
            record = record.bytes(value);
        }
        let bytes = record.build();
        if let Ok(event) = Event::decode(&bytes) {
            let names = Fixed(LocalTime::utc());
            let _ = arguments(&event, &names);
            for index in 0..40 {
                let _ = argument(&event, FieldArg::Index(index), &names);
                let _ = raw_argument(&event, FieldArg::Index(index));
            }
        }
    }
}

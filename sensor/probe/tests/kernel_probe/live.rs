//! What the kernel tests share: the gate, one attached probe for each test, and events as owned values.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use eyas_abi::{Event, Header};
use eyas_probe::{Counters, Options, Probe, Rings, capability, embedded};

/// Longest wait for an event that must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// An attached probe, or a reason said aloud.
pub(crate) fn start(enabled: &[&str], options: &Options) -> Option<Live> {
    if let Err(why) = capability() {
        eprintln!("SKIPPED: {why} ({})", why.hint());
        return None;
    }
    let mut probe = Probe::load(embedded(), options).unwrap_or_else(|error| panic!("{error}"));
    let rings = probe.rings().unwrap();
    probe.set_enabled(enabled.iter().copied()).unwrap();
    probe.attach().unwrap();
    Some(Live { probe, rings, seen: Vec::new() })
}

/// Options under which this process' own calls are reported.
pub(crate) fn own_calls() -> Options {
    Options { ignored: None, ..Options::default() }
}

/// A running probe with what it has reported so far.
pub(crate) struct Live {
    pub(crate) probe: Probe,
    pub(crate) rings: Rings,
    pub(crate) seen: Vec<Record>,
}

impl Live {
    /// Waits for an event that `wanted` accepts.
    pub(crate) fn wait_for(&mut self, what: &str, wanted: impl Fn(&Record) -> bool) -> Record {
        let end = Instant::now() + PATIENCE;
        loop {
            self.read();
            if let Some(at) = self.seen.iter().position(&wanted) {
                return self.seen.remove(at);
            }
            assert!(Instant::now() < end, "no event: {what}; seen {}", self.names());
        }
    }

    /// Takes in what is there.
    pub(crate) fn read(&mut self) {
        let seen = &mut self.seen;
        self.rings
            .poll(Duration::from_millis(10), &mut |bytes| seen.push(Record::new(bytes)))
            .unwrap();
    }

    /// Takes in everything up to now.
    pub(crate) fn read_all(&mut self) {
        std::thread::sleep(Duration::from_millis(5));
        let seen = &mut self.seen;
        self.rings.flush(&mut |bytes| seen.push(Record::new(bytes)));
    }

    pub(crate) fn counters(&self) -> Counters {
        self.probe.counters().unwrap()
    }

    fn names(&self) -> String {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        self.seen.iter().for_each(|record| *names.entry(record.name).or_default() += 1);
        format!("{names:?}")
    }
}

/// An event that outlives the ring.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) name: &'static str,
    pub(crate) header: Header,
    bytes: Vec<u8>,
}

impl Record {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let event = Event::decode(bytes).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            event.param_count(),
            event.ty().params.len(),
            "{} carries every parameter of the schema",
            event.ty().name
        );
        for (param, value) in event.ty().params.iter().zip(event.params()) {
            let fits =
                param.ty.fixed_len().is_none_or(|len| value.is_empty() || value.len() == len);
            assert!(fits, "{}.{}: {} bytes", event.ty().name, param.name, value.len());
        }
        Self { name: event.ty().name, header: *event.header(), bytes: bytes.to_vec() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn event(&self) -> Event<'_> {
        Event::decode(&self.bytes).unwrap()
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        let event = self.event();
        let (index, _) = event.ty().param(name).unwrap_or_else(|| panic!("no parameter {name}"));
        event.int(index)
    }

    pub(crate) fn raw(&self, name: &str) -> Vec<u8> {
        let event = self.event();
        let (index, _) = event.ty().param(name).unwrap_or_else(|| panic!("no parameter {name}"));
        event.param(index).to_vec()
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let raw = self.raw(name);
        eyas_abi::value::text(&raw).map(|text| String::from_utf8_lossy(text).into_owned())
    }

    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let raw = self.raw(name);
        eyas_abi::value::list(&raw).map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    }
}

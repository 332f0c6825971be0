//! Facts of the host, gathered at start and again from time to time, never on the event thread.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use eyas_state::{Host, LocalTime};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::time::{ClockId, clock_gettime};

/// Environment variables that override the host's name, the first one winning.
const NAME_VARIABLES: [&str; 2] = ["EYAS_HOSTNAME", "FALCO_HOSTNAME"];
/// Changes of the local time's offset that are known ahead; two a year.
const OFFSETS_AHEAD: usize = 8;

/// From which difference on a clock was set and did not drift, nanoseconds.
const CLOCK_SET_NS: u64 = 50_000_000;

/// Asks the system for everything.
pub(crate) fn gather() -> Host {
    Host {
        name: name().into_bytes().into(),
        boot_epoch_ns: boot_epoch_ns(),
        local: local_time(),
        users: Host::read_users(&fs::read("/etc/passwd").unwrap_or_default()),
        groups: Host::read_groups(&fs::read("/etc/group").unwrap_or_default()),
        addresses: addresses(),
    }
}

/// Whether the clock was set since these facts were gathered, by more than what it drifts.
pub(crate) fn clock_was_set(known: &Host) -> bool {
    known.boot_epoch_ns.abs_diff(boot_epoch_ns()) > CLOCK_SET_NS
}

/// Nanoseconds since the epoch.
pub(crate) fn now_ns() -> u64 {
    u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default()
}

/// Ids of a user and of its first group, by name or by number.
pub(crate) fn user(name: &str) -> Option<(u32, u32)> {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = text
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|entry| entry.first() == Some(&name) || entry.get(2) == Some(&name));
    if let Some(entry) = entry {
        return Some((entry.get(2)?.parse().ok()?, entry.get(3)?.parse().ok()?));
    }
    let id = name.parse().ok()?;
    Some((id, id))
}

fn name() -> String {
    let given = NAME_VARIABLES.iter().find_map(|name| std::env::var(name).ok());
    given
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
}

/// The boot clock's zero as nanoseconds since the epoch.
fn boot_epoch_ns() -> u64 {
    let read = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    };
    read(ClockId::Realtime).wrapping_sub(read(ClockId::Boottime))
}

fn local_time() -> LocalTime {
    let zone = TimeZone::system();
    let now = Timestamp::now();
    let mut offsets = vec![(now.as_second(), zone.to_offset(now).seconds())];
    for change in zone.following(now).take(OFFSETS_AHEAD) {
        offsets.push((change.timestamp().as_second(), change.offset().seconds()));
    }
    LocalTime::new(offsets)
}

fn addresses() -> Vec<IpAddr> {
    let v4 = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let v6 = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let mut found: Vec<IpAddr> = local_v4(&v4).chain(local_v6(&v6)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Local addresses in the kernel's routing table: a leaf's line, followed by one that says so.
fn local_v4(trie: &str) -> impl Iterator<Item = IpAddr> {
    trie.lines().zip(trie.lines().skip(1)).filter_map(|(leaf, kind)| {
        if !kind.contains("/32 host LOCAL") {
            return None;
        }
        let address: Ipv4Addr = leaf.trim().strip_prefix("|-- ")?.parse().ok()?;
        Some(address.into())
    })
}

fn local_v6(table: &str) -> impl Iterator<Item = IpAddr> {
    table.lines().filter_map(|line| {
        let digits = line.split_whitespace().next().filter(|digits| digits.len() == 32)?;
        let bits = u128::from_str_radix(digits, 16).ok()?;
        Some(Ipv6Addr::from(bits).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_the_kernels_tables() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.5\n        /32 host LOCAL\n     \
                    |-- 10.0.0.255\n        /32 link BROADCAST\n";
        assert_eq!(local_v4(trie).collect::<Vec<_>>(), [IpAddr::from([10, 0, 0, 5])]);
        let table = "fe800000000000000000000000000001 02 40 20 80     eth0\nbad line\n";
        let expected: IpAddr = "fe80::1".parse().unwrap();
        assert_eq!(local_v6(table).collect::<Vec<_>>(), [expected]);
    }

    #[test]
    fn a_clock_that_was_set_is_noticed() {
        let mut host = Host { boot_epoch_ns: boot_epoch_ns(), ..Host::default() };
        assert!(!clock_was_set(&host));
        host.boot_epoch_ns -= 3_600_000_000_000;
        assert!(clock_was_set(&host));
    }

    #[test]
    fn this_host_is_described() {
        let host = gather();
        assert!(!host.name.is_empty());
        // Booted after 2020 and not in the future.
        assert!(host.boot_epoch_ns > 1_577_836_800_000_000_000);
        let now = Timestamp::now().as_nanosecond() as u64;
        assert!(host.boot_epoch_ns < now);
        assert_eq!(
            host.local.offset_at(Timestamp::now().as_second()),
            TimeZone::system().to_offset(Timestamp::now()).seconds()
        );
    }
}

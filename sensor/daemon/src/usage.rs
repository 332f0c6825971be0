//! What the daemon itself uses, as the kernel accounts for it.

#![expect(clippy::cast_precision_loss, reason = "seconds need no 64 bits")]

use std::fs;

/// Memory and time of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    /// Resident memory, bytes.
    pub(crate) resident_bytes: u64,
    /// Address space, bytes.
    pub(crate) virtual_bytes: u64,
    /// Processor time since start, user and system.
    pub(crate) cpu_seconds: f64,
}

/// Asks the kernel. What it does not tell is 0.
pub(crate) fn now() -> Usage {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let page = rustix::param::page_size() as u64;
    Usage {
        resident_bytes: pages(&statm, 1) * page,
        virtual_bytes: pages(&statm, 0) * page,
        cpu_seconds: ticks(&stat) as f64 / rustix::param::clock_ticks_per_second() as f64,
    }
}

/// A field of `/proc/self/statm` (`proc_pid_statm(5)`): 0 is the address space, 1 what is resident.
fn pages(statm: &str, field: usize) -> u64 {
    statm.split(' ').nth(field).and_then(|field| field.parse().ok()).unwrap_or_default()
}

/// `utime` and `stime` of `/proc/self/stat` (`proc_pid_stat(5)`), fields 14 and 15; the name in
/// parentheses may contain anything.
fn ticks(stat: &str) -> u64 {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_ascii_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        assert_eq!(pages("100 42 3 4 0 5 0\n", 1), 42);
        assert_eq!(pages("100 42 3 4 0 5 0\n", 0), 100);
        assert_eq!(pages("", 1), 0);
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 31 11 0 0 20 0 1 0 5 6 7";
        assert_eq!(ticks(stat), 42);
        assert_eq!(ticks(""), 0);
    }

    #[test]
    fn this_process_uses_something() {
        assert!(now().resident_bytes > 0);
    }
}

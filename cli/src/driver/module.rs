//! Modules in the kernel: which are there, putting one in, taking one out.

use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::programs::{self, Ran};

/// How long to wait before a module that is in use is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// What came of taking a module out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unloaded {
    /// It was not there.
    Absent,
    /// It is gone.
    Done,
    /// It stays; the reason.
    InUse(String),
}

/// Whether a module is in the kernel.
pub(crate) fn is_loaded(module: &str) -> io::Result<bool> {
    let listed = match programs::run("lsmod", &[""; 0], None)? {
        Some(ran) if ran.success => return Ok(lists(&ran.said, module)),
        _ => std::fs::read_to_string("/proc/modules").unwrap_or_default(),
    };
    Ok(lists(&listed, module))
}

fn lists(listing: &str, module: &str) -> bool {
    listing.lines().any(|line| line.split_whitespace().next() == Some(module))
}

/// Takes a module out, trying again until `patience` is over. `tell` hears why it waits.
pub(crate) fn unload(
    module: &str,
    patience: Duration,
    mut tell: impl FnMut(&str),
) -> io::Result<Unloaded> {
    if !is_loaded(module)? {
        return Ok(Unloaded::Absent);
    }
    let start = Instant::now();
    loop {
        let why = match programs::run("rmmod", &[module], None)? {
            None => return Ok(Unloaded::InUse("`rmmod` is not on the path".to_owned())),
            Some(ran) if ran.success => return Ok(Unloaded::Done),
            Some(ran) => ran.failure(),
        };
        let left = patience.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(Unloaded::InUse(why));
        }
        tell(&why);
        thread::sleep(TRY_AGAIN.min(left));
    }
}

/// Puts the module in this file into the kernel. Its label for `SELinux` is set first, where there is
/// such a thing.
pub(crate) fn load(file: &Path) -> io::Result<Option<Ran>> {
    let label = ["-t".as_ref(), "modules_object_t".as_ref(), file.as_os_str()];
    // Without SELinux there is no label to set, and nothing is wrong.
    let _ = programs::run("chcon", &label, None)?;
    programs::run("insmod", &[file], None)
}

/// Puts a module that belongs to the host itself into the kernel.
pub(crate) fn load_of_host(module: &str) -> io::Result<Option<Ran>> {
    programs::run("modprobe", &[module], None)
}

/// The versions of a module that DKMS has.
pub(crate) fn managed_versions(module: &str) -> io::Result<Vec<String>> {
    let status = programs::run("dkms", &["status", "-m", module], None)?;
    let said = status.filter(|ran| ran.success).map(|ran| ran.said).unwrap_or_default();
    let mut versions: Vec<String> =
        said.lines().filter_map(|line| managed_version(line, module)).collect();
    versions.dedup();
    Ok(versions)
}

/// `falco/7.3.0+driver, 6.1.0, x86_64: installed`, or with a comma in place of the slash.
fn managed_version(line: &str, module: &str) -> Option<String> {
    let rest = line.trim().strip_prefix(module)?.strip_prefix(['/', ','])?;
    let version = rest.trim_start().split([',', ':']).next()?.trim();
    (!version.is_empty()).then(|| version.to_owned())
}

/// Removes a version from DKMS.
pub(crate) fn remove_managed(module: &str, version: &str) -> io::Result<Option<Ran>> {
    programs::run("dkms", &["remove", "-m", module, "-v", version, "--all"], None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_found_by_its_whole_name() {
        let listing = "Module   Size  Used by\nfalco_x  1 0\nfalco   1064960  0\n";
        assert!(lists(listing, "falco") && lists(listing, "falco_x"));
        assert!(!lists(listing, "falc") && !lists(listing, "0") && !lists("", "falco"));
    }

    #[test]
    fn versions_are_read_from_both_forms_of_dkms() {
        for (line, version) in [
            ("falco/7.3.0+driver, 6.1.0-10-amd64, x86_64: installed", Some("7.3.0+driver")),
            ("falco, 7.3.0+driver, 6.1.0-10-amd64, x86_64: installed", Some("7.3.0+driver")),
            ("falco/7.3.0+driver: added", Some("7.3.0+driver")),
            ("falcon/1.0: added", None),
            ("other/1.0: added", None),
            ("falco/", None),
            ("", None),
        ] {
            assert_eq!(managed_version(line, "falco").as_deref(), version, "{line}");
        }
    }
}

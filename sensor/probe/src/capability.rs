//! Whether a probe may run here at all, said in plain words before anything is loaded.

use std::fs;
use std::path::Path;

use aya::maps::MapData;

/// The kernel's own type information.
pub(crate) const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Why no probe can run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The kernel has no type information to relocate against.
    #[error("the kernel carries no type information (`{KERNEL_BTF}` is missing)")]
    NoTypeInformation,
    /// Privileges are missing.
    #[error("the process lacks {0}")]
    NoCapability(String),
    /// Privileges are there, yet the kernel says no.
    #[error("the kernel refuses to make a ring buffer map: {0}")]
    MapRefused(String),
}

impl Why {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoTypeInformation => {
                "use a kernel built with CONFIG_DEBUG_INFO_BTF (5.8 or newer), or mount /sys"
            }
            Self::NoCapability(_) => "run as root, or give it CAP_BPF and CAP_PERFMON",
            Self::MapRefused(_) => {
                "a container profile, kernel lockdown or a kernel older than 5.8 forbids eBPF"
            }
        }
    }
}

/// Checks type information, privileges and one real map. Cheap enough for the start of every test.
pub fn capability() -> Result<(), Why> {
    if !Path::new(KERNEL_BTF).exists() {
        return Err(Why::NoTypeInformation);
    }
    if let Some(missing) = fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| effective(&status))
        .and_then(missing_capabilities)
    {
        return Err(Why::NoCapability(missing));
    }
    let page = rustix::param::page_size() as u32;
    let ring = aya_obj::Map::new_from_params(
        aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF as u32,
        0,
        0,
        page,
        0,
    );
    match MapData::create(ring, "eyas_gate", None) {
        Ok(_) => Ok(()),
        Err(error) => Err(Why::MapRefused(crate::load::chain(&error))),
    }
}

/// The capabilities that matter, as far as they are held; or those that are missing.
pub(crate) fn held() -> Result<String, String> {
    let effective = fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| effective(&status))
        .ok_or("`/proc/self/status` cannot be read, so privileges may be")?;
    match missing_capabilities(effective) {
        Some(missing) => Err(missing),
        None if effective >> CAP_SYS_ADMIN & 1 == 1 => Ok("CAP_SYS_ADMIN".to_owned()),
        None => Ok("CAP_BPF and CAP_PERFMON".to_owned()),
    }
}

fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn missing_capabilities(effective: u64) -> Option<String> {
    let has = |bit: u32| effective >> bit & 1 == 1;
    if has(CAP_SYS_ADMIN) {
        return None;
    }
    let missing: Vec<&str> = [(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")]
        .into_iter()
        .filter(|(bit, _)| !has(*bit))
        .map(|(_, name)| name)
        .collect();
    if missing.is_empty() { None } else { Some(missing.join(" and ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_status_file() {
        assert_eq!(effective("Name:\tx\nCapEff:\t000001ffffffffff\n"), Some(0x1ff_ffff_ffff));
        assert_eq!(effective("Name:\tx\n"), None);
        assert_eq!(effective("CapEff:\tzz\n"), None);
    }

    #[test]
    fn the_missing_ones_are_named() {
        assert_eq!(missing_capabilities(0).as_deref(), Some("CAP_BPF and CAP_PERFMON"));
        assert_eq!(missing_capabilities(1 << CAP_BPF).as_deref(), Some("CAP_PERFMON"));
        assert_eq!(missing_capabilities(1 << CAP_BPF | 1 << CAP_PERFMON), None);
        assert_eq!(missing_capabilities(1 << CAP_SYS_ADMIN), None);
    }

    #[test]
    fn every_reason_has_a_remedy() {
        for why in [
            Why::NoTypeInformation,
            Why::NoCapability("CAP_BPF".into()),
            Why::MapRefused("EPERM".into()),
        ] {
            assert!(!why.hint().is_empty() && !why.to_string().is_empty());
        }
    }
}

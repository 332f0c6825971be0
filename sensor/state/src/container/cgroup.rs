//! Which container a path of a control group speaks of, if any.
//!
//! A path is a claim, not a proof: whoever may make control groups may name them as they like. What
//! is found here is looked up, and only what a runtime answers for is a container.

use std::borrow::Cow;
use std::sync::Arc;

/// Digits of the ids that container engines give.
const ID_DIGITS: usize = 64;
/// Longest name of a container that is looked up.
const MAX_NAME: usize = 255;

/// Who a path points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Engine {
    /// Docker.
    Docker,
    /// containerd, for Kubernetes or by itself.
    Containerd,
    /// CRI-O.
    Crio,
    /// Podman.
    Podman,
    /// LXC.
    Lxc,
    /// libvirt's LXC driver.
    LibvirtLxc,
    /// systemd-nspawn.
    Nspawn,
    /// Whoever has something of that name.
    Any,
}

/// What a path claims.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    /// Who would know.
    pub engine: Engine,
    /// Id or name there.
    pub id: Arc<str>,
    /// The directory above, for engines that have namespaces of names.
    pub parent: Arc<str>,
}

impl Claim {
    /// The claim in a list of control groups, `hierarchy=path` each with a NUL.
    pub fn of(cgroups: &[u8]) -> Option<Self> {
        let paths = cgroups.split(|byte| *byte == 0).filter_map(|entry| {
            let at = entry.iter().position(|byte| *byte == b'=')?;
            std::str::from_utf8(entry.get(at + 1..)?).ok()
        });
        let mut weak = None;
        for path in paths {
            match Self::of_path(path) {
                Some(claim) if claim.engine != Engine::Any => return Some(claim),
                found => weak = weak.or(found),
            }
        }
        weak
    }

    /// The claim in one path. The innermost one counts, for engines run inside containers.
    fn of_path(path: &str) -> Option<Self> {
        let mut parent = "";
        let mut found = None;
        let mut last = None;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if is_overseer(part) {
                return None;
            }
            if let Some((engine, id)) = named(part, parent) {
                found = Some(Self { engine, id: id.into(), parent: parent.into() });
            }
            if part.len() <= MAX_NAME {
                last = Some(Self { engine: Engine::Any, id: part.into(), parent: parent.into() });
            }
            parent = part;
        }
        found.or(last)
    }
}

/// Processes that look after a container and are none of it.
fn is_overseer(part: &str) -> bool {
    ["crio-conmon-", "libpod-conmon-", "lxc.monitor"].iter().any(|name| part.starts_with(name))
        || part == "supervisor"
}

fn named<'p>(part: &'p str, parent: &str) -> Option<(Engine, Cow<'p, str>)> {
    let (engine, id) = by_engine(part, parent)?;
    // systemd writes what a name of a unit may not have, and hyphens in scopes, as `\xNN`.
    Some((engine, if engine == Engine::Nspawn { unescaped(id) } else { id.into() }))
}

/// A unit's name as it was before systemd escaped it (systemd.unit(5), "String escaping").
fn unescaped(text: &str) -> Cow<'_, str> {
    let mut parts = text.split("\\x");
    let first = parts.next().unwrap_or_default();
    let mut out = String::from(first);
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(u8::is_ascii_graphic).zip(part.get(2..)) {
            Some((byte, rest)) => {
                out.push(char::from(byte));
                out.push_str(rest);
            }
            None => return text.into(),
        }
    }
    out.into()
}

fn by_engine<'p>(part: &'p str, parent: &str) -> Option<(Engine, &'p str)> {
    let scope = part.strip_suffix(".scope").unwrap_or(part);
    for (prefix, engine) in [
        ("docker-", Engine::Docker),
        ("cri-containerd-", Engine::Containerd),
        ("nerdctl-", Engine::Containerd),
        ("crio-", Engine::Crio),
        ("libpod-payload-", Engine::Podman),
        ("libpod-", Engine::Podman),
    ] {
        if let Some(id) = scope.strip_prefix(prefix).filter(|id| is_id(id)) {
            return Some((engine, id));
        }
    }
    // Slice, prefix and id in one, when a systemd path was handed to a runtime that does not use it.
    if let Some((rest, id)) = part.rsplit_once(':').filter(|(_, id)| is_id(id)) {
        let engine = match rest.rsplit(':').next() {
            Some("cri-containerd") => Engine::Containerd,
            Some("crio") => Engine::Crio,
            Some("docker") => Engine::Docker,
            Some("libpod") => Engine::Podman,
            _ => Engine::Any,
        };
        return Some((engine, id));
    }
    if is_id(part) {
        let engine = match parent {
            "docker" => Engine::Docker,
            "libpod_parent" => Engine::Podman,
            parent if parent.starts_with("pod") || parent == "k8s.io" => Engine::Containerd,
            _ => return None,
        };
        return Some((engine, part));
    }
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return Some((Engine::Lxc, name)).filter(|(_, name)| !name.is_empty());
    }
    if parent == "lxc" || parent == "lxc.payload" {
        return Some((Engine::Lxc, part));
    }
    if let Some(name) = part.strip_suffix(".libvirt-lxc") {
        return Some((Engine::LibvirtLxc, name));
    }
    if let Some(name) =
        scope.strip_prefix("machine-lxc\\x2d").or(scope.strip_prefix("machine-lxc-"))
    {
        return Some((Engine::LibvirtLxc, name));
    }
    if let Some(name) =
        part.strip_prefix("systemd-nspawn@").and_then(|rest| rest.strip_suffix(".service"))
    {
        return Some((Engine::Nspawn, name));
    }
    // What systemd's machine manager registers; of virtual machines libvirt's are named as such.
    let machine = part.strip_suffix(".scope").and_then(|scope| scope.strip_prefix("machine-"));
    if let Some(name) = machine.filter(|name| !name.starts_with("qemu\\x2d")) {
        return Some((Engine::Nspawn, name));
    }
    None
}

fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS
        && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3ad7b26ded6d8e7b23da7d48fe889434573036c27ae5a74837233de441c3601e";

    fn claim(path: &str) -> Option<(Engine, String)> {
        let path = path.replace("ID", ID);
        let found = Claim::of(format!("={path}\0").as_bytes())?;
        Some((found.engine, found.id.replace(ID, "ID")))
    }

    #[test]
    fn every_engine_and_driver_is_known() {
        for (path, engine) in [
            ("/docker/ID", Engine::Docker),
            ("/system.slice/docker-ID.scope", Engine::Docker),
            ("/docker/ID/init.scope", Engine::Docker),
            ("/system.slice/docker.service/docker/ID", Engine::Docker),
            ("/kubepods/burstable/podaaf9f6e1-95f6-11ea/ID", Engine::Containerd),
            ("/kubepods/podaaf9f6e1/ID", Engine::Containerd),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podaa.slice/cri-containerd-ID.scope",
                Engine::Containerd,
            ),
            (
                "/system.slice/containerd.service/kubepods-besteffort-pod8.slice:cri-containerd:ID",
                Engine::Containerd,
            ),
            ("/k8s.io/ID", Engine::Containerd),
            ("/kubepods.slice/kubepods-podaa.slice/crio-ID.scope", Engine::Crio),
            ("/kubepods.slice/kubepods-podaa.slice/crio-ID.scope/container", Engine::Crio),
            ("/kubepods/burstable/podaaf9f6e1-95f6-11ea/crio-ID", Engine::Crio),
            ("/crio/crio-ID", Engine::Crio),
            ("/kubepods-podaa.slice:crio:ID", Engine::Crio),
            ("/kubepods.slice/kubepods-podaa.slice/docker-ID.scope", Engine::Docker),
            ("/machine.slice/libpod-ID.scope", Engine::Podman),
            ("/machine.slice/libpod-ID.scope/container", Engine::Podman),
            (
                "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
                Engine::Podman,
            ),
            ("/libpod_parent/libpod-ID", Engine::Podman),
            ("/libpod_parent/libpod-payload-ID/container", Engine::Podman),
        ] {
            assert_eq!(claim(path), Some((engine, "ID".into())), "{path}");
        }
        for (path, engine, name) in [
            ("/lxc/web", Engine::Lxc, "web"),
            ("/lxc.payload.web/init.scope", Engine::Lxc, "web"),
            ("/lxc.payload/web", Engine::Lxc, "web"),
            ("/machine/web.libvirt-lxc", Engine::LibvirtLxc, "web"),
            ("/machine.slice/machine-lxc\\x2d71\\x2dweb.scope", Engine::LibvirtLxc, "71\\x2dweb"),
            ("/machine.slice/systemd-nspawn@web.service/payload", Engine::Nspawn, "web"),
            ("/machine.slice/systemd-nspawn@my\\x2dweb.service/payload", Engine::Nspawn, "my-web"),
            ("/machine.slice/machine-web.scope/payload", Engine::Nspawn, "web"),
            (
                "/machine.slice/machine-my\\x2dweb.scope/payload/init.scope",
                Engine::Nspawn,
                "my-web",
            ),
            ("/machine.slice/machine-odd\\x2.scope", Engine::Nspawn, "odd\\x2"),
            ("/machine.slice/machine-odd\\x0a.scope", Engine::Nspawn, "odd\\x0a"),
            ("/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt", Engine::Any, "libvirt"),
        ] {
            assert_eq!(claim(path), Some((engine, name.to_owned())), "{path}");
        }
    }

    #[test]
    fn engines_inside_containers_are_known_by_the_innermost_id() {
        let outer = "0".repeat(64);
        assert_eq!(
            claim(&format!("/docker/{outer}/docker/ID")),
            Some((Engine::Docker, "ID".into()))
        );
        let kind = format!("/docker/{outer}/kubelet/kubepods/besteffort/podaa/ID");
        assert_eq!(claim(&kind), Some((Engine::Containerd, "ID".into())));
    }

    #[test]
    fn overseers_are_no_part_of_what_they_oversee() {
        for path in [
            "/machine.slice/libpod-conmon-ID.scope",
            "/kubepods.slice/crio-conmon-ID.scope",
            "/kubepods/burstable/podaaf9f6e1-95f6-11ea/crio-conmon-ID",
            "/lxc.monitor.web",
            "/machine.slice/systemd-nspawn@web.service/supervisor",
            "/machine.slice/machine-web.scope/supervisor",
        ] {
            assert_eq!(claim(path), None, "{path}");
        }
    }

    #[test]
    fn any_other_path_is_a_weak_claim_by_its_last_part() {
        assert_eq!(claim("/user.slice/mine"), Some((Engine::Any, "mine".into())));
        assert_eq!(claim("/default/web"), Some((Engine::Any, "web".into())));
        assert_eq!(claim("/odd/ID"), Some((Engine::Any, "ID".into())));
        assert_eq!(claim("/docker/short"), Some((Engine::Any, "short".into())));
        assert_eq!(claim("/"), None);
        assert_eq!(claim(""), None);
        assert_eq!(Claim::of(b"garbage\0"), None);
        let long = "x".repeat(MAX_NAME + 1);
        assert_eq!(claim(&format!("/{long}")), None);
        assert_eq!(claim(&format!("/{}", &long[1..])), Some((Engine::Any, long[1..].into())));
    }

    #[test]
    fn an_overseer_in_some_hierarchies_is_in_no_container() {
        let text = format!("cpu=/\0memory=/podaa/crio-conmon-{ID}\0=/\0");
        assert_eq!(Claim::of(text.as_bytes()), None);
    }

    #[test]
    fn a_strong_claim_in_any_hierarchy_wins() {
        let text = format!("memory=/user.slice\0=/docker/{ID}\0");
        assert_eq!(Claim::of(text.as_bytes()).unwrap().engine, Engine::Docker);
    }
}

//! A kernel, as `uname` names it.

/// Oldest kernels that a module can be built for, by architecture.
const OLDEST_FOR_MODULES: [(&str, (u64, u64, u64)); 2] =
    [("x86_64", (2, 6, 0)), ("aarch64", (3, 16, 0))];

/// Release, version and architecture of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kernel {
    /// As `uname -r` says it, such as `6.1.0-10-cloud-amd64`.
    pub(crate) release: String,
    /// As `uname -v` says it, such as `#1 SMP PREEMPT_DYNAMIC Debian 6.1.38-2 (2023-07-27)`.
    pub(crate) version: String,
    /// As `uname -m` says it, such as `x86_64`.
    pub(crate) architecture: String,
}

impl Kernel {
    /// The kernel that runs here, with parts replaced by what was asked for.
    pub(crate) fn running(release: Option<String>, version: Option<String>) -> Self {
        let found = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        Self {
            release: release.unwrap_or_else(|| text(found.release())),
            version: version.unwrap_or_else(|| text(found.version())),
            architecture: text(found.machine()),
        }
    }

    /// The numbers that the release begins with; a missing third one is 0.
    pub(crate) fn numbers(&self) -> Option<(u64, u64, u64)> {
        let mut rest = self.release.as_str();
        let mut next = || -> Option<u64> {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let number = rest[..end].parse().ok()?;
            rest = rest[end..].strip_prefix('.').unwrap_or_default();
            Some(number)
        };
        Some((next()?, next()?, next().unwrap_or(0)))
    }

    /// Why no module can be built for this kernel, if so.
    pub(crate) fn module_problem(&self) -> Option<String> {
        let Self { release, architecture, .. } = self;
        let Some((_, oldest)) = OLDEST_FOR_MODULES.iter().find(|(name, _)| name == architecture)
        else {
            return Some(format!("there are no modules for `{architecture}`"));
        };
        let Some(numbers) = self.numbers() else {
            return Some(format!("`{release}` is no kernel release"));
        };
        let (major, minor, _) = oldest;
        (numbers < *oldest).then(|| {
            format!("kernel `{release}` is older than {major}.{minor}, the oldest for a module")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(release: &str, architecture: &str) -> Kernel {
        Kernel {
            release: release.to_owned(),
            version: "#1 SMP".to_owned(),
            architecture: architecture.to_owned(),
        }
    }

    #[test]
    fn numbers_are_read_from_the_release() {
        for (release, numbers) in [
            ("6.1.0-10-cloud-amd64", Some((6, 1, 0))),
            ("5.15.0", Some((5, 15, 0))),
            ("6.1-arch1-1", Some((6, 1, 0))),
            ("6.1.arch1-1", Some((6, 1, 0))),
            ("4.14.326-245.539.amzn2.x86_64", Some((4, 14, 326))),
            ("6", None),
            ("", None),
            ("99999999999999999999.1", None),
            ("linux", None),
        ] {
            assert_eq!(kernel(release, "x86_64").numbers(), numbers, "{release}");
        }
    }

    #[test]
    fn modules_need_a_kernel_that_is_new_enough() {
        for (release, architecture, possible) in [
            ("2.6.0", "x86_64", true),
            ("2.5.99", "x86_64", false),
            ("3.16.0", "aarch64", true),
            ("3.15.10", "aarch64", false),
            ("6.1.0", "riscv64", false),
            ("unknown", "x86_64", false),
        ] {
            let problem = kernel(release, architecture).module_problem();
            assert_eq!(problem.is_none(), possible, "{release} {architecture}: {problem:?}");
        }
    }

    #[test]
    fn what_is_asked_for_replaces_what_runs() {
        let asked = Kernel::running(Some("1.2.3-x".to_owned()), Some("#7".to_owned()));
        assert_eq!((asked.release.as_str(), asked.version.as_str()), ("1.2.3-x", "#7"));
        let here = Kernel::running(None, None);
        assert!(here.numbers().is_some(), "{here:?}");
        assert_eq!(here.architecture, asked.architecture);
    }
}

//! What the driver for a host is called, and where it is kept.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::distro::Target;

/// Names of one driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    /// The driver's own name, such as `falco`.
    pub(crate) name: String,
    /// The version of the driver, such as `7.3.0+driver`.
    pub(crate) version: String,
    /// Architecture of the host.
    pub(crate) architecture: String,
    /// Name of the file.
    pub(crate) file: String,
}

impl Names {
    /// The names of version `version` of driver `name` for `target`.
    pub(crate) fn new(name: &str, version: &str, target: &Target) -> Self {
        let Target { id, kernel, .. } = target;
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: kernel.architecture.clone(),
            file: format!("{name}_{id}_{}_{}.ko", kernel.release, kernel.version),
        }
    }

    /// Where a repository keeps it.
    pub(crate) fn address(&self, repository: &str) -> String {
        let Self { version, architecture, file, .. } = self;
        let repository = repository.trim_end_matches('/');
        let file = escaped(file, b"+");
        format!("{repository}/{}/{architecture}/{file}", escaped(version, b""))
    }

    /// Where it is kept here, below a home directory.
    pub(crate) fn kept(&self, home: &Path) -> PathBuf {
        let Self { version, architecture, file, .. } = self;
        home.join(".falco").join(version).join(architecture).join(file)
    }

    /// The name of the module in the kernel.
    pub(crate) fn module(&self) -> String {
        module_name(&self.name)
    }
}

/// The kernel writes `_` for `-` in names of modules.
pub(crate) fn module_name(name: &str) -> String {
    name.replace('-', "_")
}

/// A part of a name that is safe to be one: no separator, nothing hidden, nothing endless.
pub(crate) fn is_plain(part: &str) -> bool {
    const LONGEST: usize = 128;
    !part.is_empty()
        && part.len() <= LONGEST
        && !part.starts_with(['.', '-'])
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+~".contains(&b))
}

/// Text with everything but letters, digits, `-_.~` and `kept` written as `%XX`.
fn escaped(text: &str, kept: &[u8]) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Kernel;

    fn names() -> Names {
        let target = Target {
            id: "ubuntu-aws".to_owned(),
            kernel: Kernel {
                release: "5.15.0-1009-aws".to_owned(),
                version: "26~22.04.1".to_owned(),
                architecture: "x86_64".to_owned(),
            },
            module_problem: None,
        };
        Names::new("falco", "7.3.0+driver", &target)
    }

    #[test]
    fn the_address_escapes_the_version() {
        let expected = "https://r.example.org/driver/7.3.0%2Bdriver/x86_64/falco_ubuntu-aws_5.15.0-1009-aws_26~22.04.1.ko";
        assert_eq!(names().address("https://r.example.org/driver"), expected);
        assert_eq!(names().address("https://r.example.org/driver/"), expected);
    }

    #[test]
    fn the_file_is_kept_below_home() {
        let path = names().kept(Path::new("/root"));
        let expected =
            "/root/.falco/7.3.0+driver/x86_64/falco_ubuntu-aws_5.15.0-1009-aws_26~22.04.1.ko";
        assert_eq!(path, Path::new(expected));
    }

    #[test]
    fn the_kernel_knows_another_name() {
        assert_eq!(module_name("falco-probe"), "falco_probe");
        assert_eq!(names().module(), "falco");
    }

    #[test]
    fn parts_that_are_no_names_are_told() {
        for good in ["falco", "7.3.0+driver", "26~22.04.1", "a_b-c"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["", "..", ".x", "-x", "a/b", "a b", "a\0b", "é", &"x".repeat(129)] {
            assert!(!is_plain(bad), "{bad}");
        }
        assert!(is_plain(&"x".repeat(128)));
    }
}

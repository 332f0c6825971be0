//! Distributions: what drivers that were built for them are called.
//!
//! Repositories of drivers file them under a target and the kernel's release and version. Some
//! distributions hide the real kernel in another place, or ship one kernel per image: the table here
//! says for each what counts.

use super::facts::Facts;
use super::kernel::Kernel;
use super::os_release::OsRelease;

/// Target of a host that could not be told.
pub(crate) const UNDETERMINED: &str = "undetermined";
/// The version that stands for the only build of an image.
const ONLY_BUILD: &str = "1";

/// How the target is called.
enum Called {
    /// As the distribution calls itself.
    Itself,
    /// By its release: pairs of `VERSION_ID` and target, then the target of all others.
    ByRelease(&'static [(&'static str, &'static str)], &'static str),
    /// By itself and the flavour of its kernel.
    ByFlavour,
}

/// What of a kernel stands in the name of a driver.
enum Counts {
    /// The release as it is, and the number of the build.
    BuildNumber,
    /// The release as it is, and the first word of the version without the vendor's name.
    FirstWord(&'static str),
    /// The package version that the version ends in, with flavour and architecture.
    PackageVersion,
    /// The version of the system in place of the release.
    SystemRelease,
    /// The version of the system in place of the version, with its variant where `true`.
    SystemVersion(bool),
}

/// Which modules a distribution takes.
enum Modules {
    Any,
    None(&'static str),
    /// None where the kernel's release contains this.
    Unless(&'static str, &'static str),
}

struct Distro {
    id: &'static str,
    called: Called,
    counts: Counts,
    modules: Modules,
}

/// A distribution that is as most are.
const PLAIN: Distro =
    Distro { id: "", called: Called::Itself, counts: Counts::BuildNumber, modules: Modules::Any };

const TABLE: [Distro; 11] = [
    Distro {
        id: "amzn",
        called: Called::ByRelease(
            &[("2", "amazonlinux2"), ("2022", "amazonlinux2022"), ("2023", "amazonlinux2023")],
            "amazonlinux",
        ),
        ..PLAIN
    },
    Distro { id: "bottlerocket", counts: Counts::SystemVersion(true), ..PLAIN },
    Distro { id: "centos", ..PLAIN },
    Distro {
        id: "cos",
        modules: Modules::None("Container-Optimized OS takes no modules of others"),
        ..PLAIN
    },
    Distro { id: "debian", counts: Counts::PackageVersion, ..PLAIN },
    Distro { id: "flatcar", counts: Counts::SystemRelease, ..PLAIN },
    Distro { id: "minikube", counts: Counts::SystemVersion(false), ..PLAIN },
    Distro {
        id: "ol",
        modules: Modules::Unless("uek", "no modules can be built for Oracle's own kernel (UEK)"),
        ..PLAIN
    },
    Distro { id: "rhel", ..PLAIN },
    Distro { id: "talos", counts: Counts::SystemVersion(false), ..PLAIN },
    Distro {
        id: "ubuntu",
        called: Called::ByFlavour,
        counts: Counts::FirstWord("-Ubuntu"),
        ..PLAIN
    },
];

/// A host as repositories of drivers know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// What drivers for it are filed under.
    pub(crate) id: String,
    /// The kernel as it stands in their names.
    pub(crate) kernel: Kernel,
    /// Why it takes no modules, where it does not.
    pub(crate) module_problem: Option<String>,
}

/// A description that lacks what the name of a driver needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lacking {
    /// The distribution.
    pub(crate) distribution: String,
    /// The key of `os-release`.
    pub(crate) key: &'static str,
}

impl Target {
    /// Whether nothing told which distribution this is.
    pub(crate) fn is_undetermined(&self) -> bool {
        self.id == UNDETERMINED
    }

    /// The target that a host is, from what it says about itself and the kernel it runs.
    pub(crate) fn of(facts: &Facts, kernel: &Kernel) -> Result<Self, Lacking> {
        let described = facts.os_release.as_ref().and_then(|file| file.get("ID"));
        let id = match (described, facts.release_file) {
            _ if facts.minikube.is_some() => "minikube".to_owned(),
            (Some(id), _) => id.to_ascii_lowercase(),
            (None, Some(id)) => id.to_owned(),
            (None, None) => UNDETERMINED.to_owned(),
        };
        let distro = TABLE.iter().find(|distro| distro.id == id).unwrap_or(&PLAIN);
        let empty = OsRelease::default();
        let host = Host { id: &id, file: facts.os_release.as_ref().unwrap_or(&empty), facts };
        Ok(Self {
            id: host.called(&distro.called, kernel)?,
            kernel: host.counts(&distro.counts, kernel)?,
            module_problem: match distro.modules {
                Modules::None(why) => Some(why.to_owned()),
                Modules::Unless(part, why) if kernel.release.contains(part) => Some(why.to_owned()),
                Modules::Any | Modules::Unless(..) => kernel.module_problem(),
            },
        })
    }
}

struct Host<'a> {
    id: &'a str,
    file: &'a OsRelease,
    facts: &'a Facts,
}

impl Host<'_> {
    fn called(&self, called: &Called, kernel: &Kernel) -> Result<String, Lacking> {
        Ok(match called {
            Called::Itself => self.id.to_owned(),
            Called::ByRelease(known, others) => {
                let release = self.need("VERSION_ID")?;
                let found = known.iter().find(|(id, _)| *id == release);
                found.map_or(*others, |(_, target)| *target).to_owned()
            }
            Called::ByFlavour => format!("{}-{}", self.id, flavour(&kernel.release)),
        })
    }

    fn counts(&self, counts: &Counts, kernel: &Kernel) -> Result<Kernel, Lacking> {
        let mut kernel = kernel.clone();
        match counts {
            Counts::BuildNumber => kernel.version = build_number(&kernel.version),
            Counts::FirstWord(vendor) => {
                let word = kernel.version.trim_start_matches('#');
                let word = word.split(' ').next().unwrap_or_default();
                kernel.version = word.strip_suffix(vendor).unwrap_or(word).to_owned();
            }
            Counts::PackageVersion => match package_version(&kernel.version) {
                Some(package) => {
                    kernel.release = format!("{package}{}", debian_flavour(&kernel.release));
                    ONLY_BUILD.clone_into(&mut kernel.version);
                }
                None => kernel.version = build_number(&kernel.version),
            },
            Counts::SystemRelease => {
                self.need("VERSION_ID")?.clone_into(&mut kernel.release);
                kernel.version = build_number(&kernel.version);
            }
            Counts::SystemVersion(with_variant) => {
                let version = match &self.facts.minikube {
                    Some(version) => version,
                    None => self.need("VERSION_ID")?,
                };
                kernel.version = format!("{ONLY_BUILD}_{version}");
                if *with_variant {
                    // Only the family counts: `aws` of `aws-k8s-1.15`.
                    let variant = self.need("VARIANT_ID")?;
                    let family = variant.split('-').next().unwrap_or(variant);
                    kernel.version = format!("{}-{family}", kernel.version);
                }
            }
        }
        Ok(kernel)
    }

    fn need(&self, key: &'static str) -> Result<&str, Lacking> {
        let lacking = || Lacking { distribution: self.id.to_owned(), key };
        self.file.get(key).ok_or_else(lacking)
    }
}

/// `1` of `#1 SMP PREEMPT_DYNAMIC …`; a version without a number stays as it is.
fn build_number(version: &str) -> String {
    let number = version.split('#').skip(1).find_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    });
    number.unwrap_or(version).to_owned()
}

/// `aws` of `5.15.0-1009-aws`: the first part that is a word.
fn flavour(release: &str) -> &str {
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphabetic());
    release.split('-').skip(1).find(is_word).unwrap_or("generic")
}

/// `6.1.38-2` of `#1 SMP PREEMPT_DYNAMIC Debian 6.1.38-2 (2023-07-27)`.
fn package_version(version: &str) -> Option<String> {
    version.split(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').find_map(|word| {
        let (upstream, revision) = word.split_once('-')?;
        let numbers: Vec<&str> = upstream.rsplitn(4, '.').take(3).collect();
        let end = revision.find(|c: char| !c.is_ascii_digit()).unwrap_or(revision.len());
        let whole = numbers.len() == 3 && !numbers.contains(&"") && end > 0;
        let upstream: Vec<&str> = numbers.into_iter().rev().collect();
        whole.then(|| format!("{}-{}", upstream.join("."), &revision[..end]))
    })
}

/// `-rt-amd64`, `-cloud-arm64` or `-amd64`, as a release of Debian ends.
fn debian_flavour(release: &str) -> String {
    let Some((at, architecture)) = ["amd64", "arm64"]
        .into_iter()
        .filter_map(|name| release.find(name).map(|at| (at, name)))
        .min()
    else {
        return String::new();
    };
    let before = &release[..at];
    let flavour = ["rt-", "cloud-"].into_iter().find(|flavour| before.ends_with(flavour));
    format!("-{}{architecture}", flavour.unwrap_or_default())
}

#[cfg(test)]
mod tests;

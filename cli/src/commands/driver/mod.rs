//! `eyas driver …`: looks at the host, chooses, and leaves the rest to the command.

mod config;
mod install;

use std::io::{self, Write};
use std::path::Path;

use eyas_ops::Class;
use serde::Serialize;

use crate::args::{Driver, DriverArgs, DriverFlags};
use crate::driver::{DriverKind, Facts, Kernel, Target, choose, newest_version};
use crate::exit::Failure;
use crate::printer::{Document, Printer};
use crate::settings::{DriverSettings, Settings};
use crate::wiring;

/// Runs a `driver` command.
pub(super) fn run(args: &DriverArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let host = Host::find(&args.flags, settings)?;
    match &args.command {
        Driver::Config(args) => config::run(&host, args, settings, printer),
        Driver::Install(args) => install::run(&host, args, printer),
        Driver::Cleanup(args) => install::cleanup(&host, args, printer),
        Driver::Printenv => Ok(printer.data(&host.variables())?),
    }
}

/// A host, and the driver for it.
struct Host {
    settings: DriverSettings,
    kind: DriverKind,
    version: String,
    kernel: Kernel,
    target: Target,
}

impl Host {
    /// Looks at the host and chooses.
    fn find(flags: &DriverFlags, settings: &Settings) -> anyhow::Result<Self> {
        let settings = settings.driver(flags)?;
        let kernel = Kernel::running(flags.kernel_release.clone(), flags.kernel_version.clone());
        let root = &settings.host_root;
        let facts =
            Facts::read(root).map_err(|(path, error)| wiring::storage("read", &path, &error))?;
        let target = Target::of(&facts, &kernel).map_err(|lacking| {
            let file = root.join("etc/os-release");
            let message = format!(
                "`{}` of distribution `{}` has no `{}`, which is part of the driver's name",
                file.display(),
                lacking.distribution,
                lacking.key
            );
            Failure { class: Class::Failed, message, hint: None }
        })?;
        let kind = choose(&settings.kinds, |kind| problem(kind, &target))
            .map_err(|refused| no_driver(&refused.to_string(), &target, &kernel))?;
        let roots = [root.as_path(), Path::new("/")];
        let version = settings
            .version
            .clone()
            .or_else(|| newest_version(&roots, &settings.name))
            .ok_or_else(|| {
            let message = format!(
                "no version of the driver is given, and `/usr/src` has no sources of `{}`",
                settings.name
            );
            Failure::usage(message).with_hint("give `--version`, such as `7.3.0+driver`")
        })?;
        Ok(Self { settings, kind, version, kernel, target })
    }

    /// Where the host's own files are: in this file system, and below its root.
    fn roots(&self) -> [&Path; 2] {
        [Path::new("/"), &self.settings.host_root]
    }

    /// What scripts want to know.
    fn variables(&self) -> Variables {
        let Self { settings, kind, version, kernel, target } = self;
        Variables {
            driver: kind.as_str(),
            drivers_repo: settings.repositories.join(", "),
            driver_version: version.clone(),
            driver_name: settings.name.clone(),
            host_root: settings.host_root.display().to_string(),
            target_id: target.id.clone(),
            arch: kernel.architecture.clone(),
            kernel_release: kernel.release.clone(),
            kernel_version: kernel.version.clone(),
            fixed_kernel_release: target.kernel.release.clone(),
            fixed_kernel_version: target.kernel.version.clone(),
        }
    }
}

/// What is against a kind of driver here.
fn problem(kind: DriverKind, target: &Target) -> Option<String> {
    match kind {
        DriverKind::Kmod => target.module_problem.clone(),
        DriverKind::ModernEbpf => eyas_probe::capability().err().map(|why| why.to_string()),
    }
}

fn no_driver(why: &str, target: &Target, kernel: &Kernel) -> Failure {
    let message = format!(
        "no allowed driver works on `{}` with kernel `{}`: {why}",
        target.id, kernel.release
    );
    let hint = Some("allow another kind with `--type`, or run as root on the host".to_owned());
    Failure { class: Class::Failed, message, hint }
}

#[derive(Serialize)]
struct Variables {
    driver: &'static str,
    drivers_repo: String,
    driver_version: String,
    driver_name: String,
    host_root: String,
    target_id: String,
    arch: String,
    kernel_release: String,
    kernel_version: String,
    fixed_kernel_release: String,
    fixed_kernel_version: String,
}

impl Document for Variables {
    const KIND: &'static str = "driver.printenv";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let value = serde_json::to_value(self)?;
        for name in NAMES {
            let text = value[name.to_ascii_lowercase()].as_str().unwrap_or_default();
            writeln!(out, "{name}={text:?}")?;
        }
        Ok(())
    }
}

/// The variables in their order.
const NAMES: [&str; 11] = [
    "DRIVER",
    "DRIVERS_REPO",
    "DRIVER_VERSION",
    "DRIVER_NAME",
    "HOST_ROOT",
    "TARGET_ID",
    "ARCH",
    "KERNEL_RELEASE",
    "KERNEL_VERSION",
    "FIXED_KERNEL_RELEASE",
    "FIXED_KERNEL_VERSION",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_has_its_line() {
        let variables = Variables {
            driver: "kmod",
            drivers_repo: "https://a.example.org, https://b.example.org".to_owned(),
            driver_version: "7.3.0+driver".to_owned(),
            driver_name: "falco".to_owned(),
            host_root: "/".to_owned(),
            target_id: "debian".to_owned(),
            arch: "x86_64".to_owned(),
            kernel_release: "6.1.0-10-amd64".to_owned(),
            kernel_version: "#1 SMP \"x\"".to_owned(),
            fixed_kernel_release: "6.1.38-2-amd64".to_owned(),
            fixed_kernel_version: "1".to_owned(),
        };
        let mut out = Vec::new();
        variables.text(&mut out).expect("written");
        let expected = "DRIVER=\"kmod\"\n\
            DRIVERS_REPO=\"https://a.example.org, https://b.example.org\"\n\
            DRIVER_VERSION=\"7.3.0+driver\"\n\
            DRIVER_NAME=\"falco\"\n\
            HOST_ROOT=\"/\"\n\
            TARGET_ID=\"debian\"\n\
            ARCH=\"x86_64\"\n\
            KERNEL_RELEASE=\"6.1.0-10-amd64\"\n\
            KERNEL_VERSION=\"#1 SMP \\\"x\\\"\"\n\
            FIXED_KERNEL_RELEASE=\"6.1.38-2-amd64\"\n\
            FIXED_KERNEL_VERSION=\"1\"\n";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }
}

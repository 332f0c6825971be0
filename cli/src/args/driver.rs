//! `eyas driver …`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

/// Arguments of every `driver` command, and the command itself.
#[derive(Debug, Args)]
pub(crate) struct DriverArgs {
    #[command(flatten)]
    pub(crate) flags: DriverFlags,
    #[command(subcommand)]
    pub(crate) command: Driver,
}

/// Which driver, for which host.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Driver")]
pub(crate) struct DriverFlags {
    /// Kinds of driver that are allowed, the best first [default: modern_ebpf,kmod]
    #[arg(long = "type", global = true, value_name = "KIND", value_delimiter = ',')]
    pub(crate) kinds: Vec<String>,
    /// Version of the driver [default: the newest whose sources are under /usr/src]
    #[arg(long, global = true, value_name = "VERSION")]
    pub(crate) version: Option<String>,
    /// Where built drivers are, repeatable [default: https://download.falco.org/driver]
    #[arg(long = "repo", global = true, value_name = "URL", value_delimiter = ',')]
    pub(crate) repositories: Vec<String>,
    /// Name of the driver [default: falco]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Root directory of the host, when this runs in a container [default: /] [env: HOST_ROOT]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) host_root: Option<PathBuf>,
    /// Kernel to work for, as `uname -r` says it [default: the running one]
    #[arg(long = "kernelrelease", global = true, value_name = "RELEASE")]
    pub(crate) kernel_release: Option<String>,
    /// Kernel to work for, as `uname -v` says it [default: the running one]
    #[arg(long = "kernelversion", global = true, value_name = "VERSION")]
    pub(crate) kernel_version: Option<String>,
}

/// Choose, install and remove Falco's kernel driver
#[derive(Debug, Subcommand)]
pub(crate) enum Driver {
    /// Tell Falco which driver this host can use
    Config(DriverConfigArgs),
    /// Fetch or build the driver and load it; nothing is loaded unchecked
    Install(DriverInstallArgs),
    /// Unload the driver and remove it from DKMS
    Cleanup(DriverCleanupArgs),
    /// Print what is known about this host and its driver as shell variables
    Printenv,
}

/// Arguments of `driver config`.
#[derive(Debug, Args)]
pub(crate) struct DriverConfigArgs {
    /// Write the kind of driver to Falco's configuration [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true)]
    pub(crate) update_falco: Option<bool>,
    /// Namespace of Falco's config map; with it the cluster is asked how Falco is configured
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Name of Falco's config map
    #[arg(long, value_name = "NAME")]
    pub(crate) configmap: Option<String>,
    /// Where the cluster is and who we are there [default: the service account of the pod]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<String>,
    /// Also change the config map itself, for all hosts that read it
    #[arg(long)]
    pub(crate) update_configmap: bool,
    /// Directory with Falco's configuration [default: /etc/falco]
    #[arg(long, value_name = "DIR")]
    pub(crate) falco_config_dir: Option<String>,
    /// Say what would change and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `driver install`.
#[derive(Debug, Args)]
pub(crate) struct DriverInstallArgs {
    /// Fetch a driver that was built for this kernel [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true)]
    pub(crate) download: Option<bool>,
    /// Build the driver here when none could be fetched [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true)]
    pub(crate) compile: Option<bool>,
    /// Install the kernel's headers when building needs them [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true)]
    pub(crate) download_headers: Option<bool>,
    /// Accept any certificate of the repositories; the driver is checked all the same
    #[arg(long)]
    pub(crate) http_insecure: bool,
    /// Longest time for each fetch, such as `60s` [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = super::parse_interval)]
    pub(crate) http_timeout: Option<Duration>,
    /// Headers to send to the repositories: `name: value,name: value`
    #[arg(long, value_name = "HEADERS")]
    pub(crate) http_headers: Option<String>,
    /// Digest that the fetched driver must have
    #[arg(long, value_name = "HEX")]
    pub(crate) sha256: Option<String>,
    /// Public key (PEM) by which the fetched driver must be signed, in a file `.sig` beside it
    #[arg(long, value_name = "FILE", conflicts_with = "sha256")]
    pub(crate) key: Option<PathBuf>,
    /// Accept the checksum beside the fetched driver; it does not prove who built it
    #[arg(long, conflicts_with_all = ["sha256", "key"])]
    pub(crate) trust_checksum: bool,
    /// Say what would change and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) unload: UnloadArgs,
}

/// Arguments of `driver cleanup`.
#[derive(Debug, Args)]
pub(crate) struct DriverCleanupArgs {
    /// Say what would change and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) unload: UnloadArgs,
}

/// How long to insist.
#[derive(Debug, Clone, Args)]
pub(crate) struct UnloadArgs {
    /// How many seconds to wait for a driver that is in use
    #[arg(long, value_name = "SECONDS", default_value_t = 50)]
    pub(crate) unload_timeout: u32,
}

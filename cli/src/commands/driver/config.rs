//! `eyas driver config`: tells Falco which driver this host can use.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use eyas_ops::Class;
use serde::Serialize;

use super::Host;
use crate::args::DriverConfigArgs;
use crate::driver::Remembered;
use crate::driver::engine::{self, CONFIGURATION, MAX_CONFIGURATION_BYTES};
use crate::driver::kubernetes::{Cluster, SERVICE_ACCOUNT};
use crate::exit::Failure;
use crate::personality::IndexLists;
use crate::printer::{Document, Printer};
use crate::settings::Settings;
use crate::wiring;

/// Where Falco's configuration is when nothing else is said.
const FALCO: &str = "/etc/falco";

/// Where Falco's configuration is, and where it is to be changed.
struct Place {
    directory: PathBuf,
    config_map: Option<ConfigMap>,
}

struct ConfigMap {
    namespace: String,
    name: String,
    kubeconfig: Option<String>,
}

#[derive(Serialize)]
struct Configured {
    dry_run: bool,
    driver: &'static str,
    /// The file that was written, or would be, if there is one.
    file: Option<String>,
    /// Why none was.
    skipped: Option<String>,
}

impl Document for Configured {
    const KIND: &'static str = "driver.config";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        match (&self.file, &self.skipped) {
            (Some(file), _) if self.dry_run => {
                writeln!(out, "`{}` would be set in {file}", self.driver)
            }
            (Some(file), _) => writeln!(out, "`{}` is set in {file}", self.driver),
            (None, Some(why)) => writeln!(out, "{why}"),
            (None, None) => Ok(()),
        }
    }
}

/// Runs `driver config`.
pub(super) fn run(
    host: &Host,
    args: &DriverConfigArgs,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let (driver, dry_run) = (host.kind.as_str(), args.dry_run);
    if !dry_run {
        remember(host, settings, printer);
    }
    let update = settings.driver_switch(args.update_falco, "driver.config.update_falco")?;
    if update == Some(false) {
        let skipped = Some("Falco's configuration stays as it is, as asked".to_owned());
        return Ok(printer.data(&Configured { dry_run, driver, file: None, skipped })?);
    }
    let place = place(args, settings)?;
    let found = match &place.config_map {
        None => kind_of_file(&place.directory)?,
        Some(map) => kind_of_map(map, args.update_configmap && !dry_run, host, printer)?,
    };
    if !found.as_deref().is_some_and(engine::has_driver) {
        let shown = found.map_or("no engine".to_owned(), |kind| format!("the engine `{kind}`"));
        let skipped = format!("Falco is configured with {shown}, which needs no driver");
        return Ok(printer.data(&Configured {
            dry_run,
            driver,
            file: None,
            skipped: Some(skipped),
        })?);
    }
    let file = if dry_run {
        engine::fragment(&place.directory)
    } else {
        engine::write(&place.directory, host.kind)?
    };
    let file = Some(file.display().to_string());
    Ok(printer.data(&Configured { dry_run, driver, file, skipped: None })?)
}

/// Keeps the choice for later commands in the configuration file, where that is the habit. A file that cannot be
/// written, such as a mounted one, is told and no more.
fn remember(host: &Host, settings: &Settings, printer: &Printer) {
    let habit = settings.character().index_lists == IndexLists::BookAndConfiguration;
    let Some(file) = settings.config_file().filter(|_| habit) else { return };
    let failed = |why: String| {
        printer.warn(format!("`{}` does not remember the driver: {why}", file.display()));
    };
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            failed(error.to_string());
            return;
        }
    };
    let remembered = Remembered {
        kind: host.kind.as_str(),
        name: &host.settings.name,
        repositories: &host.settings.repositories,
        version: &host.version,
        host_root: &host.settings.host_root.to_string_lossy(),
    };
    let Some(changed) = remembered.within(&text) else {
        failed("its key `driver` is yours, change it there".to_owned());
        return;
    };
    if changed == text {
        return;
    }
    let made = file.parent().map_or(Ok(()), fs::create_dir_all);
    match made.map_err(|error| error.to_string()).and_then(|()| {
        eyas_ops::replace_file(&file, changed.as_bytes()).map_err(|error| error.to_string())
    }) {
        Ok(()) => printer.aside(format!("`{}` remembers the driver", file.display())),
        Err(why) => failed(why),
    }
}

fn place(args: &DriverConfigArgs, settings: &Settings) -> anyhow::Result<Place> {
    let text = |typed: &Option<String>, key: &str| {
        let found = settings.driver_text(typed.as_deref(), &format!("driver.config.{key}"), "");
        found.map(|(text, _)| text)
    };
    let namespace = text(&args.namespace, "namespace");
    let name = text(&args.configmap, "configmap");
    let config_map = match (namespace, name) {
        (None, None) => None,
        (Some(namespace), Some(name)) => {
            let kubeconfig = text(&args.kubeconfig, "kubeconfig");
            Some(ConfigMap { namespace, name, kubeconfig })
        }
        (namespace, _) => {
            let (given, missing) = match namespace {
                Some(_) => ("--namespace", "--configmap"),
                None => ("--configmap", "--namespace"),
            };
            let message = format!("`{given}` is given without `{missing}`");
            return Err(Failure::usage(message)
                .with_hint("a config map is named by both; without both, files are used")
                .into());
        }
    };
    let directory = text(&args.falco_config_dir, "configdir").unwrap_or_else(|| FALCO.to_owned());
    Ok(Place { directory: directory.into(), config_map })
}

fn kind_of_file(directory: &Path) -> anyhow::Result<Option<String>> {
    let path = directory.join(CONFIGURATION);
    let unreadable = |why: String| {
        let message = format!("`{}` cannot be read: {why}", path.display());
        let hint = "name the directory with Falco's configuration by `--falco-config-dir`";
        Failure { class: Class::Failed, message, hint: Some(hint.to_owned()) }
    };
    let size = fs::metadata(&path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > MAX_CONFIGURATION_BYTES {
        let why = format!("it has {size} bytes, more than {MAX_CONFIGURATION_BYTES}");
        return Err(unreadable(why).into());
    }
    let text = fs::read_to_string(&path).map_err(|error| unreadable(error.to_string()))?;
    Ok(engine::kind_in(&text).map_err(unreadable)?)
}

fn kind_of_map(
    map: &ConfigMap,
    change: bool,
    host: &Host,
    printer: &Printer,
) -> anyhow::Result<Option<String>> {
    let failed = |message: String| {
        let hint = "the role needs `get` (and `patch` for `--update-configmap`) on config maps";
        Failure { class: Class::Network, message, hint: Some(hint.to_owned()) }
    };
    let variable = |name: &str| std::env::var(name).ok();
    let cluster = match &map.kubeconfig {
        Some(file) => Cluster::of_file(Path::new(file)),
        None => Cluster::of_pod(Path::new(SERVICE_ACCOUNT), variable),
    }
    .map_err(|message| {
        let hint = "name the cluster by `--kubeconfig`, or run this in a pod";
        Failure::usage(message).with_hint(hint)
    })?;
    wiring::block_on(async {
        let (namespace, name) = (map.namespace.as_str(), map.name.as_str());
        let text = cluster.entry(namespace, name, CONFIGURATION).await.map_err(failed)?;
        let kind = engine::kind_in(&text).map_err(|why| {
            failed(format!("`{CONFIGURATION}` of config map `{name}` is not valid: {why}"))
        })?;
        if change
            && kind.as_deref().is_some_and(engine::has_driver)
            && let Some(changed) = engine::with_kind(&text, host.kind)
            && changed != text
        {
            cluster.change(namespace, name, CONFIGURATION, &changed).await.map_err(failed)?;
            printer.info(format!("config map `{name}` in namespace `{namespace}` is changed"));
        }
        Ok(kind)
    })
}

//! `eyas artifact lock` and the lock file of `artifact install --locked`.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use eyas_artifact::{Lock, MAX_LOCK_BYTES, Request};
use eyas_ops::{Context, InstallOptions, OpsError, Outcome};
use serde::Serialize;

use super::assembly::Assembly;
use super::install::{options, sensor, store};
use crate::args::{Global, LockArgs, LockedArgs};
use crate::exit::Failure;
use crate::printer::{Document, Printer, Table};
use crate::settings::Settings;
use crate::wiring;

/// The lock file that is read when none is named.
const DEFAULT_LOCK_FILE: &str = "eyas.lock";

/// What was typed to be installed, else what is configured. A lock file may stand for all of it.
pub(super) fn requests(
    typed: &[String],
    command: &'static str,
    settings: &Settings,
    locked: bool,
) -> anyhow::Result<Vec<Request>> {
    if locked && typed.is_empty() {
        return Ok(Vec::new());
    }
    let references = settings.references(typed, command)?;
    if references.is_empty() {
        return Err(OpsError::NothingToDo { command }.into());
    }
    let requests: Result<Vec<Request>, OpsError> =
        references.iter().map(|text| Ok(text.parse::<Request>()?)).collect();
    Ok(requests?)
}

/// Installs what was asked for, from registries or from a lock file.
pub(super) async fn install(
    context: &Context<'_>,
    requests: &[Request],
    locked: &LockedArgs,
    options: &InstallOptions,
) -> anyhow::Result<Outcome> {
    if !locked.locked {
        return Ok(eyas_ops::install(context, requests, options).await?);
    }
    let path = locked.lock_file.as_deref().unwrap_or(Path::new(DEFAULT_LOCK_FILE));
    let lock = read(path)?;
    Ok(eyas_ops::install_locked(context, &lock, requests, options).await?)
}

fn read(path: &Path) -> anyhow::Result<Lock> {
    let failure = |why: String| {
        Failure::usage(format!("lock file `{}` cannot be read: {why}", path.display()))
            .with_hint("`eyas artifact lock REF…` writes one; `--lock-file` names another")
    };
    match fs::metadata(path) {
        Ok(found) if found.len() > MAX_LOCK_BYTES => {
            let why = format!("it has {} bytes, more than {MAX_LOCK_BYTES}", found.len());
            return Err(failure(why).into());
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(failure("it does not exist".to_owned()).into());
        }
        _ => {}
    }
    let bytes = fs::read(path).map_err(|error| failure(error.to_string()))?;
    Ok(Lock::from_slice(&bytes).map_err(|error| failure(error.to_string()))?)
}

#[derive(Serialize)]
struct LockDocument {
    dry_run: bool,
    path: String,
    changed: bool,
    artifacts: Vec<LockedLine>,
}

#[derive(Serialize)]
struct LockedLine {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    version: String,
    reference: String,
    digest: String,
}

impl Document for LockDocument {
    const KIND: &'static str = "artifact.lock";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new(&["ARTIFACT", "TYPE", "VERSION", "REFERENCE", "DIGEST"]);
        for LockedLine { name, kind, version, reference, digest } in &self.artifacts {
            table.row([name, kind, version, reference, digest].map(Clone::clone));
        }
        table.write(out)?;
        match (self.changed, self.dry_run) {
            (true, false) => writeln!(out, "written to {}", self.path),
            (true, true) => writeln!(out, "{} would be written", self.path),
            (false, _) => writeln!(out, "{} says so already", self.path),
        }
    }
}

/// Runs `artifact lock`.
pub(super) fn run(
    args: &LockArgs,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let store = store(global, settings)?;
    let lock = if args.installed {
        let Some(installed) = store.current().map_err(OpsError::from)? else {
            let store = store.directory().to_owned();
            return Err(OpsError::NothingInstalled { store }.into());
        };
        eyas_ops::lock_installed(&installed)?
    } else {
        resolve(args, &store, settings, printer)?
    };
    let bytes = lock.to_vec().map_err(OpsError::from)?;
    let path = &args.lock_file;
    let changed = fs::read(path).ok().as_deref() != Some(bytes.as_slice());
    if changed && !args.dry_run {
        eyas_ops::replace_file(path, &bytes)?;
    }
    let line = |locked: &eyas_artifact::Locked| LockedLine {
        name: locked.name.clone(),
        kind: locked.kind.to_string(),
        version: locked.version.to_string(),
        reference: locked.reference.to_string(),
        digest: locked.digest.to_string(),
    };
    Ok(printer.data(&LockDocument {
        dry_run: args.dry_run,
        path: path.display().to_string(),
        changed,
        artifacts: lock.artifacts.iter().map(line).collect(),
    })?)
}

fn resolve(
    args: &LockArgs,
    store: &eyas_store::Store,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<Lock> {
    let flags = &args.flags;
    let requests = requests(&args.references, "install", settings, false)?;
    let names: Vec<_> = requests.iter().map(|request| request.name.clone()).collect();
    let options = options(flags, settings, true)?;
    let trust = wiring::block_on(wiring::trust(settings, &flags.trust, printer))?;
    let sensor = sensor(&flags.reload, settings);
    let client = wiring::client(settings, &flags.transport, printer)?;
    let mut assembly = Assembly::new(store.clone(), client, trust, sensor, printer);
    wiring::block_on(async {
        assembly.find_names(&names, settings, &flags.indexes, printer).await?;
        Ok(eyas_ops::lock(&assembly.context(), &requests, &options).await?)
    })
}

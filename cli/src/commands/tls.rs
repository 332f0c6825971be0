//! `eyas tls …`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use eyas_ops::Class;
use serde::Serialize;

use crate::args::{KeyAlgorithm, Tls, TlsInstallArgs};
use crate::exit::Failure;
use crate::printer::{Document, Printer};
use crate::settings::Settings;
use crate::tls::{FILES, KeyKind, Set, Subject, existing, write};

/// Name of the server when nothing else is said.
const NAME: &str = "localhost";
/// Bits of RSA keys when nothing else is said.
const RSA_BITS: u32 = 4096;

#[derive(Serialize)]
struct Made {
    dry_run: bool,
    directory: String,
    files: [&'static str; 6],
    /// When the certificates end, RFC 3339 UTC.
    valid_until: String,
}

impl Document for Made {
    const KIND: &'static str = "tls.install";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { dry_run, directory, files, valid_until } = self;
        let verb = if *dry_run { "would be written to" } else { "are in" };
        writeln!(out, "{} {verb} {directory}, valid until {valid_until}", files.join(", "))
    }
}

/// Runs a `tls` command.
pub(super) fn run(command: &Tls, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    match command {
        Tls::Install(args) => install(args, settings, printer),
    }
}

fn install(args: &TlsInstallArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let folder = match args.path.clone().or_else(|| settings.tls_path()) {
        Some(folder) => folder,
        None => PathBuf::from("."),
    };
    let there = existing(&folder);
    if let Some(first) = there.first()
        && !args.force
    {
        let message = format!("`{}` is there already, nothing was written", first.display());
        let hint = "name another directory by `--path`, or replace what is there with `--force`";
        let hint = Some(hint.to_owned());
        return Err(Failure { class: Class::Usage, message, hint }.into());
    }
    let from = jiff::Timestamp::now();
    let subject = Subject {
        country: country(&args.country)?,
        organization: args.organization.clone(),
        name: args.name.clone().or_else(|| settings.tls_name()).unwrap_or_else(|| NAME.to_owned()),
        names: args.alternate_names.clone(),
        addresses: args.alternate_addresses.clone(),
        from,
        days: args.days,
    };
    let set = Set::make(&subject, kind(args)?).map_err(|error| {
        let name = &subject.name;
        Failure::usage(format!("no certificate can be made for `{name}`: {error}"))
            .with_hint("names are written in plain letters, digits, `-` and `.`")
    })?;
    if !args.dry_run {
        write(&folder, &set)?;
    }
    let until = from + jiff::SignedDuration::from_hours(24 * i64::from(args.days));
    Ok(printer.data(&Made {
        dry_run: args.dry_run,
        directory: shown(&folder),
        files: FILES,
        valid_until: format!("{until:.0}"),
    })?)
}

fn shown(folder: &Path) -> String {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).display().to_string()
}

fn country(code: &str) -> Result<String, Failure> {
    let good = code.is_empty() || code.len() == 2 && code.bytes().all(|b| b.is_ascii_alphabetic());
    if good {
        return Ok(code.to_ascii_uppercase());
    }
    let message = format!("`{code}` in `--country` is no country code: expected two letters");
    Err(Failure::usage(message))
}

fn kind(args: &TlsInstallArgs) -> Result<KeyKind, Failure> {
    let algorithm = match (args.algorithm, args.rsa_size) {
        (Some(algorithm), _) => algorithm,
        (None, Some(_)) => KeyAlgorithm::Rsa,
        (None, None) => KeyAlgorithm::Ecdsa,
    };
    if algorithm == KeyAlgorithm::Ecdsa {
        return Ok(KeyKind::Ecdsa);
    }
    let bits = args.rsa_size.unwrap_or(RSA_BITS);
    KeyKind::rsa(bits).ok_or_else(|| {
        Failure::usage(format!("`{bits}` in `--rsa-size` is not possible"))
            .with_hint("expected 2048, 3072 or 4096")
    })
}

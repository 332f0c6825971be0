//! `eyas sign` and `eyas attest`: who signs, with which services, and what came of it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use eyas_ops::{Form, OpsError};
use eyas_trust::{
    CommandKey, IdentityToken, MAX_KEY_BYTES, MAX_ROOT_BYTES, RootSource, Roots, Services, Signer,
    SigningKey, predicate_type,
};
use serde::Serialize;

use super::registry::{forms, parse_reference};
use crate::args::{AttestArgs, ServiceArgs, SignArgs, SignerArgs};
use crate::exit::Failure;
use crate::printer::{Document, Printer};
use crate::settings::Settings;
use crate::wiring;

/// Suffix of the bundle beside a signed file.
const BUNDLE_SUFFIX: &str = ".sigstore.json";
/// Largest file that is signed as a whole, and largest predicate.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

#[derive(Serialize)]
struct SignedDocument {
    dry_run: bool,
    reference: String,
    /// Absent while it is not known: an identity is certified when it signs.
    signed_by: Option<String>,
    stored: Vec<String>,
}

impl Document for SignedDocument {
    const KIND: &'static str = "sign";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let verb = if self.dry_run { "would sign" } else { "signed" };
        writeln!(out, "{verb} {}\n  by {}", self.reference, by(self.signed_by.as_deref()))?;
        self.stored.iter().try_for_each(|place| writeln!(out, "  at {place}"))
    }
}

/// Who signs, in words.
fn by(signer: Option<&str>) -> &str {
    signer.unwrap_or("the identity of the token")
}

#[derive(Serialize)]
struct AttestedDocument {
    dry_run: bool,
    reference: String,
    predicate_type: String,
    signed_by: Option<String>,
    stored: Vec<String>,
}

impl Document for AttestedDocument {
    const KIND: &'static str = "attest";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let verb = if self.dry_run { "would attest" } else { "attested" };
        writeln!(out, "{verb} {}\n  type {}", self.reference, self.predicate_type)?;
        writeln!(out, "  by {}", by(self.signed_by.as_deref()))?;
        self.stored.iter().try_for_each(|place| writeln!(out, "  at {place}"))
    }
}

/// Runs `sign`.
pub(crate) fn sign(args: &SignArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let signer = signer(&args.signer, &args.services, printer)?;
    if let Some(file) = &args.file {
        return sign_file(file, &signer, args.dry_run, printer);
    }
    let reference = parse_reference(args.reference.as_deref().unwrap_or_default())?;
    let client = wiring::client(settings, &args.transport, printer)?;
    let forms: Vec<Form> = forms(args.form);
    let outcome = wiring::block_on(async {
        Ok(if args.dry_run {
            eyas_ops::plan_sign(&client, &reference, &signer, &forms).await?
        } else {
            eyas_ops::sign_reference(&client, &reference, &signer, &forms).await?
        })
    })?;
    printer.data(&SignedDocument {
        dry_run: args.dry_run,
        reference: outcome.reference.to_string(),
        signed_by: Some(outcome.signed_by()).filter(|who| !who.is_empty()),
        stored: outcome.stored.iter().map(ToString::to_string).collect(),
    })?;
    Ok(())
}

fn sign_file(file: &Path, signer: &Signer, dry_run: bool, printer: &Printer) -> anyhow::Result<()> {
    let content = read(file, MAX_FILE_BYTES, "file")?;
    let mut beside = file.as_os_str().to_owned();
    beside.push(BUNDLE_SUFFIX);
    let beside = PathBuf::from(beside);
    let who = if dry_run {
        signer.public().map(|key| key.fingerprint().to_string())
    } else {
        let (bundle, record) = wiring::block_on(async {
            let outcome = eyas_trust::sign_document(&content, signer).await;
            Ok(outcome.map_err(OpsError::from)?)
        })?;
        eyas_ops::replace_file(&beside, &bundle)?;
        record.identity.or(record.key_fingerprint)
    };
    printer.data(&SignedDocument {
        dry_run,
        reference: file.display().to_string(),
        signed_by: who,
        stored: vec![beside.display().to_string()],
    })?;
    Ok(())
}

/// Runs `attest`.
pub(crate) fn attest(
    args: &AttestArgs,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let reference = parse_reference(&args.reference)?;
    let predicate_type = predicate_type(&args.predicate_type).map_err(Failure::usage)?;
    let content = read(&args.predicate, MAX_FILE_BYTES, "predicate")?;
    let predicate: serde_json::Value = serde_json::from_slice(&content).map_err(|error| {
        let name = args.predicate.display();
        Failure::usage(format!("predicate `{name}` is not JSON: {error}"))
    })?;
    let signer = signer(&args.signer, &args.services, printer)?;
    let client = wiring::client(settings, &args.transport, printer)?;
    let outcome = wiring::block_on(async {
        let kind = &predicate_type;
        Ok(if args.dry_run {
            eyas_ops::plan_sign(&client, &reference, &signer, &[Form::Bundle]).await?
        } else {
            eyas_ops::attest_reference(&client, &reference, &signer, kind, predicate).await?
        })
    })?;
    printer.data(&AttestedDocument {
        dry_run: args.dry_run,
        reference: outcome.reference.to_string(),
        predicate_type,
        signed_by: Some(outcome.signed_by()).filter(|who| !who.is_empty()),
        stored: outcome.stored.iter().map(ToString::to_string).collect(),
    })?;
    Ok(())
}

/// Whoever the flags say.
pub(super) fn signer(
    who: &SignerArgs,
    services: &ServiceArgs,
    printer: &Printer,
) -> anyhow::Result<Signer> {
    let named = named_services(services);
    let signer = if let Some(key) = &who.key {
        by_key(Signer::from(read_key(key)?), services, &named)
    } else if let Some(command) = &who.key_command {
        let argv: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let key = CommandKey::open(&argv).map_err(OpsError::from)?;
        by_key(Signer::from(key), services, &named)
    } else {
        let token = match &services.identity_token {
            Some(typed) => IdentityToken::from_value_or_file(typed),
            None => wiring::block_on(async {
                Ok(IdentityToken::ambient(|name| std::env::var(name).ok()).await)
            })?,
        };
        Signer::keyless(&named, token.map_err(OpsError::from)?)
    };
    let signer = signer.map_err(OpsError::from)?;
    match roots(services, printer)? {
        Some(roots) => Ok(signer.checked_with(roots)),
        None => Ok(signer),
    }
}

/// A signature by key is entered in a log, and stamped, only where that is asked for.
fn by_key(
    signer: Signer,
    args: &ServiceArgs,
    services: &Services,
) -> Result<Signer, eyas_trust::TrustError> {
    if args.rekor_url.is_some() { signer.logged(services) } else { Ok(signer) }
}

fn named_services(args: &ServiceArgs) -> Services {
    let public = Services::default();
    Services {
        authority: args.fulcio_url.clone().unwrap_or(public.authority),
        log: args.rekor_url.clone().unwrap_or(public.log),
        log_version: args.rekor_version,
        stamps: args.timestamp_url.clone().or(public.stamps),
    }
}

/// The root that new signatures have to hold against.
fn roots(args: &ServiceArgs, printer: &Printer) -> anyhow::Result<Option<Roots>> {
    let source = match &args.trusted_root {
        Some(file) => {
            let name = file.display().to_string();
            let json = read(file, MAX_ROOT_BYTES as u64, "trusted root")?;
            let json = String::from_utf8_lossy(&json);
            RootSource::from_json(&name, json).map_err(OpsError::from)?
        }
        None if args.fulcio_url.is_none() && args.rekor_url.is_none() => RootSource::PublicGood,
        None => {
            printer.info("the new signature is not checked: `--trusted-root` names no root for it");
            return Ok(None);
        }
    };
    Ok(Some(Roots::prepare(&[source]).map_err(OpsError::from)?))
}

/// The private key in a file or in a variable.
pub(super) fn read_key(named: &str) -> anyhow::Result<SigningKey> {
    let password = std::env::var("COSIGN_PASSWORD").ok();
    let text = if let Some(variable) = named.strip_prefix("env://") {
        std::env::var(variable).map_err(|error| {
            Failure::usage(format!("signing key `{named}` cannot be read: {error}"))
        })?
    } else {
        let bytes = read(Path::new(named), MAX_KEY_BYTES as u64, "signing key")?;
        String::from_utf8_lossy(&bytes).into_owned()
    };
    SigningKey::from_pem(&text, password.as_deref(), named)
        .map_err(|error| OpsError::from(error).into())
}

/// A file of bounded size.
pub(super) fn read(path: &Path, limit: u64, what: &str) -> Result<Vec<u8>, Failure> {
    let name = path.display();
    let failure = |why: String| Failure::usage(format!("{what} `{name}` cannot be read: {why}"));
    let found = fs::metadata(path).map_err(|error| failure(error.to_string()))?;
    if found.len() > limit {
        return Err(failure(format!("it has {} bytes, the limit is {limit}", found.len())));
    }
    fs::read(path).map_err(|error| failure(error.to_string()))
}

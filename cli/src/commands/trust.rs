//! `eyas trust …`: what is trusted, adding to it, asking it, and keeping roots current.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use eyas_artifact::{Name, Reference};
use eyas_ops::{Class, OpsError};
use eyas_trust::{
    Addition, MAX_KEY_BYTES, MAX_ROOT_BYTES, Policy, PublicKey, RootSource, add_rule,
};
use jiff::Timestamp;
use serde::Serialize;

use super::sign::read;
use crate::args::{Trust, TrustAddArgs, TrustArgs, TrustRefreshArgs, TrustShowArgs, TrustTestArgs};
use crate::exit::Failure;
use crate::listener::Teller;
use crate::printer::{Document, Printer};
use crate::roots::RootBook;
use crate::settings::{self, Settings};
use crate::wiring;

/// Runs a `trust` command.
pub(crate) fn run(command: Trust, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    match command {
        Trust::Show(args) => show(&args, settings, printer),
        Trust::Add(args) => add(&args, settings, printer),
        Trust::Test(args) => test(&args, settings, printer),
        Trust::Refresh(args) => refresh(&args, settings, printer),
    }
}

#[derive(Serialize)]
struct RuleShown {
    pattern: String,
    place: String,
    wanted: Vec<String>,
}

#[derive(Serialize)]
struct RootShown {
    name: String,
    /// When TUF last said that it is current; absent for files and for the built-in copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    refreshed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<i64>,
}

#[derive(Serialize)]
struct IndexShown {
    index: String,
    place: String,
    wanted: Vec<String>,
    signatures_honoured: bool,
}

#[derive(Serialize)]
struct ShownDocument {
    policy: String,
    rules: Vec<RuleShown>,
    roots: Vec<RootShown>,
    indexes: Vec<IndexShown>,
}

impl Document for ShownDocument {
    const KIND: &'static str = "trust.show";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "policy {}", self.policy)?;
        if self.rules.is_empty() {
            writeln!(out, "  no rule: everything is refused")?;
        }
        for rule in &self.rules {
            writeln!(out, "  {} ({})", rule.pattern, rule.place)?;
            rule.wanted.iter().try_for_each(|line| writeln!(out, "    {line}"))?;
        }
        for index in &self.indexes {
            writeln!(out, "index {} ({})", index.index, index.place)?;
            index.wanted.iter().try_for_each(|line| writeln!(out, "    {line}"))?;
            let honoured = if index.signatures_honoured { "honoured" } else { "ignored" };
            writeln!(out, "    what its entries say of signatures is {honoured}")?;
        }
        for root in &self.roots {
            match &root.refreshed_at {
                Some(time) => {
                    let days = root.age_seconds.unwrap_or(0) / 86_400;
                    writeln!(out, "root {}: current on {time}, {days} days ago", root.name)?;
                }
                None => writeln!(out, "root {}: not refreshed", root.name)?,
            }
        }
        Ok(())
    }
}

fn show(args: &TrustShowArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let policy = wiring::block_on(wiring::policy(settings, &args.trust))?;
    let only = args.reference.as_deref().map(str::parse::<Reference>).transpose();
    let only = only.map_err(OpsError::from)?;
    let rules = match &only {
        Some(reference) => policy.rule_for(reference).into_iter().collect(),
        None => policy.rules().iter().collect::<Vec<_>>(),
    };
    let rules = rules
        .into_iter()
        .map(|rule| RuleShown {
            pattern: rule.pattern().as_str().to_owned(),
            place: rule.place().to_owned(),
            wanted: rule.describe(),
        })
        .collect();
    let book = RootBook::open(settings)?;
    let now = Timestamp::now();
    let mut roots = Vec::new();
    for root in policy.roots() {
        let kept = wiring::block_on(book.kept(root.stem().unwrap_or_default()))?;
        roots.push(RootShown {
            name: root.name().to_owned(),
            refreshed_at: kept.as_ref().map(|kept| kept.refreshed_at.to_string()),
            age_seconds: kept.as_ref().map(|kept| kept.age_seconds(now)),
        });
    }
    let indexes = policy
        .indexes()
        .iter()
        .map(|index| IndexShown {
            index: index.index().to_owned(),
            place: index.rule().place().to_owned(),
            wanted: index.rule().describe(),
            signatures_honoured: index.signatures_are_honoured(),
        })
        .collect();
    let policy = policy.origin().to_owned();
    Ok(printer.data(&ShownDocument { policy, rules, roots, indexes })?)
}

#[derive(Serialize)]
struct AddedDocument {
    dry_run: bool,
    file: String,
    lines: String,
}

impl Document for AddedDocument {
    const KIND: &'static str = "trust.add";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let verb = if self.dry_run { "would be added" } else { "added" };
        writeln!(out, "{verb} to {}:", self.file)?;
        write!(out, "{}", self.lines)
    }
}

fn add(args: &TrustAddArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let policy = TrustArgs { policy: args.policy.clone(), ..TrustArgs::default() };
    let file = match settings.trust(&policy)? {
        settings::Trust::Policy { file, .. } => file,
        settings::Trust::NoVerify => {
            return Err(Failure::usage("verification is switched off by the settings").into());
        }
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let addition = addition(args, settings, &folder)?;
    let before = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(wiring::storage("read", &file, &error).into()),
    };
    let (after, lines) =
        add_rule(&before, &file.display().to_string(), &addition).map_err(OpsError::from_policy)?;
    if !args.dry_run {
        if let Addition::Root { json, .. } = &addition {
            RootBook::open(settings)?.keep(args.name.as_deref().unwrap_or_default(), json)?;
        }
        fs::create_dir_all(&folder).map_err(|error| wiring::storage("make", &folder, &error))?;
        eyas_ops::replace_file(&file, after.as_bytes())?;
    }
    let (dry_run, file) = (args.dry_run, file.display().to_string());
    Ok(printer.data(&AddedDocument { dry_run, file, lines })?)
}

fn addition(args: &TrustAddArgs, settings: &Settings, folder: &Path) -> anyhow::Result<Addition> {
    let pattern = args.pattern.clone().unwrap_or_default();
    if let Some(key) = &args.key {
        let pem = read(key, MAX_KEY_BYTES as u64, "public key")?;
        let pem = String::from_utf8_lossy(&pem);
        let public = PublicKey::from_pem(&pem, &key.display().to_string());
        let public = public.map_err(OpsError::from)?;
        // Beside the policy a key is named relative to it, so that both can be moved together.
        let absolute = fs::canonicalize(key).unwrap_or_else(|_| key.clone());
        let base = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let name = absolute.strip_prefix(&base).unwrap_or(&absolute).display().to_string();
        let fingerprint = public.fingerprint().to_string();
        return Ok(Addition::Key { pattern, file: name, fingerprint });
    }
    if let (Some(identity), Some(issuer)) = (args.identity.clone(), args.issuer.clone()) {
        return Ok(Addition::Identity { pattern, identity, issuer });
    }
    let name = args.name.clone().unwrap_or_default();
    let book = RootBook::open(settings)?;
    let json = if let Some(file) = &args.trusted_root {
        let json = read(file, MAX_ROOT_BYTES as u64, "trusted root")?;
        String::from_utf8_lossy(&json).into_owned()
    } else {
        let (url, root) = (args.tuf_url.clone().unwrap_or_default(), args.tuf_root.clone());
        let root = read(&root.unwrap_or_default(), MAX_ROOT_BYTES as u64, "root.json")?;
        wiring::block_on(async {
            if args.dry_run {
                book.look(&name, &url, &root).await
            } else {
                book.subscribe(&name, &url, &root).await
            }
        })?
    };
    RootSource::from_json(&name, &json).map_err(OpsError::from)?;
    Ok(Addition::Root { file: book.place(&name)?.display().to_string(), json })
}

#[derive(Serialize)]
struct TestedReference {
    #[serde(rename = "ref")]
    reference: String,
    accepted: bool,
    /// What was checked, for what is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<eyas_trust::Explanation>,
    /// Why not, for what is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
}

#[derive(Serialize)]
struct TestedDocument {
    policy: String,
    rules: usize,
    references: Vec<TestedReference>,
}

impl Document for TestedDocument {
    const KIND: &'static str = "trust.test";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "policy {}: {} rules, all readable", self.policy, self.rules)?;
        for tested in &self.references {
            match &tested.refusal {
                None => writeln!(out, "accepted {}", tested.reference)?,
                Some(why) => writeln!(out, "refused  {}\n  {why}", tested.reference)?,
            }
        }
        Ok(())
    }
}

fn test(args: &TrustTestArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let names: Result<Vec<Name>, _> =
        args.references.iter().map(|text| super::parse_name(text)).collect();
    let names = names?;
    let policy = wiring::block_on(wiring::policy(settings, &args.trust))?;
    let (origin, rules) = (policy.origin().to_owned(), policy.rules().len());
    let trust = wiring::block_on(wiring::trust(settings, &args.trust, printer))?;
    let client = wiring::client(settings, &args.transport, printer)?;
    let platform = wiring::platform(None)?;
    let teller = Teller::new(printer.clone());
    let references = wiring::block_on(async {
        let catalog =
            super::artifact::catalog_for(&names, settings, &args.indexes, &client, printer).await?;
        let mut tested = Vec::with_capacity(names.len());
        for (name, typed) in names.iter().zip(&args.references) {
            let reference = typed.clone();
            let found = eyas_ops::verify(&client, &catalog, &trust, name, &platform, &teller).await;
            tested.push(match found {
                Ok(explanation) => TestedReference {
                    reference,
                    accepted: true,
                    explanation: Some(explanation),
                    refusal: None,
                },
                Err(error) if error.class() == Class::Verification => TestedReference {
                    reference,
                    accepted: false,
                    explanation: None,
                    refusal: Some(error.to_string()),
                },
                Err(error) => return Err(error.into()),
            });
        }
        Ok(tested)
    })?;
    let refused = references.iter().filter(|tested| !tested.accepted).count();
    printer.data(&TestedDocument { policy: origin, rules, references })?;
    if refused == 0 {
        return Ok(());
    }
    let message = format!("{refused} of {} references would be refused", names.len());
    Err(Failure { class: Class::Verification, message, hint: None }.into())
}

#[derive(Serialize)]
struct RefreshedRoot {
    name: String,
    refreshed_at: Option<String>,
    age_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

#[derive(Serialize)]
struct RefreshedDocument {
    dry_run: bool,
    roots: Vec<RefreshedRoot>,
}

impl Document for RefreshedDocument {
    const KIND: &'static str = "trust.refresh";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        for root in &self.roots {
            let Some(why) = &root.failure else {
                let verb = if self.dry_run { "would be" } else { "is" };
                writeln!(out, "root {} {verb} current", root.name)?;
                continue;
            };
            writeln!(out, "root {} was not refreshed: {why}", root.name)?;
            match (&root.refreshed_at, root.age_seconds) {
                (Some(time), Some(age)) => {
                    let days = age / 86_400;
                    writeln!(out, "  the copy of {time} stays in use, {days} days old")?;
                }
                _ => writeln!(out, "  none is kept; the policy's own is in use")?,
            }
        }
        Ok(())
    }
}

fn refresh(args: &TrustRefreshArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let book = RootBook::open(settings)?;
    let names = if args.names.is_empty() { book.names()? } else { args.names.clone() };
    let now = Timestamp::now();
    let mut roots = Vec::new();
    for name in names {
        let fetched = wiring::block_on(async {
            if args.dry_run { book.preview(&name).await } else { book.refresh(&name).await }
        });
        let (kept, failure) = match fetched {
            Ok(kept) => (Some(kept), None),
            Err(error) => (wiring::block_on(book.kept(&name))?, Some(error.to_string())),
        };
        roots.push(RefreshedRoot {
            name,
            refreshed_at: kept.as_ref().map(|kept| kept.refreshed_at.to_string()),
            age_seconds: kept.as_ref().map(|kept| kept.age_seconds(now)),
            failure,
        });
    }
    let failed = roots.iter().filter(|root| root.failure.is_some()).count();
    let all = roots.len();
    printer.data(&RefreshedDocument { dry_run: args.dry_run, roots })?;
    if failed == 0 {
        return Ok(());
    }
    let message = format!("{failed} of {all} trusted roots were not refreshed");
    Err(Failure { class: Class::Network, message, hint: None }.into())
}

/// Uses what is kept of each root that the policy trusts.
pub(crate) async fn with_kept_roots(policy: Policy, settings: &Settings) -> anyhow::Result<Policy> {
    let book = RootBook::open(settings)?;
    let mut policy = policy;
    let stems: Vec<String> =
        policy.roots().iter().filter_map(|root| root.stem()).map(str::to_owned).collect();
    for stem in stems {
        if let Some(kept) = book.kept(&stem).await? {
            policy = policy.with_root(&kept.source);
        }
    }
    Ok(policy)
}

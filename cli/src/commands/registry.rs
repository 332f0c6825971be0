//! `eyas registry …`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use eyas_artifact::{Kind, Name, Reference, Version};
use eyas_ops::{Content, Form, Listing, OpsError, PushRequest, Pushed};
use eyas_trust::{Signer, SigningKey};
use serde::Serialize;
use tokio::net::TcpListener;

use super::{auth, compatible};
use crate::args::{KeygenArgs, PullArgs, PushArgs, Registry, ServeArgs, SignForm, SignerArgs};
use crate::exit::Failure;
use crate::listener::Teller;
use crate::phrases;
use crate::printer::{Document, Printer};
use crate::settings::{Settings, parse_from};
use crate::{probe, wiring};

/// Runs a `registry` command.
pub(crate) fn run(command: Registry, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    match command {
        Registry::Push(args) => push(&args, settings, printer),
        Registry::Pull(args) => pull(&args, settings, printer),
        Registry::Serve(args) => serve(&args, printer),
        Registry::Auth(command) => auth::run(command, settings, printer),
        Registry::Logout(args) => auth::logout(&args, settings, printer),
        Registry::Keygen(args) => keygen(&args, printer),
    }
}

/// What both kinds of push tell.
#[derive(Serialize)]
struct PushedTo {
    dry_run: bool,
    reference: String,
    digest: String,
    tags: Vec<String>,
    size_bytes: u64,
    signed_by: Option<String>,
}

impl PushedTo {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "  {}", self.reference)?;
        writeln!(out, "  tags: {}", self.tags.join(", "))?;
        match &self.signed_by {
            _ if self.dry_run => Ok(()),
            Some(who) => writeln!(out, "  signed by {who}"),
            None => writeln!(out, "  not signed"),
        }
    }
}

#[derive(Serialize)]
struct PushedDocument {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    version: String,
    #[serde(flatten)]
    to: PushedTo,
}

impl Document for PushedDocument {
    const KIND: &'static str = "registry.push";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let verb = if self.to.dry_run { "would push" } else { "pushed" };
        writeln!(out, "{verb} {} {} ({})", self.name, self.version, self.kind)?;
        self.to.text(out)
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct PushedIndexDocument(PushedTo);

impl Document for PushedIndexDocument {
    const KIND: &'static str = "registry.push-index";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let verb = if self.0.dry_run { "would push" } else { "pushed" };
        writeln!(out, "{verb} the index")?;
        self.0.text(out)
    }
}

fn push(args: &PushArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    if args.kind == "index" {
        return push_index(args, settings, printer);
    }
    let request = push_request(args, printer)?;
    if args.dry_run {
        let planned = eyas_ops::plan_push(&request)?;
        return Ok(printer.data(&pushed_document(planned, &request, true))?);
    }
    let listing = args.update_index.as_ref().map(|index| (index, request.kind));
    let client = wiring::client(settings, &args.transport, printer)?;
    let compatible = compatible::speaks(printer);
    if compatible {
        printer.record(&phrases::pushing(&args.reference, request.kind.as_str()));
    }
    let pushed = wiring::block_on(async { Ok(eyas_ops::push(&client, &request).await?) })?;
    if let Some((index, kind)) = listing {
        let key = args.sign_key.as_deref().and_then(|key| public_half(Path::new(key), printer));
        let listing = Listing {
            name: pushed.name.clone(),
            kind,
            reference: pushed.reference.clone(),
            description: args.description.clone(),
            keywords: args.keywords.clone(),
            source: args.annotation_source.clone(),
            key,
        };
        eyas_ops::update_index_file(index, &listing)?;
        printer.info(format!("`{}` lists {}", index.display(), pushed.name));
    }
    if compatible {
        let (kind, digest) = (request.kind.as_str(), pushed.digest.to_string());
        printer.record(&phrases::pushed(&args.reference, kind, &digest));
        return Ok(());
    }
    Ok(printer.data(&pushed_document(pushed, &request, false))?)
}

fn pushed_document(pushed: Pushed, request: &PushRequest, dry_run: bool) -> PushedDocument {
    PushedDocument {
        name: pushed.name,
        kind: request.kind,
        version: request.version.to_string(),
        to: PushedTo {
            dry_run,
            reference: pushed.reference.to_string(),
            digest: pushed.digest.to_string(),
            tags: pushed.tags,
            size_bytes: pushed.size,
            signed_by: pushed.signed_by,
        },
    }
}

/// Pushes an index file, to be used as `oci://REF`.
fn push_index(args: &PushArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let [file] = args.files.as_slice() else {
        return Err(Failure::usage("an index is one file").into());
    };
    let pushed = if args.dry_run {
        eyas_ops::plan_index(&parse_reference(&args.reference)?, file, &args.tags)?
    } else {
        let signing = signing(args, printer)?;
        let reference = parse_target(&args.reference)?;
        let client = wiring::client(settings, &args.transport, printer)?;
        wiring::block_on(async {
            let (tags, signing) = (&args.tags, signing.as_ref());
            Ok(eyas_ops::push_index(&client, &reference, file, tags, signing).await?)
        })?
    };
    printer.data(&PushedIndexDocument(PushedTo {
        dry_run: args.dry_run,
        reference: pushed.reference.to_string(),
        digest: pushed.digest.to_string(),
        tags: pushed.tags,
        size_bytes: pushed.size,
        signed_by: pushed.signed_by,
    }))?;
    Ok(())
}

/// Whoever the flags say, and in which forms.
fn signing(args: &PushArgs, printer: &Printer) -> anyhow::Result<Option<(Signer, Vec<Form>)>> {
    let who = SignerArgs {
        key: args.sign_key.clone(),
        key_command: args.sign_key_command.clone(),
        keyless: args.sign_keyless,
    };
    if who.key.is_none() && who.key_command.is_none() && !who.keyless {
        return Ok(None);
    }
    Ok(Some((super::sign::signer(&who, &args.services, printer)?, forms(args.sign_form))))
}

fn push_request(args: &PushArgs, printer: &Printer) -> anyhow::Result<PushRequest> {
    let kind = wiring::kind(&args.kind, "`--type`")?;
    let Some(version) = &args.version else {
        return Err(Failure::usage(format!("a {kind} needs a `--version`")).into());
    };
    let version: Version = parse_from(version, "`--version`", "a version such as `1.4.0`")?;
    let dependencies: Result<_, _> =
        args.depends_on.iter().map(|text| eyas_ops::parse_dependency(text)).collect();
    let requirements: Result<_, _> =
        args.requires.iter().map(|text| eyas_ops::parse_requirement(text)).collect();
    let (reference, signing) = if args.dry_run {
        (parse_reference(&args.reference)?, None)
    } else {
        (parse_target(&args.reference)?, signing(args, printer)?)
    };
    Ok(PushRequest {
        reference,
        kind,
        name: args.name.clone(),
        version,
        content: content(args, kind)?,
        tags: args.tags.clone(),
        floating_tags: args.add_floating_tags,
        dependencies: dependencies?,
        requirements: requirements?,
        source: args.annotation_source.clone(),
        signing,
    })
}

fn content(args: &PushArgs, kind: Kind) -> anyhow::Result<Content> {
    if kind != Kind::Plugin && !args.platforms.is_empty() {
        return Err(Failure::usage(format!("`--platform` is for plugins, not for a {kind}")).into());
    }
    match kind {
        Kind::Probe => probe::content(args),
        _ if args.embedded => {
            Err(Failure::usage(format!("`--embedded` is for probes, not for a {kind}")).into())
        }
        Kind::Plugin if !args.platforms.is_empty() => {
            if args.platforms.len() != args.files.len() {
                let (platforms, files) = (args.platforms.len(), args.files.len());
                let message =
                    format!("{platforms} `--platform` for {files} files, expected one for each");
                return Err(Failure::usage(message).into());
            }
            let platforms: anyhow::Result<Vec<_>> =
                args.platforms.iter().map(|text| wiring::platform(Some(text))).collect();
            let pairs = platforms?.into_iter().zip(args.files.iter().cloned());
            Ok(Content::PerPlatform(pairs.collect()))
        }
        _ => Ok(Content::Files(args.files.clone())),
    }
}

/// A reference that must have a registry.
pub(super) fn parse_reference(text: &str) -> Result<Reference, OpsError> {
    Ok(text.parse::<Reference>()?)
}

/// A reference to push to; a directory that it names is made when it does not exist.
fn parse_target(text: &str) -> Result<Reference, OpsError> {
    let reference = parse_reference(text)?;
    if let Some(directory) = eyas_oci::layout_of_host(reference.registry()) {
        eyas_ops::prepare_layout(&directory, false)?;
    }
    Ok(reference)
}

pub(super) fn forms(form: SignForm) -> Vec<Form> {
    match form {
        SignForm::Classic => vec![Form::Classic],
        SignForm::Bundle => vec![Form::Bundle],
        SignForm::Both => vec![Form::Classic, Form::Bundle],
    }
}

/// The public key beside a private one: `release` or `release.key` has `release.pub`.
fn public_half(key: &Path, printer: &Printer) -> Option<PathBuf> {
    let mut appended = key.as_os_str().to_owned();
    appended.push(".pub");
    let found = [PathBuf::from(appended), key.with_extension("pub")];
    let found = found.into_iter().find(|path| path.is_file());
    if found.is_none() {
        printer.warn(format!(
            "the index does not say how `{}` is verified: no public key is beside it",
            key.display()
        ));
    }
    found
}

#[derive(Serialize)]
struct PulledDocument {
    dry_run: bool,
    #[serde(rename = "type")]
    kind: Kind,
    reference: String,
    digest: String,
    size_bytes: u64,
    path: String,
}

impl Document for PulledDocument {
    const KIND: &'static str = "registry.pull";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let would = if self.dry_run { "would write " } else { "" };
        writeln!(out, "{would}{}", self.path)
    }
}

fn pull(args: &PullArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let client = wiring::client(settings, &args.transport, printer)?;
    let platform = wiring::platform(args.platform.as_deref())?;
    let name: Name = super::parse_name(&args.reference)?;
    let teller = Teller::new(printer.clone());
    let compatible = compatible::speaks(printer) && !args.dry_run;
    if compatible {
        let directory = args.dest_dir.display().to_string();
        let other = Some(directory.as_str()).filter(|_| args.dest_dir != Path::new("."));
        for record in phrases::pulling(&args.reference, other) {
            printer.record(&record);
        }
    }
    let pulled = wiring::block_on(async {
        let needed = matches!(name, Name::Indexed { .. });
        let catalog = wiring::catalog(settings, &args.indexes, &client, &teller, needed).await?;
        let reference = catalog.resolve(&name)?;
        let dir = &args.dest_dir;
        Ok(if args.dry_run {
            eyas_ops::plan_pull(&client, &reference, &platform, dir).await?
        } else {
            eyas_ops::pull(&client, &reference, &platform, dir, &teller).await?
        })
    })?;
    if compatible {
        let digest = pulled.reference.digest().map(ToString::to_string).unwrap_or_default();
        printer.record(&phrases::pulled(&args.reference, pulled.kind.as_str(), &digest));
        return Ok(());
    }
    if !args.dry_run {
        printer.info("pulled as it is: nothing was verified or unpacked");
    }
    printer.data(&PulledDocument {
        dry_run: args.dry_run,
        kind: pulled.kind,
        reference: pulled.reference.to_string(),
        digest: pulled.digest.to_string(),
        size_bytes: pulled.size,
        path: pulled.path.display().to_string(),
    })?;
    Ok(())
}

#[derive(Serialize)]
struct ServingDocument {
    address: String,
    directory: String,
    read_only: bool,
}

impl Document for ServingDocument {
    const KIND: &'static str = "registry.serve";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.address)
    }
}

fn serve(args: &ServeArgs, printer: &Printer) -> anyhow::Result<()> {
    // The embedded server may be the first in this process to speak TLS.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let tls = args.tls_cert.as_deref().zip(args.tls_key.as_deref());
    let guarded = eyas_ops::Guarded::read(args.user_file.as_deref(), tls)?;
    eyas_ops::prepare_layout(&args.dir, args.read_only)?;
    wiring::block_on(async {
        let failed = |source| OpsError::Listen { address: args.listen.to_string(), source };
        let listener = TcpListener::bind(args.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let lacking = match (args.tls_cert.is_some(), args.user_file.is_some()) {
            (true, true) => None,
            (true, false) => Some("without login"),
            (false, true) => Some("without TLS"),
            (false, false) => Some("without TLS and without login"),
        };
        if let Some(lacking) = lacking.filter(|_| !address.ip().is_loopback()) {
            printer.warn(format!("`{address}` can be reached from other machines, {lacking}"));
        }
        printer.data(&ServingDocument {
            address: address.to_string(),
            directory: args.dir.display().to_string(),
            read_only: args.read_only,
        })?;
        let stop = crate::signals::until_told();
        eyas_ops::serve(&args.dir, listener, args.read_only, guarded, stop).await?;
        Ok(())
    })
}

#[derive(Serialize)]
struct KeyDocument {
    dry_run: bool,
    private_key: String,
    public_key: String,
    /// Absent while there is no key.
    fingerprint: Option<String>,
}

impl Document for KeyDocument {
    const KIND: &'static str = "registry.keygen";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let would = if self.dry_run { "would make " } else { "" };
        writeln!(out, "{would}private key: {}", self.private_key)?;
        writeln!(out, "{would}public key:  {}", self.public_key)?;
        self.fingerprint.iter().try_for_each(|print| writeln!(out, "fingerprint: {print}"))
    }
}

fn keygen(args: &KeygenArgs, printer: &Printer) -> anyhow::Result<()> {
    let mut public = args.file.as_os_str().to_owned();
    public.push(".pub");
    let public = PathBuf::from(public);
    if let Some(there) = [&args.file, &public].into_iter().find(|path| path.exists()) {
        let message =
            format!("`{}` exists already, and a key is never overwritten", there.display());
        return Err(Failure::usage(message).with_hint("choose another name").into());
    }
    let fingerprint = if args.dry_run { None } else { Some(make_key(&args.file, &public)?) };
    printer.data(&KeyDocument {
        dry_run: args.dry_run,
        private_key: args.file.display().to_string(),
        public_key: public.display().to_string(),
        fingerprint,
    })?;
    Ok(())
}

/// Makes a key in two files; gives its fingerprint.
fn make_key(private: &Path, public: &Path) -> anyhow::Result<String> {
    let key = SigningKey::generate().map_err(OpsError::from)?;
    let pem = match std::env::var("COSIGN_PASSWORD").ok().filter(|password| !password.is_empty()) {
        Some(password) => key.to_encrypted_pem(&password),
        None => key.to_pem(),
    };
    write_new(private, pem.map_err(OpsError::from)?.as_bytes(), 0o600)?;
    write_new(public, key.public_pem().as_bytes(), 0o644)?;
    Ok(key.public().fingerprint().to_string())
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(|error| wiring::storage("write", path, &error))
}

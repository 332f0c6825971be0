//! `eyas driver install` and `eyas driver cleanup`.
//!
//! The new driver is there and checked before the old one goes: a host whose repository is down
//! keeps what it has.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use eyas_oci::{Ask, BlobSink, Client, OciError, Secret};
use eyas_ops::Class;
use eyas_trust::{MAX_KEY_BYTES, PublicKey};
use serde::Serialize;
use url::Url;

use super::Host;
use crate::args::{DriverCleanupArgs, DriverInstallArgs, UnloadArgs};
use crate::driver::build::{self, NotBuilt, Recipe};
use crate::driver::kept::{self, New};
use crate::driver::module::{self, Unloaded};
use crate::driver::proof::{self, MAX_MODULE_BYTES, MAX_PROOF_BYTES, Proof};
use crate::driver::{self, DriverKind, Names, Ran};
use crate::exit::Failure;
use crate::printer::{Document, Printer};
use crate::wiring;

/// Longest time for one fetch when nothing else is said.
const HTTP_TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Serialize)]
struct Installed {
    dry_run: bool,
    driver: &'static str,
    /// The file that was loaded; none where none is needed or the host's own was taken.
    file: Option<String>,
    loaded: bool,
    message: String,
}

impl Document for Installed {
    const KIND: &'static str = "driver.install";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.message)
    }
}

/// Runs `driver install`.
pub(super) fn run(host: &Host, args: &DriverInstallArgs, printer: &Printer) -> anyhow::Result<()> {
    let done = |file: Option<&Path>, loaded: bool, message: String| {
        let file = file.map(|path| path.display().to_string());
        let (driver, dry_run) = (host.kind.as_str(), args.dry_run);
        Ok(printer.data(&Installed { dry_run, driver, file, loaded, message })?)
    };
    if host.kind == DriverKind::ModernEbpf {
        return done(None, false, "`modern_ebpf` needs no files: nothing to do".to_owned());
    }
    let work = Work::new(host, args, printer)?;
    if !work.download && !work.compile {
        return done(None, false, "fetching and building are both off: nothing to do".to_owned());
    }
    if args.dry_run {
        return done(None, false, work.plan()?);
    }
    let names = &work.names;
    match work.obtain() {
        Ok(file) => {
            unload(names, &args.unload, printer)?;
            let ran = module::load(&file).map_err(|error| work.storage("load", &file, &error))?;
            succeeded(ran, "insmod").map_err(|why| {
                let hint = "the kernel's own log (`dmesg`) says more";
                Failure { class: Class::Failed, message: why, hint: Some(hint.to_owned()) }
            })?;
            done(Some(&file), true, format!("`{}` is loaded", file.display()))
        }
        Err(failure) => {
            // A module that the host brought along is the host's own.
            let module = names.module();
            let ran = module::load_of_host(&module)
                .map_err(|error| work.storage("load", Path::new(&module), &error))?;
            if succeeded(ran, "modprobe").is_err() {
                return Err(failure);
            }
            printer.warn(failure.to_string());
            done(None, true, format!("module `{module}` of the host is loaded instead"))
        }
    }
}

/// Runs `driver cleanup`.
pub(super) fn cleanup(
    host: &Host,
    args: &DriverCleanupArgs,
    printer: &Printer,
) -> anyhow::Result<()> {
    let names = Names::new(&host.settings.name, &host.version, &host.target);
    let module = names.module();
    let message = if host.kind == DriverKind::ModernEbpf {
        "`modern_ebpf` leaves nothing behind: nothing to do".to_owned()
    } else if args.dry_run {
        format!("module `{module}` would be unloaded, and its versions removed from DKMS")
    } else {
        unload(&names, &args.unload, printer)?;
        format!("module `{module}` is not loaded any more")
    };
    let (driver, dry_run) = (host.kind.as_str(), args.dry_run);
    Ok(printer.data(&Installed { dry_run, driver, file: None, loaded: false, message })?)
}

/// Takes the module out of the kernel and of DKMS.
fn unload(names: &Names, args: &UnloadArgs, printer: &Printer) -> anyhow::Result<()> {
    let module = names.module();
    let failed = |error: io::Error| wiring::storage("unload", Path::new(&module), &error);
    let patience = Duration::from_secs(u64::from(args.unload_timeout));
    let tell = |why: &str| printer.warn(format!("module `{module}` is in use, waiting: {why}"));
    match module::unload(&module, patience, tell).map_err(failed)? {
        Unloaded::Absent => printer.info(format!("module `{module}` is not loaded")),
        Unloaded::Done => printer.info(format!("module `{module}` is unloaded")),
        Unloaded::InUse(why) => {
            let message = format!("module `{module}` cannot be unloaded: {why}");
            let hint = "stop what uses it (see `lsmod`), then run this again".to_owned();
            return Err(Failure { class: Class::Failed, message, hint: Some(hint) }.into());
        }
    }
    for version in module::managed_versions(&module).map_err(failed)? {
        let ran = module::remove_managed(&module, &version).map_err(failed)?;
        match succeeded(ran, "dkms") {
            Ok(()) => printer.info(format!("`{module}` {version} is removed from DKMS")),
            Err(why) => printer.warn(why),
        }
    }
    Ok(())
}

fn succeeded(ran: Option<Ran>, program: &str) -> Result<(), String> {
    match ran {
        None => Err(format!("`{program}` is not on the path")),
        Some(ran) if ran.success => Ok(()),
        Some(ran) => Err(ran.failure()),
    }
}

/// One installation.
struct Work<'a> {
    host: &'a Host,
    args: &'a DriverInstallArgs,
    printer: &'a Printer,
    names: Names,
    kept: PathBuf,
    download: bool,
    compile: bool,
}

impl<'a> Work<'a> {
    fn new(
        host: &'a Host,
        args: &'a DriverInstallArgs,
        printer: &'a Printer,
    ) -> anyhow::Result<Self> {
        let names = Names::new(&host.settings.name, &host.version, &host.target);
        if names.file.contains('/') {
            let message = format!("`{}` cannot be the name of a driver", names.file);
            return Err(Failure::usage(message).into());
        }
        let home = host.settings.home.as_deref().ok_or_else(|| {
            Failure::usage("no place to keep the driver: `HOME` is not set")
                .with_hint("set `HOME` to a directory that stays")
        })?;
        let kept = names.kept(home);
        let mut download = args.download.unwrap_or(true);
        let compile = args.compile.unwrap_or(true);
        if host.target.is_undetermined() && download {
            printer.warn("this distribution is not known, so that nobody builds drivers for it");
            download = false;
            if !compile {
                let message = "no driver can be fetched for an unknown distribution".to_owned();
                let hint = Some("allow building it here with `--compile`".to_owned());
                return Err(Failure { class: Class::Failed, message, hint }.into());
            }
        }
        Ok(Self { host, args, printer, names, kept, download, compile })
    }

    /// What would be done, in words.
    fn plan(&self) -> anyhow::Result<String> {
        let proof = self.proof()?;
        if kept::is_intact(&self.kept) && !matches!(proof, Some(Proof::Digest(_))) {
            return Ok(format!("`{}` is there already and would be loaded", self.kept.display()));
        }
        let mut steps = Vec::new();
        if self.download && proof.is_some() {
            let places = self.host.settings.repositories.iter();
            let places: Vec<_> = places.map(|place| self.names.address(place)).collect();
            steps.push(format!("{} would be fetched and checked", places.join(" or else ")));
        } else if self.download {
            steps.push(
                "nothing would be fetched, since there is nothing to check it against".to_owned(),
            );
        }
        if self.compile {
            let (name, version) = (&self.names.name, &self.names.version);
            steps.push(match driver::source(&self.host.roots(), name, version) {
                Some(source) => {
                    format!("failing that, it would be built from {}", source.display())
                }
                None => format!("it could not be built: no sources of `{name}` {version} are here"),
            });
        }
        Ok(steps.join("; "))
    }

    /// The driver, checked: kept from before, fetched or built.
    fn obtain(&self) -> anyhow::Result<PathBuf> {
        let proof = self.proof()?;
        if kept::is_intact(&self.kept) {
            let fits = match &proof {
                Some(Proof::Digest(expected)) => {
                    proof::digest_of(&self.kept).is_ok_and(|found| found == *expected)
                }
                _ => true,
            };
            if fits {
                self.printer.info(format!("`{}` is there already", self.kept.display()));
                return Ok(self.kept.clone());
            }
        }
        let mut reason = None;
        if self.download {
            match self.fetch(proof.as_ref()) {
                Ok(file) => return Ok(file),
                Err(error) if self.compile => self.printer.warn(crate::exit::message_of(&error)),
                Err(error) => reason = Some(error),
            }
        }
        match reason {
            Some(reason) => Err(reason),
            None => self.build(),
        }
    }

    /// What a fetched driver is checked against, if the user said.
    fn proof(&self) -> anyhow::Result<Option<Proof>> {
        if let Some(text) = &self.args.sha256 {
            let digest = proof::parse_digest(text).ok_or_else(|| {
                let message = format!("`{text}` in `--sha256` is no digest");
                Failure::usage(message).with_hint("give 64 hexadecimal digits")
            })?;
            return Ok(Some(Proof::Digest(digest)));
        }
        if let Some(path) = &self.args.key {
            let unreadable = |why: String| {
                Failure::usage(format!("key `{}` cannot be used: {why}", path.display()))
            };
            let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
            if size.len() > MAX_KEY_BYTES as u64 {
                return Err(unreadable(format!("it has more than {MAX_KEY_BYTES} bytes")).into());
            }
            let pem = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
            let key = PublicKey::from_pem(&pem, &path.display().to_string())
                .map_err(|error| unreadable(error.to_string()))?;
            return Ok(Some(Proof::Signature(Box::new(key))));
        }
        Ok(self.args.trust_checksum.then_some(Proof::ChecksumBeside))
    }

    /// Fetches the driver from the first repository that has it, and checks it.
    fn fetch(&self, proof: Option<&Proof>) -> anyhow::Result<PathBuf> {
        let Some(proof) = proof else {
            let message = format!(
                "`{}` is not fetched, since there is nothing to check it against",
                self.names.file
            );
            let hint = "give its digest by `--sha256`, or the public key of its builder by `--key`; `--trust-checksum` accepts the checksum beside it";
            let hint = Some(hint.to_owned());
            return Err(Failure { class: Class::Verification, message, hint }.into());
        };
        let client = self.client()?;
        let mut last = None;
        for repository in &self.host.settings.repositories {
            let address = self.names.address(repository);
            match self.fetch_from(&client, &address, proof) {
                Ok(file) => return Ok(file),
                Err(error) => {
                    if let Some(before) = last.replace(error) {
                        self.printer.warn(crate::exit::message_of(&before));
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("no repository of drivers is configured")))
    }

    fn fetch_from(&self, client: &Client, address: &str, proof: &Proof) -> anyhow::Result<PathBuf> {
        let url = Url::parse(address)
            .map_err(|error| Failure::usage(format!("`{address}` is no address: {error}")))?;
        self.printer.info(format!("fetching {address}"));
        let new = New::beside(&self.kept).map_err(|e| self.storage("write", &self.kept, &e))?;
        let mut sink = Sink(new);
        let beside = wiring::block_on(async {
            let limit = self.args.http_timeout.unwrap_or(HTTP_TIMEOUT);
            let late = || {
                let message = format!("`{address}` took longer than {} s", limit.as_secs());
                let hint = Some("allow more time by `--http-timeout`".to_owned());
                Failure { class: Class::Network, message, hint }
            };
            let ask = self.ask(url.clone())?;
            let bring = client.fetch_into(&ask, MAX_MODULE_BYTES, &mut sink);
            tokio::time::timeout(limit, bring).await.map_err(|_| late())?.map_err(network)?;
            let Some(ending) = proof.beside() else { return Ok(Vec::new()) };
            let mut beside = url.clone();
            beside.set_path(&format!("{}{ending}", url.path()));
            let ask = self.ask(beside.clone())?;
            let answer = client.ask(&ask, MAX_PROOF_BYTES);
            let reply = tokio::time::timeout(limit, answer).await.map_err(|_| late())?;
            let reply = reply.map_err(network)?;
            if reply.status != 200 {
                let message = format!("`{beside}` is missing, so that the driver is not used");
                let hint = Some("ask its builder for it, or give `--sha256`".to_owned());
                return Err(Failure { class: Class::Verification, message, hint }.into());
            }
            Ok(reply.body)
        })?;
        self.accept(sink.0, Some((proof, &beside)), address)
    }

    /// Checks a new file and keeps it.
    fn accept(
        &self,
        new: New,
        proof: Option<(&Proof, &[u8])>,
        origin: &str,
    ) -> anyhow::Result<PathBuf> {
        let refused = |why: String| {
            let message = format!("`{origin}` is not used: {why}");
            let hint = Some("nothing was loaded; the driver that runs was not touched".to_owned());
            Failure { class: Class::Verification, message, hint }
        };
        let digest =
            proof::digest_of(new.path()).map_err(|e| self.storage("read", new.path(), &e))?;
        if let Some((proof, beside)) = proof {
            proof.check(new.path(), digest, beside).map_err(refused)?;
        }
        proof::check_module(new.path(), &self.names.architecture).map_err(refused)?;
        Ok(new.keep(digest).map_err(|error| self.storage("keep", &self.kept, &error))?)
    }

    fn client(&self) -> anyhow::Result<Client> {
        // Only the first call per process does something, and its outcome is the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut config = eyas_oci::ClientConfig::default();
        config.timeouts.answer = self.args.http_timeout.unwrap_or(HTTP_TIMEOUT);
        if self.args.http_insecure {
            config.default_registry.verification = eyas_oci::Verification::AcceptAnyCertificate;
        }
        let printer = self.printer.clone();
        config.listener = wiring::notices(&printer);
        Ok(Client::new(config).map_err(network)?)
    }

    fn ask(&self, url: Url) -> Result<Ask, Failure> {
        let mut ask = Ask::get(url);
        for header in self.args.http_headers.iter().flat_map(|list| list.split(',')) {
            let Some((name, value)) = header.split_once(':') else {
                // It may hold a password.
                let message = "a header in `--http-headers` has no `:`".to_owned();
                return Err(Failure::usage(message).with_hint("write `name: value,name: value`"));
            };
            ask.headers.push((name.trim().to_owned(), Secret::new(value.trim())));
        }
        Ok(ask)
    }

    /// Builds the driver from its sources.
    fn build(&self) -> anyhow::Result<PathBuf> {
        let (name, version) = (&self.names.name, &self.names.version);
        let failed = |message: String, hint: &str| Failure {
            class: Class::Failed,
            message,
            hint: Some(hint.to_owned()),
        };
        let source = driver::source(&self.host.roots(), name, version).ok_or_else(|| {
            let message = format!("there are no sources of `{name}` {version} under `/usr/src`");
            failed(message, "install the package with the driver's sources")
        })?;
        let headers = self.headers()?;
        self.printer.info(format!("building {} for `{}`", source.display(), headers.display()));
        let mut scratch = self.kept.as_os_str().to_owned();
        scratch.push(format!(".build-{}", std::process::id()));
        let scratch = Scratch::new(scratch.into())
            .map_err(|(path, error)| self.storage("create", &path, &error))?;
        let module = self.names.module();
        let recipe =
            Recipe { source: &source, headers: &headers, scratch: &scratch.0, module: &module };
        let made = build::build(&recipe).map_err(|why| match why {
            NotBuilt::NoMake => {
                let message = "the driver cannot be built: `make` is not on the path".to_owned();
                failed(message, "install `make` and a compiler")
            }
            NotBuilt::Failed(why) => {
                failed(why, "a compiler that fits the kernel and its headers are needed")
            }
            NotBuilt::Nothing(path) => {
                let message = format!("`make` made no `{}`", path.display());
                failed(message, "the sources do not belong to this driver")
            }
            NotBuilt::Io(path, error) => self.storage("build", &path, &error),
        })?;
        let mut new = New::beside(&self.kept).map_err(|e| self.storage("write", &self.kept, &e))?;
        let bytes = std::fs::read(&made).map_err(|error| self.storage("read", &made, &error))?;
        new.write(&bytes).map_err(|error| self.storage("write", &self.kept, &error))?;
        self.accept(new, None, &made.display().to_string())
    }

    /// The headers of the kernel, brought by the package manager where they are missing.
    fn headers(&self) -> anyhow::Result<PathBuf> {
        let release = &self.host.kernel.release;
        let find = || build::headers(&self.host.roots(), release);
        if let Some(headers) = find() {
            return Ok(headers);
        }
        let command = build::headers_command(&self.host.target.id, release);
        let mut tried = String::new();
        if let Some([program, arguments @ ..]) = command.as_deref()
            && self.args.download_headers.unwrap_or(true)
        {
            self.printer.info(format!("installing the headers of kernel `{release}`"));
            let ran = driver::run(program, arguments, None)
                .map_err(|error| self.storage("run", Path::new(program), &error))?;
            if let Err(why) = succeeded(ran, program) {
                tried = format!("; {why}");
            }
            if let Some(headers) = find() {
                return Ok(headers);
            }
        }
        let message =
            format!("the driver cannot be built: `/lib/modules/{release}/build` is missing{tried}");
        let hint = "install the headers of the running kernel".to_owned();
        Err(Failure { class: Class::Failed, message, hint: Some(hint) }.into())
    }

    #[expect(clippy::unused_self, reason = "reads as what it is where it is used")]
    fn storage(&self, doing: &str, path: &Path, error: &io::Error) -> Failure {
        wiring::storage(doing, path, error)
    }
}

fn network(error: OciError) -> eyas_ops::OpsError {
    eyas_ops::OpsError::from(error)
}

/// A new file as a place for what is fetched.
struct Sink(New);

impl BlobSink for Sink {
    async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.0.write(chunk)
    }

    async fn restart(&mut self) -> io::Result<()> {
        self.0.clear()
    }
}

/// A directory that is removed with its content.
struct Scratch(PathBuf);

impl Scratch {
    fn new(path: PathBuf) -> Result<Self, (PathBuf, io::Error)> {
        match std::fs::create_dir_all(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) => Err((path, error)),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

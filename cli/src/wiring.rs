//! From settings to the parts that operations work with: runtime, client, indexes, trust, sensor.
//!
//! Each part is made when a command needs it, so that a command pays for nothing else.

use std::fs;
use std::future::Future;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use eyas_artifact::{Kind, Platform};
use eyas_oci::{
    Client, ClientConfig, Configured, Listener as Notices, Notice, RegistryConfig, Scheme, Secret,
    Verification,
};
use eyas_ops::{Catalog, Class, Copies, IndexBook, IndexSource, Listener, Trust};
use eyas_store::Store;
use eyas_trust::{MAX_POLICY_BYTES, Policy, Recheck, SystemKeys};

use crate::args::{IndexArgs, LogLevel, TransportArgs, TrustArgs};
use crate::exit::Failure;
use crate::personality::{IndexCopies, Unsigned, Words};
use crate::phrases;
use crate::printer::{Printer, Record};
use crate::settings::{self, OneRegistry, Settings};
use crate::signals;

/// Runs a future to its end on this thread; one is enough for what waits for the network.
pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(work)
}

/// The same, until this process is told to stop. What waits can be dropped at any point: nothing is half
/// done until the store is changed, and that happens without waiting.
pub(crate) fn block_on_until_told<T>(
    printer: &Printer,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    block_on(async {
        tokio::select! {
            done = work => done,
            () = signals::until_told() => {
                if printer.words() == Words::Falcoctl {
                    printer.record(&phrases::stopping());
                }
                let message = "told to stop before it was done; nothing has changed".to_owned();
                Err(Failure { class: Class::Failed, message, hint: None }.into())
            }
        }
    })
}

/// A client of registries.
pub(crate) fn client(
    settings: &Settings,
    args: &TransportArgs,
    printer: &Printer,
) -> anyhow::Result<Client> {
    Ok(Client::new(client_config(settings, args, printer)?).map_err(eyas_ops::OpsError::from)?)
}

/// How registries are reached, and who we are to them.
pub(crate) fn client_config(
    settings: &Settings,
    args: &TransportArgs,
    printer: &Printer,
) -> anyhow::Result<ClientConfig> {
    // Only the first call per process does something, and its outcome is the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let transport = settings.transport(args)?;
    let user_agent = settings.character().user_agent.to_owned();
    let timeouts = settings.timeouts()?;
    let mut config = ClientConfig { user_agent, timeouts, ..ClientConfig::default() };
    if transport.plain_http {
        config.default_registry.scheme = Scheme::PlainHttp;
    }
    if transport.insecure {
        config.default_registry.verification = Verification::AcceptAnyCertificate;
    }
    config.default_registry.ca_files = transport.ca_files;
    for own in settings.registries()? {
        let (host, own) = one_registry(own, &config.default_registry);
        config.registries.insert(host, own);
    }
    let identities = settings.identities()?;
    let credentials = &mut config.credentials;
    for (registry, client) in identities.clients {
        credentials.configured.insert(registry, Configured::Client(client));
    }
    for basic in transport.basic {
        let password = Secret::new(basic.password);
        let credential = Configured::Basic { user: basic.user, password };
        credentials.configured.insert(basic.registry, credential);
    }
    credentials.clouds.extend(identities.clouds);
    credentials.client_credentials = settings.clients_file();
    credentials.cloud_registries = settings.clouds_file();
    if let Some(file) = transport.credentials_file {
        credentials.docker_config = Some(file);
    }
    config.listener = notices(printer);
    Ok(config)
}

/// What the list of registries says of one, with what counts for all of them beside it.
fn one_registry(own: OneRegistry, all: &RegistryConfig) -> (String, RegistryConfig) {
    let scheme = match own.plain_http {
        Some(true) => Scheme::PlainHttp,
        Some(false) => Scheme::Https,
        None => all.scheme,
    };
    let verification = match own.insecure {
        Some(true) => Verification::AcceptAnyCertificate,
        Some(false) => Verification::Full,
        None => all.verification,
    };
    let mut ca_files = own.rest.ca_files.clone();
    ca_files.extend(all.ca_files.iter().cloned());
    (own.host, RegistryConfig { scheme, verification, ca_files, ..own.rest })
}

/// Says what a client has to tell beside its results.
pub(crate) fn notices(printer: &Printer) -> Notices {
    let printer = printer.clone();
    Notices::new(move |notice| printer.record(&notice_record(&notice, printer.waiting())))
}

fn notice_record(notice: &Notice, waiting: LogLevel) -> Record {
    match notice {
        Notice::Retry { what, reason, wait } => {
            let millis = wait.as_millis();
            Record::new(waiting, format!("{reason}; trying again in {millis} ms"))
                .with("what", what.clone())
        }
        Notice::Resumed { what, offset } => {
            Record::new(LogLevel::Info, format!("`{what}` goes on at byte {offset}"))
        }
        Notice::BundledRoots { registry } => Record::new(
            LogLevel::Debug,
            format!(
                "this machine has no trusted certificates; using built-in ones for `{registry}`"
            ),
        ),
        Notice::CertificateUnchecked { registry } => {
            Record::new(LogLevel::Warn, format!("the certificate of `{registry}` is not checked"))
        }
        Notice::MirrorSkipped { mirror, reason } => {
            Record::new(LogLevel::Info, format!("mirror `{mirror}` is skipped: {reason}"))
        }
        Notice::ReferrersCut { what, limit } => {
            let message = format!("`{what}` has many referrers; only {limit} are looked at");
            Record::new(LogLevel::Warn, message)
        }
        other => Record::new(LogLevel::Debug, format!("{other:?}")),
    }
}

/// The indexes that are configured, else those that were added.
pub(crate) fn sources(settings: &Settings, args: &IndexArgs) -> anyhow::Result<Vec<IndexSource>> {
    let mut sources = Vec::new();
    for index in settings.indexes(args)? {
        sources.push(IndexSource::parse(&index.name, &index.url)?);
    }
    if args.index_files.is_empty() {
        for added in book(settings)?.iter() {
            if !sources.iter().any(|source| source.name == added.name) {
                sources.push(IndexSource::parse(&added.name, &added.url)?);
            }
        }
    }
    Ok(sources)
}

/// The list of indexes that were added by command.
pub(crate) fn book(settings: &Settings) -> anyhow::Result<IndexBook> {
    match settings.book_dir() {
        Some(dir) => Ok(IndexBook::open(&dir)?),
        None => Ok(IndexBook::nowhere()),
    }
}

/// The copies of indexes, which may be lost; how new signed ones were is kept in the store.
pub(crate) fn copies(settings: &Settings, args: &IndexArgs) -> anyhow::Result<Copies> {
    let dir = settings.cache_dir(args);
    let copies = match settings.character().copies {
        IndexCopies::StandIn => Copies::new(dir),
        IndexCopies::ByCommand => Copies::by_command(dir, &book(settings)?),
    };
    Ok(match settings.own_store() {
        Some(store) => copies.remembering(Store::open(store).map_err(eyas_ops::OpsError::from)?),
        None => copies,
    })
}

/// Longest wait for a connection to an index that is not needed for a name.
const BRIEF_CONNECT: Duration = Duration::from_secs(5);

/// The names that are known. Indexes that are not `needed` for a name are read when something else asks for
/// what only they know.
pub(crate) async fn catalog(
    settings: &Settings,
    args: &IndexArgs,
    client: &Client,
    listener: &dyn Listener,
    needed: bool,
) -> anyhow::Result<Catalog> {
    let (sources, copies) = (sources(settings, args)?, copies(settings, args)?);
    if needed {
        return Ok(Catalog::load(&sources, &copies, client, listener).await);
    }
    // What can do without is not held up for long by an index that does not answer.
    let mut config = client.config().clone();
    config.retry.retries = config.retry.retries.min(1);
    config.timeouts.connect = config.timeouts.connect.min(BRIEF_CONNECT);
    let client = Client::new(config).map_err(eyas_ops::OpsError::from)?;
    Ok(Catalog::later(&sources, &copies, &client))
}

/// Who is trusted.
pub(crate) async fn trust(
    settings: &Settings,
    args: &TrustArgs,
    printer: &Printer,
) -> anyhow::Result<Trust> {
    let (policy, from_index, unsigned) = match settings.trust(args)? {
        settings::Trust::NoVerify => {
            printer.warn("nothing is verified, as asked; the generation records it");
            (Policy::allow_unsigned(), false, Unsigned::Refused)
        }
        settings::Trust::Policy { file, explicit, trust_index, unsigned } => {
            let policy = read_policy(&file, explicit)?;
            (crate::commands::with_kept_roots(policy, settings).await?, trust_index, unsigned)
        }
    };
    tell_of_other_roots(printer);
    let trust = Trust::new(policy, from_index)?;
    match unsigned {
        Unsigned::Refused => Ok(trust),
        Unsigned::Accepted => Ok(trust.accepting_unsigned()?),
    }
}

/// Variables by which other tools are given trusted roots.
const OTHER_ROOTS: [&str; 6] = [
    "SIGSTORE_ROOT_FILE",
    "SIGSTORE_REKOR_PUBLIC_KEY",
    "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE",
    "TUF_ROOT",
    "TUF_MIRROR",
    "TUF_ROOT_JSON",
];

/// Whoever sets such a variable wants other roots to count than those that do: here the policy names them.
fn tell_of_other_roots(printer: &Printer) {
    let set = |name: &&&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if let Some(name) = OTHER_ROOTS.iter().find(set) {
        let program = printer.personality().character().program;
        printer.warn(format!(
            "the variable `{name}` has no effect: trusted roots are those of the policy, and `{program} trust \
             add --trusted-root FILE` or `--tuf-url URL` adds one"
        ));
    }
}

/// The policy alone, for commands that are about it.
pub(crate) async fn policy(settings: &Settings, args: &TrustArgs) -> anyhow::Result<Policy> {
    match settings.trust(args)? {
        settings::Trust::NoVerify => Ok(Policy::allow_unsigned()),
        settings::Trust::Policy { file, explicit, .. } => {
            crate::commands::with_kept_roots(read_policy(&file, explicit)?, settings).await
        }
    }
}

/// What the policy says of what was accepted before. Read without roots and without running commands.
pub(crate) fn recheck(settings: &Settings, args: &TrustArgs) -> anyhow::Result<Recheck> {
    match settings.trust(args)? {
        settings::Trust::NoVerify => Ok(Recheck::default()),
        settings::Trust::Policy { file, explicit, trust_index, unsigned } => {
            // Without a policy there is nothing that could have changed.
            let Some(bytes) = policy_bytes(&file, explicit)? else { return Ok(Recheck::default()) };
            let name = file.display().to_string();
            let keys = SystemKeys::beside(&name).without_commands();
            let policy = Recheck::parse(&bytes, &name, &keys);
            let policy = policy.map_err(eyas_ops::OpsError::from_policy)?;
            Ok(policy.with_others_accepting(trust_index || unsigned == Unsigned::Accepted))
        }
    }
}

fn read_policy(file: &Path, explicit: bool) -> anyhow::Result<Policy> {
    let name = file.display().to_string();
    let (bytes, name) = match policy_bytes(file, explicit)? {
        Some(bytes) => (bytes, name),
        // An absent policy means that nobody is trusted, which the refusal will say.
        None => (b"version: 1\nrules: []\n".to_vec(), format!("{name} (which does not exist yet)")),
    };
    Ok(Policy::parse(&bytes, &name).map_err(eyas_ops::OpsError::from_policy)?)
}

/// A policy file as it is; none when it is not there and nobody named it.
fn policy_bytes(file: &Path, explicit: bool) -> anyhow::Result<Option<Vec<u8>>> {
    let name = file.display().to_string();
    let failure = |why: String| Failure::usage(format!("policy `{name}` cannot be read: {why}"));
    match fs::metadata(file) {
        Ok(found) if found.len() > MAX_POLICY_BYTES as u64 => {
            let why = format!("it has {} bytes, more than {MAX_POLICY_BYTES}", found.len());
            return Err(failure(why).into());
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound && !explicit => return Ok(None),
        Err(error) => {
            let hint = "the policy says whose signatures count; see the README for an example";
            return Err(failure(error.to_string()).with_hint(hint).into());
        }
    }
    Ok(Some(fs::read(file).map_err(|error| failure(error.to_string()))?))
}

/// A platform as it was typed, else this machine's.
pub(crate) fn platform(typed: Option<&str>) -> anyhow::Result<Platform> {
    let Some(text) = typed else { return Ok(Platform::host()) };
    Ok(settings::parse_from(
        text,
        "`--platform`",
        "`os/architecture` or `os/architecture/variant`",
    )?)
}

/// A kind as it was typed.
pub(crate) fn kind(typed: &str, origin: &str) -> anyhow::Result<Kind> {
    Ok(settings::parse_from(typed, origin, "`rulesfile`, `plugin`, `asset` or `probe`")?)
}

/// A failure to write what was asked for.
pub(crate) fn storage(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("cannot {doing} `{}`: {error}", path.display());
    Failure { class: Class::Storage, message, hint: None }
}

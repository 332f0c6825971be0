//! `eyas registry auth …` and `eyas registry logout`: who we are to a registry.

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write};
use std::path::Path;

use eyas_artifact::Reference;
use eyas_oci::{
    Client, ClientConfig, ClientCredentials, Cloud, Configured, Credential, Kept, Ping, Secret,
};
use eyas_ops::OpsError;
use serde::Serialize;

use crate::args::{Auth, BasicArgs, CloudArgs, LogoutArgs, OauthArgs, TransportArgs};
use crate::exit::Failure;
use crate::printer::{Document, Printer};
use crate::settings::Settings;
use crate::{terminal, wiring};

/// Longest password that is read from standard input or a file, in bytes.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Runs a `registry auth` command.
pub(crate) fn run(command: Auth, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    match command {
        Auth::Basic(args) => basic(&args, settings, printer),
        Auth::Oauth(args) => oauth(&args, settings, printer),
        Auth::Gcp(args) => cloud(&args, Cloud::Google, settings, printer),
        Auth::Aws(args) => cloud(&args, Cloud::Aws, settings, printer),
        Auth::Azure(args) => cloud(&args, Cloud::Azure, settings, printer),
    }
}

#[derive(Serialize)]
struct LoginDocument {
    dry_run: bool,
    registry: String,
    method: String,
    user: Option<String>,
    /// False where the registry lets anybody in.
    checked: bool,
    kept_in: String,
}

impl Document for LoginDocument {
    const KIND: &'static str = "registry.auth";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let verb = if self.dry_run { "would log in" } else { "logged in" };
        match &self.user {
            Some(user) => writeln!(out, "{verb} to {} as {user}", self.registry)?,
            None => writeln!(out, "{verb} to {} ({})", self.registry, self.method)?,
        }
        writeln!(out, "  kept in {}", self.kept_in)
    }
}

fn basic(args: &BasicArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let host = host(&args.host)?;
    let (user, password) = user_and_password(args, settings)?;
    let mut config = config(settings, &args.transport, printer)?;
    let configured = Configured::Basic { user: user.clone(), password: password.clone() };
    config.credentials.configured.insert(host.clone(), configured);
    let checked = check(&config, &host, printer)?;
    let credential = Credential::Basic { user: user.clone(), password };
    let kept = wiring::block_on(async {
        Ok(if args.dry_run {
            config.credentials.place(&host).map_err(OpsError::from)?
        } else {
            config.credentials.keep(&host, &credential).await.map_err(OpsError::from)?
        })
    })?;
    let login = Login { dry_run: args.dry_run, host: &host, method: "basic", checked };
    login.print(Some(user), &kept, printer)
}

fn oauth(args: &OauthArgs, settings: &Settings, printer: &Printer) -> anyhow::Result<()> {
    let host = host(&args.host)?;
    let secret = match (&args.client_secret, &args.client_secret_file) {
        (Some(secret), _) => Secret::new(secret.clone()),
        (None, Some(path)) => secret_of_file(path)?,
        (None, None) => return Err(Failure::usage("no secret of the client is given").into()),
    };
    let client = ClientCredentials {
        id: args.client_id.clone(),
        secret,
        token_url: args.token_url.clone(),
        scopes: args.scopes.clone(),
    };
    let mut config = config(settings, &args.transport, printer)?;
    config.credentials.configured.insert(host.clone(), Configured::Client(client.clone()));
    let checked = check(&config, &host, printer)?;
    let kept = if args.dry_run {
        config.credentials.place_of_client(&host)
    } else {
        config.credentials.keep_client(&host, &client)
    };
    let login = Login { dry_run: args.dry_run, host: &host, method: "oauth", checked };
    login.print(None, &kept.map_err(OpsError::from)?, printer)
}

fn cloud(
    args: &CloudArgs,
    cloud: Cloud,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let host = host(&args.host)?;
    let mut config = config(settings, &args.transport, printer)?;
    config.credentials.configured.remove(&host);
    config.credentials.clouds.insert(host.clone(), cloud);
    let own = config.credentials.clone();
    // Whatever else is kept for the registry would hide whether the cloud's identity is good.
    config.credentials.docker_config = None;
    config.credentials.client_credentials = None;
    let checked = check(&config, &host, printer)?;
    let kept = if args.dry_run { own.place_of_cloud(&host) } else { own.keep_cloud(&host, cloud) };
    let method = cloud.to_string();
    let login = Login { dry_run: args.dry_run, host: &host, method: &method, checked };
    login.print(None, &kept.map_err(OpsError::from)?, printer)
}

#[derive(Serialize)]
struct LogoutDocument {
    dry_run: bool,
    registry: String,
    /// Files that had something for the registry.
    removed_from: Vec<String>,
}

impl Document for LogoutDocument {
    const KIND: &'static str = "registry.logout";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let (kept, verb, removed) = if self.dry_run {
            ("is", "would log out", "would be removed")
        } else {
            ("was", "logged out", "removed")
        };
        if self.removed_from.is_empty() {
            return writeln!(out, "nothing {kept} kept for {}", self.registry);
        }
        writeln!(out, "{verb} of {}", self.registry)?;
        self.removed_from.iter().try_for_each(|place| writeln!(out, "  {removed} from {place}"))
    }
}

/// Runs `registry logout`.
pub(crate) fn logout(
    args: &LogoutArgs,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let host = host(&args.host)?;
    let config = config(settings, &TransportArgs::default(), printer)?;
    let places = wiring::block_on(async {
        let credentials = &config.credentials;
        Ok(if args.dry_run {
            credentials.places(&host).await.map_err(OpsError::from)?
        } else {
            credentials.forget(&host).await.map_err(OpsError::from)?
        })
    })?;
    if config.credentials.configured.contains_key(&host) {
        printer.warn(format!(
            "the configuration has credentials for `{host}`, which stay: it is never written"
        ));
    }
    let removed_from = places.iter().map(|place| place.display().to_string()).collect();
    printer.data(&LogoutDocument { dry_run: args.dry_run, registry: host, removed_from })?;
    Ok(())
}

fn config(
    settings: &Settings,
    args: &TransportArgs,
    printer: &Printer,
) -> anyhow::Result<ClientConfig> {
    wiring::client_config(settings, args, printer)
}

/// Asks the registry whether the credential is good; false where it does not look at any.
fn check(config: &ClientConfig, host: &str, printer: &Printer) -> anyhow::Result<bool> {
    let client = Client::new(config.clone()).map_err(OpsError::from)?;
    let ping = wiring::block_on(async { Ok(client.ping(host).await.map_err(OpsError::from)?) })?;
    if ping == Ping::Open {
        printer.warn(format!("`{host}` lets anybody in: the credentials could not be checked"));
    }
    Ok(ping == Ping::Accepted)
}

/// A login whose credentials were looked at.
struct Login<'a> {
    dry_run: bool,
    host: &'a str,
    method: &'a str,
    checked: bool,
}

impl Login<'_> {
    fn print(&self, user: Option<String>, kept: &Kept, printer: &Printer) -> anyhow::Result<()> {
        let kept_in = match kept {
            Kept::File(path) => path.display().to_string(),
            Kept::Helper(program) => program.clone(),
        };
        let (registry, method) = (self.host.to_owned(), self.method.to_owned());
        let (dry_run, checked) = (self.dry_run, self.checked);
        printer.data(&LoginDocument { dry_run, registry, method, user, checked, kept_in })?;
        Ok(())
    }
}

/// The host of what was typed: a host, an address or a reference.
fn host(typed: &str) -> Result<String, Failure> {
    let bare = typed.strip_prefix("https://").or_else(|| typed.strip_prefix("http://"));
    let host = crate::settings::host_of(bare.unwrap_or(typed));
    if Reference::new(&host, "any").is_err() {
        let message = format!("`{typed}` is no registry");
        return Err(Failure::usage(message).with_hint("give `HOST` or `HOST:PORT`"));
    }
    Ok(host)
}

/// From the flags, else the environment, else standard input or a terminal.
fn user_and_password(args: &BasicArgs, settings: &Settings) -> anyhow::Result<(String, Secret)> {
    let given = settings.login()?;
    let user = match args.username.clone().or(given.user) {
        Some(user) => user,
        None if terminal::is_there() => terminal::ask("Username: ")?,
        None => {
            let failure = Failure::usage("no user is given, and there is no terminal to ask on");
            return Err(failure.with_hint("give `--username`").into());
        }
    };
    let password = if args.password_stdin || (given.from_stdin && args.password.is_none()) {
        secret_of_stdin()?
    } else if let Some(password) = args.password.clone().or(given.password) {
        Secret::new(password)
    } else if terminal::is_there() {
        terminal::ask_hidden("Password: ")?
    } else {
        let failure = Failure::usage("no password is given, and there is no terminal to ask on");
        return Err(failure.with_hint("pipe it in with `--password-stdin`").into());
    };
    if user.is_empty() || password.is_empty() {
        return Err(Failure::usage("neither the user nor the password may be empty").into());
    }
    if user.contains(':') {
        let message = format!("`{user}` is no user of a registry: it has a colon in it");
        return Err(Failure::usage(message).into());
    }
    Ok((user, password))
}

fn secret_of_stdin() -> Result<Secret, Failure> {
    let failed = |why: String| Failure::usage(format!("no password on standard input: {why}"));
    let mut text = String::new();
    let stdin = io::stdin();
    let terminal = stdin.is_terminal();
    let mut input = stdin.lock().take(MAX_SECRET_BYTES + 1);
    // On a terminal nobody ends the input after one line.
    let read = if terminal { input.read_line(&mut text) } else { input.read_to_string(&mut text) };
    read.map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_SECRET_BYTES {
        return Err(failed(format!("it has more than {MAX_SECRET_BYTES} bytes")));
    }
    Ok(trimmed(&text))
}

fn secret_of_file(path: &Path) -> Result<Secret, Failure> {
    let failed =
        |why: String| Failure::usage(format!("secret `{}` cannot be read: {why}", path.display()));
    let found = fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if found.len() > MAX_SECRET_BYTES {
        return Err(failed(format!("it has more than {MAX_SECRET_BYTES} bytes")));
    }
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    Ok(trimmed(&text))
}

/// Without the end of line that editors and `echo` add.
fn trimmed(text: &str) -> Secret {
    let text = text.strip_suffix('\n').unwrap_or(text);
    Secret::new(text.strip_suffix('\r').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_in_what_people_type() {
        for typed in
            ["r.example.org:5000", "https://r.example.org:5000/", "r.example.org:5000/a/b:1"]
        {
            assert_eq!(host(typed).unwrap(), "r.example.org:5000", "{typed}");
        }
        for typed in ["", "https://", "a b", "-x"] {
            assert!(host(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn only_one_end_of_line_is_no_part_of_a_password() {
        assert_eq!(trimmed("pw\n").expose(), "pw");
        assert_eq!(trimmed("pw\r\n").expose(), "pw");
        assert_eq!(trimmed(" p w \n\n").expose(), " p w \n");
    }
}

//! What is meant: flags, environment, configuration file and defaults laid over one another.
//!
//! Precedence is flag, `EYAS_*`, `FALCOCTL_*`, file, default; called as `falcoctl`, its own variables
//! come first. A value keeps its origin, so that an
//! error names the place to correct. Nothing is written here: a missing file is not an error unless
//! it was asked for by name.

mod compatible;
mod driver;
mod environment;
mod file;
mod follow;
mod paths;
mod registries;
mod table;
mod tree;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

pub(crate) use self::compatible::FlatDirectories;
pub(crate) use self::driver::DriverSettings;
pub(crate) use self::environment::Environment;
use self::file::{ConfigFile, Remark};
pub(crate) use self::paths::Paths;
pub(crate) use self::registries::{LAYOUT_PREFIX, OneRegistry};
pub(crate) use self::table::{Setting, TABLE};
use crate::args::{
    Global, IndexArgs, LogFormat, LogLevel, Output, StartupBehavior, TransportArgs, TrustArgs,
};
use crate::personality::{self, Character, Unsigned};

/// Interval of `artifact follow` when nothing else is said: a week.
pub(crate) const DEFAULT_EVERY: Duration = Duration::from_hours(168);

/// What is wrong with a setting.
#[derive(Debug, Error)]
pub(crate) enum SettingsError {
    /// The configuration file was asked for and is not there.
    #[error("configuration file `{}` does not exist", path.display())]
    Missing { path: PathBuf },
    /// The configuration file cannot be read.
    #[error("configuration file `{}` cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    /// The configuration file is not YAML, or not a mapping.
    #[error("configuration file `{}` is not valid: {reason}", path.display())]
    Invalid { path: PathBuf, reason: String },
    /// A value does not have the form that is needed.
    #[error("`{value}` in {origin} is not valid: expected {expected}")]
    Value { value: String, origin: String, expected: String },
    /// A value of the configuration file is something else altogether.
    #[error("{origin} is {found}, expected {expected}")]
    WrongType {
        found: &'static str,
        origin: String,
        expected: String,
        /// Where else the value can be given.
        instead: Option<String>,
    },
    /// No home directory and no explicit path.
    #[error("no place for {what}: neither `HOME` nor `{variable}` is set")]
    NoHome { what: &'static str, variable: &'static str },
}

impl SettingsError {
    /// What to do about it, when that is known.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => {
                Some("`--config` and `EYAS_CONFIG` name a file that must exist; without them it may be absent".to_owned())
            }
            Self::NoHome { variable, .. } => {
                Some(format!("set `{variable}`, or name the path by its flag"))
            }
            Self::WrongType { instead, .. } => instead.clone(),
            Self::Unreadable { .. } => {
                Some("`--config` and `EYAS_CONFIG` name another file".to_owned())
            }
            Self::Invalid { .. } => {
                Some("docs/configuration.md lists the keys and their forms".to_owned())
            }
            Self::Value { .. } => None,
        }
    }
}

/// A place that an index comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexSource {
    pub(crate) name: String,
    pub(crate) url: String,
    /// Whether it was added by `index add` rather than configured.
    pub(crate) added: bool,
}

/// A user and password for a registry, from the configuration.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BasicAuth {
    pub(crate) registry: String,
    pub(crate) user: String,
    pub(crate) password: String,
}

/// How registries are reached.
#[derive(Clone)]
pub(crate) struct Transport {
    pub(crate) plain_http: bool,
    pub(crate) ca_files: Vec<PathBuf>,
    pub(crate) insecure: bool,
    pub(crate) basic: Vec<BasicAuth>,
    pub(crate) credentials_file: Option<PathBuf>,
}

/// Which verification is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The policy of this file; `explicit` says that it was named, so that it must exist.
    Policy { file: PathBuf, explicit: bool, trust_index: bool, unsigned: Unsigned },
    /// None at all.
    NoVerify,
}

/// All layers, ready to be asked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    environment: Environment,
    file: ConfigFile,
    paths: Paths,
    /// The section of the configuration that is for the command: `install` or `follow`.
    section: &'static str,
    /// What the command line says of the store.
    typed: Typed,
}

/// Where the command line puts the store and the state directory.
#[derive(Debug, Clone, Default)]
struct Typed {
    store: Option<PathBuf>,
    state: Option<PathBuf>,
}

impl Settings {
    /// Reads the configuration file that `global` or the environment names, or the default one.
    pub(crate) fn load(global: &Global, environment: Environment) -> Result<Self, SettingsError> {
        let asked = global.config.clone().or_else(|| environment.path("CONFIG"));
        let paths = Paths::of(&environment);
        let file = match asked {
            Some(path) if environment.character().config_may_be_absent => {
                ConfigFile::read_or_absent(&path)?
            }
            Some(path) => ConfigFile::read(&path)?,
            None => match paths.config_file() {
                Some(path) => ConfigFile::read_if_present(&path)?,
                None => ConfigFile::default(),
            },
        };
        let typed = Typed { store: global.store.clone(), state: global.state_dir.clone() };
        Ok(Self { environment, file, paths, section: "install", typed })
    }

    /// The same, for a command with a section of its own.
    pub(crate) fn in_section(self, section: &'static str) -> Self {
        Self { section, ..self }
    }

    /// What differs with the name of the program.
    pub(crate) fn character(&self) -> &'static Character {
        self.environment.character()
    }

    /// Keys of the file that have no effect here.
    pub(crate) fn remarks(&self) -> Vec<Remark> {
        self.file.remarks(self.character().words)
    }

    /// The configuration file in force, whether it exists or not.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        self.file.path().map(Path::to_owned).or_else(|| self.paths.config_file())
    }

    /// The directory in which indexes that were added are remembered; none when there is no place.
    pub(crate) fn book_dir(&self) -> Option<PathBuf> {
        match self.character().places {
            personality::Places::Falcoctl => self.paths.book(),
            personality::Places::BaseDirectories => self.config_dir().ok(),
        }
    }

    /// The directory of the configuration file.
    pub(crate) fn config_dir(&self) -> Result<PathBuf, SettingsError> {
        self.config_file()
            .and_then(|file| file.parent().map(Path::to_owned))
            .ok_or(SettingsError::NoHome { what: "the configuration", variable: "XDG_CONFIG_HOME" })
    }

    /// Form of data on standard output, if one was asked for.
    pub(crate) fn output(&self, flag: Option<Output>) -> Result<Option<Output>, SettingsError> {
        Ok(flag.or(self.choice("output", "OUTPUT")?))
    }

    /// Form of messages, if one was asked for.
    pub(crate) fn log_format(&self, global: &Global) -> Result<Option<LogFormat>, SettingsError> {
        if global.disable_styling {
            return Ok(Some(LogFormat::Json));
        }
        Ok(global.log_format.or(self.choice("logFormat", "LOG_FORMAT")?))
    }

    /// Least severe message that is shown.
    pub(crate) fn log_level(&self, global: &Global) -> Result<LogLevel, SettingsError> {
        if global.verbose {
            return Ok(LogLevel::Debug);
        }
        Ok(global.log_level.or(self.choice("logLevel", "LOG_LEVEL")?).unwrap_or(LogLevel::Info))
    }

    /// The directory of the store.
    pub(crate) fn store(&self, global: &Global) -> Result<PathBuf, SettingsError> {
        self.store_of(global.store.clone(), global.state_dir.clone())
    }

    /// The directory of the store that this process was started with; `None` when there is no place for one.
    pub(crate) fn own_store(&self) -> Option<PathBuf> {
        let Typed { store, state } = self.typed.clone();
        self.store_of(store, state).ok()
    }

    fn store_of(
        &self,
        store: Option<PathBuf>,
        state: Option<PathBuf>,
    ) -> Result<PathBuf, SettingsError> {
        if let Some(store) = store.or_else(|| self.path("store", "STORE")) {
            return Ok(store);
        }
        let state = self.state_of(state)?;
        Ok(self.character().store_below_state.map_or(state.clone(), |below| state.join(below)))
    }

    /// The directory of all that is remembered between runs.
    pub(crate) fn state_dir(&self, global: &Global) -> Result<PathBuf, SettingsError> {
        self.state_of(global.state_dir.clone())
    }

    fn state_of(&self, typed: Option<PathBuf>) -> Result<PathBuf, SettingsError> {
        typed
            .or_else(|| self.environment.path("STATE_DIR"))
            .or_else(|| self.state_by_key())
            .or_else(|| self.paths.state())
            .ok_or(SettingsError::NoHome { what: "the store", variable: "XDG_STATE_HOME" })
    }

    /// Where copies of indexes are kept; `None` when there is no place for them.
    pub(crate) fn cache_dir(&self, args: &IndexArgs) -> Option<PathBuf> {
        args.cache_dir
            .clone()
            .or_else(|| self.path("cacheDir", "CACHE_DIR"))
            .or_else(|| self.paths.cache())
    }

    /// The indexes of the flags, else of the environment, else of the file.
    pub(crate) fn indexes(&self, args: &IndexArgs) -> Result<Vec<IndexSource>, SettingsError> {
        if !args.index_files.is_empty() {
            return Ok(args.index_files.iter().map(|path| index_of_file(path)).collect());
        }
        if let Some((text, origin)) = self.environment.key("indexes") {
            return parse_index_list(&text, &origin);
        }
        match self.file.indexes()? {
            Some(indexes) => Ok(indexes),
            None => Ok(default_indexes(self.character())),
        }
    }

    /// The indexes that count only because none is configured.
    pub(crate) fn default_indexes(&self) -> Result<Vec<IndexSource>, SettingsError> {
        Ok(match self.file.indexes()? {
            Some(_) => Vec::new(),
            None => default_indexes(self.character()),
        })
    }

    /// How registries are reached.
    pub(crate) fn transport(&self, args: &TransportArgs) -> Result<Transport, SettingsError> {
        let mut ca_files = args.ca_files.clone();
        ca_files.extend(self.list("registry.caFiles", ',')?.into_iter().map(PathBuf::from));
        Ok(Transport {
            plain_http: match args.plain_http {
                Some(asked) => asked,
                None => {
                    self.flag("PLAIN_HTTP")? || self.boolean("registry.plainHttp")?.unwrap_or(false)
                }
            },
            ca_files,
            insecure: args.insecure || self.boolean("registry.insecure")?.unwrap_or(false),
            basic: self.basic_auth()?,
            credentials_file: self.scalar("registry.creds.config").map(|(path, _)| path.into()),
        })
    }

    /// Which verification is asked for.
    pub(crate) fn trust(&self, args: &TrustArgs) -> Result<Trust, SettingsError> {
        if args.no_verify.or(self.boolean("artifact.noVerify")?).unwrap_or(false) {
            return Ok(Trust::NoVerify);
        }
        let character = self.character();
        let by_default = self.boolean("artifact.trustIndex")?.unwrap_or(character.trust_index);
        let trust_index = args.trust_index || by_default;
        let named = args.policy.clone().or_else(|| self.path("policy", "POLICY"));
        let explicit = named.is_some();
        let file = match named {
            Some(file) => file,
            None => self.config_dir()?.join("trust.yaml"),
        };
        Ok(Trust::Policy { file, explicit, trust_index, unsigned: character.unsigned })
    }

    /// The control socket of the sensor.
    pub(crate) fn sensor_socket(&self, flag: Option<&Path>) -> PathBuf {
        self.named_sensor_socket(flag).unwrap_or_else(|| PathBuf::from(paths::SENSOR_SOCKET))
    }

    /// The control socket of the sensor, if one is named.
    pub(crate) fn named_sensor_socket(&self, flag: Option<&Path>) -> Option<PathBuf> {
        flag.map(Path::to_owned).or_else(|| self.path("sensor.socket", "SENSOR_SOCKET"))
    }

    /// References of the command line, else of the settings.
    pub(crate) fn references(
        &self,
        typed: &[String],
        command: &str,
    ) -> Result<Vec<String>, SettingsError> {
        if typed.is_empty() {
            let configured = self.list(&format!("artifact.{command}.refs"), ';')?;
            return Ok(configured.iter().map(|text| crate::layouts::in_text(text)).collect());
        }
        Ok(typed.to_vec())
    }

    /// Kinds that may be installed; empty means all.
    pub(crate) fn allowed_types(&self, typed: &[String]) -> Result<Vec<String>, SettingsError> {
        if typed.is_empty() { self.list("artifact.allowedTypes", ',') } else { Ok(typed.to_vec()) }
    }

    /// Whether dependencies are installed too.
    pub(crate) fn resolve_deps(&self, flag: Option<bool>) -> Result<bool, SettingsError> {
        Ok(flag.or(self.boolean("artifact.install.resolveDeps")?).unwrap_or(true))
    }

    /// Whether a missing sensor is an error.
    pub(crate) fn require_sensor(&self, flag: bool) -> Result<bool, SettingsError> {
        Ok(flag || self.boolean("sensor.required")?.unwrap_or(false))
    }

    /// Interval of `artifact follow`.
    pub(crate) fn every(&self, flag: Option<Duration>) -> Result<Duration, SettingsError> {
        if let Some(every) = flag {
            return Ok(every);
        }
        match self.scalar("artifact.follow.every") {
            None => Ok(DEFAULT_EVERY),
            Some((text, origin)) => crate::args::parse_interval(&text).map_err(|said| {
                let expected = said.strip_prefix("expected ").unwrap_or(&said).to_owned();
                SettingsError::Value { value: text, origin, expected }
            }),
        }
    }

    /// When the first check of `artifact follow` happens.
    pub(crate) fn startup(
        &self,
        flag: Option<StartupBehavior>,
    ) -> Result<StartupBehavior, SettingsError> {
        if let Some(startup) = flag {
            return Ok(startup);
        }
        let found = self.scalar("artifact.follow.startupBehavior");
        Ok(found.map(parse_choice).transpose()?.unwrap_or(self.character().startup))
    }

    fn basic_auth(&self) -> Result<Vec<BasicAuth>, SettingsError> {
        match self.environment.key("registry.auth.basic") {
            Some((text, origin)) => parse_basic_list(&text, &origin),
            None => self.file.basic_auth(),
        }
    }

    fn scalar(&self, key: &str) -> Option<(String, String)> {
        self.environment.key(key).or_else(|| self.file.scalar(key))
    }

    fn list(&self, key: &str, separator: char) -> Result<Vec<String>, SettingsError> {
        match self.environment.key(key) {
            Some((text, _)) => Ok(split(&text, separator)),
            None => self.file.list(key, separator),
        }
    }

    fn boolean(&self, key: &str) -> Result<Option<bool>, SettingsError> {
        self.scalar(key).map(parse_bool).transpose()
    }

    fn flag(&self, variable: &str) -> Result<bool, SettingsError> {
        Ok(self.environment.own(variable).map(parse_bool).transpose()?.unwrap_or(false))
    }

    /// A path from its short variable, from the key's own variable, or from the file.
    fn path(&self, key: &str, variable: &str) -> Option<PathBuf> {
        self.environment
            .path(variable)
            .or_else(|| self.scalar(key).map(|(text, _)| PathBuf::from(text)))
    }

    fn choice<T: clap::ValueEnum>(
        &self,
        key: &str,
        variable: &str,
    ) -> Result<Option<T>, SettingsError> {
        self.environment.own(variable).or_else(|| self.scalar(key)).map(parse_choice).transpose()
    }
}

fn default_indexes(character: &Character) -> Vec<IndexSource> {
    let index = |(name, url): &(&str, &str)| IndexSource {
        name: (*name).to_owned(),
        url: (*url).to_owned(),
        added: false,
    };
    character.indexes.iter().map(index).collect()
}

fn index_of_file(path: &Path) -> IndexSource {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    IndexSource {
        name: stem.unwrap_or_else(|| "file".to_owned()),
        url: path.display().to_string(),
        added: false,
    }
}

fn parse_choice<T: clap::ValueEnum>((text, origin): (String, String)) -> Result<T, SettingsError> {
    T::from_str(&text, true).map_err(|_| {
        let names: Vec<String> = T::value_variants()
            .iter()
            .filter_map(clap::ValueEnum::to_possible_value)
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        SettingsError::Value {
            value: text,
            origin,
            expected: format!("one of {}", names.join(", ")),
        }
    })
}

fn parse_bool((text, origin): (String, String)) -> Result<bool, SettingsError> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "yes" | "on" => Ok(true),
        "0" | "f" | "false" | "no" | "off" | "" => Ok(false),
        _ => Err(SettingsError::Value {
            value: text,
            origin,
            expected: "`true` or `false`".to_owned(),
        }),
    }
}

fn split(text: &str, separator: char) -> Vec<String> {
    text.split(separator)
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `name,url;name,url`: exactly two fields each.
fn parse_index_list(text: &str, origin: &str) -> Result<Vec<IndexSource>, SettingsError> {
    split(text, ';')
        .into_iter()
        .map(|part| match fields::<2>(&part) {
            Some([name, url]) => Ok(IndexSource { name, url, added: false }),
            None => Err(SettingsError::Value {
                value: part,
                origin: origin.to_owned(),
                expected: "`name,url` separated by `;`".to_owned(),
            }),
        })
        .collect()
}

/// `registry,user,password;…`: exactly three fields each. A password is never repeated in an error.
fn parse_basic_list(text: &str, origin: &str) -> Result<Vec<BasicAuth>, SettingsError> {
    split(text, ';')
        .into_iter()
        .map(|part| match fields::<3>(&part) {
            Some([registry, user, password]) => {
                Ok(BasicAuth { registry: host_of(&registry), user, password })
            }
            None => Err(SettingsError::Value {
                value: part.split(',').next().unwrap_or_default().to_owned(),
                origin: origin.to_owned(),
                expected: "`registry,user,password` separated by `;`".to_owned(),
            }),
        })
        .collect()
}

/// The host of a registry, also when a whole reference was given.
pub(crate) fn host_of(registry: &str) -> String {
    registry.split('/').next().unwrap_or_default().to_owned()
}

fn fields<const N: usize>(text: &str) -> Option<[String; N]> {
    let parts: Vec<String> = text.split(',').map(|part| part.trim().to_owned()).collect();
    let complete = parts.iter().all(|part| !part.is_empty());
    <[String; N]>::try_from(parts).ok().filter(|_| complete)
}

/// Parses `text`, which came from `origin`.
pub(crate) fn parse_from<T: FromStr>(
    text: &str,
    origin: &str,
    expected: &str,
) -> Result<T, SettingsError> {
    text.parse().map_err(|_| SettingsError::Value {
        value: text.to_owned(),
        origin: origin.to_owned(),
        expected: expected.to_owned(),
    })
}

#[cfg(test)]
mod tests;

//! Every setting in one table: its key, the form of its value, its variables, its flag and its default
//! under both names of the program.
//!
//! `docs/configuration.md` shows this table, and a test holds the two together. What a value means is left
//! to whoever asks for it.

use super::parse_bool;
use super::tree::Node;
use crate::personality::Words;

/// What the default of a setting says that is accepted and changes nothing.
const IDLE: &str = "no effect";

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A word or a sentence.
    Text,
    /// A path.
    Path,
    /// `true` or `false`.
    Switch,
    /// A duration, such as `6h`.
    Duration,
    /// A list, or one string that is split at this character.
    List(char),
    /// A list of mappings with these fields; as a variable, `field,field;field,field`.
    Entries(&'static [&'static str]),
    /// A list of hosts, each written as such or as a mapping with `registry`.
    Hosts,
}

impl Form {
    /// What is expected, for an error.
    pub(crate) fn expected(self) -> String {
        match self {
            Self::Text => "a text, such as `word`".to_owned(),
            Self::Path => "a path, such as `/etc/falco`".to_owned(),
            Self::Switch => "`true` or `false`".to_owned(),
            Self::Duration => "a duration such as `30s`, `6h` or `1h30m`".to_owned(),
            Self::List(separator) => {
                format!("a list such as `[a, b]`, or one string such as `a{separator}b`")
            }
            Self::Entries(fields) => {
                let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
                format!("a list of entries with {}", fields.join(", "))
            }
            Self::Hosts => "a list of hosts, or of entries with `registry`".to_owned(),
        }
    }

    /// Whether a value of a configuration file has this form; one that is absent always does.
    pub(super) fn accepts(self, node: &Node) -> bool {
        let plain = |node: &Node| node.scalar().is_some();
        match (self, node) {
            (_, Node::Null) | (Self::Entries(_) | Self::Hosts, Node::Text(_)) => true,
            (Self::Switch, node) => {
                node.scalar().is_some_and(|text| parse_bool((text, String::new())).is_ok())
            }
            (Self::List(_), Node::List(items)) => items.iter().all(|item| plain(&item.node)),
            (Self::Entries(_), Node::List(entries)) => {
                entries.iter().all(|entry| matches!(entry.node, Node::Map(_)))
            }
            (Self::Text | Self::Path | Self::Duration | Self::List(_), node) => plain(node),
            (Self::Hosts, Node::List(hosts)) => {
                hosts.iter().all(|host| plain(&host.node) || matches!(host.node, Node::Map(_)))
            }
            (Self::Entries(_) | Self::Hosts, _) => false,
        }
    }

    /// What the documentation adds to a key of this form.
    #[cfg(test)]
    fn note(self) -> String {
        match self {
            Self::List(separator) => format!(" (list, or split at `{separator}`)"),
            Self::Entries(fields) => format!(" (list of {})", fields.join(", ")),
            Self::Hosts => " (list of registry)".to_owned(),
            Self::Text | Self::Path | Self::Switch | Self::Duration => String::new(),
        }
    }
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Dotted key, as it is documented; it is read in upper or lower case.
    pub(crate) key: &'static str,
    pub(crate) form: Form,
    /// The variable `EYAS_<short>`, beside the one of the key; empty when there is none.
    pub(crate) short: &'static str,
    /// The flag or flags; empty when there is none.
    pub(crate) flag: &'static str,
    /// Default as `eyas`.
    pub(crate) ours: &'static str,
    /// Default as `falcoctl`, where it is another one.
    pub(crate) theirs: Option<&'static str>,
}

const fn setting(
    key: &'static str,
    form: Form,
    short: &'static str,
    flag: &'static str,
    ours: &'static str,
) -> Setting {
    Setting { key, form, short, flag, ours, theirs: None }
}

/// A directory for another engine, of one of the two sections that have them.
const fn directory(key: &'static str, flag: &'static str, theirs: &'static str) -> Setting {
    setting(key, Path, "", flag, "none").as_falcoctl(theirs)
}

/// The state directory, of one of the two sections.
const fn state(key: &'static str, short: &'static str) -> Setting {
    setting(key, Path, short, "--state-dir", "no effect: see `store`")
        .as_falcoctl("`/var/lib/falcoctl`")
}

impl Setting {
    const fn as_falcoctl(self, theirs: &'static str) -> Self {
        Self { theirs: Some(theirs), ..self }
    }

    /// The default in the form of the program with these words.
    pub(crate) fn default_as(&self, words: Words) -> &'static str {
        match words {
            Words::Ours => self.ours,
            Words::Falcoctl => self.theirs.unwrap_or(self.ours),
        }
    }

    /// Whether it is accepted and changes nothing, in the form of the program with these words.
    pub(crate) fn is_idle(&self, words: Words) -> bool {
        self.default_as(words).starts_with(IDLE)
    }

    /// Where the value can be given instead of the file.
    pub(crate) fn instead(&self) -> String {
        let variable = match self.short {
            "" => self.key.to_ascii_uppercase().replace('.', "_"),
            short => short.to_owned(),
        };
        match self.flag.split(", ").next().unwrap_or_default() {
            "" => format!("correct it there, or set `EYAS_{variable}`"),
            flag => format!("correct it there, or use `{flag}` or `EYAS_{variable}`"),
        }
    }

    /// The row of the documentation.
    #[cfg(test)]
    pub(crate) fn row(&self) -> String {
        let code = |text: &str| match text {
            "" => String::new(),
            text => {
                let parts: Vec<String> = text.split(", ").map(|part| format!("`{part}`")).collect();
                parts.join(", ")
            }
        };
        let short = match self.short {
            "" => String::new(),
            short => format!("`EYAS_{short}`"),
        };
        let Self { key, form, flag, ours, theirs, .. } = self;
        format!(
            "| `{key}`{} | {short} | {} | {ours} | {} |",
            form.note(),
            code(flag),
            theirs.unwrap_or("the same")
        )
        .replace("|  |", "| |")
    }
}

/// The setting with a key, in any case.
pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.key.eq_ignore_ascii_case(key))
}

/// Whether settings have keys that begin with this one.
pub(crate) fn is_section(key: &str) -> bool {
    let section = format!("{}.", key.to_ascii_lowercase());
    TABLE.iter().any(|setting| setting.key.to_ascii_lowercase().starts_with(&section))
}

/// The key that is most like one that nobody knows.
pub(crate) fn similar(key: &str) -> Option<&'static str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let wanted = last(key);
    TABLE.iter().map(|setting| setting.key).find(|known| last(known) == wanted)
}

use Form::{Duration, Entries, Hosts, List, Path, Switch, Text};

/// All settings, in the order in which they are documented.
pub(crate) const TABLE: &[Setting] = &[
    setting("store", Path, "STORE", "--store", "`/var/lib/eyas`, others `$XDG_STATE_HOME/eyas`")
        .as_falcoctl("`.eyas` below the state directory"),
    setting(
        "cacheDir",
        Path,
        "CACHE_DIR",
        "--cache-dir",
        "`/var/cache/eyas`, others `$XDG_CACHE_HOME/eyas`",
    )
    .as_falcoctl("`~/.config/falcoctl`"),
    setting("policy", Path, "POLICY", "--policy", "`trust.yaml` beside the configuration file"),
    setting("sensor.socket", Path, "SENSOR_SOCKET", "--sensor-socket", "`/run/eyas/control.sock`")
        .as_falcoctl("none is told"),
    setting("sensor.required", Switch, "", "--require-sensor", "`false`"),
    setting("output", Text, "OUTPUT", "--output", "`text`"),
    setting(
        "logFormat",
        Text,
        "LOG_FORMAT",
        "--log-format",
        "short messages; lines with time for `follow`",
    )
    .as_falcoctl("`color`"),
    setting("logLevel", Text, "LOG_LEVEL", "--log-level, -v", "`info`"),
    setting(
        "indexes",
        Entries(&["name", "url", "backend"]),
        "",
        "--index-file",
        "none, and those added by `index add`",
    )
    .as_falcoctl("`falcosecurity`, and those added by `index add`"),
    setting("artifact.allowedTypes", List(','), "", "--allowed-types", "all"),
    setting("artifact.noVerify", Switch, "", "--no-verify", "`false`"),
    setting("artifact.trustIndex", Switch, "", "--trust-index", "`false`").as_falcoctl("`true`"),
    setting("artifact.install.refs", List(';'), "", "", "none"),
    setting("artifact.install.resolveDeps", Switch, "", "--resolve-deps", "`true`"),
    directory("artifact.install.rulesfilesDir", "--rulesfiles-dir", "`/etc/falco`"),
    directory("artifact.install.pluginsDir", "--plugins-dir", "`/usr/share/falco/plugins`"),
    directory("artifact.install.assetsDir", "--assets-dir", "`/etc/falco/assets`"),
    state("artifact.install.stateDir", "STATE_DIR"),
    setting("artifact.follow.refs", List(';'), "", "", "none"),
    setting("artifact.follow.every", Duration, "", "--every, -e", "`168h`, at least 50 ms"),
    setting("artifact.follow.cron", Text, "", "--cron", "none; counts more than `every`"),
    setting(
        "artifact.follow.jitter",
        Duration,
        "",
        "--jitter",
        "a tenth of the interval, at most 5 minutes",
    ),
    setting("artifact.follow.listen", Text, "", "--listen", "nowhere"),
    setting(
        "artifact.follow.startupBehavior",
        Text,
        "",
        "--startup-behavior",
        "`immediate`; `jitter` is at most 5 minutes",
    ),
    setting(
        "artifact.follow.falcoVersions",
        Text,
        "",
        "--falco-versions",
        "the sensor, else what is built in",
    )
    .as_falcoctl("`http://localhost:8765/versions`"),
    directory("artifact.follow.rulesfilesDir", "--rulesfiles-dir", "`/etc/falco`"),
    directory("artifact.follow.pluginsDir", "--plugins-dir", "`/usr/share/falco/plugins`"),
    directory("artifact.follow.assetsDir", "--assets-dir", "`/etc/falco/assets`"),
    state("artifact.follow.stateDir", ""),
    setting(
        "artifact.follow.tmpDir",
        Path,
        "",
        "--tmp-dir",
        "no effect: files are completed where they belong",
    ),
    setting("registry.plainHttp", Switch, "PLAIN_HTTP", "--plain-http", "`false`"),
    setting("registry.insecure", Switch, "", "--insecure", "`false`"),
    setting("registry.caFiles", List(','), "", "--ca-file", "the system's authorities"),
    setting("registry.creds.config", Path, "", "", "Docker's `config.json`"),
    setting("registry.timeouts.connect", Duration, "", "", "`10s`"),
    setting("registry.timeouts.answer", Duration, "", "", "`30s`"),
    setting("registry.timeouts.stall", Duration, "", "", "`30s`"),
    setting("registry.timeouts.total", Duration, "", "", "`2m`"),
    setting("registry.auth.basic", Entries(&["registry", "user", "password"]), "", "", "none"),
    setting(
        "registry.auth.oauth",
        Entries(&["registry", "clientID", "clientSecret", "tokenURL"]),
        "",
        "",
        "none",
    ),
    setting("registry.auth.gcp", Hosts, "", "", "none"),
    setting("registry.auth.aws", Hosts, "", "", "none"),
    setting("registry.auth.azure", Hosts, "", "", "none"),
    setting(
        "registries",
        Entries(&[
            "registry",
            "caFiles",
            "certificate",
            "key",
            "proxy",
            "mirrors",
            "mirrorsOnly",
            "plainHttp",
            "insecure",
        ]),
        "",
        "",
        "none",
    ),
    setting("driver.type", List(';'), "", "--type", "`modern_ebpf`, `kmod`"),
    setting("driver.name", Text, "", "--name", "`falco`"),
    setting("driver.repos", List(';'), "", "--repo", "`https://download.falco.org/driver`"),
    setting("driver.version", Text, "", "--version", "the newest `/usr/src/falco-*`"),
    setting("driver.hostRoot", Path, "", "--host-root", "`/`"),
    setting("driver.config.configmap", Text, "", "--configmap", "none"),
    setting("driver.config.namespace", Text, "", "--namespace", "none"),
    setting("driver.config.update_falco", Switch, "", "--update-falco", "`true`"),
    setting("driver.config.kubeconfig", Path, "", "--kubeconfig", "none"),
    setting("driver.config.configdir", Path, "", "--falco-config-dir", "`/etc/falco`"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_there_once() {
        let mut keys: Vec<String> =
            TABLE.iter().map(|setting| setting.key.to_ascii_lowercase()).collect();
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn the_documentation_shows_the_table() {
        let text = include_str!("../../../docs/configuration.md");
        let documented: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
        let rows: Vec<String> = TABLE.iter().map(Setting::row).collect();
        assert_eq!(documented, rows, "docs/configuration.md should have:\n{}", rows.join("\n"));
    }

    #[test]
    fn a_misspelt_section_is_recognised_by_its_last_word() {
        assert_eq!(similar("artifact.folow.every"), Some("artifact.follow.every"));
        assert_eq!(similar("nothing.like.this"), None);
        assert!(is_section("Artifact.Install") && !is_section("artifact.install.refs"));
    }

    #[test]
    fn only_what_changes_nothing_is_idle() {
        let idle = |key, words| find(key).expect("known").is_idle(words);
        assert!(idle("artifact.install.statedir", Words::Ours));
        assert!(!idle("artifact.install.statedir", Words::Falcoctl));
        assert!(idle("artifact.follow.tmpDir", Words::Falcoctl));
    }
}

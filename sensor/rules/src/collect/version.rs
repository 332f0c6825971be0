//! What rules files require of the engine and of plugins.
use std::collections::HashSet;

use semver::Version;

use super::reader::{Reader, Refused, head};
use super::{Collection, ENGINE_VERSION};
use crate::report::{Code, LoadCode};
use crate::source::{Node, Place};

/// Plugins that are part of this engine: a requirement on them holds in any version.
const BUILT_IN: [&str; 1] = ["container"];

/// A loaded plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
}

/// A plugin and the lowest version that is good enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The plugin's name.
    pub name: String,
    /// The version.
    pub version: Version,
}

/// One of several plugins must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginRequirement {
    /// The plugin and its alternatives, in order of preference; never empty.
    pub any_of: Vec<Requirement>,
    /// Where it is required.
    pub place: Place,
}

impl PluginRequirement {
    /// Why the loaded plugins do not satisfy this, if so. The first of the alternatives that is
    /// loaded decides.
    pub fn unsatisfied(&self, loaded: &[Plugin]) -> Option<String> {
        for wanted in &self.any_of {
            if BUILT_IN.contains(&wanted.name.as_str()) {
                return None;
            }
            if let Some(plugin) = loaded.iter().find(|plugin| plugin.name == wanted.name) {
                let good = compatible(&plugin.version, &wanted.version);
                return (!good).then(|| {
                    format!(
                        "plugin `{}` is loaded in version {}, required is {} or a compatible one",
                        wanted.name, plugin.version, wanted.version
                    )
                });
            }
        }
        let names: Vec<String> = self
            .any_of
            .iter()
            .map(|wanted| format!("`{}` {}", wanted.name, wanted.version))
            .collect();
        Some(format!("required plugin {} is not loaded", names.join(" or ")))
    }
}

/// The requirements that do not hold, with the reason.
pub fn unsatisfied<'c>(
    requirements: &'c [PluginRequirement],
    loaded: &[Plugin],
) -> Vec<(&'c PluginRequirement, String)> {
    let why =
        |requirement: &'c PluginRequirement| Some((requirement, requirement.unsatisfied(loaded)?));
    requirements.iter().filter_map(why).collect()
}

/// Same major version, and not older.
fn compatible(found: &Version, required: &Version) -> bool {
    found.major == required.major && found >= required
}

/// The leading `digits.digits.digits` of a text: all that is read of a version.
pub fn leading_version(text: &str) -> Option<Version> {
    let mut numbers = text.splitn(3, '.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    let rest = numbers.next()?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some(Version::new(major, minor, rest[..digits].parse().ok()?))
}

impl Collection {
    pub(super) fn engine_version(
        &mut self,
        reader: &mut Reader<'_>,
        item: &Node,
    ) -> Result<(), Refused> {
        reader.within("required_engine_version", "", item, |reader| {
            reader.keys(item, &["required_engine_version"]);
            let text = reader.required(item, "required_engine_version")?;
            let Some(node) = item.get("required_engine_version") else { return Err(Refused) };
            let minor = node.unsigned().map(|minor| Version::new(0, minor.into(), 0));
            let Some(required) = minor.or_else(|| leading_version(text.as_str())) else {
                return Err(reader.wrong_type("an engine version", "`x.y.z` or a number", node));
            };
            if !compatible(&ENGINE_VERSION, &required) {
                let message = format!(
                    "engine version {required} is required, this engine has {ENGINE_VERSION}"
                );
                let place = node.place;
                return Err(reader.error(
                    Code::EngineVersion,
                    LoadCode::ErrValidate,
                    place,
                    message,
                ));
            }
            let highest = self.engine.take().filter(|known| *known > required);
            self.engine = Some(highest.unwrap_or(required));
            Ok(())
        })
    }

    pub(super) fn plugin_versions(
        &mut self,
        reader: &mut Reader<'_>,
        item: &Node,
    ) -> Result<(), Refused> {
        let Some(node) = item.get("required_plugin_versions") else { return Err(Refused) };
        reader.within("required plugin versions", "", item, |reader| {
            reader.keys(item, &["required_plugin_versions"]);
            let Some(entries) = node.items() else {
                return Err(reader.wrong_type("`required_plugin_versions`", "a sequence", node));
            };
            for entry in entries {
                let kind = "required plugin versions entry";
                let requirement =
                    reader.within(kind, "", entry, |reader| plugin_requirement(reader, entry))?;
                self.plugins.push(requirement);
            }
            Ok(())
        })
    }
}

fn plugin_requirement(reader: &mut Reader<'_>, entry: &Node) -> Result<PluginRequirement, Refused> {
    let mut any_of = vec![requirement(reader, entry)?];
    let mut names: HashSet<String> = any_of.iter().map(|wanted| wanted.name.clone()).collect();
    if let Some(node) = entry.get("alternatives") {
        let Some(alternatives) = node.items() else {
            return Err(reader.wrong_type("`alternatives`", "a sequence", node));
        };
        for alternative in alternatives {
            let kind = "required plugin versions alternative";
            let next =
                reader.within(kind, "", alternative, |reader| requirement(reader, alternative))?;
            if !names.insert(next.name.clone()) {
                let message = format!("plugin `{}` is named twice in one requirement", next.name);
                let place = head(alternative);
                return Err(reader.error(
                    Code::PluginVersion,
                    LoadCode::ErrValidate,
                    place,
                    message,
                ));
            }
            any_of.push(next);
        }
    }
    Ok(PluginRequirement { any_of, place: head(entry) })
}

fn requirement(reader: &mut Reader<'_>, node: &Node) -> Result<Requirement, Refused> {
    reader.inner_keys(node, &["name", "version", "alternatives"]);
    let name = reader.required(node, "name")?.as_str().to_owned();
    let text = reader.required(node, "version")?;
    if let Some(version) = leading_version(text.as_str()) {
        return Ok(Requirement { name, version });
    }
    let message = format!("version `{}` of plugin `{name}` is not `x.y.z`", text.as_str());
    let place = node.get("version").map_or(node.place, |version| version.place);
    Err(reader.error(Code::PluginVersion, LoadCode::ErrValidate, place, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compatible_is_same_major_and_not_older() {
        let version = |text: &str| leading_version(text).unwrap();
        assert!(compatible(&version("0.63.0"), &version("0.57.0")));
        assert!(compatible(&version("0.63.0"), &version("0.63.0")));
        assert!(!compatible(&version("0.63.0"), &version("0.63.1")));
        assert!(!compatible(&version("1.0.0"), &version("0.63.0")));
        assert_eq!(version("1.2.3-rc1"), Version::new(1, 2, 3));
        assert_eq!(leading_version("1.2"), None);
        assert_eq!(leading_version("1.2.x"), None);
    }
}

//! Files in the way that no artifact owns.
//!
//! Owns the judgement whether one is of the same kind as what would replace it. It is made from the
//! content, not from the name: a rules bundle that brings a file named like the main configuration
//! must not replace that.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use eyas_artifact::Kind;

use crate::{StoreError, disk};

/// Most bytes of a file that are looked at.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// First bytes of an ELF file.
const ELF_MAGIC: [u8; 4] = *b"\x7fELF";
/// Where an ELF file says what it is, and what a shared object says there.
const ELF_TYPE_AT: usize = 16;
const ELF_SHARED_OBJECT: [u8; 2] = [3, 0];
/// Keys of which a list of rules has at least one.
const RULE_KEYS: [&str; 5] =
    ["rule", "macro", "list", "required_engine_version", "required_plugin_versions"];

/// What to do with a file that is in the way and that no artifact owns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Foreign {
    /// Refuse the transaction, unless the content is the same.
    #[default]
    Refuse,
    /// Replace it if it is of the same kind or empty; refuse otherwise.
    SameKind,
    /// Take it over and replace it.
    Replace,
}

/// Whether the file at `path` may be replaced by one of an artifact of this kind. `before` says
/// that an older tool had this artifact installed here, so that its plugins and assets are its own.
pub(super) fn replaceable(path: &Path, kind: Kind, before: bool) -> Result<bool, StoreError> {
    let file = disk::open(path)?;
    let failed = |error| StoreError::io("read", path, error);
    // Nothing is lost with an empty file, such as an installation that was cut leaves.
    if file.metadata().map_err(failed)?.len() == 0 {
        return Ok(true);
    }
    match kind {
        Kind::Rulesfile => is_rules(BufReader::new(file.take(MAX_BYTES))).map_err(failed),
        Kind::Plugin => Ok(before || is_shared_object(file).map_err(failed)?),
        Kind::Asset => Ok(before),
        Kind::Probe => Ok(false),
    }
}

/// Whether this is a list of rules, whole or cut: every line that is not indented begins an item,
/// and one of the keys is there. A configuration is a mapping, so it has another first line.
fn is_rules(mut text: impl BufRead) -> std::io::Result<bool> {
    let mut keyed = false;
    let mut line = Vec::new();
    loop {
        line.clear();
        if text.read_until(b'\n', &mut line)? == 0 {
            return Ok(keyed);
        }
        let shown = String::from_utf8_lossy(&line);
        let text = shown.trim_end();
        let item = text.trim_start();
        if item.is_empty() || item.starts_with('#') || text == "---" || text == "..." {
            continue;
        }
        if item.len() == text.len() && text != "-" && !text.starts_with("- ") {
            return Ok(false);
        }
        let key = item.trim_start_matches("- ").split(':').next().unwrap_or_default();
        keyed |= RULE_KEYS.contains(&key.trim());
    }
}

fn is_shared_object(file: impl Read) -> std::io::Result<bool> {
    let mut head = Vec::new();
    file.take((ELF_TYPE_AT + ELF_SHARED_OBJECT.len()) as u64).read_to_end(&mut head)?;
    Ok(head.starts_with(&ELF_MAGIC) && head.get(ELF_TYPE_AT..) == Some(&ELF_SHARED_OBJECT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(content: &[u8], kind: Kind, before: bool) -> bool {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, content).unwrap();
        replaceable(&path, kind, before).unwrap()
    }

    #[test]
    fn lists_of_rules_are_replaced_by_rules_and_configurations_are_not() {
        let rules: [&[u8]; 5] = [
            b"- rule: a\n  desc: x\n",
            b"# comment\n---\n\n- required_engine_version: 0.31.0\n\n- list: x\n  items: [a]\n",
            b"- macro: a\n  condition: >\n    evt.type = open\n- rul",
            b"-\n  rule: a\n",
            b"",
        ];
        for text in rules {
            assert!(judge(text, Kind::Rulesfile, false), "{}", String::from_utf8_lossy(text));
        }
        let others: [&[u8]; 7] = [
            b"rules_files:\n  - /etc/falco/falco_rules.yaml\n",
            b"# a comment\njson_output: true\n",
            b"- name: a list of something else\n",
            b"[{rule: a}]\n",
            b"root:x:0:0\n",
            b"{}\n",
            b"\x7fELF",
        ];
        for text in others {
            for before in [false, true] {
                let replaced = judge(text, Kind::Rulesfile, before);
                assert!(!replaced, "{}", String::from_utf8_lossy(text));
            }
        }
    }

    #[test]
    fn shared_objects_are_replaced_by_plugins_and_programs_are_not() {
        let elf = |kind: u8| [&ELF_MAGIC[..], &[0; 12], &[kind, 0], b"more"].concat();
        assert!(judge(&elf(3), Kind::Plugin, false));
        assert!(!judge(&elf(1), Kind::Plugin, false));
        assert!(!judge(b"text", Kind::Plugin, false));
        assert!(!judge(&elf(3)[..10], Kind::Plugin, false));
        assert!(judge(b"text", Kind::Plugin, true), "an older tool brought it");
    }

    #[test]
    fn an_asset_may_be_anything_so_nothing_says_that_it_is_one() {
        assert!(!judge(b"text", Kind::Asset, false));
        assert!(judge(b"text", Kind::Asset, true));
        assert!(judge(b"", Kind::Asset, false));
        assert!(!judge(b"text", Kind::Probe, true));
    }
}

//! Path prefixes as a tree of components: one walk answers all patterns of a list.

use std::collections::HashMap;

use super::Glob;

/// A list of path patterns.
#[derive(Debug, Default)]
pub(super) struct Paths {
    ends: bool,
    plain: HashMap<Box<[u8]>, Paths>,
    globs: Vec<(Glob, Paths)>,
}

impl Paths {
    pub(super) fn new<'a>(patterns: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut root = Self::default();
        for pattern in patterns {
            root.add(pattern);
        }
        root
    }

    fn add(&mut self, pattern: &[u8]) {
        let mut node = self;
        let mut rest = pattern;
        while let Some((component, after)) = split(rest) {
            rest = after;
            node = if component.iter().any(|byte| matches!(byte, b'?' | b'*' | b'[')) {
                node.globs.push((Glob::new(component, false), Self::default()));
                let Some((_, child)) = node.globs.last_mut() else { return };
                child
            } else {
                node.plain.entry(component.into()).or_default()
            };
        }
        node.ends = true;
    }

    /// Whether a pattern is a prefix of `path`, component by component.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        if self.ends {
            return true;
        }
        let Some((component, rest)) = split(path) else { return false };
        self.plain.get(component).is_some_and(|child| child.matches(rest))
            || self.globs.iter().any(|(glob, child)| glob.matches(component) && child.matches(rest))
    }
}

/// The first component and what follows it; empty components are dropped.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = path.iter().position(|byte| *byte != b'/')?;
    let path = &path[start..];
    let end = memchr::memchr(b'/', path).unwrap_or(path.len());
    Some(path.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(patterns: &[&str], path: &str) -> bool {
        Paths::new(patterns.iter().map(|pattern| pattern.as_bytes())).matches(path.as_bytes())
    }

    #[test]
    fn whole_components_only() {
        assert!(matches(&["/usr"], "/usr/bin") && matches(&["/usr"], "/usr"));
        assert!(!matches(&["/usr"], "/usr2") && !matches(&["/usr/bin"], "/usr"));
        assert!(matches(&["/usr//bin/"], "//usr/bin/ls"));
    }

    #[test]
    fn the_root_matches_everything() {
        assert!(matches(&["/"], "/a") && matches(&[""], "x") && matches(&["/"], ""));
        assert!(!matches(&[], "/a") && !matches(&["/a"], ""));
    }

    #[test]
    fn globs_stay_in_their_component() {
        assert!(matches(&["/opt/*/x"], "/opt/a/x/y") && !matches(&["/opt/*/x"], "/opt/a/b/x"));
        assert!(matches(&["/opt/a/y", "/opt/*/x", "/opt/[ab]/z"], "/opt/a/z"));
    }

    #[test]
    fn deep_paths_are_walked_to_their_end() {
        let path = "/a".repeat(500);
        assert!(matches(&["/a/*/a", &format!("{path}/b")], &path));
        assert!(!matches(&[&format!("{path}/b")], &path));
    }
}

//! Which kind of driver a host gets.

use std::fmt;

/// A kind of driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DriverKind {
    /// A probe that needs no files, as the program carries it
    #[value(name = "modern_ebpf")]
    ModernEbpf,
    /// A kernel module
    #[value(name = "kmod")]
    Kmod,
}

impl DriverKind {
    /// All kinds, as they are named in settings.
    pub(crate) const ALL: [Self; 2] = [Self::Kmod, Self::ModernEbpf];

    /// The kind that a setting names.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The name in settings.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ModernEbpf => "modern_ebpf",
            Self::Kmod => "kmod",
        }
    }
}

impl fmt::Display for DriverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Kinds that were allowed, each with the reason against it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) Vec<(DriverKind, String)>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (kind, why)) in self.0.iter().enumerate() {
            write!(f, "{}`{kind}`: {why}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// The first of the allowed kinds that `problem` has nothing against. It is asked only as far as
/// needed, since to load a probe for trying costs something.
pub(crate) fn choose(
    allowed: &[DriverKind],
    mut problem: impl FnMut(DriverKind) -> Option<String>,
) -> Result<DriverKind, Refused> {
    let mut refused = Vec::new();
    for kind in allowed {
        match problem(*kind) {
            None => return Ok(*kind),
            Some(why) => refused.push((*kind, why)),
        }
    }
    Err(Refused(refused))
}

#[cfg(test)]
mod tests {
    use super::*;
    use DriverKind::{Kmod, ModernEbpf};

    #[test]
    fn the_first_possible_kind_is_taken() {
        let no_probe = |kind| (kind == ModernEbpf).then(|| "too old".to_owned());
        assert_eq!(choose(&[ModernEbpf, Kmod], no_probe), Ok(Kmod));
        assert_eq!(choose(&[ModernEbpf, Kmod], |_| None), Ok(ModernEbpf));
        assert_eq!(choose(&[Kmod, ModernEbpf], |_| None), Ok(Kmod));
        assert_eq!(choose(&[Kmod], no_probe), Ok(Kmod));
    }

    #[test]
    fn what_is_not_needed_is_not_asked() {
        let mut asked = Vec::new();
        let chosen = choose(&[Kmod, ModernEbpf], |kind| {
            asked.push(kind);
            None
        });
        assert_eq!((chosen, asked), (Ok(Kmod), vec![Kmod]));
    }

    #[test]
    fn a_refusal_says_why_for_each() {
        let refused = choose(&[ModernEbpf, Kmod], |kind| Some(format!("not {kind}")));
        let text = refused.expect_err("nothing is possible").to_string();
        assert_eq!(text, "`modern_ebpf`: not modern_ebpf; `kmod`: not kmod");
        assert_eq!(choose(&[], |_| None), Err(Refused(Vec::new())));
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for kind in DriverKind::ALL {
            assert_eq!(DriverKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(DriverKind::parse("ebpf"), None);
    }
}

//! Captures that cases of rules name, played for them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use eyas_capture::{Ctx, Limits, Replay, Visitor};
use eyas_rules::RuleSet;
use eyas_rules::fields::Facts;
use eyas_rules::index::IdSet;
use eyas_rules::trial::{Case, Player};

/// Captures beside the case files that name them.
pub(crate) struct Beside;

impl Player for Beside {
    fn play(
        &mut self,
        case: &Case,
        rules: &RuleSet,
        look: &mut dyn FnMut(&dyn Facts),
    ) -> Result<(), String> {
        let named = case.capture.as_deref().unwrap_or_default();
        let folder = Path::new(&case.file).parent().unwrap_or(Path::new(""));
        let path = folder.join(named);
        let file = File::open(&path)
            .map_err(|error| format!("the capture `{}` cannot be read: {error}", path.display()))?;
        play(&path.display().to_string(), file, rules, look)
    }
}

/// Shows the events of a capture that a rule looks at.
pub(crate) fn play(
    name: &str,
    source: impl Read + Send + 'static,
    rules: &RuleSet,
    look: &mut dyn FnMut(&dyn Facts),
) -> Result<(), String> {
    let mut showing = Showing { codes: rules.event_codes(), look };
    let replay = Replay::new(source, Limits::default());
    let mut replay = replay.map_err(|error| format!("the capture `{name}`: {error}"))?;
    replay.run(&mut showing).map_err(|error| {
        let events = replay.counts().shown;
        format!("the capture `{name}`: {error}; only the {events} events before are judged")
    })
}

struct Showing<'l> {
    codes: IdSet,
    look: &'l mut dyn FnMut(&dyn Facts),
}

impl Visitor for Showing<'_> {
    fn wants(&self, code: u16) -> bool {
        self.codes.contains(code)
    }

    fn event(&mut self, ctx: &Ctx<'_>) {
        (self.look)(ctx);
    }
}

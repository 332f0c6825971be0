//! Captures and what is expected of them, from the folder that `EYAS_SHARED` names.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use eyas_capture::{Replay, Visitor};
use eyas_state::{Ctx, Limits};
use flate2::read::GzDecoder;
use serde_json::Value as Json;

/// One capture.
pub(crate) struct Capture {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    expected: PathBuf,
}

impl Capture {
    /// Every capture; none when there are no inputs.
    pub(crate) fn all() -> Vec<Self> {
        let shared = std::env::var_os("EYAS_SHARED").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
            PathBuf::from,
        );
        let folder = shared.join("captures");
        let Ok(entries) = std::fs::read_dir(&folder) else {
            eprintln!("skipped: there are no captures at {}", folder.display());
            return Vec::new();
        };
        let only = std::env::var("ONLY").ok();
        let mut found: Vec<Self> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "scap"))
            .map(|path| Self {
                name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
                expected: folder.join("expected"),
                path,
            })
            .filter(|capture| only.as_ref().is_none_or(|only| capture.name.contains(only)))
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Replays it for somebody who looks at every event.
    pub(crate) fn replay(&self, look: impl FnMut(&Ctx<'_>)) -> Replay {
        struct Every<F>(F);
        impl<F: FnMut(&Ctx<'_>)> Visitor for Every<F> {
            fn wants(&self, _: u16) -> bool {
                true
            }
            fn event(&mut self, ctx: &Ctx<'_>) {
                (self.0)(ctx);
            }
        }
        let file = File::open(&self.path).unwrap();
        let mut replay = Replay::new(file, Limits::default()).unwrap();
        replay.run(&mut Every(look)).unwrap();
        replay
    }

    fn file(&self, suffix: &str) -> Option<File> {
        File::open(self.expected.join(format!("{}.{suffix}", self.name))).ok()
    }

    /// A JSON document about it.
    pub(crate) fn document(&self, suffix: &str) -> Option<Json> {
        serde_json::from_reader(BufReader::new(self.file(suffix)?)).ok()
    }

    /// One JSON object per event.
    pub(crate) fn lines(&self, suffix: &str) -> Option<impl Iterator<Item = Json> + use<>> {
        let lines = BufReader::new(GzDecoder::new(self.file(suffix)?)).lines();
        Some(lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()))
    }
}

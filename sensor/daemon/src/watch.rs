//! Files that count, watched: what changes them, in whatever way, is noticed when it is over.
//!
//! Folders are watched and not files, so that a file that is renamed into place, replaced by an
//! editor, or reached through a link that is swapped (as Kubernetes does it) is noticed all the same.
//! What counts is content: it is compared when it has been quiet for a moment, so that several files
//! that are written one after the other are one change, and a change back is none.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use eyas_artifact::Digest;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use crate::config::files_of;
use crate::generation::{MAX_RULES_FILE_BYTES, read_capped};

/// How long it must have been quiet before content is compared.
const QUIET: Duration = Duration::from_millis(250);
/// How long writers that never rest may put it off.
const PATIENCE: Duration = Duration::from_secs(3);
/// Links that are followed from one path.
const MAX_LINKS: usize = 16;

/// Content of files by their paths; `None` for one that cannot be read.
type Content = Vec<(PathBuf, Option<Digest>)>;

/// Watches over files and folders.
#[derive(Debug)]
pub(crate) struct Watch {
    events: OwnedFd,
    paths: Vec<PathBuf>,
    content: Content,
    /// When the first and the last thing happened that was not looked at yet.
    stir: Option<(Instant, Instant)>,
}

impl Watch {
    /// Begins to watch; the content is what it is now.
    pub(crate) fn over(paths: Vec<PathBuf>) -> io::Result<Self> {
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let mut watch = Self { events, paths: Vec::new(), content: Vec::new(), stir: None };
        watch.follow(paths);
        Ok(watch)
    }

    /// From now on these paths. Content of those that were watched before stays what it was when it was
    /// last compared, so that a change since then is still one.
    pub(crate) fn follow(&mut self, paths: Vec<PathBuf>) {
        if paths != self.paths {
            self.paths = paths;
            self.arm();
            self.content = content(&self.paths);
        }
    }

    /// What to wait on.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// How long to wait at most.
    pub(crate) fn wait(&self, most: Duration) -> Duration {
        if self.stir.is_some() { QUIET.min(most) } else { most }
    }

    /// Whether content has changed and come to rest. Told once for each change.
    pub(crate) fn has_changed(&mut self, now: Instant) -> bool {
        if self.drain() {
            self.stir = Some((self.stir.map_or(now, |(first, _)| first), now));
        }
        let Some((first, last)) = self.stir else { return false };
        if now.duration_since(last) < QUIET && now.duration_since(first) < PATIENCE {
            return false;
        }
        self.stir = None;
        // What is behind a path may lie elsewhere now.
        self.arm();
        let found = content(&self.paths);
        let changed = found != self.content;
        self.content = found;
        changed
    }

    /// Reads what there is; whether there was something.
    fn drain(&self) -> bool {
        let mut buffer = [0; 4096];
        let mut some = false;
        while rustix::io::read(&self.events, &mut buffer).is_ok_and(|count| count > 0) {
            some = true;
        }
        some
    }

    fn arm(&self) {
        let mask = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let folders: BTreeSet<PathBuf> = self.paths.iter().flat_map(|path| folders(path)).collect();
        for folder in folders {
            // One that went away meanwhile makes its parent stir.
            let _ = inotify::add_watch(&self.events, &folder, mask);
        }
    }
}

/// The folders in which something must happen for a path to mean something else: the one it lies in,
/// those that links on its way lead to, and itself if it is one.
fn folders(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut at = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        if at.is_dir() {
            found.push(at.clone());
        }
        found.extend(existing(at.parent().unwrap_or(Path::new("/"))));
        let Ok(target) = std::fs::read_link(&at) else { break };
        at = at.parent().unwrap_or(Path::new("/")).join(target);
    }
    // Folders on the way may be links themselves.
    if let Ok(real) = path.canonicalize() {
        found.extend(real.parent().map(Path::to_path_buf));
    }
    found
}

/// The folder, or the nearest one above it that is there.
fn existing(folder: &Path) -> Option<PathBuf> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    here.ancestors().find(|folder| folder.is_dir()).map(Path::to_path_buf)
}

fn content(paths: &[PathBuf]) -> Content {
    let mut found = Vec::new();
    for path in paths {
        let files = match files_of(path) {
            Ok(files) if !files.is_empty() => files,
            _ => vec![path.clone()],
        };
        for file in files {
            let bytes = read_capped(&file, MAX_RULES_FILE_BYTES).ok();
            found.push((file, bytes.map(|bytes| Digest::sha256(&bytes))));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Waits until a change is noticed.
    #[track_caller]
    fn expect(watch: &mut Watch, what: &str) {
        let start = Instant::now();
        while !watch.has_changed(Instant::now()) {
            assert!(start.elapsed() < Duration::from_secs(30), "{what} was not noticed");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether a change is noticed although there is none.
    fn fooled(watch: &mut Watch) -> bool {
        let start = Instant::now();
        while start.elapsed() < 3 * QUIET {
            if watch.has_changed(Instant::now()) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    #[test]
    fn each_way_to_change_a_file_is_noticed_once() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("rules.yaml"), dir.path().join("new"));
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::over(vec![file.clone()]).unwrap();
        assert!(!fooled(&mut watch));
        fs::write(&file, "2").unwrap();
        expect(&mut watch, "written");
        assert!(!fooled(&mut watch), "once");
        fs::write(&other, "3").unwrap();
        fs::rename(&other, &file).unwrap();
        expect(&mut watch, "renamed into place");
        fs::write(&file, "4").unwrap();
        fs::write(&file, "3").unwrap();
        assert!(!fooled(&mut watch), "changed back");
        fs::remove_file(&file).unwrap();
        expect(&mut watch, "removed");
        fs::write(&file, "3").unwrap();
        expect(&mut watch, "made again");
    }

    #[test]
    fn a_link_that_is_swapped_as_kubernetes_does_it_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let version = |name: &str, text: &str| {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("rules.yaml"), text).unwrap();
        };
        version("..1", "1");
        symlink("..1", dir.path().join("..data")).unwrap();
        symlink("..data/rules.yaml", dir.path().join("rules.yaml")).unwrap();
        let mut by_file = Watch::over(vec![dir.path().join("rules.yaml")]).unwrap();
        let mut by_folder = Watch::over(vec![dir.path().to_path_buf()]).unwrap();
        for (name, text) in [("..2", "2"), ("..3", "3")] {
            version(name, text);
            symlink(name, dir.path().join("..data_tmp")).unwrap();
            fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).unwrap();
            expect(&mut by_file, name);
            expect(&mut by_folder, name);
        }
    }

    #[test]
    fn folders_gain_and_lose_files_and_come_into_being() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("rules.d");
        let mut watch = Watch::over(vec![folder.clone()]).unwrap();
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a.yaml"), "1").unwrap();
        expect(&mut watch, "the folder was made");
        fs::write(folder.join("b.yaml"), "1").unwrap();
        expect(&mut watch, "a file was added");
        fs::write(folder.join("README"), "1").unwrap();
        assert!(!fooled(&mut watch), "another file does not count");
        fs::remove_file(folder.join("a.yaml")).unwrap();
        expect(&mut watch, "a file was taken away");
    }

    #[test]
    fn writers_that_never_rest_put_it_off_for_a_while_only() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rules.yaml");
        let mut watch = Watch::over(vec![file.clone()]).unwrap();
        let start = Instant::now();
        fs::write(&file, "1").unwrap();
        assert!(!watch.has_changed(start));
        fs::write(&file, "2").unwrap();
        assert!(!watch.has_changed(start + PATIENCE / 2));
        fs::write(&file, "3").unwrap();
        assert!(watch.has_changed(start + PATIENCE));
    }
}

//! What the single changes promise.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;

const EXDEV: i32 = 18;
const ENOSPC: i32 = 28;

fn names(directory: &Path) -> Vec<String> {
    let paths = list(directory).unwrap();
    paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_replaced_file_has_the_fixed_mode_and_leaves_no_other_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    for content in ["one", "two"] {
        replace_file(&path, content.as_bytes()).unwrap();
        assert_eq!(read(&path, 3).unwrap().unwrap(), content.as_bytes());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, FILE_MODE);
    }
    assert_eq!(names(directory.path()), ["file"]);
}

#[test]
fn every_failed_step_of_a_replacement_keeps_the_old_content() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    replace_file(&path, b"old").unwrap();
    let mut failures = 0;
    for at in 1.. {
        arm(Fault::Errno(ENOSPC), at);
        let result = replace_file(&path, b"new");
        let (passed, content) = (points_passed(), fs::read(&path).unwrap());
        disarm();
        assert_eq!(names(directory.path()), ["file"], "at {at}");
        if passed < at {
            result.unwrap();
            break;
        }
        failures += 1;
        assert!(matches!(result, Err(StoreError::Full { .. })), "at {at}");
        // Only the last step, the flush of the directory, comes after the rename.
        let renamed = content == b"new";
        assert!(renamed || content == b"old", "at {at}");
        replace_file(&path, b"old").unwrap();
    }
    assert_eq!(failures, 6, "create, mode, write, flush, rename, flush of the directory");
}

#[test]
fn a_dropped_file_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = NewFile::create(directory.path().join("half")).unwrap();
    file.write(b"x").unwrap();
    drop(file);
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn a_new_file_never_follows_or_replaces_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let (link, outside) = (directory.path().join("link"), directory.path().join("outside"));
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    assert!(NewFile::create(link.clone()).is_err());
    assert!(!outside.exists() && link.is_symlink(), "the failed attempt removed nothing");
    assert!(open(&link).is_err(), "nor is a link followed for reading");
}

#[test]
fn where_links_are_not_possible_a_copy_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    replace_file(&at("from"), b"content").unwrap();
    link_or_copy(&at("from"), &at("link")).unwrap();
    let inode = |name: &str| fs::metadata(at(name)).unwrap().ino();
    assert_eq!(inode("from"), inode("link"));
    // A link to what exists already fails like one across file systems, and so does the copy.
    assert!(link_or_copy(&at("from"), &at("link")).is_err());
    assert_eq!(inode("from"), inode("link"));
    let error = change("link", &at("x"), || Err::<(), _>(io::Error::from_raw_os_error(EXDEV)));
    assert!(matches!(error, Err(StoreError::Io { .. })), "the class that leads to a copy");
    let mut copy = NewFile::create(at("copy")).unwrap();
    copy.fill_from(&mut open(&at("from")).unwrap(), &at("from")).unwrap();
    assert_eq!(copy.digest(), eyas_artifact::Digest::sha256(b"content"));
    copy.keep().unwrap();
    assert_eq!(fs::read(at("copy")).unwrap(), b"content");
}

#[test]
fn a_link_is_replaced_and_a_directory_goes_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("current");
    for target in ["generations/1", "generations/2"] {
        replace_link(Path::new(target), &link).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new(target));
    }
    let tree = directory.path().join("tree");
    ensure_dir(&tree.join("a/b")).unwrap();
    fs::write(tree.join("a/b/c"), "").unwrap();
    remove_tree(&tree).unwrap();
    assert_eq!(names(directory.path()), ["current"]);
    remove_file(&directory.path().join("absent")).unwrap();
}

#[test]
fn reading_has_a_limit_and_an_absent_file_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    assert_eq!(read(&path, 3).unwrap(), None);
    replace_file(&path, b"abc").unwrap();
    assert_eq!(read(&path, 3).unwrap().unwrap(), b"abc");
    assert!(matches!(read(&path, 2), Err(StoreError::Damaged { .. })));
    assert_eq!(list(&directory.path().join("absent")).unwrap(), [""; 0].map(PathBuf::from));
}

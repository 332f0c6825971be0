//! A low-level runtime that asks for no more than this machine can give.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::programs::peer;

/// Makes `runc` in a folder, which runs the installed one after it took out of a bundle what machines like this one
/// refuse: of all rights, which engines ask for in privileged containers, that over resources, and to be spared when
/// memory ends, which they ask for in a pod's own.
pub fn modest_runc(folder: &Path) -> Result<PathBuf, String> {
    let runc = peer("RUNC").ok_or("`runc` is not installed")?;
    let script = format!(
        "#!/bin/sh\nfor word; do\n  [ \"$before\" != --bundle ] || sed -i \
         's/\"CAP_SYS_RESOURCE\",//g; s/\"oomScoreAdj\": *-[0-9]*/\"oomScoreAdj\": 0/' \
         \"$word/config.json\"\n  before=$word\ndone\nexec {} \"$@\"\n",
        runc.display()
    );
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let file = folder.join("runc");
    fs::create_dir_all(folder).map_err(failed)?;
    fs::write(&file, script).map_err(failed)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).map_err(failed)?;
    Ok(file)
}

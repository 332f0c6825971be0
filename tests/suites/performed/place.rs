//! Where actions happen: a folder with the program that performs them under every name, and namespaces in which all
//! that an action touches is a copy.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use eyas_tests::run;
use tempfile::TempDir;

use crate::rows::Row;

/// Longest that one action may take, seconds; then it is ended with all it has started.
const LIMIT: &str = "30";
/// Actions at once: more would only wait for each other.
const WORKERS: usize = 3;

/// The rule that tells when everything before has been told.
pub(crate) const SENTINEL: &str = "Everything was performed";
/// Name of the program that it is about. With the number of this process, as all names: another run on this machine
/// must not be taken for this one.
fn sentinel_program() -> String {
    format!("end-{}", std::process::id())
}

/// Its file.
pub(crate) fn sentinel_rule() -> String {
    let program = sentinel_program();
    format!(
        "- rule: {SENTINEL}\n  desc: d\n  condition: evt.type = execve and proc.name = {program}\n  output: done\n  \
         priority: INFO\n"
    )
}

/// Words of a script that are followed by the name of a program.
const NAMING: [&str; 5] = ["as", "run", "spawn", "spawn-as", "exec"];

/// Makes a small world and becomes the action's shell in it. Everything is mounted over and goes with the namespace.
const PRELUDE: &str = r#"
set -e
mount --make-rprivate /
mount --bind "$0" /mnt
mount -t tmpfs none /tmp
mkdir -m 755 /tmp/etc
cp /etc/passwd /etc/group /tmp/etc/
[ ! -e /etc/ld.so.cache ] || cp /etc/ld.so.cache /tmp/etc/
cd /tmp/etc
mkdir cron.d pam.d
printf host >hostname; printf 'root:*:1::::::\n' >shadow; printf '127.0.0.1 localhost\n' >hosts
for place in /root /home /var/log /run /usr/local/bin; do
  [ -d $place ] || continue
  mount -t tmpfs -o mode=755 none $place
done
mkdir /root/.ssh
touch /root/.bashrc /root/.bash_history /root/.ssh/id_rsa /root/.ssh/id_rsa.pub /var/log/syslog
[ -L /var/run ] || mount -t tmpfs none /var/run
mkdir -p /var/run/secrets/kubernetes.io/serviceaccount
mkdir /tmp/dev /tmp/dev/shm /tmp/dev/pts
for node in null zero urandom; do cp -a /dev/$node /tmp/dev/; done
mount -t devpts -o newinstance,ptmxmode=0666 none /tmp/dev/pts
ln -s pts/ptmx /tmp/dev/ptmx
mount --rbind /tmp/dev /dev
mount --bind /tmp/etc /etc
mount -t tmpfs none /tmp
printf x >/tmp/file
cd /tmp
exec /mnt/"$1" -c "$2"
"#;

/// What scripts are written in.
const WORDS: &str = r#"
as() { program=$1; shift; PERFORM=$(IFS=$(printf '\037'); printf %s "$*") "/mnt/$program"; }
run() { program=$1; shift; "/mnt/$program" "$@"; }
overlay() {
  mkdir lower upper work merged; cp /mnt/perform lower/below
  mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work merged
}
set -e
"#;

/// What a rule looks for, or its near miss.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    Hit,
    Miss,
}

impl Side {
    /// The name of the action for a row, short enough for a command name.
    pub(crate) fn action(self, number: usize) -> String {
        let side = match self {
            Self::Hit => 'h',
            Self::Miss => 'm',
        };
        format!("{side}{number:03}-{}", std::process::id())
    }
}

/// Whether a word is the name of an action.
pub(crate) fn is_action(word: &str) -> bool {
    let rest = word.strip_prefix(['h', 'm']).and_then(|rest| rest.split_once('-'));
    rest.is_some_and(|(number, process)| {
        number.len() == 3 && process.parse() == Ok(std::process::id())
    })
}

/// Whether namespaces and overlays can be made here, and what actions are made with is there.
pub(crate) fn possible() -> Result<(), String> {
    let script = "mount -t tmpfs none /mnt && cd /mnt && mkdir a b c d && \
                  mount -t overlay none -o lowerdir=a,upperdir=b,workdir=c d";
    let tried = run(inside().args(["sh", "-c", script]));
    if tried.code() != 0 {
        return Err(format!("no namespaces or no overlay here: {}", tried.stderr.trim()));
    }
    match Command::new("cc").arg("--version").stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err("no C compiler here".to_owned()),
    }
}

/// Namespaces of its own, ended with all that is in them when the time is up.
fn inside() -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", LIMIT, "setsid", "-w", "unshare", "--mount", "--pid", "--fork"]);
    command.args(["--kill-child", "--mount-proc", "--net", "--uts", "--ipc"]);
    command
}

/// The folder that every action sees as `/mnt`.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    /// Compiles the program and gives it every name that the rows use.
    pub(crate) fn new(rows: &[Row]) -> Self {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder =
            tempfile::Builder::new().prefix("performed-").tempdir_in(base).expect("folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("mode");
        let programs = folder.path().join("programs");
        fs::create_dir(&programs).expect("folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites/performed/perform.c");
        let compiled =
            run(Command::new("cc").args(["-O1", "-o"]).arg(programs.join("perform")).arg(source));
        compiled.expect_code(0);
        let shell = fs::canonicalize("/bin/sh").expect("a shell");
        for number in 0..rows.len() {
            for side in [Side::Hit, Side::Miss] {
                symlink(&shell, programs.join(side.action(number))).expect("link");
            }
        }
        for name in names(rows) {
            symlink("perform", programs.join(name)).expect("link");
        }
        symlink("perform", programs.join(sentinel_program())).expect("link");
        Self { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Performs both sides of every row; gives the actions that could not be performed.
    pub(crate) fn perform_all(&self, rows: &[Row]) -> Vec<(Row, String)> {
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some(row) = rows.get(number) else { return };
                        for (side, script) in [(Side::Hit, row.hit), (Side::Miss, row.miss)] {
                            if let Err(why) = self.perform(&side.action(number), script) {
                                let line = format!("`{}`: {script}: {why}", row.rule);
                                failed.lock().expect("no panic").push((*row, line));
                            }
                        }
                    }
                });
            }
        });
        failed.into_inner().expect("no panic")
    }

    fn perform(&self, action: &str, script: &str) -> Result<(), String> {
        let programs = self.folder.path().join("programs");
        let script = format!("{WORDS}{script}");
        let done = run(inside()
            .args(["sh", "-c", PRELUDE])
            .arg(&programs)
            .args([action, &script])
            .env_remove("LD_PRELOAD"));
        match done.code() {
            0 => Ok(()),
            code => Err(format!("code {code}: {}", done.stderr.trim())),
        }
    }

    /// Does what the last rule looks for.
    pub(crate) fn sentinel(&self) {
        run(&mut Command::new(self.folder.path().join("programs").join(sentinel_program())))
            .expect_code(0);
    }
}

fn names(rows: &[Row]) -> BTreeSet<&str> {
    let words = |script: &'static str| {
        let words: Vec<&str> = script.split([' ', ';']).filter(|word| !word.is_empty()).collect();
        let named = words.windows(2).filter(|pair| NAMING.contains(&pair[0]));
        named.map(|pair| pair[1]).collect::<Vec<_>>()
    };
    rows.iter().flat_map(|row| [words(row.hit), words(row.miss)].concat()).collect()
}

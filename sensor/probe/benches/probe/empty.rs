//! The least that anything on the hot tracepoint can cost: a program that does nothing.

use std::process::{Command, Stdio};

use aya::programs::BtfTracePoint;
use aya::{Btf, Ebpf};

use crate::Result;

const SOURCE: &str = "\
__attribute__((section(\"tp_btf/sys_exit\"), used)) int nothing(void *ctx) { return 0; }
__attribute__((section(\"license\"), used)) char license_text[] = \"GPL\";
";

/// Compiled once, attached as often as needed.
pub(crate) struct Empty {
    object: Vec<u8>,
    btf: Btf,
}

/// Attached until dropped.
pub(crate) struct Attached {
    _bpf: Ebpf,
}

impl Empty {
    pub(crate) fn compile() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (source, object) = (folder.path().join("empty.c"), folder.path().join("empty.o"));
        std::fs::write(&source, SOURCE)?;
        let clang = std::env::var("EYAS_CLANG").unwrap_or_else(|_| "clang".to_owned());
        let status = Command::new(clang)
            .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-c"])
            .arg(&source)
            .arg("-o")
            .arg(&object)
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            return Err("clang could not compile an empty program".into());
        }
        Ok(Self { object: std::fs::read(object)?, btf: Btf::from_sys_fs()? })
    }

    pub(crate) fn attach(&self) -> Result<Attached> {
        let mut bpf = Ebpf::load(&self.object)?;
        let program: &mut BtfTracePoint =
            bpf.program_mut("nothing").ok_or("no program")?.try_into()?;
        program.load("sys_exit", &self.btf)?;
        program.attach()?;
        Ok(Attached { _bpf: bpf })
    }
}

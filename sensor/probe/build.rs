//! Compiles the probe for every architecture it is published for, and embeds the objects.
//!
//! The paths of this checkout stay out of the objects, so that two checkouts give the same bytes. clang is
//! required; `EYAS_CLANG` names another one.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use flate2::{Compression, write::GzEncoder};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Name in Rust, in the probe's sources, and of the multiarch directory with the user headers.
const ARCHITECTURES: &[(&str, &str)] = &[("x86_64", "x86"), ("aarch64", "arm64")];

const STRIP: &[&str] = &[
    "-g",
    "--remove-section=.rel.BTF",
    "--remove-section=.rel.BTF.ext",
    "--remove-section=.llvm_addrsig",
];

fn main() -> Result<()> {
    let sources = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../bpf").canonicalize()?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-env-changed=EYAS_CLANG");
    println!("cargo::rerun-if-changed=build.rs");
    watch(&sources)?;
    for (rust, kernel) in ARCHITECTURES {
        let object = out.join(format!("probe-{rust}.o"));
        compile(&sources, kernel, &object)?;
        strip(&object)?;
        pack(&object, &out.join(format!("probe-{rust}.o.gz")))?;
    }
    Ok(())
}

/// Compresses an object, so that carrying two of them costs little.
fn pack(object: &Path, packed: &Path) -> Result<()> {
    let mut encoder = GzEncoder::new(fs::File::create(packed)?, Compression::best());
    encoder.write_all(&fs::read(object)?)?;
    encoder.finish()?.flush()?;
    Ok(())
}

fn watch(directory: &Path) -> Result<()> {
    println!("cargo::rerun-if-changed={}", directory.display());
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            watch(&path)?;
        } else {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    Ok(())
}

fn compile(sources: &Path, architecture: &str, object: &Path) -> Result<()> {
    let clang = env::var("EYAS_CLANG").unwrap_or_else(|_| "clang".to_owned());
    let mut command = Command::new(&clang);
    command
        .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-std=gnu11", "-c", "probe.bpf.c"])
        .args(["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-sign-compare"])
        .arg(format!("-D__TARGET_ARCH_{architecture}"))
        .arg(format!("-DEYAS_LAYOUT_HASH=\"{}\"", eyas_abi::LAYOUT_HASH))
        .args(["-I", "include"])
        .arg(format!("-ffile-prefix-map={}=.", sources.display()))
        .arg("-fdebug-compilation-dir=.");
    // asm/types.h lies in the host's multiarch directory; its types are the same everywhere.
    for triple in ["x86_64-linux-gnu", "aarch64-linux-gnu"] {
        let directory = Path::new("/usr/include").join(triple);
        if directory.is_dir() {
            command.arg("-I").arg(directory);
        }
    }
    let status = command.arg("-o").arg(object).current_dir(sources).status().map_err(|error| {
        format!(
            "`{clang}`: {error}; install clang and the libbpf headers (packages clang, libbpf-dev)"
        )
    })?;
    if !status.success() {
        return Err(format!("`{clang}` could not compile the probe for {architecture}").into());
    }
    Ok(())
}

/// Takes away the debug sections, and the relocations of the type information, which no loader reads. Without
/// the tool the object is larger, nothing else.
fn strip(object: &Path) -> Result<()> {
    for tool in ["llvm-strip", "llvm-strip-14", "llvm-strip-16", "llvm-strip-19"] {
        if let Ok(status) = Command::new(tool).args(STRIP).arg(object).status() {
            return if status.success() { Ok(()) } else { Err(format!("`{tool}` failed").into()) };
        }
    }
    println!("cargo::warning=no llvm-strip: the embedded probe keeps its debug sections");
    Ok(())
}

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
    "--strip-unneeded",
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

/// Takes away what no loader reads: debug sections, local symbols, relocations of the type information, and the
/// lines of the sources, which are two fifths of the object (`EYAS_KEEP_LINES` keeps them, for the verifier's log).
/// Without the tools the object is larger, nothing else.
fn strip(object: &Path) -> Result<()> {
    println!("cargo::rerun-if-env-changed=EYAS_KEEP_LINES");
    for version in ["", "-14", "-16", "-19"] {
        if let Ok(status) =
            Command::new(format!("llvm-strip{version}")).args(STRIP).arg(object).status()
        {
            if !status.success() {
                return Err(format!("`llvm-strip{version}` failed").into());
            }
            if env::var_os("EYAS_KEEP_LINES").is_some() {
                return Ok(());
            }
            return drop_lines(&format!("llvm-objcopy{version}"), object);
        }
    }
    println!("cargo::warning=no llvm-strip: the embedded probe keeps its debug sections");
    Ok(())
}

/// Writes `.BTF.ext` anew without line information. Its header (magic, version, flags, own length) is followed by
/// offset and length of three parts: functions, lines, relocations.
fn drop_lines(objcopy: &str, object: &Path) -> Result<()> {
    const WORDS: usize = 8;
    let part = object.with_extension("ext");
    let section = |flag: &str| -> Result<bool> {
        let argument = format!("{flag}=.BTF.ext={}", part.display());
        Ok(Command::new(objcopy).arg(argument).arg(object).status()?.success())
    };
    if !section("--dump-section")? {
        return Err(format!("`{objcopy}` could not read `.BTF.ext`").into());
    }
    let old = fs::read(&part)?;
    let word = |at: usize| old.get(4 * at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    let header: Vec<u32> =
        (0..WORDS).map(word).collect::<Option<_>>().ok_or("`.BTF.ext` is too short")?;
    let start = header[1] as usize;
    let taken = |offset: u32, len: u32| {
        old.get(start + offset as usize..start + (offset + len) as usize).ok_or("`.BTF.ext` is cut")
    };
    let (functions, relocations) = (taken(header[2], header[3])?, taken(header[6], header[7])?);
    // An empty part is the size of its records and nothing else.
    let lines = taken(header[4], 4)?;
    let at = |part: usize| part as u32;
    let words = [
        header[0],
        4 * at(WORDS),
        0,
        header[3],
        header[3],
        at(lines.len()),
        header[3] + at(lines.len()),
        header[7],
    ];
    let mut new: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    new.extend(functions.iter().chain(lines).chain(relocations));
    fs::write(&part, new)?;
    if section("--update-section")? {
        return Ok(());
    }
    Err(format!("`{objcopy}` could not write `.BTF.ext`").into())
}

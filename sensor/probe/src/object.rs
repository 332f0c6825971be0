//! The probe object: the embedded ones, and the check that an object speaks this program's layout.
//!
//! An object carries the hash of the layout it was compiled for, and the kernel-side structures in its type
//! information. Both are compared before anything reaches the kernel.

use std::io::Read;
use std::sync::OnceLock;

use eyas_abi::{Header, LAYOUT_HASH};
use eyas_artifact::{Digest, KernelNeeds, ProbeConfig, Version};
use flate2::bufread::GzDecoder;

use crate::error::ProbeError;

/// Section of the object that holds `struct eyas_layout`.
const LAYOUT_SECTION: &str = ".rodata.layout";
/// Room for the hash in `struct eyas_layout`, with its NUL.
const HASH_ROOM: usize = 40;

/// Kernel that has everything the probe needs. Features are probed; this is for people.
const OLDEST_RELEASE: &str = "5.10";

/// Name of the object file inside a published layer.
pub const OBJECT_NAME: &str = "eyas-probe.o";

/// An object inside this program. Compressed, since most runs of the command line tool never look at one.
struct Embedded {
    packed: &'static [u8],
    unpacked: OnceLock<Vec<u8>>,
}

static X86_64: Embedded =
    Embedded::new(include_bytes!(concat!(env!("OUT_DIR"), "/probe-x86_64.o.gz")));
static ARM64: Embedded =
    Embedded::new(include_bytes!(concat!(env!("OUT_DIR"), "/probe-aarch64.o.gz")));

impl Embedded {
    const fn new(packed: &'static [u8]) -> Self {
        Self { packed, unpacked: OnceLock::new() }
    }

    /// The object. Empty, and so refused by [`check`], in a program whose file was damaged.
    fn get(&'static self) -> &'static [u8] {
        self.unpacked.get_or_init(|| {
            let mut object = Vec::new();
            match GzDecoder::new(self.packed).read_to_end(&mut object) {
                Ok(_) => object,
                Err(_) => Vec::new(),
            }
        })
    }
}

/// The object for the machine this program was compiled for.
pub fn embedded() -> &'static [u8] {
    if cfg!(target_arch = "aarch64") { ARM64.get() } else { X86_64.get() }
}

/// The object for an architecture, by the name that platforms of artifacts use (`amd64`, `arm64`).
pub fn embedded_for(architecture: &str) -> Option<&'static [u8]> {
    match architecture {
        "amd64" | "x86_64" => Some(X86_64.get()),
        "arm64" | "aarch64" => Some(ARM64.get()),
        _ => None,
    }
}

/// Digest of the object that runs when no other is given.
pub fn embedded_digest() -> Digest {
    Digest::sha256(embedded())
}

/// The configuration document under which an object is published. Fails on an object with another layout.
pub fn describe(
    object: &[u8],
    name: &str,
    version: &Version,
    architecture: &str,
) -> Result<ProbeConfig, ProbeError> {
    check(object)?;
    Ok(ProbeConfig {
        name: name.to_owned(),
        version: version.clone(),
        architecture: architecture.to_owned(),
        layout_hash: LAYOUT_HASH.to_owned(),
        kernel: KernelNeeds {
            features: ["btf", "ringbuf", "tp_btf"].map(str::to_owned).to_vec(),
            min_release: Some(OLDEST_RELEASE.to_owned()),
        },
        object: OBJECT_NAME.to_owned(),
        object_digest: Digest::sha256(object),
        object_size: object.len() as u64,
        requirements: Vec::new(),
    })
}

/// Compares the object's layout with this program's.
pub fn check(object: &[u8]) -> Result<(), ProbeError> {
    let parsed = parse(object)?;
    let found = hash_of(&parsed)?;
    if found != LAYOUT_HASH {
        return Err(ProbeError::Layout { found, expected: LAYOUT_HASH });
    }
    let btf = parsed
        .btf
        .as_ref()
        .ok_or_else(|| ProbeError::Object("it has no type information".to_owned()))?
        .to_bytes();
    let fields: Vec<(&str, usize)> = Header::FIELDS
        .iter()
        .filter(|field| field.size > 0)
        .map(|field| (field.name, field.offset))
        .collect();
    check_structure(&btf, "eyas_header", eyas_abi::HEADER_LEN, &fields)?;
    check_structure(&btf, "eyas_settings", crate::settings::SETTINGS_LEN, crate::settings::FIELDS)
}

fn parse(object: &[u8]) -> Result<aya_obj::Object, ProbeError> {
    aya_obj::Object::parse(object).map_err(|error| ProbeError::Object(crate::load::chain(&error)))
}

fn hash_of(object: &aya_obj::Object) -> Result<String, ProbeError> {
    let missing = || ProbeError::Object(format!("section `{LAYOUT_SECTION}` is missing"));
    let data = object.maps.get(LAYOUT_SECTION).ok_or_else(missing)?.data();
    let bytes = data.get(..HASH_ROOM).ok_or_else(missing)?;
    let text = eyas_abi::value::text(bytes).unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Size and offsets of a structure in type information against what this program reads.
fn check_structure(
    btf: &[u8],
    structure: &'static str,
    size: usize,
    fields: &[(&str, usize)],
) -> Result<(), ProbeError> {
    let differs = |detail: String| ProbeError::Structure { structure, detail };
    let found = crate::btf::structure(btf, structure)
        .ok_or_else(|| differs("it is not in the type information".to_owned()))?;
    if found.size != size {
        return Err(differs(format!("size `{}` found, `{size}` expected", found.size)));
    }
    let members = found.fields;
    let expected: Vec<(String, usize)> =
        fields.iter().map(|(name, offset)| ((*name).to_owned(), *offset)).collect();
    match members.iter().zip(&expected).find(|(found, expected)| found != expected) {
        Some((found, expected)) => Err(differs(format!(
            "`{}` at `{}` found, `{}` at `{}` expected",
            found.0, found.1, expected.0, expected.1
        ))),
        None if members.len() != expected.len() => {
            Err(differs(format!("`{}` fields found, `{}` expected", members.len(), expected.len())))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_objects_have_this_programs_layout() {
        let version: Version = "1.0.0".parse().unwrap();
        for architecture in ["amd64", "arm64"] {
            let object = embedded_for(architecture).unwrap();
            check(object).unwrap();
            let config = describe(object, "eyas-probe", &version, architecture).unwrap();
            assert_eq!(config.layout_hash, LAYOUT_HASH);
            assert_eq!(config.object_digest, Digest::sha256(object));
        }
        assert!(embedded_for("riscv64").is_none());
        assert_ne!(embedded_for("amd64"), embedded_for("arm64"));
    }

    #[test]
    fn bytes_that_are_no_object_are_refused() {
        assert!(matches!(check(b"no object"), Err(ProbeError::Object(_))));
        assert!(matches!(check(&[]), Err(ProbeError::Object(_))));
    }

    #[test]
    fn another_layout_is_refused_with_both_hashes() {
        let mut object = embedded().to_vec();
        let at = object
            .windows(LAYOUT_HASH.len())
            .position(|window| window == LAYOUT_HASH.as_bytes())
            .unwrap();
        object[at] = if object[at] == b'0' { b'1' } else { b'0' };
        let error = check(&object).unwrap_err();
        assert!(
            matches!(&error, ProbeError::Layout { found, .. } if found != LAYOUT_HASH),
            "{error}"
        );
        assert!(error.hint().is_some());
    }

    #[test]
    fn a_moved_field_is_named() {
        let parsed = parse(embedded()).unwrap();
        let btf = &parsed.btf.as_ref().unwrap().to_bytes();
        let wrong = check_structure(btf, "eyas_header", 64, &[("time", 8)]).unwrap_err();
        assert!(
            wrong.to_string().contains("`time` at `0` found, `time` at `8` expected"),
            "{wrong}"
        );
        let wrong = check_structure(btf, "eyas_header", 65, &[]).unwrap_err();
        assert!(wrong.to_string().contains("size `64` found"), "{wrong}");
        let wrong = check_structure(btf, "eyas_nothing", 1, &[]).unwrap_err();
        assert!(wrong.to_string().contains("not in the type information"), "{wrong}");
    }
}

//! Seeds: small ones of our own, and what the repository has that is real (its index, rules and policies).

use std::fs;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use tar::{EntryType, Header};

/// Largest seed; the fuzzer makes them longer if that leads anywhere.
const MAX_SEED_BYTES: usize = 16 * 1024;

/// Seeds for the target of this name.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = match target {
        "reference" => texts(REFERENCES),
        "index" => with(texts(INDEXES), &["index.yaml"]),
        "manifest" => texts(MANIFESTS),
        "config" => texts(CONFIGS),
        "archive" => archives(),
        "configuration" => texts(CONFIGURATIONS),
        "credentials" => texts(CREDENTIALS),
        "policy" => texts(POLICIES),
        "root" => with(texts(&[ROOT]), &["registry/trust/tests/data"]),
        "bundle" => with(texts(&[BUNDLE]), &["registry/trust/tests/data"]),
        "certificate" => vec![b"{}\0\x30\x82\x01\x00\x30\x81\xa6\xa0\x03\x02\x01\x02".to_vec()],
        "control" => REQUESTS.iter().map(|request| frame(request)).collect(),
        "rules" => with(texts(RULES), &["rules"]),
        "condition" => texts(CONDITIONS),
        "output" => texts(OUTPUTS),
        "capture" | "replay" => vec![crate::capture::seed()],
        _ => Vec::new(),
    };
    seeds.retain(|seed| seed.len() <= MAX_SEED_BYTES);
    seeds
}

/// A message as it is framed on the control socket.
fn frame(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
}

const REQUESTS: &[&str] = &[
    r#"{"version":1,"id":1,"request":{"hello":{}}}"#,
    r#"{"version":1,"id":2,"request":"status"}"#,
    r#"{"version":1,"id":3,"request":{"validate":{"candidate":{"files":[{"name":"a","text":"- list: a"}]}}}}"#,
    r#"{"version":1,"id":4,"request":{"validate":{"candidate":{"generation":7}}}}"#,
    r#"{"version":1,"id":5,"request":{"reload":{"generation":1,"dir":"/x"}}}"#,
    r#"{"version":1,"id":6,"request":{"select":{"reset":true,"switches":[{"enable":true,"rule":"*"}]}}}"#,
    r#"{"version":1,"id":7,"request":{"log_level":{"level":"debug"}}}"#,
    r#"{"version":1,"id":8,"request":{"subscribe":{"rules":["a*"],"priority":"notice"}}}"#,
    r#"{"version":1,"id":8,"request":{"record":{"filter":"proc.name=sh","duration_ms":5,"directory":"/srv","max_events":3}}}"#,
    r#"{"version":1,"id":8,"request":{"stop_recording":{"id":1}}}"#,
    r#"{"version":2,"id":9,"request":{"other":{}}}"#,
];

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The seeds and the files at these places of the repository, as far as they are there.
fn with(mut seeds: Vec<Vec<u8>>, places: &[&str]) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for place in places {
        collect(&root.join(place), &mut files);
    }
    files.sort();
    seeds.extend(files.iter().filter_map(|path| fs::read(path).ok()));
    seeds
}

fn collect(path: &Path, into: &mut Vec<PathBuf>) {
    if path.is_file() {
        into.push(path.to_owned());
    } else if let Ok(entries) = fs::read_dir(path) {
        for entry in entries.flatten() {
            collect(&entry.path(), into);
        }
    }
}

const REFERENCES: &[&str] = &[
    "registry.example.org/team/demo-rules:1.2.3",
    "localhost:5000/a/b@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "[::1]:5000/a:b",
    "demo-rules:1",
    "1.2.3-rc.1+build.5",
    "v1",
    "linux/arm64/v8",
    "ghcr.io/a/b:latest@sha256:00",
];

const INDEXES: &[&str] = &[
    "- name: demo-rules\n  type: rulesfile\n  registry: registry.example.org\n  repository: team/demo-rules\n  description: Rules\n  home: https://example.org\n  keywords: [a, b]\n  license: apache-2.0\n  maintainers:\n    - name: Jane\n      email: j@example.org\n  sources: [https://example.org/src]\n  signature:\n    cosign:\n      certificate-oidc-issuer: https://issuer.example.org\n      certificate-identity-regexp: https://example.org/.*\n",
    "[]\n",
    "- &a {name: a, type: plugin, registry: r.example.org, repository: a}\n- *a\n",
    "- null\n",
    "- name: x\n  signature: {cosign: {key: cosign.pub, ignore-tlog: true}}\n",
];

const MANIFESTS: &[&str] = &[
    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":\"application/vnd.cncf.falco.rulesfile.config.v1+json\",\"digest\":\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"size\":2},\"layers\":[{\"mediaType\":\"application/vnd.cncf.falco.rulesfile.layer.v1+tar.gz\",\"digest\":\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"size\":10,\"annotations\":{\"org.opencontainers.image.title\":\"r.tar.gz\"}}]}",
    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"size\":4,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}",
    "{\"schemaVersion\":2,\"manifests\":[]}",
];

const CONFIGS: &[&str] = &[
    "{\"name\":\"demo-rules\",\"version\":\"1.2.3\",\"dependencies\":[{\"name\":\"p\",\"version\":\"0.1.0\",\"alternatives\":[{\"name\":\"q\",\"version\":\"1.0.0\"}]}],\"requirements\":[{\"name\":\"engine_version_semver\",\"version\":\"0.31.0\"}]}",
    "{}",
    "{\"format\":1,\"entries\":[]}",
    "{\"format\":1,\"number\":3,\"created\":\"2026-01-02T03:04:05Z\",\"entries\":[]}",
];

const CONFIGURATIONS: &[&str] = &[
    "indexes:\n  - name: example\n    url: https://rules.example.org/index.yaml\nartifact:\n  allowedTypes: [rulesfile, plugin]\n  install:\n    refs: [\"demo-rules:1\"]\n  follow:\n    every: 6h\nregistry:\n  auth:\n    basic:\n      - {registry: r.example.org, user: u, password: p}\n",
    "a: &a [1, 2]\nb: *a\n",
    "driver: {type: [kmod], repos: \"https://a;https://b\"}\n",
    "x: |\n  text\ny: >-\n  folded\nz: !!str 1\n? complex\n: value\n",
];

const CREDENTIALS: &[&str] = &[
    "{\"auths\":{\"registry.example.org\":{\"auth\":\"dXNlcjpzZWNyZXQtb2YtdGhlLXNlZWQ=\"}}}",
    "docker.io\0{\"auths\":{\"https://index.docker.io/v1/\":{\"username\":\"u\",\"password\":\"secret-of-the-seed\"}}}",
    "{\"auths\":{\"registry.example.org\":{\"identitytoken\":\"secret-of-the-seed\"}}}",
    "{\"auths\":{\"https://registry.example.org/v2/\":{\"registrytoken\":\"secret-of-the-seed\"}},\"credsStore\":\"\",\"credHelpers\":{}}",
    "{\"auths\":null}",
];

const POLICIES: &[&str] = &[
    "version: 1\nrules:\n  - match: \"r.example.org/team/**\"\n    accept:\n      - keyless:\n          issuer: https://i.example.org\n          identity: https://example.org/x\n",
    "version: 1\nrules:\n  - match: \"r.example.org/*\"\n    accept:\n      - key: {file: signer.pub}\n",
    "version: 1\nrules:\n  - match: \"**\"\n    accept: unsigned\n",
    "version: 1\ntrusted-roots:\n  - embedded: public-good\nrevoked: {}\nrules: []\n",
];

const ROOT: &str = "{\"mediaType\":\"application/vnd.dev.sigstore.trustedroot+json;version=0.1\",\"tlogs\":[],\"certificateAuthorities\":[],\"ctlogs\":[],\"timestampAuthorities\":[]}";

const BUNDLE: &str = "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",\"verificationMaterial\":{\"certificate\":{\"rawBytes\":\"MIIB\"},\"tlogEntries\":[{\"logIndex\":\"1\",\"logId\":{\"keyId\":\"AA==\"},\"kindVersion\":{\"kind\":\"dsse\",\"version\":\"0.0.1\"},\"integratedTime\":\"1\",\"canonicalizedBody\":\"e30=\"}]},\"dsseEnvelope\":{\"payload\":\"e30=\",\"payloadType\":\"application/vnd.in-toto+json\",\"signatures\":[{\"sig\":\"AA==\"}]}}";

const RULES: &[&str] = &[
    "- required_engine_version: 0.31.0\n- list: shells\n  items: [sh, bash]\n- macro: spawned\n  condition: evt.type in (execve, execveat)\n- rule: r\n  desc: d\n  condition: spawned and proc.name in (shells)\n  output: \"%proc.name %evt.time\"\n  priority: WARNING\n  tags: [a]\n  exceptions:\n    - name: e\n      fields: [proc.name, fd.name]\n      comps: [in, =]\n      values:\n        - [[a, b], c]\n",
    "- rule: r\n  condition: and evt.type = open\n  override:\n    condition: append\n",
    "- required_plugin_versions:\n    - name: json\n      version: 0.7.0\n      alternatives: []\n",
];

const CONDITIONS: &[&str] = &[
    "evt.type in (open, openat) and fd.name startswith /etc and not proc.name in (a, 'b c')",
    "(evt.type = execve or evt.type=clone) and proc.pname exists",
    "evt.type = open and tolower(fd.name) icontains \"x\" and proc.aname[2] = sh",
    "evt.type = connect and fd.sip in (10.0.0.0/8, \"::1\") and evt.rawres >= 0",
    "evt.type = open and fd.name glob /etc/*.conf and fd.name regex '^/etc/[a-z]+$'",
    "evt.type = open and fd.name pmatch (/etc, /usr) and val(proc.name) != fd.name",
];

const OUTPUTS: &[&str] = &[
    "File %fd.name by %proc.cmdline (user=%user.name %%) %evt.time.iso8601",
    "*%proc.aname[1] %proc.args %toupper(proc.name)",
    "%",
    "%not.a.field %proc.name[",
];

fn archives() -> Vec<Vec<u8>> {
    let long = format!("{}/name.yaml", "d".repeat(120));
    let pax = |key: &str, value: &str| pax_record(key, value).into_bytes();
    let members: [Vec<Vec<u8>>; 6] = [
        vec![member(EntryType::Regular, "rules.yaml", 0o644, b"- rule: x\n")],
        vec![
            member(EntryType::XGlobalHeader, "g", 0, &pax("comment", "abc")),
            member(EntryType::XHeader, "x", 0, &pax("path", &long)),
            member(EntryType::Regular, "short", 0o6755, b"pax"),
        ],
        vec![
            member(EntryType::GNULongName, "././@LongLink", 0, format!("{long}\0").as_bytes()),
            member(EntryType::Regular, "short", 0o644, b"gnu"),
        ],
        vec![
            member(EntryType::Directory, "dir/", 0o777, b""),
            member(EntryType::Regular, "dir/a..b.yaml", 0o644, &[7; 700]),
            member(EntryType::Symlink, "dir/link", 0o777, b""),
        ],
        vec![
            member(EntryType::XHeader, "x", 0, &pax("size", "3")),
            member(EntryType::Regular, "sized", 0o644, b"abc"),
        ],
        vec![member(EntryType::Regular, "/abs/../x", 0o644, b"x")],
    ];
    let mut seeds = Vec::new();
    for members in members {
        let mut bytes = members.concat();
        bytes.resize(bytes.len() + 1024, 0);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        if encoder.write_all(&bytes).is_ok()
            && let Ok(layer) = encoder.finish()
        {
            seeds.push(layer);
        }
        seeds.push([&[0], bytes.as_slice()].concat());
    }
    seeds
}

fn member(kind: EntryType, name: &str, mode: u32, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn pax_record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

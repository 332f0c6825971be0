"""Machines in an emulator: kernels from Debian's package archive, what they start with, and what they say.

For scripts/kernels and scripts/systemd; what is done in a guest and what is expected of it is theirs. Nothing of the host's
configuration is changed. Kernels are kept in EYAS_KERNELS or ~/.cache/eyas/kernels.
"""

import gzip
import lzma
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("EYAS_KERNELS") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "eyas/kernels")
# Release, and the suites of Debian that carry it, best first.
KERNELS = {
    "5.10": ["bullseye-security", "bullseye"],
    "6.1": ["bookworm-security", "bookworm"],
    "6.12": ["bookworm-backports", "trixie-security", "trixie"],
}
# Exit code of a script that could not run anything.
SKIPPED = 77


class Unavailable(Exception):
    """Something that this machine cannot provide; says what."""


def say(text):
    print(text, flush=True)


def run(command, **options):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def archives():
    """Where this host gets Debian's packages and security updates from."""
    try:
        lines = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"]).split("\n")
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"no package manager of Debian: {error}") from error
    targets = [line.split() for line in lines if len(line.split()) == 2]
    plain = [uri for uri, release in targets if uri.rstrip("/").endswith("/debian")]
    security = [uri for uri, release in targets if release.endswith("-security")]
    if not plain:
        raise Unavailable("no archive of Debian is configured on this host")
    return plain[0], security[0] if security else plain[0].replace("/debian", "/debian-security")


def apt(suite, architecture, *command):
    """apt with lists of its own for one suite, so that nothing of the host's configuration changes."""
    plain, security = archives()
    home = CACHE / "apt" / f"{suite}-{architecture}"
    for folder in ("lists/partial", "archives/partial"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    uri = security if suite.endswith("-security") else plain
    (home / "sources.list").write_text(
        f"deb [arch={architecture} signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {uri} {suite} main\n")
    options = {
        "Dir::Etc::SourceList": home / "sources.list", "Dir::Etc::SourceParts": "-", "Dir::State::Lists": home / "lists",
        "Dir::Cache": home, "APT::Architecture": architecture, "APT::Architectures": architecture,
        "APT::Sandbox::User": "root", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "Acquire::Languages": "none", "Acquire::Retries": 2, "Acquire::http::Timeout": 30,
    }
    flags = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    return run([command[0], *flags, *command[1:]], stderr=subprocess.PIPE, cwd=CACHE, timeout=300)


def package(release, architecture):
    """Downloads the image of a release. The archive drops old versions while lists still name them, so each suite is tried."""
    folder = CACHE / f"{release}-{architecture}"
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(folder.glob("*.deb"))
    if found:
        return found[-1]
    reasons = []
    for suite in KERNELS[release]:
        try:
            apt(suite, architecture, "apt-get", "update", "-q")
            meta = f"linux-image-cloud-{architecture}"
            name = re.search(r"Depends: (linux-image-[0-9]\S+)", apt(suite, architecture, "apt-cache", "depends", meta))
            if not name or not name[1].startswith(f"linux-image-{release}"):
                reasons.append(f"{suite}: {name[1] if name else 'no image'}")
                continue
            apt(suite, architecture, "apt-get", "download", "-q", name[1])
            image = next(CACHE.glob(f"{name[1]}_*.deb"))
            return image.rename(folder / image.name)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError, StopIteration) as error:
            detail = (getattr(error, "stderr", None) or str(error)).strip().split("\n")[-1]
            reasons.append(f"{suite}: {detail}")
    raise Unavailable(f"kernel {release} for {architecture} cannot be had ({'; '.join(reasons)})")


class Kernel:
    """An unpacked kernel package."""

    def __init__(self, release, architecture):
        self.release, self.architecture = release, architecture
        image = package(release, architecture)
        self.folder = image.with_suffix("")
        if not self.folder.is_dir():
            part = self.folder.with_name(self.folder.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            run(["dpkg-deb", "-x", str(image), str(part)])
            part.rename(self.folder)
        self.image = next((self.folder / "boot").glob("vmlinuz-*"))
        self.version = self.image.name.removeprefix("vmlinuz-")

    def module(self, name):
        """A module, unpacked; None where it is built in or missing."""
        for path in self.folder.glob(f"**/{name}.ko*"):
            data = path.read_bytes()
            return lzma.decompress(data) if path.suffix == ".xz" else data
        return None

    def types(self):
        """The file with the kernel's type information, cut out of the image."""
        path = self.folder / "btf"
        if not path.is_file():
            path.write_bytes(type_information(self.image.read_bytes()))
        return path


def type_information(image):
    """BTF has no place of its own in a boot image: unpack the kernel and look for its header (magic, version 1, length 24)."""
    for plain in [image, *unpacked(image)]:
        best = b""
        for at in (match.start() for match in re.finditer(re.escape(b"\x9f\xeb\x01\x00\x18\x00\x00\x00"), plain)):
            types, types_len, strings, strings_len = struct.unpack_from("<4I", plain, at + 8)
            end = at + 24 + strings + strings_len
            if types == 0 and strings == types_len and end <= len(plain) and end - at > len(best):
                best = plain[at:end]
        if len(best) > 1 << 20:
            return best
    raise Unavailable("the kernel image carries no type information")


def unpacked(image):
    """What the image may be a shell around, by the magic of each compression."""
    for at in (match.start() for match in re.finditer(re.escape(b"\x1f\x8b\x08"), image)):
        try:
            yield gzip.zlib.decompressobj(31).decompress(image[at:])
        except gzip.zlib.error:
            continue
    for at in (match.start() for match in re.finditer(re.escape(b"\xfd7zXZ\x00"), image)):
        try:
            yield lzma.LZMADecompressor().decompress(image[at:])
        except lzma.LZMAError:
            continue
    for magic, tool in ((b"\x28\xb5\x2f\xfd", ["zstd", "-dcq"]), (b"\x02\x21\x4c\x18", ["lz4", "-dcq"])):
        for at in (match.start() for match in re.finditer(re.escape(magic), image)):
            if shutil.which(tool[0]):
                # what follows the compressed kernel makes the tool fail after it has written everything
                yield subprocess.run(tool, input=image[at:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def libraries(program):
    """The dynamic linker and every library of a program, by the path at which it looks for them."""
    listed = subprocess.run(["ldd", program], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout
    return sorted(set(re.findall(r"(?:=> )?(/\S+) \(0x", listed)))


class Archive:
    """An initial file system in the form that the kernel unpacks (cpio, `newc`)."""

    def __init__(self):
        self.entries = {}

    def add(self, path, data, mode=0o100644):
        parent = pathlib.PurePosixPath(path).parent
        if str(parent) not in ("/", ".") and str(parent) not in self.entries:
            self.add(str(parent), b"", 0o040755)
        self.entries[str(path)] = (mode, data)

    def add_program(self, path, source):
        self.add(path, pathlib.Path(source).read_bytes(), 0o100755)
        for library in libraries(source):
            self.add(library, pathlib.Path(library).read_bytes(), 0o100755)

    def bytes(self):
        out = bytearray()
        for number, (path, (mode, data)) in enumerate(list(self.entries.items()) + [("/TRAILER!!!", (0, b""))], 1):
            name = path.lstrip("/").encode() + b"\0"
            fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
            out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
            out += b"\0" * (-len(out) % 4) + data
            out += b"\0" * (-len(out) % 4)
        return bytes(out)


def busybox():
    path = shutil.which("busybox")
    if not path or libraries(path):
        raise Unavailable("a static busybox is not installed (package busybox-static)")
    return path


def boot(kernel, initial_file_system, seconds, memory_mib=768):
    """Runs a guest to its end, which it tells by the line `guest end`, and gives the lines it sent to its second serial
    port.

    Without cmpxchg16b: the emulator at times returns wrong flags from it, and 6.12 then ends in its allocator. Without
    a look at the timer: on a busy host it seems not to tick.
    """
    with tempfile.TemporaryDirectory(prefix="eyas-guest-") as temporary:
        place = pathlib.Path(temporary)
        (place / "initrd").write_bytes(initial_file_system)
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max,cx16=off", "-smp", "2", "-m", str(memory_mib),
            "-nodefaults", "-no-reboot", "-display", "none", "-nic", "none",
            "-kernel", str(kernel.image), "-initrd", str(place / "initrd"),
            "-append", "console=ttyS0 quiet panic=-1 mitigations=off nokaslr no_timer_check",
            "-serial", f"file:{place / 'console'}", "-serial", f"file:{place / 'lines'}",
        ]
        guest = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _, errors = guest.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            guest.kill()
            guest.communicate()
            errors = f"not finished after {seconds} s"
        text = (place / "lines").read_text(errors="replace") if (place / "lines").is_file() else ""
        if guest.returncode > 0 and not text:
            raise Unavailable(f"the emulator does not run: {errors.strip() or guest.returncode}")
        lines = text.replace("\r", "").split("\n")
        if "guest end" not in lines:
            console = (place / "console").read_text(errors="replace").strip().split("\n")[-15:]
            tail = [line[:300] for line in lines[-8:]]
            raise RuntimeError("\n    ".join(["the guest did not end well", errors.strip(), *console, *tail]))
        return lines

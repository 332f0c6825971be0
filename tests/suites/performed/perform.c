/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Does one thing that a rule looks for. Called by its own name it does what its arguments say; by any other name
 * what the variable PERFORM says (words with 0x1f between them), and without it nothing: then its name and its
 * arguments are all that matters. Ends with 0 whatever the kernel answers, because many rules see attempts too.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SEPARATOR "\037"
#define PLACE "/mnt/"

static void act(char **words);

static void die(const char *what)
{
	fprintf(stderr, "perform: %s: %s\n", what, strerror(errno));
	exit(70);
}

static char *beside(const char *name)
{
	char *path = 0;

	if (name[0] == '/')
		return strdup(name);
	if (asprintf(&path, PLACE "%s", name) < 0)
		die(name);
	return path;
}

static void wait_for_all(void)
{
	while (wait(0) > 0 || errno == EINTR)
		;
}

/* exec NAME ARGUMENTS… */
static void replace(char **words)
{
	execv(beside(words[0]), words);
	die(words[0]);
}

static void spawn(char **words)
{
	if (!fork())
		replace(words);
	wait_for_all();
}

/* spawn-as NAME WORDS…: a child of that name does what the words say */
static void spawn_as(char **words)
{
	char todo[4096] = "";
	char *alone[] = {words[0], 0};

	for (char **word = words + 1; *word; word++) {
		strcat(todo, *word);
		if (word[1])
			strcat(todo, SEPARATOR);
	}
	setenv("PERFORM", todo, 1);
	spawn(alone);
}

static void become(char **words)
{
	uid_t uid = atoi(words[0]);

	if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		die("become");
	act(words + 1);
}

static void in_new_pid_namespace(char **words)
{
	if (unshare(CLONE_NEWPID))
		die("newpid");
	if (!fork()) {
		act(words);
		exit(0);
	}
	wait_for_all();
}

/* with a terminal of its own */
static void with_terminal(char **words)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	char *name;

	if (master < 0 || grantpt(master) || unlockpt(master))
		die("terminal");
	name = ptsname(master);
	if (!fork()) {
		int slave;

		setsid();
		slave = open(name, O_RDWR);
		if (slave < 0 || ioctl(slave, TIOCSCTTY, 0))
			die(name);
		act(words);
		exit(0);
	}
	wait_for_all();
}

static void aged(char **words)
{
	long ms = atol(words[0]);
	struct timespec pause = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&pause, 0);
	act(words + 1);
}

/* open MODES PATH: r w c t a d */
static void open_file(char **words)
{
	int flags = 0;

	for (const char *mode = words[0]; *mode; mode++)
		flags |= *mode == 'w'	? O_WRONLY
			 : *mode == 'c' ? O_CREAT
			 : *mode == 't' ? O_TRUNC
			 : *mode == 'a' ? O_APPEND
			 : *mode == 'd' ? O_DIRECTORY
					: 0;
	if (open(words[1], flags, 0600) < 0)
		die(words[1]);
}

static struct sockaddr_in address_of(char **words)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1]))};

	if (inet_pton(AF_INET, words[0], &address.sin_addr) != 1)
		die(words[0]);
	return address;
}

/* The loopback device of this network namespace, up, with this address on it too. */
static void have_address(const char *text)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	struct sockaddr_in *address = (void *)&request.ifr_addr;

	if (ioctl(fd, SIOCSIFFLAGS, &request))
		die("lo");
	strcpy(request.ifr_name, "lo:1");
	memset(address, 0, sizeof(*address));
	address->sin_family = AF_INET;
	inet_pton(AF_INET, text, &address->sin_addr);
	if (ioctl(fd, SIOCSIFADDR, &request))
		die(text);
	close(fd);
}

/* connect|send tcp|udp ADDRESS PORT; somebody listens there. Gives the connected socket. */
static int connected(char **words)
{
	struct sockaddr_in address = address_of(words + 1);
	int type = !strcmp(words[0], "tcp") ? SOCK_STREAM : SOCK_DGRAM;
	int server = socket(AF_INET, type, 0);
	int one = 1, client;

	have_address(words[1]);
	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(server, (void *)&address, sizeof(address)) || (type == SOCK_STREAM && listen(server, 5)))
		die("server");
	client = socket(AF_INET, type, 0);
	if (connect(client, (void *)&address, sizeof(address)))
		die("connect");
	return client;
}

static void send_to(char **words)
{
	struct sockaddr_in address = address_of(words);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	have_address(words[0]);
	if (sendto(fd, "x", 1, 0, (void *)&address, sizeof(address)) < 0)
		die("sendto");
}

static void connect_unix(char **words)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int server = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(address.sun_path, words[0], sizeof(address.sun_path) - 1);
	if (bind(server, (void *)&address, sizeof(address)) || listen(server, 5))
		die(words[0]);
	if (connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&address, sizeof(address)))
		die("connect");
}

static void trace(char **words)
{
	pid_t child;

	if (!strcmp(words[0], "traceme")) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		return;
	}
	child = fork();
	if (!child) {
		pause();
		exit(0);
	}
	if (!strcmp(words[0], "attach"))
		ptrace(PTRACE_ATTACH, child, 0, 0);
	else
		ptrace(PTRACE_CONT, child, 0, 0);
	kill(child, SIGKILL);
	wait_for_all();
}

static void use_bpf(char **words)
{
	union bpf_attr attr;
	struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K}, {.code = BPF_JMP | BPF_EXIT}};

	memset(&attr, 0, sizeof(attr));
	if (!strcmp(words[0], "program")) {
		attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
		attr.insns = (unsigned long)code;
		attr.insn_cnt = 2;
		attr.license = (unsigned long)"GPL";
		if (syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)) < 0)
			die("bpf");
	} else {
		attr.map_type = BPF_MAP_TYPE_ARRAY;
		attr.key_size = attr.value_size = attr.max_entries = 4;
		syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	}
}

static int copied(int to)
{
	int from = open("/proc/self/exe", O_RDONLY);
	struct stat facts;

	if (from < 0 || fstat(from, &facts) || sendfile(to, from, 0, facts.st_size) != facts.st_size)
		die("copy");
	return to;
}

static void run_descriptor(int fd, const char *name)
{
	char path[64];
	char *words[] = {(char *)name, 0};
	int reader;

	/* what is open for writing cannot be run */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY);
	close(fd);
	if (!fork()) {
		fexecve(reader, words, environ);
		die(name);
	}
	wait_for_all();
}

/* deleted PATH: runs a program whose file is gone */
static void run_deleted(char **words)
{
	int fd = copied(open(words[0], O_WRONLY | O_CREAT, 0700));
	int kept = open(words[0], O_RDONLY);
	char *alone[] = {"gone", 0};

	close(fd);
	unlink(words[0]);
	if (!fork()) {
		fexecve(kept, alone, environ);
		die("gone");
	}
	wait_for_all();
}

static void write_memory(char **words)
{
	static char target[4];
	struct iovec from = {"abc", 4}, to = {target, 4};

	if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) < 0)
		die("process_vm_writev");
}

static void enter(char **words)
{
	if (setns(open("/proc/self/ns/uts", O_RDONLY), CLONE_NEWUTS))
		die("setns");
}

static void separate(char **words)
{
	if (unshare(!strcmp(words[0], "user") ? CLONE_NEWUSER : CLONE_NEWUTS))
		die("unshare");
}

struct verb {
	const char *name;
	void (*run)(char **words);
};

static void do_connect(char **words)
{
	connected(words);
}

/* redirect DESCRIPTOR ADDRESS PORT */
static void redirect(char **words)
{
	char *where[] = {"tcp", words[1], words[2], 0};

	dup2(connected(where), atoi(words[0]));
}

static void open_socket(char **words)
{
	socket(!strcmp(words[0], "packet") ? AF_PACKET : AF_INET, SOCK_DGRAM, 0);
}

static void change(char **words)
{
	if (chmod(words[1], strtol(words[0], 0, 8)))
		die(words[1]);
}

static void make_symlink(char **words)
{
	if (symlink(words[0], words[1]))
		die(words[1]);
}

static void make_link(char **words)
{
	if (link(words[0], words[1]))
		die(words[1]);
}

static void take_away(char **words)
{
	if (unlink(words[0]))
		die(words[0]);
}

static void set_user(char **words)
{
	syscall(SYS_setuid, atoi(words[0]));
}

static void hand_over_module(char **words)
{
	syscall(SYS_init_module, "no module", 9, "");
}

static void mount_something(char **words)
{
	if (mount("none", words[0], "tmpfs", 0, 0))
		die("mount");
}

static void run_memfd(char **words)
{
	run_descriptor(copied(memfd_create("performed", 0)), words[0]);
}

static const struct verb VERBS[] = {
	{"exec", replace},
	{"spawn", spawn},
	{"spawn-as", spawn_as},
	{"become", become},
	{"newpid", in_new_pid_namespace},
	{"terminal", with_terminal},
	{"aged", aged},
	{"open", open_file},
	{"connect", do_connect},
	{"send", send_to},
	{"unix", connect_unix},
	{"redirect", redirect},
	{"socket", open_socket},
	{"chmod", change},
	{"symlink", make_symlink},
	{"link", make_link},
	{"unlink", take_away},
	{"setuid", set_user},
	{"module", hand_over_module},
	{"mount", mount_something},
	{"memfd", run_memfd},
	{"deleted", run_deleted},
	{"write-memory", write_memory},
	{"setns", enter},
	{"unshare", separate},
	{"trace", trace},
	{"bpf", use_bpf},
};

static void act(char **words)
{
	for (unsigned i = 0; words[0] && i < sizeof(VERBS) / sizeof(VERBS[0]); i++) {
		if (!strcmp(words[0], VERBS[i].name)) {
			VERBS[i].run(words + 1);
			return;
		}
	}
	errno = EINVAL;
	die(words[0] ? words[0] : "no words");
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');
	char *todo = getenv("PERFORM");
	char *words[64] = {0};
	int count = 0;

	if (!strcmp(name ? name + 1 : argv[0], "perform")) {
		act(argv + 1);
		return 0;
	}
	if (!todo)
		return 0;
	todo = strdup(todo);
	unsetenv("PERFORM");
	for (char *word = strtok(todo, SEPARATOR); word && count < 63; word = strtok(0, SEPARATOR))
		words[count++] = word;
	act(words);
	return 0;
}

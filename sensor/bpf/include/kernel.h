/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel types that the probe looks at, with the fields it uses and no others. Only names matter: each
 * access is relocated against the running kernel's own type information when the object is loaded. Fields
 * that were renamed over time are in compat.h.
 */
#ifndef EYAS_KERNEL_H
#define EYAS_KERNEL_H

#include <linux/bpf.h>
#include <linux/types.h>

#define RELOCATED __attribute__((preserve_access_index))

typedef struct {
	int counter;
} atomic_t;
typedef struct {
	unsigned int val;
} kuid_t;
typedef struct {
	unsigned int val;
} kgid_t;

/* Wire structures of the user interface: fixed for ever, so not relocated. */
struct user_iovec {
	__u64 base;
	__u64 len;
};
struct user_iovec32 {
	__u32 base;
	__u32 len;
};
struct user_msghdr {
	__u64 name;
	__u32 namelen;
	__u32 pad;
	__u64 iov;
	__u64 iovlen;
	__u64 control;
	__u64 controllen;
};
struct user_msghdr32 {
	__u32 name;
	__u32 namelen;
	__u32 iov;
	__u32 iovlen;
	__u32 control;
	__u32 controllen;
};
struct user_open_how {
	__u64 flags;
	__u64 mode;
	__u64 resolve;
};
struct user_sockaddr_in {
	__u16 family;
	__u16 port;
	__u32 addr;
};
struct user_sockaddr_in6 {
	__u16 family;
	__u16 port;
	__u32 flowinfo;
	__u8 addr[16];
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r10, r9, r8, ax, cx, dx, si, di, bx, bp, orig_ax, ip;
} RELOCATED;
struct thread_info {
	unsigned long flags;
	__u32 status;
} RELOCATED;
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
	__u64 pc;
	__u64 orig_x0;
	__s32 syscallno;
} RELOCATED;
struct thread_info {
	unsigned long flags;
} RELOCATED;
#else
#error "unsupported architecture"
#endif

struct qstr {
	union {
		struct {
			__u32 hash;
			__u32 len;
		} RELOCATED;
		__u64 hash_len;
	} RELOCATED;
	const unsigned char *name;
} RELOCATED;

struct file_system_type {
	const char *name;
} RELOCATED;

struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
	unsigned long s_flags;
} RELOCATED;

struct inode {
	__u16 i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
	unsigned int i_flags;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	__u32 i_rdev;
} RELOCATED;

struct hlist_bl_node {
	struct hlist_bl_node *next, **pprev;
} RELOCATED;

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
} RELOCATED;

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
	int mnt_flags;
} RELOCATED;

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
} RELOCATED;

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
} RELOCATED;

struct file {
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_flags;
	unsigned int f_mode;
	void *private_data;
} RELOCATED;

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
} RELOCATED;

struct files_struct {
	struct fdtable *fdt;
} RELOCATED;

struct fs_struct {
	struct path root;
	struct path pwd;
} RELOCATED;

struct ns_common {
	unsigned int inum;
} RELOCATED;
struct pid_namespace {
	struct task_struct *child_reaper;
	unsigned int level;
	struct ns_common ns;
} RELOCATED;
struct upid {
	int nr;
	struct pid_namespace *ns;
} RELOCATED;
struct pid {
	unsigned int level;
	struct upid numbers[1];
} RELOCATED;
struct mnt_namespace {
	struct ns_common ns;
} RELOCATED;
struct user_namespace {
	struct ns_common ns;
} RELOCATED;
struct nsproxy {
	struct mnt_namespace *mnt_ns;
} RELOCATED;

/* Two u32 before 6.3, one u64 since: the same eight bytes on little-endian machines. */
typedef struct kernel_cap_struct {
	__u32 cap[2];
} kernel_cap_t;
struct cred {
	kuid_t uid;
	kgid_t gid;
	kuid_t euid;
	kgid_t egid;
	kuid_t fsuid;
	kgid_t fsgid;
	kernel_cap_t cap_inheritable;
	kernel_cap_t cap_permitted;
	kernel_cap_t cap_effective;
	struct user_namespace *user_ns;
} RELOCATED;

struct mm_struct {
	unsigned long total_vm;
	unsigned long arg_start, arg_end, env_start, env_end;
	struct file *exe_file;
} RELOCATED;

struct tty_driver {
	int major;
	int minor_start;
} RELOCATED;
struct tty_struct {
	int index;
	struct tty_driver *driver;
} RELOCATED;

enum pid_type {
	PIDTYPE_PID,
	PIDTYPE_TGID,
	PIDTYPE_PGID,
	PIDTYPE_SID,
	PIDTYPE_MAX,
};
struct rlimit {
	unsigned long rlim_cur;
	unsigned long rlim_max;
} RELOCATED;
struct signal_struct {
	atomic_t live;
	int group_exit_code;
	struct pid *pids[PIDTYPE_MAX];
	struct tty_struct *tty;
	struct rlimit rlim[16];
} RELOCATED;

struct kernfs_node {
	const char *name;
	__u64 id;
} RELOCATED;
struct cgroup_root {
	int hierarchy_id;
} RELOCATED;
struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_root *root;
} RELOCATED;
struct cgroup_subsys_state {
	struct cgroup *cgroup;
} RELOCATED;
struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
} RELOCATED;
enum cgroup_subsys_id {
	memory_cgrp_id = 1,
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int flags;
	int pid;
	int tgid;
	int exit_code;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	__u64 start_boottime;
	unsigned long min_flt;
	unsigned long maj_flt;
	struct cred *cred;
	kuid_t loginuid;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct mm_struct *mm;
	struct css_set *cgroups;
} RELOCATED;

struct kernel_siginfo {
	int si_code;
	union {
		struct {
			int _pid;
		} RELOCATED _kill;
	} RELOCATED _sifields;
} RELOCATED;

struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
} RELOCATED;

struct linux_binprm {
	struct file *file;
	const char *filename;
} RELOCATED;

/* Requests of io_uring. What an operation was prepared with lies at the start of its request. */
struct filename {
	const char *name;
} RELOCATED;
struct open_how {
	__u64 flags;
	__u64 mode;
	__u64 resolve;
} RELOCATED;
struct io_cqe {
	__s32 res;
} RELOCATED;
struct io_kiocb {
	__u8 opcode;
	__u32 flags;
	struct io_cqe cqe;
} RELOCATED;
struct io_open {
	int dfd;
	__u32 file_slot;
	struct filename *filename;
	struct open_how how;
} RELOCATED;
struct io_connect {
	struct file *file;
	void *addr;
	int addr_len;
} RELOCATED;
struct io_accept {
	struct file *file;
	int flags;
	__u32 file_slot;
} RELOCATED;
struct io_socket {
	int domain;
	int type;
	int protocol;
	__u32 file_slot;
} RELOCATED;
struct io_listen {
	struct file *file;
	int backlog;
} RELOCATED;
struct io_unlink {
	int dfd;
	int flags;
	struct filename *filename;
} RELOCATED;
struct io_mkdir {
	int dfd;
	__u16 mode;
	struct filename *filename;
} RELOCATED;
struct io_rename {
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
	int flags;
} RELOCATED;
struct io_link {
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
	int flags;
} RELOCATED;

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__u32 u6_addr32[4];
	} in6_u;
} RELOCATED;
struct sock_common {
	__u32 skc_daddr;
	__u32 skc_rcv_saddr;
	__u16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	unsigned char skc_state;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
} RELOCATED;
struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
	__u16 sk_protocol;
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
} RELOCATED;
struct inet_sock {
	struct sock sk;
	__u32 inet_saddr;
	__u16 inet_sport;
} RELOCATED;
struct sockaddr_un {
	__u16 sun_family;
	char sun_path[108];
} RELOCATED;
struct unix_address {
	int len;
	struct sockaddr_un name[1];
} RELOCATED;
struct unix_sock {
	struct sock sk;
	struct unix_address *addr;
	struct sock *peer;
} RELOCATED;
struct socket {
	short type;
	struct file *file;
	struct sock *sk;
} RELOCATED;

#endif

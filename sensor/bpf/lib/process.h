/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Second layer, the process part: what exec, fork and the walk over existing tasks say of a task.
 */
#ifndef EYAS_PROCESS_H
#define EYAS_PROCESS_H

#include "store.h"

#define RLIMIT_NOFILE 7
#define SB_RDONLY 1
#define S_IMMUTABLE 8
#define S_IWUSR 0200
#define S_IWGRP 0020
#define S_IWOTH 0002
#define CAP_DAC_OVERRIDE 1
#define CAP_FOWNER 3

#define EXE_WRITABLE 1
#define EXE_UPPER_LAYER 2
#define EXE_FROM_MEMFD 4
#define EXE_LOWER_LAYER 8

static __always_inline __u64 capabilities(const kernel_cap_t *set)
{
	__u64 bits = 0;

	bpf_probe_read_kernel(&bits, sizeof(bits), set);
	return bits;
}

/*
 * Whether the credentials may change the file, by mode bits and capabilities. Supplementary groups, access lists
 * and security modules are not asked.
 */
static __always_inline int may_write(struct cred *cred, struct inode *inode, struct super_block *sb)
{
	__u16 mode = READ(inode, i_mode);
	__u64 effective = capabilities(&cred->cap_effective);

	if (READ(sb, s_flags) & SB_RDONLY || READ(inode, i_flags) & S_IMMUTABLE)
		return 0;
	if (effective & (1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_FOWNER))
		return 1;
	if (READ(cred, fsuid.val) == READ(inode, i_uid.val))
		return mode & S_IWUSR;
	if (READ(cred, fsgid.val) == READ(inode, i_gid.val))
		return mode & S_IWGRP;
	return mode & S_IWOTH;
}

/* Paths of the task's cgroup: `=PATH` in the default hierarchy, `memory=PATH` where that controller is apart. */
static __always_inline void put_cgroups(struct scratch *s, __u32 slot, struct task_struct *task)
{
	struct css_set *set = READ(task, cgroups);
	struct cgroup *cgroup = READ(set, dfl_cgrp);
	struct cgroup_subsys_state *css = 0;
	__u32 before = s->at;
	__u8 *out = room(s);
	__u32 prefix = 1;
	int start;

	*out = '=';
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		bpf_probe_read_kernel(&css, sizeof(css),
				      (void *)&set->subsys[0] +
					      8 * bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));
	if (css) {
		struct cgroup *memory = READ(css, cgroup);

		if (READ(memory, root) != READ(cgroup, root)) {
			cgroup = memory;
			__builtin_memcpy(out, "memory=", 7);
			prefix = 7;
		}
	}
	/* the path goes behind the prefix, then both become one value */
	s->at += prefix;
	start = resolve_cgroup(slot, (__u64)READ(cgroup, kn));
	if (start < 0)
		put_nothing(s);
	else
		put_staged(s, start);
	s->count--;
	prefix = s->at - before;
	s->at = before;
	put_length(s, prefix);
}

struct ids {
	__u32 level;
	struct pid *pgrp;
	struct pid *session;
	struct pid_namespace *ns;
};

static __always_inline void read_ids(struct ids *ids, struct task_struct *task)
{
	struct pid *pid = READ(task, thread_pid);
	struct signal_struct *signal = READ(task, signal);

	ids->level = READ(pid, level);
	ids->pgrp = READ(signal, pids[PIDTYPE_PGID]);
	ids->session = READ(signal, pids[PIDTYPE_SID]);
	ids->ns = pid_namespace_of(pid);
}

static __always_inline __u64 start_of(struct task_struct *task)
{
	return task ? READ(task, start_boottime) : 0;
}

static __always_inline __u32 mount_namespace(struct task_struct *task)
{
	struct nsproxy *proxy = READ(task, nsproxy);
	struct mnt_namespace *ns = proxy ? READ(proxy, mnt_ns) : 0;

	return ns ? READ(ns, ns.inum) : 0;
}

static __always_inline __u32 user_namespace_of(struct cred *cred)
{
	struct user_namespace *ns = READ(cred, user_ns);

	return READ(ns, ns.inum);
}

static __always_inline __u32 resident(struct mm_struct *mm)
{
	return pages_of(mm, MEMORY_FILES) + pages_of(mm, MEMORY_ANONYMOUS) + pages_of(mm, MEMORY_SHARED);
}

/* vm_size, vm_rss and vm_swap, in KiB; kernel threads have none. Global, because many hooks end in it. */
__noinline int store_sizes(__u32 slot, __u64 address)
{
	struct scratch *s = scratch_of(slot);
	struct mm_struct *mm = (void *)address;

	if (!s)
		return -1;
	if (!mm) {
		put_nothing(s);
		put_nothing(s);
		put_nothing(s);
		return 0;
	}
	put_u32(s, READ(mm, total_vm) * settings.page_kib);
	put_u32(s, resident(mm) * settings.page_kib);
	put_u32(s, pages_of(mm, MEMORY_SWAP) * settings.page_kib);
	return 0;
}

static __always_inline __u64 memory_of(struct task_struct *task)
{
	return (__u64)READ(task, mm);
}

/* memory and faults: six parameters from fdlimit to vm_swap */
static __always_inline void put_resources(struct scratch *s, __u32 slot, struct task_struct *task)
{
	struct signal_struct *signal = READ(task, signal);

	put_u64(s, READ(signal, rlim[RLIMIT_NOFILE].rlim_cur));
	put_u64(s, LOAD(task, maj_flt));
	put_u64(s, LOAD(task, min_flt));
	store_sizes(slot, memory_of(task));
}

static __always_inline void put_comm(struct scratch *s, struct task_struct *task)
{
	long len = bpf_probe_read_kernel_str(room(s), 16, &task->comm);

	put_length(s, len > 0 ? len : 0);
}

struct exe {
	struct file *file;
	struct inode *inode;
	struct super_block *sb;
};

static __always_inline void read_exe(struct exe *exe, struct mm_struct *mm)
{
	exe->file = mm ? READ(mm, exe_file) : 0;
	exe->inode = exe->file ? READ(exe->file, f_inode) : 0;
	exe->sb = exe->inode ? READ(exe->inode, i_sb) : 0;
}

static __always_inline __u32 exe_flags(struct exe *exe, struct cred *cred)
{
	__u32 flags = 0;

	if (!exe->sb)
		return 0;
	if (may_write(cred, exe->inode, exe->sb))
		flags |= EXE_WRITABLE;
	switch (overlay_layer(exe->inode, READ(exe->sb, s_magic))) {
	case LAYER_UPPER:
		flags |= EXE_UPPER_LAYER;
		break;
	case LAYER_LOWER:
		flags |= EXE_LOWER_LAYER;
		break;
	}
	if (is_memfd(READ(exe->file, f_path.dentry)))
		flags |= EXE_FROM_MEMFD;
	return flags;
}

#define DELETED " (deleted)"

/* The executable's path, marked as /proc/PID/exe marks it when the file has been removed since it was opened. */
static __always_inline void put_exe_path(struct scratch *s, __u32 slot, struct exe *exe)
{
	__u32 before = s->at;
	__u32 len;

	if (!exe->file) {
		put_nothing(s);
		return;
	}
	put_path(s, slot, &exe->file->f_path);
	len = s->at - before;
	if (len && is_unlinked(READ(exe->file, f_path.dentry))) {
		/* over the NUL, which comes again at the end of the mark */
		s->at--;
		__builtin_memcpy(room(s), DELETED, sizeof(DELETED));
		s->at = before;
		s->count--;
		put_length(s, len + sizeof(DELETED) - 1);
	}
}

/* from tty to gid of execve, in the event's order; filename and what eyas adds follow apart */
static __always_inline void put_identity(struct scratch *s, __u32 slot, struct task_struct *task, struct ids *ids,
					 struct exe *exe)
{
	struct cred *cred = READ(task, cred);

	put_u32(s, terminal(READ(task, signal)));
	put_s64(s, pid_number(ids->pgrp, ids->level));
	if (bpf_core_field_exists(task->loginuid))
		put_u32(s, LOAD(task, loginuid.val));
	else
		put_u32(s, ~0U);
	put_u32(s, exe_flags(exe, cred));
	put_u64(s, capabilities(&cred->cap_inheritable));
	put_u64(s, capabilities(&cred->cap_permitted));
	put_u64(s, capabilities(&cred->cap_effective));
	if (exe->inode) {
		put_u64(s, READ(exe->inode, i_ino));
		put_u64(s, inode_ctime(exe->inode));
		put_u64(s, inode_mtime(exe->inode));
	} else {
		put_nothing(s);
		put_nothing(s);
		put_nothing(s);
	}
	put_u32(s, READ(cred, euid.val));
	put_exe_path(s, slot, exe);
	put_s64(s, pid_number(ids->pgrp, 0));
	put_u32(s, READ(cred, egid.val));
}

/* eyas_sid to eyas_exe_nlink */
static __always_inline void put_namespaces(struct scratch *s, struct task_struct *task, struct ids *ids,
					   struct exe *exe)
{
	struct cred *cred = READ(task, cred);
	struct task_struct *parent = READ(task, real_parent);
	struct task_struct *leader = READ(task, group_leader);

	put_s64(s, pid_number(ids->session, ids->level));
	put_s64(s, pid_number(READ(task, thread_pid), ids->level));
	put_s64(s, pid_number(READ(leader, thread_pid), ids->level));
	put_u64(s, start_of(READ(ids->ns, child_reaper)));
	put_u32(s, READ(ids->ns, ns.inum));
	put_u32(s, mount_namespace(task));
	put_u32(s, user_namespace_of(cred));
	put_u32(s, READ(cred, uid.val));
	put_u32(s, READ(cred, gid.val));
	put_u64(s, start_of(READ(parent, group_leader)));
	if (exe->inode) {
		put_u32(s, device_number(READ(exe->sb, s_dev)));
		put_u32(s, READ(exe->inode, i_nlink));
	} else {
		put_nothing(s);
		put_nothing(s);
	}
}

#endif

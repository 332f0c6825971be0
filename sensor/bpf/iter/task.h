/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What was there before: one `task` record for each thread, written to whoever reads the iterator. The sleepable
 * kind (5.18) also reads the arguments out of the other process' memory.
 */
#include "../lib/emit.h"
#include "../lib/process.h"

#define EVENT_TASK 430
#define TASK_PARAMS 43

static __always_inline void put_task_args(struct scratch *s, struct task_struct *task, struct mm_struct *mm,
					  int sleepable)
{
	__u64 start = mm ? READ(mm, arg_start) : 0;
	__u64 end = mm ? READ(mm, arg_end) : 0;
	__u64 len = end > start ? end - start : 0;

	if (!sleepable || !len) {
		put_nothing(s);
		return;
	}
	if (len > EYAS_ARGS_MAX) {
		s->flags |= EYAS_RECORD_TRUNCATED;
		len = EYAS_ARGS_MAX;
	}
	BOUND(len, ARGS_MASK);
	if (len > EYAS_ARGS_MAX || bpf_copy_from_user_task(room(s), len, (void *)start, task, 0)) {
		put_user_failed(s);
		return;
	}
	put_length(s, len);
}

static __always_inline void put_exe_file(struct scratch *s, struct exe *exe)
{
	if (exe->inode) {
		put_u64(s, READ(exe->inode, i_ino));
		put_u64(s, inode_ctime(exe->inode));
		put_u64(s, inode_mtime(exe->inode));
		return;
	}
	put_nothing(s);
	put_nothing(s);
	put_nothing(s);
}

static __always_inline void put_credentials(struct scratch *s, struct cred *cred)
{
	put_u32(s, READ(cred, euid.val));
	put_u32(s, READ(cred, egid.val));
	put_u64(s, capabilities(&cred->cap_permitted));
	put_u64(s, capabilities(&cred->cap_effective));
	put_u64(s, capabilities(&cred->cap_inheritable));
}

static __always_inline void put_memory(struct scratch *s, __u32 slot, struct task_struct *task)
{
	store_sizes(slot, memory_of(task));
	put_u64(s, LOAD(task, maj_flt));
	put_u64(s, LOAD(task, min_flt));
}

/* eyas_vtid to eyas_args_len */
static __always_inline void put_task_extra(struct scratch *s, struct task_struct *task, struct ids *ids,
					   struct exe *exe, struct mm_struct *mm)
{
	struct task_struct *parent = READ(task, real_parent);
	struct cred *cred = READ(task, cred);

	put_u32(s, pid_number(READ(task, thread_pid), ids->level));
	put_u32(s, pid_number(ids->session, ids->level));
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
	put_u64(s, mm ? READ(mm, arg_end) - READ(mm, arg_start) : 0);
}

static __always_inline int snapshot(unsigned long long *ctx, int sleepable)
{
	struct bpf_iter_meta *meta = (void *)ctx[0];
	struct task_struct *task = (void *)ctx[1];
	__u32 slot = settings.snapshot_slot;
	struct eyas_header *header;
	struct task_struct *parent, *leader;
	struct signal_struct *signal;
	struct css_set *cgroups;
	struct cgroup *cgroup;
	struct kernfs_node *node;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct cred *cred;
	struct ids ids = {};
	struct exe exe = {};
	struct scratch *s;
	__u64 len;

	if (!task)
		return 0;
	s = begin(slot, task, EVENT_TASK, TASK_PARAMS);
	if (!s)
		return 0;
	s->flags = EYAS_RECORD_SNAPSHOT;
	header = (void *)s->record;
	cgroups = READ(task, cgroups);
	cgroup = READ(cgroups, dfl_cgrp);
	node = READ(cgroup, kn);
	header->cgroup = READ(node, id);
	parent = READ(task, real_parent);
	leader = READ(task, group_leader);
	signal = READ(task, signal);
	cred = READ(task, cred);
	mm = READ(task, mm);
	fs = READ(task, fs);
	read_ids(&ids, task);
	read_exe(&exe, mm);

	put_u32(s, READ(parent, tgid));
	put_u32(s, pid_number(ids.pgrp, 0));
	put_u32(s, pid_number(ids.pgrp, ids.level));
	put_u32(s, pid_number(ids.session, 0));
	put_comm(s, task);
	put_task_args(s, task, mm, sleepable);
	put_exe_path(s, slot, &exe);
	put_u32(s, exe_flags(&exe, cred));
	put_nothing(s);
	put_cwd(s, slot, task);
	put_u64(s, READ(signal, rlim[RLIMIT_NOFILE].rlim_cur));
	put_credentials(s, cred);
	put_exe_file(s, &exe);
	put_memory(s, slot, task);
	put_u32(s, pid_number(READ(leader, thread_pid), ids.level));
	put_u32(s, pid_number(READ(leader, thread_pid), ids.level));
	put_u64(s, start_of(READ(ids.ns, child_reaper)));
	put_cgroups(s, slot, task);
	if (fs)
		put_path(s, slot, &fs->root);
	else
		put_nothing(s);
	put_nothing(s);
	put_u32(s, terminal(signal));
	if (bpf_core_field_exists(task->loginuid))
		put_u32(s, LOAD(task, loginuid.val));
	else
		put_u32(s, ~0U);
	put_task_extra(s, task, &ids, &exe, mm);

	len = (s->at + 7) & ~7U;
	BOUND(len, AT_MASK);
	header->len = len;
	header->flags = s->flags;
	bpf_seq_write(meta->seq, s->record, len);
	let_go(s);
	return 0;
}

SEC("iter.s/task")
int snapshot_with_arguments(unsigned long long *ctx)
{
	return snapshot(ctx, 1);
}

SEC("iter/task")
int snapshot_plain(unsigned long long *ctx)
{
	return snapshot(ctx, 0);
}

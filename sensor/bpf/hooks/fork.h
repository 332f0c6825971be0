/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * New tasks. The child's side (result 0) comes from the scheduler's tracepoint in the parent's context, before
 * the child runs; the parent's side is the end of its system call.
 */
#include "sys_exit.h"
#include "../lib/data.h"
#include "../lib/process.h"

#define EVENT_CLONE 223
#define EVENT_VFORK 227
#define EVENT_CLONE3 335
#define CLONE_PARAMS 29

#define PF_KTHREAD 0x00200000

#define OUT_CLONE_THREAD 0x2000
#define OUT_CLONE_FILES 0x1
#define OUT_CLONE_FS 0x2
#define OUT_CLONE_VM 0x8000
#define OUT_CHILD_IN_PIDNS 0x20000000

#define CLONE_VM 0x100
#define CLONE_VFORK 0x4000

/* Which of clone's flags hold, told from what the two tasks share. */
static __always_inline __u32 shared_flags(struct task_struct *parent, struct task_struct *child, __u32 level)
{
	__u32 flags = 0;

	if (LOAD(parent, tgid) == LOAD(child, tgid))
		flags |= OUT_CLONE_THREAD;
	if (READ(parent, files) == READ(child, files))
		flags |= OUT_CLONE_FILES;
	if (READ(parent, fs) == READ(child, fs))
		flags |= OUT_CLONE_FS;
	if (READ(parent, mm) == READ(child, mm))
		flags |= OUT_CLONE_VM;
	if (level)
		flags |= OUT_CHILD_IN_PIDNS;
	return flags;
}

/* Arguments, executable and directory are the parent's: user space has them, so they are not sent again. */
static __always_inline void put_clone(struct scratch *s, __u32 slot, struct task_struct *task, __s64 result,
				      __u32 flags, struct ids *ids)
{
	struct task_struct *leader = READ(task, group_leader);
	struct task_struct *parent = READ(task, real_parent);
	struct cred *cred = READ(task, cred);

	put_s64(s, result);
	put_nothing(s);
	put_nothing(s);
	put_s64(s, LOAD(task, pid));
	put_s64(s, LOAD(task, tgid));
	put_s64(s, READ(parent, tgid));
	put_nothing(s);
	put_resources(s, slot, task);
	put_comm(s, task);
	put_nothing(s);
	put_u32(s, flags);
	put_u32(s, READ(cred, euid.val));
	put_u32(s, READ(cred, egid.val));
	put_s64(s, pid_number(READ(task, thread_pid), ids->level));
	put_s64(s, pid_number(READ(leader, thread_pid), ids->level));
	put_u64(s, start_of(READ(ids->ns, child_reaper)));
	put_s64(s, pid_number(ids->session, ids->level));
	put_s64(s, pid_number(ids->pgrp, 0));
	put_s64(s, pid_number(ids->pgrp, ids->level));
	put_u32(s, READ(ids->ns, ns.inum));
	put_u32(s, mount_namespace(task));
	put_u32(s, user_namespace_of(cred));
	put_u64(s, start_of(READ(parent, group_leader)));
	put_u64(s, LOAD(task, start_boottime));
}

/* A new process hardly ever comes alone: its exec, its first call or its end wakes the reader, and one wake-up does. */
static __always_inline void finish_quietly(struct scratch *s, __u32 slot)
{
	__u64 sent = s->sent;

	send(s, slot, EYAS_RING_LIFECYCLE, wakeup_if_urgent(s));
	s->sent = sent;
	let_go(s);
}

SEC("tp_btf/sched_process_fork")
int process_fork(unsigned long long *ctx)
{
	struct task_struct *parent = (struct task_struct *)ctx[0];
	struct task_struct *child = (struct task_struct *)ctx[1];
	__u32 slot = bpf_get_smp_processor_id();
	struct ids ids = {};
	struct scratch *s;
	__u32 flags;

	if (LOAD(child, flags) & PF_KTHREAD)
		return 0;
	s = begin(slot, child, EVENT_CLONE, CLONE_PARAMS);
	if (!s)
		return 0;
	/* its own, which is not that of the parent, who runs, where clone3 was told to put it into another one */
	((struct eyas_header *)s->record)->cgroup = cgroup_of(child);
	read_ids(&ids, child);
	flags = shared_flags(parent, child, ids.level);
	put_clone(s, slot, child, 0, flags, &ids);
	if (flags & OUT_CLONE_THREAD)
		finish(s, slot, EYAS_RING_LIFECYCLE, wakeup_if_needed(s));
	else
		finish_quietly(s, slot);
	return 0;
}

/* The flags that the caller asked for. Those of clone3 lie in user memory, at the start of what it points to. */
static __always_inline __u32 asked_flags(struct call *call, __u16 event)
{
	__u32 key = EYAS_TABLE_CLONE_FLAGS;
	struct bit_table *table = bpf_map_lookup_elem(&bit_tables, &key);
	__u64 flags = 0;

	if (event == EVENT_VFORK)
		flags = CLONE_VFORK | CLONE_VM;
	else if (event == EVENT_CLONE)
		flags = call->args[0];
	else if (event == EVENT_CLONE3 && bpf_probe_read_user(&flags, sizeof(flags), (void *)call->args[0]))
		count(EYAS_FAIL_USER_READ);
	return table ? translate_bits(table, flags) : 0;
}

HANDLER(clone)
{
	__u16 event = event_of(call);
	struct ids ids = {};
	struct scratch *s;

	/* the child's side has been reported by the other hook */
	if (!call->result)
		return;
	s = begin_call(call, slot, task, event, CLONE_PARAMS);
	if (!s)
		return;
	read_ids(&ids, task);
	put_clone(s, slot, task, call->result, asked_flags(call, event), &ids);
	finish_call(s, slot);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Third layer: from the start of a record to the ring. begin() claims the CPU's scratch space and writes what
 * the header needs; finish() gives the record to a ring and lets the space go. Every begin() that succeeds is
 * followed by exactly one finish().
 */
#ifndef EYAS_EMIT_H
#define EYAS_EMIT_H

#include "file.h"

/* Whether nothing is reported of the process; asked only about what would be. */
static __always_inline int is_ignored(struct task_struct *task)
{
	if (LOAD(task, tgid) != settings.ignored)
		return 0;
	count(EYAS_FILTER_PROCESS);
	return 1;
}

/* The id of a task's cgroup in the default hierarchy. */
static __always_inline __u64 cgroup_of(struct task_struct *task)
{
	struct css_set *set = READ(task, cgroups);
	struct cgroup *cgroup = READ(set, dfl_cgrp);
	struct kernfs_node *node = READ(cgroup, kn);

	return READ(node, id);
}

static __always_inline void fill_header(struct scratch *s, struct task_struct *task, __u16 type, __u8 nparams)
{
	struct eyas_header *header = (void *)s->record;
	struct task_struct *leader = NEEDED(task, group_leader);
	struct cred *cred = NEEDED(task, cred);

	header->time = bpf_ktime_get_boot_ns();
	header->start = NEEDED(leader, start_boottime);
	header->tgid = LOAD(task, tgid);
	header->tid = LOAD(task, pid);
	header->euid = NEEDED(cred, euid.val);
	header->egid = NEEDED(cred, egid.val);
	header->cgroup = reads_are_loads() ? cgroup_of(task) : bpf_get_current_cgroup_id();
	header->seq = s->seq++;
	header->generation = settings.generation;
	header->type = type;
	header->cpu = bpf_get_smp_processor_id();
	header->syscall = EYAS_NO_SYSCALL;
	header->nparams = nparams;
	header->reserved = 0;
}

/*
 * Whether the space is ours from here on. Kernels up to 6.18 run programs of tracepoints with preemption disabled, so
 * only an interrupt can come between, and it is over before we go on: there, looking first and setting then would do.
 * Where tasks may take turns on a CPU it would not, so the space is claimed by the one atomic addition that 5.10 has.
 * It gives nothing back; of two that add before either looks, both leave, but never do both go on.
 */
static __always_inline int claim(struct scratch *s)
{
	__sync_fetch_and_add(&s->busy, 1);
	if (*(volatile __u32 *)&s->busy == 1)
		return 1;
	__sync_fetch_and_add(&s->busy, -1);
	count(EYAS_DROP_BUSY);
	return 0;
}

static __always_inline void let_go(struct scratch *s)
{
	__sync_fetch_and_add(&s->busy, -1);
}

/* A record in a space that is ours already. */
static __always_inline void start(struct scratch *s, struct task_struct *task, __u16 type, __u8 nparams)
{
	s->count = 0;
	s->flags = 0;
	s->at = sizeof(struct eyas_header) + 2 * nparams;
	fill_header(s, task, type, nparams);
}

static __always_inline struct scratch *begin(__u32 slot, struct task_struct *task, __u16 type, __u8 nparams)
{
	struct scratch *s = scratch_of(slot);

	if (!s)
		return 0;
	if (!claim(s)) {
		s->seq++;
		return 0;
	}
	start(s, task, type, nparams);
	return s;
}

/*
 * A reader that was woken looks again until every record is older than 200 microseconds, so what comes within less
 * than that after a record that woke it need not wake it again. This bounds what a flood of urgent events costs.
 */
#define WAKE_INTERVAL_NS 100000

/* Wakes the reader, unless it is awake. */
static __always_inline __u64 wakeup(struct scratch *s)
{
	__u64 time = ((struct eyas_header *)s->record)->time;

	if (time - s->woken < WAKE_INTERVAL_NS)
		return BPF_RB_NO_WAKEUP;
	s->woken = time;
	return BPF_RB_FORCE_WAKEUP;
}

/* The same for events that somebody called urgent. */
static __always_inline __u64 wakeup_if_urgent(struct scratch *s)
{
	__u32 type = ((struct eyas_header *)s->record)->type & (EYAS_EVENT_CODES - 1);

	if (!(settings.urgent[type >> 6] >> (type & 63) & 1))
		return BPF_RB_NO_WAKEUP;
	return wakeup(s);
}

/* And for the first after a quiet time, in which the reader may have gone to sleep for longer. Others wait for its timer. */
static __always_inline __u64 wakeup_if_needed(struct scratch *s)
{
	if (((struct eyas_header *)s->record)->time - s->sent >= EYAS_QUIET_NS)
		return wakeup(s);
	return wakeup_if_urgent(s);
}

/* Gives the record to a ring and keeps the space. */
static __always_inline void send(struct scratch *s, __u32 slot, __u32 class, __u64 wakeup_flags)
{
	struct eyas_header *header = (void *)s->record;
	__u32 key = slot * EYAS_RING_CLASSES + class;
	__u64 len = (s->at + 7) & ~7U;
	void *ring;

	BOUND(len, AT_MASK);
	header->len = len;
	header->flags = s->flags;
	ring = bpf_map_lookup_elem(&rings, &key);
	if (!ring)
		count(EYAS_DROP_NO_RING);
	else if (bpf_ringbuf_output(ring, s->record, len, wakeup_flags))
		count(class == EYAS_RING_LIFECYCLE ? EYAS_DROP_LIFECYCLE : EYAS_DROP_EVENT);
	else
		s->sent = header->time;
}

static __always_inline void finish(struct scratch *s, __u32 slot, __u32 class, __u64 wakeup_flags)
{
	send(s, slot, class, wakeup_flags);
	let_go(s);
}

/* A system call at its end. `args` of the caller's structure are filled from the registers. */
static __always_inline void read_call(struct call *call, struct pt_regs *regs, long result, struct task_struct *task)
{
	__u32 number = call_number(regs);
	int compat = in_compat_call(task) != 0;

	call->flags = compat ? EYAS_RECORD_COMPAT : 0;
	if (X32_BIT && !compat && (number & X32_BIT)) {
		number &= ~X32_BIT;
		call->flags = EYAS_RECORD_X32;
	}
	call->number = number;
	if (compat)
		call->index = EYAS_TABLE_SIZE + (unfolded(regs, number) & (EYAS_TABLE_SIZE - 1));
	else
		call->index = number & (EYAS_TABLE_SIZE - 1);
	call->result = compat ? (__s32)result : result;
	call_args(regs, compat, call->args);
}

static __always_inline void mark_call(struct scratch *s, struct call *call)
{
	s->flags = call->flags;
	((struct eyas_header *)s->record)->syscall = call->number;
}

static __always_inline struct scratch *begin_call(struct call *call, __u32 slot, struct task_struct *task, __u16 type,
						  __u8 nparams)
{
	struct scratch *s = begin(slot, task, type, nparams);

	if (s)
		mark_call(s, call);
	return s;
}

static __always_inline void finish_call(struct scratch *s, __u32 slot)
{
	finish(s, slot, EYAS_RING_EVENTS, wakeup_if_needed(s));
}

#endif

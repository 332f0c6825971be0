/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * End of every system call in the system: the hot path. Numbers that nobody asked for leave after two loads, a bit
 * test and an addition to the CPU's own counter; the others jump to their handler, which reads the call anew.
 */
#ifndef EYAS_SYS_EXIT_H
#define EYAS_SYS_EXIT_H

#include "../lib/emit.h"

#if defined(__TARGET_ARCH_x86)
#define NR_OPENAT 257
#else
#define NR_OPENAT 56
#endif

static __always_inline int filtered(void)
{
	count(EYAS_FILTER_CALL);
	return 0;
}

SEC("tp_btf/sys_exit")
int sys_exit(unsigned long long *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx[0];
	__u32 index = call_number(regs) & ~X32_BIT;
	struct task_struct *task;

	if (index >= EYAS_TABLE_SIZE)
		return filtered();
	if (!(settings.either[index >> 6] >> (index & 63) & 1))
		return filtered();
	task = current_task();
	if (in_compat_call(task))
		index = EYAS_TABLE_SIZE + unfolded(regs, index);
	if (!(settings.enabled[(index >> 6) & (EYAS_SLOTS / 64 - 1)] >> (index & 63) & 1))
		return filtered();
	if (is_ignored(task))
		return 0;
	/* a place known beforehand is jumped to directly; by far most of what is asked for is this */
	if (index == NR_OPENAT)
		bpf_tail_call_static(ctx, &handlers, NR_OPENAT);
	bpf_tail_call(ctx, &handlers, index);
	count(EYAS_FAIL_TAIL_CALL);
	return 0;
}

/* The event that the tables name for a call, for handlers that serve several. */
static __always_inline __u16 event_of(struct call *call)
{
	struct eyas_descriptor *descriptor = bpf_map_lookup_elem(&descriptors, &call->index);

	return descriptor ? descriptor->event : 0;
}

/* What every handler starts with. */
#define HANDLER(name)                                                                                                  \
	static __always_inline void handle_##name(struct call *call, struct task_struct *task, __u32 slot);            \
	SEC("tp_btf/sys_exit")                                                                                         \
	int on_##name(unsigned long long *ctx)                                                                         \
	{                                                                                                              \
		struct task_struct *task = current_task();                                                             \
		struct call call = {};                                                                                 \
		read_call(&call, (struct pt_regs *)ctx[0], ctx[1], task);                                              \
		handle_##name(&call, task, bpf_get_smp_processor_id());                                                \
		return 0;                                                                                              \
	}                                                                                                              \
	static __always_inline void handle_##name(struct call *call, struct task_struct *task, __u32 slot)

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Signals, page faults and switches of tasks: hit all the time, so attached only while somebody asks for them. */
#include "../lib/emit.h"
#include "../lib/process.h"

#define EVENT_SWITCH 152
#define EVENT_SIGNALDELIVER 232
#define EVENT_PAGE_FAULT 290

#define SIGCHLD 17

/* Process that sent a signal. The kernel's own signals have small numbers instead of an address behind them. */
static __always_inline __s64 sender_of(int sig, struct kernel_siginfo *info)
{
	if ((__u64)info <= 2)
		return 0;
	/* what programs send has a code of 0 or less, and the pid of the sender at the same place as SIGCHLD has */
	if (READ(info, si_code) <= 0 || sig == SIGCHLD)
		return READ(info, _sifields._kill._pid);
	return 0;
}

SEC("tp_btf/signal_deliver")
int signal(unsigned long long *ctx)
{
	int sig = ctx[0];
	struct kernel_siginfo *info = (void *)ctx[1];
	struct task_struct *task = current_task();
	__u32 slot = bpf_get_smp_processor_id();
	struct scratch *s;

	if (is_ignored(task))
		return 0;
	s = begin(slot, task, EVENT_SIGNALDELIVER, 3);
	if (!s)
		return 0;
	put_s64(s, sender_of(sig, info));
	put_s64(s, LOAD(task, tgid));
	put_u8(s, sig);
	finish(s, slot, EYAS_RING_EVENTS, wakeup_if_needed(s));
	return 0;
}

/* The processor's word for what went wrong, as x86 has it; the tracepoint exists there. */
static __always_inline __u32 fault_flags(__u64 code)
{
	return (code & 0x01 ? 0x01 : 0x02) | (code & 0x02 ? 0x04 : 0x08) | (code & 0x04 ? 0x10 : 0x20) |
	       (code & 0x08 ? 0x40 : 0) | (code & 0x10 ? 0x80 : 0);
}

static __always_inline int page_fault(unsigned long long *ctx)
{
	struct task_struct *task = current_task();
	__u32 slot = bpf_get_smp_processor_id();
	struct scratch *s;

	if (is_ignored(task))
		return 0;
	s = begin(slot, task, EVENT_PAGE_FAULT, 3);
	if (!s)
		return 0;
	put_u64(s, ctx[0]);
	put_u64(s, instruction_of((struct pt_regs *)ctx[1]));
	put_u32(s, fault_flags(ctx[2]));
	finish(s, slot, EYAS_RING_EVENTS, wakeup_if_needed(s));
	return 0;
}

SEC("tp_btf/page_fault_user")
int fault_user(unsigned long long *ctx)
{
	return page_fault(ctx);
}

SEC("tp_btf/page_fault_kernel")
int fault_kernel(unsigned long long *ctx)
{
	return page_fault(ctx);
}

/* The task that gives way is the event's own. */
SEC("tp_btf/sched_switch")
int context_switch(unsigned long long *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	struct task_struct *next = (void *)ctx[2];
	__u32 slot = bpf_get_smp_processor_id();
	struct scratch *s;

	if (is_ignored(task))
		return 0;
	s = begin(slot, task, EVENT_SWITCH, 6);
	if (!s)
		return 0;
	put_s64(s, LOAD(next, pid));
	put_u64(s, LOAD(task, maj_flt));
	put_u64(s, LOAD(task, min_flt));
	store_sizes(slot, memory_of(task));
	finish(s, slot, EYAS_RING_EVENTS, wakeup_if_needed(s));
	return 0;
}

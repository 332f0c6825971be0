/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The end of a task. */
#include "../lib/emit.h"
#include "../lib/process.h"

#define EVENT_PROCEXIT 186
#define EXIT_PARAMS 6

SEC("tp_btf/sched_process_exit")
int process_exit(unsigned long long *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	__u32 slot = bpf_get_smp_processor_id();
	struct signal_struct *signal = READ(task, signal);
	struct pid *pid = READ(task, thread_pid);
	struct task_struct *reaper;
	struct scratch *s;
	__u32 code;

	if (LOAD(task, flags) & 0x00200000)
		return 0;
	s = begin(slot, task, EVENT_PROCEXIT, EXIT_PARAMS);
	if (!s)
		return 0;
	code = LOAD(task, exit_code);
	put_s64(s, code);
	put_s64(s, (code >> 8) & 0xff);
	put_u8(s, code & 0x7f);
	put_u8(s, (code & 0x80) != 0);
	reaper = READ(pid_namespace_of(pid), child_reaper);
	put_s64(s, reaper ? READ(reaper, pid) : 0);
	put_u32(s, READ(signal, live.counter) == 0);
	finish(s, slot, EYAS_RING_LIFECYCLE, wakeup_if_needed(s));
	return 0;
}

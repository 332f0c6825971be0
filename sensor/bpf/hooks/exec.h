/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A new program image. The success is taken from the scheduler's tracepoint, where the new memory with its
 * arguments is in place and nothing can have changed it yet; the failure from the end of the system call.
 */
#include "sys_exit.h"
#include "../lib/process.h"

#define EVENT_EXECVE 293
#define EVENT_EXECVEAT 331
#define EXEC_PARAMS 46
/* Arguments of a failed call that are looked at; it never got so far as to copy them. */
#define FAILED_ARGUMENTS 32
#define FAILED_BYTES 4096

#if defined(__TARGET_ARCH_x86)
#define NR_EXECVEAT 322
#define NR_EXECVEAT_X32 (545 | X32_BIT)
#define NR_EXECVEAT_COMPAT 358
#else
#define NR_EXECVEAT 281
#define NR_EXECVEAT_X32 281
#define NR_EXECVEAT_COMPAT 387
#endif

static __always_inline void put_exec_ids(struct scratch *s, struct task_struct *task)
{
	struct task_struct *parent = READ(task, real_parent);

	put_s64(s, LOAD(task, pid));
	put_s64(s, LOAD(task, tgid));
	put_s64(s, READ(parent, tgid));
}

/* Everything between the arguments and the environment. Global, as the next two: a success and a failure share it. */
__noinline int store_exec_middle(__u32 slot)
{
	struct scratch *s = scratch_of(slot);
	struct task_struct *task = current_task();

	if (!s)
		return -1;
	put_exec_ids(s, task);
	put_cwd(s, slot, task);
	put_resources(s, slot, task);
	put_comm(s, task);
	put_cgroups(s, slot, task);
	return 0;
}

/* What the task is and runs: from tty to gid. */
__noinline int store_exec_identity(__u32 slot)
{
	struct scratch *s = scratch_of(slot);
	struct task_struct *task = current_task();
	struct ids ids = {};
	struct exe exe = {};

	if (!s)
		return -1;
	read_ids(&ids, task);
	read_exe(&exe, (struct mm_struct *)memory_of(task));
	put_identity(s, slot, task, &ids, &exe);
	return 0;
}

/* What eyas adds to that. */
__noinline int store_exec_namespaces(__u32 slot)
{
	struct scratch *s = scratch_of(slot);
	struct task_struct *task = current_task();
	struct ids ids = {};
	struct exe exe = {};

	if (!s)
		return -1;
	read_ids(&ids, task);
	read_exe(&exe, (struct mm_struct *)memory_of(task));
	put_namespaces(s, task, &ids, &exe);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int process_exec(unsigned long long *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	struct linux_binprm *bprm = (struct linux_binprm *)ctx[2];
	__u32 slot = bpf_get_smp_processor_id();
	struct mm_struct *mm = READ(task, mm);
	struct eyas_header *header;
	struct scratch *s;
	__u64 start, end;
	const char *filename;
	long len;

	if (!mm)
		return 0;
	s = begin(slot, task, EVENT_EXECVE, EXEC_PARAMS);
	if (!s)
		return 0;
	header = (void *)s->record;
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)) {
		struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
		__u32 number = call_number(regs);
		int compat = in_compat_call(task) != 0;

		if (number == NR_EXECVEAT_X32 || number == (compat ? NR_EXECVEAT_COMPAT : NR_EXECVEAT))
			header->type = EVENT_EXECVEAT;
		header->syscall = number & ~X32_BIT;
		s->flags |= compat ? EYAS_RECORD_COMPAT : 0;
	}

	start = READ(mm, arg_start);
	end = READ(mm, arg_end);
	put_s64(s, 0);
	len = s->at;
	put_user_text(s, start);
	start += s->at - len;
	put_user_range(s, start, end, settings.args_bytes, EYAS_CUT_ARGUMENTS);
	store_exec_middle(slot);
	if (settings.env_bytes)
		put_user_range(s, READ(mm, env_start), READ(mm, env_end), settings.env_bytes, EYAS_CUT_ENVIRONMENT);
	else
		put_nothing(s);
	store_exec_identity(slot);
	filename = LOAD(bprm, filename);
	len = bpf_probe_read_kernel_str(room(s), EYAS_PATH_MAX, filename);
	put_length(s, len > 0 ? len : 0);
	store_exec_namespaces(slot);
	put_u64(s, end - READ(mm, arg_start));
	put_u64(s, READ(mm, env_end) - READ(mm, env_start));
	if (len > 0) {
		char first = 0;

		bpf_probe_read_kernel(&first, 1, filename);
		if (first != '/')
			put_cwd(s, slot, task);
		else
			put_nothing(s);
	} else {
		put_nothing(s);
	}
	finish(s, slot, EYAS_RING_LIFECYCLE, wakeup(s));
	return 0;
}

static __always_inline __u64 argument_address(__u64 argv, __u32 index, int compat)
{
	__u64 address = 0;

	bpf_probe_read_user(&address, compat ? 4 : 8, (void *)(argv + index * (compat ? 4 : 8)));
	return address;
}

/* Arguments that a failed call would have given, from the caller's own memory. */
static __always_inline void put_failed_arguments(struct scratch *s, __u64 argv, int compat)
{
	__u32 total = 0;
	__u32 i;

	for (i = 1; i < FAILED_ARGUMENTS && argv; i++) {
		__u64 address = argument_address(argv, i, compat);
		long len;

		if (!address || total >= FAILED_BYTES)
			break;
		len = bpf_probe_read_user_str(&s->record[(s->at + total) & AT_MASK], FAILED_BYTES, (void *)address);
		if (len <= 0)
			break;
		total += len;
	}
	if (i == FAILED_ARGUMENTS || total >= FAILED_BYTES) {
		s->flags |= EYAS_RECORD_TRUNCATED;
		count(EYAS_CUT_ARGUMENTS);
	}
	put_length(s, total);
}

static __always_inline void exec_failed(struct call *call, struct task_struct *task, __u32 slot, __u16 type,
					__s32 dirfd, __u64 filename, __u64 argv)
{
	int compat = call->flags & EYAS_RECORD_COMPAT;
	struct scratch *s;

	/* a success has been reported by the other hook */
	if (call->result >= 0)
		return;
	s = begin_call(call, slot, task, type, EXEC_PARAMS);
	if (!s)
		return;
	put_s64(s, call->result);
	put_user_text(s, argv ? argument_address(argv, 0, compat) : 0);
	put_failed_arguments(s, argv, compat);
	store_exec_middle(slot);
	put_nothing(s);
	store_exec_identity(slot);
	put_user_text(s, filename);
	store_exec_namespaces(slot);
	put_nothing(s);
	put_nothing(s);
	store_dir(slot, dirfd, filename);
	finish_call(s, slot);
}

HANDLER(exec)
{
	__u16 type = event_of(call);
	int at = type == EVENT_EXECVEAT;

	exec_failed(call, task, slot, type, at ? (__s32)call->args[0] : AT_FDCWD, at ? call->args[1] : call->args[0],
		    at ? call->args[2] : call->args[1]);
}

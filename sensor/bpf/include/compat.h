/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where kernels differ: one reader for each difference. A second shape of a type is written with three
 * underscores behind its name, which relocation ignores.
 */
#ifndef EYAS_COMPAT_H
#define EYAS_COMPAT_H

#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/*
 * A number of `size` bytes at any address of the kernel; 0 if nothing is there. As written, this is a call of the helper
 * and good for every kernel; the loader turns it into a plain load where the kernel has one for addresses of which the
 * verifier knows nothing (sensor/probe/src/plain.rs). It looks for these four instructions, of which the first is a
 * mark and does nothing.
 */
#define READ_AS(out, address, size, type)                                                                              \
	do {                                                                                                           \
		__u64 read_slot;                                                                                       \
		register __u64 read_to asm("r1") = (__u64)&read_slot;                                                  \
		register __u64 read_from asm("r3") = (__u64)(address);                                                 \
		asm volatile("r0 = 0x65796173\n\t"                                                                     \
			     "r2 = " size "\n\t"                                                                       \
			     "call 113\n\t"                                                                            \
			     "%0 = *(" type " *)%3"                                                                    \
			     : "=r"(out), "+r"(read_to), "+r"(read_from), "=m"(read_slot)                              \
			     :                                                                                         \
			     : "r0", "r2", "r4", "r5");                                                                \
	} while (0)

static __always_inline __u64 read_number(const volatile void *address, __u32 size)
{
	__u64 number;

	switch (size) {
	case 1:
		READ_AS(number, address, "1", "u8");
		break;
	case 2:
		READ_AS(number, address, "2", "u16");
		break;
	case 4:
		READ_AS(number, address, "4", "u32");
		break;
	default:
		READ_AS(number, address, "8", "u64");
	}
	return number;
}

/* Whether reads are plain loads, so that many small ones cost less than one great one. */
static __always_inline int reads_are_loads(void)
{
	__u64 loads;

	asm volatile("%0 = 0x65796101" : "=r"(loads));
	return loads == 1;
}

/*
 * A field of kernel memory, by its address alone. Pointers in a task are read like this too: of each that is loaded
 * through a typed pointer, new kernels' verifier asks whether it may be trusted, by a search of its name in all types of
 * the kernel, which made up a third of the time that verification takes.
 */
#define READ(pointer, field) ((typeof((pointer)->field))read_number(&(pointer)->field, sizeof((pointer)->field)))

/*
 * A field behind a task's pointer. With get_current_task_btf (5.11) the verifier knows the pointer's type, and a plain load
 * does. The condition is a constant at load time, so only one branch is verified and kept.
 */
#define TYPED_TASK bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)
#define LOAD(pointer, field) (TYPED_TASK ? (pointer)->field : READ(pointer, field))

/* What is needed often, and is or leads to a pointer: loaded by its type only where a read is a call. */
#define NEEDED(pointer, field) (TYPED_TASK && !reads_are_loads() ? (pointer)->field : READ(pointer, field))

static __always_inline struct task_struct *current_task(void)
{
	if (TYPED_TASK)
		return (struct task_struct *)bpf_get_current_task_btf();
	return (struct task_struct *)bpf_get_current_task();
}

struct timespec64 {
	__s64 tv_sec;
	long tv_nsec;
} RELOCATED;

/* Before 6.6. */
struct inode___timespec {
	struct timespec64 i_ctime;
	struct timespec64 i_mtime;
} RELOCATED;
/* 6.6: 13bc24457850 ("fs: rename i_ctime field to __i_ctime"). */
struct inode___ctime {
	struct timespec64 __i_ctime;
	struct timespec64 i_mtime;
} RELOCATED;
/* 6.7: 12cd44023651 ("fs: rename inode i_atime and i_mtime fields"). */
struct inode___mtime {
	struct timespec64 __i_mtime;
} RELOCATED;
/* 6.11: 3aa63a569c64 ("fs: switch timespec64 fields in inode to discrete integers"). */
struct inode___split {
	__s64 i_ctime_sec;
	__s64 i_mtime_sec;
	__u32 i_ctime_nsec;
	__u32 i_mtime_nsec;
} RELOCATED;

#define NS_PER_SEC 1000000000ULL
/* 6.13: 4e40eff0b573 ("fs: add infrastructure for multigrain timestamps") keeps a mark in the top bit. */
#define CTIME_MARK 0x80000000U

static __always_inline __u64 timespec_ns(struct timespec64 *t)
{
	return (__u64)t->tv_sec * NS_PER_SEC + ((__u32)t->tv_nsec & ~CTIME_MARK);
}

static __always_inline __u64 inode_ctime(struct inode *inode)
{
	struct timespec64 t = {};

	if (bpf_core_field_exists(((struct inode___split *)0)->i_ctime_sec)) {
		struct inode___split *split = (void *)inode;

		return (__u64)READ(split, i_ctime_sec) * NS_PER_SEC + (READ(split, i_ctime_nsec) & ~CTIME_MARK);
	}
	if (bpf_core_field_exists(((struct inode___ctime *)0)->__i_ctime))
		bpf_probe_read_kernel(&t, 16, &((struct inode___ctime *)inode)->__i_ctime);
	else
		bpf_probe_read_kernel(&t, 16, &((struct inode___timespec *)inode)->i_ctime);
	return timespec_ns(&t);
}

static __always_inline __u64 inode_mtime(struct inode *inode)
{
	struct timespec64 t = {};

	if (bpf_core_field_exists(((struct inode___split *)0)->i_mtime_sec)) {
		struct inode___split *split = (void *)inode;

		return (__u64)READ(split, i_mtime_sec) * NS_PER_SEC + READ(split, i_mtime_nsec);
	}
	if (bpf_core_field_exists(((struct inode___mtime *)0)->__i_mtime))
		bpf_probe_read_kernel(&t, 16, &((struct inode___mtime *)inode)->__i_mtime);
	else
		bpf_probe_read_kernel(&t, 16, &((struct inode___timespec *)inode)->i_mtime);
	return timespec_ns(&t);
}

/* 6.15: 633488947ef6 ("kernfs: Use RCU to access kernfs_node::parent"). */
struct kernfs_node___rcu {
	struct kernfs_node *__parent;
} RELOCATED;
struct kernfs_node___plain {
	struct kernfs_node *parent;
} RELOCATED;

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	if (bpf_core_field_exists(((struct kernfs_node___rcu *)0)->__parent))
		return READ((struct kernfs_node___rcu *)node, __parent);
	return READ((struct kernfs_node___plain *)node, parent);
}

enum {
	MEMORY_FILES,
	MEMORY_ANONYMOUS,
	MEMORY_SWAP,
	MEMORY_SHARED
};

/* 6.2: f1a7941243c1 ("mm: convert mm's rss stats into percpu_counter"). */
struct percpu_counter {
	__s64 count;
} RELOCATED;
struct mm_struct___percpu {
	struct percpu_counter rss_stat[4];
} RELOCATED;
struct atomic_long___plain {
	__s64 counter;
};
struct mm_rss_stat {
	struct atomic_long___plain count[4];
} RELOCATED;
struct mm_struct___plain {
	struct mm_rss_stat rss_stat;
} RELOCATED;

/* Pages of one kind. Counts of single CPUs that are not added up yet are left out. */
static __always_inline __u64 pages_of(struct mm_struct *mm, int kind)
{
	__s64 pages = 0;

	if (bpf_core_field_exists(((struct mm_struct___plain *)0)->rss_stat.count))
		bpf_probe_read_kernel(&pages, sizeof(pages),
				      (void *)&((struct mm_struct___plain *)mm)->rss_stat.count + 8 * kind);
	else
		bpf_probe_read_kernel(&pages, sizeof(pages),
				      (void *)&((struct mm_struct___percpu *)mm)->rss_stat +
					      kind * bpf_core_type_size(struct percpu_counter) +
					      bpf_core_field_offset(struct percpu_counter, count));
	return pages > 0 ? pages : 0;
}

#define OVERLAYFS_MAGIC 0x794c7630
#define LAYER_NONE 0
#define LAYER_UPPER 1
#define LAYER_LOWER 2

/*
 * The overlay's own inode embeds the VFS inode, and the pointer behind it is the upper dentry, on every kernel
 * from 5.10 to 6.18. Taken by size, because the overlay module's type information may not be loaded.
 */
static __always_inline int overlay_layer(struct inode *inode, __u64 magic)
{
	struct dentry *upper;

	if (magic != OVERLAYFS_MAGIC)
		return LAYER_NONE;
	upper = (void *)read_number((void *)inode + bpf_core_type_size(struct inode), sizeof(upper));
	if (upper && READ(upper, d_inode))
		return LAYER_UPPER;
	return LAYER_LOWER;
}

#if defined(__TARGET_ARCH_x86)
#define X32_BIT 0x40000000U
#define THREAD_COMPAT 0x2 /* TS_COMPAT of thread_info.status */
static __always_inline int in_compat_call(struct task_struct *task)
{
	return LOAD(task, thread_info.status) & THREAD_COMPAT;
}
static __always_inline __u32 call_number(struct pt_regs *regs)
{
	return regs->orig_ax;
}
static __always_inline __u64 instruction_of(struct pt_regs *regs)
{
	return READ(regs, ip);
}
/*
 * The 32-bit table has one call for all socket calls, whose first argument says which. Gives the number of the
 * call's own entry; accept has none and is accept4 without flags, send and recv are sendto and recvfrom without
 * an address.
 */
#define NR_SOCKETCALL 102
static __always_inline __u32 socket_call(__u32 which)
{
	switch (which) {
	case 1:
		return 359; /* socket */
	case 2:
		return 361; /* bind */
	case 3:
		return 362; /* connect */
	case 4:
		return 363; /* listen */
	case 5:
	case 18:
		return 364; /* accept4 */
	case 6:
		return 367; /* getsockname */
	case 7:
		return 368; /* getpeername */
	case 8:
		return 360; /* socketpair */
	case 9:
	case 11:
		return 369; /* sendto */
	case 10:
	case 12:
		return 371; /* recvfrom */
	case 13:
		return 373; /* shutdown */
	case 14:
		return 366; /* setsockopt */
	case 15:
		return 365; /* getsockopt */
	case 16:
		return 370; /* sendmsg */
	case 17:
		return 372; /* recvmsg */
	case 19:
		return 337; /* recvmmsg */
	case 20:
		return 345; /* sendmmsg */
	}
	return NR_SOCKETCALL;
}
static __always_inline __u32 unfolded(struct pt_regs *regs, __u32 number)
{
	return number == NR_SOCKETCALL ? socket_call(regs->bx) : number;
}
/* Arguments that each socket call takes; what lies behind them in user memory is not theirs. */
static __always_inline __u32 socket_call_args(__u32 which)
{
	return which == 11 || which == 12					       ? 6
	       : which == 14 || which == 15 || which == 19			       ? 5
	       : which == 8 || which == 9 || which == 10 || which == 18 || which == 20 ? 4
										       : 3;
}
static __always_inline void unfold_args(__u64 *args)
{
	__u32 which = args[0];
	__u32 one;
	int i;

	/* 32-bit values into the start of the array, which then spread from the last to the first */
	bpf_probe_read_user(args, 6 * sizeof(one), (void *)args[1]);
#pragma unroll
	for (i = 5; i >= 0; i--) {
		__builtin_memcpy(&one, (__u8 *)args + i * sizeof(one), sizeof(one));
		args[i] = i < socket_call_args(which) ? one : 0;
	}
}
static __always_inline void call_args(struct pt_regs *regs, int compat, __u64 *args)
{
	if (compat) {
		args[0] = (__u32)regs->bx;
		args[1] = (__u32)regs->cx;
		args[2] = (__u32)regs->dx;
		args[3] = (__u32)regs->si;
		args[4] = (__u32)regs->di;
		args[5] = (__u32)regs->bp;
		if (call_number(regs) == NR_SOCKETCALL)
			unfold_args(args);
		return;
	}
	args[0] = regs->di;
	args[1] = regs->si;
	args[2] = regs->dx;
	args[3] = regs->r10;
	args[4] = regs->r8;
	args[5] = regs->r9;
}
#else
#define X32_BIT 0
#define THREAD_COMPAT (1UL << 22) /* TIF_32BIT */
static __always_inline int in_compat_call(struct task_struct *task)
{
	return (LOAD(task, thread_info.flags) & THREAD_COMPAT) != 0;
}
static __always_inline __u32 call_number(struct pt_regs *regs)
{
	return regs->syscallno;
}
static __always_inline __u64 instruction_of(struct pt_regs *regs)
{
	return READ(regs, pc);
}
static __always_inline __u32 unfolded(struct pt_regs *regs, __u32 number)
{
	return number;
}
static __always_inline void call_args(struct pt_regs *regs, int compat, __u64 *args)
{
	__u64 mask = compat ? 0xffffffff : ~0ULL;

	args[0] = regs->orig_x0 & mask;
	args[1] = regs->regs[1] & mask;
	args[2] = regs->regs[2] & mask;
	args[3] = regs->regs[3] & mask;
	args[4] = regs->regs[4] & mask;
	args[5] = regs->regs[5] & mask;
}
#endif

#endif

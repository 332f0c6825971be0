/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is asked for through io_uring, which passes no system call tracepoint. A request is reported when it is
 * complete, as the event of the call that it stands for. The kernel frees the names before that, so they are kept
 * from the submission on; the rest is still in the request. From 5.19 on, where both tracepoints give the request.
 */
#include "sys_exit.h"
#include "../lib/data.h"
#include "../syscalls/open.h"
#include "../syscalls/socket.h"

#define EVENT_SOCKET 19
#define EVENT_LISTEN 25
#define EVENT_SYMLINKAT 181
#define EVENT_UNLINKAT 303
#define EVENT_MKDIRAT 305
#define EVENT_LINKAT 311
#define EVENT_RENAMEAT2 319

/* include/uapi/linux/io_uring.h, fixed for ever. */
#define OP_ACCEPT 13
#define OP_CONNECT 16
#define OP_OPENAT 18
#define OP_OPENAT2 28
#define OP_RENAMEAT 35
#define OP_UNLINKAT 36
#define OP_MKDIRAT 37
#define OP_SYMLINKAT 38
#define OP_LINKAT 39
#define OP_SOCKET 45
#define OP_LISTEN 57

/* IOSQE_CQE_SKIP_SUCCESS, which a request carries among its own flags: no completion is told. */
#define REQUEST_TELLS_NOTHING (1U << 6)

#if defined(__TARGET_ARCH_x86)
#define NR_SOCKET 41
#define NR_CONNECT 42
#define NR_LISTEN 50
#define NR_OPENAT 257
#define NR_MKDIRAT 258
#define NR_UNLINKAT 263
#define NR_LINKAT 265
#define NR_SYMLINKAT 266
#define NR_ACCEPT4 288
#define NR_RENAMEAT2 316
#else
#define NR_MKDIRAT 34
#define NR_UNLINKAT 35
#define NR_SYMLINKAT 36
#define NR_LINKAT 37
#define NR_OPENAT 56
#define NR_SOCKET 198
#define NR_LISTEN 201
#define NR_CONNECT 203
#define NR_ACCEPT4 242
#define NR_RENAMEAT2 276
#endif
#define NR_OPENAT2 437

/* Names of requests under way, by the request's address; one more for the second name. The eldest give way. */
#define NAMES_KEPT 512
struct name {
	char text[EYAS_PATH_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, NAMES_KEPT);
	__type(key, __u64);
	__type(value, struct name);
} names SEC(".maps");

/* Whether the kernel has an operation, told by what it keeps for it; 6.11 was the last to add one of these. */
#define HAS_REQUEST(type) bpf_core_type_exists(struct type)

static __always_inline __u32 call_of(__u8 opcode)
{
	switch (opcode) {
	case OP_ACCEPT:
		return NR_ACCEPT4;
	case OP_CONNECT:
		return NR_CONNECT;
	case OP_OPENAT:
		return NR_OPENAT;
	case OP_OPENAT2:
		return NR_OPENAT2;
	case OP_RENAMEAT:
		return NR_RENAMEAT2;
	case OP_UNLINKAT:
		return NR_UNLINKAT;
	case OP_MKDIRAT:
		return NR_MKDIRAT;
	case OP_SYMLINKAT:
		return NR_SYMLINKAT;
	case OP_LINKAT:
		return NR_LINKAT;
	case OP_SOCKET:
		return NR_SOCKET;
	case OP_LISTEN:
		return NR_LISTEN;
	}
	return 0;
}

/* Number of the call that a request stands for, or 0 if nobody asked for it. */
static __always_inline __u32 wanted(struct io_kiocb *request, struct task_struct *task)
{
	__u32 number = call_of(READ(request, opcode));

	if (!number || !(settings.enabled[number >> 6] >> (number & 63) & 1))
		return 0;
	return is_ignored(task) ? 0 : number;
}

static __always_inline void keep_name(__u32 slot, __u64 key, struct filename *filename)
{
	struct scratch *s = scratch_of(slot);

	if (!s || !claim(s))
		return;
	if (bpf_probe_read_kernel_str(s->path, EYAS_PATH_MAX, READ(filename, name)) > 0)
		bpf_map_update_elem(&names, &key, s->path, BPF_ANY);
	else
		count(EYAS_FAIL_KERNEL_READ);
	let_go(s);
}

static __always_inline void keep_names(struct io_kiocb *request, __u32 slot)
{
	__u64 key = (__u64)request;

	switch (READ(request, opcode)) {
	case OP_OPENAT:
	case OP_OPENAT2:
		keep_name(slot, key, READ((struct io_open *)request, filename));
		break;
	case OP_UNLINKAT:
		keep_name(slot, key, READ((struct io_unlink *)request, filename));
		break;
	case OP_MKDIRAT:
		keep_name(slot, key, READ((struct io_mkdir *)request, filename));
		break;
	case OP_RENAMEAT:
		keep_name(slot, key, READ((struct io_rename *)request, oldpath));
		keep_name(slot, key + 1, READ((struct io_rename *)request, newpath));
		break;
	case OP_SYMLINKAT:
	case OP_LINKAT:
		if (!HAS_REQUEST(io_link))
			break;
		keep_name(slot, key, READ((struct io_link *)request, oldpath));
		keep_name(slot, key + 1, READ((struct io_link *)request, newpath));
		break;
	}
}

static __always_inline void put_kept(struct scratch *s, __u64 key)
{
	struct name *name = bpf_map_lookup_elem(&names, &key);
	long len = name ? bpf_probe_read_kernel_str(room(s), EYAS_PATH_MAX, name->text) : 0;

	put_length(s, len > 0 ? len : 0);
}

/* Where a kept name starts from, if it is relative; the name is let go. */
__noinline int store_kept_dir(__u32 slot, __s32 dirfd, __u64 key)
{
	struct scratch *s = scratch_of(slot);
	struct name *name = bpf_map_lookup_elem(&names, &key);

	if (!s)
		return -1;
	if (name && name->text[0] != '/')
		put_start(s, slot, current_task(), dirfd);
	else
		put_nothing(s);
	bpf_map_delete_elem(&names, &key);
	return 0;
}

static __always_inline struct scratch *begin_request(__u32 slot, struct task_struct *task, __u16 event, __u8 params,
						     __u32 number)
{
	struct scratch *s = begin(slot, task, event, params);

	if (s) {
		s->flags = EYAS_RECORD_URING;
		((struct eyas_header *)s->record)->syscall = number;
	}
	return s;
}

/* A descriptor that was put into the ring's own table is in none of the process. */
static __always_inline struct file *made(struct task_struct *task, __s64 result, __u32 file_slot)
{
	return file_slot ? 0 : file_of_fd(task, result);
}

static __always_inline void report_open(struct io_open *open, struct task_struct *task, __u32 slot, __u32 number,
					__s64 result)
{
	int second = number == NR_OPENAT2;
	struct scratch *s =
		begin_request(slot, task, second ? EVENT_OPENAT2 : EVENT_OPENAT, (second ? 8 : 7) + OPEN_EXTRA, number);
	struct opened opened = {};
	__s32 dirfd = READ(open, dfd);
	__u64 flags = READ(open, how.flags);

	if (!s)
		return;
	if (!READ(open, file_slot))
		read_opened(&opened, task, result);
	put_s64(s, result);
	put_s64(s, dirfd);
	put_kept(s, (__u64)open);
	put_u32(s, opened_flags(&opened, flags));
	put_u32(s, open_creates(flags) ? READ(open, how.mode) : 0);
	if (second)
		put_u32(s, resolve_flags(READ(open, how.resolve)));
	put_device(s, &opened);
	put_opened(s, slot, &opened, result);
	store_kept_dir(slot, dirfd, (__u64)open);
	finish_call(s, slot);
}

static __always_inline void report_connect(struct io_connect *connect, struct task_struct *task, __u32 slot,
					   __s64 result)
{
	struct scratch *s = begin_request(slot, task, EVENT_CONNECT, 4 + FD_FACTS, NR_CONNECT);
	struct file *file = READ(connect, file);
	__u64 addr = (__u64)READ(connect, addr);
	struct socket *socket;

	if (!s)
		return;
	socket = file ? socket_of_file(file) : 0;
	put_s64(s, result);
	if (socket && (result >= 0 || result == -EINPROGRESS))
		store_tuple(slot, (__u64)READ(socket, sk), 0, addr);
	else
		put_nothing(s);
	put_nothing(s);
	put_user_address(s, addr, READ(connect, addr_len));
	store_file_facts(slot, (__u64)file, addr);
	finish_call(s, slot);
}

static __always_inline void report_accept(struct io_accept *accept, struct task_struct *task, __u32 slot, __s64 result)
{
	struct scratch *s = begin_request(slot, task, EVENT_ACCEPT4, 6 + FD_FACTS, NR_ACCEPT4);
	struct file *file;

	if (!s)
		return;
	file = made(task, result, READ(accept, file_slot));
	put_accepted(s, slot, result, file, READ(accept, file));
	put_u32(s, accept_flags(READ(accept, flags)));
	store_file_facts(slot, (__u64)file, 0);
	finish_call(s, slot);
}

static __always_inline void report_socket(struct io_socket *socket, struct task_struct *task, __u32 slot, __s64 result)
{
	struct scratch *s = begin_request(slot, task, EVENT_SOCKET, 5 + FD_FACTS, NR_SOCKET);
	__u32 type = READ(socket, type);

	if (!s)
		return;
	put_s64(s, result);
	put_u32(s, READ(socket, domain));
	put_u32(s, type & 0xf);
	put_u32(s, READ(socket, protocol));
	put_u32(s, accept_flags(type));
	store_file_facts(slot, (__u64)made(task, result, READ(socket, file_slot)), 0);
	finish_call(s, slot);
}

static __always_inline void report_listen(struct io_listen *listen, struct task_struct *task, __u32 slot, __s64 result)
{
	struct scratch *s = begin_request(slot, task, EVENT_LISTEN, 3 + FD_FACTS, NR_LISTEN);

	if (!s)
		return;
	put_s64(s, result);
	put_nothing(s);
	put_u32(s, READ(listen, backlog));
	store_file_facts(slot, (__u64)READ(listen, file), 0);
	finish_call(s, slot);
}

/* unlinkat and mkdirat: one name below a directory, and a number. */
static __always_inline void report_name(struct io_kiocb *request, struct task_struct *task, __u32 slot, __u32 number,
					__s64 result)
{
	int unlink = number == NR_UNLINKAT;
	struct scratch *s = begin_request(slot, task, unlink ? EVENT_UNLINKAT : EVENT_MKDIRAT, 5 + FD_FACTS, number);
	struct io_unlink *removed = (void *)request;
	struct io_mkdir *directory = (void *)request;
	__s32 dirfd = unlink ? READ(removed, dfd) : READ(directory, dfd);

	if (!s)
		return;
	put_s64(s, result);
	put_s64(s, dirfd);
	put_kept(s, (__u64)request);
	put_u32(s, unlink ? READ(removed, flags) : READ(directory, mode));
	store_file_facts(slot, (__u64)file_of_fd(task, dirfd), 0);
	store_kept_dir(slot, dirfd, (__u64)request);
	finish_call(s, slot);
}

/* renameat2 and linkat: two names below their directories. Both requests look alike. */
static __always_inline void report_names(struct io_link *link, struct task_struct *task, __u32 slot, __u32 number,
					 __s64 result)
{
	__u16 event = number == NR_LINKAT ? EVENT_LINKAT : EVENT_RENAMEAT2;
	struct scratch *s = begin_request(slot, task, event, 8, number);
	struct io_rename *rename = (void *)link;
	int linked = number == NR_LINKAT;
	__s32 from = linked ? READ(link, old_dfd) : READ(rename, old_dfd);
	__s32 to = linked ? READ(link, new_dfd) : READ(rename, new_dfd);

	if (!s)
		return;
	put_s64(s, result);
	put_s64(s, from);
	put_kept(s, (__u64)link);
	put_s64(s, to);
	put_kept(s, (__u64)link + 1);
	put_u32(s, linked ? READ(link, flags) : READ(rename, flags));
	store_kept_dir(slot, from, (__u64)link);
	store_kept_dir(slot, to, (__u64)link + 1);
	finish_call(s, slot);
}

static __always_inline void report_symlink(struct io_link *link, struct task_struct *task, __u32 slot, __s64 result)
{
	struct scratch *s = begin_request(slot, task, EVENT_SYMLINKAT, 5 + FD_FACTS, NR_SYMLINKAT);
	__s32 dirfd = READ(link, new_dfd);
	__u64 target = (__u64)link;

	if (!s)
		return;
	put_s64(s, result);
	put_kept(s, target);
	put_s64(s, dirfd);
	put_kept(s, target + 1);
	store_file_facts(slot, (__u64)file_of_fd(task, dirfd), 0);
	store_kept_dir(slot, dirfd, target + 1);
	bpf_map_delete_elem(&names, &target);
	finish_call(s, slot);
}

/* Global: verified once, and there once for both programs. What a kernel has no request for is not even verified. */
__noinline int report(__u32 slot, __u64 address, __u32 number, __s64 result)
{
	struct io_kiocb *request = (void *)address;
	struct task_struct *task = current_task();

	switch (number) {
	case NR_OPENAT:
	case NR_OPENAT2:
		report_open((void *)request, task, slot, number, result);
		break;
	case NR_CONNECT:
		report_connect((void *)request, task, slot, result);
		break;
	case NR_ACCEPT4:
		report_accept((void *)request, task, slot, result);
		break;
	case NR_SOCKET:
		if (HAS_REQUEST(io_socket))
			report_socket((void *)request, task, slot, result);
		break;
	case NR_LISTEN:
		if (HAS_REQUEST(io_listen))
			report_listen((void *)request, task, slot, result);
		break;
	case NR_UNLINKAT:
	case NR_MKDIRAT:
		report_name(request, task, slot, number, result);
		break;
	case NR_RENAMEAT2:
		report_names((void *)request, task, slot, NR_RENAMEAT2, result);
		break;
	case NR_LINKAT:
		if (HAS_REQUEST(io_link))
			report_names((void *)request, task, slot, NR_LINKAT, result);
		break;
	case NR_SYMLINKAT:
		if (HAS_REQUEST(io_link))
			report_symlink((void *)request, task, slot, result);
		break;
	}
	return 0;
}

/* An argument as a mere number: the verifier lets functions of their own have no pointers to kernel types. */
static __always_inline void *request_at(unsigned long long *argument)
{
	void *request = 0;

	bpf_probe_read_kernel(&request, sizeof(request), argument);
	return request;
}

/* Before 5.19 the tracepoints give something else, and requests have no completion in them. */
#define GIVES_REQUESTS bpf_core_field_exists(((struct io_kiocb *)0)->cqe)

/* 6.4 renamed the tracepoint (submit_sqe); user space attaches the program to the one there is. */
SEC("tp_btf/io_uring_submit_req")
int uring_submit(unsigned long long *ctx)
{
	struct io_kiocb *request = request_at(&ctx[0]);
	__u32 slot = bpf_get_smp_processor_id();
	struct task_struct *task = current_task();
	__u32 number;

	if (!GIVES_REQUESTS)
		return 0;
	number = wanted(request, task);
	if (!number)
		return 0;
	keep_names(request, slot);
	/* Its success will not be told, so it is told now, as one. A failure is told twice. */
	if (READ(request, flags) & REQUEST_TELLS_NOTHING)
		report(slot, (__u64)request, number, 0);
	return 0;
}

/* Several completions of one request come without it and are not seen here. */
SEC("tp_btf/io_uring_complete")
int uring_complete(unsigned long long *ctx)
{
	struct io_kiocb *request = request_at(&ctx[1]);
	struct task_struct *task = current_task();
	__u32 number;

	if (!GIVES_REQUESTS || !request)
		return 0;
	number = wanted(request, task);
	if (number)
		report(bpf_get_smp_processor_id(), (__u64)request, number, READ(request, cqe.res));
	return 0;
}

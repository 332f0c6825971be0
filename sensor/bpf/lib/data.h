/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Second layer, table-driven values: translated numbers, input and output, what arguments point to. */
#ifndef EYAS_DATA_H
#define EYAS_DATA_H

#include "file.h"

#define VECTOR_MAX 16

static __always_inline __u32 translate_bits(struct bit_table *table, __u32 value)
{
	__u32 out = 0;
	int i;

	for (i = 0; i < BIT_PAIRS; i++) {
		if (i >= table->pairs)
			break;
		if ((value & table->pair[i].from) == table->pair[i].from)
			out |= table->pair[i].to;
	}
	return out;
}

static __always_inline __u32 translate_value(struct bit_table *table, __u32 value)
{
	int i;

	for (i = 0; i < BIT_PAIRS; i++) {
		if (i >= table->pairs)
			break;
		if (table->pair[i].from == value)
			return table->pair[i].to;
	}
	return table->otherwise;
}

static __always_inline void put_sized(struct scratch *s, __u64 value, __u8 size)
{
	switch (size) {
	case 1:
		put_u8(s, value);
		break;
	case 2:
		put_u16(s, value);
		break;
	case 4:
		put_u32(s, value);
		break;
	default:
		put_u64(s, value);
	}
}

static __always_inline void put_translated(struct scratch *s, struct eyas_param *param, __u64 value)
{
	__u32 key = param->aux;
	struct bit_table *table = bpf_map_lookup_elem(&bit_tables, &key);

	if (!table)
		put_nothing(s);
	else if (param->from == EYAS_FROM_BITS)
		put_sized(s, translate_bits(table, value), param->size);
	else
		put_sized(s, translate_value(table, value), param->size);
}

/* User bytes, no more than the setting says. */
static __always_inline void put_data(struct scratch *s, __u64 address, __s64 len)
{
	__u32 limit = settings.data_bytes;

	if (len <= 0 || !address || !limit) {
		put_nothing(s);
		return;
	}
	if (limit > EYAS_DATA_MAX)
		limit = EYAS_DATA_MAX;
	if (len > limit)
		len = limit; /* not marked: short data is what the setting asks for */
	BOUND(len, (EYAS_DATA_MAX * 2 - 1));
	if (len > EYAS_DATA_MAX || bpf_probe_read_user(room(s), len, (void *)address)) {
		put_user_failed(s);
		return;
	}
	put_length(s, len);
}

struct vector {
	__u64 base;
	__u64 len;
};

/* An address and a length that lie side by side in user memory. */
static __always_inline void read_pair(struct vector *vector, __u64 address, int compat)
{
	vector->base = 0;
	vector->len = 0;
	if (compat) {
		struct user_iovec32 small = {};

		bpf_probe_read_user(&small, sizeof(small), (void *)address);
		vector->base = small.base;
		vector->len = small.len;
	} else {
		bpf_probe_read_user(vector, sizeof(*vector), (void *)address);
	}
}

static __always_inline void read_vector(struct vector *vector, __u64 array, __u32 index, int compat)
{
	read_pair(vector, array + index * (compat ? sizeof(struct user_iovec32) : sizeof(*vector)), compat);
}

/* The array of a message. A whole header on the stack would be too much for the longest chain of calls. */
static __always_inline void read_message(struct vector *array, __u64 address, int compat)
{
	address += compat ? offsetof(struct user_msghdr32, iov) : offsetof(struct user_msghdr, iov);
	read_pair(array, address, compat);
}

/* Where a message names its other end. */
static __always_inline __u64 message_name(__u64 address, int compat)
{
	__u64 name = 0;

	bpf_probe_read_user(&name, compat ? 4 : 8, (void *)address);
	return name;
}

/* Ancillary data: handed-over descriptors and credentials among it. */
static __always_inline void put_message_control(struct scratch *s, __u64 address, int compat)
{
	struct vector control;

	address += compat ? offsetof(struct user_msghdr32, control) : offsetof(struct user_msghdr, control);
	read_pair(&control, address, compat);
	put_data(s, control.base, control.len);
}

static __always_inline void put_vector(struct scratch *s, struct vector *array, __s64 most, int compat)
{
	struct vector first;

	if (!array->base || !array->len) {
		put_nothing(s);
		return;
	}
	read_vector(&first, array->base, 0, compat);
	put_data(s, first.base, (__u64)most < first.len ? most : (__s64)first.len);
}

static __always_inline void put_vector_size(struct scratch *s, struct vector *array, int compat)
{
	__u64 sum = 0;
	__u32 i;

	for (i = 0; i < VECTOR_MAX; i++) {
		struct vector one;

		if (i >= array->len)
			break;
		read_vector(&one, array->base, i, compat);
		sum += one.len;
	}
	put_u32(s, sum);
}

static __always_inline void put_vector_fact(struct scratch *s, struct eyas_param *param, struct call *call)
{
	int compat = call->flags & EYAS_RECORD_COMPAT;
	__u8 from = param->from;
	struct vector array;

	if (from >= EYAS_FROM_MESSAGE_IN) {
		read_message(&array, call->args[param->arg & 7], compat);
	} else {
		array.base = call->args[param->arg & 7];
		array.len = call->args[param->aux & 7];
	}
	if (from == EYAS_FROM_VECTOR_SIZE || from == EYAS_FROM_MESSAGE_SIZE)
		put_vector_size(s, &array, compat);
	else if (from == EYAS_FROM_VECTOR_IN || from == EYAS_FROM_MESSAGE_IN)
		put_vector(s, &array, call->result, compat);
	else
		put_vector(s, &array, EYAS_DATA_MAX, compat);
}

static __always_inline void put_pointed(struct scratch *s, struct eyas_param *param, struct call *call)
{
	__u64 address = call->args[param->arg & 7];
	__u32 distance = param->aux;
	__u64 value = 0;

	if (param->from == EYAS_FROM_GIVEN_BITS)
		distance = (param->arg >> 3) * 4;
	if (!address || (call->result < 0 && param->from < EYAS_FROM_GIVEN)) {
		put_nothing(s);
		return;
	}
	if (param->from == EYAS_FROM_POINTED_FD || param->size == 4) {
		__s32 small = 0;

		if (bpf_probe_read_user(&small, sizeof(small), (void *)(address + distance))) {
			put_user_failed(s);
			return;
		}
		value = (__s64)small;
	} else if (param->size == 2) {
		if (bpf_probe_read_user(&value, 2, (void *)(address + distance))) {
			put_user_failed(s);
			return;
		}
	} else if (bpf_probe_read_user(&value, sizeof(value), (void *)(address + distance))) {
		put_user_failed(s);
		return;
	}
	if (param->from == EYAS_FROM_GIVEN_BITS)
		put_translated(s, param, value);
	else
		put_sized(s, value, param->size);
}

/* The descriptor that a call has put into user memory. */
static __always_inline struct file *pointed_file(struct eyas_param *param, struct call *call, struct task_struct *task)
{
	__u64 address = call->args[param->arg & 7];
	__s32 fd = -1;

	if (!address || call->result < 0)
		return 0;
	if (bpf_probe_read_user(&fd, sizeof(fd), (void *)(address + param->aux)))
		return 0;
	return file_of_fd(task, fd);
}

#define FD_LIST_MAX 16

struct user_pollfd {
	__s32 fd;
	__s16 events;
	__s16 revents;
};

/* What poll reports, in the schema's numbering. */
static __always_inline __u16 poll_flags(__u16 events)
{
	/* POLLIN, POLLPRI, POLLOUT as they are; ERR, HUP, NVAL, RDNORM, RDBAND, WRNORM, WRBAND one up; RDHUP between */
	return (events & 0x7) | (events & 0x2000 ? 0x8 : 0) | ((events & 0x3f8) << 1);
}

static __always_inline void put_fd_list(struct scratch *s, __u64 address, __u32 len)
{
	__u32 before = s->at, count, i;

	count = len > FD_LIST_MAX ? FD_LIST_MAX : len;
	if (!address) {
		put_nothing(s);
		return;
	}
	*(__u16 *)room(s) = count;
	s->at += 2;
	for (i = 0; i < FD_LIST_MAX; i++) {
		struct user_pollfd one = {};

		if (i >= count)
			break;
		bpf_probe_read_user(&one, sizeof(one), (void *)(address + i * sizeof(one)));
		*(__s64 *)room(s) = one.fd;
		s->at += 8;
		*(__u16 *)room(s) = poll_flags(one.revents);
		s->at += 2;
	}
	len = s->at - before;
	s->at = before;
	put_length(s, len);
}

/* Variants of a `dyn` value, in the order of sensor/abi/build.rs. */
#define OPTION_BYTES 0
#define OPTION_ERROR 1
#define OPTION_U32 2
#define OPTION_U64 3
#define OPTION_TIME 4
#define TRACE_NUMBER 0
#define TRACE_SIGNAL 1

static __always_inline void put_variant(struct scratch *s, __u8 variant, __u64 value, __u32 size)
{
	__u8 *out = room(s);

	out[0] = variant;
	*(__u64 *)&out[1] = value;
	put_length(s, 1 + size);
}

#define SOL_SOCKET 1
#define SO_ERROR 4
#define SO_RCVTIMEO 20
#define SO_SNDTIMEO 21
#define SO_COOKIE 57

static __always_inline void put_option_value(struct scratch *s, struct eyas_param *param, struct call *call)
{
	__u64 address = call->args[param->arg & 7];
	__u32 option = call->args[(param->arg - 1) & 7];
	int known = (__u32)call->args[(param->arg - 2) & 7] == SOL_SOCKET;
	__u64 value[2] = {};

	if (!address || (param->aux && call->result < 0)) {
		put_nothing(s);
		return;
	}
	if (known && (option == SO_RCVTIMEO || option == SO_SNDTIMEO)) {
		bpf_probe_read_user(value, sizeof(value), (void *)address);
		put_variant(s, OPTION_TIME, value[0] * NS_PER_SEC + value[1] * 1000, 8);
	} else if (known && option == SO_COOKIE) {
		bpf_probe_read_user(value, 8, (void *)address);
		put_variant(s, OPTION_U64, value[0], 8);
	} else if (bpf_probe_read_user(value, 4, (void *)address)) {
		put_user_failed(s);
	} else if (known && option == SO_ERROR) {
		put_variant(s, OPTION_ERROR, -(__s64)(__s32)value[0], 8);
	} else if (known) {
		put_variant(s, OPTION_U32, value[0], 4);
	} else {
		put_variant(s, OPTION_BYTES, value[0], 4);
	}
}

#define PTRACE_PEEKUSR 3
#define PTRACE_CONT 7
#define PTRACE_SINGLESTEP 9
#define PTRACE_DETACH 17
#define PTRACE_SYSCALL 24

static __always_inline void put_trace_data(struct scratch *s, __u64 data, struct call *call)
{
	__u32 request = call->args[0];

	switch (request) {
	case PTRACE_CONT:
	case PTRACE_SINGLESTEP:
	case PTRACE_DETACH:
	case PTRACE_SYSCALL:
		put_variant(s, TRACE_SIGNAL, data, 1);
		return;
	}
	/* the call puts what it read where data points; 1 to 3 are the peeks */
	if (request && request <= PTRACE_PEEKUSR && call->result >= 0)
		bpf_probe_read_user(&data, sizeof(data), (void *)data);
	put_variant(s, TRACE_NUMBER, data, 8);
}

static __always_inline void put_timespec(struct scratch *s, __u64 address, int compat)
{
	__u64 time[2] = {};

	if (compat) {
		__u32 small[2] = {};

		bpf_probe_read_user(small, sizeof(small), (void *)address);
		time[0] = small[0];
		time[1] = small[1];
	} else {
		bpf_probe_read_user(time, sizeof(time), (void *)address);
	}
	put_u64(s, time[0] * NS_PER_SEC + time[1]);
}

#endif

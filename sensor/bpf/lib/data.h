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

static __always_inline void read_vector(struct vector *vector, __u64 array, __u32 index, int compat)
{
	vector->base = 0;
	vector->len = 0;
	if (compat) {
		struct user_iovec32 small = {};

		bpf_probe_read_user(&small, sizeof(small), (void *)(array + index * sizeof(small)));
		vector->base = small.base;
		vector->len = small.len;
	} else {
		bpf_probe_read_user(vector, sizeof(*vector), (void *)(array + index * sizeof(*vector)));
	}
}

/* The array of a message. */
static __always_inline void read_message(struct vector *array, __u64 address, int compat)
{
	array->base = 0;
	array->len = 0;
	if (compat) {
		struct user_msghdr32 small = {};

		bpf_probe_read_user(&small, sizeof(small), (void *)address);
		array->base = small.iov;
		array->len = small.iovlen;
	} else {
		struct user_msghdr message = {};

		bpf_probe_read_user(&message, sizeof(message), (void *)address);
		array->base = message.iov;
		array->len = message.iovlen;
	}
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
	__u64 value = 0;

	if (!address || call->result < 0) {
		put_nothing(s);
		return;
	}
	if (param->from == EYAS_FROM_POINTED_FD || param->size == 4) {
		__s32 small = 0;

		if (bpf_probe_read_user(&small, sizeof(small), (void *)(address + param->aux))) {
			put_user_failed(s);
			return;
		}
		value = (__s64)small;
	} else if (bpf_probe_read_user(&value, sizeof(value), (void *)(address + param->aux))) {
		put_user_failed(s);
		return;
	}
	put_sized(s, value, param->size);
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

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every system call that needs no handler of its own: a descriptor says where each parameter comes from, and
 * store_param() makes them one by one. It is global, so the verifier walks it once and not once for each
 * parameter.
 */
#include "../hooks/sys_exit.h"
#include "../lib/process.h"

#define VECTOR_MAX 16
#define PR_SET_NAME 15

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

static __always_inline __u64 sock_of(struct task_struct *task, __s64 fd)
{
	struct file *file = file_of_fd(task, fd);
	struct socket *socket = file ? socket_of_file(file) : 0;

	return socket ? (__u64)READ(socket, sk) : 0;
}

static __always_inline void put_capability(struct scratch *s, struct task_struct *task, __u8 which)
{
	struct cred *cred = LOAD(task, cred);

	if (which == 0)
		put_u64(s, capabilities(&cred->cap_inheritable));
	else if (which == 1)
		put_u64(s, capabilities(&cred->cap_permitted));
	else
		put_u64(s, capabilities(&cred->cap_effective));
}

static __always_inline void put_vm_size(struct scratch *s, struct task_struct *task)
{
	struct mm_struct *mm = LOAD(task, mm);

	put_u32(s, mm ? READ(mm, total_vm) * settings.page_kib : 0);
}

/* Parameter `index` of the descriptor for the call in the scratch space. */
__noinline int store_param(__u32 slot, __u32 index)
{
	struct scratch *s = scratch_of(slot);
	struct task_struct *task = current_task();
	struct eyas_descriptor *descriptor;
	struct eyas_param *param;
	struct call *call;
	__u64 value;

	if (!s)
		return -1;
	call = &s->call;
	descriptor = bpf_map_lookup_elem(&descriptors, &call->index);
	if (!descriptor)
		return -1;
	param = &descriptor->params[index & (EYAS_PARAMS_MAX - 1)];
	value = call->args[param->arg & 7];
	switch (param->from) {
	case EYAS_FROM_RESULT:
		put_sized(s, call->result, param->size);
		break;
	case EYAS_FROM_UNSIGNED:
		put_sized(s, value, param->size);
		break;
	case EYAS_FROM_SIGNED:
		put_sized(s, (__s64)(__s32)value, param->size);
		break;
	case EYAS_FROM_LOW:
		put_sized(s, value & 0xf, param->size);
		break;
	case EYAS_FROM_TEXT:
		put_user_text(s, value);
		break;
	case EYAS_FROM_BITS:
	case EYAS_FROM_VALUES:
		put_translated(s, param, value);
		break;
	case EYAS_FROM_ID:
		put_u16(s, descriptor->id);
		break;
	case EYAS_FROM_NUMBER:
		put_u16(s, call->number);
		break;
	case EYAS_FROM_DATA_IN:
		put_data(s, value, call->result);
		break;
	case EYAS_FROM_DATA_OUT:
		put_data(s, value, call->args[param->aux & 7]);
		break;
	case EYAS_FROM_VECTOR_IN:
	case EYAS_FROM_VECTOR_OUT:
	case EYAS_FROM_VECTOR_SIZE:
	case EYAS_FROM_MESSAGE_IN:
	case EYAS_FROM_MESSAGE_OUT:
	case EYAS_FROM_MESSAGE_SIZE:
		put_vector_fact(s, param, call);
		break;
	case EYAS_FROM_ADDRESS:
		put_user_address(s, value, call->args[param->aux & 7]);
		break;
	case EYAS_FROM_TUPLE_IN:
		store_tuple(slot, sock_of(task, (__s32)value), 1, 0);
		break;
	case EYAS_FROM_TUPLE_OUT:
		store_tuple(slot, sock_of(task, (__s32)value), 0,
			    param->aux ? call->args[param->aux & 7] : 0);
		break;
	case EYAS_FROM_FD:
		store_file_facts(slot, (__u64)file_of_fd(task, (__s32)value), 0);
		break;
	case EYAS_FROM_NEW_FD:
		store_file_facts(slot, (__u64)file_of_fd(task, call->result), 0);
		break;
	case EYAS_FROM_DIR:
		store_dir(slot, call->args[param->aux & 7], value);
		break;
	case EYAS_FROM_CWD:
		store_dir(slot, AT_FDCWD, value);
		break;
	case EYAS_FROM_POINTED:
	case EYAS_FROM_POINTED_FD:
		put_pointed(s, param, call);
		break;
	case EYAS_FROM_TIMESPEC:
		put_timespec(s, value, call->flags & EYAS_RECORD_COMPAT);
		break;
	case EYAS_FROM_DYNAMIC: {
		__u8 *out = room(s);

		out[0] = param->aux;
		*(__u64 *)&out[1] = value;
		put_length(s, 9);
		break;
	}
	case EYAS_FROM_CAPABILITY:
		put_capability(s, task, param->aux);
		break;
	case EYAS_FROM_VM_SIZE:
		put_vm_size(s, task);
		break;
	case EYAS_FROM_NEW_NAME:
		if ((__u32)call->args[0] == PR_SET_NAME)
			put_comm(s, task);
		else
			put_nothing(s);
		break;
	default:
		put_nothing(s);
	}
	return 0;
}

HANDLER(generic)
{
	struct eyas_descriptor *descriptor = bpf_map_lookup_elem(&descriptors, &call->index);
	struct scratch *s;
	__u32 i;

	if (!descriptor || !descriptor->event) {
		count(EYAS_FAIL_DESCRIPTOR);
		return;
	}
	s = begin_call(call, slot, task, descriptor->event, descriptor->nparams);
	if (!s)
		return;
	s->call = *call;
	for (i = 0; i < EYAS_PARAMS_MAX; i++) {
		if (i >= descriptor->fields)
			break;
		store_param(slot, i);
	}
	finish_call(s, slot);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every system call that needs no handler of its own: a descriptor says where each parameter comes from, and
 * store_param() makes them one by one. It is global, so the verifier walks it once and not once for each
 * parameter.
 */
#ifndef EYAS_GENERIC_H
#define EYAS_GENERIC_H

#include "../hooks/sys_exit.h"
#include "../lib/data.h"
#include "../lib/process.h"

#define PR_SET_NAME 15

static __always_inline __u64 sock_of(struct task_struct *task, __s64 fd)
{
	struct file *file = file_of_fd(task, fd);
	struct socket *socket = file ? socket_of_file(file) : 0;

	return socket ? (__u64)READ(socket, sk) : 0;
}

static __always_inline void put_capability(struct scratch *s, struct task_struct *task, __u8 which)
{
	struct cred *cred = READ(task, cred);

	if (which == 0)
		put_u64(s, capabilities(&cred->cap_inheritable));
	else if (which == 1)
		put_u64(s, capabilities(&cred->cap_permitted));
	else
		put_u64(s, capabilities(&cred->cap_effective));
}

static __always_inline void put_vm_size(struct scratch *s, struct task_struct *task)
{
	struct mm_struct *mm = READ(task, mm);

	put_u32(s, mm ? READ(mm, total_vm) * settings.page_kib : 0);
}

static __always_inline void put_message_tuple(struct scratch *s, __u32 slot, __s32 fd, __u64 message, int in)
{
	int compat = s->call.flags & EYAS_RECORD_COMPAT;

	store_tuple(slot, sock_of(current_task(), fd), in, message_name(message, compat));
}

/* What store_param() answers for a source that store_more() has. */
#define ONE_OF_MORE 1

/*
 * The rarer sources, apart so that neither function grows too much for the verifier. The handler calls it, not
 * store_param(): before 6.13 the frames of all functions in a chain together may take 512 bytes.
 */
__noinline int store_more(__u32 slot, __u32 index)
{
	struct scratch *s = scratch_of(slot);
	struct task_struct *task = current_task();
	struct eyas_descriptor *descriptor;
	struct eyas_param *param;
	struct call *call;
	struct socket *socket;
	struct file *file;
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
	case EYAS_FROM_ZERO:
		put_sized(s, 0, param->size);
		break;
	case EYAS_FROM_PWD:
		put_cwd(s, slot, task);
		break;
	case EYAS_FROM_SPLIT:
		if (call->flags & EYAS_RECORD_COMPAT)
			value = (__u32)value | call->args[(param->arg + 1) & 7] << 32;
		put_sized(s, value, param->size);
		break;
	case EYAS_FROM_HIGH_LOW:
		put_sized(s, value << 32 | (__u32)call->args[(param->arg + 1) & 7], param->size);
		break;
	case EYAS_FROM_TUPLE_MESSAGE_IN:
		put_message_tuple(s, slot, value, call->args[param->aux & 7], 1);
		break;
	case EYAS_FROM_TUPLE_MESSAGE_OUT:
		put_message_tuple(s, slot, value, call->args[param->aux & 7], 0);
		break;
	case EYAS_FROM_MESSAGE_CONTROL:
		put_message_control(s, value, call->flags & EYAS_RECORD_COMPAT);
		break;
	case EYAS_FROM_POINTED_FILE:
		store_file_facts(slot, (__u64)pointed_file(param, call, task), 0);
		break;
	case EYAS_FROM_POINTED_INODE:
		file = pointed_file(param, call, task);
		if (file)
			put_u64(s, READ(READ(file, f_inode), i_ino));
		else
			put_nothing(s);
		break;
	case EYAS_FROM_POINTED_SOCKET:
		file = pointed_file(param, call, task);
		socket = file ? socket_of_file(file) : 0;
		if (socket)
			put_u64(s, (__u64)READ(socket, sk));
		else
			put_nothing(s);
		break;
	case EYAS_FROM_FD_LIST:
		put_fd_list(s, value, call->args[param->aux & 7]);
		break;
	case EYAS_FROM_OPTION:
		put_sized(s, (__u32)call->args[(param->arg - 1) & 7] == SOL_SOCKET ? value : 0, param->size);
		break;
	case EYAS_FROM_OPTION_VALUE:
		put_option_value(s, param, call);
		break;
	case EYAS_FROM_TRACE_DATA:
		put_trace_data(s, value, call);
		break;
	default:
		put_nothing(s);
	}
	return 0;
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
		store_tuple(slot, sock_of(task, (__s32)value), 1, param->aux ? call->args[param->aux & 7] : 0);
		break;
	case EYAS_FROM_TUPLE_OUT:
		store_tuple(slot, sock_of(task, (__s32)value), 0, param->aux ? call->args[param->aux & 7] : 0);
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
	case EYAS_FROM_GIVEN:
	case EYAS_FROM_GIVEN_BITS:
		put_pointed(s, param, call);
		break;
	case EYAS_FROM_TIMESPEC:
		put_timespec(s, value, call->flags & EYAS_RECORD_COMPAT);
		break;
	case EYAS_FROM_DYNAMIC:
		put_variant(s, param->aux, value, 8);
		break;
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
		return ONE_OF_MORE;
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
		if (store_param(slot, i) == ONE_OF_MORE)
			store_more(slot, i);
	}
	finish_call(s, slot);
}

#endif

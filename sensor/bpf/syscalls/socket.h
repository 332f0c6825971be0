/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Making connections. Both ends are read from the kernel's socket; what the program asked for is sent beside it,
 * and stands in where the socket has already forgotten its peer.
 */
#ifndef EYAS_SOCKET_H
#define EYAS_SOCKET_H

#include "../hooks/sys_exit.h"

#define EVENT_CONNECT 23
#define EVENT_ACCEPT 247
#define EVENT_ACCEPT4 389
#define EINPROGRESS 115

HANDLER(connect)
{
	struct scratch *s = begin_call(call, slot, task, EVENT_CONNECT, 4 + FD_FACTS);
	__s32 fd = call->args[0];
	struct file *file;
	struct socket *socket;

	if (!s)
		return;
	file = file_of_fd(task, fd);
	socket = file ? socket_of_file(file) : 0;
	put_s64(s, call->result);
	if (socket && (call->result >= 0 || call->result == -EINPROGRESS))
		store_tuple(slot, (__u64)READ(socket, sk), 0, call->args[1]);
	else
		put_nothing(s);
	put_s64(s, fd);
	put_user_address(s, call->args[1], call->args[2]);
	store_file_facts(slot, (__u64)file, call->args[1]);
	finish_call(s, slot);
}

static __always_inline void put_accepted(struct scratch *s, __u32 slot, __s64 result, struct file *file,
					 struct file *listener)
{
	struct socket *socket = file ? socket_of_file(file) : 0;
	struct sock *sk = 0;
	__u32 queued, most;

	put_s64(s, result);
	store_tuple(slot, socket ? (__u64)READ(socket, sk) : 0, 1, 0);
	socket = listener ? socket_of_file(listener) : 0;
	if (socket)
		sk = READ(socket, sk);
	if (!sk) {
		put_nothing(s);
		put_nothing(s);
		put_nothing(s);
		return;
	}
	queued = READ(sk, sk_ack_backlog);
	most = READ(sk, sk_max_ack_backlog);
	put_u8(s, most ? (__u64)queued * 100 / most : 0);
	put_u32(s, queued);
	put_u32(s, most);
}

static __always_inline __u32 accept_flags(__u32 flags)
{
	return (flags & O_CLOEXEC ? 0x1000 : 0) | (flags & O_NONBLOCK ? 0x40 : 0);
}

HANDLER(accept)
{
	struct scratch *s = begin_call(call, slot, task, EVENT_ACCEPT, 5 + FD_FACTS);
	struct file *file;

	if (!s)
		return;
	file = file_of_fd(task, call->result);
	put_accepted(s, slot, call->result, file, file_of_fd(task, (__s32)call->args[0]));
	store_file_facts(slot, (__u64)file, 0);
	finish_call(s, slot);
}

HANDLER(accept4)
{
	struct scratch *s = begin_call(call, slot, task, EVENT_ACCEPT4, 6 + FD_FACTS);
	struct file *file;

	if (!s)
		return;
	file = file_of_fd(task, call->result);
	put_accepted(s, slot, call->result, file, file_of_fd(task, (__s32)call->args[0]));
	put_u32(s, accept_flags(call->args[3]));
	store_file_facts(slot, (__u64)file, 0);
	finish_call(s, slot);
}

#endif

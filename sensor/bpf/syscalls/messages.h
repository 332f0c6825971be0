/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Several messages in one call: an event for each, so that none hides behind the first. */
#include "generic.h"

#define EVENT_SENDMMSG 51
#define EVENT_RECVMMSG 55
/* More in one call are counted as cut. */
#define MESSAGES_MAX 16

/* Size of `struct mmsghdr`, and where in it the kernel puts how many bytes went through. */
#define MESSAGE_SIZE 64
#define MESSAGE_SIZE_COMPAT 32
#define MESSAGE_LEN 56
#define MESSAGE_LEN_COMPAT 28

/* The record of message `index` of the call in the scratch space, which is claimed. Global: verified once. */
__noinline int report_message(__u32 slot, __u32 index)
{
	struct scratch *s = scratch_of(slot);
	struct task_struct *task = current_task();
	struct vector array;
	struct call *call;
	__u64 message;
	__u32 len = 0;
	__u16 event;
	int compat, sent;

	if (!s)
		return -1;
	call = &s->call;
	compat = call->flags & EYAS_RECORD_COMPAT;
	event = event_of(call);
	sent = event == EVENT_SENDMMSG;
	message = call->args[1] + index * (compat ? MESSAGE_SIZE_COMPAT : MESSAGE_SIZE);
	if (call->result >= 0)
		bpf_probe_read_user(&len, sizeof(len), (void *)(message + (compat ? MESSAGE_LEN_COMPAT : MESSAGE_LEN)));
	read_message(&array, message, compat);
	start(s, task, event, (sent ? 5 : 6) + FD_FACTS);
	mark_call(s, call);
	put_s64(s, call->result);
	put_s64(s, (__s32)call->args[0]);
	put_u32(s, len);
	put_vector(s, &array, len, compat);
	store_tuple(slot, sock_of(task, (__s32)call->args[0]), !sent, message_name(message, compat));
	if (!sent)
		put_message_control(s, message, compat);
	store_file_facts(slot, (__u64)file_of_fd(task, (__s32)call->args[0]), 0);
	send(s, slot, EYAS_RING_EVENTS, wakeup_if_needed(s));
	return 0;
}

HANDLER(messages)
{
	__u32 i, messages = call->result > 0 ? call->result : 1;
	struct scratch *s = scratch_of(slot);

	if (!s)
		return;
	if (!claim(s)) {
		s->seq++;
		return;
	}
	s->call = *call;
	if (messages > MESSAGES_MAX) {
		count(EYAS_CUT_DATA);
		messages = MESSAGES_MAX;
	}
	for (i = 0; i < MESSAGES_MAX; i++) {
		if (i >= messages)
			break;
		report_message(slot, i);
	}
	let_go(s);
}

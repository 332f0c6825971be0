/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opening files. The path as passed is user memory and may lie; the path of the file that came out of it is the
 * kernel's. Both are sent.
 */
#ifndef EYAS_OPEN_H
#define EYAS_OPEN_H

#include "../hooks/sys_exit.h"

#define EVENT_OPEN 3
#define EVENT_CREAT 59
#define EVENT_OPENAT 307
#define EVENT_OPENAT2 327
#define EVENT_OPEN_BY_HANDLE_AT 337

/* Eight facts of the descriptor and eyas_dir. */
#define OPEN_EXTRA (FD_FACTS + 1)

struct opened {
	struct file *file;
	struct inode *inode;
	struct super_block *sb;
	__u64 magic;
	int layer;
};

static __always_inline void read_opened(struct opened *opened, struct task_struct *task, __s64 fd)
{
	opened->file = file_of_fd(task, fd);
	if (!opened->file)
		return;
	opened->inode = READ(opened->file, f_inode);
	opened->sb = READ(opened->inode, i_sb);
	opened->magic = READ(opened->sb, s_magic);
	opened->layer = overlay_layer(opened->inode, opened->magic);
}

static __always_inline __u32 opened_flags(struct opened *opened, __u32 asked)
{
	__u32 flags = open_flags(asked);

	if (opened->file && open_creates(asked) && READ(opened->file, f_mode) & FMODE_CREATED)
		flags |= OUT_CREATED;
	if (opened->layer == LAYER_UPPER)
		flags |= OUT_UPPER;
	if (opened->layer == LAYER_LOWER)
		flags |= OUT_LOWER;
	return flags;
}

static __always_inline void put_device(struct scratch *s, struct opened *opened)
{
	if (opened->file) {
		put_u32(s, device_number(READ(opened->sb, s_dev)));
		put_u64(s, READ(opened->inode, i_ino));
	} else {
		put_nothing(s);
		put_nothing(s);
	}
}

/*
 * Type and path; device, inode and flags are parameters of the event itself. What was opened and cannot be seen
 * (by io_uring, into a table of its own) passes for a file.
 */
static __always_inline void put_opened(struct scratch *s, __u32 slot, struct opened *opened, __s64 result)
{
	if (opened->file) {
		put_u8(s, file_type(READ(opened->inode, i_mode), opened->magic));
		put_path(s, slot, &opened->file->f_path);
	} else if (result >= 0) {
		put_u8(s, 'f');
		put_nothing(s);
	} else {
		put_nothing(s);
		put_nothing(s);
	}
	put_nothing(s);
	put_nothing(s);
	put_nothing(s);
	put_nothing(s);
	put_nothing(s);
	put_nothing(s);
}

HANDLER(open)
{
	struct scratch *s = begin_call(call, slot, task, EVENT_OPEN, 6 + OPEN_EXTRA);
	struct opened opened = {};
	__u32 flags = call->args[1];
	__u32 text, end;

	if (!s)
		return;
	read_opened(&opened, task, call->result);
	put_s64(s, call->result);
	text = s->at;
	put_user_text(s, call->args[0]);
	end = s->at;
	put_u32(s, opened_flags(&opened, flags));
	put_u32(s, open_creates(flags) ? call->args[2] : 0);
	put_device(s, &opened);
	put_opened(s, slot, &opened, call->result);
	put_start_of(s, slot, AT_FDCWD, text, end);
	finish_call(s, slot);
}

HANDLER(openat)
{
	struct scratch *s = begin_call(call, slot, task, EVENT_OPENAT, 7 + OPEN_EXTRA);
	struct opened opened = {};
	__s32 dirfd = call->args[0];
	__u32 flags = call->args[2];
	__u32 text, end;

	if (!s)
		return;
	read_opened(&opened, task, call->result);
	put_s64(s, call->result);
	put_s64(s, dirfd);
	text = s->at;
	put_user_text(s, call->args[1]);
	end = s->at;
	put_u32(s, opened_flags(&opened, flags));
	put_u32(s, open_creates(flags) ? call->args[3] : 0);
	put_device(s, &opened);
	put_opened(s, slot, &opened, call->result);
	put_start_of(s, slot, dirfd, text, end);
	finish_call(s, slot);
}

/* Of the kernel: no_xdev 1, no_magiclinks 2, no_symlinks 4, beneath 8, in_root 16, cached 32. */
static __always_inline __u32 resolve_flags(__u64 resolve)
{
	return (resolve & 0x08 ? 0x01 : 0) | (resolve & 0x10 ? 0x02 : 0) | (resolve & 0x02 ? 0x04 : 0) |
	       (resolve & 0x04 ? 0x08 : 0) | (resolve & 0x01 ? 0x10 : 0) | (resolve & 0x20 ? 0x20 : 0);
}

HANDLER(openat2)
{
	struct scratch *s = begin_call(call, slot, task, EVENT_OPENAT2, 8 + OPEN_EXTRA);
	struct opened opened = {};
	struct user_open_how how = {};
	__s32 dirfd = call->args[0];
	__u32 text, end;

	if (!s)
		return;
	if (bpf_probe_read_user(&how, sizeof(how), (void *)call->args[2])) {
		s->flags |= EYAS_RECORD_READ_FAILED;
		count(EYAS_FAIL_USER_READ);
	}
	read_opened(&opened, task, call->result);
	put_s64(s, call->result);
	put_s64(s, dirfd);
	text = s->at;
	put_user_text(s, call->args[1]);
	end = s->at;
	put_u32(s, opened_flags(&opened, how.flags));
	put_u32(s, open_creates(how.flags) ? how.mode : 0);
	put_u32(s, resolve_flags(how.resolve));
	put_device(s, &opened);
	put_opened(s, slot, &opened, call->result);
	put_start_of(s, slot, dirfd, text, end);
	finish_call(s, slot);
}

HANDLER(creat)
{
	struct scratch *s = begin_call(call, slot, task, EVENT_CREAT, 6 + OPEN_EXTRA);
	struct opened opened = {};
	__u32 text, end;

	if (!s)
		return;
	read_opened(&opened, task, call->result);
	put_s64(s, call->result);
	text = s->at;
	put_user_text(s, call->args[0]);
	end = s->at;
	put_u32(s, call->args[1]);
	put_device(s, &opened);
	put_u16(s, opened.layer == LAYER_UPPER ? 1 : opened.layer == LAYER_LOWER ? 2 : 0);
	put_opened(s, slot, &opened, call->result);
	put_start_of(s, slot, AT_FDCWD, text, end);
	finish_call(s, slot);
}

HANDLER(open_by_handle_at)
{
	struct scratch *s = begin_call(call, slot, task, EVENT_OPEN_BY_HANDLE_AT, 6 + OPEN_EXTRA);
	struct opened opened = {};

	if (!s)
		return;
	read_opened(&opened, task, call->result);
	put_s64(s, call->result);
	put_s64(s, (__s32)call->args[0]);
	put_u32(s, opened_flags(&opened, call->args[2]));
	if (opened.file)
		put_path(s, slot, &opened.file->f_path);
	else
		put_nothing(s);
	put_device(s, &opened);
	put_opened(s, slot, &opened, call->result);
	put_nothing(s);
	finish_call(s, slot);
}

#endif

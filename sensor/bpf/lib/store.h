/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Second layer: values into the record that is being made in a CPU's scratch space. Each put_* writes one
 * parameter, in schema order. Offsets are masked before use, which tells the verifier what the sum of the
 * limits already says: no record reaches the end of the space.
 */
#ifndef EYAS_STORE_H
#define EYAS_STORE_H

#include "read.h"

#define AT_MASK 0xffff
#define COUNT_MASK 63
#define ARGS_MASK (EYAS_ARGS_MAX * 2 - 1)

/* The longest record is that of an exec: six paths, arguments and environment, and numbers. */
_Static_assert(6 * EYAS_PATH_MAX + 2 * EYAS_ARGS_MAX + 1024 <= EYAS_RECORD_MAX, "a record may not fit");

static __always_inline void *room(struct scratch *s)
{
	return &s->record[s->at & AT_MASK];
}

/* Where the length of the next value goes, as a plain pointer for the same reason as path_at(). */
static __always_inline void *length_of_next(struct scratch *s)
{
	return &s->record[sizeof(struct eyas_header) + 2 * (s->count & COUNT_MASK)];
}

static __always_inline void put_length(struct scratch *s, __u32 len)
{
	*(__u16 *)length_of_next(s) = len;
	s->count++;
	s->at += len;
}

static __always_inline void put_nothing(struct scratch *s)
{
	put_length(s, 0);
}

static __always_inline void put_u64(struct scratch *s, __u64 value)
{
	*(__u64 *)room(s) = value;
	put_length(s, 8);
}

static __always_inline void put_s64(struct scratch *s, __s64 value)
{
	put_u64(s, value);
}

static __always_inline void put_u32(struct scratch *s, __u32 value)
{
	*(__u32 *)room(s) = value;
	put_length(s, 4);
}

static __always_inline void put_u16(struct scratch *s, __u16 value)
{
	*(__u16 *)room(s) = value;
	put_length(s, 2);
}

static __always_inline void put_u8(struct scratch *s, __u8 value)
{
	*(__u8 *)room(s) = value;
	put_length(s, 1);
}

/* The verifier must see the bound right where the helper is called, so the compiler may not move the mask. */
#define BOUND(len, mask) asm volatile("%0 &= %1" : "+r"(len) : "i"(mask))

static __always_inline void put_user_failed(struct scratch *s)
{
	s->flags |= EYAS_RECORD_READ_FAILED;
	count(EYAS_FAIL_USER_READ);
	put_nothing(s);
}

/* Text at a user address with its NUL. Memory that is not there gives an unknown value and a mark. */
static __always_inline void put_user_text(struct scratch *s, __u64 address)
{
	long len;

	if (!address) {
		put_nothing(s);
		return;
	}
	len = bpf_probe_read_user_str(room(s), EYAS_PATH_MAX, (void *)address);
	if (len <= 0) {
		put_user_failed(s);
		return;
	}
	if (len == EYAS_PATH_MAX) {
		s->flags |= EYAS_RECORD_TRUNCATED;
		count(EYAS_CUT_PATH);
	}
	put_length(s, len);
}

/* User bytes from address up to end, no more than limit of them. */
static __always_inline void put_user_range(struct scratch *s, __u64 address, __u64 end, __u32 limit,
					   enum eyas_counter cut)
{
	__u64 len = end > address ? end - address : 0;

	if (limit > EYAS_ARGS_MAX)
		limit = EYAS_ARGS_MAX;
	if (len > limit) {
		s->flags |= EYAS_RECORD_TRUNCATED;
		count(cut);
		len = limit;
	}
	if (!len) {
		put_nothing(s);
		return;
	}
	BOUND(len, ARGS_MASK);
	if (len > EYAS_ARGS_MAX || bpf_probe_read_user(room(s), len, (void *)address)) {
		put_user_failed(s);
		return;
	}
	put_length(s, len);
}

/* Paths up to this length are copied by the word where one does not come from far away. */
#define SHORT_PATH 64

/* The path in the scratch space, from `start` on; it ends with a NUL at EYAS_PATH_MAX - 1. */
static __always_inline void put_staged(struct scratch *s, __u64 start)
{
	__u32 len;

	BOUND(start, PATH_MASK);
	len = EYAS_PATH_MAX - start;
	if (len <= SHORT_PATH) {
		__u64 *to = room(s);
		__u64 *from = (void *)&s->path[start];

#pragma unroll
		for (int i = 0; i < SHORT_PATH / WORD; i++) {
			to[i] = from[i];
			if (len <= (i + 1) * WORD)
				break;
		}
		put_length(s, len);
		return;
	}
	BOUND(len, (EYAS_PATH_MAX * 2 - 1));
	if (len > EYAS_PATH_MAX || bpf_probe_read_kernel(room(s), len, &s->path[start])) {
		count(EYAS_FAIL_KERNEL_READ);
		put_nothing(s);
		return;
	}
	put_length(s, len);
}

static __always_inline void read_path(struct path *path, struct path *where)
{
	if (reads_are_loads()) {
		path->mnt = READ(where, mnt);
		path->dentry = READ(where, dentry);
	} else {
		bpf_probe_read_kernel(path, sizeof(*path), where);
	}
}

/* Writes a path into scratch->path as a cgroup's is, up to the root of the mount namespace. Gives where it starts. */
static __always_inline __u32 resolve_path(struct scratch *s, __u32 slot, struct path *path)
{
	struct mount *mount = (void *)path->mnt - bpf_core_field_offset(struct mount, mnt);
	int i, end = 0;

	s->path[EYAS_PATH_MAX - 1] = 0;
	s->walk.dentry = (__u64)path->dentry;
	s->walk.mount = (__u64)mount;
	s->walk.root = (__u64)READ(mount, mnt.mnt_root);
	s->walk.at = EYAS_PATH_MAX - 1;
	for (i = 0; i < PATH_DEPTH / PATH_STRETCH && !end; i++)
		end = walk_path(slot);
	if (end <= 0) {
		s->flags |= EYAS_RECORD_TRUNCATED;
		count(EYAS_CUT_PATH);
	}
	if (end != 2 && s->walk.at == EYAS_PATH_MAX - 1) {
		s->walk.at = EYAS_PATH_MAX - 2;
		s->path[EYAS_PATH_MAX - 2] = '/';
	}
	return s->walk.at;
}

/* The kernel's own path of an object, by the address of its `struct path`. Global, because so much ends in it. */
__noinline int store_path(__u32 slot, __u64 where)
{
	struct scratch *s = scratch_of(slot);
	struct path path = {};

	if (!s)
		return -1;
	read_path(&path, (void *)where);
	if (path.dentry)
		put_staged(s, resolve_path(s, slot, &path));
	else
		put_nothing(s);
	return 0;
}

static __always_inline void put_path(struct scratch *s, __u32 slot, struct path *where)
{
	store_path(slot, (__u64)where);
}

static __always_inline void put_cwd(struct scratch *s, __u32 slot, struct task_struct *task)
{
	struct fs_struct *fs = READ(task, fs);

	if (!fs) {
		put_nothing(s);
		return;
	}
	put_path(s, slot, &fs->pwd);
}

static __always_inline int is_relative(__u64 address)
{
	char first = 0;

	if (!address || bpf_probe_read_user(&first, 1, (void *)address))
		return 0;
	return first != '/';
}

#define AT_FDCWD -100

/* The directory that a relative path starts from. */
static __always_inline void put_start(struct scratch *s, __u32 slot, struct task_struct *task, __s32 dirfd)
{
	struct file *file;

	if (dirfd == AT_FDCWD) {
		put_cwd(s, slot, task);
		return;
	}
	file = file_of_fd(task, dirfd);
	if (file)
		put_path(s, slot, &file->f_path);
	else
		put_nothing(s);
}

/* The same for a function of its own. */
__noinline int store_start(__u32 slot, __s32 dirfd)
{
	struct scratch *s = scratch_of(slot);

	if (!s)
		return -1;
	put_start(s, slot, current_task(), dirfd);
	return 0;
}

/* The same if the path is relative that the record has in front of `end`, from `text` on; else unknown. */
static __always_inline void put_start_of(struct scratch *s, __u32 slot, __s32 dirfd, __u32 text, __u32 end)
{
	if (text != end && s->record[text & AT_MASK] != '/')
		store_start(slot, dirfd);
	else
		put_nothing(s);
}

/* Where the path at this address starts from, when it is relative; else unknown. */
__noinline int store_dir(__u32 slot, __s32 dirfd, __u64 address)
{
	struct scratch *s = scratch_of(slot);

	if (!s)
		return -1;
	if (is_relative(address))
		put_start(s, slot, current_task(), dirfd);
	else
		put_nothing(s);
	return 0;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Second layer, files: open flags in the schema's numbering, and what a descriptor is. */
#ifndef EYAS_FILE_H
#define EYAS_FILE_H

#include "address.h"

#define O_ACCMODE 3
#define O_CREAT 0100
#define O_EXCL 0200
#define O_TRUNC 01000
#define O_APPEND 02000
#define O_NONBLOCK 04000
#define O_DSYNC 010000
#define O_CLOEXEC 02000000
#define O_SYNC (04000000 | O_DSYNC)
#if defined(__TARGET_ARCH_arm64)
#define O_DIRECTORY 040000
#define O_DIRECT 0200000
#define O_LARGEFILE 0400000
#else
#define O_DIRECT 040000
#define O_LARGEFILE 0100000
#define O_DIRECTORY 0200000
#endif
#define O_TMPFILE (020000000 | O_DIRECTORY)

#define OUT_CREATED 0x4000
#define OUT_UPPER 0x8000
#define OUT_LOWER 0x10000
#define FMODE_CREATED 0x100000

/* The schema's numbering of open flags. */
static __always_inline __u32 open_flags(__u32 flags)
{
	__u32 out = (flags & O_ACCMODE) == O_ACCMODE ? 0 : (flags & O_ACCMODE) + 1;

	if (flags & O_CREAT)
		out |= 0x4;
	if (flags & O_APPEND)
		out |= 0x8;
	if (flags & O_DSYNC)
		out |= 0x10;
	if (flags & O_EXCL)
		out |= 0x20;
	if (flags & O_NONBLOCK)
		out |= 0x40;
	if ((flags & O_SYNC) == O_SYNC)
		out |= 0x80;
	if (flags & O_TRUNC)
		out |= 0x100;
	if (flags & O_DIRECT)
		out |= 0x200;
	if (flags & O_DIRECTORY)
		out |= 0x400;
	if (flags & O_LARGEFILE)
		out |= 0x800;
	if (flags & O_CLOEXEC)
		out |= 0x1000;
	if ((flags & O_TMPFILE) == O_TMPFILE)
		out |= 0x2000;
	return out;
}

/* Whether the call makes a file, so that its mode argument means something. */
static __always_inline int open_creates(__u32 flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

#define FD_FACTS 8

/* The eight facts of a descriptor. Both ends of a socket are written local end first. */
__noinline int store_file_facts(__u32 slot, __u64 address, __u64 asked)
{
	struct scratch *s = scratch_of(slot);
	struct file *file = (void *)address;
	struct inode *inode;
	struct super_block *sb;
	__u64 magic;
	__u16 mode;
	__u32 flags;

	if (!s)
		return -1;
	if (!file) {
#pragma unroll
		for (int i = 0; i < FD_FACTS; i++)
			put_nothing(s);
		return 0;
	}
	inode = READ(file, f_inode);
	sb = READ(inode, i_sb);
	mode = READ(inode, i_mode);
	flags = open_flags(READ(file, f_flags));
	if ((mode & S_IFMT) == S_IFSOCK) {
		struct socket *socket = READ(file, private_data);
		struct sock *sk = READ(socket, sk);
		__u16 family = READ(sk, __sk_common.skc_family);

		put_u8(s, family == AF_INET	 ? '4'
			  : family == AF_INET6	 ? '6'
			  : family == AF_UNIX	 ? 'u'
			  : family == AF_NETLINK ? 'n'
						 : 'o');
		put_nothing(s);
		store_tuple(slot, (__u64)sk, 0, asked);
		put_u8(s, READ(sk, sk_protocol));
		put_u32(s, device_number(READ(sb, s_dev)));
		put_u64(s, READ(inode, i_ino));
		put_u32(s, flags);
		put_u8(s, READ(sk, __sk_common.skc_state));
		return 0;
	}
	magic = READ(sb, s_magic);
	put_u8(s, is_memfd(READ(file, f_path.dentry)) ? 'm' : file_type(mode, magic));
	put_path(s, slot, &file->f_path);
	put_nothing(s);
	put_nothing(s);
	put_u32(s, device_number(READ(sb, s_dev)));
	put_u64(s, READ(inode, i_ino));
	switch (overlay_layer(inode, magic)) {
	case LAYER_UPPER:
		flags |= OUT_UPPER;
		break;
	case LAYER_LOWER:
		flags |= OUT_LOWER;
		break;
	}
	put_u32(s, flags);
	put_nothing(s);
	return 0;
}

#endif

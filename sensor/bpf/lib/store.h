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

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16

/* The longest record is that of an exec: six paths, arguments and environment, and numbers. */
_Static_assert(6 * EYAS_PATH_MAX + 2 * EYAS_ARGS_MAX + 1024 <= EYAS_RECORD_MAX, "a record may not fit");

static __always_inline void *room(struct scratch *s)
{
	return &s->record[s->at & AT_MASK];
}

static __always_inline void put_length(struct scratch *s, __u32 len)
{
	*(__u16 *)&s->record[sizeof(struct eyas_header) + 2 * (s->count & COUNT_MASK)] = len;
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

static __always_inline void put_staged(struct scratch *s, int start)
{
	__u32 len;

	if (start < 0) {
		put_nothing(s);
		return;
	}
	len = EYAS_PATH_MAX - (start & PATH_MASK);
	BOUND(len, (EYAS_PATH_MAX * 2 - 1));
	if (len > EYAS_PATH_MAX ||
	    bpf_probe_read_kernel(room(s), len, &s->path[start & PATH_MASK])) {
		count(EYAS_FAIL_KERNEL_READ);
		put_nothing(s);
		return;
	}
	put_length(s, len);
}

/* The kernel's own path of an object. */
static __always_inline void put_path(struct scratch *s, __u32 slot, struct path *where)
{
	struct path path = {};

	bpf_probe_read_kernel(&path, sizeof(path), where);
	if (!path.dentry) {
		put_nothing(s);
		return;
	}
	put_staged(s, resolve_path(slot, (__u64)path.dentry, (__u64)path.mnt));
}

static __always_inline void put_cwd(struct scratch *s, __u32 slot, struct task_struct *task)
{
	struct fs_struct *fs = LOAD(task, fs);

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

/* Where the path at this address starts from, when it is relative; else unknown. */
__noinline int store_dir(__u32 slot, __s32 dirfd, __u64 address)
{
	struct scratch *s = scratch_of(slot);
	struct task_struct *task = current_task();
	struct file *file;

	if (!s)
		return -1;
	if (!is_relative(address)) {
		put_nothing(s);
		return 0;
	}
	if (dirfd == AT_FDCWD) {
		put_cwd(s, slot, task);
		return 0;
	}
	file = file_of_fd(task, dirfd);
	if (file)
		put_path(s, slot, &file->f_path);
	else
		put_nothing(s);
	return 0;
}

/* Address of a sockaddr as user space gave it: family, then what the schema keeps of it. */
static __always_inline void put_user_address(struct scratch *s, __u64 address, __u32 len)
{
	__u16 family = 0;
	__u8 *out = room(s);

	if (!address || len < sizeof(family)) {
		put_nothing(s);
		return;
	}
	if (bpf_probe_read_user(&family, sizeof(family), (void *)address)) {
		put_user_failed(s);
		return;
	}
	out[0] = family;
	if (family == AF_INET && len >= sizeof(struct user_sockaddr_in)) {
		struct user_sockaddr_in in = {};

		bpf_probe_read_user(&in, sizeof(in), (void *)address);
		*(__u32 *)&out[1] = in.addr;
		*(__u16 *)&out[5] = __builtin_bswap16(in.port);
		put_length(s, 7);
	} else if (family == AF_INET6 && len >= sizeof(struct user_sockaddr_in6)) {
		struct user_sockaddr_in6 in = {};

		bpf_probe_read_user(&in, sizeof(in), (void *)address);
		__builtin_memcpy(&out[1], in.addr, 16);
		*(__u16 *)&out[17] = __builtin_bswap16(in.port);
		put_length(s, 19);
	} else if (family == AF_UNIX) {
		/* callers pass the whole structure: the path ends at its NUL, an abstract name at len */
		__u32 size = len - sizeof(family);
		char first = 0;

		if (size > 108)
			size = 108;
		bpf_probe_read_user(&first, 1, (void *)address + 2);
		if (size && first == 0) {
			BOUND(size, 0x7f);
			bpf_probe_read_user(&out[1], size, (void *)address + 2);
			put_length(s, 1 + size);
		} else {
			long n = bpf_probe_read_user_str(&out[1], 109, (void *)address + 2);

			put_length(s, n > 0 ? 1 + n : 1);
		}
	} else {
		put_length(s, 1);
	}
}

/* What user space said, for when the kernel socket has forgotten it (a refused connect). */
static __always_inline __u64 user_port_and_address(__u64 address, __u32 *addr)
{
	struct user_sockaddr_in in = {};

	bpf_probe_read_user(&in, sizeof(in), (void *)address);
	*addr = in.addr;
	return in.port;
}

static __always_inline void put_inet_tuple(struct scratch *s, struct sock *sk, int remote_first, __u64 asked)
{
	__u8 *out = room(s);
	__u32 local = READ(sk, __sk_common.skc_rcv_saddr);
	__u32 remote = READ(sk, __sk_common.skc_daddr);
	__u16 local_port = READ(sk, __sk_common.skc_num);
	__u16 remote_port = READ(sk, __sk_common.skc_dport);

	if (!local)
		local = READ((struct inet_sock *)sk, inet_saddr);
	if (!remote_port && asked)
		remote_port = user_port_and_address(asked, &remote);
	remote_port = __builtin_bswap16(remote_port);
	out[0] = AF_INET;
	if (remote_first) {
		*(__u32 *)&out[1] = remote;
		*(__u16 *)&out[5] = remote_port;
		*(__u32 *)&out[7] = local;
		*(__u16 *)&out[11] = local_port;
	} else {
		*(__u32 *)&out[1] = local;
		*(__u16 *)&out[5] = local_port;
		*(__u32 *)&out[7] = remote;
		*(__u16 *)&out[11] = remote_port;
	}
	put_length(s, 13);
}

static __always_inline void put_inet6_tuple(struct scratch *s, struct sock *sk, int remote_first, __u64 asked)
{
	__u8 *out = room(s);
	__u8 *local = remote_first ? &out[19] : &out[1];
	__u8 *remote = remote_first ? &out[1] : &out[19];
	__u16 remote_port = READ(sk, __sk_common.skc_dport);

	out[0] = AF_INET6;
	bpf_probe_read_kernel(local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
	*(__u16 *)&local[16] = READ(sk, __sk_common.skc_num);
	if (!remote_port && asked) {
		struct user_sockaddr_in6 in = {};

		bpf_probe_read_user(&in, sizeof(in), (void *)asked);
		__builtin_memcpy(remote, in.addr, 16);
		remote_port = in.port;
	} else {
		bpf_probe_read_kernel(remote, 16, &sk->__sk_common.skc_v6_daddr);
	}
	*(__u16 *)&remote[16] = __builtin_bswap16(remote_port);
	put_length(s, 37);
}

/* Path of a bound unix socket, or of the one it is connected to. */
static __always_inline void put_unix_tuple(struct scratch *s, struct sock *sk, int remote_first)
{
	struct unix_sock *unix = (void *)sk;
	struct sock *peer = READ(unix, peer);
	struct unix_address *address = READ(unix, addr);
	__u8 *out = room(s);
	long len = 0;

	if (!address && peer)
		address = READ((struct unix_sock *)peer, addr);
	out[0] = AF_UNIX;
	*(__u64 *)&out[1] = (__u64)(remote_first ? peer : sk);
	*(__u64 *)&out[9] = (__u64)(remote_first ? sk : peer);
	out[17] = 0;
	if (address) {
		__s32 size = READ(address, len) - 2;
		char first = 0;

		bpf_probe_read_kernel(&first, 1, &address->name[0].sun_path);
		if (size > 0 && first == 0) {
			__u32 bytes = size > 108 ? 108 : size;

			BOUND(bytes, 0x7f);
			bpf_probe_read_kernel(&out[17], bytes, &address->name[0].sun_path);
			len = bytes;
		} else {
			len = bpf_probe_read_kernel_str(&out[17], 109, &address->name[0].sun_path);
		}
	}
	put_length(s, 17 + (len > 0 ? len : 1));
}

/* Both ends of a socket. `asked` is the user's sockaddr, or 0. */
__noinline int store_tuple(__u32 slot, __u64 sock, __u32 remote_first, __u64 asked)
{
	struct scratch *s = scratch_of(slot);
	struct sock *sk = (void *)sock;
	__u16 family = sk ? READ(sk, __sk_common.skc_family) : 0;

	if (!s)
		return -1;

	if (family == AF_INET)
		put_inet_tuple(s, sk, remote_first, asked);
	else if (family == AF_INET6)
		put_inet6_tuple(s, sk, remote_first, asked);
	else if (family == AF_UNIX)
		put_unix_tuple(s, sk, remote_first);
	else
		put_nothing(s);
	return 0;
}

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

		put_u8(s, family == AF_INET    ? '4' :
			  family == AF_INET6   ? '6' :
			  family == AF_UNIX    ? 'u' :
			  family == AF_NETLINK ? 'n' :
						 'o');
		put_nothing(s);
		store_tuple(slot, (__u64)sk, 0, asked);
		put_u8(s, READ(sk, sk_protocol));
		put_u32(s, device_number(READ(sb, s_dev)));
		put_u64(s, READ(inode, i_ino));
		put_u32(s, flags);
		put_u8(s, READ(sk, __sk_common.skc_state));
		return 0;
	}
	put_u8(s, is_memfd(READ(file, f_path.dentry)) ? 'm' : file_type(mode));
	put_path(s, slot, &file->f_path);
	put_nothing(s);
	put_nothing(s);
	put_u32(s, device_number(READ(sb, s_dev)));
	put_u64(s, READ(inode, i_ino));
	switch (overlay_layer(inode, sb)) {
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

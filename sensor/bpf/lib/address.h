/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Second layer, addresses: what user space names and what the kernel's sockets say of their two ends. */
#ifndef EYAS_ADDRESS_H
#define EYAS_ADDRESS_H

#include "store.h"

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16

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

/*
 * The path is that of the server: of the peer when we are the client, and our own when it came to us. The other
 * one stands in where that end has none.
 */
static __always_inline void put_unix_tuple(struct scratch *s, struct sock *sk, int remote_first)
{
	struct unix_sock *unix = (void *)sk;
	struct sock *peer = READ(unix, peer);
	struct unix_address *own = READ(unix, addr);
	struct unix_address *other = peer ? READ((struct unix_sock *)peer, addr) : 0;
	struct unix_address *address = remote_first ? own : other;
	__u8 *out = room(s);
	long len = 0;

	if (!address)
		address = remote_first ? other : own;
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

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * First layer: facts out of kernel objects. Knows nothing of records. Functions that the verifier shall check
 * once and not at each call are global and take numbers only, as 5.10 asks.
 */
#ifndef EYAS_READ_H
#define EYAS_READ_H

#include "../include/maps.h"

/* Components of a path, mounts included. Deeper paths are cut at the top and counted. Walked by the stretch. */
#define PATH_DEPTH 256
#define PATH_STRETCH 8
#define CGROUP_DEPTH 24
#define NAME_MASK 0xff
#define PATH_MASK (EYAS_PATH_MAX - 1)

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define S_IFBLK 0060000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFIFO 0010000

/* What a walk needs of a dentry. The two fields lie side by side on every kernel so far, so that one call reads both. */
struct dentry_view {
	struct dentry *parent;
	__u64 hash_len;
	const unsigned char *name;
};

static __always_inline void read_dentry(struct dentry *dentry, struct dentry_view *view)
{
	if (reads_are_loads()) {
		view->parent = READ(dentry, d_parent);
		view->hash_len = READ(dentry, d_name.hash_len);
		view->name = READ(dentry, d_name.name);
		return;
	}
	if (bpf_core_field_offset(struct dentry, d_name) ==
	    bpf_core_field_offset(struct dentry, d_parent) + sizeof(void *)) {
		bpf_probe_read_kernel(view, sizeof(*view), &dentry->d_parent);
		return;
	}
	view->parent = READ(dentry, d_parent);
	bpf_probe_read_kernel(&view->hash_len, 16, &dentry->d_name);
}

/* As a plain pointer: what is known to lie in an array of bytes, the compiler stores byte by byte. */
static __always_inline void *path_at(struct scratch *s, __u32 at)
{
	return &s->path[at & PATH_MASK];
}

/* Names up to this many words are copied by the word where reads are loads. */
#define NAME_WORDS 4
#define WORD 8

/*
 * Puts a name in front of `end` in the scratch space's path. Word by word, it goes from the name's end to its start and
 * up to seven bytes beyond: there the kernel has the object that the name lies in, and the path nothing yet.
 */
static __always_inline void put_name(struct scratch *s, __u32 end, const unsigned char *name, __u32 len)
{
	if (!reads_are_loads() || len > NAME_WORDS * WORD || end < NAME_WORDS * WORD) {
		bpf_probe_read_kernel(path_at(s, end - len), len & NAME_MASK, name);
		return;
	}
#pragma unroll
	for (int i = 1; i <= NAME_WORDS; i++) {
		__u64 *place = path_at(s, end - i * WORD);

		*place = read_number(name + len - i * WORD, WORD);
		if (len <= i * WORD)
			return;
	}
}

/*
 * One stretch of a walk up the tree, whose state is in the scratch space. Positive: the top is reached, or (2) the
 * object has no place in a tree and its name stands for itself, as in `memfd:x` and `[eventfd]`. Global, so that the
 * verifier walks a stretch once and not every path whole.
 */
__noinline int walk_path(__u32 slot)
{
	struct scratch *s = scratch_of(slot);
	struct dentry *dentry, *root;
	struct mount *mount;
	__u32 at;
	int i;

	if (!s)
		return -1;
	dentry = (void *)s->walk.dentry;
	mount = (void *)s->walk.mount;
	root = (void *)s->walk.root;
	at = s->walk.at & PATH_MASK;
	for (i = 0; i < PATH_STRETCH; i++) {
		struct dentry_view view = {};
		__u32 len;

		if (dentry == root) {
			struct mount *parent = READ(mount, mnt_parent);

			if (parent == mount || !parent)
				return 1;
			dentry = READ(mount, mnt_mountpoint);
			mount = parent;
			root = READ(mount, mnt.mnt_root);
			continue;
		}
		read_dentry(dentry, &view);
		len = view.hash_len >> 32;
		if (len > NAME_MASK || at < len + 1)
			return -1;
		put_name(s, at, view.name, len);
		at = (at - len - 1) & PATH_MASK;
		s->path[at] = '/';
		if (view.parent == dentry) {
			s->walk.at = at + 1;
			return 2;
		}
		s->walk.at = at;
		dentry = view.parent;
	}
	s->walk.dentry = (__u64)dentry;
	s->walk.mount = (__u64)mount;
	s->walk.root = (__u64)root;
	return 0;
}

/*
 * Writes a cgroup's path into scratch->path, from its end backwards, up to the root of its hierarchy. Gives the place
 * where it starts; it ends with a NUL at EYAS_PATH_MAX - 1. Negative: no scratch space.
 */
__noinline int resolve_cgroup(__u32 slot, __u64 node_address)
{
	struct scratch *s = scratch_of(slot);
	struct kernfs_node *node = (void *)node_address;
	__u32 at = EYAS_PATH_MAX - 1;
	int i, complete = 0;

	if (!s)
		return -1;
	s->path[at] = 0;
	for (i = 0; i < CGROUP_DEPTH; i++) {
		struct kernfs_node *parent = node ? kernfs_parent(node) : 0;
		char name[128];
		int len;

		if (!parent) {
			complete = 1;
			break;
		}
		len = bpf_probe_read_kernel_str(name, sizeof(name), READ(node, name));
		if (len <= 0 || at < (__u32)len)
			break;
		len--; /* the NUL */
		at = (at - len - 1) & PATH_MASK;
		s->path[at] = '/';
		bpf_probe_read_kernel(&s->path[at + 1], len & 0x7f, name);
		node = parent;
	}
	if (!complete) {
		s->flags |= EYAS_RECORD_TRUNCATED;
		count(EYAS_CUT_PATH);
	}
	if (at == EYAS_PATH_MAX - 1) {
		at--;
		s->path[at] = '/';
	}
	return at & PATH_MASK;
}

static __always_inline struct file *file_of_fd(struct task_struct *task, __s64 fd)
{
	struct files_struct *files = NEEDED(task, files);
	struct fdtable *table;
	struct file **array;

	if (!files || fd < 0)
		return 0;
	table = NEEDED(files, fdt);
	if (!table || (__u64)fd >= NEEDED(table, max_fds))
		return 0;
	array = NEEDED(table, fd);
	return (void *)read_number(array + fd, sizeof(*array));
}

static __always_inline struct socket *socket_of_file(struct file *file)
{
	struct inode *inode = READ(file, f_inode);

	if ((READ(inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	return READ(file, private_data);
}

/*
 * Pids are always taken with READ(): with a type behind the pointer, 6.1 does not allow the arithmetic that finds
 * the entry of a level.
 */

/* Number of a pid as its namespace at `level` knows it; 0 where it is not visible. */
static __always_inline __s64 pid_number(struct pid *pid, __u32 level)
{
	struct upid upid = {};

	if (!pid || READ(pid, level) < level)
		return 0;
	bpf_probe_read_kernel(&upid, sizeof(upid),
			      (void *)&pid->numbers[0] + (level & 31) * bpf_core_type_size(struct upid));
	return upid.nr;
}

static __always_inline struct pid_namespace *pid_namespace_of(struct pid *pid)
{
	struct upid upid = {};

	bpf_probe_read_kernel(&upid, sizeof(upid),
			      (void *)&pid->numbers[0] + (READ(pid, level) & 31) * bpf_core_type_size(struct upid));
	return upid.ns;
}

/* Device numbers as stat(2) prints them. */
static __always_inline __u32 device_number(__u32 dev)
{
	__u32 major = dev >> 20;
	__u32 minor = dev & 0xfffff;

	return (minor & 0xff) | (major << 8) | ((minor & ~0xffU) << 12);
}

static __always_inline __u32 terminal(struct signal_struct *signal)
{
	struct tty_struct *tty = READ(signal, tty);
	struct tty_driver *driver;

	if (!tty)
		return 0;
	driver = READ(tty, driver);
	return device_number(((__u32)READ(driver, major) << 20) | (READ(driver, minor_start) + READ(tty, index)));
}

/*
 * Letters of fd.typechar; 'a' stands for the kernel's nameless files, whose path says which one it is. Those had
 * no type of their own before 6.16, which made them regular files; so the file system decides.
 */
#define ANON_INODE_MAGIC 0x09041934
#define PIDFS_MAGIC 0x50494446

static __always_inline __u8 file_type(__u16 mode, __u64 magic)
{
	if (magic == ANON_INODE_MAGIC || magic == PIDFS_MAGIC)
		return 'a';
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFCHR:
	case S_IFBLK:
		return 'f';
	case S_IFDIR:
		return 'd';
	case S_IFIFO:
		return 'p';
	case 0:
		return 'a';
	}
	return 'o';
}

/* Whether a file has lost its name; what never had a place in a tree has none to lose. */
static __always_inline int is_unlinked(struct dentry *dentry)
{
	return !READ(dentry, d_hash.pprev) && READ(dentry, d_parent) != dentry;
}

static __always_inline int is_memfd(struct dentry *dentry)
{
	char start[8] = {};
	const unsigned char *name = READ(dentry, d_name.name);

	bpf_probe_read_kernel(start, 6, name);
	return *(__u64 *)start == 0x3a64666d656dULL; /* "memfd:" */
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What programs share: settings, scratch space, rings, tables, counters. User space fills the tables before it
 * attaches anything.
 */
#ifndef EYAS_MAPS_H
#define EYAS_MAPS_H

#include "compat.h"
#include "abi.h"

/* Room behind the longest record, so that a value of the greatest length may start anywhere in it. */
#define RECORD_SPACE (0x10000 + EYAS_ARGS_MAX + 64)
#define PATH_SPACE (EYAS_PATH_MAX + 512)

/* The call that a handler works on, for functions that cannot be given pointers. */
struct call {
	__s64 result;
	__u64 args[8]; /* six, and two so that a masked index stays inside */
	__u32 number;
	__u32 index; /* in the tables */
	__u8 flags;  /* EYAS_RECORD_* */
};

/* A walk up a directory tree, between its stretches. */
struct walk {
	__u64 dentry;
	__u64 mount;
	__u64 root;
	__u32 at;
};

struct scratch {
	__u64 seq;
	__u64 woken; /* time of the record that last woke the reader */
	__u64 sent;  /* time of the last record that went into a ring */
	__u32 busy;  /* those who claim the space; it is theirs who found nobody else */
	__u32 at;    /* where the next value goes in record */
	__u32 count; /* parameters written */
	__u32 flags; /* EYAS_RECORD_* found while writing */
	struct call call;
	struct walk walk;
	__u8 path[PATH_SPACE];
	__u8 record[RECORD_SPACE];
};

/* A plain array with one element for each CPU: per-CPU maps end at 32 KiB. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

struct counters {
	__u64 value[EYAS_COUNTERS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
	__array(values, struct ring);
} rings SEC(".maps");

/* Handler for each system call number; 5.10 wants all of them to be of one attach point. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, EYAS_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} handlers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EYAS_SLOTS);
	__type(key, __u32);
	__type(value, struct eyas_descriptor);
} descriptors SEC(".maps");

/* Pairs of what the kernel means and what the schema means: bits, or whole values. */
#define BIT_PAIRS 40
struct bit_table {
	__u32 pairs;
	__u32 otherwise; /* value tables: what a value becomes that is not in them */
	struct {
		__u32 from;
		__u32 to;
	} pair[BIT_PAIRS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct bit_table);
} bit_tables SEC(".maps");

/* In a section of its own, so that it can be written as a whole without touching anything else. */
struct eyas_settings settings SEC(".data.settings") = {.page_kib = 4};

static __always_inline void count(enum eyas_counter which)
{
	__u32 zero = 0;
	struct counters *mine = bpf_map_lookup_elem(&counters, &zero);

	if (mine)
		mine->value[which]++;
}

static __always_inline struct scratch *scratch_of(__u32 slot)
{
	return bpf_map_lookup_elem(&scratches, &slot);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one file both sides share: the record header, the settings that user space writes, the counters that
 * it reads. What the values after the header mean is in sensor/abi/events.tsv. A change here or there changes
 * the layout hash, and an object with another hash is refused.
 *
 * A record is: struct eyas_header, then nparams lengths (u16, bytes), then the values in the same order with
 * nothing between them, then zero to seven bytes so that the whole is a multiple of eight. Integers are in the
 * host's byte order. A length of 0 says that the fact is not known.
 */
#ifndef EYAS_ABI_H
#define EYAS_ABI_H

struct eyas_header {
	__u64 time;	  /* boot clock, ns */
	__u64 start;	  /* boot clock, ns: when the process (group leader) was made; with tgid it names a process */
	__u64 cgroup;	  /* id of the task's cgroup in the default hierarchy */
	__u64 seq;	  /* of this CPU; also counts what was dropped, so a gap is a loss */
	__u32 tgid;	  /* of the initial pid namespace */
	__u32 tid;
	__u32 euid;
	__u32 egid;
	__u32 generation; /* of the settings in force */
	__u16 type;	  /* event code */
	__u16 len;	  /* of the whole record, bytes */
	__u16 cpu;
	__u16 syscall;	  /* number as the caller gave it, in the table named by flags; all ones if none */
	__u8 nparams;
	__u8 flags;	  /* EYAS_RECORD_* */
	__u16 reserved;
};

#define EYAS_RECORD_COMPAT 0x01	     /* came in through the 32-bit table */
#define EYAS_RECORD_X32 0x02	     /* number carried the x32 bit */
#define EYAS_RECORD_TRUNCATED 0x04   /* a value is shorter than the truth */
#define EYAS_RECORD_READ_FAILED 0x08 /* memory that a value needs could not be read */
#define EYAS_RECORD_SNAPSHOT 0x10    /* describes what was there before, not what just happened */

#define EYAS_NO_SYSCALL 0xffff

#endif

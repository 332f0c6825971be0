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
	__u64 time;   /* boot clock, ns */
	__u64 start;  /* boot clock, ns: when the process (group leader) was made; with tgid it names a process */
	__u64 cgroup; /* id of the task's cgroup in the default hierarchy */
	__u64 seq;    /* of this CPU; also counts what was dropped, so a gap is a loss */
	__u32 tgid;   /* of the initial pid namespace */
	__u32 tid;
	__u32 euid;
	__u32 egid;
	__u32 generation; /* of the settings in force */
	__u16 type;	  /* event code */
	__u16 len;	  /* of the whole record, bytes */
	__u16 cpu;
	__u16 syscall; /* number as the caller gave it, in the table named by flags; all ones if none */
	__u8 nparams;
	__u8 flags; /* EYAS_RECORD_* */
	__u16 reserved;
};

#define EYAS_RECORD_COMPAT 0x01	     /* came in through the 32-bit table */
#define EYAS_RECORD_X32 0x02	     /* number carried the x32 bit */
#define EYAS_RECORD_TRUNCATED 0x04   /* a value is shorter than the truth */
#define EYAS_RECORD_READ_FAILED 0x08 /* memory that a value needs could not be read */
#define EYAS_RECORD_SNAPSHOT 0x10    /* describes what was there before, not what just happened */
#define EYAS_RECORD_URING 0x20	     /* asked for through io_uring, not by a system call of its own */

#define EYAS_NO_SYSCALL 0xffff

/* System call numbers live in two tables of this size each: the native one first, then the 32-bit one. */
#define EYAS_TABLE_SIZE 1024
#define EYAS_SLOTS (2 * EYAS_TABLE_SIZE)

/* A record that comes this long after the one before it on its CPU, or later, wakes the reader. */
#define EYAS_QUIET_NS 10000000

/* More than the highest code of an event. */
#define EYAS_EVENT_CODES 512

/* Limits of single values, bytes. Their sum stays below the longest record (a static assertion holds it). */
#define EYAS_PATH_MAX 4096
#define EYAS_ARGS_MAX 16384
#define EYAS_DATA_MAX 4096
#define EYAS_RECORD_MAX 0xfff8

/* Rings: two for each CPU. What processes come and go is never crowded out by what they do. */
#define EYAS_RING_EVENTS 0
#define EYAS_RING_LIFECYCLE 1
#define EYAS_RING_CLASSES 2

/* Written by user space while programs run; every field may change at any time on its own. */
struct eyas_settings {
	__u64 either[EYAS_TABLE_SIZE / 64]; /* numbers enabled in one of the two tables */
	__u64 enabled[EYAS_SLOTS / 64];
	__u32 generation;
	__u32 ignored;	  /* process (tgid) whose calls are not reported: the sensor itself */
	__u32 args_bytes; /* of arguments kept, at most EYAS_ARGS_MAX */
	__u32 env_bytes;  /* of environment kept; 0 for none */
	__u32 data_bytes; /* of input and output kept, at most EYAS_DATA_MAX */
	__u32 page_kib;
	__u32 snapshot_slot; /* scratch space that no CPU uses, for the walk over tasks */
	__u32 reserved;
	__u64 urgent[EYAS_EVENT_CODES / 64]; /* events that wake the reader */
};

/* How a parameter of a table-driven event is made: one of EYAS_FROM_*, with its operands. */
struct eyas_param {
	__u8 from;
	__u8 arg;  /* which argument of the call */
	__u8 size; /* bytes of the value */
	__u8 aux;  /* second argument, or table of bits */
};

#define EYAS_PARAMS_MAX 32

struct eyas_descriptor {
	__u16 event;
	__u16 id; /* of the system call in the schema */
	__u8 nparams;
	__u8 fields; /* entries of params used; one may make several parameters */
	__u16 reserved;
	struct eyas_param params[EYAS_PARAMS_MAX];
};

enum eyas_from {
	EYAS_FROM_NOTHING = 0, /* the value is not known */
	EYAS_FROM_RESULT,      /* what the call returned */
	EYAS_FROM_UNSIGNED,    /* argument, cut to size */
	EYAS_FROM_SIGNED,      /* 32-bit argument, sign kept */
	EYAS_FROM_LOW,	       /* argument without the bits above the lowest four */
	EYAS_FROM_TEXT,	       /* user text */
	EYAS_FROM_BITS,	       /* argument through bit table aux */
	EYAS_FROM_VALUES,      /* argument through value table aux */
	EYAS_FROM_ID,	       /* id of the system call */
	EYAS_FROM_NUMBER,      /* number of the system call */
	EYAS_FROM_DATA_IN,     /* user bytes: as many as the result says */
	EYAS_FROM_DATA_OUT,    /* user bytes: as many as argument aux says */
	EYAS_FROM_VECTOR_IN,   /* first part of an iovec array of length aux, as many bytes as the result says */
	EYAS_FROM_VECTOR_OUT,  /* first part of an iovec array of length aux */
	EYAS_FROM_VECTOR_SIZE, /* sum of the lengths in an iovec array of length aux */
	EYAS_FROM_MESSAGE_IN,  /* the same three for a msghdr */
	EYAS_FROM_MESSAGE_OUT,
	EYAS_FROM_MESSAGE_SIZE,
	EYAS_FROM_ADDRESS,  /* user sockaddr of length aux */
	EYAS_FROM_TUPLE_IN, /* both ends of the socket in an argument, remote end first; aux: argument with the sender */
	EYAS_FROM_TUPLE_OUT,  /* local end first; aux: argument with the address asked for */
	EYAS_FROM_FD,	      /* the eight facts of the descriptor in an argument */
	EYAS_FROM_NEW_FD,     /* the same of the descriptor returned */
	EYAS_FROM_DIR,	      /* directory behind descriptor aux, if the path in the argument is relative */
	EYAS_FROM_CWD,	      /* working directory, if the path in the argument is relative */
	EYAS_FROM_POINTED,    /* size bytes at distance aux from where the argument points */
	EYAS_FROM_POINTED_FD, /* 32-bit descriptor at distance aux from where the argument points */
	EYAS_FROM_TIMESPEC,   /* the argument points to seconds and nanoseconds */
	EYAS_FROM_DYNAMIC,    /* argument as variant aux of a dyn value */
	EYAS_FROM_CAPABILITY, /* set aux of the task: inheritable, permitted, effective */
	EYAS_FROM_VM_SIZE,
	EYAS_FROM_NEW_NAME,	    /* the task's name, if the call has just set it */
	EYAS_FROM_ZERO,		    /* a number that the call has no argument for */
	EYAS_FROM_PWD,		    /* the task's working directory */
	EYAS_FROM_SPLIT,	    /* 64-bit argument; of two arguments, low one first, in 32-bit calls */
	EYAS_FROM_HIGH_LOW,	    /* 64-bit number of two arguments, high one first */
	EYAS_FROM_GIVEN,	    /* as POINTED, but put there by the caller, so read after a failure too */
	EYAS_FROM_GIVEN_BITS,	    /* the same through bit table aux; arg: argument, and words of distance above it */
	EYAS_FROM_TUPLE_MESSAGE_IN, /* as TUPLE_IN and TUPLE_OUT, the address being in the msghdr in argument aux */
	EYAS_FROM_TUPLE_MESSAGE_OUT,
	EYAS_FROM_MESSAGE_CONTROL, /* ancillary data of a msghdr */
	EYAS_FROM_POINTED_FILE,	  /* the eight facts of the descriptor at distance aux from where the argument points */
	EYAS_FROM_POINTED_INODE,  /* its inode number */
	EYAS_FROM_POINTED_SOCKET, /* the kernel's address of its socket */
	EYAS_FROM_FD_LIST,	  /* pollfd array of length aux, with what came of it */
	EYAS_FROM_OPTION,	  /* socket option, if the argument before it names the sockets' own level */
	EYAS_FROM_OPTION_VALUE,	  /* its value; argument before: option; aux: 1 if the kernel put it there */
	EYAS_FROM_TRACE_DATA,	  /* data of a ptrace request: what was read, a signal, or the number itself */
};

/* Tables of bits that handlers of their own use; their place is that in sensor/probe/translation.tsv. */
enum eyas_table {
	EYAS_TABLE_CLONE_FLAGS = 0,
	EYAS_TABLE_SOCKET_FLAGS,
};

/* Failures, cuts and what was turned away, counted for each CPU. The order is that of the names in sensor/probe. */
enum eyas_counter {
	EYAS_DROP_EVENT = 0, /* ring full */
	EYAS_DROP_LIFECYCLE, /* ring full */
	EYAS_DROP_BUSY,	     /* the CPU's scratch space was in use */
	EYAS_DROP_NO_RING,   /* no ring for this CPU */
	EYAS_CUT_ARGUMENTS,
	EYAS_CUT_ENVIRONMENT,
	EYAS_CUT_PATH,
	EYAS_CUT_DATA,
	EYAS_FAIL_USER_READ, /* user memory was not there */
	EYAS_FAIL_KERNEL_READ,
	EYAS_FAIL_TAIL_CALL,  /* enabled, but nothing in the table of handlers */
	EYAS_FAIL_DESCRIPTOR, /* enabled, but nothing in the table of descriptors */
	EYAS_FILTER_CALL,     /* the end of a system call that is not enabled */
	EYAS_FILTER_PROCESS,  /* something enabled that an ignored process did */
	EYAS_COUNTERS,
};

#endif

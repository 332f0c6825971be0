// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The probe: every hook and handler, in one object. */
#include "hooks/sys_exit.h"
#include "hooks/exec.h"
#include "hooks/exit.h"
#include "hooks/fork.h"
#include "iter/task.h"
#include "syscalls/messages.h"
#include "syscalls/open.h"
#include "syscalls/socket.h"
#include "hooks/io_uring.h"
#include "hooks/tracepoints.h"
#include "layout.bpf.c"

char license_text[] SEC("license")
= "Dual BSD/GPL";

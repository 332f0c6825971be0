// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Names the shared structures, so that their layout is in the object's type information, and carries the hash
 * of the layout. The loader compares both with what it was built for.
 */
#include "include/maps.h"

struct eyas_layout {
	char hash[40];
	struct eyas_header header;
	struct eyas_descriptor descriptor;
};

const volatile struct eyas_layout layout SEC(".rodata.layout") = {.hash = EYAS_LAYOUT_HASH};

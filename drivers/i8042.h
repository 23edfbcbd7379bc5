/*
 * The keyboard of a plain PC: an i8042 controller (or firmware's emulation of one), polled. Scan
 * code set 1 with the US layout becomes ASCII bytes as a serial line would send them, so the
 * console cannot tell the two apart.
 *
 * Locks: the caller's console lock.
 */
#ifndef DRIVERS_I8042_H
#define DRIVERS_I8042_H

#include "mm/base/types.h"

/* What is held down, and where in a multi-byte scan code we are. Zero is the start. */
struct i8042_keys {
	bool shift, control, caps_lock;
	bool extended;  /* E0 came */
	u8 pause_bytes; /* of E1's sequence still to come */
};

/* One scan code byte: the ASCII byte that it types, or -1. Pure. */
int i8042_translate(struct i8042_keys *keys, u8 scan_code);

/* Is there a controller? If so its keyboard port is enabled and drained, interrupts stay off. */
bool i8042_init(void);

/* The next typed byte, or -1: nothing is typed or there is no controller. Never waits. */
int i8042_read(void);

#endif

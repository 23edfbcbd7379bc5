/*
 * CHECK: what must hold or the hypervisor itself is broken. Always compiled in; prints state and
 * halts. Nothing that a guest, a disk or a configuration file can send may reach one.
 */
#ifndef MM_BASE_CHECK_H
#define MM_BASE_CHECK_H

#include "mm/base/types.h"

noreturn_fn void check_failed(const char *file, int line, const char *expr);

#define CHECK(expr)                                                                                \
	do {                                                                                       \
		if (__builtin_expect(!(expr), 0))                                                  \
			check_failed(__FILE__, __LINE__, #expr);                                   \
	} while (0)

#endif

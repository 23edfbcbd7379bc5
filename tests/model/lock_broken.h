/* Which locks of lock_broken.c lock nothing. */
#ifndef TESTS_MODEL_LOCK_BROKEN_H
#define TESTS_MODEL_LOCK_BROKEN_H

#include "mm/base/lock.h"

extern enum lock_rank lock_broken_rank; /* 0: all of them lock */

#endif

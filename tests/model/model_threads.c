/* SRCS: tests/model/threads.c tests/fake/fake_platform.c tests/fake/fake_guest.c
   mm/[a-z]*.c mm/base/lock.c mm/base/check.c mm/base/log.c mm/base/fmt.c */
/* Real threads fault, split, hide and pin in the same spaces: threads.c. */
#include "tests/model/threads.h"

int main(void)
{
	return threads_run(false, 4000);
}

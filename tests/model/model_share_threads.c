/* SRCS: tests/model/threads.c tests/fake/fake_platform.c tests/fake/fake_guest.c mm */
/* The same while they scan each other's pages for sharing, and share them: threads.c. */
#include "tests/model/threads.h"

int main(void)
{
	return threads_run(true, 4000);
}

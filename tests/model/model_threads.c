/* SRCS: tests/model/threads.c tests/fake/fake_platform.c tests/fake/fake_guest.c mm */
/* Real threads fault, split, hide and pin in the same spaces: threads.c. */
#include "tests/model/threads.h"

int main(void)
{
	return threads_run(false, 4000);
}

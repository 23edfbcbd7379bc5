/* SRCS: tests/model/threads.c tests/fake/fake_platform.c tests/fake/fake_guest.c mm */
/* Both under ThreadSanitizer, which a name that ends in _tsan is built with: threads.c. */
#include "tests/model/threads.h"

int main(void)
{
	return threads_run(false, 500) | threads_run(true, 1000);
}

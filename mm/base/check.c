/* Where a failed CHECK() ends: the platform prints its state and halts. */
#include "mm/base/check.h"
#include "mm/base/fmt.h"
#include "mm/platform.h"

void check_failed(const char *file, int line, const char *expr)
{
	char what[192];

	fmt_snprintf(what, sizeof(what), "%s:%d: CHECK(%s) failed", file, line, expr);
	platform_panic(what);
}

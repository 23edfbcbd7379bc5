#include "tests/emu/guests/bare/bare.h"
void hostile_run(const struct bare_boot *boot, const char *arguments) { (void)boot; (void)arguments; }

/* What both tools take on their command lines, beside --help and --version, which argp gives. */
#ifndef GUEST_TOOLS_MONITOR_OPTIONS_H
#define GUEST_TOOLS_MONITOR_OPTIONS_H

#include <argp.h>

/* A tool's options begin with these; .seconds holds the default. */
struct options {
	const char *line; /* the caller's argv's */
	double seconds;   /* -d, 0.1 to 60 */
};

/* @argp: the tool's, whose parser leaves what it does not know to options_parse(). Whatever is
 * wrong is said on standard error by its name, and ends the program with status 2. */
void options_read(const struct argp *argp, int argc, char **argv, struct options *out);
error_t options_parse(int key, char *word, struct argp_state *state);

#endif

#include "guest-tools/monitor/options.h"
#include <stdlib.h>

error_t options_parse(int key, char *word, struct argp_state *state)
{
	struct options *options = state->input;
	char *end;

	switch (key) {
	case 'd':
		options->seconds = strtod(word, &end);
		if (end == word || *end || !(options->seconds >= 0.1 && options->seconds <= 60))
			argp_error(state, "-d %s: 0.1 to 60 is allowed", word);
		return 0;
	case ARGP_KEY_ARG:
		if (options->line)
			argp_error(state, "%s: one LINE is enough", word);
		options->line = word;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which LINE?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void options_read(const struct argp *argp, int argc, char **argv, struct options *out)
{
	argp_err_exit_status = 2;
	argp_parse(argp, argc, argv, 0, NULL, out);
}

/*
 * Requests on the second serial line: which there are, and what each may hold. README, "The second
 * serial line", is the protocol. Pure: a line in, a request or a sentence out; tested and fuzzed.
 */
#ifndef HV_MONITOR_MONITOR_REQUEST_H
#define HV_MONITOR_MONITOR_REQUEST_H

#include "mm/base/types.h"
#include "mm/base/err.h"

#define MONITOR_VERSION       1u
#define MONITOR_LINE_BYTES    512u /* the longest request, its end not counted */
#define MONITOR_ID_BYTES      33u
#define MONITOR_PERIOD_MS     1000u /* where none is said */
#define MONITOR_PERIOD_MS_MIN 100u
#define MONITOR_PERIOD_MS_MAX 60000u

enum monitor_do {
	MONITOR_HELLO, /* an empty line too */
	MONITOR_SUBSCRIBE,
	MONITOR_UNSUBSCRIBE,
	MONITOR_COMMAND,
};

struct monitor_request {
	enum monitor_do what;
	u32 period_ms;             /* MONITOR_SUBSCRIBE */
	char *command;             /* MONITOR_COMMAND: in the line */
	char id[MONITOR_ID_BYTES]; /* the client's, as text; "" = none. Kept in errors too */
};

/*
 * Understand @line, NUL-terminated; it is written to. Returns 0; E_INVAL with @why, a few words,
 * and *out holding the id if one was understood.
 */
must_check err_t monitor_request_read(char *line, struct monitor_request *out, const char **why);

#endif

/*
 * One flat JSON object, a line of its own, written into the caller's buffer. What does not fit
 * makes the whole object void: half a line would be worse than none. Pure: tested on Linux.
 */
#ifndef HV_MONITOR_JSON_WRITE_H
#define HV_MONITOR_JSON_WRITE_H

#include "mm/base/types.h"

struct json_write {
	char *buf;
	size_t bytes, used;
	bool full; /* something did not fit */
};

/* Begin an object in @buf. */
void json_write_begin(struct json_write *j, char *buf, size_t bytes);

/* Members. @key: printable, with nothing to escape. Text may hold any bytes: those that are not
 * ASCII are taken for Latin-1. */
void json_write_u64(struct json_write *j, const char *key, u64 value);
void json_write_bool(struct json_write *j, const char *key, bool value);
void json_write_string(struct json_write *j, const char *key, const char *text);
void json_write_text(struct json_write *j, const char *key, const char *text, size_t bytes);

/* End the object and the line. Returns its length, no NUL; 0 if it did not fit. */
must_check size_t json_write_end(struct json_write *j);

#endif

/* A flat JSON object (RFC 8259), member after member. */
#include "hv/monitor/json_write.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"

static void put(struct json_write *j, const char *text, size_t bytes)
{
	if (j->full || bytes > j->bytes - j->used) {
		j->full = true;
		return;
	}
	memcpy(j->buf + j->used, text, bytes);
	j->used += bytes;
}

static void put_key(struct json_write *j, const char *key)
{
	put(j, j->used > 1 ? ",\"" : "\"", j->used > 1 ? 2 : 1);
	put(j, key, strlen(key));
	put(j, "\":", 2);
}

void json_write_begin(struct json_write *j, char *buf, size_t bytes)
{
	*j = (struct json_write){.buf = buf, .bytes = bytes};
	put(j, "{", 1);
}

void json_write_u64(struct json_write *j, const char *key, u64 value)
{
	char digits[24];

	put_key(j, key);
	put(j, digits,
		(size_t)fmt_snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value));
}

void json_write_bool(struct json_write *j, const char *key, bool value)
{
	put_key(j, key);
	put(j, value ? "true" : "false", value ? 4 : 5);
}

static void put_escaped(struct json_write *j, u8 c)
{
	char text[8];

	if (c == '"' || c == '\\')
		put(j, (const char[]){'\\', (char)c}, 2);
	else if (c == '\n')
		put(j, "\\n", 2);
	else if (c < 0x20 || c >= 0x7f)
		put(j, text, (size_t)fmt_snprintf(text, sizeof(text), "\\u%04x", c));
	else
		put(j, (char *)&c, 1);
}

void json_write_text(struct json_write *j, const char *key, const char *text, size_t bytes)
{
	put_key(j, key);
	put(j, "\"", 1);
	for (size_t i = 0; i < bytes; i++)
		put_escaped(j, (u8)text[i]);
	put(j, "\"", 1);
}

void json_write_string(struct json_write *j, const char *key, const char *text)
{
	json_write_text(j, key, text, strlen(text));
}

size_t json_write_end(struct json_write *j)
{
	put(j, "}\n", 2);
	return j->full ? 0 : j->used;
}

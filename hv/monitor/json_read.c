/* Recursion-free reader of one flat object (RFC 8259 less nesting, fractions, non-ASCII). */
#include "hv/monitor/json_read.h"
#include "mm/base/str.h"

struct reader {
	char *at;
	const char *why;
};

static char skip_space(struct reader *r)
{
	while (*r->at == ' ' || *r->at == '\t' || *r->at == '\r' || *r->at == '\n')
		r->at++;
	return *r->at;
}

static err_t refuse(struct reader *r, const char *why)
{
	r->why = why;
	return E_INVAL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Behind "\u": the character, or -1. */
static int read_code(struct reader *r)
{
	int code = 0;

	for (u32 i = 0; i < 4; i++) {
		int digit = hex_digit(*r->at);

		if (digit < 0)
			return -1;
		code = code * 16 + digit;
		r->at++;
	}
	return code;
}

/* Behind a backslash: the character that is meant, or -1. */
static int read_escape(struct reader *r)
{
	char c = *r->at;

	if (c)
		r->at++;
	switch (c) {
	case '"':
	case '\\':
	case '/':
		return c;
	case 'u':
		return read_code(r);
	default:
		return -1; /* \b \f \n \r \t are control characters, which nothing here may hold */
	}
}

/* At an opening quote. The text is never longer than what it is written over. */
static err_t read_string(struct reader *r, const char **text)
{
	char *to = ++r->at;

	*text = to;
	while (*r->at != '"') {
		int c = (u8)*r->at;

		if (c == '\0')
			return refuse(r, "a string has no end");
		r->at++;
		if (c == '\\')
			c = read_escape(r);
		if (c < 0x20 || c >= 0x7f)
			return refuse(r, "strings may hold printable ASCII only");
		*to++ = (char)c;
	}
	r->at++;
	*to = '\0';
	return E_OK;
}

static err_t read_number(struct reader *r, u64 *number)
{
	const char *first = r->at;

	for (*number = 0; *r->at >= '0' && *r->at <= '9'; r->at++) {
		if (__builtin_mul_overflow(*number, 10, number) ||
			__builtin_add_overflow(*number, (u64)(*r->at - '0'), number))
			return refuse(r, "a number is too large");
	}
	if (*first == '0' && r->at > first + 1)
		return refuse(r, "a number begins with 0");
	return E_OK;
}

static bool take_word(struct reader *r, const char *word)
{
	size_t bytes = strlen(word);

	if (strncmp(r->at, word, bytes) != 0)
		return false;
	r->at += bytes;
	return true;
}

static err_t read_value(struct reader *r, struct json_member *m)
{
	char c = skip_space(r);

	m->text = "";
	m->number = 0;
	if (c == '"') {
		m->kind = JSON_STRING;
		return read_string(r, &m->text);
	}
	if (c >= '0' && c <= '9') {
		m->kind = JSON_NUMBER;
		return read_number(r, &m->number);
	}
	m->kind = JSON_BOOL;
	m->number = 1;
	if (take_word(r, "true"))
		return E_OK;
	m->number = 0;
	if (take_word(r, "false"))
		return E_OK;
	m->kind = JSON_NULL;
	if (take_word(r, "null"))
		return E_OK;
	return refuse(r, "a value is neither a string, a whole number, true, false nor null");
}

static err_t read_member(struct reader *r, struct json_member *m)
{
	if (skip_space(r) != '"')
		return refuse(r, "a key in quotes is missing");
	err_t err = read_string(r, &m->key);

	if (err)
		return err;
	if (skip_space(r) != ':')
		return refuse(r, "a key has no \":\"");
	r->at++;
	return read_value(r, m);
}

static err_t read_members(struct reader *r, struct json_member *members, u32 most, u32 *count)
{
	if (skip_space(r) == '}')
		return E_OK;
	for (;;) {
		if (*count == most)
			return refuse(r, "too many members");
		err_t err = read_member(r, &members[*count]);

		if (err)
			return err;
		++*count;
		if (skip_space(r) == '}')
			return E_OK;
		if (*r->at++ != ',')
			return refuse(r, "members are not separated by \",\"");
	}
}

err_t json_read_object(
	char *line, struct json_member *members, u32 most, u32 *count, const char **why)
{
	struct reader r = {.at = line};
	err_t err;

	*count = 0;
	if (skip_space(&r) != '{') {
		*why = "not a JSON object";
		return E_INVAL;
	}
	r.at++;
	err = read_members(&r, members, most, count);
	if (!err) {
		r.at++;
		if (skip_space(&r) != '\0')
			err = refuse(&r, "something follows the object");
	}
	*why = r.why;
	return err;
}

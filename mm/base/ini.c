/*
 * INI text, a line at a time, in place: nothing is copied, nothing is allocated, and no byte
 * outside the text is read whatever it holds. A line that cannot be understood is reported and
 * skipped. After a bad section line the reader stands in no section, so that the keys below it are
 * not taken for those of the section above.
 */
#include "mm/base/ini.h"
#include "mm/base/err.h"

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static struct ini_str trim(struct ini_str s)
{
	while (s.bytes > 0 && is_space(s.at[0])) {
		s.at++;
		s.bytes--;
	}
	while (s.bytes > 0 && is_space(s.at[s.bytes - 1]))
		s.bytes--;
	return s;
}

static bool has_control_char(struct ini_str s)
{
	for (size_t i = 0; i < s.bytes; i++) {
		if (((u8)s.at[i] < 0x20 && s.at[i] != '\t') || s.at[i] == 0x7f)
			return true;
	}
	return false;
}

/* The leading part of s made of word characters. */
static struct ini_str leading_word(struct ini_str s)
{
	size_t n = 0;

	while (n < s.bytes && is_word_char(s.at[n]))
		n++;
	return (struct ini_str){s.at, n};
}

static struct ini_str skip_bytes(struct ini_str s, size_t n)
{
	return (struct ini_str){s.at + n, s.bytes - n};
}

static size_t find(struct ini_str s, char c)
{
	size_t n = 0;

	while (n < s.bytes && s.at[n] != c)
		n++;
	return n;
}

/* Cuts the next line off the text, without its LF or CRLF. */
static struct ini_str take_line(struct ini_reader *reader)
{
	struct ini_str rest = {reader->at, (size_t)(reader->end - reader->at)};
	struct ini_str line = {rest.at, find(rest, '\n')};

	reader->at += line.bytes < rest.bytes ? line.bytes + 1 : line.bytes;
	reader->line++;
	if (line.bytes > 0 && line.at[line.bytes - 1] == '\r')
		line.bytes--;
	return line;
}

/* s starts with '['. Returns what is wrong with it, or NULL. */
static const char *parse_section(struct ini_str s, struct ini_line *out)
{
	size_t close = find(s, ']');
	struct ini_str inside, after;

	if (close == s.bytes)
		return "']' is missing";
	inside = trim((struct ini_str){s.at + 1, close - 1});
	after = trim(skip_bytes(s, close + 1));
	if (after.bytes > 0 && after.at[0] != '#' && after.at[0] != ';')
		return "text after ']'";
	out->section = leading_word(inside);
	if (out->section.bytes == 0)
		return "a section is [word] or [word NAME]";
	inside = skip_bytes(inside, out->section.bytes);
	if (inside.bytes > 0 && !is_space(inside.at[0]))
		return "a section's first word is letters, digits, '_', '-' and '.'";
	out->name = trim(inside);
	return NULL;
}

static const char *parse_key(struct ini_str s, struct ini_line *out)
{
	size_t equals = find(s, '=');
	struct ini_str key;

	if (equals == s.bytes)
		return "neither a [section] nor key = value";
	key = trim((struct ini_str){s.at, equals});
	if (key.bytes == 0)
		return "no key before '='";
	if (leading_word(key).bytes != key.bytes)
		return "a key is letters, digits, '_', '-' and '.'";
	out->key = key;
	out->value = trim(skip_bytes(s, equals + 1));
	return NULL;
}

void ini_start(struct ini_reader *reader, const char *text, size_t bytes)
{
	static const char bom[3] = {'\xef', '\xbb', '\xbf'};

	*reader = (struct ini_reader){.at = text, .end = text + bytes};
	if (bytes >= 3 && text[0] == bom[0] && text[1] == bom[1] && text[2] == bom[2])
		reader->at += 3;
}

static struct ini_line read_line(struct ini_reader *reader, struct ini_str text)
{
	struct ini_line out = {.line = reader->line};
	bool section = text.at[0] == '[';

	if (has_control_char(text))
		out.problem = "a control character";
	else
		out.problem = section ? parse_section(text, &out) : parse_key(text, &out);
	out.kind = out.problem ? INI_BAD : section ? INI_SECTION : INI_KEY;
	if (out.problem)
		out.section = out.name = (struct ini_str){0};
	if (section) {
		reader->section = out.section;
		reader->name = out.name;
	}
	out.section = reader->section;
	out.name = reader->name;
	return out;
}

struct ini_line ini_next(struct ini_reader *reader)
{
	while (reader->at < reader->end) {
		struct ini_str text = trim(take_line(reader));

		if (text.bytes > 0 && text.at[0] != '#' && text.at[0] != ';')
			return read_line(reader, text);
	}
	return (struct ini_line){.kind = INI_END, .line = reader->line};
}

struct ini_str ini_list_next(struct ini_str *rest)
{
	while (rest->bytes > 0) {
		size_t n = find(*rest, ',');
		struct ini_str piece = trim((struct ini_str){rest->at, n});

		*rest = skip_bytes(*rest, n < rest->bytes ? n + 1 : n);
		if (piece.bytes > 0)
			return piece;
	}
	return (struct ini_str){rest->at, 0};
}

struct ini_str ini_first_word(struct ini_str s, struct ini_str *rest)
{
	size_t n = 0;

	s = trim(s);
	while (n < s.bytes && !is_space(s.at[n]))
		n++;
	*rest = trim(skip_bytes(s, n));
	return (struct ini_str){s.at, n};
}

bool ini_str_is(struct ini_str s, const char *literal)
{
	size_t i;

	for (i = 0; i < s.bytes; i++) {
		if (!literal[i] || literal[i] != s.at[i])
			return false;
	}
	return !literal[i];
}

static bool str_is_nocase(struct ini_str s, const char *literal)
{
	size_t i;

	for (i = 0; i < s.bytes; i++) {
		if (!literal[i] || literal[i] != lower(s.at[i]))
			return false;
	}
	return !literal[i];
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* Reads the number that s starts with; *rest is what follows it. */
static int leading_u64(struct ini_str s, u64 *out, struct ini_str *rest)
{
	int base = 10;
	u64 v = 0;
	size_t i;

	if (s.bytes > 2 && s.at[0] == '0' && lower(s.at[1]) == 'x') {
		base = 16;
		s = skip_bytes(s, 2);
	}
	for (i = 0; i < s.bytes && digit(s.at[i]) < base; i++) {
		if (__builtin_mul_overflow(v, (u64)base, &v) ||
			__builtin_add_overflow(v, (u64)digit(s.at[i]), &v))
			return E_RANGE;
	}
	if (i == 0)
		return E_INVAL;
	*out = v;
	*rest = skip_bytes(s, i);
	return E_OK;
}

int ini_parse_u64(struct ini_str s, u64 *out)
{
	struct ini_str rest;
	u64 v;
	int err = leading_u64(s, &v, &rest);

	if (err)
		return err;
	if (rest.bytes > 0)
		return E_INVAL;
	*out = v;
	return E_OK;
}

int ini_parse_bytes(struct ini_str s, u64 *out)
{
	static const struct {
		const char *name;
		u64 bytes;
	} units[] = {
		{"", MIB(1)},
		{"k", KIB(1)},
		{"kb", KIB(1)},
		{"kib", KIB(1)},
		{"m", MIB(1)},
		{"mb", MIB(1)},
		{"mib", MIB(1)},
		{"g", GIB(1)},
		{"gb", GIB(1)},
		{"gib", GIB(1)},
	};
	struct ini_str unit;
	u64 v;
	int err = leading_u64(s, &v, &unit);

	if (err)
		return err;
	unit = trim(unit);
	for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
		if (!str_is_nocase(unit, units[i].name))
			continue;
		if (__builtin_mul_overflow(v, units[i].bytes, &v))
			return E_RANGE;
		*out = v;
		return E_OK;
	}
	return E_INVAL;
}

int ini_parse_bool(struct ini_str s, bool *out)
{
	static const char *const yes[] = {"yes", "true", "on", "1"};
	static const char *const no[] = {"no", "false", "off", "0"};

	for (size_t i = 0; i < ARRAY_COUNT(yes); i++) {
		if (str_is_nocase(s, yes[i]) || str_is_nocase(s, no[i])) {
			*out = str_is_nocase(s, yes[i]);
			return E_OK;
		}
	}
	return E_INVAL;
}

/*
 * INI text, line by line: the one reader of bellows.conf, used by the loader (which kernels and
 * initrds to load) and by the hypervisor (everything). It knows the syntax only, not the keys.
 *
 *   # or ; comment          [section] or [section NAME]          key = value
 * Values run to the end of the line (a value may hold '#' and spaces); white space around is cut.
 * Lines end with LF or CRLF; a leading UTF-8 byte order mark is skipped. Text need not be
 * NUL-terminated.
 */
#ifndef MM_BASE_INI_H
#define MM_BASE_INI_H

#include "mm/base/types.h"

/* A piece of the text; not NUL-terminated. */
struct ini_str {
	const char *at;
	size_t bytes;
};

enum ini_kind {
	INI_END,     /* no more lines */
	INI_SECTION, /* .section = first word, .name = rest (may be empty) */
	INI_KEY,     /* .key, .value; .section/.name tell where it stands (empty before the first
			section) */
	INI_BAD,     /* .problem says what is wrong with the line; reading may go on */
};

struct ini_line {
	enum ini_kind kind;
	u32 line; /* from 1 */
	struct ini_str section, name;
	struct ini_str key, value;
	const char *problem;
};

struct ini_reader {
	const char *at, *end;
	u32 line;
	struct ini_str section, name;
};

void ini_start(struct ini_reader *reader, const char *text, size_t bytes);

/* The next meaningful line. Never fails, never reads outside the text. Cost: the line's length. */
struct ini_line ini_next(struct ini_reader *reader);

bool ini_str_is(struct ini_str s, const char *literal);

/*
 * The next piece of a list with commas, without white space around; @rest loses it. Empty pieces
 * are passed over. Returns a piece of 0 bytes at the end.
 */
struct ini_str ini_list_next(struct ini_str *rest);

/* The first word of @s; @rest gets what follows, without white space around. */
struct ini_str ini_first_word(struct ini_str s, struct ini_str *rest);

/* Decimal number, or hexadecimal with 0x, that fits 64 bits and nothing else: E_INVAL, E_RANGE. */
must_check int ini_parse_u64(struct ini_str s, u64 *out);

/*
 * A size: number with an optional unit K, M, G (1024-based, KB/KiB alike); a bare number is MiB, as
 * vSphere's sched.mem.* keys are. Result in bytes. E_INVAL, E_RANGE.
 */
must_check int ini_parse_bytes(struct ini_str s, u64 *out);

/* yes/no/true/false/on/off/1/0, any case. E_INVAL. */
must_check int ini_parse_bool(struct ini_str s, bool *out);

#endif

/*
 * printf's formatting without a C library. A format is read once, left to right; each conversion
 * becomes a struct spec and is written through a sink that counts everything and keeps what fits.
 * No allocation, no globals, no locks: may run in a panic.
 */
#include "mm/base/fmt.h"

/* Wider than any line; keeps a wild width from making the count overflow. */
#define FIELD_MAX 4096

struct sink {
	char *buf;
	size_t bytes; /* room, the NUL included */
	size_t used;  /* what was put, kept or not */
};

enum length { LEN_INT, LEN_CHAR, LEN_SHORT, LEN_LONG };

struct spec {
	bool left, zero, alt;
	int width;
	int precision; /* -1: none given */
	enum length length;
	char conversion;
};

static void put(struct sink *s, char c)
{
	if (s->used + 1 < s->bytes)
		s->buf[s->used] = c;
	s->used++;
}

static void pad(struct sink *s, char c, int count)
{
	for (; count > 0; count--)
		put(s, c);
}

static void put_text(struct sink *s, const struct spec *spec, const char *text, int bytes)
{
	if (!spec->left)
		pad(s, ' ', spec->width - bytes);
	for (int i = 0; i < bytes; i++)
		put(s, text[i]);
	if (spec->left)
		pad(s, ' ', spec->width - bytes);
}

static void put_string(struct sink *s, const struct spec *spec, const char *text)
{
	int bytes = 0;

	if (!text)
		text = "(null)";
	/* With a precision the text need not be NUL-terminated. */
	while ((spec->precision < 0 || bytes < spec->precision) && text[bytes])
		bytes++;
	put_text(s, spec, text, bytes);
}

static void put_number(
	struct sink *s, const struct spec *spec, u64 value, const char *prefix, unsigned base)
{
	const char *digits = spec->conversion == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[20]; /* 2^64 - 1 has 20 decimal digits */
	int count = 0, prefix_len = 0, zeros;

	for (u64 v = value; v; v /= base)
		text[count++] = digits[v % base];
	while (prefix[prefix_len])
		prefix_len++;
	zeros = (spec->precision >= 0 ? spec->precision : 1) - count;
	if (spec->zero && !spec->left && spec->precision < 0)
		zeros = max(zeros, spec->width - prefix_len - count);
	zeros = max(zeros, 0);
	if (!spec->left)
		pad(s, ' ', spec->width - prefix_len - zeros - count);
	for (int i = 0; i < prefix_len; i++)
		put(s, prefix[i]);
	pad(s, '0', zeros);
	for (int i = count; i > 0; i--)
		put(s, text[i - 1]);
	if (spec->left)
		pad(s, ' ', spec->width - prefix_len - zeros - count);
}

static const char *read_int(const char *p, int *out)
{
	int v = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		v = min(v * 10 + (*p - '0'), FIELD_MAX);
	*out = v;
	return p;
}

/* va_list is passed as a struct so that a callee's va_arg advances the caller's. */
struct arg_list {
	va_list v;
};

static const char *read_spec(const char *p, struct spec *spec, struct arg_list *args)
{
	*spec = (struct spec){.precision = -1};
	for (;; p++) {
		if (*p == '-')
			spec->left = true;
		else if (*p == '0')
			spec->zero = true;
		else if (*p == '#')
			spec->alt = true;
		else
			break;
	}
	if (*p == '*') {
		spec->width = va_arg(args->v, int);
		if (spec->width < 0)
			spec->left = true;
		spec->width = spec->width < -FIELD_MAX ? FIELD_MAX
			      : spec->width < 0        ? -spec->width
						       : min(spec->width, FIELD_MAX);
		p++;
	} else {
		p = read_int(p, &spec->width);
	}
	if (*p == '.') {
		p++;
		if (*p == '*') {
			spec->precision = va_arg(args->v, int);
			spec->precision =
				spec->precision < 0 ? -1 : min(spec->precision, FIELD_MAX);
			p++;
		} else {
			p = read_int(p, &spec->precision);
		}
	}
	for (; *p == 'h' || *p == 'l' || *p == 'z' || *p == 'j'; p++) {
		if (*p == 'h')
			spec->length = spec->length == LEN_SHORT ? LEN_CHAR : LEN_SHORT;
		else
			spec->length =
				LEN_LONG; /* long, long long, size_t, intmax_t: 64 bits here */
	}
	spec->conversion = *p;
	return *p ? p + 1 : p;
}

static u64 unsigned_arg(const struct spec *spec, struct arg_list *args)
{
	switch (spec->length) {
	case LEN_LONG:
		return va_arg(args->v, u64);
	case LEN_CHAR:
		return (u8)va_arg(args->v, unsigned);
	case LEN_SHORT:
		return (u16)va_arg(args->v, unsigned);
	default:
		return va_arg(args->v, unsigned);
	}
}

static s64 signed_arg(const struct spec *spec, struct arg_list *args)
{
	switch (spec->length) {
	case LEN_LONG:
		return va_arg(args->v, s64);
	case LEN_CHAR:
		return (s8)va_arg(args->v, int);
	case LEN_SHORT:
		return (s16)va_arg(args->v, int);
	default:
		return va_arg(args->v, int);
	}
}

/* Returns false where the conversion is not one of ours; nothing was taken or put then. */
static bool convert(struct sink *s, const struct spec *spec, struct arg_list *args)
{
	switch (spec->conversion) {
	case 'd':
	case 'i': {
		s64 v = signed_arg(spec, args);

		put_number(s, spec, v < 0 ? -(u64)v : (u64)v, v < 0 ? "-" : "", 10);
		return true;
	}
	case 'u':
		put_number(s, spec, unsigned_arg(spec, args), "", 10);
		return true;
	case 'x':
	case 'X': {
		u64 v = unsigned_arg(spec, args);

		put_number(s, spec, v, spec->alt && v ? "0x" : "", 16);
		return true;
	}
	case 'p':
		put_number(s, spec, (u64)(uintptr_t)va_arg(args->v, void *), "0x", 16);
		return true;
	case 'c': {
		char c = (char)va_arg(args->v, int);

		put_text(s, spec, &c, 1);
		return true;
	}
	case 's':
		put_string(s, spec, va_arg(args->v, const char *));
		return true;
	case '%':
		put(s, '%');
		return true;
	default:
		return false;
	}
}

int fmt_vsnprintf(char *buf, size_t bytes, const char *fmt, va_list args)
{
	struct sink s = {.buf = buf, .bytes = bytes};
	struct arg_list list;

	va_copy(list.v, args);
	while (*fmt) {
		struct spec spec;
		const char *start = fmt++;

		if (*start != '%') {
			put(&s, *start);
			continue;
		}
		fmt = read_spec(fmt, &spec, &list);
		if (!convert(&s, &spec, &list)) {
			for (; start < fmt; start++)
				put(&s, *start);
		}
	}
	va_end(list.v);
	if (bytes > 0)
		buf[min(s.used, bytes - 1)] = '\0';
	return (int)s.used;
}

int fmt_snprintf(char *buf, size_t bytes, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = fmt_vsnprintf(buf, bytes, fmt, args);
	va_end(args);
	return n;
}

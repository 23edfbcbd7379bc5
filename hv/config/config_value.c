/* One reader and one writer for each kind of value. */
#include "hv/config/config_value.h"
#include "hv/config/config.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"

static bool parse_percent(struct ini_str s, u64 *out)
{
	if (s.bytes > 0 && s.at[s.bytes - 1] == '%')
		s.bytes--;
	return ini_parse_u64(s, out) == 0;
}

static bool in_range(const struct key *key, u64 value)
{
	return value >= key->least && value <= key->most;
}

static bool set_text(const struct key *key, struct ini_str s, char *to)
{
	if (s.bytes < key->least || s.bytes >= key->most)
		return false;
	memcpy(to, s.at, s.bytes);
	to[s.bytes] = '\0';
	return true;
}

static bool set_amount(const struct key *key, struct ini_str s, struct config_amount *to)
{
	u64 value;

	if (s.bytes > 0 && s.at[s.bytes - 1] == '%') {
		if (!parse_percent(s, &value) || value > 100)
			return false;
		/* 0% is no bytes, whatever the memory. */
		*to = (struct config_amount){.pct = (u32)value};
		return true;
	}
	if (ini_parse_bytes(s, &value) != 0 || !in_range(key, value))
		return false;
	*to = (struct config_amount){.bytes = value};
	return true;
}

static bool set_shares(const struct key *key, struct ini_str s, u64 *to, u32 *per_mib)
{
	u64 value;

	static const struct {
		const char *word;
		u32 per_mib;
	} levels[] = {{"low", 5}, {"normal", 10}, {"high", 20}};

	for (u32 i = 0; i < ARRAY_COUNT(levels); i++) {
		if (ini_str_is(s, levels[i].word)) {
			*per_mib = levels[i].per_mib;
			return true;
		}
	}
	if (ini_parse_u64(s, &value) != 0 || !in_range(key, value))
		return false;
	*to = value;
	*per_mib = 0;
	return true;
}

static bool set_word(const struct key *key, struct ini_str s, u32 *to)
{
	for (u32 i = 0; i < ARRAY_COUNT(key->words); i++) {
		if (ini_str_is(s, key->words[i])) {
			*to = i;
			return true;
		}
	}
	return false;
}

static bool set_number(const struct key *key, u64 value, u32 *to)
{
	if (!in_range(key, value))
		return false;
	*to = (u32)value;
	return true;
}

bool config_value_set(const struct key *key, struct ini_str s, void *to, u32 *shares_per_mib)
{
	bool flag;
	u64 value;

	switch (key->kind) {
	case KIND_BOOL:
		if (ini_parse_bool(s, &flag) != 0)
			return false;
		*(bool *)to = flag;
		return true;
	case KIND_NUMBER:
		return ini_parse_u64(s, &value) == 0 && set_number(key, value, to);
	case KIND_PERCENT:
		return parse_percent(s, &value) && set_number(key, value, to);
	case KIND_SIZE:
		if (ini_parse_bytes(s, &value) != 0 || !in_range(key, value) ||
			!IS_ALIGNED(value, PAGE_BYTES))
			return false;
		*(u64 *)to = value;
		return true;
	case KIND_TEXT:
		return set_text(key, s, to);
	case KIND_AMOUNT:
		return set_amount(key, s, to);
	case KIND_SHARES:
		return set_shares(key, s, to, shares_per_mib);
	case KIND_WORD:
		return set_word(key, s, to);
	}
	return false;
}

/* In the largest unit that tells it exactly. */
static void print_size(u64 value, char *text, size_t bytes)
{
	static const struct {
		u64 bytes;
		char letter;
	} units[] = {{GIB(1), 'G'}, {MIB(1), 'M'}, {1024, 'K'}};
	u32 i = 0;

	while (i < ARRAY_COUNT(units) - 1 && (value == 0 || value % units[i].bytes != 0))
		i++;
	fmt_snprintf(text, bytes, "%llu%c", (unsigned long long)(value / units[i].bytes),
		units[i].letter);
}

static void print_amount(const struct config_amount *amount, char *text, size_t bytes)
{
	if (amount->pct)
		fmt_snprintf(text, bytes, "%u%%", amount->pct);
	else
		print_size(amount->bytes, text, bytes);
}

void config_value_print(const struct key *key, const void *from, char *text, size_t bytes)
{
	switch (key->kind) {
	case KIND_BOOL:
		fmt_snprintf(text, bytes, "%s", *(const bool *)from ? "yes" : "no");
		return;
	case KIND_NUMBER:
		fmt_snprintf(text, bytes, "%u", *(const u32 *)from);
		return;
	case KIND_PERCENT:
		fmt_snprintf(text, bytes, "%u%%", *(const u32 *)from);
		return;
	case KIND_SIZE:
		print_size(*(const u64 *)from, text, bytes);
		return;
	case KIND_TEXT:
		fmt_snprintf(text, bytes, "%s", (const char *)from);
		return;
	case KIND_AMOUNT:
		print_amount(from, text, bytes);
		return;
	case KIND_SHARES:
		fmt_snprintf(text, bytes, "%llu", (unsigned long long)*(const u64 *)from);
		return;
	case KIND_WORD:
		fmt_snprintf(text, bytes, "%s", key->words[*(const u32 *)from]);
		return;
	}
}

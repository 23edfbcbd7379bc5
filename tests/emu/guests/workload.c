/*
 * The memory workload's core: content, checksums, and the order of operations.
 *
 * A written page starts with one header line: its index, its version and a checksum. The checksum
 * is a sum of one hash a line, finished with index, version and owner. So a rewrite of one line
 * costs two line hashes and not a page, and yet any wrong byte, a page of another address, a page
 * of another guest, and an older version of the same page (versions are also kept beside the pages)
 * are all noticed. Zero pages have no header: they must simply be zero.
 */
#include "tests/emu/guests/workload.h"

#define PAGE_WORDS     (WORKLOAD_PAGE_BYTES / 8)
#define LINE_WORDS     (WORKLOAD_LINE_BYTES / 8)
#define LINES_PER_PAGE (WORKLOAD_PAGE_BYTES / WORKLOAD_LINE_BYTES)

/* The header line, in words; the rest of the line is content like any other. */
#define HEADER_INDEX   0
#define HEADER_VERSION 1
#define HEADER_CHECK   2

/* Of a compressible line's eight words this many are random; chosen so that LZ4 reaches 3:1. */
#define COMPRESSIBLE_RANDOM_WORDS 2

/* Pages of one kind repeat with this period: 5 + 5 + 6 + 4 of 20. */
#define MIX_PERIOD 20u

#define ZIPF_ONE (1ull << 40) /* the weight of rank 1 */

static uint64_t mix64(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15ull;
	x ^= x >> 29;
	x *= 0xd6e8feb86659fd93ull;
	x ^= x >> 32;
	return x;
}

static uint64_t random_next(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ull;
	return mix64(*state);
}

/* A number below @bound without a division: the high half of a product. */
static uint64_t random_below(uint64_t *state, uint64_t bound)
{
	return (uint64_t)(((unsigned __int128)random_next(state) * bound) >> 64);
}

/* log2(x) for x >= 1, with 32 fractional bits, by repeated squaring of the mantissa. */
static uint64_t log2_fixed(uint32_t x)
{
	uint32_t whole = 31 - (uint32_t)__builtin_clz(x);
	uint64_t mantissa = (uint64_t)x << (63 - whole); /* in [1, 2), 63 fractional bits */
	uint64_t fraction = 0;

	for (int bit = 31; bit >= 0; bit--) {
		unsigned __int128 square = (unsigned __int128)mantissa * mantissa;

		if (square >> 127) {
			fraction |= 1ull << bit;
			mantissa = (uint64_t)(square >> 64);
		} else {
			mantissa = (uint64_t)(square >> 63);
		}
	}
	return ((uint64_t)whole << 32) | fraction;
}

/* ZIPF_ONE * 2^-x for x with 32 fractional bits: the integer part shifts, the rest is a series. */
static uint64_t exp2_negative(uint64_t x)
{
	const uint64_t ln2 = 0xb17217f8ull; /* 32 fractional bits */
	uint64_t y = ((x & 0xffffffffull) * ln2) >> 32;
	uint64_t term = 1ull << 32, sum_even = 0, sum_odd = 0;

	for (uint32_t k = 1; term; k++) {
		if (k & 1)
			sum_even += term;
		else
			sum_odd += term;
		term = ((term * y) >> 32) / k;
	}
	return ((sum_even - sum_odd) * (ZIPF_ONE >> 32)) >> (x >> 32);
}

/* rank^-0.99, rank counted from 1. */
static uint64_t zipf_weight(uint32_t rank)
{
	return exp2_negative(log2_fixed(rank) * 99 / 100);
}

static uint64_t line_hash(const uint64_t *line, uint32_t line_index)
{
	uint64_t hash = 0xa0761d6478bd642full * (line_index + 1);

	/* Each step is a bijection of the hash and the word: no single wrong word goes unseen. */
	for (uint32_t i = 0; i < LINE_WORDS; i++) {
		hash = (hash ^ line[i]) * 0x9fb21c651e98df25ull;
		hash ^= hash >> 29;
	}
	return hash;
}

static uint64_t page_sum(const uint64_t *page)
{
	/* The header line counts as if its check word were zero. */
	uint64_t header[LINE_WORDS], sum;

	for (uint32_t i = 0; i < LINE_WORDS; i++)
		header[i] = page[i];
	header[HEADER_CHECK] = 0;
	sum = line_hash(header, 0);
	for (uint32_t i = 1; i < LINES_PER_PAGE; i++)
		sum += line_hash(page + i * LINE_WORDS, i);
	return sum;
}

static uint64_t check_of(uint64_t sum, uint64_t owner, uint32_t page, uint32_t version)
{
	return mix64(sum ^ mix64(owner ^ mix64(((uint64_t)page << 32) | version)));
}

/* Whose page it is: the guest's, or nobody's where all guests hold the same. */
static uint64_t owner_of(const struct workload *w, enum workload_class class)
{
	return class == WORKLOAD_IDENTICAL ? 0 : w->seed;
}

static void line_write(uint64_t *line, enum workload_class class, uint64_t *state)
{
	uint32_t random_words =
		class == WORKLOAD_COMPRESSIBLE ? COMPRESSIBLE_RANDOM_WORDS : LINE_WORDS;

	for (uint32_t i = 0; i < random_words; i++)
		line[i] = random_next(state);
	for (uint32_t i = random_words; i < LINE_WORDS; i++)
		line[i] = 0x0101010101010101ull * i;
}

static uint64_t *page_at(const struct workload *w, uint32_t page)
{
	return (uint64_t *)(void *)(w->pages + (uint64_t)page * WORKLOAD_PAGE_BYTES);
}

void workload_fill_page(struct workload *w, uint32_t page)
{
	enum workload_class class = workload_class_of(w, page);
	uint64_t owner = owner_of(w, class);
	uint64_t state = mix64(owner + 1) ^ mix64(page);
	uint64_t *words = page_at(w, page);

	w->versions[page] = 0;
	if (class == WORKLOAD_ZERO) {
		for (uint32_t i = 0; i < PAGE_WORDS; i++)
			words[i] = 0;
		return;
	}
	for (uint32_t i = 0; i < LINES_PER_PAGE; i++)
		line_write(words + i * LINE_WORDS, class, &state);
	words[HEADER_INDEX] = page;
	words[HEADER_VERSION] = 0;
	words[HEADER_CHECK] = check_of(page_sum(words), owner, page, 0);
}

/* Verify one page; @sum gets its sum of lines, for the rewrite that may follow. */
static bool page_verify(struct workload *w, uint32_t page, uint64_t *sum)
{
	enum workload_class class = workload_class_of(w, page);
	const uint64_t *words = page_at(w, page);
	bool good;

	if (class == WORKLOAD_ZERO) {
		uint64_t any = 0;

		for (uint32_t i = 0; i < PAGE_WORDS; i++)
			any |= words[i];
		*sum = 0;
		good = any == 0;
	} else {
		*sum = page_sum(words);
		good = words[HEADER_CHECK] ==
		       check_of(*sum, owner_of(w, class), page, w->versions[page]);
	}
	if (!good && w->wrong_count++ == 0)
		w->wrong_page = page;
	return good;
}

static void page_rewrite(struct workload *w, uint32_t page, uint64_t sum)
{
	enum workload_class class = workload_class_of(w, page);
	uint64_t *words = page_at(w, page);
	uint32_t line_index = 1 + (uint32_t)random_below(&w->random_state, LINES_PER_PAGE - 1);
	uint64_t *line = words + line_index * LINE_WORDS;
	uint64_t header[LINE_WORDS];
	uint32_t version = ++w->versions[page];

	for (uint32_t i = 0; i < LINE_WORDS; i++)
		header[i] = words[i];
	header[HEADER_CHECK] = 0;
	sum -= line_hash(header, 0) + line_hash(line, line_index);
	line_write(line, class, &w->random_state);
	header[HEADER_VERSION] = words[HEADER_VERSION] = version;
	sum += line_hash(header, 0) + line_hash(line, line_index);
	words[HEADER_CHECK] = check_of(sum, owner_of(w, class), page, version);
	w->writes_count++;
}

uint64_t workload_table_bytes(uint32_t page_count)
{
	return (uint64_t)page_count * (sizeof(uint64_t) + 2 * sizeof(uint32_t));
}

void workload_init(struct workload *w, enum workload_profile profile, uint64_t seed, void *pages,
	uint32_t page_count, void *tables)
{
	uint64_t total = 0;

	*w = (struct workload){
		.profile = profile,
		.seed = seed,
		.page_count = page_count,
		.pages = pages,
		.zipf = tables,
		.random_state = mix64(seed),
	};
	w->order = (uint32_t *)(w->zipf + page_count);
	w->versions = w->order + page_count;
	for (uint32_t i = 0; i < page_count; i++) {
		total += zipf_weight(i + 1);
		w->zipf[i] = total;
		w->order[i] = i;
		w->versions[i] = 0;
	}
	for (uint32_t i = page_count; i > 1; i--) {
		uint32_t j = (uint32_t)random_below(&w->random_state, i);
		uint32_t swap = w->order[i - 1];

		w->order[i - 1] = w->order[j];
		w->order[j] = swap;
	}
}

enum workload_class workload_class_of(const struct workload *w, uint32_t page)
{
	uint32_t place = page % MIX_PERIOD;

	if (w->profile == WORKLOAD_UNIQUE)
		return WORKLOAD_RANDOM;
	if (place < 5)
		return WORKLOAD_ZERO;
	if (place < 10)
		return WORKLOAD_IDENTICAL;
	if (place < 16)
		return WORKLOAD_COMPRESSIBLE;
	return WORKLOAD_RANDOM;
}

void workload_fill(struct workload *w)
{
	for (uint32_t page = 0; page < w->page_count; page++)
		workload_fill_page(w, page);
}

uint32_t workload_pick_page(struct workload *w)
{
	uint64_t point = random_below(&w->random_state, w->zipf[w->page_count - 1]);
	uint32_t low = 0, high = w->page_count - 1;

	/* The first rank whose cumulative weight exceeds the point. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (w->zipf[middle] > point)
			high = middle;
		else
			low = middle + 1;
	}
	return w->order[low];
}

bool workload_op(struct workload *w)
{
	uint32_t page = workload_pick_page(w);
	enum workload_class class = workload_class_of(w, page);
	uint64_t sum;

	w->ops_count++;
	if (!page_verify(w, page, &sum)) {
		workload_fill_page(w, page);
		return false;
	}
	if (class == WORKLOAD_COMPRESSIBLE || class == WORKLOAD_RANDOM)
		page_rewrite(w, page, sum);
	return true;
}

uint32_t workload_verify_all(struct workload *w)
{
	uint32_t wrong = 0;
	uint64_t sum;

	for (uint32_t page = 0; page < w->page_count; page++)
		wrong += !page_verify(w, page, &sum);
	return wrong;
}

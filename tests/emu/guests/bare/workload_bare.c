/*
 * The memory workload in a bare guest: the same core, arguments and report as the Linux program's
 * (workload_linux.c), so that a scenario can use either. It needs only what lies above its own
 * image.
 */
#include "hv/abi/pvclock.h"
#include "tests/emu/guests/bare/bare.h"
#include "tests/emu/guests/workload.h"

#define OPS_PER_LOOK 64
#define NS_PER_CS    10000000u

static struct pvclock_time clock_page __attribute__((aligned(64)));

static uint64_t tsc(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static void clock_start(void)
{
	uint64_t value = (uintptr_t)&clock_page | 1;

	asm volatile("wrmsr" ::"c"(PVCLOCK_MSR_SYSTEM_TIME), "a"((uint32_t)value),
		     "d"((uint32_t)(value >> 32))
		     : "memory");
}

static uint64_t clock_ns(void)
{
	const volatile struct pvclock_time *c = &clock_page;
	uint64_t delta = tsc() - c->tsc_timestamp;

	delta = c->tsc_shift < 0 ? delta >> -c->tsc_shift : delta << c->tsc_shift;
	return c->system_time + (uint64_t)(((unsigned __int128)delta * c->tsc_to_system_mul) >> 32);
}

static _Noreturn void fail(const char *why)
{
	print("WORKLOAD FAIL ");
	print(why);
	print("\n");
	power_off();
}

static void run_ops(struct workload *w, uint64_t ops, uint64_t end_ns)
{
	while (ops == 0 || w->ops_count < ops) {
		if (end_ns && w->ops_count % OPS_PER_LOOK == 0 && clock_ns() >= end_ns)
			break;
		workload_op(w);
	}
}

/* Until somebody types: meanwhile memory stays as it is, and can be looked at from outside. */
static void wait_for_key(void)
{
	print("WORKLOAD waiting\n");
	while (!key_pressed()) {
		for (uint32_t i = 0; i < 20000; i++)
			asm volatile("pause");
	}
}

/* Verify everything, write to everything, verify again. @wait: when no page is like another. */
static void overwrite(struct workload *w, bool wait)
{
	enum workload_profile profile = w->profile;

	workload_verify_all(w);
	w->profile = WORKLOAD_UNIQUE;
	workload_fill(w);
	if (wait)
		wait_for_key();
	workload_verify_all(w);
	/* Again as it was. */
	w->profile = profile;
	workload_fill(w);
}

static void report(const struct workload *w, uint64_t mib, uint64_t ns)
{
	bool ok = w->wrong_count == 0;

	print(ok ? "WORKLOAD ok profile=" : "WORKLOAD FAIL profile=");
	print(w->profile == WORKLOAD_UNIQUE ? "unique" : "mixed");
	print_number(" mib=", mib);
	print_number(" ops=", w->ops_count);
	print_number(" writes=", w->writes_count);
	print_number(" seconds=", ns / (100ull * NS_PER_CS));
	print_number(ns / NS_PER_CS % 100 < 10 ? ".0" : ".", ns / NS_PER_CS % 100);
	print_number(" wrong=", w->wrong_count);
	if (!ok)
		print_number(" first=", w->wrong_page);
	print("\n");
}

void workload_run(const struct bare_boot *boot, const char *arguments)
{
	const char *profile = list_value(arguments, "profile");
	uint64_t mib = list_number(arguments, "mib", 64);
	uint64_t ops = list_number(arguments, "ops", 0);
	uint64_t seconds = list_number(arguments, "seconds", 0);
	uint32_t page_count = (uint32_t)(mib << 20 >> 12);
	uint64_t corrupt = list_number(arguments, "corrupt", page_count);
	uint8_t *pages = free_memory(boot);
	uint8_t *tables = pages + (uint64_t)page_count * PAGE_BYTES;
	struct workload w;
	uint64_t start;

	if (ops == 0 && seconds == 0)
		fail("arguments: ops or seconds must be given");
	if (profile && !is_word(profile, "mixed") && !is_word(profile, "unique"))
		fail("arguments: profile=unique|mixed");
	if (mib >= 1u << 20 ||
		(uintptr_t)tables + workload_table_bytes(page_count) > boot->memory_end)
		fail("no memory");
	clock_start();
	start = clock_ns();
	workload_init(&w, profile && is_word(profile, "unique") ? WORKLOAD_UNIQUE : WORKLOAD_MIXED,
		list_number(arguments, "seed", 1), pages, page_count, tables);
	workload_fill(&w);
	if (corrupt < page_count)
		w.pages[corrupt * WORKLOAD_PAGE_BYTES + 1234] ^= 1;
	run_ops(&w, ops, seconds ? start + seconds * 100 * NS_PER_CS : 0);
	if (list_number(arguments, "wait", 0))
		wait_for_key();
	if (list_number(arguments, "overwrite", 0))
		overwrite(&w, list_number(arguments, "wait", 0) > 1);
	workload_verify_all(&w);
	report(&w, mib, clock_ns() - start);
	power_off();
}

/* Guest accesses through per-CPU translation caches: see fake_guest.h. */
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_platform.h"
#include "mm/space/space_entry.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS       512u
#define TOLD_MAX    5u
#define KICK_YIELDS 1000u
#define FAULT_TRIES 4

struct translation {
	const struct tlb_domain *domain; /* the tag; NULL = empty */
	u64 gfn;                         /* first page */
	u64 pages;                       /* 1 or 512 */
	u64 pfn;
	u32 rights;
	bool dirty; /* a write has set D already */
};

struct cpu {
	struct space *running;
	bool being_kicked;
	u32 kick_wanted; /* [a] threaded mode */
	struct translation cache[SLOTS];
	u64 *serials; /* of the frames behind a slot: index slot * 512 + page */
	u64 hits, walks, kicks;
};

static struct cpu cpus[FAKE_CPUS_MAX];
static u64 violations; /* [a] */
static bool threaded;
static u32 unflushed;
static void (*before_leave)(u32 cpu);

static struct cpu *here(void)
{
	return &cpus[platform_cpu_id()];
}

static void violation(const char *what, const struct translation *t, gpa_t gpa)
{
	if (__atomic_add_fetch(&violations, 1, __ATOMIC_RELAXED) <= TOLD_MAX)
		fprintf(stderr, "CPU %u, gpa %#llx through cached page %#llx -> frame %#llx: %s\n",
			platform_cpu_id(), (unsigned long long)gpa.v, (unsigned long long)t->gfn,
			(unsigned long long)t->pfn, what);
}

static u32 slot_of(const struct tlb_domain *domain, u64 gfn)
{
	return (u32)((gfn ^ gfn >> 9 ^ (uintptr_t)domain >> 12) % SLOTS);
}

static struct translation *slot_find(const struct tlb_domain *domain, u64 gfn, u64 pages)
{
	struct translation *t = &here()->cache[slot_of(domain, gfn)];

	return t->domain == domain && t->gfn == gfn && t->pages == pages ? t : NULL;
}

static struct translation *cache_find(const struct tlb_domain *domain, u64 gfn)
{
	struct translation *t = slot_find(domain, gfn, 1);

	return t ? t
		 : slot_find(domain, ALIGN_DOWN(gfn, (u64)REGION_PAGE_COUNT), REGION_PAGE_COUNT);
}

static u64 *serial_of(const struct translation *t, u64 page)
{
	return &here()->serials[(u64)(t - here()->cache) * REGION_PAGE_COUNT + page];
}

static void cache_fill(struct space *space, u64 gfn, u64 pages, pfn_t pfn, u32 rights, bool dirty)
{
	struct translation *t = &here()->cache[slot_of(&space->tlb, gfn)];

	u64 region = ALIGN_DOWN(gfn, (u64)REGION_PAGE_COUNT);

	/* Some CPUs machine-check when two sizes meet in their cache (SDM, "iTLB multihit"). */
	if (pages == 1 && slot_find(&space->tlb, region, REGION_PAGE_COUNT))
		violation("a small page beside the large one around it", t, gfn_to_gpa(GFN(gfn)));
	*t = (struct translation){&space->tlb, gfn, pages, pfn.v, rights, dirty};
	for (u64 i = 0; i < pages; i++)
		*serial_of(t, i) = fake_frame_serial(PFN(pfn.v + i));
}

static void cache_flush(const struct tlb_domain *domain)
{
	for (u32 i = 0; i < SLOTS; i++) {
		if (here()->cache[i].domain == domain)
			here()->cache[i].domain = NULL;
	}
}

/* --- In and out --- */

static void enter(struct space *space)
{
	if (here()->running == space)
		return;
	fake_guest_leave();
	if (tlb_enter(&space->tlb))
		cache_flush(&space->tlb);
	here()->running = space;
}

void fake_guest_leave(void)
{
	struct space *space = here()->running;

	if (!space)
		return;
	here()->running = NULL;
	tlb_leave(&space->tlb);
}

void fake_guest_leave_all(void)
{
	u32 cpu = platform_cpu_id();

	for (u32 i = 0; i < platform_cpu_count(); i++) {
		fake_cpu_set(i);
		fake_guest_leave();
	}
	fake_cpu_set(cpu);
}

static void kick(u32 cpu)
{
	u32 from = platform_cpu_id();

	__atomic_add_fetch(&cpus[cpu].kicks, 1, __ATOMIC_RELAXED);
	if (threaded) {
		__atomic_store_n(&cpus[cpu].kick_wanted, 1, __ATOMIC_RELEASE);
		/* Let its thread run, where there are fewer real CPUs than fake ones. */
		for (u32 i = 0; i < KICK_YIELDS &&
				__atomic_load_n(&cpus[cpu].kick_wanted, __ATOMIC_RELAXED);
			i++)
			sched_yield();
		return;
	}
	fake_cpu_set(cpu);
	here()->being_kicked = true;
	if (before_leave)
		before_leave(cpu);
	here()->being_kicked = false;
	fake_guest_leave();
	fake_cpu_set(from);
}

void fake_guest_poll(void)
{
	if (__atomic_exchange_n(&here()->kick_wanted, 0, __ATOMIC_ACQUIRE))
		fake_guest_leave();
}

void fake_guest_start(void)
{
	for (u32 i = 0; i < FAKE_CPUS_MAX; i++) {
		u64 *serials = cpus[i].serials;

		memset(&cpus[i], 0, sizeof(cpus[i]));
		cpus[i].serials =
			serials ? serials : malloc(SLOTS * REGION_PAGE_COUNT * sizeof(*serials));
	}
	violations = 0;
	threaded = false;
	unflushed = 0;
	before_leave = NULL;
	fake_on_kick(kick);
}

/* --- Accesses --- */

/* One level of a walk: set A (and D), or fail if the entry vanished meanwhile. */
static bool entry_mark(u64 *entry, u64 seen, u64 bits)
{
	while ((seen & bits) != bits) {
		if (__atomic_compare_exchange_n(
			    entry, &seen, seen | bits, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			break;
		if (seen == 0)
			return false;
	}
	return true;
}

/* The hardware's walk. False: a fault. */
static bool walk(struct space *space, u64 gfn, u32 access)
{
	const struct slat_format *f = space->format;
	u64 *table = platform_frame_va(space->root);

	here()->walks++;
	for (u32 level = 4;; level--) {
		u64 *entry = &table[slat_index(GFN(gfn), level)];
		u64 value = slat_load(entry);
		bool leaf = level == 1 || (level == 2 && slat_is_large(f, value));

		if (!slat_is_present(f, value))
			return false;
		if (leaf) {
			u64 pages = level == 1 ? 1 : REGION_PAGE_COUNT;
			bool write = access & SLAT_WRITE;
			u64 bits = f->accessed_bit | (write ? f->dirty_bit : 0);

			/* Where hardware keeps no such bits, nothing makes a write walk again. */
			if (space->no_dirty_bits)
				bits = 0;

			if (access & ~slat_rights(f, value))
				return false;
			if (!entry_mark(entry, value, bits))
				return false;
			cache_fill(space, ALIGN_DOWN(gfn, pages), pages, slat_pfn(f, value),
				slat_rights(f, value),
				write || space->no_dirty_bits || (value & f->dirty_bit));
			return true;
		}
		if (!space->no_dirty_bits && !entry_mark(entry, value, f->accessed_bit))
			return false;
		table = platform_frame_va(slat_pfn(f, value));
	}
}

/* Do the tables still give what the cache says? */
static bool still_so(struct space *space, const struct translation *t, u64 gfn)
{
	pfn_t frame;
	u64 leaf = space_leaf(space, GFN(gfn), &frame);

	bool large = slat_is_large(space->format, slat_load(space_region_entry(space, GFN(gfn))));

	return frame.v == t->pfn + (gfn - t->gfn) && large == (t->pages != 1) &&
	       (t->rights & ~slat_rights(space->format, leaf)) == 0;
}

/* Whole words as hardware would, for other CPUs look at them meanwhile. */
static void words_move(u64 *at, u64 *data, u32 count, bool write)
{
	for (u32 i = 0; i < count; i++) {
		if (write)
			__atomic_store_n(&at[i], data[i], __ATOMIC_RELAXED);
		else
			data[i] = __atomic_load_n(&at[i], __ATOMIC_RELAXED);
	}
}

/* Use a cached translation. Returns whether it was sound. */
static bool cached_use(
	struct space *space, struct translation *t, gpa_t gpa, u32 access, void *data, u32 bytes)
{
	u64 gfn = gpa_to_gfn(gpa).v, page = gfn - t->gfn;
	pfn_t frame = PFN(t->pfn + page);

	if (*serial_of(t, page) != fake_frame_serial(frame)) {
		violation("the frame was freed", t, gpa);
		return false;
	}
	if (!threaded && !here()->being_kicked && (access & ~unflushed) &&
		!still_so(space, t, gfn)) {
		violation("the tables say otherwise", t, gpa);
		return false;
	}
	char *at = (char *)platform_frame_va(frame) + gpa.v % PAGE_BYTES;

	if (bytes % 8 == 0)
		words_move((u64 *)(void *)at, data, bytes / 8, access & SLAT_WRITE);
	else if (access & SLAT_WRITE)
		memcpy(at, data, bytes);
	else
		memcpy(data, at, bytes);
	return true;
}

bool fake_guest_access_cached(struct space *space, gpa_t gpa, u32 access, void *data, u32 bytes)
{
	struct translation *t = cache_find(&space->tlb, gpa_to_gfn(gpa).v);

	if (here()->running != space || !t || (access & ~t->rights) ||
		((access & SLAT_WRITE) && !t->dirty))
		return false;
	return cached_use(space, t, gpa, access, data, bytes);
}

enum fault_result fake_guest_access(
	struct space *space, gpa_t gpa, u32 access, void *data, u32 bytes)
{
	u64 gfn = gpa_to_gfn(gpa).v;

	for (int i = 0; i < FAULT_TRIES; i++) {
		if (threaded)
			fake_guest_poll();
		enter(space);
		struct translation *t = cache_find(&space->tlb, gfn);

		if (t && (access & ~t->rights) == 0 && (!(access & SLAT_WRITE) || t->dirty)) {
			here()->hits++;
			cached_use(space, t, gpa, access, data, bytes);
			return FAULT_DONE;
		}
		/* A cached translation that denies faults without a walk. */
		if ((!t || (access & ~t->rights) == 0) && walk(space, gfn, access)) {
			t = cache_find(&space->tlb, gfn);
			cached_use(space, t, gpa, access, data, bytes);
			return FAULT_DONE;
		}
		/* A fault also drops the translation that was tried. */
		if (t)
			t->domain = NULL;
		fake_guest_leave();
		enum fault_result result = fault_handle(space, gpa, access);

		if (result != FAULT_DONE)
			return result;
	}
	fprintf(stderr, "gpa %#llx: faults without end\n", (unsigned long long)gpa.v);
	abort();
}

struct space *fake_guest_running(u32 cpu)
{
	return cpus[cpu].running;
}

void fake_guest_before_leave(void (*act)(u32 cpu))
{
	before_leave = act;
}

void fake_guest_threaded(bool on)
{
	threaded = on;
}

void fake_guest_unflushed(u32 access)
{
	unflushed = access;
}

u64 fake_guest_violations(void)
{
	return __atomic_load_n(&violations, __ATOMIC_RELAXED);
}

static u64 sum_over_cpus(size_t offset)
{
	u64 sum = 0;

	for (u32 i = 0; i < FAKE_CPUS_MAX; i++)
		sum += *(u64 *)((char *)&cpus[i] + offset);
	return sum;
}

u64 fake_guest_hits(void)
{
	return sum_over_cpus(offsetof(struct cpu, hits));
}

u64 fake_guest_walks(void)
{
	return sum_over_cpus(offsetof(struct cpu, walks));
}

u64 fake_guest_kicks(void)
{
	return sum_over_cpus(offsetof(struct cpu, kicks));
}

void *fake_guest_look(const struct space *space, gfn_t gfn)
{
	pfn_t frame;

	u64 leaf = space_leaf(space, gfn, &frame);

	if (!slat_is_present(space->format, leaf) && slat_state(space->format, leaf) == PAGE_HIDDEN)
		frame = PFN(slat_payload(leaf));
	return pfn_is_none(frame) ? NULL : platform_frame_va(frame);
}

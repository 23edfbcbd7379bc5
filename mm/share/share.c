/*
 * Scanning: passes over a space, in slices of bounded work.
 *
 * A pass's first phase clears D in all entries and then flushes once, so that D tells from there on
 * what was written; where it finds D set it also takes SEEN away. SEEN without D therefore means:
 * these bytes were hashed, and stand in the index as a hint, if there was room, or were refused.
 * Such a page costs reading its entry, but for its turn to be hashed again. D is a hint all the
 * same: it saves hashing, and decides nothing (share_merge.c). A pinned page keeps its D, for a
 * device that writes it sets none.
 */
#include "mm/share/share_scan.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/share/share_hash.h"
#include "mm/space/space_entry.h"
#include "mm/space/space_registry.h"

#define HASH_WORK      64u /* hashing a page, in entries looked at */
#define PREFETCH_BYTES 1024u
#define LOOK_WORK      (8u * HASH_WORK) /* between looks at the clock */

static struct {
	struct spinlock lock;
	bool keyed;               /* [I] */
	struct share_key key;     /* [I] */
	u64 hash_mask;            /* [I] */
	struct share_batch batch; /* [scan] */
} share = {.lock = SPINLOCK(LOCK_RANK_SHARE_SCAN)};

err_t share_init(void)
{
	spin_init(&share.lock, LOCK_RANK_SHARE_SCAN);
	space_registry_init();
	share.keyed = share_key_draw(&share.key) == E_OK;
	share.hash_mask = ~0ull;
	share.batch.count = 0;
	return share_index_init();
}

bool share_is_keyed(void)
{
	return share.keyed;
}

#ifdef BELLOWS_HOST
void share_test_hooks(void (*act)(enum share_step step), u32 hash_bits)
{
	share_batch_test_act(act);
	share.hash_mask = hash_bits ? ~0ull << (64 - hash_bits) : ~0ull;
}
#endif

struct share_id share_identify(const struct space *space, pfn_t frame, bool *zero)
{
	const void *page = platform_frame_va(frame);
	struct share_id id = {0, share_salt(space)};

	if (share.keyed)
		id.hash = share_hash_page(&share.key, page, zero) & share.hash_mask;
	else
		*zero = share_page_is_zero(page);
	return id;
}

bool share_scan_is_spent(struct share_slice *scan)
{
	u64 work = scan->done.hashed * HASH_WORK + scan->done.visited;

	if (scan->done.hashed >= scan->hash_most)
		return true;
	if (work < scan->look_at)
		return false;
	/* Once it is, it stays so, whoever asks. */
	if (platform_now_ns() >= scan->end_ns)
		return true;
	scan->look_at = work + LOOK_WORK;
	return false;
}

/* --- Sweeping D bits ------------------------------------------------------------------------- */

/* Region held. */
static void entry_sweep(struct space *space, u64 *entry)
{
	const struct slat_format *f = space->format;
	u64 leaf = slat_load(entry);

	if (!slat_is_present(f, leaf) || slat_state(f, leaf) != PAGE_PRIVATE)
		return;
	if (!(leaf & f->dirty_bit)) {
		/* A page table that nobody walks any more may be none. */
		if (leaf & SLAT_WALKED)
			slat_clear_bits(entry, SLAT_WALKED);
		return;
	}
	if (frame_pin_count(slat_pfn(f, leaf)) == 0)
		slat_clear_bits(entry, f->dirty_bit | SLAT_SEEN);
	else
		slat_clear_bits(entry, SLAT_SEEN);
}

static void region_sweep(struct space *space, u64 first)
{
	gfn_t gfn = space_page_gfn(space, first);

	spin_lock(space_region_lock(space, gfn));
	u64 *region = space_region_entry(space, gfn);
	u64 *entries = space_page_entry(space, gfn);

	share_gain_forget(space, gfn);
	for (u64 i = 0; entries && i < space_region_end(space, first) - first; i++)
		entry_sweep(space, &entries[i]);
	if (slat_is_large(space->format, slat_load(region)))
		entry_sweep(space, region);
	spin_unlock(space_region_lock(space, gfn));
}

static void phase_begin(struct space *space, enum share_phase phase)
{
	__atomic_store_n(&space->share.phase, phase, __ATOMIC_RELAXED);
	space->share.next_page = 0;
	space->share.hints_now = 0;
}

static void sweep_some(struct space *space, struct share_slice *scan)
{
	struct space_share *s = &space->share;

	while (s->next_page < space->page_count && !share_scan_is_spent(scan)) {
		region_sweep(space, s->next_page);
		scan->done.visited += space_region_end(space, s->next_page) - s->next_page;
		s->next_page = space_region_end(space, s->next_page);
	}
	if (s->next_page >= space->page_count) {
		tlb_flush(&space->tlb);
		phase_begin(space, SHARE_PHASE_SCAN);
	}
}

/* --- Looking at pages ------------------------------------------------------------------------ */

/* Region held. Is it one to be hashed? Counts why not. */
static bool is_candidate(struct space *space, u64 leaf, u64 seen, struct share_slice *scan)
{
	const struct slat_format *f = space->format;

	if (!slat_is_present(f, leaf) || slat_state(f, leaf) != PAGE_PRIVATE ||
		!(leaf & f->write_bit))
		return false;
	if (leaf & f->dirty_bit) {
		share_refuse(space, SHARE_REFUSED_WRITTEN);
		return false;
	}
	if (leaf & seen) {
		scan->unchanged++;
		return false;
	}
	if (frame_pin_count(slat_pfn(f, leaf))) {
		share_refuse(space, SHARE_REFUSED_PINNED);
		return false;
	}
	if (leaf & SLAT_WALKED) {
		share_refuse(space, SHARE_REFUSED_WALKED);
		return false;
	}
	return true;
}

bool share_look_up(struct space *space, pfn_t frame, struct share_candidate *c)
{
	bool zero;

	c->frame = frame;
	c->hint_number = 0;
	c->id = share_identify(space, frame, &zero);
	space_count(space, share_hashed, 1);
	if (zero) {
		c->kind = SHARE_TARGET_ZERO;
		return true;
	}
	if (!share.keyed)
		return false;
	switch (share_index_find(c->id, frame, &c->target)) {
	case SHARE_FOUND_SHARED:
		c->kind = SHARE_TARGET_SHARED;
		return true;
	case SHARE_FOUND_HINT:
		c->kind = SHARE_TARGET_HINT;
		return true;
	default:
		space->share.hints_now++;
		return false;
	}
}

/* Region held. True: it has become the batch's newest. */
static bool page_scan(
	struct space *space, gfn_t gfn, u64 *entry, u64 seen, struct share_slice *scan)
{
	const struct slat_format *f = space->format;
	u64 leaf = slat_load(entry);
	struct share_candidate *c = &share.batch.pages[share.batch.count];

	scan->done.visited++;
	if (!is_candidate(space, leaf, seen, scan))
		return false;
	scan->done.hashed++;
	/* Before the look at the bytes: what is written after it sets D. */
	if (!space->no_dirty_bits)
		slat_set_bits(entry, SLAT_SEEN);
	c->gfn = gfn;
	if (!share_look_up(space, slat_pfn(f, leaf), c))
		return false;
	slat_clear_bits(entry, f->write_bit | SLAT_SEEN);
	share.batch.count++;
	return true;
}

/* Frames lie anywhere: bring the next page's first lines while this one is hashed. */
static void page_prefetch(const struct space *space, u64 leaf, u64 seen)
{
	const struct slat_format *f = space->format;

	if (!slat_is_present(f, leaf) || (leaf & (f->dirty_bit | seen)))
		return;
	const char *page = platform_frame_va(slat_pfn(f, leaf));

	for (u32 at = 0; at < PREFETCH_BYTES; at += CACHE_LINE_BYTES)
		__builtin_prefetch(page + at);
}

/* Some pages of a region of small ones. */
static void small_scan(struct space *space, struct share_slice *scan)
{
	struct space_share *s = &space->share;
	u64 end = space_region_end(space, s->next_page);
	gfn_t gfn = space_page_gfn(space, s->next_page);
	struct spinlock *lock = space_region_lock(space, gfn);
	u64 seen = share_passed_by(space, gfn);
	bool found = false;

	spin_lock(lock);
	u64 *entry = space_page_entry(space, gfn);

	if (!entry) {
		s->next_page = end;
		scan->done.visited++; /* a region that is absent as a whole */
	}
	while (!found && s->next_page < end && !share_scan_is_spent(scan)) {
		page_prefetch(space,
			gfn.v % REGION_PAGE_COUNT < REGION_PAGE_COUNT - 1 ? slat_load(&entry[1])
									  : 0,
			seen);
		found = page_scan(space, gfn, entry, seen, scan);
		s->next_page++;
		gfn.v++;
		entry++;
	}
	spin_unlock(lock);

	/* Without this region's lock: the other page may lie in any. */
	if (found && share.batch.pages[share.batch.count - 1].kind == SHARE_TARGET_HINT)
		share_hint_protect(space, &share.batch.pages[share.batch.count - 1]);
}

static bool is_large_here(struct space *space)
{
	gfn_t gfn = space_page_gfn(space, space->share.next_page);

	spin_lock(space_region_lock(space, gfn));
	bool large = slat_is_large(space->format, slat_load(space_region_entry(space, gfn)));

	spin_unlock(space_region_lock(space, gfn));
	return large;
}

/* Until the batch is full, the slice is spent, or the pass ends. */
static void scan_some(struct space *space, struct share_slice *scan)
{
	struct space_share *s = &space->share;
	u64 visited = scan->done.visited, unchanged = scan->unchanged;

	while (s->next_page < space->page_count && share.batch.count < SHARE_BATCH_PAGES &&
		!share_scan_is_spent(scan)) {
		if (is_large_here(space))
			share_scan_large(space, scan);
		else
			small_scan(space, scan);
	}
	space_count(space, share_visited, scan->done.visited - visited);
	space_count(space, share_unchanged, scan->unchanged - unchanged);
	s->hints_now += scan->unchanged - unchanged;
	if (s->next_page >= space->page_count) {
		__atomic_store_n(&s->hints, s->hints_now, __ATOMIC_RELAXED);
		__atomic_fetch_add(&s->passes, 1, __ATOMIC_RELAXED);
		phase_begin(space, SHARE_PHASE_SWEEP);
		scan->done.pass_ended = true;
	}
}

/* --- Slices ---------------------------------------------------------------------------------- */

static void slice(struct space *space, struct share_slice *scan)
{
	switch (space->share.phase) {
	case SHARE_PHASE_UNSHARE:
		if (share_unshare_some(space, scan->end_ns, &scan->done.no_memory))
			phase_begin(space, SHARE_PHASE_SWEEP);
		break;
	case SHARE_PHASE_SWEEP:
		sweep_some(space, scan);
		break;
	case SHARE_PHASE_SCAN:
		scan_some(space, scan);
		break;
	}
}

struct share_progress share_scan(struct space *space, u64 hash_most, u64 most_ns)
{
	u64 start = platform_now_ns();
	struct share_slice scan = {
		.hash_most = hash_most, .end_ns = start + most_ns, .look_at = LOOK_WORK};
	u32 number = space->number;
	u64 serial = space->serial;

	if (!spin_trylock(&share.lock))
		return scan.done;
	share.batch.number = number;
	share.batch.serial = serial;
	do {
		/* Held for a step only: a VM can end between any two. */
		space = space_hold(number, serial);
		if (!space)
			break;
		if (share_salt(space) == 0 && space->share.phase != SHARE_PHASE_UNSHARE)
			scan.done.pass_ended = true;
		else
			slice(space, &scan);
		space_release(space);
		share_batch_finish(&share.batch);
	} while (!scan.done.pass_ended && !scan.done.no_memory && scan.done.hashed < hash_most &&
		 platform_now_ns() < scan.end_ns);
	space = space_hold(number, serial);
	if (space) {
		space_count(space, share_ns, platform_now_ns() - start);
		space_release(space);
	}
	spin_unlock(&share.lock);
	return scan.done;
}

void share_set_salt(struct space *space, u32 salt)
{
	spin_lock(&share.lock);
	if (share_salt(space) != salt) {
		__atomic_store_n(&space->share.salt, salt, __ATOMIC_RELAXED);
		phase_begin(space, SHARE_PHASE_UNSHARE);
	}
	spin_unlock(&share.lock);
}

/*
 * Slots. Each has a word: its contents' checksum, what becomes of it, and the page it was written
 * for. Words are looked at under the file's lock only; chunks of 512 say how many of theirs are
 * free, so that a search passes over full ones.
 */
#include "mm/swap/swap_file.h"
#include "mm/swap/swap_directory.h"
#include "mm/swap/swap_io.h"
#include "mm/swap/swap_trim.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/base/check.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"

#define SEARCH_WORDS                                                                               \
	4096u /* looked at for a run of the wanted length, before the longest is taken */

/* A slot's word; 0: free. */
#define WORD_GFN_MASK  BITS(27, 0)
#define WORD_REGION    BITS(27, 9) /* the 2 MiB that the page lies in */
#define WORD_USED      BIT(28)
#define WORD_OBJECT    BIT(29)
#define WORD_BUSY      BIT(30)
#define WORD_DOOMED    BIT(31) /* busy, and free when that is over */
#define WORD_SUM_SHIFT 32
#define WORD_SUM_MASK  BITS(63, WORD_SUM_SHIFT)

static u64 div_up(u64 a, u64 b)
{
	return (a + b - 1) / b;
}

static u64 *word_of(const struct swap_file *file, u64 slot)
{
	CHECK(slot < file->slot_count);
	return &file->chunks[slot / SWAP_CHUNK_SLOTS].words[slot % SWAP_CHUNK_SLOTS];
}

/* Read without the lock, too. */
static void count_used(struct swap_file *file, s64 more)
{
	__atomic_store_n(&file->used, file->used + (u64)more, __ATOMIC_RELAXED);
}

static void free_word(struct swap_file *file, u64 slot)
{
	*word_of(file, slot) = 0;
	file->chunks[slot / SWAP_CHUNK_SLOTS].free++;
	count_used(file, -1);
}

/* --- Making and ending ------------------------------------------------------------------------ */

/* Frames of the struct and its chunks. */
static u64 struct_frames(u64 slots)
{
	return div_up(sizeof(struct swap_file) +
			      div_up(slots, SWAP_CHUNK_SLOTS) * sizeof(struct swap_chunk),
		PAGE_BYTES);
}

u64 swap_file_overhead_frames(u64 slots)
{
	return struct_frames(slots) + div_up(slots, SWAP_CHUNK_SLOTS);
}

static void free_frames(struct swap_file *file)
{
	for (u64 i = 0; i < file->chunk_count && file->chunks[i].words; i++)
		frame_free(platform_va_frame(file->chunks[i].words));
	frame_free_run(platform_va_frame(file), file->frame_count);
}

u32 swap_file_chunk_slots(const struct swap_file *file, u64 chunk)
{
	return (u32)min((u64)SWAP_CHUNK_SLOTS, file->slot_count - chunk * SWAP_CHUNK_SLOTS);
}

static err_t make_chunks(struct swap_file *file)
{
	for (u64 i = 0; i < file->chunk_count; i++) {
		pfn_t words = frame_alloc_zeroed(FRAME_HV);

		if (pfn_is_none(words))
			return E_NOMEM;
		file->chunks[i] = (struct swap_chunk){
			platform_frame_va(words), swap_file_chunk_slots(file, i), true};
	}
	return 0;
}

static struct swap_file *make(struct swap_volume *volume, const char *name, u64 slots)
{
	pfn_t run = frame_alloc_run(FRAME_HV, struct_frames(slots));
	struct swap_file *file;

	if (pfn_is_none(run))
		return NULL;
	file = platform_frame_va(run);
	fmt_snprintf(file->name, sizeof(file->name), "%s", name);
	file->volume = volume;
	file->slot_count = slots;
	file->frame_count = struct_frames(slots);
	file->chunk_count = div_up(slots, SWAP_CHUNK_SLOTS);
	file->chunks = (struct swap_chunk *)(file + 1);
	spin_init(&file->lock, LOCK_RANK_SWAP);
	list_init(&file->in_volume);
	list_init(&file->under_way);
	if (make_chunks(file)) {
		free_frames(file);
		return NULL;
	}
	return file;
}

static bool is_name_used(const char *name)
{
	for (struct swap_volume *v = swap_volume_first(); v; v = v->next) {
		if (swap_directory_has(v, name))
			return true;
	}
	return false;
}

err_t swap_file_create(
	struct swap_volume *volume, const char *name, u64 slots, struct swap_file **out)
{
	struct swap_file *file;
	err_t err;

	if (!swap_volume_is_usable(volume))
		return E_IO;
	if (slots == 0 || strnlen(name, SWAP_NAME_BYTES) == SWAP_NAME_BYTES)
		return E_INVAL;
	if (is_name_used(name))
		return E_EXIST;
	/* Before so many words are made. */
	if (slots > volume->slot_count)
		return E_LIMIT;
	file = make(volume, name, slots);
	if (!file)
		return E_NOMEM;
	err = swap_directory_add(file);
	if (err) {
		free_frames(file);
		return err;
	}
	swap_trim(file);
	*out = file;
	return 0;
}

void swap_file_drop_hold(struct swap_file *file)
{
	bool last;

	spin_lock(&file->lock);
	file->holds--;
	last = file->abandoned && file->holds == 0;
	spin_unlock(&file->lock);
	if (last) {
		swap_directory_remove(file);
		free_frames(file);
	}
}

/* A done() that began before its I/O could be orphaned runs on another CPU, and not for long. */
static void wait_for_deliveries(struct swap_file *file)
{
	while (__atomic_load_n(&file->delivering, __ATOMIC_ACQUIRE))
		__builtin_ia32_pause();
}

void swap_file_abandon(struct swap_file *file)
{
	struct swap_io *io;

	swap_directory_forget_name(file);
	spin_lock(&file->lock);
	list_for_each_entry (io, &file->under_way, in_file)
		io->orphaned = true;
	file->holds++;
	file->abandoned = true;
	spin_unlock(&file->lock);
	wait_for_deliveries(file);
	swap_file_drop_hold(file);
}

/* --- Places ----------------------------------------------------------------------------------- */

/* The extent that @slot lies in; *@first: the extent's first slot, as the file counts. */
static const struct swap_extent *extent_of(const struct swap_file *file, u64 slot, u64 *first)
{
	*first = 0;
	for (u32 i = 0; i < file->extent_count; i++) {
		const struct swap_extent *extent = &file->extents[i];

		if (slot - *first < extent->count)
			return extent;
		*first += extent->count;
	}
	CHECK(!"a slot lies in an extent");
	return NULL;
}

u64 swap_file_volume_slot(const struct swap_file *file, u64 slot)
{
	u64 first;
	const struct swap_extent *extent = extent_of(file, slot, &first);

	return extent->first + (slot - first);
}

bool swap_file_is_one_piece(const struct swap_file *file, u64 slot, u32 count)
{
	u64 first;
	const struct swap_extent *extent = extent_of(file, slot, &first);

	return slot + count <= first + extent->count;
}

u64 swap_file_used(const struct swap_file *file)
{
	return __atomic_load_n(&file->used, __ATOMIC_RELAXED);
}

/* --- Taking and freeing slots ----------------------------------------------------------------- */

/* A search for free slots side by side, from file->next once round. */
struct search {
	struct swap_file *file;
	u64 at, extent_end;
	u32 run;       /* free slots that end before .at */
	u32 best;      /* the longest run so far, */
	u64 best_slot; /* and where it begins */
};

static void move_to(struct search *s, u64 slot)
{
	const struct swap_extent *extent;

	if (slot == s->file->slot_count)
		slot = 0;
	if (slot == 0 || slot >= s->extent_end) {
		extent = extent_of(s->file, slot, &s->extent_end);
		s->extent_end += extent->count;
		s->run = 0;
	}
	s->at = slot;
}

static void look(struct search *s)
{
	if (*word_of(s->file, s->at)) {
		s->run = 0;
	} else if (++s->run > s->best) {
		s->best = s->run;
		s->best_slot = s->at + 1 - s->run;
	}
	move_to(s, s->at + 1);
}

static void find_run(struct search *s, u32 wanted)
{
	struct swap_file *file = s->file;
	u64 passed = 0;
	u32 looked = 0;

	s->extent_end = 0;
	move_to(s, file->next);
	while (passed < file->slot_count && s->best < wanted &&
		(!s->best || looked < SEARCH_WORDS)) {
		u64 chunk = s->at / SWAP_CHUNK_SLOTS;

		if (file->chunks[chunk].free) {
			looked++;
			passed++;
			look(s);
		} else {
			u64 end = min((chunk + 1) * SWAP_CHUNK_SLOTS, file->slot_count);

			passed += end - s->at;
			s->run = 0;
			move_to(s, end);
		}
	}
}

static void take(struct swap_file *file, u64 slot, struct swap_page *page)
{
	CHECK(page->bytes == PAGE_BYTES || page->bytes <= SWAP_OBJECT_BYTES_MAX);
	*word_of(file, slot) = WORD_USED | (page->gfn.v & WORD_GFN_MASK) |
			       (page->bytes == PAGE_BYTES ? 0 : WORD_OBJECT);
	file->chunks[slot / SWAP_CHUNK_SLOTS].free--;
	file->chunks[slot / SWAP_CHUNK_SLOTS].stale = true;
	count_used(file, 1);
	page->slot = slot;
}

err_t swap_slots_take(struct swap_file *file, struct swap_io *io)
{
	u32 wanted = min(io->page_count, file->volume->cluster_pages);
	struct search search = {.file = file};

	CHECK(wanted > 0 && wanted <= SWAP_CLUSTER_PAGES);
	if (!swap_volume_is_usable(file->volume))
		return E_IO;
	spin_lock(&file->lock);
	find_run(&search, wanted);
	for (u32 i = 0; i < search.best; i++)
		take(file, search.best_slot + i, &io->pages[i]);
	if (search.best)
		file->next = (search.best_slot + search.best) % file->slot_count;
	spin_unlock(&file->lock);
	if (search.best == 0)
		return E_LIMIT;
	io->page_count = search.best;
	return 0;
}

void swap_slot_free(struct swap_file *file, u64 slot)
{
	u64 *word = word_of(file, slot), chunk = slot / SWAP_CHUNK_SLOTS;
	bool all_free;

	spin_lock(&file->lock);
	CHECK((*word & WORD_USED) && !(*word & WORD_DOOMED));
	if (*word & WORD_BUSY)
		*word |= WORD_DOOMED;
	else
		free_word(file, slot);
	all_free = file->chunks[chunk].free == swap_file_chunk_slots(file, chunk);
	spin_unlock(&file->lock);
	if (all_free)
		swap_trim(file);
}

/* Of a slot that is in use. */
static u64 used_word(struct swap_file *file, u64 slot)
{
	u64 word;

	spin_lock(&file->lock);
	word = *word_of(file, slot);
	spin_unlock(&file->lock);
	CHECK(word & WORD_USED);
	return word;
}

bool swap_slot_is_object(struct swap_file *file, u64 slot)
{
	return (used_word(file, slot) & WORD_OBJECT) != 0;
}

bool swap_slot_is_busy(struct swap_file *file, u64 slot)
{
	return (used_word(file, slot) & WORD_BUSY) != 0;
}

static bool is_readable(u64 word)
{
	return (word & (WORD_USED | WORD_BUSY)) == WORD_USED;
}

/* Both readable, if one is, and of one region. */
static bool is_akin(u64 word, u64 other)
{
	return ((word ^ other) & (WORD_REGION | WORD_USED | WORD_BUSY)) == 0;
}

void swap_neighbours(struct swap_file *file, u64 slot, u32 most, struct swap_run *out)
{
	u64 low, chunk = ALIGN_DOWN(slot, (u64)SWAP_CHUNK_SLOTS);
	const struct swap_extent *extent = extent_of(file, slot, &low);
	const u64 *word = word_of(file, slot), *first = word, *end = word;

	most = min(most, file->volume->cluster_pages);
	CHECK(most > 0);
	const u64 *highest = word + (min(low + extent->count, chunk + SWAP_CHUNK_SLOTS) - slot);
	const u64 *lowest = word - (slot - max(low, chunk));

	spin_lock(&file->lock);
	CHECK(is_readable(*word));
	while (end < highest && end < word + most && is_akin(*end, *word))
		end++;
	while (first > lowest && end < first + most && is_akin(first[-1], *word))
		first--;
	out->first = slot - (u64)(word - first);
	out->count = (u32)(end - first);
	for (u32 i = 0; i < out->count; i++)
		out->gfns[i] = GFN(first[i] & WORD_GFN_MASK);
	spin_unlock(&file->lock);
}

/* --- I/O begins and ends ---------------------------------------------------------------------- */

void swap_file_begin(struct swap_file *file, struct swap_io *io, bool write)
{
	spin_lock(&file->lock);
	for (u32 i = 0; i < io->page_count; i++) {
		struct swap_page *page = &io->pages[i];
		u64 *word = word_of(file, page->slot);

		CHECK(is_readable(*word));
		if (write) {
			*word = (*word & ~WORD_SUM_MASK) | (u64)io->sums[i] << WORD_SUM_SHIFT;
		} else {
			io->sums[i] = (u32)(*word >> WORD_SUM_SHIFT);
			page->bytes = *word & WORD_OBJECT ? 0 : PAGE_BYTES;
		}
		*word |= WORD_BUSY;
	}
	io->orphaned = false;
	list_add_tail(&file->under_way, &io->in_file);
	file->holds++;
	spin_unlock(&file->lock);
}

void swap_file_end(struct swap_file *file, struct swap_io *io)
{
	bool write = io->request.op == BLK_WRITE;

	spin_lock(&file->lock);
	for (u32 i = 0; i < io->page_count; i++) {
		u64 *word = word_of(file, io->pages[i].slot);

		if ((*word & WORD_DOOMED) || (write && io->pages[i].result))
			free_word(file, io->pages[i].slot);
		else
			*word &= ~WORD_BUSY;
	}
	list_remove(&io->in_file);
	if (!io->orphaned)
		__atomic_store_n(&file->delivering, file->delivering + 1, __ATOMIC_RELAXED);
	spin_unlock(&file->lock);
}

void swap_file_delivered(struct swap_file *file, bool orphaned)
{
	if (!orphaned) {
		spin_lock(&file->lock);
		__atomic_store_n(&file->delivering, file->delivering - 1, __ATOMIC_RELEASE);
		spin_unlock(&file->lock);
	}
	swap_file_drop_hold(file);
}

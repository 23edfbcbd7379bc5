/* Chunks on their way to be deallocated: see swap_trim.h. */
#include "mm/swap/swap_trim.h"
#include "mm/stats.h"

#define SEARCH_CHUNKS 256u

static bool is_possible(const struct swap_volume *volume)
{
	const struct blk_device *blk = volume->blk;

	return blk->can_deallocate &&
	       blk->blocks_most >= SWAP_CHUNK_SLOTS * (PAGE_BYTES / blk->block_bytes) &&
	       !__atomic_load_n(&volume->deallocate_failed, __ATOMIC_RELAXED);
}

/* Not in use, not the last free ones, and for one command. */
static bool is_due(const struct swap_file *file, u64 chunk)
{
	u32 slots = swap_file_chunk_slots(file, chunk);

	return file->chunks[chunk].stale && file->chunks[chunk].free == slots &&
	       file->slot_count - file->used > slots &&
	       swap_file_is_one_piece(file, chunk * SWAP_CHUNK_SLOTS, slots);
}

/* Take a chunk out of the search. False: there is none, or one is out already. */
static bool take_out(struct swap_file *file)
{
	bool found = false;

	spin_lock(&file->lock);
	if (!file->trimming && !file->abandoned) {
		for (u32 i = 0; i < SEARCH_CHUNKS && i < file->chunk_count && !found; i++) {
			file->trim_chunk = (file->trim_chunk + 1) % file->chunk_count;
			found = is_due(file, file->trim_chunk);
		}
	}
	if (found) {
		file->chunks[file->trim_chunk].free = 0;
		file->trimming = true;
		file->holds++;
	}
	spin_unlock(&file->lock);
	return found;
}

static void put_back(struct swap_file *file, bool is_deallocated)
{
	struct swap_chunk *chunk = &file->chunks[file->trim_chunk];

	spin_lock(&file->lock);
	chunk->free = swap_file_chunk_slots(file, file->trim_chunk);
	chunk->stale = !is_deallocated;
	file->trimming = false;
	spin_unlock(&file->lock);
}

static void trimmed(struct blk_request *request)
{
	struct swap_file *file = request->context;
	struct swap_volume *volume = file->volume;
	u32 slots = swap_file_chunk_slots(file, file->trim_chunk);

	if (request->result) {
		__atomic_store_n(&volume->deallocate_failed, true, __ATOMIC_RELAXED);
	} else {
		stats_add(&file->stats.deallocated, slots);
		stats_add(&volume->stats.deallocated, slots);
	}
	put_back(file, !request->result);
	swap_trim(file);
	swap_file_drop_hold(file);
}

void swap_trim(struct swap_file *file)
{
	if (!is_possible(file->volume) || !take_out(file))
		return;
	file->trim = (struct blk_request){.op = BLK_DEALLOCATE, .done = trimmed, .context = file};
	if (swap_volume_submit(file->volume, &file->trim,
		    swap_file_volume_slot(file, file->trim_chunk * SWAP_CHUNK_SLOTS),
		    swap_file_chunk_slots(file, file->trim_chunk))) {
		put_back(file, false);
		swap_file_drop_hold(file);
	}
}

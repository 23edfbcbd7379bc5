/* Listing what disks there are. The only place that waits for a disk is disks_init(), at boot. */
#include "hv/disk/disks.h"
#include "drivers/nvme_pci.h"
#include "hv/console/console.h"
#include "hv/vm/vm_disk.h"
#include "hv/x86/cpu.h"
#include "hv/x86/paging.h"
#include "hv/x86/time.h"
#include "mm/base/fmt.h"
#include "mm/base/log.h"
#include "mm/base/str.h"
#include "mm/platform.h"

#define BLOCK_BYTES_MOST 4096u

typedef unsigned long long ull;

struct disk {
	struct disk *next;
	struct blk_device *blk;
	const char *why; /* there are no partitions, or NULL */
	bool from_backup;
	u32 partition_count;
	struct disk_partition *partitions;
};

static struct disk *disks, **disks_end = &disks; /* [I] after disks_init() */

/* --- Reading at boot -------------------------------------------------------------------------- */

static void note_done(struct blk_request *request)
{
	*(bool *)request->context = true;
}

/* The driver ends every request in bounded time, so this ends. */
static err_t read_once(struct blk_device *blk, u64 block, u32 count, hpa_t at)
{
	struct blk_segment segment = {at, count * blk->block_bytes};
	bool over = false;
	struct blk_request request = {
		.op = BLK_READ,
		.block = block,
		.block_count = count,
		.segments = &segment,
		.segment_count = 1,
		.done = note_done,
		.context = &over,
	};
	err_t err = blk_submit(blk, &request);

	if (err)
		return err;
	while (!over)
		blk_poll(blk, time_now_ns());
	return request.result;
}

static err_t read_blocks(struct blk_device *blk, u64 block, u64 count, void *to)
{
	u64 at = pfn_to_hpa(platform_va_frame(to)).v;

	while (count) {
		u32 some = (u32)min(count, (u64)(blk->transfer_bytes / blk->block_bytes));
		err_t err = read_once(blk, block, some, HPA(at));

		if (err)
			return err;
		block += some;
		count -= some;
		at += (u64)some * blk->block_bytes;
	}
	return 0;
}

/* The table that one header leads to: its entries, in memory that the caller frees. */
static err_t read_table(
	struct blk_device *blk, u64 at, void *block, struct gpt *gpt, void **entries, u64 *bytes)
{
	err_t err = read_blocks(blk, at, 1, block);

	if (!err)
		err = gpt_read_header(block, blk->block_bytes, at, blk->block_count, gpt);
	if (err)
		return err;
	*bytes = ALIGN_UP((u64)gpt->entries_bytes, (u64)blk->block_bytes);
	*entries = kmem_alloc(*bytes);
	if (!*entries)
		return E_NOMEM;
	err = read_blocks(blk, gpt->entries_block, *bytes / blk->block_bytes, *entries);
	if (!err)
		err = gpt_check_entries(gpt, *entries);
	if (err)
		kmem_free(*entries, *bytes);
	return err;
}

static u32 count_entries(const struct gpt *gpt, const void *entries)
{
	struct gpt_partition partition;
	u32 count = 0;

	for (u32 i = 0; i < gpt->entry_count; i++) {
		err_t err = gpt_read_entry(gpt, entries, i, &partition);

		count += err == 0;
		if (err == E_CORRUPT)
			log_warn("disks: partition %u lies where none can be, and is left out",
				i + 1);
	}
	return count;
}

static void keep_partitions(struct disk *disk, const struct gpt *gpt, const void *entries)
{
	u32 count = count_entries(gpt, entries);

	if (count == 0)
		return;
	disk->partitions = kmem_alloc(count * sizeof(*disk->partitions));
	if (!disk->partitions) {
		disk->why = "no memory for its partitions";
		return;
	}
	for (u32 i = 0; i < gpt->entry_count && disk->partition_count < count; i++) {
		struct disk_partition *p = &disk->partitions[disk->partition_count];

		if (gpt_read_entry(gpt, entries, i, &p->gpt))
			continue;
		p->blk = disk->blk;
		p->number = i + 1;
		disk->partition_count++;
	}
}

static void read_partitions(struct disk *disk, void *block)
{
	struct blk_device *blk = disk->blk;
	void *entries = NULL;
	u64 bytes = 0;
	struct gpt gpt;
	err_t err = read_table(blk, GPT_PRIMARY_BLOCK, block, &gpt, &entries, &bytes);

	if (err) {
		err_t backup = read_table(
			blk, GPT_BACKUP_BLOCK(blk->block_count), block, &gpt, &entries, &bytes);

		if (backup) {
			disk->why = err == E_NOTFOUND ? "no partition table" : err_name(err);
			return;
		}
		disk->from_backup = true;
		log_warn("%s: its first partition table is bad (%s); the backup is used", blk->name,
			err_name(err));
	}
	keep_partitions(disk, &gpt, entries);
	kmem_free(entries, bytes);
}

static void add_disk(struct blk_device *blk, void *block)
{
	struct disk *disk = kmem_alloc(sizeof(*disk));

	if (!disk) {
		log_warn("%s: no memory to list it", blk->name);
		return;
	}
	disk->blk = blk;
	read_partitions(disk, block);
	log_info("%s: %u partition%s%s%s", blk->name, disk->partition_count,
		disk->partition_count == 1 ? "" : "s", disk->why ? ": " : "",
		disk->why ? disk->why : "");
	*disks_end = disk;
	disks_end = &disk->next;
}

void disks_init(void)
{
	struct nvme_controller *c;
	void *block;

	nvme_pci_init();
	if (!nvme_pci_first())
		return;
	block = kmem_alloc(BLOCK_BYTES_MOST);
	if (!block) {
		log_warn("disks: no memory to read partition tables");
		return;
	}
	for (c = nvme_pci_first(); c; c = c->next) {
		for (u32 i = 0; i < nvme_namespace_count(c->nvme); i++)
			add_disk(nvme_namespace(c->nvme, i), block);
	}
	kmem_free(block, BLOCK_BYTES_MOST);
}

/* --- Running ---------------------------------------------------------------------------------- */

bool disks_turn(u64 now)
{
	struct cpu *cpu = this_cpu();
	u64 count = 0;

	for (struct nvme_controller *c = nvme_pci_first(); c; c = c->next)
		count += nvme_turn(c->nvme, now, cpu->id == 0);
	cpu->disk_requests += count;
	return count != 0;
}

bool disks_must_poll(void)
{
	for (struct nvme_controller *c = nvme_pci_first(); c; c = c->next) {
		if (nvme_must_poll(c->nvme))
			return true;
	}
	return false;
}

static void partition_name(const struct disk_partition *p, char *out, size_t bytes)
{
	fmt_snprintf(out, bytes, "%sp%u", p->blk->name, p->number);
}

/* However its letters are written. */
static bool is_guid(const char *text, const struct guid *guid)
{
	char own[GPT_TEXT_BYTES];
	u32 i;

	guid_text(guid, own);
	for (i = 0; own[i] && text[i]; i++) {
		char c = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] - 'A' + 'a') : text[i];

		if (c != own[i])
			return false;
	}
	return own[i] == text[i];
}

static bool is_called(const struct disk_partition *p, const char *name)
{
	char numbered[32];

	partition_name(p, numbered, sizeof(numbered));
	return strcmp(p->gpt.name, name) == 0 || strcmp(numbered, name) == 0 ||
	       is_guid(name, &p->gpt.id);
}

const struct disk_partition *disks_find(const char *name, const char **why)
{
	const struct disk_partition *found = NULL;

	for (const struct disk *disk = disks; disk; disk = disk->next) {
		for (u32 i = 0; i < disk->partition_count; i++) {
			if (!is_called(&disk->partitions[i], name))
				continue;
			if (found) {
				*why = "more than one partition has that name";
				return NULL;
			}
			found = &disk->partitions[i];
		}
	}
	if (!found)
		*why = "no such partition";
	return found;
}

const struct disk_partition *disks_find_type(const struct guid *type, u32 nth)
{
	for (const struct disk *disk = disks; disk; disk = disk->next) {
		for (u32 i = 0; i < disk->partition_count; i++) {
			if (guid_equal(&disk->partitions[i].gpt.type, type) && nth-- == 0)
				return &disk->partitions[i];
		}
	}
	return NULL;
}

/* --- disks ------------------------------------------------------------------------------------ */

static void print_controller(const struct nvme_controller *c)
{
	const struct nvme *n = c->nvme;
	struct nvme_stats s = nvme_stats(n);
	u32 version = nvme_version(n);

	console_printf("%s  %02x:%02x.%u  %s, serial %s, NVMe %u.%u: %s%s%s\n", nvme_name(n),
		PCI_BUS(c->bdf), PCI_DEVICE(c->bdf), PCI_FUNCTION(c->bdf), nvme_model(n),
		nvme_serial(n), version >> 16, version >> 8 & 0xff, nvme_state_name(nvme_state(n)),
		nvme_state(n) == NVME_DEAD ? ": " : "",
		nvme_state(n) == NVME_DEAD ? nvme_why(n) : "");
	console_printf("    %u queue%s of %u, %s, %llu interrupts\n", nvme_queue_count(n),
		nvme_queue_count(n) == 1 ? "" : "s", nvme_queue_depth(n), c->interrupts,
		(ull)nvme_interrupt_count(n));
	for (u32 i = 0; c->bus.is_steered && i < nvme_queue_count(n); i++) {
		struct nvme_pair_stats pair = nvme_pair_stats(n, i);

		console_printf("    queue %u, of CPU %u: %llu completions, %llu interrupts\n",
			i + 1, nvme_pci_pair_cpu(i, nvme_queue_count(n)), (ull)pair.completions,
			(ull)pair.interrupts);
	}
	console_printf("    requests: %llu done, %llu failed; commands: %llu retried, %llu late, "
		       "%llu aborted; %llu resets, %llu senseless completions\n",
		(ull)s.completed, (ull)s.failed, (ull)s.retried, (ull)s.timed_out, (ull)s.aborted,
		(ull)s.resets, (ull)s.bad_completions);
}

static void print_partition(const struct disk_partition *p)
{
	const char *type = gpt_type_name(&p->gpt.type);
	char name[32], guid[GPT_TEXT_BYTES];

	partition_name(p, name, sizeof(name));
	guid_text(&p->gpt.type, guid);
	console_printf("    %-12s %8llu MiB at block %-10llu %-16s %s\n", name,
		(ull)(p->gpt.block_count * p->blk->block_bytes >> 20), (ull)p->gpt.first_block,
		p->gpt.name, type ? type : guid);
	vm_disk_print(p);
}

static void print_disk(const struct disk *disk)
{
	console_printf("  %s  %llu MiB, %llu blocks of %u bytes%s%s%s\n", disk->blk->name,
		(ull)(disk->blk->block_count * disk->blk->block_bytes >> 20),
		(ull)disk->blk->block_count, disk->blk->block_bytes,
		disk->from_backup ? ", backup partition table" : "", disk->why ? ", " : "",
		disk->why ? disk->why : "");
	for (u32 i = 0; i < disk->partition_count; i++)
		print_partition(&disk->partitions[i]);
}

void command_disks(u32 count, char **words)
{
	(void)count;
	(void)words;
	if (!nvme_pci_first())
		console_printf("no disks: there is no NVMe controller\n");
	for (const struct nvme_controller *c = nvme_pci_first(); c; c = c->next)
		print_controller(c);
	for (const struct disk *disk = disks; disk; disk = disk->next)
		print_disk(disk);
}

/* Partitions as VMs' disks: who has which, from power-on to the last request. */
#include "hv/vm/vm_disk.h"
#include "hv/console/console.h"
#include "hv/disk/guest_disk.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"

typedef unsigned long long ull;

/* --- Power-on -------------------------------------------------------------------------------- */

static const struct vm *user_of(const struct disk_partition *partition)
{
	const struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->disk && vm->partition == partition)
			return vm;
	}
	return NULL;
}

static err_t refuse(const struct vm *vm, char *why, size_t why_bytes, const char *what)
{
	fmt_snprintf(why, why_bytes, "disk %s: %s", vm->config->disk, what);
	return E_INVAL;
}

static err_t find_partition(
	const struct vm *vm, const struct disk_partition **out, char *why, size_t why_bytes)
{
	const char *problem = "";
	const struct disk_partition *p = disks_find(vm->config->disk, &problem);
	const struct vm *user;

	if (!p)
		return refuse(vm, why, why_bytes, problem);
	if (!guid_equal(&p->gpt.type, &gpt_type_disk))
		return refuse(vm, why, why_bytes,
			"its partition type is not that of a VM's disk, "
			"f9f7b537-6e97-41bf-b5cf-f56470132ba3; nothing else is ever written");
	user = user_of(p);
	if (user && user != vm) {
		fmt_snprintf(why, why_bytes, "disk %s: it is the disk of VM %s, which %s",
			vm->config->disk, vm_name(user),
			vm_is_on(user) ? "is on" : "has ended, with requests still at the disk");
		return E_EXIST;
	}
	*out = p;
	return 0;
}

static void on_fail(void *context, err_t err)
{
	vm_break(context, "the memory for its disk's data failed: %s", err_name(err));
}

/* Other CPUs look for it with the VM's lock. */
static void set_disk(struct vm *vm, struct guest_disk *disk)
{
	spin_lock(&vm->lock);
	vm->disk = disk;
	__atomic_store_n(&vm->disk_wants, 0, __ATOMIC_RELAXED);
	spin_unlock(&vm->lock);
}

u64 vm_disk_frames(const struct vm *vm)
{
	return vm->config->disk[0] ? guest_disk_frames() : 0;
}

err_t vm_disk_find(struct vm *vm, char *why, size_t why_bytes)
{
	struct guest_disk_config config = {
		.lock = &vm->lock, .wants = &vm->disk_wants, .context = vm, .fail = on_fail};
	const struct disk_partition *p;
	struct guest_disk *disk;
	char id[GPT_TEXT_BYTES];
	err_t err;

	/* Its last life may have left requests at the disk. */
	if (!vm->config->disk[0] || vm->disk)
		return 0;
	err = find_partition(vm, &p, why, why_bytes);
	if (err)
		return err;
	config.blk = p->blk;
	config.first_block = p->gpt.first_block;
	config.block_count = p->gpt.block_count;
	guid_text(&p->gpt.id, id);
	memcpy(config.id, id, sizeof(config.id));
	err = guest_disk_create(&disk, &config);
	if (err) {
		fmt_snprintf(why, why_bytes, "its disk: %s", err_name(err));
		return err;
	}
	vm->partition = p;
	set_disk(vm, disk);
	return 0;
}

/* --- Life ------------------------------------------------------------------------------------ */

void vm_disk_open(struct vm *vm)
{
	if (!vm->disk)
		return;
	spin_lock(&vm->lock);
	guest_disk_open(vm->disk, vm->space);
	spin_unlock(&vm->lock);
}

void vm_disk_reset(struct vm *vm)
{
	if (!vm->disk)
		return;
	spin_lock(&vm->lock);
	guest_disk_reset(vm->disk);
	spin_unlock(&vm->lock);
}

/* Nobody has it: unless there is something of it at the disk, that was it. What comes back there
 * may do so on another CPU, which is through with it when the lock is free. */
static void drop(struct vm *vm)
{
	struct guest_disk *disk = vm->disk;
	u32 orphans;

	spin_lock(&vm->lock);
	orphans = guest_disk_orphan_count(disk);
	spin_unlock(&vm->lock);
	if (orphans)
		return;
	set_disk(vm, NULL);
	guest_disk_destroy(disk);
}

void vm_disk_close(struct vm *vm)
{
	if (!vm->disk)
		return;
	spin_lock(&vm->lock);
	guest_disk_close(vm->disk);
	spin_unlock(&vm->lock);
	drop(vm);
}

static bool wants(const struct vm *vm, u32 what)
{
	return (__atomic_load_n(&vm->disk_wants, __ATOMIC_SEQ_CST) & what) != 0;
}

void vm_disks_work(void)
{
	struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		/* Where another CPU is at it, it may be about to leave something. */
		if (!vm_disk_waits(vm))
			continue;
		spin_lock(&vm->lock);
		if (vm->disk)
			guest_disk_work(vm->disk);
		spin_unlock(&vm->lock);
	}
}

void vm_disks_drop_ended(void)
{
	struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->disk && !vm_is_on(vm))
			drop(vm);
	}
}

bool vm_disk_waits(const struct vm *vm)
{
	return wants(vm, GUEST_DISK_HAS_WORK | GUEST_DISK_AT_WORK);
}

bool vm_disk_is_urgent(const struct vm *vm)
{
	return wants(vm, GUEST_DISK_IS_URGENT);
}

bool vm_disks_are_urgent(void)
{
	const struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		if (vm_disk_is_urgent(vm))
			return true;
	}
	return false;
}

/* --- disks ----------------------------------------------------------------------------------- */

void vm_disk_print(const struct disk_partition *partition)
{
	const struct vm *vm = user_of(partition);
	const struct guest_disk_stats *s;

	if (!vm)
		return;
	s = guest_disk_stats(vm->disk);
	console_printf(
		"        disk of %s: %llu reads (%llu MiB), %llu writes (%llu MiB), %llu flushes, "
		"%llu discards, %llu zeroed, %llu failed\n",
		vm_name(vm), (ull)s->reads, (ull)(s->read_bytes >> 20), (ull)s->writes,
		(ull)(s->written_bytes >> 20), (ull)s->flushes, (ull)s->discards, (ull)s->zeroes,
		(ull)s->errors);
	if (vm->space)
		console_printf(
			"            its pages that are not in memory: %llu written from where "
			"they are, %llu read over, %llu brought in\n",
			(ull)space_counted(vm->space, peeked),
			(ull)space_counted(vm->space, overwritten), (ull)s->fetched);
	console_printf("            half below %llu us, 99%% below %llu us; %llu KiB bounced, "
		       "%llu waits, %llu left behind by resets, %u at the disk\n",
		(ull)latency_below_us(&s->latency, 50), (ull)latency_below_us(&s->latency, 99),
		(ull)(s->bounced_bytes >> 10), (ull)s->waits, (ull)s->orphans,
		guest_disk_orphan_count(vm->disk));
}

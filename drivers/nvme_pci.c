/* "PCI Express Transport" of NVMe: BAR0 holds the registers, class code 01 08 02. */
#include "drivers/nvme_pci.h"
#include "drivers/pci_host.h"
#include "hv/x86/cpu.h"
#include "hv/x86/irq.h"
#include "hv/x86/paging.h"
#include "hv/x86/time.h"
#include "mm/base/fmt.h"
#include "mm/base/log.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"

#define CLASS_NVME     0x010802u
#define REGISTERS_MOST MIB(1)
#define MSIX_MOST      2048u
#define NO_REGISTER    0xffffffffu

static struct nvme_controller *first, **end = &first;
static u32 found;

static volatile u8 *at(const struct nvme_bus *bus, u32 offset)
{
	const struct nvme_controller *c = container_of(bus, struct nvme_controller, bus);

	return offset + 4 <= bus->register_bytes ? c->registers + offset : NULL;
}

static u32 bus_read(const struct nvme_bus *bus, u32 offset)
{
	volatile u32 *reg = (volatile u32 *)at(bus, offset);

	return reg ? *reg : NO_REGISTER;
}

static void bus_write(const struct nvme_bus *bus, u32 offset, u32 value)
{
	volatile u32 *reg = (volatile u32 *)at(bus, offset);

	if (reg)
		*reg = value;
}

static void *bus_alloc(const struct nvme_bus *bus, u32 pages, hpa_t *out)
{
	pfn_t pfn = frame_alloc_run(FRAME_HV, pages);

	(void)bus;
	if (pfn_is_none(pfn))
		return NULL;
	*out = pfn_to_hpa(pfn);
	return platform_frame_va(pfn);
}

static void bus_cut_off(const struct nvme_bus *bus)
{
	const struct nvme_controller *c = container_of(bus, struct nvme_controller, bus);

	pci_command(pci_host(), c->bdf, PCI_COMMAND_NO_INTX, PCI_COMMAND_MASTER);
}

/* --- Interrupts ------------------------------------------------------------------------------- */

static void interrupted(void *context)
{
	nvme_interrupted(((struct nvme_controller *)context)->nvme);
}

static err_t make_message(const struct nvme_controller *c, u32 cpu, struct pci_message *out)
{
	return pci_message_to(cpu_by_id(cpu)->apic_id, c->vector, out);
}

static volatile u8 *map_msix_table(struct nvme_controller *c, const struct pci_msix *msix)
{
	u64 bytes = (u64)msix->count * PCI_MSIX_ENTRY_BYTES;
	struct pci_bar bar;

	if (msix->count > MSIX_MOST || pci_bar_size(pci_host(), c->bdf, msix->table_bar, &bar) ||
		bar.is_io || !bar.base || msix->table_offset >= bar.bytes ||
		bytes > bar.bytes - msix->table_offset)
		return NULL;
	return paging_map_mmio(bar.base + msix->table_offset, bytes);
}

static bool use_msix(struct nvme_controller *c)
{
	struct pci_message message;
	struct pci_msix msix;

	if (pci_msix_find(pci_host(), c->bdf, &msix) || make_message(c, 0, &message))
		return false;
	c->msix_table = map_msix_table(c, &msix);
	if (!c->msix_table)
		return false;
	/* The table answers only where the function decodes memory. */
	pci_command(pci_host(), c->bdf, PCI_COMMAND_MEMORY, 0);
	/* All for the boot CPU, until it is known how many pairs there are. */
	c->bus.vector_count = min(msix.count, cpu_count() + 1);
	for (u32 i = 0; i < c->bus.vector_count; i++)
		pci_msix_set(c->msix_table, i, &message);
	pci_msix_enable(pci_host(), c->bdf, &msix);
	c->bus.has_msix = true;
	c->interrupts = "MSI-X";
	return true;
}

static bool use_msi(struct nvme_controller *c)
{
	struct pci_message message;

	if (!pci_find_capability(pci_host(), c->bdf, PCI_CAPABILITY_MSI) ||
		make_message(c, 0, &message) || pci_msi_enable(pci_host(), c->bdf, &message))
		return false;
	c->bus.vector_count = 1;
	c->interrupts = "MSI";
	return true;
}

static void choose_interrupts(struct nvme_controller *c)
{
	if (irq_alloc_vector(interrupted, c, &c->vector) == 0 && (use_msix(c) || use_msi(c)))
		return;
	pci_command(pci_host(), c->bdf, PCI_COMMAND_NO_INTX, 0);
	c->interrupts = "polled";
}

/* Where none of them runs, nothing is ever under way there. */
u32 nvme_pci_pair_cpu(u32 pair, u32 pairs)
{
	for (u32 id = pair; id < cpu_count(); id += pairs) {
		if (__atomic_load_n(&cpu_by_id(id)->state, __ATOMIC_ACQUIRE) == CPU_ONLINE)
			return id;
	}
	return 0;
}

/* A message of its own for each pair, for its CPU; unless a CPU is out of messages' reach. */
static void steer(struct nvme_controller *c)
{
	u32 pairs = nvme_queue_count(c->nvme);
	struct pci_message message;

	if (!c->bus.has_msix || c->bus.vector_count <= pairs)
		return;
	for (u32 pair = 0; pair < pairs; pair++) {
		if (make_message(c, nvme_pci_pair_cpu(pair, pairs), &message))
			return;
	}
	for (u32 pair = 0; pair < pairs; pair++) {
		if (make_message(c, nvme_pci_pair_cpu(pair, pairs), &message) == 0)
			pci_msix_set(c->msix_table, pair + 1, &message);
	}
	c->bus.is_steered = true;
}

/* --- Finding ---------------------------------------------------------------------------------- */

static bool map_registers(struct nvme_controller *c)
{
	struct pci_bar bar;

	if (pci_bar_size(pci_host(), c->bdf, 0, &bar) || bar.is_io || !bar.base)
		return false;
	c->bus.register_bytes = (u32)min(bar.bytes, REGISTERS_MOST);
	c->registers = paging_map_mmio(bar.base, c->bus.register_bytes);
	return c->registers != NULL;
}

static void log_started(const struct nvme_controller *c)
{
	u32 version = nvme_version(c->nvme), count = nvme_namespace_count(c->nvme);

	log_info("%s: %s, serial %s, NVMe %u.%u, %u queue%s of %u, %s, %u namespace%s",
		nvme_name(c->nvme), nvme_model(c->nvme), nvme_serial(c->nvme), version >> 16,
		version >> 8 & 0xff, nvme_queue_count(c->nvme),
		nvme_queue_count(c->nvme) == 1 ? "" : "s", nvme_queue_depth(c->nvme), c->interrupts,
		count, count == 1 ? "" : "s");
	for (u32 i = 0; i < count; i++) {
		const struct blk_device *blk = nvme_namespace(c->nvme, i);

		log_info("%s: %llu MiB in blocks of %u bytes, transfers of %u KiB%s%s%s", blk->name,
			(unsigned long long)(blk->block_count * blk->block_bytes >> 20),
			blk->block_bytes, blk->transfer_bytes >> 10,
			blk->can_deallocate ? ", deallocate" : "",
			blk->can_write_zeroes ? ", write zeroes" : "",
			blk->has_cache ? ", cache" : "");
	}
}

static void start(struct nvme_controller *c)
{
	char name[12];

	fmt_snprintf(name, sizeof(name), "nvme%u", found++);
	if (!map_registers(c)) {
		log_warn("%s: its registers are nowhere", name);
		return;
	}
	c->nvme = nvme_create(&c->bus, name, cpu_count());
	if (!c->nvme) {
		log_warn("%s: no memory for its queues", name);
		return;
	}
	choose_interrupts(c);
	pci_command(pci_host(), c->bdf, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
	*end = c;
	end = &c->next;
	if (nvme_start(c->nvme, time_now_ns))
		return;
	steer(c);
	log_started(c);
}

static bool visit(void *context, const struct pci_function *function)
{
	struct nvme_controller *c;

	(void)context;
	if (function->class_code != CLASS_NVME)
		return true;
	c = kmem_alloc(sizeof(*c));
	if (!c) {
		log_warn("nvme: no memory for a controller");
		return false;
	}
	c->bdf = function->bdf;
	c->bus = (struct nvme_bus){
		.read = bus_read,
		.write = bus_write,
		.alloc = bus_alloc,
		.cut_off = bus_cut_off,
	};
	start(c);
	return true;
}

void nvme_pci_init(void)
{
	pci_walk(pci_host(), visit, NULL);
}

struct nvme_controller *nvme_pci_first(void)
{
	return first;
}

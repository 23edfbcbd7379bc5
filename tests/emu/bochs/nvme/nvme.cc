/*
 * An NVMe controller for Bochs, as a plugin: VT-x and NVMe in one machine. Written for tests of a
 * driver: completions come late and in another order than the commands, and faults happen as a
 * control file says.
 *
 * Environment: BELLOWS_NVME_DISKS "FILE:BLOCK_BYTES[;FILE:BLOCK_BYTES...]", a namespace each;
 * BELLOWS_NVME_CONTROL, the control file (see faults.h); it is read again whenever it changes.
 *
 * A command is carried out when its completion is due, not before: a driver that lets go of a
 * buffer too early is found out. NVM Express Base Specification 1.4.
 */
#include "controller.h"

#if BX_SUPPORT_APIC
#include "cpu/apic.h"
#endif

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>

/* --- Being a PCI device ------------------------------------------------------------------------
 */

void bx_nvme_c::init(void)
{
	const char *disks = getenv("BELLOWS_NVME_DISKS");

	if (!DEV_register_pci_handlers(this, &devfunc, "nvme", "NVMe controller")) {
		error("no PCI slot");
		return;
	}
	init_pci_conf(0x1b36, 0x0010, 2, 0x010802, 0, 1);
	/* 32 bits: the firmware puts wider ones above 4 GiB, where Bochs has no devices. */
	init_bar_mem(0, BAR_BYTES, read_register, write_register);
	store<Bit8u>(pci_conf, 0x06, 0x10); /* a list of capabilities: MSI-X */
	store<Bit8u>(pci_conf, 0x34, 0x40);
	store<Bit32u>(pci_conf, 0x40, (VECTORS - 1) << 16 | 0x11);
	store<Bit32u>(pci_conf, 0x44, MSIX_TABLE);
	store<Bit32u>(pci_conf, 0x48, MSIX_PBA);
	open_namespaces(disks ? disks : "");
	faults.open(getenv("BELLOWS_NVME_CONTROL"));
	timer = DEV_register_timer(this, tick, 1, false, false, "nvme");
	info("%u namespaces", (unsigned)namespaces.size());
}

void bx_nvme_c::open_namespaces(const char *disks)
{
	std::string rest = disks;

	while (!rest.empty()) {
		size_t end = rest.find(';');
		std::string one = rest.substr(0, end);
		size_t colon = one.rfind(':');
		struct stat facts;
		Namespace ns;

		rest = end == std::string::npos ? "" : rest.substr(end + 1);
		if (colon == std::string::npos)
			panic("no block size in %s", one.c_str());
		ns.block_bytes = (Bit32u)strtoul(one.c_str() + colon + 1, NULL, 10);
		ns.fd = ::open(one.substr(0, colon).c_str(), O_RDWR);
		if (ns.fd < 0 || fstat(ns.fd, &facts) != 0 || ns.block_bytes < 512)
			panic("cannot use %s", one.c_str());
		ns.blocks = (Bit64u)facts.st_size / ns.block_bytes;
		namespaces.push_back(ns);
	}
}

void bx_nvme_c::reset(unsigned)
{
	pci_conf[4] = pci_conf[5] = 0;
	pci_conf[0x43] = 0;
	memset(msix, 0, sizeof(msix));
	for (unsigned i = 0; i < VECTORS; i++)
		msix[4 * i + 3] = 1;
	msix_pending = 0;
	set_config(0);
}

void bx_nvme_c::pci_write_handler(Bit8u address, Bit32u value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++, value >>= 8) {
		unsigned at = address + i;

		if (at == 4)
			pci_conf[4] = value & 6;
		else if (at == 5)
			pci_conf[5] = value & 4;
		else if (at == 0x43)
			pci_conf[0x43] = (VECTORS - 1) >> 8 | (value & 0xc0);
	}
}

void bx_nvme_c::dma_read(Bit64u at, void *to, unsigned bytes)
{
	DEV_MEM_READ_PHYSICAL_DMA(at, bytes, (Bit8u *)to);
}

void bx_nvme_c::dma_write(Bit64u at, const void *from, unsigned bytes)
{
	DEV_MEM_WRITE_PHYSICAL_DMA(at, bytes, (Bit8u *)from);
}

void bx_nvme_c::interrupt(unsigned vector)
{
	const Bit32u *entry = &msix[4 * vector];

	if (!(pci_conf[0x43] & 0x80))
		return;
	if ((pci_conf[0x43] & 0x40) || (entry[3] & 1)) {
		msix_pending |= 1u << vector;
		return;
	}
	msix_pending &= ~(1u << vector);
	apic_bus_deliver_interrupt(entry[2] & 0xff, entry[0] >> 12 & 0xff, entry[2] >> 8 & 7,
		entry[0] >> 2 & 1, true, entry[2] >> 15 & 1);
}

/* --- Registers ---------------------------------------------------------------------------------
 */

Bit32u bx_nvme_c::register_value(Bit32u offset)
{
	switch (offset) {
	case 0x00: /* CAP: queues contiguous, ready within 2 s */
		return 4u << 24 | 1u << 16 | (ENTRIES_MOST - 1);
	case 0x04:
		return 1u << 5;
	case 0x08:
		return 0x00010400;
	case 0x0c:
	case 0x10:
		return mask;
	case 0x14:
		return config;
	case 0x1c:
		return status;
	case 0x24:
		return admin_sizes;
	case 0x28:
		return (Bit32u)admin_sq;
	case 0x2c:
		return (Bit32u)(admin_sq >> 32);
	case 0x30:
		return (Bit32u)admin_cq;
	case 0x34:
		return (Bit32u)(admin_cq >> 32);
	}
	if (offset >= MSIX_TABLE && offset < MSIX_TABLE + sizeof(msix))
		return msix[(offset - MSIX_TABLE) / 4];
	return offset == MSIX_PBA ? msix_pending : 0;
}

static Bit64u with_half(Bit64u whole, Bit32u value, bool upper)
{
	return upper ? (whole & 0xffffffff) | (Bit64u)value << 32
		     : (whole & ~(Bit64u)0xffffffff) | value;
}

void bx_nvme_c::set_register(Bit32u offset, Bit32u value)
{
	if (offset == 0x0c)
		mask |= value;
	else if (offset == 0x10)
		mask &= ~value;
	else if (offset == 0x14)
		set_config(value);
	else if (offset == 0x24)
		admin_sizes = value;
	else if (offset == 0x28 || offset == 0x2c)
		admin_sq = with_half(admin_sq, value, offset & 4);
	else if (offset == 0x30 || offset == 0x34)
		admin_cq = with_half(admin_cq, value, offset & 4);
	else if (offset >= DOORBELLS && offset < DOORBELLS + QUEUES * 8)
		ring((offset - DOORBELLS) / 8, offset & 4, value);
	else if (offset >= MSIX_TABLE && offset < MSIX_TABLE + sizeof(msix)) {
		unsigned vector = (offset - MSIX_TABLE) / 16;

		msix[(offset - MSIX_TABLE) / 4] = value;
		if (msix_pending >> vector & 1)
			interrupt(vector);
	}
}

bool bx_nvme_c::read_register(bx_phy_address address, unsigned bytes, void *data, void *self)
{
	Bit32u offset = (Bit32u)address & (BAR_BYTES - 1);

	memset(data, 0, bytes);
	for (unsigned done = 0; done < bytes; done += 4) {
		Bit32u value = ((bx_nvme_c *)self)->register_value((offset + done) & ~3u);

		memcpy((Bit8u *)data + done, &value, std::min(4u, bytes - done));
	}
	return true;
}

bool bx_nvme_c::write_register(bx_phy_address address, unsigned bytes, void *data, void *self)
{
	Bit32u offset = (Bit32u)address & (BAR_BYTES - 1), value;

	if (bytes % 4 || offset % 4) {
		((bx_nvme_c *)self)->error("%u bytes written at %x", bytes, offset);
		return true;
	}
	for (unsigned done = 0; done < bytes; done += 4) {
		memcpy(&value, (Bit8u *)data + done, 4);
		((bx_nvme_c *)self)->set_register(offset + done, value);
	}
	return true;
}

void bx_nvme_c::set_config(Bit32u value)
{
	bool was_on = config & CONFIG_ENABLE, is_on = value & CONFIG_ENABLE;

	config = value;
	if (is_on == was_on && is_on)
		return;
	memset(submissions, 0, sizeof(submissions));
	memset(completions, 0, sizeof(completions));
	pending.clear();
	status = 0;
	if (!is_on)
		return;
	if (faults.dead()) {
		status = STATUS_FATAL; /* it never comes back */
		return;
	}
	submissions[0] = {admin_sq, (admin_sizes & 0xfff) + 1, 0, 0, 0, true};
	completions[0] = {admin_cq, (admin_sizes >> 16 & 0xfff) + 1, 0, 0, 0, true, true, true};
	status = STATUS_READY;
}

void bx_nvme_c::ring(unsigned queue, bool is_cq, Bit32u value)
{
	if (!(status & STATUS_READY) || (status & STATUS_FATAL))
		return;
	if (is_cq && completions[queue].exists && value < completions[queue].entries) {
		completions[queue].head = value;
	} else if (!is_cq && submissions[queue].exists && value < submissions[queue].entries) {
		submissions[queue].tail = value;
		fetch(queue);
	} else {
		error("doorbell of queue %u: %u", queue, value);
	}
}

void bx_nvme_c::die(const char *how)
{
	info("fault: %s", how);
	status |= STATUS_FATAL;
	pending.clear();
}

/* --- The plugin --------------------------------------------------------------------------------
 */

static bx_nvme_c *device;

PLUGIN_ENTRY_FOR_MODULE(nvme)
{
	if (mode == PLUGIN_INIT) {
		device = new bx_nvme_c();
		device->put("NVME");
		BX_REGISTER_DEVICE_DEVMODEL(plugin, type, device, "nvme");
	} else if (mode == PLUGIN_FINI) {
		delete device;
	} else if (mode == PLUGIN_PROBE) {
		return PLUGTYPE_OPTIONAL;
	} else if (mode == PLUGIN_FLAGS) {
		return PLUGFLAG_PCI;
	}
	return 0;
}

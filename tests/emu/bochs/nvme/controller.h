/*
 * The controller's state: what nvme.cc (PCI device, registers) and commands.cc (queues, commands)
 * share. NVM Express Base Specification 1.4.
 */
#ifndef TESTS_EMU_BOCHS_NVME_CONTROLLER_H
#define TESTS_EMU_BOCHS_NVME_CONTROLLER_H

#define BX_PLUGGABLE
#include "iodev/iodev.h"
#undef LOG_THIS
#define LOG_THIS this->

#include "faults.h"

#include <cstring>
#include <vector>

constexpr Bit32u BAR_BYTES = 0x4000, DOORBELLS = 0x1000, MSIX_TABLE = 0x2000, MSIX_PBA = 0x3000;
constexpr unsigned VECTORS = 8, QUEUES = 8;                   /* the admin queue among them */
constexpr unsigned ENTRIES_MOST = 256, PAGE = 4096, MDTS = 7; /* transfers of 512 KiB */
constexpr Bit32u STATUS_READY = 1, STATUS_FATAL = 2, CONFIG_ENABLE = 1;
constexpr Bit8u CMD_FLUSH = 0, CMD_WRITE = 1, CMD_READ = 2, CMD_WRITE_ZEROES = 8, CMD_DATASET = 9;
constexpr Bit16u INVALID_OPCODE = 0x001, INVALID_FIELD = 0x002, ABORTED = 0x007,
		 INVALID_NAMESPACE = 0x00b, OUT_OF_RANGE = 0x080, INVALID_QUEUE = 0x101,
		 DO_NOT_RETRY = 0x4000;

struct Command {
	Bit8u opcode, flags;
	Bit16u id;
	Bit32u nsid;
	Bit32u dword2, dword3;
	Bit64u metadata, prp1, prp2;
	Bit32u dword10, dword11, dword12, dword13, dword14, dword15;
};
static_assert(sizeof(Command) == 64, "submission queue entry");

struct Completion {
	Bit32u result, reserved;
	Bit16u sq_head, sq_id, id, status;
};
static_assert(sizeof(Completion) == 16, "completion queue entry");

struct Submission {
	Bit64u base;
	unsigned entries, head, tail, cq;
	bool exists;
};

struct CompletionQueue {
	Bit64u base;
	unsigned entries, tail, head, vector;
	bool exists, interrupts, phase;
};

/* A command that was fetched and is not answered yet. */
struct Pending {
	Command command;
	unsigned sq;
	Bit64u due; /* ticks */
	Fault fault;
};

struct Namespace {
	int fd;
	Bit32u block_bytes;
	Bit64u blocks;
};

template <typename T> inline void store(Bit8u *page, unsigned offset, T value)
{
	memcpy(page + offset, &value, sizeof(value));
}

class bx_nvme_c : public bx_pci_device_c
{
      public:
	void init(void) override;
	void reset(unsigned type) override;
	void pci_write_handler(Bit8u address, Bit32u value, unsigned bytes) override;

      private:
	Bit8u devfunc = 0;
	int timer = -1;
	Bit32u config = 0, status = 0, mask = 0, admin_sizes = 0;
	Bit64u admin_sq = 0, admin_cq = 0;
	Bit32u msix[VECTORS * 4], msix_pending = 0;
	Submission submissions[QUEUES];
	CompletionQueue completions[QUEUES];
	std::vector<Pending> pending;
	std::vector<Namespace> namespaces;
	Faults faults;

	static bool read_register(bx_phy_address address, unsigned bytes, void *data, void *self);
	static bool write_register(bx_phy_address address, unsigned bytes, void *data, void *self);
	static void tick(void *self);

	void open_namespaces(const char *disks);
	Bit32u register_value(Bit32u offset);
	void set_register(Bit32u offset, Bit32u value);
	void set_config(Bit32u value);
	void ring(unsigned queue, bool is_cq, Bit32u value);
	void fetch(unsigned queue);
	void carry_out_due();
	void arm();
	Bit16u carry_out(const Pending &p, Bit32u *result);
	Bit16u admin(const Command &c, Bit32u *result);
	Bit16u io(const Command &c, const Fault &fault);
	Bit16u create_queue(const Command &c, bool is_cq);
	Bit16u identify(const Command &c);
	Bit16u deallocate(const Command &c, const Namespace &ns);
	Bit16u abort(const Command &c, Bit32u *result);
	void complete(unsigned sq, Bit16u id, Bit16u code, Bit32u result);
	void interrupt(unsigned vector);
	bool may_dma()
	{
		return pci_conf[4] & 4;
	}
	void dma_read(Bit64u at, void *to, unsigned bytes);
	void dma_write(Bit64u at, const void *from, unsigned bytes);
	bool transfer(const Command &c, Bit8u *data, unsigned bytes, bool to_guest);
	void die(const char *how);
};

#endif

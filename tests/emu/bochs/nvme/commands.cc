/*
 * Queues and commands: fetched when a doorbell rings, carried out when their completion is due.
 */
#include "controller.h"

#include <algorithm>
#include <sys/types.h>
#include <unistd.h>

/* --- Commands, from fetching to completion -----------------------------------------------------
 */

void bx_nvme_c::fetch(unsigned queue)
{
	Submission &sq = submissions[queue];

	while (sq.head != sq.tail && may_dma()) {
		Pending p;

		dma_read(sq.base + sq.head * sizeof(Command), &p.command, sizeof(Command));
		sq.head = (sq.head + 1) % sq.entries;
		p.sq = queue;
		p.fault = queue ? faults.next(p.command.opcode == CMD_READ,
					  p.command.opcode == CMD_WRITE)
				: Fault();
		p.due = bx_pc_system.time_ticks() + (queue ? faults.delay_ticks() : 0);
		if (p.fault.kind != Fault::NONE)
			info("fault: %s, command %02x id %04x", p.fault.name(), p.command.opcode,
				p.command.id);
		if (p.fault.kind == Fault::DIE || p.fault.kind == Fault::DEAD) {
			die(p.fault.name());
			return;
		}
		pending.push_back(p);
	}
	/* Admin commands are answered at once; the driver may look before time goes on. */
	carry_out_due();
}

void bx_nvme_c::tick(void *self)
{
	((bx_nvme_c *)self)->carry_out_due();
}

void bx_nvme_c::carry_out_due()
{
	Bit64u now = bx_pc_system.time_ticks();

	for (size_t i = 0; i < pending.size();) {
		Pending p = pending[i];
		Bit32u result = 0;
		Bit16u code;

		if (p.due > now || p.fault.kind == Fault::STALL) {
			i++;
			continue;
		}
		pending.erase(pending.begin() + (long)i);
		code = carry_out(p, &result);
		if (p.fault.kind == Fault::GARBAGE)
			complete(p.sq, (Bit16u)(p.command.id ^ 0x4040), 0, 0);
		if (p.fault.kind != Fault::LOSE)
			complete(p.sq, p.command.id, code, result);
		i = 0; /* an abort may have taken others away */
	}
	arm();
}

void bx_nvme_c::arm()
{
	Bit64u now = bx_pc_system.time_ticks(), first = ~(Bit64u)0;

	for (const Pending &p : pending) {
		if (p.fault.kind != Fault::STALL)
			first = std::min(first, p.due);
	}
	if (first != ~(Bit64u)0)
		bx_pc_system.activate_timer_ticks(timer, first > now ? first - now : 1, false);
}

Bit16u bx_nvme_c::carry_out(const Pending &p, Bit32u *result)
{
	if (p.fault.kind == Fault::ERROR)
		return p.fault.status;
	return p.sq == 0 ? admin(p.command, result) : io(p.command, p.fault);
}

void bx_nvme_c::complete(unsigned sq, Bit16u id, Bit16u code, Bit32u result)
{
	CompletionQueue &cq = completions[submissions[sq].cq];
	Completion c = {result, 0, (Bit16u)submissions[sq].head, (Bit16u)sq, id,
		(Bit16u)(code << 1 | (cq.phase ? 1 : 0))};

	if (!may_dma() || !cq.exists)
		return;
	if ((cq.tail + 1) % cq.entries == cq.head) {
		error("completion queue %u overflows", submissions[sq].cq);
		return;
	}
	dma_write(cq.base + cq.tail * sizeof(c), &c, sizeof(c));
	if (++cq.tail == cq.entries) {
		cq.tail = 0;
		cq.phase = !cq.phase;
	}
	if (cq.interrupts)
		interrupt(cq.vector);
}

/* Move @bytes between @data and the pages that the command names; false: they are unsound. */
bool bx_nvme_c::transfer(const Command &c, Bit8u *data, unsigned bytes, bool to_guest)
{
	Bit64u at = c.prp1, list = c.prp2;
	unsigned first = std::min<unsigned>(bytes, PAGE - (unsigned)(at % PAGE));
	bool is_list = bytes > first + PAGE;

	for (unsigned done = 0; done < bytes;) {
		unsigned some = std::min<unsigned>(bytes - done, PAGE - (unsigned)(at % PAGE));

		if (at % 4 || (done && at % PAGE))
			return false;
		if (to_guest)
			dma_write(at, data + done, some);
		else
			dma_read(at, data + done, some);
		done += some;
		if (done >= bytes)
			break;
		if (!is_list) {
			at = c.prp2;
			continue;
		}
		/* A list that fills its page names the next page of the list there. */
		if (list % PAGE == PAGE - 8 && bytes - done > PAGE)
			dma_read(list, &list, 8);
		dma_read(list, &at, 8);
		list += 8;
	}
	return true;
}

/* --- The admin command set ---------------------------------------------------------------------
 */

Bit16u bx_nvme_c::admin(const Command &c, Bit32u *result)
{
	switch (c.opcode) {
	case 0x00: /* delete submission queue */
	case 0x04:
		if ((c.dword10 & 0xffff) == 0 || (c.dword10 & 0xffff) >= QUEUES)
			return INVALID_QUEUE;
		if (c.opcode == 0)
			submissions[c.dword10 & 0xffff].exists = false;
		else
			completions[c.dword10 & 0xffff].exists = false;
		return 0;
	case 0x01:
	case 0x05:
		return create_queue(c, c.opcode == 0x05);
	case 0x06:
		return identify(c);
	case 0x08:
		return abort(c, result);
	case 0x09:
		if ((c.dword10 & 0xff) == 7)
			*result = (QUEUES - 2) << 16 | (QUEUES - 2);
		return 0;
	default:
		return INVALID_OPCODE | DO_NOT_RETRY;
	}
}

Bit16u bx_nvme_c::create_queue(const Command &c, bool is_cq)
{
	unsigned queue = c.dword10 & 0xffff, entries = (c.dword10 >> 16) + 1;

	if (queue == 0 || queue >= QUEUES || entries < 2 || entries > ENTRIES_MOST ||
		c.prp1 % PAGE || !(c.dword11 & 1))
		return INVALID_QUEUE | DO_NOT_RETRY;
	if (is_cq) {
		if (c.dword11 >> 16 >= VECTORS)
			return 0x108 | DO_NOT_RETRY;
		completions[queue] = {
			c.prp1, entries, 0, 0, c.dword11 >> 16, true, (c.dword11 & 2) != 0, true};
		return 0;
	}
	if (c.dword11 >> 16 == 0 || c.dword11 >> 16 >= QUEUES ||
		!completions[c.dword11 >> 16].exists)
		return 0x100 | DO_NOT_RETRY;
	submissions[queue] = {c.prp1, entries, 0, 0, c.dword11 >> 16, true};
	return 0;
}

Bit16u bx_nvme_c::identify(const Command &c)
{
	Bit8u page[PAGE] = {};

	if ((c.dword10 & 0xff) == 1) {
		store<Bit16u>(page, 0, 0x1b36);
		memcpy(page + 4, "bochs-1             ", 20);
		memcpy(page + 24, "Bellows test disk for Bochs             ", 40);
		page[77] = MDTS;
		page[512] = 0x66;
		page[513] = 0x44;
		store<Bit32u>(page, 516, (Bit32u)namespaces.size());
		store<Bit16u>(page, 520, 1 << 2 | 1 << 3); /* deallocate, write zeroes */
		page[525] = 1;
	} else if ((c.dword10 & 0xff) == 2) {
		for (Bit32u i = c.nsid; i < namespaces.size(); i++)
			store<Bit32u>(page, (i - c.nsid) * 4, i + 1);
	} else if ((c.dword10 & 0xff) == 0 && c.nsid >= 1 && c.nsid <= namespaces.size()) {
		const Namespace &ns = namespaces[c.nsid - 1];

		store<Bit64u>(page, 0, ns.blocks);
		store<Bit64u>(page, 8, ns.blocks);
		store<Bit64u>(page, 16, ns.blocks);
		store<Bit32u>(page, 128, (Bit32u)__builtin_ctz(ns.block_bytes) << 16);
	} else {
		return INVALID_NAMESPACE | DO_NOT_RETRY;
	}
	return transfer(c, page, PAGE, true) ? 0 : INVALID_FIELD | DO_NOT_RETRY;
}

/* What is late or stalled can be taken back; what is lost is gone. */
Bit16u bx_nvme_c::abort(const Command &c, Bit32u *result)
{
	unsigned sq = c.dword10 & 0xffff;
	Bit16u id = (Bit16u)(c.dword10 >> 16);

	*result = 1;
	for (size_t i = 0; i < pending.size(); i++) {
		if (pending[i].sq != sq || pending[i].command.id != id || sq == 0)
			continue;
		pending.erase(pending.begin() + (long)i);
		complete(sq, id, ABORTED, 0);
		*result = 0;
		break;
	}
	return 0;
}

/* --- The NVM command set -----------------------------------------------------------------------
 */

Bit16u bx_nvme_c::deallocate(const Command &c, const Namespace &ns)
{
	unsigned count = (c.dword10 & 0xff) + 1;
	struct {
		Bit32u attributes, blocks;
		Bit64u block;
	} ranges[256];

	if (!transfer(c, (Bit8u *)ranges, count * 16, false))
		return INVALID_FIELD | DO_NOT_RETRY;
	for (unsigned i = 0; i < count && (c.dword11 & 4); i++) {
		std::vector<Bit8u> zeros((size_t)ranges[i].blocks * ns.block_bytes);

		if (ranges[i].block > ns.blocks || ranges[i].blocks > ns.blocks - ranges[i].block)
			return OUT_OF_RANGE | DO_NOT_RETRY;
		if (pwrite(ns.fd, zeros.data(), zeros.size(),
			    (off_t)(ranges[i].block * ns.block_bytes)) < 0)
			return 0x280;
	}
	return 0;
}

Bit16u bx_nvme_c::io(const Command &c, const Fault &fault)
{
	Bit64u block = c.dword10 | (Bit64u)c.dword11 << 32, count = (c.dword12 & 0xffff) + 1;
	ssize_t moved;

	if (c.nsid == 0 || c.nsid > namespaces.size())
		return INVALID_NAMESPACE | DO_NOT_RETRY;
	const Namespace &ns = namespaces[c.nsid - 1];

	if (c.opcode == CMD_FLUSH)
		return 0;
	if (c.opcode == CMD_DATASET)
		return deallocate(c, ns);
	if (c.opcode != CMD_WRITE && c.opcode != CMD_READ && c.opcode != CMD_WRITE_ZEROES)
		return INVALID_OPCODE | DO_NOT_RETRY;
	if (block >= ns.blocks || count > ns.blocks - block)
		return OUT_OF_RANGE | DO_NOT_RETRY;
	if (c.opcode != CMD_WRITE_ZEROES && count * ns.block_bytes > PAGE << MDTS)
		return INVALID_FIELD | DO_NOT_RETRY;
	if (c.opcode == CMD_READ && !faults.is_readable(c.nsid, block, count))
		return 0x281 | DO_NOT_RETRY;
	std::vector<Bit8u> data(count * ns.block_bytes);
	off_t at = (off_t)(block * ns.block_bytes);

	if (c.opcode == CMD_WRITE && !transfer(c, data.data(), (unsigned)data.size(), false))
		return INVALID_FIELD | DO_NOT_RETRY;
	moved = c.opcode == CMD_READ ? pread(ns.fd, data.data(), data.size(), at)
				     : pwrite(ns.fd, data.data(), data.size(), at);
	if (moved != (ssize_t)data.size())
		return c.opcode == CMD_READ ? 0x281 : 0x280;
	if (fault.kind == Fault::CORRUPT)
		data[data.size() / 2] ^= 0x10;
	if (c.opcode == CMD_READ && !transfer(c, data.data(), (unsigned)data.size(), true))
		return INVALID_FIELD | DO_NOT_RETRY;
	return 0;
}

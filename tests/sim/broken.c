/* See broken.h. Each hands the real policy false numbers, or falsifies what it says. */
#include "tests/sim/broken.h"

static void no_reservations(const struct mem_host *host, struct mem_vm *vms, u32 count)
{
	u64 reservations[count];

	for (u32 i = 0; i < count; i++) {
		reservations[i] = vms[i].claims.reservation;
		vms[i].claims.reservation = 0;
	}
	mem_decide(host, vms, count);
	for (u32 i = 0; i < count; i++)
		vms[i].claims.reservation = reservations[i];
}

static void no_limits(const struct mem_host *host, struct mem_vm *vms, u32 count)
{
	u64 limits[count];

	for (u32 i = 0; i < count; i++) {
		limits[i] = vms[i].claims.limit;
		vms[i].claims.limit = vms[i].claims.memory;
	}
	mem_decide(host, vms, count);
	for (u32 i = 0; i < count; i++)
		vms[i].claims.limit = limits[i];
}

static void equal_shares(const struct mem_host *host, struct mem_vm *vms, u32 count)
{
	u64 shares[count];

	for (u32 i = 0; i < count; i++) {
		shares[i] = vms[i].claims.shares;
		vms[i].claims.shares = 1000;
	}
	mem_decide(host, vms, count);
	for (u32 i = 0; i < count; i++)
		vms[i].claims.shares = shares[i];
}

static void no_tax(const struct mem_host *host, struct mem_vm *vms, u32 count)
{
	struct mem_host untaxed = *host;

	untaxed.idle_tax_pct = 0;
	mem_decide(&untaxed, vms, count);
}

static void promises_everything(const struct mem_host *host, struct mem_vm *vms, u32 count)
{
	mem_decide(host, vms, count);
	for (u32 i = 0; i < count; i++)
		vms[i].entitled = vms[i].ceiling;
}

static void takes_nothing(const struct mem_host *host, struct mem_vm *vms, u32 count)
{
	mem_decide(host, vms, count);
	for (u32 i = 0; i < count; i++) {
		vms[i].balloon_target = min(vms[i].balloon_target, vms[i].ballooned);
		vms[i].evict_to = vms[i].claims.memory;
	}
}

static void gives_nothing_back(const struct mem_host *host, struct mem_vm *vms, u32 count)
{
	mem_decide(host, vms, count);
	for (u32 i = 0; i < count; i++) {
		vms[i].balloon_target = max(vms[i].balloon_target, vms[i].ballooned);
		vms[i].fetch = 0;
	}
}

static void swaps_first(const struct mem_host *host, struct mem_vm *vms, u32 count)
{
	mem_decide(host, vms, count);
	for (u32 i = 0; i < count; i++) {
		vms[i].balloon_target = vms[i].ballooned;
		vms[i].evict_to = min(vms[i].evict_to, vms[i].entitled);
	}
}

static void always_balloons(const struct mem_host *host, struct mem_vm *vms, u32 count)
{
	struct mem_host worse = *host;

	if (worse.state < MEM_SOFT)
		worse.state = MEM_SOFT;
	mem_decide(&worse, vms, count);
}

/* Lets balloons out by half whenever memory is not short, and so makes it short again. */
static void swings(const struct mem_host *host, struct mem_vm *vms, u32 count)
{
	mem_decide(host, vms, count);
	for (u32 i = 0; i < count; i++) {
		if (host->state < MEM_SOFT)
			vms[i].balloon_target = vms[i].ballooned / 2;
	}
}

static void never_unblocks(const struct mem_host *host, struct mem_vm *vms, u32 count)
{
	bool blocked[count];

	for (u32 i = 0; i < count; i++)
		blocked[i] = vms[i].blocked;
	mem_decide(host, vms, count);
	for (u32 i = 0; i < count; i++)
		vms[i].blocked |= blocked[i];
}

const struct broken_policy broken_policies[] = {
	{"no reservations", no_reservations, "reserved"},
	{"no limits", no_limits, "limit"},
	{"equal shares", equal_shares, "not where it belongs"},
	{"no tax", no_tax, "not where it belongs"},
	{"promises everything", promises_everything, "entitled to"},
	{"takes nothing", takes_nothing, "stays short"},
	{"gives nothing back", gives_nothing_back, "where memory is plentiful"},
	{"swaps first", swaps_first, "before its balloon is full"},
	{"always balloons", always_balloons, "inflates"},
	{"swings", swings, "the state changed"},
	{"never unblocks", never_unblocks, "blocked"},
	{0},
};

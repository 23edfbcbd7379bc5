/* See checks.h. */
#include "tests/sim/checks.h"
#include "tests/sim/ideal.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SECONDS(n)     ((n)*1000000000ull)
#define STARVED_NS     SECONDS(30)
#define BLOCKED_NS     SECONDS(60)
#define SHORT_NS       SECONDS(120)
#define DISTANCE_PCT   5
#define CHANGES_MINUTE 12u
/* Reversals of one balloon in a quiet time: of two visits to soft, and one more in ten minutes. */
#define TURNS_MIN 4u

static u64 less(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

__attribute__((format(printf, 2, 3))) static void broken(struct checks *c, const char *fmt, ...)
{
	va_list args;

	if (c->broken[0])
		return;
	int used = snprintf(c->broken, sizeof(c->broken),
		"at %.1f s, %s: ", (double)c->host->now_ns / 1e9,
		mem_state_name(c->host->seen.state));

	va_start(args, fmt);
	vsnprintf(c->broken + used, sizeof(c->broken) - (size_t)used, fmt, args);
	va_end(args);
}

#define MUST(cond, ...)                                                                            \
	do {                                                                                       \
		if (!(cond))                                                                       \
			broken(c, __VA_ARGS__);                                                    \
	} while (0)

void checks_start(
	struct checks *c, const struct host *host, struct watched *watched, double *division)
{
	*c = (struct checks){
		.host = host, .watched = watched, .division = division, .short_ns = NEVER_NS};
	for (u32 i = 0; i < host->count; i++)
		watched[i] = (struct watched){.blocked_ns = NEVER_NS};
}

typedef unsigned long long ull;

/* --- After each decision --------------------------------------------------------------------- */

/* Orders that the state does not allow. */
static void check_techniques(struct checks *c, u32 i)
{
	const struct mem_vm *vm = &c->host->scratch[i];
	enum mem_state state = c->host->seen.state;
	u64 bound = host_bound(&c->host->guests[i]);
	u64 to_inflate = less(vm->balloon_target, vm->ballooned);
	bool bounded = bound < vm->claims.memory;

	if (state < MEM_SOFT && !bounded)
		MUST(!to_inflate && vm->evict_to >= vm->consumed,
			"VM %u: inflates %llu, evicts to %llu", i, (ull)to_inflate,
			(ull)vm->evict_to);
	if (state == MEM_SOFT && vm->balloon_works && !vm->balloon_slow)
		MUST(vm->evict_to >= vm->consumed || vm->balloon_target >= vm->balloon_max,
			"VM %u: evicts before its balloon is full", i);
	if (!vm->balloon_works)
		MUST(vm->balloon_target == vm->ballooned,
			"VM %u: a balloon that does not answer gets a target", i);
	if (vm->blocked)
		MUST(state == MEM_LOW && vm->consumed > vm->entitled, "VM %u: blocked", i);
	if (state >= MEM_HARD)
		MUST(!vm->fetch, "VM %u: fetches", i);
}

static void check_decision(struct checks *c)
{
	const struct host *h = c->host;
	u64 there_is = h->free_then, entitled = 0, reserved = 0;

	for (u32 i = 0; i < h->count; i++) {
		const struct mem_vm *vm = &h->scratch[i];
		const struct mem_claims *claims = &vm->claims;

		there_is += max(vm->consumed, claims->reservation);
		entitled += vm->entitled;
		reserved += claims->reservation;
		MUST(vm->entitled >= claims->reservation, "VM %u: entitled to %llu, reserved %llu",
			i, (ull)vm->entitled, (ull)claims->reservation);
		MUST(vm->entitled <= claims->limit, "VM %u: entitled to %llu, limit %llu", i,
			(ull)vm->entitled, (ull)claims->limit);
		MUST(vm->evict_to >= claims->reservation, "VM %u: evicted to %llu, reserved %llu",
			i, (ull)vm->evict_to, (ull)claims->reservation);
		MUST(vm->balloon_target <= claims->memory - claims->reservation ||
				vm->balloon_target <= vm->ballooned,
			"VM %u: a balloon of %llu breaks the reservation of %llu", i,
			(ull)vm->balloon_target, (ull)claims->reservation);
		check_techniques(c, i);
	}
	MUST(entitled <= max(less(there_is, h->seen.levels.aim), reserved),
		"entitled to %llu of %llu in all", (ull)entitled, (ull)there_is);
}

/* --- After each step ------------------------------------------------------------------------- */

/* A target, as the guest is told it, that goes back by more than a small correction has turned. */
static void watch_target(struct checks *c, u32 i)
{
	u64 told = c->host->guests[i].pace.target_pages;
	u64 far = c->host->guests[i].vm.claims.memory / 50;
	struct watched *w = &c->watched[i];

	if (w->falls ? told < w->edge : told > w->edge) {
		w->edge = told;
	} else if (w->falls ? told > w->edge + far : told + far < w->edge) {
		w->falls = !w->falls;
		w->edge = told;
		w->turns++;
	}
}

static void check_guest(struct checks *c, u32 i)
{
	const struct host *h = c->host;
	const struct guest *g = &h->guests[i];
	struct watched *w = &c->watched[i];

	MUST(guest_touched(g) + g->vm.ballooned <= g->vm.claims.memory,
		"VM %u: more pages than it has", i);
	MUST(host_consumed(g) <= host_bound(g), "VM %u: consumes %llu, allowed are %llu", i,
		(ull)host_consumed(g), (ull)host_bound(g));
	MUST(g->starved_ns == NEVER_NS || h->now_ns - g->starved_ns < STARVED_NS, "VM %u: starves",
		i);
	if (!g->vm.blocked)
		w->blocked_ns = NEVER_NS;
	else if (w->blocked_ns == NEVER_NS)
		w->blocked_ns = h->now_ns;
	MUST(w->blocked_ns == NEVER_NS || h->now_ns - w->blocked_ns < BLOCKED_NS,
		"VM %u: never unblocked", i);
	watch_target(c, i);
}

/* What is held above entitlements. */
static u64 takeable(const struct host *h)
{
	u64 sum = 0;

	for (u32 i = 0; i < h->count; i++)
		sum += less(host_consumed(&h->guests[i]), h->guests[i].vm.entitled);
	return sum;
}

void checks_step(struct checks *c)
{
	const struct host *h = c->host;

	MUST(h->free <= h->frames, "more is used than there is");
	MUST(h->free >= h->owed, "%llu free, %llu promised", (ull)h->free, (ull)h->owed);
	MUST(!h->promise_broken, "a VM was evicted from below its reservation");
	c->steps_in[h->seen.state]++;
	if (h->seen.state < MEM_SOFT || takeable(h) < less(h->seen.levels.aim, h->seen.free_frames))
		c->short_ns = NEVER_NS;
	else if (c->short_ns == NEVER_NS)
		c->short_ns = h->now_ns;
	MUST(c->short_ns == NEVER_NS || h->now_ns - c->short_ns < SHORT_NS, "memory stays short");
	for (u32 i = 0; i < h->count; i++)
		check_guest(c, i);
	if (h->decided)
		check_decision(c);
}

/* --- Quiet times ----------------------------------------------------------------------------- */

void checks_quiet_begins(struct checks *c)
{
	c->quiet_ns = c->host->now_ns;
	c->quiet_changes = c->host->state_changes;
	for (u32 i = 0; i < c->host->count; i++)
		c->watched[i].turns = 0;
}

/* What a guest lacks, and what its balloon keeps from it of @ideal, as far as it can be let out. */
static double kept_from(const struct guest *g, double ideal)
{
	double room = (double)(g->vm.claims.memory - g->vm.ballooned);
	double more = (ideal < (double)g->appetite ? ideal : (double)g->appetite) - room;

	return (double)guest_lacks(g) + (g->vm.balloon_works && more > 0 ? more : 0);
}

/* Of what VMs are entitled to and would use, how much they have not, in percent of all. */
static double distance_pct(struct checks *c)
{
	const struct host *h = c->host;
	u64 consumed = 0;
	double missing = 0;

	for (u32 i = 0; i < h->count; i++)
		consumed += h->scratch[i].consumed = host_consumed(&h->guests[i]);
	ideal_division(h->scratch, h->count, consumed, h->seen.idle_tax_pct, c->division,
		c->division + h->count);
	for (u32 i = 0; i < h->count; i++) {
		double short_of = c->division[i] - (double)h->scratch[i].consumed;
		double would_use = kept_from(&h->guests[i], c->division[i]);

		if (short_of > 0)
			missing += short_of < would_use ? short_of : would_use;
	}
	return consumed ? missing * 100 / (double)consumed : 0;
}

/* With memory to spare nobody goes without what he would use, within limit and grant. */
static void check_plenty(struct checks *c)
{
	const struct host *h = c->host;

	for (u32 i = 0; i < h->count; i++) {
		const struct guest *g = &h->guests[i];
		double kept = kept_from(g, (double)host_bound(g));
		/* A balloon follows a grant that grows. */
		double some = (double)g->vm.claims.memory /
			      (g->vm.granted < g->vm.claims.memory ? 8 : 50);

		MUST(kept <= some || (double)host_consumed(g) + some >= (double)host_bound(g),
			"VM %u: misses %.0f pages where memory is plentiful", i, kept);
	}
}

void checks_quiet_ends(struct checks *c)
{
	const struct host *h = c->host;
	u64 minutes = (h->now_ns - c->quiet_ns) / SECONDS(60) + 1;
	u64 changes = h->state_changes - c->quiet_changes;
	double distance = distance_pct(c);

	c->quiet_minutes += minutes;
	c->worst_distance_pct = max(c->worst_distance_pct, distance);
	MUST(distance <= DISTANCE_PCT, "%.1f%% of memory is not where it belongs", distance);
	MUST(changes <= minutes * CHANGES_MINUTE,
		"the state changed %llu times in %llu quiet minutes", (ull)changes, (ull)minutes);
	for (u32 i = 0; i < h->count; i++) {
		u32 turns = c->watched[i].turns;

		c->quiet_turns += turns;
		MUST(turns <= TURNS_MIN + minutes / 10,
			"VM %u: its balloon turned %u times in %llu quiet minutes", i, turns,
			(ull)minutes);
	}
	if (h->seen.state == MEM_HIGH && h->seen.free_frames > h->seen.levels.min_free * 2)
		check_plenty(c);
}

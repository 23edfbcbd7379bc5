/*
 * The local APIC's timer: one-shot, periodic, or a TSC deadline. It is not a thing that runs but a
 * time at which it is due; lapic_tick() compares. A periodic timer that was looked at late fires
 * once and keeps its phase.
 */
#include "hv/vdev/lapic_private.h"

static u32 mode_of(const struct lapic *l)
{
	return l->lvt[LVT_TIMER] & LVT_TIMER_MODE;
}

/* The divide register's odd code: bits 3, 1, 0 count from 2; 111B is 1. */
static u32 divider(const struct lapic *l)
{
	u32 code = (l->divide & 3) | (l->divide >> 1 & 4);

	return code == 7 ? 1 : 2u << code;
}

static u64 now(const struct lapic_set *set, enum lapic_clock clock)
{
	return clock == CLOCK_TSC ? set->now_tsc : set->now_ns;
}

/* The bus runs at 1 GHz: its ticks are ns. At most 2^32 x 128 x 10^7 kHz: fits 64 bits. */
static u64 to_clock(const struct lapic_set *set, u64 ns, enum lapic_clock clock)
{
	return clock == CLOCK_TSC ? ns * set->tsc_khz / 1000000 : ns;
}

/* A guest that set its TSC back can make the rest of a period look absurdly long. */
static u64 to_ns(const struct lapic_set *set, u64 ticks, enum lapic_clock clock)
{
	if (clock != CLOCK_TSC)
		return ticks;
	return ticks < ~0ull / 1000000 ? ticks * 1000000 / set->tsc_khz : ~0ull;
}

void lapic_timer_start(struct lapic_set *set, u32 index, u32 initial, enum lapic_clock clock)
{
	struct lapic *l = &set->all[index];
	u64 ns = (u64)initial * divider(l);

	if (mode_of(l) == LVT_TIMER_DEADLINE)
		return;
	l->timer_initial = initial;
	l->clock = CLOCK_OFF;
	if (initial == 0)
		return;
	l->clock = clock;
	l->timer_period = 0;
	if (mode_of(l) == LVT_TIMER_PERIODIC) {
		ns = max(ns, (u64)LAPIC_MIN_PERIOD_NS);
		l->timer_period = max(to_clock(set, ns, clock), 1ull);
	}
	l->timer_due = now(set, clock) + to_clock(set, ns, clock);
}

u32 lapic_timer_current(const struct lapic_set *set, u32 index)
{
	const struct lapic *l = &set->all[index];
	u64 at = now(set, l->clock), left;

	if (l->clock == CLOCK_OFF || mode_of(l) == LVT_TIMER_DEADLINE)
		return 0;
	if (at < l->timer_due)
		left = l->timer_due - at;
	else
		left = l->timer_period ? l->timer_period - (at - l->timer_due) % l->timer_period
				       : 0;
	left = to_ns(set, left, l->clock) / divider(l);
	return (u32)min(left, (u64)l->timer_initial);
}

/* The count goes on at the new pace from where it is. */
void lapic_timer_divide(struct lapic_set *set, u32 index, u32 divide)
{
	struct lapic *l = &set->all[index];
	u32 current = lapic_timer_current(set, index);
	bool running = l->clock != CLOCK_OFF && mode_of(l) != LVT_TIMER_DEADLINE;

	l->divide = divide;
	if (!running)
		return;
	l->timer_due = now(set, l->clock) + to_clock(set, (u64)current * divider(l), l->clock);
	if (l->timer_period) {
		u64 ns = (u64)l->timer_initial * divider(l);

		l->timer_period =
			max(to_clock(set, max(ns, (u64)LAPIC_MIN_PERIOD_NS), l->clock), 1ull);
	}
}

/* To and from deadline mode disarms; between one-shot and periodic the count goes on. */
void lapic_timer_mode_changed(struct lapic_set *set, u32 index, u32 before)
{
	struct lapic *l = &set->all[index];

	if ((before & LVT_TIMER_MODE) == LVT_TIMER_DEADLINE || mode_of(l) == LVT_TIMER_DEADLINE) {
		l->clock = CLOCK_OFF;
		l->timer_initial = 0;
		return;
	}
	if (l->clock == CLOCK_OFF)
		return;
	l->timer_period = 0;
	if (mode_of(l) == LVT_TIMER_PERIODIC) {
		u64 ns = max((u64)l->timer_initial * divider(l), (u64)LAPIC_MIN_PERIOD_NS);

		l->timer_period = max(to_clock(set, ns, l->clock), 1ull);
	}
}

u64 lapic_deadline(const struct lapic_set *set, u32 index)
{
	const struct lapic *l = &set->all[index];

	return mode_of(l) == LVT_TIMER_DEADLINE && l->clock == CLOCK_TSC ? l->timer_due : 0;
}

void lapic_deadline_set(struct lapic_set *set, u32 index, u64 tsc)
{
	struct lapic *l = &set->all[index];

	if (mode_of(l) != LVT_TIMER_DEADLINE)
		return;
	l->clock = tsc ? CLOCK_TSC : CLOCK_OFF;
	l->timer_due = tsc;
	l->timer_period = 0;
	lapic_tick(set, index);
}

void lapic_next_event(const struct lapic_set *set, u32 index, u64 *tsc, u64 *ns)
{
	const struct lapic *l = &set->all[index];

	*tsc = l->clock == CLOCK_TSC ? l->timer_due : ~0ull;
	*ns = l->clock == CLOCK_NS ? l->timer_due : ~0ull;
}

void lapic_tick(struct lapic_set *set, u32 index)
{
	struct lapic *l = &set->all[index];
	u64 at = now(set, l->clock);

	if (l->clock == CLOCK_OFF || at < l->timer_due)
		return;
	if (l->timer_period)
		l->timer_due += ((at - l->timer_due) / l->timer_period + 1) * l->timer_period;
	else
		l->clock = CLOCK_OFF;
	lapic_lvt_fire(set, index, LVT_TIMER);
}

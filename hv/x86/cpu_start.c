#include "hv/x86/cpu_start.h"

static bool move(u32 *state, u32 from, u32 to)
{
	return __atomic_compare_exchange_n(
		state, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

void cpu_start_call(u32 *state)
{
	__atomic_store_n(state, CPU_STARTING, __ATOMIC_RELEASE);
}

bool cpu_start_answer(u32 *state)
{
	return move(state, CPU_STARTING, CPU_COMING);
}

bool cpu_start_finish(u32 *state, bool fit)
{
	return move(state, CPU_COMING, fit ? CPU_ONLINE : CPU_FAILED) && fit;
}

static bool is_final(u32 state)
{
	return state == CPU_ONLINE || state == CPU_FAILED;
}

bool cpu_start_is_settled(const u32 *state)
{
	return is_final(__atomic_load_n(state, __ATOMIC_ACQUIRE));
}

enum cpu_state cpu_start_settle(u32 *state)
{
	u32 was;

	do
		was = __atomic_load_n(state, __ATOMIC_ACQUIRE);
	while (!is_final(was) && !move(state, was, CPU_FAILED));
	return was;
}

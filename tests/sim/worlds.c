/* SRCS: tests/sim/world.c tests/sim/checks.c tests/sim/host.c tests/sim/guest.c tests/sim/ideal.c
   tests/sim/broken.c mm/memsched/memsched_state.c mm/memsched/memsched_active.c
   mm/memsched/memsched_entitle.c mm/memsched/memsched_target.c mm/balloon/balloon_policy.c */
/*
 * Random worlds under the scheduler's decisions. Without arguments: a thousand of them, and each
 * broken policy until it is found out. With arguments, one run as they say; "make sim" does a large
 * one and draws it.
 *
 *   worlds [--worlds N] [--vms N] [--phases N] [--phase-seconds N] [--seed N] [--trace FILE]
 */
#include "mm/base/check.h"
#include "tests/sim/broken.h"
#include "tests/sim/world.h"
#include <stdlib.h>
#include <string.h>

#define WORLDS        1000u
#define BROKEN_WORLDS 150u

typedef unsigned long long ull;

/* The real one needs the hypervisor's log. */
void check_failed(const char *file, int line, const char *expr)
{
	fprintf(stderr, "%s:%d: CHECK(%s) failed\n", file, line, expr);
	abort();
}

static bool run_worlds(const struct world_kind *kind, u64 worlds)
{
	struct world_result result, sum = {0};
	u64 failed = 0;

	for (u64 i = 0; i < worlds; i++) {
		struct world_kind one = *kind;

		one.seed += i;
		world_run(&one, &result);
		if (result.broken[0]) {
			failed++;
			printf("seed %llu, %llu VMs: %s\n", (ull)one.seed, (ull)result.vms,
				result.broken);
		}
		sum.distance_pct = max(sum.distance_pct, result.distance_pct);
		sum.state_changes += result.state_changes;
		sum.quiet_turns += result.quiet_turns;
		sum.quiet_minutes += result.quiet_minutes;
		sum.steps += result.steps;
		sum.vms += result.vms;
		for (u32 s = 0; s < MEM_STATE_COUNT; s++)
			sum.steps_in[s] += result.steps_in[s];
	}
	printf("seeds %llu to %llu: %llu worlds, %llu VMs, %.1f hours: %llu broken\n",
		(ull)kind->seed, (ull)(kind->seed + worlds - 1), (ull)worlds, (ull)sum.vms,
		(double)sum.steps / STEPS_S / 3600, (ull)failed);
	printf("at most %.1f%% of memory not where it belongs; %llu changes of state; %llu turns of balloons in %llu "
	       "quiet minutes; time in",
		sum.distance_pct, (ull)sum.state_changes, (ull)sum.quiet_turns,
		(ull)sum.quiet_minutes);
	for (u32 s = 0; s < MEM_STATE_COUNT; s++)
		printf(" %s %.2f%%", mem_state_name((enum mem_state)s),
			(double)sum.steps_in[s] * 100 / (double)max(sum.steps, 1ull));
	printf("\n");
	/* Worlds in which some state never occurs would prove little. */
	return !failed && (kind->trace || worlds < WORLDS || sum.steps_in[MEM_LOW]);
}

static bool is_found_out(const struct broken_policy *broken, struct world_kind kind)
{
	struct world_result result;

	kind.policy = broken->policy;
	for (u32 i = 0; i < BROKEN_WORLDS; i++, kind.seed++) {
		world_run(&kind, &result);
		if (strstr(result.broken, broken->seen_as)) {
			printf("%s: found out in world %u: %s\n", broken->name, i + 1,
				result.broken);
			return true;
		}
	}
	printf("%s: not found out in %u worlds (the last: %s)\n", broken->name, BROKEN_WORLDS,
		result.broken);
	return false;
}

static FILE *open_trace(const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file) {
		perror(path);
		exit(2);
	}
	fputs(TRACE_HEADING, file);
	return file;
}

int main(int argc, char **argv)
{
	struct world_kind kind = {
		.seed = rng_seed(1), .most_vms = 12, .phases = 3, .policy = mem_decide};
	u64 worlds = WORLDS;
	bool good;

	for (int i = 1; i + 1 < argc; i += 2) {
		u64 number = strtoull(argv[i + 1], NULL, 0);

		if (strcmp(argv[i], "--worlds") == 0)
			worlds = number;
		else if (strcmp(argv[i], "--vms") == 0)
			kind.most_vms = (u32)max(number, 1ull);
		else if (strcmp(argv[i], "--phases") == 0)
			kind.phases = (u32)number;
		else if (strcmp(argv[i], "--phase-seconds") == 0)
			kind.phase_s = (u32)number;
		else if (strcmp(argv[i], "--seed") == 0)
			kind.seed = number;
		else if (strcmp(argv[i], "--trace") == 0)
			kind.trace = open_trace(argv[i + 1]);
	}
	good = run_worlds(&kind, worlds);
	if (kind.trace)
		fclose(kind.trace);
	for (const struct broken_policy *broken = broken_policies; argc == 1 && broken->name;
		broken++)
		good &= is_found_out(broken, kind);
	return good ? 0 : 1;
}

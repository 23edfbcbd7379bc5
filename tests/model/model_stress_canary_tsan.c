/* SRCS: tests/model/stress*.c tests/model/lock_broken.c tests/fake/fake_platform.c
   tests/fake/fake_guest.c tests/fake/fake_blk.c mm !mm/base/lock.c */
/*
 * The stress can fail: with the locks of any one rank of mm/ left out, ThreadSanitizer tells of a
 * race, or a check of mm/ fails; each time in a process of its own, which ends with that.
 */
#include "tests/model/stress.h"
#include "tests/model/lock_broken.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define RACE_STATUS 66
#define LIMIT_S     300u
#define STEPS       600u
#define TRIES       40u /* for two threads to meet there with nothing else between them */

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "halt_on_error=1:exitcode=66";
}

static int status_with(enum lock_rank rank, u64 seed)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		int nowhere = open("/dev/null", O_WRONLY);

		dup2(nowhere, STDOUT_FILENO);
		dup2(nowhere, STDERR_FILENO);
		alarm(LIMIT_S);
		lock_broken_rank = rank;
		_exit(stress_run(seed, STEPS, true, false) | stress_run(seed, STEPS, false, false));
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* How it came out without them; NULL: nobody noticed. */
static const char *noticed(enum lock_rank rank, u64 seed)
{
	for (u32 i = 0; i < TRIES; i++) {
		int status = status_with(rank, seed + i);

		/* One of mm's own checks may be faster, or what a race led to. */
		switch (status) {
		case 0:
			break;
		case RACE_STATUS:
			return "a race";
		case 1:
			return "a wrong byte";
		case -SIGABRT:
			return "a failed check";
		case -SIGALRM:
			return "no end";
		default:
			return "a crash";
		}
	}
	return NULL;
}

int main(void)
{
	static const struct {
		enum lock_rank rank;
		const char *name;
	} ranks[] = {{LOCK_RANK_SHARE_SCAN, "share scan"}, {LOCK_RANK_RECLAIM, "reclaim"},
		{LOCK_RANK_JOIN, "join"}, {LOCK_RANK_SPACE, "space"}, {LOCK_RANK_REGION, "region"},
		{LOCK_RANK_SHARE, "share"}, {LOCK_RANK_ZCACHE, "zcache"}, {LOCK_RANK_SWAP, "swap"},
		{LOCK_RANK_BOUNCE, "bounce"}, {LOCK_RANK_TABLES, "tables"},
		{LOCK_RANK_FRAME_CACHE, "frame cache"}, {LOCK_RANK_FRAMES, "frames"}};
	u64 seed = rng_seed(1);
	int missed = status_with(0, seed) != 0;

	printf("with all locks: %s\n", missed ? "NOT SOUND" : "sound");
	for (u32 i = 0; i < ARRAY_COUNT(ranks); i++) {
		const char *how = noticed(ranks[i].rank, seed);

		printf("without the locks of rank %s: %s\n", ranks[i].name,
			how ? how : "NOT NOTICED");
		fflush(stdout);
		missed += !how;
	}
	return missed != 0;
}

/*
 * What a bench on the host measures with: CPU time, so that neighbours on the machine count for
 * little, of this thread or of a kernel thread; and one form of output, which host.py reads.
 *
 * A bench prints one "SAMPLE series value" for each run, at least TIMING_RUNS of them in each
 * series: "ours", and "peer" for what the kernel does in the same run.
 */
#ifndef TESTS_BENCH_TIMING_H
#define TESTS_BENCH_TIMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TIMING_RUNS 11

/* CPU seconds of this thread; seconds of the clock. */
double timing_cpu_s(void);
double timing_wall_s(void);

void timing_sample(const char *series, double value);

/* Say why this bench cannot run here, and end the program: no failure, but no result either. */
void timing_cannot_run(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* The kernel thread of that name (ksmd, kswapd0), or -1. */
pid_t timing_find_thread(const char *name);

/* CPU seconds that a process or kernel thread has had, by its schedstat; negative: nobody tells. */
double timing_thread_cpu_s(pid_t pid);

/* One number, or a word, in a file of sysfs. False if it is not there or not permitted. */
bool timing_setting_read(const char *path, uint64_t *value);
bool timing_setting_write(const char *path, const char *text);

/*
 * KSM for the length of a bench: switched on with @pages_to_scan pages a round and no sleep between
 * rounds, zero pages made the kernel's one, and put back as it was by timing_ksm_stop(), at exit
 * and at SIGTERM. Ends the program where the kernel offers none, where we may not, or where it is
 * at work already for somebody else.
 */
void timing_ksm_start(uint32_t pages_to_scan);
void timing_ksm_stop(void);
/* CPU seconds that ksmd has had. */
double timing_ksm_cpu_s(void);
/* A counter below /sys/kernel/mm/ksm: pages_sharing, pages_shared, full_scans ... */
uint64_t timing_ksm_count(const char *name);

/* Has this kernel zram, loaded or as a module? */
bool timing_zram_is_offered(void);

/*
 * A zram device of @bytes with that compressor for the length of a bench: its path, which stays
 * valid. Ends the program where there is none to be had. timing_zram_stop() removes it.
 */
const char *timing_zram_start(uint64_t bytes, const char *compressor);
void timing_zram_stop(void);
/* Have it compact its memory. */
bool timing_zram_compact(void);
/* The first numbers of its mm_stat: bytes stored, bytes compressed, bytes of memory used. */
bool timing_zram_stat(uint64_t out[3]);

#endif

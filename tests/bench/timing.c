/* See timing.h. */
#include "tests/bench/timing.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define KSM              "/sys/kernel/mm/ksm/"
#define PATH_BYTES       128
#define KSM_WAIT_MS      5
#define KSM_WAIT_LIMIT_S 120.0

static double clock_s(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double timing_cpu_s(void)
{
	return clock_s(CLOCK_THREAD_CPUTIME_ID);
}

double timing_wall_s(void)
{
	return clock_s(CLOCK_MONOTONIC);
}

void timing_sample(const char *series, double value)
{
	printf("SAMPLE %s %.9g\n", series, value);
	fflush(stdout);
}

void timing_cannot_run(const char *format, ...)
{
	va_list args;

	printf("CANNOT ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	exit(0);
}

static bool first_line(const char *path, char *line, int bytes)
{
	FILE *file = fopen(path, "re");
	bool ok = file && fgets(line, bytes, file);

	if (file)
		fclose(file);
	return ok;
}

pid_t timing_find_thread(const char *name)
{
	DIR *proc = opendir("/proc");
	pid_t found = -1;
	struct dirent *entry;

	while (found < 0 && proc && (entry = readdir(proc))) {
		char path[PATH_BYTES], line[64];

		if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/comm", entry->d_name);
		if (!first_line(path, line, sizeof(line)))
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, name) == 0)
			found = (pid_t)atoi(entry->d_name);
	}
	if (proc)
		closedir(proc);
	return found;
}

double timing_thread_cpu_s(pid_t pid)
{
	char path[PATH_BYTES], line[128];

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	if (pid < 0 || !first_line(path, line, sizeof(line)))
		return -1.0;
	return strtod(line, NULL) / 1e9;
}

bool timing_setting_read(const char *path, uint64_t *value)
{
	char line[64];

	if (!first_line(path, line, sizeof(line)))
		return false;
	*value = strtoull(line, NULL, 10);
	return true;
}

bool timing_setting_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	bool ok = file && fputs(text, file) >= 0;

	if (file && fclose(file) != 0)
		ok = false;
	return ok;
}

/* --- KSM ------------------------------------------------------------------------------------- */

static struct {
	uint64_t run, pages_to_scan, sleep_ms, zero_pages;
	pid_t thread;
	bool on;
} ksm = {.thread = -1};

static void ksm_set(const char *name, uint64_t value)
{
	char path[PATH_BYTES], text[32];

	snprintf(path, sizeof(path), KSM "%s", name);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	if (!timing_setting_write(path, text))
		timing_cannot_run("%s cannot be written: %s", path, strerror(errno));
}

uint64_t timing_ksm_count(const char *name)
{
	char path[PATH_BYTES];
	uint64_t value = 0;

	snprintf(path, sizeof(path), KSM "%s", name);
	if (!timing_setting_read(path, &value))
		timing_cannot_run("%s cannot be read", path);
	return value;
}

static void on_term(int number)
{
	(void)number;
	timing_ksm_stop();
	_exit(1);
}

void timing_ksm_start(uint32_t pages_to_scan)
{
	if (!timing_setting_read(KSM "run", &ksm.run))
		timing_cannot_run("this kernel has no KSM");
	if (ksm.run == 1)
		timing_cannot_run("KSM is at work for others on this machine");
	ksm.pages_to_scan = timing_ksm_count("pages_to_scan");
	ksm.sleep_ms = timing_ksm_count("sleep_millisecs");
	ksm.zero_pages = timing_ksm_count("use_zero_pages");
	ksm.thread = timing_find_thread("ksmd");
	if (timing_thread_cpu_s(ksm.thread) < 0)
		timing_cannot_run("the CPU time of ksmd is not told");
	ksm_set("pages_to_scan", pages_to_scan);
	atexit(timing_ksm_stop);
	signal(SIGTERM, on_term);
	ksm.on = true;
	ksm_set("sleep_millisecs", 0);
	ksm_set("use_zero_pages", 1);
	ksm_set("run", 1);
}

void timing_ksm_stop(void)
{
	if (!ksm.on)
		return;
	ksm.on = false;
	/* 2 also takes apart what was merged. */
	ksm_set("run", 2);
	ksm_set("run", ksm.run);
	ksm_set("pages_to_scan", ksm.pages_to_scan);
	ksm_set("sleep_millisecs", ksm.sleep_ms);
	ksm_set("use_zero_pages", ksm.zero_pages);
}

double timing_ksm_cpu_s(void)
{
	return timing_thread_cpu_s(ksm.thread);
}

double timing_ksm_wait(uint32_t passes)
{
	uint64_t until = timing_ksm_count("full_scans") + passes;
	double cpu = timing_ksm_cpu_s(), start = timing_wall_s();

	while (timing_ksm_count("full_scans") < until) {
		const struct timespec pause = {0, KSM_WAIT_MS * 1000000};

		if (timing_wall_s() - start > KSM_WAIT_LIMIT_S)
			timing_cannot_run("KSM makes no progress");
		nanosleep(&pause, NULL);
	}
	return timing_ksm_cpu_s() - cpu;
}

/* --- zram ------------------------------------------------------------------------------------ */

static struct {
	int number;
	char device[32];
	bool on;
} zram;

static void zram_set(const char *name, const char *text)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "/sys/block/zram%d/%s", zram.number, name);
	if (!timing_setting_write(path, text))
		timing_cannot_run("%s does not take %s: %s", path, text, strerror(errno));
}

/* There is no udev in a container: make the node where it lacks. */
static void zram_node(void)
{
	char path[PATH_BYTES], line[32];
	unsigned int major, minor;

	snprintf(zram.device, sizeof(zram.device), "/dev/zram%d", zram.number);
	if (access(zram.device, F_OK) == 0)
		return;
	snprintf(path, sizeof(path), "/sys/block/zram%d/dev", zram.number);
	if (!first_line(path, line, sizeof(line)) || sscanf(line, "%u:%u", &major, &minor) != 2 ||
		mknod(zram.device, S_IFBLK | 0600, makedev(major, minor)) != 0)
		timing_cannot_run("%s cannot be made: %s", zram.device, strerror(errno));
}

bool timing_zram_is_offered(void)
{
	return access("/sys/class/zram-control", F_OK) == 0 ||
	       system("modprobe zram 2>/dev/null") == 0;
}

const char *timing_zram_start(uint64_t bytes, const char *compressor)
{
	char text[32];
	uint64_t number;

	if (!timing_zram_is_offered())
		timing_cannot_run("this kernel has no zram");
	/* Reading makes a new device and tells its number. */
	if (!timing_setting_read("/sys/class/zram-control/hot_add", &number))
		timing_cannot_run("no new zram device: %s", strerror(errno));
	zram.number = (int)number;
	if (!zram.on)
		atexit(timing_zram_stop);
	zram.on = true;
	zram_set("comp_algorithm", compressor);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	zram_set("disksize", text);
	zram_node();
	return zram.device;
}

void timing_zram_stop(void)
{
	char text[32];

	if (!zram.on)
		return;
	zram.on = false;
	zram_set("reset", "1");
	snprintf(text, sizeof(text), "%d", zram.number);
	timing_setting_write("/sys/class/zram-control/hot_remove", text);
}

bool timing_zram_compact(void)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "/sys/block/zram%d/compact", zram.number);
	return timing_setting_write(path, "1");
}

bool timing_zram_stat(uint64_t out[3])
{
	char path[PATH_BYTES], line[256], *at = line;

	snprintf(path, sizeof(path), "/sys/block/zram%d/mm_stat", zram.number);
	if (!first_line(path, line, sizeof(line)))
		return false;
	for (int i = 0; i < 3; i++)
		out[i] = strtoull(at, &at, 10);
	return true;
}

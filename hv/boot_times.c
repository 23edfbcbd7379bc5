/* The phases of the boot, in milliseconds. */
#include "hv/boot_times.h"
#include "hv/x86/time.h"
#include "mm/base/fmt.h"
#include "mm/base/log.h"

#define MARK_MOST 16u

typedef unsigned long long ull;

static struct {
	struct boot_times loader;
	u64 entry, up; /* the hypervisor's, in TSC ticks */
	struct {
		const char *phase;
		u64 end;
	} marks[MARK_MOST];
	u32 count;
	bool guest_ran; /* [a] */
} times;

void boot_times_init(const struct boot_times *loader, u64 entry)
{
	times.loader = *loader;
	times.entry = entry;
}

void boot_times_mark(const char *phase)
{
	if (times.count == MARK_MOST)
		return;
	times.marks[times.count].phase = phase;
	times.marks[times.count++].end = time_tsc();
}

/* 0 where one of the moments was never reached. */
static ull ms_between(u64 from, u64 to)
{
	return from && to > from ? time_ns_from_tsc(to - from) / 1000000 : 0;
}

static ull tenths_between(u64 from, u64 to)
{
	return to > from ? (time_ns_from_tsc(to - from) / 100000) : 0;
}

void boot_times_report(void)
{
	char line[LOG_LINE_BYTES];
	u64 from = times.entry;
	size_t at = 0;

	line[0] = '\0';
	for (u32 i = 0; i < times.count && at < sizeof(line) - 40; i++) {
		ull tenths = tenths_between(from, times.marks[i].end);

		at += (size_t)fmt_snprintf(line + at, sizeof(line) - at, "%s%s %llu.%llu",
			i ? ", " : "", times.marks[i].phase, tenths / 10, tenths % 10);
		from = times.marks[i].end;
	}
	times.up = from;
	log_info("boot: firmware %llu ms, loader: files %llu ms, leaving the firmware %llu ms",
		ms_between(1, times.loader.loader_start),
		ms_between(times.loader.loader_start, times.loader.files_loaded),
		ms_between(times.loader.files_loaded, times.loader.firmware_left));
	log_info("boot: hypervisor %llu ms: %s", ms_between(times.entry, times.up), line);
}

void boot_times_guest_entry(void)
{
	u64 now;

	if (__builtin_expect(__atomic_load_n(&times.guest_ran, __ATOMIC_RELAXED), true) ||
		__atomic_exchange_n(&times.guest_ran, true, __ATOMIC_RELAXED))
		return;
	now = time_tsc();
	log_info(
		"boot: VMs %llu ms; the first guest's first instruction comes %llu ms after power-on, "
		"%llu ms after the loader's start",
		ms_between(times.up, now), ms_between(1, now),
		ms_between(times.loader.loader_start, now));
}

/*
 * bellows-guest: what an administrator of a guest sees of the balloon, and its switch. All of it
 * goes through the driver, by its files in sysfs; this program has no rights of its own.
 */
#include <cpuid.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/abi/balloon.h"
#include "hv/abi/hypercall.h"

#define DEVICES    "/sys/bus/platform/drivers/bellows_balloon"
#define TEXT_BYTES 256

enum exit_status {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NO_DRIVER = 3, /* or no virtual machine of Bellows */
};

static char device[512]; /* the device's folder in sysfs */

/* --- Is there anything to talk to? ------------------------------------------------------------ */

static bool is_bellows(void)
{
	uint32_t a, b, c, d, signature[3];

	__cpuid(1, a, b, c, d);
	if (!(c & 1u << 31)) /* no hypervisor at all */
		return false;
	__cpuid(BELLOWS_CPUID_LEAF, a, signature[0], signature[1], signature[2]);
	return memcmp(signature, BELLOWS_CPUID_SIGNATURE, sizeof(signature)) == 0;
}

/* Fill in `device`, or say why there is none. */
static bool find_device(void)
{
	DIR *folder;
	struct dirent *entry;

	if (!is_bellows()) {
		fprintf(stderr, "bellows-guest: this is no virtual machine of Bellows\n");
		return false;
	}
	folder = opendir(DEVICES);
	while (folder && (entry = readdir(folder)) && !device[0]) {
		if (strncmp(entry->d_name, BELLOWS_BALLOON_HID, strlen(BELLOWS_BALLOON_HID)) == 0)
			snprintf(device, sizeof(device), "%s/%s", DEVICES, entry->d_name);
	}
	if (folder)
		closedir(folder);
	if (!device[0])
		fprintf(stderr,
			"bellows-guest: the driver is not loaded; try: modprobe bellows_balloon\n");
	return device[0] != '\0';
}

/* --- The driver's files ----------------------------------------------------------------------- */

static FILE *open_file(const char *name, const char *mode)
{
	char path[sizeof(device) + TEXT_BYTES];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", device, name);
	file = fopen(path, mode);
	if (!file)
		fprintf(stderr, "bellows-guest: %s: %s\n", path, strerror(errno));
	return file;
}

/* The first line of a file, without its end. */
static bool read_text(const char *name, char text[TEXT_BYTES])
{
	FILE *file = open_file(name, "r");
	bool is_read = file && fgets(text, TEXT_BYTES, file);

	if (file)
		fclose(file);
	if (is_read)
		text[strcspn(text, "\n")] = '\0';
	return is_read;
}

static bool read_number(const char *name, unsigned long long *number)
{
	char text[TEXT_BYTES], *end;

	if (!read_text(name, text))
		return false;
	*number = strtoull(text, &end, 10);
	return end != text && *end == '\0';
}

/* --- Tables ----------------------------------------------------------------------------------- */

struct row {
	const char *file, *label;
	enum { KIB, COUNT } unit;
};

static const struct row sizes[] = {
	{"size_kib", "balloon now", KIB},
	{"large_kib", "of it in 2 MiB pages", KIB},
	{"held_kib", "of it promised to others", KIB},
	{"target_kib", "target", KIB},
	{"maximum_kib", "maximum", KIB},
};

static const struct row statistics[] = {
	{"statistics/total_kib", "memory", KIB},
	{"statistics/free_kib", "free", KIB},
	{"statistics/available_kib", "available without swapping", KIB},
	{"statistics/swap_free_kib", "free swap space", KIB},
	{"statistics/swap_in_kib", "swapped in", KIB},
	{"statistics/swap_out_kib", "swapped out", KIB},
	{"statistics/major_faults", "major page faults", COUNT},
	{"statistics/oom_kills", "processes killed for want of memory", COUNT},
	{"statistics/oom_events", "kills that the balloon averted", COUNT},
	{"statistics/self_deflated_kib", "taken back unasked", KIB},
	{"statistics/inflated_kib", "inflated altogether", KIB},
	{"statistics/deflated_kib", "deflated altogether", KIB},
	{"statistics/migrated_kib", "moved by compaction", KIB},
};

static int print_table(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned long long number;

		if (!read_number(rows[i].file, &number))
			return EXIT_FAILED;
		if (rows[i].unit == KIB)
			printf("%-36s %10llu.%llu MiB\n", rows[i].label, number / 1024,
				number % 1024 * 10 / 1024);
		else
			printf("%-36s %10llu\n", rows[i].label, number);
	}
	return EXIT_OK;
}

/* --- Commands --------------------------------------------------------------------------------- */

static int run_sizes(void)
{
	return print_table(sizes, sizeof(sizes) / sizeof(sizes[0]));
}

static int run_statistics(void)
{
	return print_table(statistics, sizeof(statistics) / sizeof(statistics[0]));
}

static int run_status(void)
{
	unsigned long long backoff_ms;
	char state[TEXT_BYTES];

	if (!read_text("state", state) || !read_number("backoff_ms", &backoff_ms))
		return EXIT_FAILED;
	printf("%-36s %s\n", "state", state);
	if (backoff_ms)
		printf("%-36s %10llu s\n", "takes nothing more for", (backoff_ms + 999) / 1000);
	return run_sizes();
}

static int set_enabled(const char *value)
{
	FILE *file = open_file("enabled", "w");
	bool is_written;

	if (!file)
		return EXIT_FAILED;
	is_written = fputs(value, file) >= 0;
	/* The driver answers when the buffer reaches it. */
	if (fclose(file) != 0 || !is_written) {
		fprintf(stderr, "bellows-guest: the driver refuses: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	return run_status();
}

static int run_enable(void)
{
	return set_enabled("1");
}

static int run_disable(void)
{
	return set_enabled("0");
}

static const struct command {
	const char *name, *what;
	int (*run)(void);
} commands[] = {
	{"status", "what the balloon does, and its sizes", run_status},
	{"sizes", "how large the balloon is, should be, and may become", run_sizes},
	{"statistics", "what the driver tells the host, and what it has done", run_statistics},
	{"enable", "let the balloon follow its target (root only)", run_enable},
	{"disable", "empty the balloon, and keep it so (root only)", run_disable},
};

static void print_help(FILE *to)
{
	fprintf(to, "bellows-guest COMMAND: the memory balloon of this virtual machine\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(to, "  %-12s %s\n", commands[i].name, commands[i].what);
	fprintf(to, "  %-12s %s\n  %-12s %s\n", "--help", "this text", "--version",
		"which version this is");
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		print_help(stdout);
		return EXIT_OK;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("bellows-guest %s\n", BELLOWS_VERSION);
		return EXIT_OK;
	}
	for (size_t i = 0; argc == 2 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return find_device() ? commands[i].run() : EXIT_NO_DRIVER;
	}
	print_help(stderr);
	return EXIT_USAGE;
}
